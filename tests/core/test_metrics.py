"""The registry of metrics: one entry is all that a new metric takes, from the score rows to the last table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stages import compare, report, select
from stages.commands.experiment_table import shown
from stages.core import metrics
from stages.core.metrics import METRICS, TABLES, Column, Mean, Metric, OverReference
from stages.core.params import Evaluate
from stages.scoring.summary import signatures, summarise
from tests.support.made_metrics import World

SETTINGS = Evaluate(bootstrap_samples=50, confidence=0.95)
POLITE = Metric(
    name="politeness_rate",
    value=Mean("generation", "polite"),
    unit="share",
    definition="answers that begin with a greeting",
    signature="first word is a greeting|version:1",
    column=Column("Quality", 9, "polite"),
    short="polite",
    glossary="share of answers that begin with a greeting",
    rank="rank_politeness",
    compared=True,
    in_experiments=True,
    on_card=True,
)


def test_names_columns_and_short_names_are_there_once() -> None:
    for found in (
        [one.name for one in METRICS],
        [one.short for one in METRICS if one.short],
        [one.rank for one in METRICS if one.rank],
        [(column.table, column.place) for column, _ in metrics.as_in_report()],
        [(column.table, column.heading) for column, _ in metrics.as_in_report()],
    ):
        assert len(set(found)) == len(found)
    assert {column.table for column, _ in metrics.as_in_report()} == set(TABLES)


def test_every_metric_says_what_it_means_and_what_makes_it_comparable() -> None:
    assert [one.name for one in METRICS if not one.definition or not one.signature] == []
    assert {one.name for one in metrics.measured()} <= set(signatures(SETTINGS))


def test_what_is_shown_ranked_or_on_a_card_is_in_methods_json() -> None:
    for one in METRICS:
        needs = one.column or one.short or one.rank or one.on_card or one.in_experiments
        assert one.in_methods or not needs, one.name
        assert one.column or not (one.rank or one.glossary or one.on_card or one.in_experiments), one.name
        assert one.short or not one.in_experiments, one.name


def test_what_is_derived_stands_on_a_metric_that_is_compared() -> None:
    for one in METRICS:
        if isinstance(one.value, OverReference):
            assert metrics.metric(one.value.metric).compared


def test_a_new_metric_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "METRICS", (*METRICS, POLITE))
    world = World()
    world.write(tmp_path)
    for folder in sorted((tmp_path / "metrics/eval").iterdir()):
        file = folder / "rows.jsonl"
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        rows = [row | {"polite": index % 3 == 0} for index, row in enumerate(rows)]
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        generated = [row for row in rows if row["kind"] == "generation"]
        count = len({row["seed"] for row in rows})
        share = sum(row["polite"] for row in generated) / len(generated)
        summary["metrics"]["politeness_rate"] = {
            "mean": share,
            "low": 0.3,
            "high": 0.4,
            "n": 1,
            "per_seed": [0.3] * count,
        }
        (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    compare.main()
    monkeypatch.setattr("sys.argv", ["select", "dpo"])
    select.main()
    report.main()

    methods = json.loads(Path("metrics/methods.json").read_text(encoding="utf-8"))
    assert methods["dpo"]["politeness_rate"] == pytest.approx(1 / 3, abs=0.02)
    assert methods["dpo"]["rank_politeness"] == 1
    assert "\ndpo,politeness_rate,0.3" in Path("metrics/methods.csv").read_text(encoding="utf-8")
    assert "dpo" in json.loads(Path("metrics/differences.json").read_text(encoding="utf-8"))["politeness_rate"]
    assert json.loads(Path("metrics/selected.json").read_text(encoding="utf-8"))["polite"] == pytest.approx(
        1 / 3, abs=0.02
    )
    assert shown()["polite"] == "politeness_rate"
    page = Path("metrics/report/report.md").read_text(encoding="utf-8")
    [header] = [line for line in page.splitlines() if line.startswith("| model | behaviour rate | knowledge retention")]
    assert header.endswith("| polite |")
    assert "- *polite*: share of answers that begin with a greeting." in page
    assert "**Polite**" in page
    assert "`<model>.politeness_rate[_low, _high]`" in page
    card = Path("metrics/report/cards/dpo.md").read_text(encoding="utf-8")
    assert "| answers that begin with a greeting | 33" in card and "| `politeness_rate` |" in card


def test_a_new_metric_is_in_the_summary_of_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Metric("said_anything", Mean("text", "characters", lambda count: float(count > 0)), "share", "says", "v:1")
    monkeypatch.setattr(metrics, "METRICS", (*METRICS, said))
    rows = [{"kind": "text", "id": str(n), "seed": None, "characters": n % 2, "nats": -1.0} for n in range(10)]
    found = summarise(rows, [None], SETTINGS)
    assert found["metrics"]["said_anything"]["mean"] == 0.5
    assert found["signatures"]["said_anything"] == "v:1"
    assert set(found["metrics"]) == {one.name for one in metrics.measured()}
