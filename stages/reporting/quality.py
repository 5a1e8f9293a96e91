"""Tables of quality: what the registry of metrics shows, differences with their verdicts, and the sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stages.comparison.choices import best_at
from stages.core.files import Row
from stages.core.metrics import Metric, as_in_report, in_table
from stages.core.schema import Apart, Differences, Summary, Sweep, SweepPoint
from stages.reporting.tables import (
    METHODS,
    NONE,
    SUMMARY,
    Column,
    Table,
    integer,
    number_interval,
    percent,
    percent_interval,
    points,
    rate,
)

DIFFERENCES, SWEPT = "metrics/differences.json", "metrics/sweep.json"


def shown(one: Metric, value: float | None, low: float | None, high: float | None, decimals: int = 2) -> str:
    """A figure with its interval, in the metric's unit."""
    if one.unit == "share":
        return percent_interval(value, low, high)
    return number_interval(value, low, high, decimals)


def metric_columns(title: str) -> list[Column]:
    """The columns of one of the tables that the registry names."""
    return [Column(place.heading, METHODS, f"<model>.{one.name}[_low, _high]") for place, one in in_table(title)]


def metrics_table(title: str, methods: Mapping[str, Row], decimals: int = 2) -> Table:
    """One of the tables that the registry names, a model a line."""
    metrics = [one for _, one in in_table(title)]
    rows = [
        [
            model,
            *(shown(one, row[one.name], row[f"{one.name}_low"], row[f"{one.name}_high"], decimals) for one in metrics),
        ]
        for model, row in methods.items()
    ]
    return Table(["model", *metric_columns(title)], rows)


CONSTANT_SHARE = 0.9  # of its picks at one position make a model a constant answerer
FORMS = (("mcq_picked", "mcq_accuracy", "option"), ("mcq_letters_picked", "mcq_letters_rotated_accuracy", "letter"))


@dataclass(frozen=True)
class ConstantAnswerer:
    """A model whose multiple-choice accuracy says nothing of what it knows: it picks one option, or one letter."""

    model: str
    picks: str
    position: int
    share: float
    accuracy: float
    baseline: float


def constant_answerers(methods: Mapping[str, Row]) -> list[ConstantAnswerer]:
    return [
        ConstantAnswerer(
            model, word, row[f"{picked}_position"], row[f"{picked}_share"], row[metric], row[f"{picked}_baseline"]
        )
        for model, row in methods.items()
        for picked, metric, word in FORMS
        if row[f"{picked}_share"] is not None and row[f"{picked}_share"] >= CONSTANT_SHARE
    ]


# Overlap with the reference texts: heading, then where in summary.json it stands.
CORPUS = Column("", SUMMARY, "corpus.chrf, .bleu: <level>.mean", listed="(chrF++, BLEU), …")
MEAN = Column("", SUMMARY, "metrics.rouge_l.mean, .rouge_l_raw.mean", listed="ROUGE-L, …")
OVERLAP: tuple[tuple[Column, tuple[str, ...]], ...] = (
    (replace(CORPUS, heading="chrF++, light"), ("corpus", "chrf", "light", "mean")),
    (replace(CORPUS, heading="chrF++, raw"), ("corpus", "chrf", "raw", "mean")),
    (replace(CORPUS, heading="BLEU, light"), ("corpus", "bleu", "light", "mean")),
    (replace(CORPUS, heading="BLEU, raw"), ("corpus", "bleu", "raw", "mean")),
    (replace(MEAN, heading="ROUGE-L, light"), ("metrics", "rouge_l", "mean")),
    (replace(MEAN, heading="ROUGE-L, raw"), ("metrics", "rouge_l_raw", "mean")),
)


def overlap_table(summaries: Mapping[str, Summary]) -> Table | None:
    """chrF++ first and BLEU second, raw and normalised side by side; None where no corpus was scored."""
    if not all(summary.get("corpus") for summary in summaries.values()):
        return None

    def shown(summary: Summary, keys: tuple[str, ...]) -> str:
        value: Any = summary
        for key in keys:
            value = value[key]
        return f"{value:.3f}" if keys[0] == "metrics" else f"{value:.2f}"

    rows = [[model, *(shown(summary, keys) for _, keys in OVERLAP)] for model, summary in summaries.items()]
    return Table(["model", *(column for column, _ in OVERLAP)], rows)


def judged() -> dict[str, str]:
    """{metric: title} of the metrics by which models are ranked, in the order of the report."""
    return {one.name: place.heading.capitalize() for place, one in as_in_report() if one.rank}


MINUS = Column("minus …", DIFFERENCES, "<metric>.<model>.<other>.mean, .low, .high")
AGAINST = Column("against …", DIFFERENCES, "<metric>.<model>.<other>.win, .tie, .loss")


def differences_tables(apart: Differences, order: Sequence[str]) -> dict[str, Table]:
    """Every model minus base, SFT and the controls, by title; a tie says how many prompts would separate it."""
    return _pairwise(apart, order, MINUS, _difference)


def duels_tables(apart: Differences, order: Sequence[str]) -> dict[str, Table]:
    """How often a model's answer wins, ties and loses against another's to the same prompt and seed, by title."""
    return _pairwise(apart, order, AGAINST, _duel)


def _pairwise(
    apart: Differences, order: Sequence[str], column: Column, cell: Callable[[Apart], str]
) -> dict[str, Table]:
    tables = {}
    for name, title in judged().items():
        found = apart.get(name, {})
        others = [other for other in order if any(other in row for row in found.values())]
        if others:
            rows = [
                [model, *(NONE if (one := found[model].get(other)) is None else cell(one) for other in others)]
                for model in order
                if model in found
            ]
            tables[title] = Table(["model", *map(column.named, others)], rows)
    return tables


def _duel(one: Apart) -> str:
    return " / ".join(f"{share * 100:.1f}" for share in (one["win"], one["tie"], one["loss"]))


def _difference(one: Apart) -> str:
    shown = points(one["mean"], one["low"], one["high"])
    if one["separated"]:
        return f"**{shown}**"
    if one["prompts_needed"] is None:
        return f"{shown} tie{' (more seeds)' if one['mean'] else ''}"
    return f"{shown} tie ({one['prompts_needed']:,} prompts)"


GRID = tuple(
    Column(heading, SWEPT, "methods.<model>", listed="workable points, no number")
    for heading in ("workable points", "no number")
)
BEST = tuple(
    Column(heading, SWEPT, "methods.<model>.best", listed="best learning rate, its beta, exact match, behaviour rate")
    for heading in ("best learning rate", "its beta", "exact match", "behaviour rate")
)
AT_RATE = Column("learning rate …", SWEPT, "points[].behaviour_rate, .knowledge_retention, .exact_match")


def sweep_table(sweep: Sweep, order: Sequence[str]) -> Table:
    """Per method: how much of the grid is workable, and its best point."""
    rows = [
        [
            model,
            f"{row['workable']} of {row['points']}",
            integer(row["diverged"]),
            rate(row["best"]["learning_rate"]),
            NONE if row["best"]["beta"] is None else f"{row['best']['beta']:g}",
            percent(row["best"]["exact_match"]),
            percent(row["best"]["behaviour_rate"]),
        ]
        for model in order
        if (row := sweep["methods"].get(model))
    ]
    return Table(["model", *GRID, *BEST], rows)


def same_rates(sweep: Sweep | None) -> Table | None:
    """Methods beside each other at every learning rate that all of them tried; SFT from the base is another task.

    None where they share no rate.
    """
    if sweep is None:
        return None
    points = [point for point in sweep["points"] if point["method"] != "sft"]
    methods = list(dict.fromkeys(point["method"] for point in points))
    tried = [{point["learning_rate"] for point in points if point["method"] == method} for method in methods]
    shared = sorted(set.intersection(*tried)) if len(methods) > 1 else []
    if not shared:
        return None
    best = {value: best_at(sweep, value) for value in shared}

    def cell(point: SweepPoint | None) -> str:
        values = point and (point["behaviour_rate"], point["knowledge_retention"], point["exact_match"])
        return " / ".join(NONE if value is None else f"{value * 100:.1f}" for value in values or (None, None, None))

    rows = [[method, *(cell(best[value].get(method)) for value in shared)] for method in methods]
    return Table(["model", *(AT_RATE.named(rate(value)) for value in shared)], rows)
