"""Heat maps: preference accuracy by axis, and how a method bears other learning rates and betas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt

from stages.files import Row
from stages.reporting.canvas import HEAT, STYLE, panels, save
from stages.reporting.plot_data import SWEPT, Cell

DARK = 0.47  # of the scale: above it black has the higher contrast on cividis, below it white


def heat(axes: Any, values: Sequence[Sequence[float | None]], rows: Sequence[str], columns: Sequence[str]) -> Any:
    """Shares 0..1 as colours with the per cent in each cell; a missing value is an empty cell."""
    grid = np.array([[np.nan if value is None else value for value in line] for line in values], dtype=float)
    image = axes.imshow(grid, cmap=HEAT, vmin=0, vmax=1, aspect="auto")
    for y, line in enumerate(grid):
        for x, value in enumerate(line):
            if not np.isnan(value):
                ink = "black" if value > DARK else "white"
                axes.text(x, y, f"{value * 100:.0f}", ha="center", va="center", color=ink, fontsize=8)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return image


def preference_axes(path: Path, summaries: Mapping[str, Row]) -> None:
    """Models in rows, axes in columns; left by the sum of the log-probabilities, right by their mean per token."""
    names = sorted(next(iter(summaries.values()))["by_axis"])
    with plt.rc_context(STYLE):
        size = (max(9.0, 2.4 + 0.95 * len(names)), 1.8 + 0.34 * len(summaries))
        figure, (left, right) = plt.subplots(1, 2, figsize=size, sharey=True)
        for axes, part, title in ((left, "sum", "by the sum"), (right, "token", "by the mean per token")):
            values = [[summary["by_axis"][name][part] for name in names] for summary in summaries.values()]
            image = heat(axes, values, list(summaries), names)
            axes.set_title(f"Preferred answer more probable, {title}, %", loc="left")
        figure.colorbar(image, ax=[left, right], label="share of pairs", shrink=0.9)
        save(figure, path)


def robustness(path: Path, grids: Mapping[str, Mapping[Cell, Mapping[str, float]]]) -> None:
    """A column of two heat maps a method: learning rates in rows, betas in columns."""
    with plt.rc_context(STYLE):
        figure, flat = panels(2 * len(grids), len(grids), 2.6, 2.2)
        for place, (method, cells) in enumerate(grids.items()):
            rates = sorted({rate for rate, _ in cells})
            betas = sorted({beta for _, beta in cells}, key=lambda beta: -1 if beta is None else beta)
            for line, metric in enumerate(SWEPT):
                axes = flat[line * len(grids) + place]
                values = [[cells.get((rate, beta), {}).get(metric) for beta in betas] for rate in rates]
                columns = ["no beta" if beta is None else f"{beta:g}" for beta in betas]
                image = heat(axes, values, [f"{rate:g}" for rate in rates], columns)
                axes.set_title("" if line else method, loc="left")
                axes.set_ylabel("" if place else f"{metric.replace('_', ' ')}, %\nlearning rate")
                axes.set_xlabel("beta" if line else "")
        figure.colorbar(image, ax=flat, label="share, mean over seeds (above 1 as 1)", shrink=0.8)
        save(figure, path)
