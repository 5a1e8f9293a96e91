"""Tables of the user's own test sets: every metric that their rows give, beside what no knowledge at all would get.

A set of questions is read beside two figures: chance, and the accuracy of picking the commonest right option every time
(the constant answer). ACVA has two options, of which one is right in half of the questions: 50 % there is no knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stages.core.metrics import metric
from stages.core.schema import MetricValue, OwnSummary, Summary
from stages.reporting.quality import shown
from stages.reporting.tables import NONE, SUMMARY, Column, Table, percent

ACCURACY, PAIRS = "mcq_accuracy", "preference_accuracy_sum"

OWN = Column("…", SUMMARY, "own.<set>.metrics.<column>")
BALANCED = Column("balanced accuracy", SUMMARY, "own.<set>.multiple_choice.cloze_accuracy_by_gold_position, its mean")
PICKED = Column("picked, by option", SUMMARY, "own.<set>.multiple_choice.cloze_picked_share")
BESIDE = Column(
    "beside the constant answer",
    SUMMARY,
    "own.<set>.metrics.mcq_accuracy, .multiple_choice.majority_accuracy",
    words=True,
)
COLUMNS = (OWN, BALANCED, PICKED, BESIDE)


@dataclass(frozen=True)
class OwnSet:
    """One set with its number of ``rows``; ``chance`` and ``constant`` (the constant answer) where it has questions.

    ``has_pairs``: its preferred answers are the more probable by chance in half of the pairs.
    """

    rows: int
    table: Table
    chance: float | None
    constant: float | None
    has_pairs: bool


def own_sets(summaries: Mapping[str, Summary]) -> dict[str, OwnSet]:
    """The sets that params.yaml names, by name, whatever they could be scored by."""
    first = next(iter(summaries.values()))["own"]
    return {name: _own_set({model: summary["own"][name] for model, summary in summaries.items()}) for name in first}


def _own_set(found: Mapping[str, OwnSummary]) -> OwnSet:
    """``found`` is the set's part of each model's summary."""
    first = next(iter(found.values()))
    metrics = list(dict.fromkeys(name for row in found.values() for name in row["metrics"]))
    rows = [[model, *(_cell(name, row["metrics"].get(name)) for name in metrics)] for model, row in found.items()]
    columns: list[str | Column] = ["model", *map(OWN.named, metrics)]
    choice = first["multiple_choice"]
    if not choice or ACCURACY not in metrics:
        return OwnSet(first["n"], Table(columns, rows), None, None, PAIRS in metrics)
    for cells, row in zip(rows, found.values(), strict=True):
        cells += _beside(row)
    table = Table([*columns, BALANCED, PICKED, BESIDE], rows)
    return OwnSet(first["n"], table, choice["chance"], choice["majority_accuracy"], PAIRS in metrics)


def _beside(row: OwnSummary) -> list[str]:
    """Balanced accuracy, the share of each option among the picks, and the accuracy against the constant answer."""
    choice, accuracy = row["multiple_choice"], row["metrics"].get(ACCURACY)
    by_option = [value for value in choice["cloze_accuracy_by_gold_position"] if value is not None]
    picked = " / ".join(f"{share * 100:.1f}" for share in choice["cloze_picked_share"])
    return [percent(sum(by_option) / len(by_option)), picked, _verdict(accuracy, choice["majority_accuracy"])]


def _verdict(accuracy: MetricValue | None, constant: float) -> str:
    """Whether the interval of an accuracy holds that of the constant answer."""
    if accuracy is None or accuracy["low"] is None or accuracy["high"] is None:
        return NONE
    if accuracy["low"] <= constant <= accuracy["high"]:
        return "ties with the constant answer"
    return "above it" if accuracy["low"] > constant else "below it"


def _cell(name: str, row: MetricValue | None) -> str:
    return NONE if row is None else shown(metric(name), row["mean"], row["low"], row["high"])
