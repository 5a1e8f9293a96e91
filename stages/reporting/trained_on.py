"""What a model learned from, source by source with its licences, and the licence of its card that follows."""

from __future__ import annotations

from dataclasses import dataclass

from stages.core.licences import OURS, Verdict, licence_of_base, verdict
from stages.core.params import Base, HubBase, LocalBase, Params
from stages.core.schema import Trained
from stages.reporting.tables import Column, Table, integer

ROWS = Column("rows", "metrics/data.json", "trained.<kind>[].rows")


@dataclass(frozen=True)
class Taught:
    """Rows of one source, licence and kind, in the train split."""

    kind: str
    source: str
    licence: str
    rows: int


def taught(model: str, params: Params, data: Trained) -> list[Taught]:
    """The rows behind a model: those of its own kind of data first, then those of its start's."""
    return [
        Taught(kind, row["source"], row["license"], row["rows"])
        for kind in _kinds_behind(model, params)
        for row in data["trained"][kind]
    ]


def _kinds_behind(model: str, params: Params) -> list[str]:
    kinds: list[str] = []
    while model in params.train:
        kinds.append(params.train[model].data)
        model = params.train[model].init.removeprefix("models/")
    return list(dict.fromkeys(kinds))


def licence_of(base: Base) -> str:
    """The licence of a base; of one that is trained here on the shipped rows it is the project's."""
    if isinstance(base, LocalBase):
        return "licence of the base"
    return licence_of_base(base.id) if isinstance(base, HubBase) else OURS


def licence(params: Params, rows: list[Taught]) -> Verdict:
    """The licence under which a model may go out, of its rows and of its base."""
    return verdict([licence_of(params.active.base), *(one.licence for one in rows)])


def sources_table(rows: list[Taught]) -> Table:
    return Table(["data", "source", "licence", ROWS], [[o.kind, o.source, o.licence, integer(o.rows)] for o in rows])
