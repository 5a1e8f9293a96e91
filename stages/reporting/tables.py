"""Markdown tables and the one way in which each kind of number is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

NONE = "–"  # nothing was measured
METHODS, SUMMARY, ROWS = "metrics/methods.json", "metrics/eval/<model>/summary.json", "metrics/eval/<model>/rows.jsonl"
TRAIN, TIMING, BENCH = "metrics/train/<model>/summary.json", "metrics/timing/<model>.json", "metrics/bench/<model>.json"


@dataclass(frozen=True)
class Column:
    """A column of figures and where they stand: ``file`` and ``key`` in it.

    An ellipsis in ``heading`` makes it the pattern of a family, whose members are `named`. ``listed`` is what the list
    of all columns calls this one, where it speaks of several at once. ``words``: what the column holds is text.
    """

    heading: str
    file: str
    key: str
    listed: str = ""
    words: bool = False

    @property
    def source(self) -> str:
        return f"{self.file}: {self.key}"

    def named(self, *values: object) -> Column:
        """The member of a family that has these values in the places of its ellipses."""
        heading = self.heading
        for value in values:
            heading = heading.replace("…", str(value), 1)
        return replace(self, heading=heading, listed=self.listed or self.heading)


@dataclass(frozen=True)
class Table:
    """Rows under columns; a plain string is the heading of a column of names or words, which has no source."""

    columns: Sequence[str | Column]
    rows: Sequence[Sequence[str]]

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(one.heading if isinstance(one, Column) else one for one in self.columns)

    def __str__(self) -> str:
        """As Markdown: words to the left, numbers to the right."""
        marks = ["---:" if isinstance(one, Column) and not one.words else "---" for one in self.columns]
        lines = [self.headings, marks, *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def percent(value: float | None) -> str:
    return NONE if value is None else f"{value * 100:.1f} %"


def between(values: Sequence[float]) -> str:
    """The least and the greatest of some shares."""
    low, high = percent(min(values)), percent(max(values))
    return low if low == high else f"{low} to {high}"


def percent_interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return percent(value)
    return f"{value * 100:.1f} % [{low * 100:.1f}, {high * 100:.1f}]"


def points(value: float, low: float, high: float) -> str:
    """A difference of two shares in percentage points."""
    return f"{value * 100:+.1f} [{low * 100:+.1f}, {high * 100:+.1f}]"


def number_interval(value: float | None, low: float | None, high: float | None, decimals: int = 1) -> str:
    if value is None or low is None or high is None:
        return NONE if value is None else f"{value:.{decimals}f}"
    return f"{value:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def significant(value: float | None, digits: int = 3) -> str:
    """Three significant digits, without an exponent between 0.001 and a million."""
    if value is None:
        return NONE
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    text = f"{value:.{digits}g}"
    return f"{float(text):,.0f}" if "e" in text or abs(value) >= 10**digits else text


def integer(value: int | float | None) -> str:
    return NONE if value is None else f"{int(value):,}"


def duration(seconds: float) -> str:
    decimals = 2 if seconds < 10 else 1 if seconds < 100 else 0
    return f"{seconds:,.{decimals}f} s"


def spread(values: Sequence[float]) -> str:
    """The mean and, of several seeds, the smallest and the largest."""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return significant(mean)
    return f"{significant(mean)} [{significant(min(values))}, {significant(max(values))}]"


def words(names: Sequence[str]) -> str:
    """`a`, `b` and `c`."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def rate(learning_rate: float) -> str:
    """A learning rate, in every table, sentence and plot alike: decimals down to 0.0001, and 4e-5 below."""
    return f"{learning_rate:g}".replace("e-0", "e-")
