"""The held-out rows of the user's sources: scored beside ours as sets of their own, never in one mean with ours."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import cast

from stages.core.draws import unit_interval
from stages.core.files import Row
from stages.core.schema import SftRow
from stages.rows.conventions import own_generation_row

Asked = str  # generation, pair or mcq


class OwnTests:
    """At most ``limit`` rows of each source and kind of question: those with the smallest hashes."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.kept: dict[tuple[str, Asked], list[tuple[float, str, Row]]] = {}
        self.found: Counter[tuple[str, Asked]] = Counter()

    def add(self, source: str, row: Mapping[str, object], limit: int) -> None:
        """A test row of any kind; one that nothing can be asked of (a labelled answer) is not kept."""
        asked = "mcq" if "question" in row else "pair" if "chosen" in row else "" if "label" in row else "generation"
        if not asked:
            return
        name = str(row["id"])
        one = own_generation_row(cast(SftRow, row), f"gen-{name}") if asked == "generation" else row
        heap = self.kept.setdefault((source, asked), [])
        self.found[source, asked] += 1
        item = (-unit_interval(self.seed, "test", name), name, cast(Row, one))
        if len(heap) < limit:
            heapq.heappush(heap, item)
        else:
            heapq.heappushpop(heap, item)

    def rows(self) -> Iterator[Row]:
        """Each with ``set``, the source's name, and ``asked``; in the order of sources, kinds and hashes."""
        for (source, asked), heap in self.kept.items():
            for *_, row in sorted(heap, key=lambda item: item[:2], reverse=True):
                yield row | {"set": source, "asked": asked}

    def left_out(self) -> dict[str, int]:
        """{source: test rows beyond its limit}."""
        beyond: Counter[str] = Counter()
        for (source, asked), heap in self.kept.items():
            beyond[source] += self.found[source, asked] - len(heap)
        return {source: count for source, count in beyond.items() if count}
