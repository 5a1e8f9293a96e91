"""Side effects of a preference training: displacement, length and repetition, each judged by its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stages.comparison.paired_scores import Scores, read_scores
from stages.comparison.side_effects import MOVED_NATS, Effect, Likelihood, Trend, Watched, effect, effects, read_watched
from stages.core.params import Params, load_params
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
    ("chosen", "rejected", "judged"),
    [
        ((-0.02, -0.03), (-0.5, -0.4), (Likelihood.LESS_LIKELY, Likelihood.LESS_LIKELY)),
        ((-0.02, -0.03), (0.5, 0.4), (Likelihood.LESS_LIKELY, Likelihood.LIKELIER)),
        ((0.02, 0.03), (-0.5, -0.4), (Likelihood.LIKELIER, Likelihood.LESS_LIKELY)),
        ((0.02, 0.03), (0.5, 0.4), (Likelihood.LIKELIER, Likelihood.LIKELIER)),
        ((0.02, -0.03), (-0.5, -0.4), (Likelihood.SAME, Likelihood.LESS_LIKELY)),
        ((0.0, 0.0), (0.0, MOVED_NATS), (Likelihood.SAME, Likelihood.SAME)),
    ],
)
def test_displacement_is_what_every_seed_shows(
    chosen: tuple[float, ...], rejected: tuple[float, ...], judged: tuple[Likelihood, Likelihood]
) -> None:
    one = watched(chosen, rejected)
    assert (one.chosen, one.rejected) == judged


def test_every_preference_method_is_watched_and_the_controls_have_effects_too(params: Params) -> None:
    found = read_watched(params)
    assert list(found) == ["dpo", "kto", "ipo", "cpo"]
    assert [one.chosen for one in found.values()] == [Likelihood.LESS_LIKELY, *[Likelihood.LIKELIER] * 3]
    assert list(effects(params, read_scores(params.models))) == ["sft_more", "sft_chosen", "dpo", "kto", "ipo", "cpo"]
    assert effects(params, {}) == {}


def trends(one: Effect) -> tuple[Trend | None, Trend, Trend, Trend]:
    return one.longer, one.repetition, one.hedging, one.stopping


def test_length_and_repetition_are_judged_by_their_intervals(params: Params) -> None:
    scores = read_scores(params.models)
    settings = params.evaluate
    assert trends(effect("dpo", scores, settings)) == (Trend.UNCLEAR,) * 4
    longer = effect("dpo", rewritten(scores, "dpo", tokens=15, repeated=True, hedged=False, stopped=False), settings)
    assert trends(longer) == (Trend.RISES, Trend.RISES, Trend.FALLS, Trend.FALLS)
    assert longer.length_change == pytest.approx((25, 25, 25))
    shorter = effect("dpo", rewritten(scores, "dpo", tokens=9), settings)
    assert shorter.longer == Trend.FALLS and shorter.length_change == pytest.approx((25, 25, 25))


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
    assert found.length is None and found.longer is None
