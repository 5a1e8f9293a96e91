"""What only the plots show: curves of a training, accuracy by position, the frontier of cost and quality, the sweep.

A file that is not there gives nothing to draw, and its picture is left out; one that is broken is a PipelineError.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Final

from stages.comparison.measured import Training
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import numbered_jsonl
from stages.core.params import KtoMethod, PairMethod, Params
from stages.core.schema import QuestionScore, Sweep, TimedPass
from stages.core.typed_files import read_typed, typed

Curve = list[tuple[int, float]]

MARGIN = "reward_margin_nats"
CHOSEN, REJECTED = "displacement/chosen_nats_per_token", "displacement/rejected_nats_per_token"
SWEPT: Final = ("behaviour_rate", "knowledge_retention")


def train_curve(model: str, name: str) -> Curve:
    """(step, value) points of one metric of the first seed; empty where the method has no such metric."""
    path = paths.train_metrics(model) / "plots" / "metrics" / f"{name}.tsv"
    if not path.exists():
        return []
    column = name.rpartition("/")[2]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [(int(row["step"]), float(row[column])) for row in csv.DictReader(file, delimiter="\t")]
    except (KeyError, TypeError, ValueError) as error:
        raise PipelineError(f"{path}: columns 'step' and {column!r} with numbers were expected ({error!r})") from None


def margin_curves(models: Iterable[str]) -> dict[str, dict[str, Curve]]:
    """{model: {margin, chosen and rejected: curve}} of the models that have all three."""
    found = {model: {name: train_curve(model, name) for name in (MARGIN, CHOSEN, REJECTED)} for model in models}
    return {model: curves for model, curves in found.items() if all(curves.values())}


def accuracy_by_position(models: Iterable[str]) -> dict[str, dict[int, float]]:
    """{model: {position of the right option, from 0: share answered right}}, over all seeds."""
    found: dict[str, dict[int, float]] = {}
    for model in models:
        right: dict[int, list[float]] = defaultdict(list)
        path = paths.eval_metrics(model) / "rows.jsonl"
        for number, row in numbered_jsonl(path):
            if row["kind"] == "mcq":
                score = typed(row, QuestionScore, f"{path}:{number}")
                right[score["answer"]].append(float(score["correct"]))
        if right:
            found[model] = {position: fmean(right[position]) for position in sorted(right)}
    return found


def running_mean(points: Sequence[tuple[int, float]]) -> Curve:
    """Over a tenth of the points, the last of which is the step it stands at; the first ones have fewer before them."""
    window = max(1, len(points) // 10)
    return [
        (step, fmean(value for _, value in points[max(0, place + 1 - window) : place + 1]))
        for place, (step, _) in enumerate(points)
    ]


def seconds_to(
    model: str, params: Params, training: Mapping[str, Training], passes: Sequence[TimedPass]
) -> float | None:
    """Seconds in optimizer steps from the base to this model: its own, its start's, and its reference's.

    None where its start is not among the trained models, whose cost is then unknown; 0 for the base.
    """
    if model == "base":
        return 0.0
    if model not in training:
        return None
    method = params.train[model]
    before = seconds_to(method.init.removeprefix("models/"), params, training, passes)
    if before is None:
        return None
    shared = [one["seconds"] for one in passes if one["start"] == method.init]
    compares = isinstance(method, PairMethod | KtoMethod)  # CPO's loss has no reference; its monitor alone reads one
    reference = fmean(shared) if shared and compares else 0.0
    return before + reference + training[model].mean_seconds


def frontier(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names that no other beats: (cost, quality) with less cost, or as little, and more quality; cheapest first."""
    best, kept = float("-inf"), []
    for name in sorted(points, key=lambda one: (points[one][0], -points[one][1])):
        if points[name][1] > best:
            best = points[name][1]
            kept.append(name)
    return kept


def read_sweep(profile: str) -> Sweep | None:
    """metrics/sweep.json; None where no sweep of this profile has been run."""
    if not paths.SWEEP.exists():
        return None
    sweep = read_typed(paths.SWEEP, Sweep)
    return sweep if sweep["profile"] == profile else None


Cell = tuple[float, float | None]  # learning rate and beta, which SFT has not


def used(params: Params) -> dict[str, Cell]:
    """{method: the learning rate and beta that params.yaml gives it}."""
    return {
        model: (rate, getattr(params.train[model], "beta", None)) for model, rate in params.active.learning_rate.items()
    }


def sweep_grid(sweep: Sweep | None) -> dict[str, dict[Cell, dict[str, float]]]:
    """{method: {(learning rate, beta): {metric: mean over seeds}}}; a metric without a value is not there."""
    values: dict[str, dict[Cell, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for point in sweep["points"] if sweep else ():
        for metric in SWEPT:
            if (value := point[metric]) is not None:
                values[point["method"]][point["learning_rate"], point["beta"]][metric].append(value)
    return {
        method: {cell: {metric: fmean(found) for metric, found in metrics.items()} for cell, metrics in cells.items()}
        for method, cells in values.items()
    }
