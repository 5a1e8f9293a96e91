"""Renders the words of the report and of the cards, which are Jinja templates in Markdown.

Markdown keeps a paragraph on one line. So that a template need not, a line that begins with two spaces continues the
line before it: with a space between, but for a statement (`{% ... %}`) and a closing mark, which join without one. A
line that is one statement leaves nothing behind, and of several blank lines in a row one is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from jinja2.ext import Extension

from stages.core.files import Row
from stages.core.intervals import Interval
from stages.reporting import tables
from stages.reporting.tables import Table

LOADER = ChoiceLoader(
    [PackageLoader("stages.reporting", "templates"), PackageLoader("stages.reporting.seed_report", "templates")]
)
STATEMENT = r"\{%(?:[^%]|%(?!\}))*%\}"


class Paragraphs(Extension):
    """Joins the lines of a paragraph before a template is read; data is never touched."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        source = re.sub(r"\n {2,}(?=\{%|[.,;:)])", "", source)
        source = re.sub(r"\n {2,}(?=\S)", " ", source)
        return re.sub(rf"^({STATEMENT})\n", r"\1", source, flags=re.M)


def figure(row: Row, metric: str) -> str:
    """A share of metrics/methods.json with its interval."""
    return tables.percent_interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"])


def across(names: Iterable[str], rows: Mapping[str, Row], metric: str) -> str:
    """The least and the greatest share of some models."""
    return tables.between([rows[name][metric] for name in names])


def points(one: Interval) -> str:
    return tables.points(one.mean, one.low, one.high)


def fixed(value: float, decimals: int = 0) -> str:
    return f"{value:,.{decimals}f}"


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


FILTERS = {
    "across": across,
    "capitalised": capitalised,
    "duration": tables.duration,
    "figure": figure,
    "fixed": fixed,
    "integer": tables.integer,
    "percent": tables.percent,
    "points": points,
    "rate": tables.rate,
    "significant": tables.significant,
    "spread": tables.spread,
    "words": tables.words,
}


class Renderer:
    """Renders templates, and remembers the tables that it printed: the page shows where their columns come from."""

    def __init__(self) -> None:
        self.tables: list[Table] = []
        self._environment = Environment(
            loader=LOADER,
            extensions=[Paragraphs],
            undefined=StrictUndefined,
            autoescape=False,  # Markdown, not HTML
            keep_trailing_newline=True,  # a template that includes another goes on below it
            finalize=self._printed,
        )
        self._environment.filters |= FILTERS

    def _printed(self, value: Any) -> Any:
        """What stands between double braces, as it is printed."""
        if isinstance(value, Table):
            self.tables.append(value)
        if value is None or isinstance(value, Mapping) or (isinstance(value, Enum) and not isinstance(value, int)):
            raise TypeError(f"a template prints {value!r}, which is no text")
        return value

    def render(self, name: str, **facts: Any) -> str:
        """The text of a template by its name; an unknown name within it raises UndefinedError."""
        return _tidied(self._environment.get_template(f"{name}.j2").render(facts))

    def of(self, source: str, **facts: Any) -> str:
        """The text of a template that is given."""
        return _tidied(self._environment.from_string(source).render(facts))


def _tidied(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip()
