"""How long texts are, in words or tokens, as a few figures."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from stages.core.files import Row


def quantiles(lengths: Sequence[int]) -> Row:
    """``min``, ``p5``, ``median``, ``p95`` and ``max``, interpolated between order statistics; nothing of nothing."""
    if not lengths:
        return {}
    cuts = statistics.quantiles(lengths if lengths[1:] else [*lengths, *lengths], n=20, method="inclusive")
    return {"min": min(lengths), "p5": cuts[0], "median": cuts[9], "p95": cuts[18], "max": max(lengths)}
