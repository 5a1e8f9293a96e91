"""Tables of quality: the headline, what is measured beside it, differences with their verdicts, and the sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stages.core.files import Row
from stages.core.metrics import QUALITY, TABLES, Metric, as_in_report, in_table, metric
from stages.reporting.tables import NONE, integer, number_interval, percent, percent_interval, points, rate, table


def shown(metric: Metric, value: float | None, low: float | None, high: float | None, decimals: int = 2) -> str:
    """A figure with its interval, in the metric's unit."""
    if metric.unit == "share":
        return percent_interval(value, low, high)
    return number_interval(value, low, high, decimals)


def metrics_table(title: str, methods: Mapping[str, Row], decimals: int = 2) -> str:
    """One of the tables that the registry names, a model a line."""
    columns = in_table(title)
    rows = [
        [
            model,
            *(
                shown(one, row[one.name], row[f"{one.name}_low"], row[f"{one.name}_high"], decimals)
                for _, one in columns
            ),
        ]
        for model, row in methods.items()
    ]
    return table(["model", *(column.heading for column, _ in columns)], rows)


def headline(methods: Mapping[str, Row]) -> str:
    return "\n\n".join([metrics_table(QUALITY, methods, decimals=1), *constant_answerers(methods)])


CONSTANT_SHARE = 0.9  # of its picks at one position make a model a constant answerer
FORMS = (("mcq_picked", "mcq_accuracy", "option"), ("mcq_letters_picked", "mcq_letters_rotated_accuracy", "letter"))


def constant_answerers(methods: Mapping[str, Row]) -> list[str]:
    """A sentence for every model whose multiple-choice accuracy says nothing of what it knows."""
    return [
        f"**`{model}` is a constant answerer**: it picks {word} {row[f'{picked}_position']} in "
        f"{percent(row[f'{picked}_share'])} of the multiple-choice questions, and its accuracy of "
        f"{percent(row[metric])} is to be read beside the {percent(row[f'{picked}_baseline'])} of picking nothing else."
        for model, row in methods.items()
        for picked, metric, word in FORMS
        if row[f"{picked}_share"] is not None and row[f"{picked}_share"] >= CONSTANT_SHARE
    ]


def further(methods: Mapping[str, Row]) -> str:
    """The registry's other tables: what is measured beside the headline."""
    parts = []
    for title in TABLES:
        if title != QUALITY:
            parts += [f"### {title}", metrics_table(title, methods)]
    return "\n\n".join(parts)


# Overlap with the reference texts: heading, then where in summary.json it stands.
OVERLAP: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("chrF++, light", ("corpus", "chrf", "light", "mean")),
    ("chrF++, raw", ("corpus", "chrf", "raw", "mean")),
    ("BLEU, light", ("corpus", "bleu", "light", "mean")),
    ("BLEU, raw", ("corpus", "bleu", "raw", "mean")),
    ("ROUGE-L, light", ("metrics", "rouge_l", "mean")),
    ("ROUGE-L, raw", ("metrics", "rouge_l_raw", "mean")),
)


def overlap_table(summaries: Mapping[str, Row]) -> str:
    """chrF++ first and BLEU second, raw and normalised side by side; nothing where no corpus was scored."""
    if not all(summary.get("corpus") for summary in summaries.values()):
        return ""

    def shown(summary: Row, keys: tuple[str, ...]) -> str:
        value = summary
        for key in keys:
            value = value[key]
        return f"{value:.3f}" if keys[0] == "metrics" else f"{value:.2f}"

    rows = [[model, *(shown(summary, keys) for _, keys in OVERLAP)] for model, summary in summaries.items()]
    return "\n\n".join(
        [
            table(["model", *(heading for heading, _ in OVERLAP)], rows),
            "Of all answers as one corpus for chrF++ and BLEU, the mean over answers for ROUGE-L; means over seeds. "
            "*Raw* is the text as it stands, *light* that without diacritics, tatweel and the variants of letters that "
            "readers do not tell apart. The signatures stand at the end of this page.",
        ]
    )


def own_sets(summaries: Mapping[str, Row]) -> str:
    """The test files that the user named in params.yaml, one table each: whatever their rows could be scored by."""
    parts = []
    for name in next(iter(summaries.values())).get("own", {}):
        found = {model: summary["own"][name]["metrics"] for model, summary in summaries.items()}
        metrics = list(dict.fromkeys(metric for row in found.values() for metric in row))
        rows = [[model, *(_own_cell(metric, row.get(metric)) for metric in metrics)] for model, row in found.items()]
        count = next(iter(summaries.values()))["own"][name]["n"]
        parts += [f"### `{name}` ({count:,} rows)", table(["model", *metrics], rows)]
    return "\n\n".join(parts)


def _own_cell(name: str, row: Row | None) -> str:
    if row is None:
        return NONE
    return shown(metric(name), row["mean"], row["low"], row["high"])


def judged() -> dict[str, str]:
    """{metric: title} of the metrics by which models are ranked, in the order of the report."""
    return {one.name: column.heading.capitalize() for column, one in as_in_report() if one.rank}


def differences_tables(apart: Mapping[str, Row], order: Sequence[str]) -> str:
    """Every model minus base, SFT and the controls; what is not separated says how many prompts would do it."""
    parts = [
        "In points, with intervals over prompts and seeds. **Bold**: separated, its p-value adjusted by Holm's method "
        "for all pairs of models. *Tie*: not separated; in parentheses the prompts that would separate a difference of "
        "this size in four of five experiments, at the spread that was seen, or *more seeds* where the seeds spread so "
        "much that no number of prompts would."
    ]
    for name, title in judged().items():
        found = apart.get(name, {})
        others = [name for name in order if any(name in row for row in found.values())]
        rows = [
            [model, *(_difference(found[model].get(other)) for other in others)] for model in order if model in found
        ]
        parts += [f"**{title}**", table(["model", *(f"minus {other}" for other in others)], rows)] if rows else []
    return "\n\n".join(parts)


def duels_table(apart: Mapping[str, Row], order: Sequence[str]) -> str:
    """How often a model's answer wins, ties and loses against another's to the same prompt and seed, where a rule
    decides; nothing where `compare` has not counted it.
    """
    parts = []
    for name, title in judged().items():
        found = apart.get(name, {})
        others = [name for name in order if any("win" in row.get(name, ()) for row in found.values())]
        if others:
            rows = [[model, *(_duel(found[model].get(other)) for other in others)] for model in order if model in found]
            parts += [f"**{title}**", table(["model", *(f"against {other}" for other in others)], rows)]
    if not parts:
        return ""
    return "\n\n".join(["Win / tie / loss, in percent of the answers to one prompt, seed against seed.", *parts])


def _duel(one: Row | None) -> str:
    return NONE if one is None else " / ".join(f"{one[name] * 100:.1f}" for name in ("win", "tie", "loss"))


def _difference(one: Row | None) -> str:
    if one is None:
        return NONE
    shown = points(one["mean"], one["low"], one["high"])
    if one["separated"]:
        return f"**{shown}**"
    if one["prompts_needed"] is None:
        return f"{shown} tie{' (more seeds)' if one['mean'] else ''}"
    return f"{shown} tie ({one['prompts_needed']:,} prompts)"


def sweep_table(sweep: Row, order: Sequence[str]) -> str:
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
    header = [
        "model",
        "workable points",
        "no number",
        "best learning rate",
        "its beta",
        "exact match",
        "behaviour rate",
    ]
    fixed, kept = sweep["rules"]["fixed_share"], sweep["rules"]["kept_share"]
    return (
        table(header, rows)
        + f"\n\nOn {sweep['prompts']} validation prompts, seed {sweep['seed']}; the test prompts were not looked at. A "
        f"point is workable where at least {fixed} of the flawed answers of sft are mended and at least {kept} of its "
        "contained facts are there. Best: the highest exact match."
    )


def best_at(sweep: Row, learning_rate: float) -> dict[str, Row]:
    """{method: its point of the highest exact match at one learning rate}; a method that was not tried there is not."""
    found: dict[str, Row] = {}
    for point in sweep.get("points", ()):
        if point["learning_rate"] != learning_rate or point["exact_match"] is None:
            continue
        method = point["method"]
        if method not in found or point["exact_match"] > found[method]["exact_match"]:
            found[method] = point
    return found


def same_rates(sweep: Row) -> str:
    """Methods beside each other at every learning rate that all of them tried; SFT from the base is another task."""
    points = [point for point in sweep.get("points", ()) if point["method"] != "sft"]
    methods = list(dict.fromkeys(point["method"] for point in points))
    tried = [{point["learning_rate"] for point in points if point["method"] == method} for method in methods]
    shared = sorted(set.intersection(*tried)) if len(methods) > 1 else []
    if not shared:
        return ""
    best = {value: best_at(sweep, value) for value in shared}
    metrics = ("behaviour_rate", "knowledge_retention", "exact_match")

    def cell(point: Row | None) -> str:
        values = [None if point is None else point[metric] for metric in metrics]
        return " / ".join(NONE if value is None else f"{value * 100:.1f}" for value in values)

    rows = [[method, *(cell(best[value].get(method)) for value in shared)] for method in methods]
    return "\n\n".join(
        [
            "**At the same learning rate**: behaviour rate / knowledge retention / exact match, in percent, at the "
            "beta of the highest exact match, on the same prompts and seed as above. Down a column the losses differ "
            "and the rate does not; along a row it is the other way round.",
            table(["model", *(f"learning rate {rate(value)}" for value in shared)], rows),
        ]
    )
