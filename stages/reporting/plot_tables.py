"""What the plots draw as long tables, one CSV a kind: `dvc plots show` draws the same from them with our templates."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from stages.comparison.measured import Bench, Training
from stages.core.files import Row, rounded
from stages.core.schema import Summary

PARTS = {"sum": "by the sum", "token": "by the mean per token"}


def costs(training: Mapping[str, Training], benches: Mapping[str, Bench]) -> str:
    """The seed report's four plots: (model, metric, value, low, high), over seeds or percentiles as in the pictures."""
    rows: list[Sequence[Any]] = []
    for model, one in training.items():
        rows.append([model, "training time, s", one.mean_seconds, min(one.seconds), max(one.seconds)])
        rows.append([model, "efficiency", one.efficiency, min(one.efficiencies), max(one.efficiencies)])
        rows.append([model, "final loss (own kind)", one.loss_final, one.loss_final, one.loss_final])
    for model, bench in benches.items():
        speeds = (bench.inferences_per_second, 1000 / bench.p95_ms, 1000 / bench.p50_ms)
        rows.append([model, "inferences/s", bench.inferences_per_second, min(speeds), max(speeds)])
    return written(("model", "metric", "value", "low", "high"), rows)


def cost_quality(seconds: Mapping[str, float | None], methods: Mapping[str, Row]) -> str:
    rows = [
        [model, cost, *(100 * methods[model][f"exact_match{end}"] for end in ("", "_low", "_high"))]
        for model, cost in seconds.items()
        if cost is not None and methods[model]["exact_match"] is not None
    ]
    return written(("model", "seconds", "exact_match", "low", "high"), rows)


def axes(summaries: Mapping[str, Summary]) -> str:
    rows = [
        [panel, axis, model, values[part]]
        for part, panel in PARTS.items()
        for model, summary in summaries.items()
        for axis, values in summary["by_axis"].items()
    ]
    return written(("panel", "x", "y", "share"), rows)


def positions(shares: Mapping[str, Mapping[int, float]]) -> str:
    rows = [[model, place + 1, value] for model, share in shares.items() for place, value in share.items()]
    return written(("model", "position", "accuracy"), rows)


def written(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([rounded(value) for value in row] for row in rows)
    return text.getvalue()
