"""What became of the rows of each source, and when too many of them are lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from stages.core.errors import PipelineError
from stages.core.files import Row
from stages.core.params import Source
from stages.rows.row_policy import COPY_REASONS

LARGEST_LOSS = 0.2  # of a source's rows, true copies aside: above it the run would train on something else than asked


@dataclass
class SourceCounts:
    """Rows of one source: ``kept`` by file, ``skipped`` by the reader, ``dropped`` by the checks, by reason."""

    read: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    labels_read: Counter[bool] = field(default_factory=Counter)
    labels_kept: Counter[bool] = field(default_factory=Counter)

    def as_row(self) -> Row:
        return {
            "read": self.read,
            "kept": dict(self.kept),
            "skipped": dict(self.skipped),
            "dropped": dict(self.dropped),
            "licenses": dict(self.licenses),
            "left": dict(self.left),
        }


def check_losses(source: Source, counts: SourceCounts) -> None:
    """Raise PipelineError where a source has lost all its rows, one of its labels, or more than a fifth of its rows.

    Copies of other rows are no loss, nor is what the reader of a preset leaves out. `allow_loss` of the source allows
    all but the first.
    """
    if not counts.read:
        return
    lost = counts.dropped.total()
    if lost == counts.read:
        raise PipelineError(
            f"source {source.name!r}: none of its {counts.read} rows stays ({reasons(counts.dropped)}): {REMEDY}"
        )
    if source.allow_loss:
        return
    gone = [label for label in counts.labels_read if not counts.labels_kept[label]]
    if gone:
        raise PipelineError(
            f"source {source.name!r}: no row labelled {str(gone[0]).lower()} stays of {counts.labels_read[gone[0]]} "
            f"({reasons(counts.dropped)}): {REMEDY}, or allow it by the source's allow_loss: true"
        )
    losses = Counter({reason: n for reason, n in counts.dropped.items() if reason not in COPY_REASONS})
    if losses.total() > LARGEST_LOSS * counts.read:
        raise PipelineError(
            f"source {source.name!r}: {losses.total()} of its {counts.read} rows are dropped ({reasons(losses)}): "
            f"{REMEDY}, or allow it by the source's allow_loss: true"
        )


REMEDY = "fix the rows, or set what the policy of these flags should be (data.policy in params.yaml)"


def reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in Counter(counts).most_common())
