"""What all plots share: one colour and one marker a model, one style, and files without timestamps or versions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

# Okabe and Ito, "Color Universal Design" (2008, https://jfly.uni-koeln.de/color/): distinguishable with every common
# form of colour blindness. Their yellow vanishes as a line on white; grey takes its place.
OKABE_ITO = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2", "#D55E00", "#999999")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")  # a second sign beside the colour, for print in grey
# Nunez, Anderton and Renslow 2018 (https://doi.org/10.1371/journal.pone.0199239): one order of lightness, the same
# with and without a colour vision deficiency.
HEAT = "cividis"
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


def colours(models: Sequence[str]) -> dict[str, str]:
    """A model's colour in every plot, by its place in params.yaml: models."""
    return {model: OKABE_ITO[index % len(OKABE_ITO)] for index, model in enumerate(models)}


def markers(models: Sequence[str]) -> dict[str, str]:
    """A model's marker in every plot, by the same place."""
    return {model: MARKERS[index % len(MARKERS)] for index, model in enumerate(models)}


def save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)


def panels(count: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """A figure and ``count`` axes in rows of at most ``columns``; ``width`` and ``height`` of a panel in inches."""
    columns = min(columns, count)
    lines = -(-count // columns)
    figure, grid = plt.subplots(lines, columns, figsize=(width * columns, height * lines), squeeze=False)
    for axes in list(grid.flat)[count:]:
        axes.set_visible(False)
    return figure, list(grid.flat)[:count]
