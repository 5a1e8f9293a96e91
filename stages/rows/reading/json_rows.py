"""Rows of JSONL and JSON files: one object a line, one array of objects, and the layouts that wrap such an array.

pandas' `to_json()` writes a table by columns, by index or split into names and cells, and SQuAD nests its questions
under articles and passages. All of these give the same rows as an array would.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.core.errors import PipelineError
from stages.rows.reading.text_lines import (
    LARGEST_RECORD,
    check_bytes,
    lines_of,
    open_bytes,
    read_bytes,
    wrong_encoding,
)
from stages.rows.reading.values import Record, Refusal

CHUNK = 2**20  # bytes of a JSON file that are read at a time


def unique_keys(pairs: list[tuple[str, Any]]) -> Record:
    """JSON's object, with a key that stands twice an error: Python would keep the last one and say nothing."""
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Fault(f"the key {twice!r} stands twice in one object", "keep one of them")
    return record


class _Fault(ValueError):
    """JSON that is valid and still refused: what was found, and the remedy."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.sentence = f"{found}: {remedy}"


def _no_constant(text: str) -> float:
    raise _Fault(f"{text} is no JSON number", "write null, or leave the field out")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_constant(text)


def _check_surrogates(value: Any, text: str, start: int, end: int) -> None:
    """Refuse half of a surrogate pair: Python reads the escape, and no UTF-8 file could be written with it."""
    if text.find("\\ud", start, end) < 0 and text.find("\\uD", start, end) < 0:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _Fault("half of a surrogate pair (\\ud800 to \\udfff)", "remove it") from None


DECODER = json.JSONDecoder(object_pairs_hook=unique_keys, parse_constant=_no_constant, parse_float=_finite)


# ---------------------------------------------------------------- JSONL


def read_jsonl(path: Path) -> Iterator[tuple[int, Record | Refusal]]:
    """Yield ``(line, record)``, or what is wrong with the line. Blank lines at the end of a file mean nothing.

    A blank line between rows is a bad row: nothing tells it from a row that was lost.
    """
    blank: list[int] = []
    for number, text in lines_of(path):
        if text.isspace():
            blank.append(number)
            continue
        for line in blank:
            yield line, Refusal("blank line", "a blank line: remove it, so that line numbers mean rows")
        blank.clear()
        try:
            yield number, _record(_parsed(text), "one object a line; a file that is one array ends in .json")
        except Refusal as refusal:
            yield number, refusal


def _parsed(text: str) -> Any:
    try:
        value = DECODER.decode(text)
        _check_surrogates(value, text, 0, len(text))
        return value
    except json.JSONDecodeError as error:
        hint = "name a file that is one array .json" if text.startswith("[") else "mend or remove the line"
        raise Refusal("not valid JSON", f"not valid JSON ({error.msg} at column {error.colno}): {hint}") from None
    except (ValueError, RecursionError) as error:
        raise Refusal("unreadable JSON", _fault(error)) from None


def _fault(error: Exception) -> str:
    if isinstance(error, _Fault):
        return error.sentence
    found = "brackets nested too deep" if isinstance(error, RecursionError) else f"a value out of range ({error})"
    return f"{found}: mend or remove the row"


def _record(value: Any, expected: str) -> Record:
    if not isinstance(value, dict):
        raise Refusal("no object", f"a JSON object was expected, found {type(value).__name__}: write {expected}")
    return value


# ---------------------------------------------------------------- JSON


def read_json(path: Path) -> Iterator[tuple[int, Record | Refusal]]:
    """Yield ``(row from 1, record)``: of one array, of an object that wraps one, or of one object after the other.

    The text is held whole and the rows of an array are decoded one by one: an array of 100 MB takes 230 MB (twice
    that if emoji stand in it), where `json.loads` takes 310 MB. `ijson` would take nothing, but it reads half of a
    surrogate pair as "?", keeps the last of two equal keys, and names no line.
    """
    text = _JsonText(path, "".join(_pieces(path)).removeprefix("\ufeff"))
    first = text.peek()
    if first not in ("[", "{", ""):
        raise PipelineError(f"{path}:{text.line_of(text.at)}: an array of objects was expected, found {first!r}")
    values = _array(text) if first == "[" else _objects(text) if first else iter(())
    for number, value in enumerate(_questions(values), start=1):
        try:
            yield number, _record(value, "an array of objects")
        except Refusal as refusal:
            yield number, refusal
    if text.peek():
        raise text.error("something follows the end of the array", text.at, "remove it")


def _array(text: _JsonText) -> Iterator[Any]:
    text.at += 1
    found = "" if text.peek() == "]" else ","
    while found == ",":
        yield text.row()
        found = text.peek()
        if found not in (",", "]"):
            what = repr(found) if found else "the end: the file may be cut off"
            raise text.error(f"not valid JSON: ',' was expected, found {what}", text.at, "mend the file")
        text.at += found == ","
    text.at += 1


def _objects(text: _JsonText) -> Iterator[Any]:
    """Objects one after the other (JSONL under the name .json), or the rows of an object that wraps them."""
    first = text.value()
    if text.peek():
        yield first
        while text.peek():
            yield text.row()
        return
    if (table := _pandas(first)) is not None:
        yield from table
        return
    arrays = [value for value in first.values() if isinstance(value, list) and all(isinstance(x, dict) for x in value)]
    if len(arrays) != 1:
        raise text.error(f"one object with {len(arrays)} arrays of rows in it", 0, "write one array of objects")
    yield from arrays[0]


def _pandas(whole: Record) -> list[Record] | None:
    """The rows of what pandas' `to_json()` writes by `split`, by columns or by index; None of anything else."""
    if set(whole) in ({"columns", "index", "data"}, {"columns", "data"}):
        names, cells = whole["columns"], whole["data"]
        if not isinstance(names, list) or not isinstance(cells, list) or len(set(map(str, names))) < len(names):
            return None
        if any(not isinstance(row, list) or len(row) != len(names) for row in cells):
            return None
        return [dict(zip(map(str, names), row, strict=True)) for row in cells]
    inner = list(whole.values())
    if not inner or not all(isinstance(value, dict) and value for value in inner):
        return None
    if any(list(value) != list(inner[0]) for value in inner):
        return None
    by_column, by_index = all(key.isdecimal() for key in inner[0]), all(key.isdecimal() for key in whole)
    if by_column and not by_index:
        return [{name: column[key] for name, column in whole.items()} for key in inner[0]]
    return inner if by_index and not by_column else None


def _questions(values: Iterator[Any]) -> Iterator[Any]:
    """The questions of SQuAD's articles, each with its passage; any other value as it stands."""
    for value in values:
        if isinstance(value, dict) and isinstance(value.get("qas"), list) and "context" in value:
            value = {"paragraphs": [value]}
        passages = value.get("paragraphs") if isinstance(value, dict) else None
        if not isinstance(passages, list) or not all(isinstance(x, dict) and "qas" in x for x in passages):
            yield value
            continue
        article = {key: given for key, given in value.items() if key != "paragraphs"}
        for passage in passages:
            shared = article | {key: given for key, given in passage.items() if key != "qas"}
            for question in passage["qas"]:
                yield shared | question if isinstance(question, dict) else question


class _JsonText:
    """A JSON text and how far its values have been taken."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text, self.at = path, text, 0

    def line_of(self, position: int) -> int:
        return 1 + self.text.count("\n", 0, position)

    def error(self, found: str, position: int, remedy: str) -> PipelineError:
        column = position - self.text.rfind("\n", 0, position)
        return PipelineError(f"{self.path}:{self.line_of(position)}: {found} (column {column}): {remedy}")

    def peek(self) -> str:
        """Move to the next character that is no white space and return it; empty at the end."""
        while (found := self.text[self.at : self.at + 1]) and found in " \t\r\n":
            self.at += 1
        return found

    def row(self) -> Any:
        self.peek()
        start = self.at
        value = self.value()
        if self.at - start > LARGEST_RECORD:
            raise self._too_long(start)
        return value

    def value(self) -> Any:
        self.peek()
        start = self.at
        try:
            value, self.at = DECODER.raw_decode(self.text, start)
            _check_surrogates(value, self.text, start, self.at)
            return value
        except json.JSONDecodeError as error:
            if error.msg.startswith("Unterminated string") and len(self.text) - start > LARGEST_RECORD:
                raise self._too_long(start) from None
            raise self.error(f"not valid JSON: {error.msg}", error.pos, "mend the row") from None
        except (ValueError, RecursionError) as error:
            raise PipelineError(f"{self.path}:{self.line_of(start)}: {_fault(error)}") from None

    def _too_long(self, start: int) -> PipelineError:
        where, limit = f"{self.path}:{self.line_of(start)}", LARGEST_RECORD // 2**20
        return PipelineError(f"{where}: a row longer than {limit} MiB, or a bracket or quote left open: mend it")


def _pieces(path: Path) -> Iterator[str]:
    """The text of a JSON file, CHUNK bytes at a time; raises PipelineError with the line of what is no such text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, first, data = 1, True, b"\n"
    with open_bytes(path) as file:
        while data:
            data = read_bytes(path, file, line, CHUNK, line=False)
            check_bytes(path, line, data, first=first)
            first = False
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                line += error.object.count(b"\n", 0, error.start)
                if data:
                    raise wrong_encoding(path, line, error.object) from None
                raise PipelineError(f"{path}:{line}: the file is cut off inside a letter: write it again") from None
            line += text.count("\n")
            yield text
