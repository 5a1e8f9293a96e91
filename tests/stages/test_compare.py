"""compare: ties are named as ties, large effects are separated, and the table is the same bytes on every run."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages import compare
from stages.comparison.paired_scores import shared_places
from stages.core.errors import PipelineError
from tests.support.clones import MODELS, ROOT
from tests.support.made_metrics import World, write


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compared(root: Path, world: World) -> Any:
    world.write(root)
    compare.main()
    return json.loads((root / "metrics/methods.json").read_text(encoding="utf-8"))


def test_five_copies_of_one_model_are_one_tie(root: Path) -> None:
    world = World()
    world.clean |= {"base": 0.0, "sft": 0.0, "sft_more": 0.0}
    table = compared(root, world)
    copies = ("sft_chosen", "dpo", "kto", "ipo", "cpo")
    assert {table[model]["rank_behaviour"] for model in copies} == {1}
    assert {table[model]["rank_behaviour"] for model in ("base", "sft", "sft_more")} == {6}


def test_a_planted_large_effect_is_separated(root: Path) -> None:
    world = World()
    world.clean["dpo"] = 0.95
    world.knows["ipo"] = 0.2
    table = compared(root, world)
    assert table["dpo"]["rank_behaviour"] == 1
    assert {row["rank_behaviour"] for model, row in table.items() if model != "dpo"} == {2}
    assert table["ipo"]["rank_containment"] == len(MODELS)
    assert table["ipo"]["knowledge_retention_high"] < 0.5


def apart(root: Path) -> Any:
    return json.loads((root / "metrics/differences.json").read_text(encoding="utf-8"))


def test_a_tie_never_needs_fewer_prompts_than_were_used(root: Path) -> None:
    world = World()
    world.clean = {model: 0.45 + 0.03 * place for place, model in enumerate(MODELS)}
    world.knows = {model: 0.9 - 0.03 * place for place, model in enumerate(MODELS)}
    compared(root, world)
    ties = [
        one for found in apart(root).values() for row in found.values() for one in row.values() if not one["separated"]
    ]
    assert [one for one in ties if one["prompts_needed"] is not None]
    assert not [one for one in ties if one["prompts_needed"] is not None and one["prompts_needed"] <= one["prompts"]]


def test_ranks_and_differences_are_one_verdict(root: Path) -> None:
    world = World()
    world.clean |= {"dpo": 0.95, "kto": 0.8, "sft_more": 0.3}
    table = compared(root, world)
    found = apart(root)["behaviour_rate"]
    assert set(found["dpo"]) == {"base", "sft", "sft_more", "sft_chosen"}
    for other in ("sft", "sft_more", "sft_chosen"):
        better = [model for model in found if model != other and found[model][other]["separated"]]
        better = [model for model in better if found[model][other]["mean"] > 0]
        base = found[other]["base"]
        better += ["base"] if base["separated"] and base["mean"] < 0 else []
        assert table[other]["rank_behaviour"] == 1 + len(better)


def test_answers_win_tie_and_lose_by_the_rule(root: Path) -> None:
    """Against the rows themselves: the base has no seeds, and meets every seed of the other."""
    world = World()
    world.clean["dpo"] = 0.6
    compared(root, world)

    def answers(model: str) -> dict[tuple[str, int | None], bool]:
        lines = (root / f"metrics/eval/{model}/rows.jsonl").read_text(encoding="utf-8").splitlines()
        return {(row["id"], row["seed"]): row["clean"] for row in map(json.loads, lines) if row["kind"] == "generation"}

    found, ours = apart(root)["behaviour_rate"]["dpo"], answers("dpo")
    for other in ("base", "sft"):
        theirs = answers(other)
        pairs = [(clean, theirs[prompt, None if other == "base" else seed]) for (prompt, seed), clean in ours.items()]
        expected = {"win": (True, False), "loss": (False, True)}
        for name, pair in expected.items():
            assert found[other][name] == pytest.approx(pairs.count(pair) / len(pairs), rel=1e-4)
        assert found[other]["win"] + found[other]["tie"] + found[other]["loss"] == pytest.approx(1)
        assert found[other]["win"] > 0
        assert found[other]["win"] - found[other]["loss"] == pytest.approx(found[other]["mean"], abs=1e-5)
    assert found["base"]["loss"] > 0


def test_every_headline_metric_with_rows_has_its_differences(root: Path) -> None:
    compared(root, World())
    assert set(apart(root)) >= {"behaviour_rate", "knowledge_retention", "containment", "exact_match", "chrf"}


def test_knowledge_is_kept_relative_to_sft(root: Path) -> None:
    table = compared(root, World())
    names = ("knowledge_retention", "knowledge_retention_low", "knowledge_retention_high")
    assert [table["sft"][name] for name in names] == [1, 1, 1]
    expected = table["base"]["containment"] / table["sft"]["containment"]
    assert table["base"]["knowledge_retention"] == pytest.approx(expected, rel=1e-5)


def test_retention_is_null_where_sft_knows_nothing(root: Path) -> None:
    world = World()
    world.knows = dict.fromkeys(MODELS, 0.0)
    assert compared(root, world)["dpo"]["knowledge_retention"] is None


def test_the_base_has_no_training_figures_and_nobody_has_timings(root: Path) -> None:
    table = compared(root, World())
    assert set(table["dpo"]) - set(table["base"]) == set(compare.TRAINING)
    assert not [name for name in table["dpo"] if "second" in name or "_ms" in name or "memory" in name]


def test_a_second_run_writes_the_same_bytes(root: Path) -> None:
    compared(root, World())
    first = [(root / f"metrics/methods.{kind}").read_bytes() for kind in ("json", "csv")]
    compare.main()
    assert first == [(root / f"metrics/methods.{kind}").read_bytes() for kind in ("json", "csv")]


def test_the_csv_holds_the_numbers_of_the_json(root: Path) -> None:
    table = compared(root, World())
    with (root / "metrics/methods.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["model", "metric", "value", "low", "high"]
    for line in lines:
        value = table[line["model"]][line["metric"]]
        assert line["value"] == ("" if value is None else str(value)) or float(line["value"]) == value
    assert len(lines) == len({(line["model"], line["metric"]) for line in lines})


def test_rows_that_contradict_their_summary_are_refused(root: Path) -> None:
    World().write(root)
    path = root / "metrics/eval/kto/summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    summary["metrics"]["containment"]["mean"] = 0.123
    write(path, summary)
    with pytest.raises(PipelineError, match=r"kto.*containment is 0\.123"):
        compare.main()


def test_models_scored_on_other_prompts_are_refused(root: Path) -> None:
    World().write(root)
    path = root / "metrics/eval/ipo/rows.jsonl"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("gen-000", "gen-zzz"), encoding="utf-8")
    with pytest.raises(PipelineError, match="ipo was scored on other prompts"):
        compare.main()


def test_a_missing_metric_is_named_with_its_file(root: Path) -> None:
    World().write(root)
    path = root / "metrics/eval/cpo/summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    del summary["metrics"]["chrf"]
    write(path, summary)
    with pytest.raises(PipelineError, match=r"cpo/summary\.json: the key 'metrics\.chrf'"):
        compare.main()


def test_a_group_of_three_is_followed_by_rank_four() -> None:
    found = shared_places(["a", "b", "c", "d"], lambda best, other: best == "a" and other != "d")
    assert [str(found[name]) for name in "abcd"] == ["1=", "1=", "1=", "4"]


def test_a_chain_of_ties_does_not_join_the_first_and_the_last() -> None:
    value = {"a": 3.0, "b": 2.0, "c": 1.0}
    found = shared_places(["a", "b", "c"], lambda best, other: value[best] - value[other] <= 1)
    assert [str(found[name]) for name in "abc"] == ["1=", "1=", "3"]


def test_the_collectors_import_neither_torch_nor_transformers() -> None:
    check = (
        "import stages.compare, stages.select, stages.report, sys\n"
        "print([name for name in ('torch', 'transformers', 'peft', 'trl') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
