"""The report's plots: one fixed colour a model, no timestamps or versions in the files, labels in English."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from stages.files import Row
from stages.reporting.inputs import Bench, Training
from stages.reporting.tables import significant

# Okabe and Ito 2008: distinguishable with every common form of colour blindness. Their yellow vanishes as a line on
# white; grey takes its place.
OKABE_ITO = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2", "#D55E00", "#999999")
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same picture on every machine
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 120,
}
Interval = tuple[float, float, float]  # value, low, high


def colours(models: Sequence[str]) -> dict[str, str]:
    """A model's colour in every plot, by its place in params.yaml: models."""
    return {model: OKABE_ITO[index % len(OKABE_ITO)] for index, model in enumerate(models)}


def save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)


def spread(values: Sequence[float]) -> Interval:
    return sum(values) / len(values), min(values), max(values)


def bars(path: Path, values: Mapping[str, Interval], palette: Mapping[str, str], title: str, label: str) -> None:
    """Horizontal bars from 0, one a model, with whiskers from low to high and the figure beside each."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.5, 0.9 + 0.45 * len(values)))
        for name, (value, low, high) in values.items():
            axes.barh(name, value, color=palette[name], edgecolor="black", linewidth=0.6, height=0.65)
            if high > low:
                axes.errorbar(value, name, xerr=[[value - low], [high - value]], color="black", capsize=3, linewidth=1)
            axes.annotate(
                significant(value), (high, name), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9
            )
        axes.invert_yaxis()
        axes.set_xlim(0, max(high for _, _, high in values.values()) * 1.15)
        axes.set_xlabel(label)
        axes.set_title(title, loc="left")
        axes.grid(axis="x", alpha=0.3)
        save(figure, path)


def training_time(path: Path, training: Mapping[str, Training], palette: Mapping[str, str]) -> None:
    values = {model: spread(one.seconds) for model, one in training.items()}
    bars(path, values, palette, "Training time", "seconds in optimizer steps, mean over seeds (whiskers: min and max)")


def efficiency(path: Path, training: Mapping[str, Training], palette: Mapping[str, str]) -> None:
    values = {model: (one.efficiency, min(one.efficiencies), max(one.efficiencies)) for model, one in training.items()}
    label = "samples x epochs / seconds (a pair is one sample)"
    bars(path, values, palette, "Training efficiency, by the seed report's definition", label)


def inference_throughput(path: Path, benches: Mapping[str, Bench], palette: Mapping[str, str]) -> None:
    values = {
        model: (one.inferences_per_second, 1000 / one.p95_ms, max(one.inferences_per_second, 1000 / one.p50_ms))
        for model, one in benches.items()
    }
    values = {model: (value, min(low, value), high) for model, (value, low, high) in values.items()}
    label = "forward passes of one prompt per second (whiskers: 1 / p95 and 1 / median)"
    bars(path, values, palette, "Inference throughput", label)


def final_loss(
    path: Path, training: Mapping[str, Training], losses: Mapping[str, str], palette: Mapping[str, str]
) -> None:
    """First and final loss in one panel for each kind of loss: across panels the axes are different quantities."""
    kinds = list(dict.fromkeys(losses[model] for model in training))
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(1, len(kinds), figsize=(max(4.0, 2.3 * len(kinds)), 3.4), squeeze=False)
        for axes, kind in zip(grid[0], kinds, strict=True):
            names = [model for model in training if losses[model] == kind]
            for place, name in enumerate(names):
                one = training[name]
                axes.plot([place, place], [one.loss_first, one.loss_final], color=palette[name], linewidth=1.5)
                axes.plot(place, one.loss_first, "o", mfc="white", mec=palette[name], markersize=7)
                axes.plot(place, one.loss_final, "o", color=palette[name], markersize=7)
                axes.annotate(
                    significant(one.loss_final),
                    (place, one.loss_final),
                    xytext=(7, -3),
                    textcoords="offset points",
                    fontsize=8,
                )
            axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
            axes.set_xlim(-0.6, len(names) - 0.2)
            axes.set_ylim(0, max(max(training[n].loss_first, training[n].loss_final) for n in names) * 1.12)
            axes.set_title(f"{kind.upper()} loss")
            axes.grid(axis="y", alpha=0.3)
        grid[0][0].set_ylabel("loss")
        title = "First (open) and final (filled) loss: different quantities, not comparable across panels"
        figure.suptitle(title, fontsize=10)
        save(figure, path)


def quality(path: Path, methods: Mapping[str, Row], palette: Mapping[str, str]) -> None:
    """The headline pair and their joint measure, with intervals."""
    panels = {
        "behaviour_rate": "Behaviour rate",
        "knowledge_retention": "Knowledge retention",
        "exact_match": "Exact match",
    }
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(1, len(panels), figsize=(10, 0.9 + 0.42 * len(methods)), sharey=True)
        for axes, (metric, title) in zip(grid, panels.items(), strict=True):
            for place, (name, row) in enumerate(methods.items()):
                value, low, high = (row[key] for key in (metric, f"{metric}_low", f"{metric}_high"))
                if value is None or low is None or high is None:
                    continue
                axes.plot([low * 100, high * 100], [place, place], color=palette[name], linewidth=2.5)
                axes.plot(value * 100, place, "o", color=palette[name], mec="black", markersize=7, clip_on=False)
            axes.set_yticks(range(len(methods)), list(methods))
            axes.set_title(title, loc="left")
            axes.set_xlabel("% of sft's" if metric == "knowledge_retention" else "% of prompts")
            axes.set_xlim(left=0)
            axes.grid(alpha=0.3)
        grid[0].set_ylim(len(methods) - 0.5, -0.5)
        save(figure, path)


def learning_curves(
    path: Path, curves: Mapping[str, Sequence[tuple[int, float]]], losses: Mapping[str, str], palette: Mapping[str, str]
) -> None:
    """One panel a model, each with its own axis, since only models of one loss could share it."""
    columns = min(4, len(curves))
    lines = -(-len(curves) // columns)
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(lines, columns, figsize=(2.8 * columns, 2.4 * lines), squeeze=False)
        for axes in grid.flat:
            axes.set_visible(False)
        for axes, (name, points) in zip(grid.flat, curves.items(), strict=False):
            axes.set_visible(True)
            axes.plot(*zip(*points, strict=True), color=palette[name], linewidth=1.6)
            axes.set_ylim(bottom=min(0.0, min(loss for _, loss in points)))
            axes.set_title(f"{name} ({losses[name].upper()} loss)", loc="left")
            axes.set_xlabel("step")
            axes.grid(alpha=0.3)
        save(figure, path)


Draw = Callable[[Path], None]


def drawings(
    models: Sequence[str],
    methods: Mapping[str, Row],
    training: Mapping[str, Training],
    benches: Mapping[str, Bench],
    curves: Mapping[str, Sequence[tuple[int, float]]],
    losses: Mapping[str, str],
) -> dict[str, Draw]:
    """{file name: what draws it}; ``losses`` maps a model to the kind of its loss. Training plots need a training."""
    palette = colours(models)
    found: dict[str, Draw] = {
        "quality.png": lambda path: quality(path, methods, palette),
        "inference_throughput.png": lambda path: inference_throughput(path, benches, palette),
    }
    if training:
        found |= {
            "training_time.png": lambda path: training_time(path, training, palette),
            "final_loss.png": lambda path: final_loss(path, training, losses, palette),
            "efficiency.png": lambda path: efficiency(path, training, palette),
            "learning_curves.png": lambda path: learning_curves(path, curves, losses, palette),
        }
    return found
