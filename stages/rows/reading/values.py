"""What is wrong with a row, and the checks of single values that every layout shares."""

from __future__ import annotations

import ast
import math
import warnings
from typing import Any

from stages.core.errors import PipelineError

Record = dict[str, Any]

# What tables and pandas write where there is nothing.
NOTHING = {
    "",
    "nan",
    "none",
    "null",
    "<noinput>",
    "<nooutput>",
    "<na>",
    "[]",
    "{}",
    "noinput",
    "no input",
    "<no input>",
    "n/a",
}
NO_TEXT = {"nan", "<noinput>", "<nooutput>", "<na>"}  # «none» may be an answer


class Refusal(PipelineError):
    """A row that cannot be read: the whole sentence, and a short ``reason`` under which such rows are counted."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class LeftOut(Refusal):
    """A row that is read rightly and teaches nothing, as the data says itself: it is counted and named, no error."""


def nothing(value: Any) -> bool:
    """Whether a value says nothing: null, NaN, an empty text or list, or the words that stand for these."""
    if value is None:
        return True
    if isinstance(value, str):
        return (len(value) <= 12 and value.strip().lower() in NOTHING) or value.isspace()
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, list | tuple):
        return all(map(nothing, value))
    return isinstance(value, dict) and all(map(nothing, value.values()))


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def wrong_type(field: str, expected: str, value: Any) -> Refusal:
    found = f"{type(value).__name__} {shown(value)}" if value is not None else "null"
    return Refusal("wrong type", f"field {field!r} must be {expected}, found {found}: mend the row")


def text_of(value: Any, field: str) -> str:
    """The text without the white space around it; raises Refusal where there is none."""
    if not isinstance(value, str):
        raise wrong_type(field, "a text", value)
    text = value.strip()
    if not text or (len(text) <= 12 and text.lower() in NO_TEXT):
        raise Refusal("empty turn", f"field {field!r} is empty: write the text, or remove the row")
    return text


def number_of(value: Any, field: str) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise wrong_type(field, "a number", value)
    return number


def first_text(record: Record, columns: tuple[str, ...]) -> str:
    """The first text among the columns, or nothing."""
    for column in columns:
        value = record.get(column)
        if isinstance(value, str) and not nothing(value):
            return value.strip()
    return ""


def first_there(record: Record, columns: tuple[str, ...]) -> str:
    """The first of the columns that is there, one with a value before one with null."""
    there = [column for column in columns if column in record]
    return next((column for column in there if record[column] is not None), there[0] if there else "")


def the_one(record: Record, columns: tuple[str, ...]) -> str:
    """The one column of several for the same thing that says something, or nothing.

    Raises Refusal where two say different things: to read one of them would be to read half.
    """
    found = ""
    for column in columns:
        value = record.get(column)
        if value is None or nothing(value):
            continue
        if found and value != record[found]:
            raise Refusal(
                "two fields for one",
                f"fields {found!r} and {column!r} both hold a text for the same place: put one of them into the "
                "source's ignore",
            )
        found = found or column
    return found


def literal(text: str) -> Any:
    """Python's literal, or None; a key that stands twice makes it unreadable, because Python would keep one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stray backslash in a text
            tree = ast.parse(text.strip(), mode="eval")
        keys = [[ast.dump(key) for key in node.keys if key] for node in ast.walk(tree) if isinstance(node, ast.Dict)]
        return ast.literal_eval(tree) if all(len(set(names)) == len(names) for names in keys) else None
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
