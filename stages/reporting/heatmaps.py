"""Heat maps: preference accuracy by axis, and how a method bears other learning rates and betas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from stages.core.schema import Summary
from stages.reporting.plot_data import SWEPT, Cell
from stages.reporting.plot_style import HEAT, STYLE, panels, save
from stages.reporting.tables import rate

COLUMNS = 3  # methods beside each other: a picture of this width is read on a phone and on paper
DARK = 0.47  # of the scale: above it black has the higher contrast on cividis, below it white


def heat(
    axes: Any,
    values: Sequence[Sequence[float | None]],
    rows: Sequence[str],
    columns: Sequence[str],
    rotation: int = 35,
) -> Any:
    """Shares 0..1 as colours with the per cent in each cell; a missing value is an empty cell."""
    grid = np.array([[np.nan if value is None else value for value in line] for line in values], dtype=float)
    image = axes.imshow(grid, cmap=HEAT, vmin=0, vmax=1, aspect="auto")
    for y, line in enumerate(grid):
        for x, value in enumerate(line):
            if not np.isnan(value):
                ink = "black" if value > DARK else "white"
                axes.text(x, y, f"{value * 100:.0f}", ha="center", va="center", color=ink, fontsize=8)
    axes.set_xticks(range(len(columns)), columns, rotation=rotation, ha="right" if rotation else "center")
    axes.set_yticks(range(len(rows)), rows)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return image


def preference_axes(path: Path, summaries: Mapping[str, Summary]) -> None:
    """Models in rows, axes in columns; above by the sum of the log-probabilities, below by their mean per token."""
    names = sorted(next(iter(summaries.values()))["by_axis"])
    with plt.rc_context(STYLE):
        size = (max(6.0, 2.6 + 0.55 * len(names)), 2.6 + 0.62 * len(summaries))
        figure, (upper, lower) = plt.subplots(2, 1, figsize=size, sharex=True)
        for axes, part, title in ((upper, "sum", "by the sum"), (lower, "token", "by the mean per token")):
            values = [[summary["by_axis"][name][part] for name in names] for summary in summaries.values()]
            image = heat(axes, values, list(summaries), [name.replace("_", " ") for name in names])
            axes.set_title(f"Preferred answer more probable, {title}, %", loc="left")
        figure.colorbar(image, ax=[upper, lower], label="share of pairs", shrink=0.6)
        save(figure, path)


def robustness(path: Path, grids: Mapping[str, Mapping[Cell, Mapping[str, float]]], used: Mapping[str, Cell]) -> None:
    """For each method two heat maps, one below the other: learning rates in rows, betas in columns; used is framed."""
    with plt.rc_context(STYLE):
        columns = min(COLUMNS, len(grids))
        figure, flat = panels(len(SWEPT) * columns * -(-len(grids) // columns), columns, 2.7, 2.2)
        for axes in flat:
            axes.set_visible(False)
        for place, (method, cells) in enumerate(grids.items()):
            rates = sorted({value for value, _ in cells})
            betas = sorted({beta for _, beta in cells}, key=lambda beta: -1 if beta is None else beta)
            for line, metric in enumerate(SWEPT):
                axes = flat[(place // columns * len(SWEPT) + line) * columns + place % columns]
                axes.set_visible(True)
                values = [[cells.get((value, beta), {}).get(metric) for beta in betas] for value in rates]
                names = ["no beta" if beta is None else f"{beta:g}" for beta in betas]
                image = heat(axes, values, [rate(value) for value in rates], names, rotation=0)
                if (setting := used.get(method)) in cells and setting is not None:
                    corner = (betas.index(setting[1]) - 0.5, rates.index(setting[0]) - 0.5)
                    axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="black", linewidth=2.5, clip_on=False))
                axes.set_title(f"{method}: {metric.split('_')[0]}, %", loc="left", fontsize=9)
                axes.set_ylabel("" if place % columns else "learning rate")
                axes.set_xlabel("beta" if line and betas != [None] else "")
        figure.colorbar(image, ax=flat, label="share (above 1 as 1)", shrink=0.5)
        save(figure, path)
