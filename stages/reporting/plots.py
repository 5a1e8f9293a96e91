"""The report's plots of quality, cost and training; names in Arabic are shaped and set right-to-left by matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

from stages.comparison.measured import Bench, Training
from stages.core.files import Row
from stages.core.params import Params
from stages.core.schema import Summary, TimedPass
from stages.reporting.heatmaps import preference_axes, robustness
from stages.reporting.plot_data import CHOSEN, MARGIN, REJECTED, Cell, Curve, frontier, running_mean, seconds_to, used
from stages.reporting.plot_style import STYLE, colours, markers, panels, save
from stages.reporting.tables import significant

Interval = tuple[float, float, float]  # value, low, high


@dataclass(frozen=True)
class Material:
    """What is drawn: by model, the base not among the trainings; empty where nothing was measured."""

    params: Params
    methods: Mapping[str, Row]
    summaries: Mapping[str, Summary]
    training: Mapping[str, Training]
    benches: Mapping[str, Bench]
    references: Sequence[TimedPass]
    curves: Mapping[str, Curve]
    margins: Mapping[str, Mapping[str, Curve]]
    positions: Mapping[str, Mapping[int, float]]
    sweep: Mapping[str, Mapping[Cell, Mapping[str, float]]]


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


def quality(path: Path, methods: Mapping[str, Row], palette: Mapping[str, str], signs: Mapping[str, str]) -> None:
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
                axes.plot(
                    value * 100, place, signs[name], color=palette[name], mec="black", markersize=7, clip_on=False
                )
            axes.set_yticks(range(len(methods)), list(methods))
            axes.set_title(title, loc="left")
            axes.set_xlabel("% of sft's" if metric == "knowledge_retention" else "% of prompts")
            axes.set_xlim(left=0)
            axes.grid(alpha=0.3)
        grid[0].set_ylim(len(methods) - 0.5, -0.5)
        save(figure, path)


def smoothed(axes: Any, points: Sequence[tuple[int, float]], colour: str, **style: Any) -> None:
    """The values of single steps, thin, under their running mean: one batch says little."""
    axes.plot(*zip(*points, strict=True), color=colour, linewidth=0.7, alpha=0.35)
    axes.plot(*zip(*running_mean(points), strict=True), color=colour, linewidth=1.8, **style)


def learning_curves(
    path: Path, curves: Mapping[str, Sequence[tuple[int, float]]], losses: Mapping[str, str], palette: Mapping[str, str]
) -> None:
    """One panel a model, each with its own axis, since only models of one loss could share it."""
    with plt.rc_context(STYLE):
        figure, flat = panels(len(curves), 4, 2.8, 2.4)
        for axes, (name, points) in zip(flat, curves.items(), strict=True):
            smoothed(axes, points, palette[name])
            axes.set_ylim(bottom=min(0.0, min(loss for _, loss in points)))
            axes.set_title(f"{name} ({losses[name].upper()} loss)", loc="left")
            axes.set_xlabel("step")
            axes.grid(alpha=0.3)
        save(figure, path)


def cost_quality(path: Path, found: Material, palette: Mapping[str, str], signs: Mapping[str, str]) -> None:
    """Seconds that led to a model against two measures of quality; the frontier is what nothing else beats.

    The base costs nothing here and would squeeze all others into a corner: its value stands in the title.
    """
    measures = {
        "Exact match": {name: row["exact_match"] for name, row in found.methods.items()},
        "Behaviour rate x knowledge retention": {
            name: None if row["knowledge_retention"] is None else row["behaviour_rate"] * row["knowledge_retention"]
            for name, row in found.methods.items()
        },
    }
    measures = {
        title: values for title, values in measures.items() if any(value is not None for value in values.values())
    }
    seconds = {name: seconds_to(name, found.params, found.training, found.references) for name in found.training}
    with plt.rc_context(STYLE):
        figure, flat = panels(len(measures), 2, 4.6, 4.2)
        for axes, (title, values) in zip(flat, measures.items(), strict=True):
            points = {
                name: (cost, 100 * value)
                for name, cost in seconds.items()
                if cost is not None and (value := values[name]) is not None
            }
            best = frontier(points)
            axes.step(*zip(*(points[name] for name in best), strict=True), where="post", color="#555555", zorder=1)
            for name, (cost, value) in points.items():
                row = found.methods[name]
                low, high = row["exact_match_low"], row["exact_match_high"]
                if title == "Exact match" and low is not None and high is not None:
                    axes.plot([cost, cost], [100 * low, 100 * high], color=palette[name], linewidth=1.2, alpha=0.7)
                style = {"color": palette[name], "marker": signs[name], "edgecolors": "black"}
                axes.scatter(cost, value, s=110 if name in best else 55, label=name, zorder=2, **style)
            base = values["base"]
            axes.set_title(title + ("" if base is None else f"\n(base: 0 s, {100 * base:.1f} %)"), loc="left")
            axes.set_xlabel("seconds in optimizer steps, start and reference included")
            axes.set_ylabel("%")
            axes.grid(alpha=0.3)
        figure.legend(*flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
        save(figure, path)


def margins(
    path: Path, curves: Mapping[str, Mapping[str, Curve]], palette: Mapping[str, str], signs: Mapping[str, str]
) -> None:
    """All margins in the first panel; then, method by method, where chosen and rejected answers went."""
    with plt.rc_context(STYLE):
        figure, (together, *flat) = panels(1 + len(curves), 3, 3.5, 2.7)
        for name, of in curves.items():
            every = max(1, len(of[MARGIN]) // 6)
            line = {"color": palette[name], "marker": signs[name], "markevery": every, "markersize": 4}
            together.plot(*zip(*running_mean(of[MARGIN]), strict=True), label=name, **line)
        together.set_title("Reward margin, nats (running mean)", loc="left")
        together.legend(fontsize=8)
        for axes, (name, of) in zip(flat, curves.items(), strict=True):
            smoothed(axes, of[CHOSEN], palette[name], label="chosen")
            smoothed(axes, of[REJECTED], palette[name], label="rejected", linestyle="--")
            axes.set_title(f"{name}: moved, nats per token", loc="left")
            axes.legend(fontsize=8)
        moved = [value for of in curves.values() for name in (CHOSEN, REJECTED) for _, value in of[name]]
        room = 0.05 * (max(moved) - min(moved)) or 1.0
        for axes in flat:
            axes.set_ylim(min(moved) - room, max(moved) + room)  # one scale: who moved further is seen at once
        for axes in (together, *flat):
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_xlabel("step")
            axes.grid(alpha=0.3)
        save(figure, path)


def positions(
    path: Path, shares: Mapping[str, Mapping[int, float]], palette: Mapping[str, str], signs: Mapping[str, str]
) -> None:
    """A line a model over the positions of the right option."""
    places = sorted({place for share in shares.values() for place in share})
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.5, 4.2))
        for name, share in shares.items():
            heights = [100 * share[place] for place in share]
            axes.plot(list(share), heights, color=palette[name], marker=signs[name], linewidth=1.4, label=name)
        axes.axhline(100 / len(places), color="black", linewidth=0.8, linestyle=":", label="chance")
        axes.set_xticks(places, [f"option {place + 1}" for place in places])
        axes.set_ylim(bottom=0)
        axes.set_ylabel("right, % of questions")
        axes.set_title("Accuracy by the position of the right option", loc="left")
        axes.grid(axis="y", alpha=0.3)
        axes.legend(fontsize=8, ncols=2, loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(figure, path)


Draw = Callable[[Path], None]


def drawings(found: Material) -> dict[str, Draw]:
    """{file name: what draws it}, of the plots for which something was measured."""
    names = found.params.models
    palette, signs = colours(names), markers(names)
    losses = {model: found.params.train[model].method for model in found.training}
    drawn: dict[str, Draw] = {
        "quality.png": lambda path: quality(path, found.methods, palette, signs),
        "inference_throughput.png": lambda path: inference_throughput(path, found.benches, palette),
    }
    if any(summary["by_axis"] for summary in found.summaries.values()):
        drawn["preference_axes.png"] = lambda path: preference_axes(path, found.summaries)
    if found.training and any(row["exact_match"] is not None for row in found.methods.values()):
        drawn["cost_quality.png"] = lambda path: cost_quality(path, found, palette, signs)
    if found.training:
        drawn |= {
            "training_time.png": lambda path: training_time(path, found.training, palette),
            "final_loss.png": lambda path: final_loss(path, found.training, losses, palette),
            "efficiency.png": lambda path: efficiency(path, found.training, palette),
            "learning_curves.png": lambda path: learning_curves(path, found.curves, losses, palette),
        }
    if found.margins:
        drawn["margins.png"] = lambda path: margins(path, found.margins, palette, signs)
    if found.positions:
        drawn["positions.png"] = lambda path: positions(path, found.positions, palette, signs)
    if found.sweep:
        drawn["robustness.png"] = lambda path: robustness(path, found.sweep, used(found.params))
    return drawn
