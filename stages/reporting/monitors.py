"""The table of what each training did beside lowering its loss; `stages.comparison.side_effects` judges the same."""

from __future__ import annotations

from collections.abc import Mapping

from stages.comparison.paired_scores import REFERENCE
from stages.comparison.side_effects import Effect, Watched
from stages.core.params import Params
from stages.reporting import tables
from stages.reporting.tables import NONE, ROWS, TRAIN, Column, Table, spread
from stages.reporting.templates import points

WATCHED = tuple(
    Column(heading, TRAIN, "displacement", listed="chosen, …, rejected, …, margin, nats, reward accuracy")
    for heading in ("chosen, nats per token", "rejected, nats per token", "margin, nats", "reward accuracy")
)
EFFECTS = tuple(
    Column(
        heading,
        ROWS,
        "tokens, repeated, hedged, stopped",
        listed="length over …, repeats, …, hedges, …, stops …",
    )
    for heading in (f"length over `{REFERENCE}`, %", "repeats, points", "hedges, points", "stops by itself, points")
)
MONITORS = (*WATCHED, *EFFECTS)


def monitors_table(params: Params, watched: Mapping[str, Watched], effects: Mapping[str, Effect]) -> Table:
    """A row for each preference method, and for each control what can be said of its answers."""
    rows = []
    for model in params.models[1:]:
        if model in watched or model in effects:
            rows.append([model, *_watched(watched.get(model)), *_effects(effects.get(model))])
    return Table(["model", *MONITORS], rows)


def _watched(one: Watched | None) -> list[str]:
    if one is None:
        return [NONE] * len(WATCHED)
    return [spread(getattr(one, name)) for name in Watched.__dataclass_fields__]


def _effects(one: Effect | None) -> list[str]:
    if one is None:
        return [NONE] * len(EFFECTS)
    length = one.length
    longer = tables.points(length.mean - 1, length.low - 1, length.high - 1) if length else NONE
    return [longer, points(one.repeated), points(one.hedged), points(one.stopped)]
