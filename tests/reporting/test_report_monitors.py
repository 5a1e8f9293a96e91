"""The report's monitors: each sentence follows from the figures by the rules that are printed beneath it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stages.comparison.paired_scores import Scores, read_scores
from stages.core.params import Params, load_params
from stages.reporting.monitors import (
    DISPLACEMENT,
    MOVED_NATS,
    Watched,
    displacement_clause,
    effect,
    effect_clauses,
    monitors,
    read_watched,
)
from tests.support.made_metrics import World


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The committed params, in a folder whose metrics are made up: DPO displaces, the others do as intended."""
    monkeypatch.chdir(tmp_path)
    world = World()
    world.displacement["dpo"] = (-0.2, -0.9)
    world.write(tmp_path)
    return load_params()


def watched(chosen: tuple[float, ...], rejected: tuple[float, ...]) -> Watched:
    return Watched(chosen, rejected, reward_margin_nats=(1.0,), reward_accuracy=(1.0,))


def rewritten(scores: dict[str, Scores], model: str, **fields: Any) -> dict[str, Scores]:
    """The same scores with some fields of one model's rows set."""
    one = scores[model]
    return scores | {model: Scores(one.prompts, one.values, tuple(row | fields for row in one.rows))}


@pytest.mark.parametrize(
    ("chosen", "rejected", "words"),
    [
        ((-0.02, -0.03), (-0.5, -0.4), f"became less likely too: **{DISPLACEMENT}**"),
        ((-0.02, -0.03), (0.5, 0.4), f"became less likely, and the rejected ones likelier: **{DISPLACEMENT}**"),
        ((0.02, 0.03), (-0.5, -0.4), "likelier and the rejected ones less likely, as intended"),
        ((0.02, 0.03), (0.5, 0.4), "alike are likelier"),
        ((0.02, -0.03), (-0.5, -0.4), "about as likely as before, the rejected ones less likely"),
        ((0.0, 0.0), (0.0, MOVED_NATS), "alike are about as likely as before"),
    ],
)
def test_displacement_is_what_every_seed_shows(
    chosen: tuple[float, ...], rejected: tuple[float, ...], words: str
) -> None:
    assert words in displacement_clause(watched(chosen, rejected))


def test_every_preference_method_has_a_verdict_and_the_controls_have_a_row(params: Params) -> None:
    text = monitors(params, read_scores(params.models), read_watched(params))
    verdicts = [line for line in text.splitlines() if line.startswith("- ")]
    assert [line.split("`")[1] for line in verdicts] == ["dpo", "kto", "ipo", "cpo"]
    assert [DISPLACEMENT in line for line in verdicts] == [True, False, False, False]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    assert [row[0].strip("| ") for row in rows] == ["sft_more", "sft_chosen", "dpo", "kto", "ipo", "cpo"]
    assert rows[0][1:5] == ["–"] * 4 and rows[2][1:5] == [
        "-0.2 [-0.2, -0.2]",
        "-0.9 [-0.9, -0.9]",
        "14 [14, 14]",
        "0.875 [0.875, 0.875]",
    ]
    assert f"below -{MOVED_NATS} nats" in text


def test_length_and_repetition_are_judged_by_their_intervals(params: Params) -> None:
    scores = read_scores(params.models)
    settings = params.evaluate
    same = effect("dpo", scores, settings)
    assert effect_clauses(same) == [
        "its answers are as long as `sft`'s, within the interval",
        "repetition does not clearly change",
    ]
    longer = effect("dpo", rewritten(scores, "dpo", tokens=15, repeated=True, hedged=False, stopped=False), settings)
    assert longer.length is not None and longer.length.mean == pytest.approx(15 / 12)
    assert effect_clauses(longer) == [
        "its answers are 25 % [25, 25] longer than `sft`'s",
        "repetition rises",
        "hedging falls",
        "the share that stops by itself falls",
    ]
    shorter = effect("dpo", rewritten(scores, "dpo", tokens=9), settings)
    assert effect_clauses(shorter)[0] == "its answers are 25 % [25, 25] shorter than `sft`'s"


def test_an_uneven_change_of_length_has_its_interval(params: Params) -> None:
    scores = read_scores(params.models)
    one = scores["kto"]
    rows = tuple(row | {"tokens": 36 if index % 6 < 3 else 12} for index, row in enumerate(one.rows))
    length = effect("kto", scores | {"kto": Scores(one.prompts, one.values, rows)}, params.evaluate).length
    assert length is not None and length.mean == pytest.approx(2)
    assert 1.5 < length.low < 2 < length.high < 2.5


def test_a_reference_that_says_nothing_has_no_ratio(params: Params) -> None:
    scores = rewritten(read_scores(params.models), "sft", tokens=0)
    found = effect("cpo", scores, params.evaluate)
    assert found.length is None
    assert "says nothing" in effect_clauses(found)[0]
