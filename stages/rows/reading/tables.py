"""Rows of tables: text with separators (.csv, .tsv, .txt), spreadsheets (.xlsx) and Parquet.

A table has its names in the first row, or they are given, for a file without them. An unnamed first column of running
numbers is an index, and is passed over.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from stages.core.errors import PipelineError
from stages.rows.reading.text_lines import LARGEST_RECORD, archive_of, lines_of, open_bytes
from stages.rows.reading.values import Record, Refusal, shown

LONGEST_NAME = 64  # characters of a column's name; more is a text, so the header is missing
SAMPLED_LINES = 50  # from which the separator is told
SEPARATORS = (",", "\t", ";", "|")
PARQUET_BATCH = 256  # rows that are decoded at a time

Cells = list[str]


class Table:
    """The names of a table's columns, and how its rows become records."""

    def __init__(self, path: Path, first: Cells, given: tuple[str, ...]) -> None:
        self.path = path
        self.named_by_file = not given
        names = [cell.strip() for cell in first]
        if given and [name.casefold() for name in names] == [name.casefold() for name in given]:
            raise PipelineError(f"{path}:1: this file has its columns' names: take the source's columns out")
        if not given:
            while len(names) > 1 and not names[-1]:
                names.pop()  # a spreadsheet that is saved as CSV may end its lines with separators
            self._check_header(names)
        self.names = list(given) or names
        self.last_index: int | None = None

    def _check_header(self, names: list[str]) -> None:
        unnamed = [place for place, name in enumerate(names, start=1) if not name]
        if not names or unnamed not in ([], [1]) or len(names) == len(unnamed):
            raise PipelineError(
                f"{self.path}:1: column {unnamed[-1] if unnamed else 1} has no name: name it, or leave it out "
                "(pandas: to_csv(index=False))"
            )
        if any(len(name) > LONGEST_NAME or "\n" in name or re.fullmatch(r"[\d.]+", name) for name in names):
            raise PipelineError(
                f"{self.path}:1: a row stands where the header was expected: write the columns' names first, or name "
                "them in the source's columns, as in `columns: [question, A, B, C, D, answer]`"
            )
        check_names(f"{self.path}:1", names)

    def record(self, cells: Cells) -> Record:
        """The row under its names; raises Refusal where the cells do not fit."""
        names = self.names
        if len(cells) > len(names) and not any(map(str.strip, cells[len(names) :])):
            cells = cells[: len(names)]
        if not cells:
            raise Refusal("blank line", "a blank line: remove it")
        if len(cells) != len(names):
            raise Refusal(
                "number of fields",
                f"{len(cells)} fields, {len(names)} were expected ({', '.join(names)}): quote a text that holds the "
                "separator, and give an empty field its separator",
            )
        if self.named_by_file and [cell.strip() for cell in cells] == names:
            raise Refusal("header again", "the names of the columns again: remove the line")
        if not names[0] and self.named_by_file:
            self._check_index(cells[0])
        return {name: cell for name, cell in zip(names, cells, strict=True) if name}

    def _check_index(self, cell: str) -> None:
        """Running numbers alone are an index; anything else would be a column that nobody reads."""
        number = int(cell) if re.fullmatch(r"\s*\d{1,12}\s*", cell) else None
        if number is None or (self.last_index is not None and number <= self.last_index):
            raise Refusal(
                "column without a name",
                f"column 1 has no name and holds {shown(cell)}, so it is no index of running numbers: name it, or "
                "leave it out (pandas: to_csv(index=False))",
            )
        self.last_index = number


def check_names(where: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise PipelineError(f"{where}: the column {name!r} stands twice: rename one of them")


def _records(
    path: Path, rows: Iterator[tuple[int, Cells]], given: tuple[str, ...]
) -> Iterator[tuple[int, Record | Refusal]]:
    """Yield ``(number, record)``, or what is wrong with the row. Empty rows at the end of a table mean nothing."""
    table: Table | None = None
    empty: list[tuple[int, Cells]] = []
    for number, cells in rows:
        if table is None:
            if not any(map(str.strip, cells)):
                continue
            table = Table(path, cells, given)
            if table.named_by_file:
                continue
        if not any(map(str.strip, cells)):
            empty.append((number, cells))
            continue
        for row in (*empty, (number, cells)):
            try:
                yield row[0], table.record(row[1])
            except Refusal as refusal:
                yield row[0], refusal
        empty.clear()


# ---------------------------------------------------------------- text with separators


def read_separated(path: Path, given: tuple[str, ...] = ()) -> Iterator[tuple[int, Record | Refusal]]:
    """Yield ``(line, record)``. CRLF is CSV's own line end (RFC 4180) and is read as LF, in a quoted text too."""
    csv.field_size_limit(LARGEST_RECORD)
    yield from _records(path, _separated_cells(path, separator_of(path, given)), given)


def _separated_cells(path: Path, separator: str) -> Iterator[tuple[int, Cells]]:
    reader = csv.reader(_table_lines(path), delimiter=separator, strict=True)
    number = 1
    try:
        for cells in reader:
            yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        remedy = "close every quote, and double one inside a text"
        raise PipelineError(f"{path}:{number}: not valid CSV ({error}): {remedy}") from None


def _table_lines(path: Path) -> Iterator[str]:
    """The lines of a table; Excel's own first line, which names the separator, is blank."""
    for number, text in lines_of(path):
        yield "\n" if number == 1 and re.fullmatch(r'"?sep=.?"?\s*', text) else text.replace("\r\n", "\n")


def separator_of(path: Path, given: tuple[str, ...] = ()) -> str:
    """The one separator that makes the first lines a table of equal rows; that of the file's name where it does.

    A table has two columns or more, or as many as are given. Where none or several make one, the name decides.
    """
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    usual = "," if suffix == ".csv" else "\t"
    sample = list(islice(_table_lines(path), SAMPLED_LINES))
    if _is_table(sample, usual, len(given)):
        return usual
    if suffix == ".txt":
        raise PipelineError(
            f"{path}: unknown kind of file '.txt', for its lines are no table of tab-separated columns: save it as "
            "one, or use .jsonl, .json, .csv, .tsv, .parquet, .xlsx"
        )
    fitting = [separator for separator in SEPARATORS if _is_table(sample, separator, len(given))]
    return fitting[0] if len(fitting) == 1 else usual


def _is_table(sample: list[str], separator: str, columns: int) -> bool:
    rows = []
    try:
        for cells in csv.reader(sample, delimiter=separator, strict=True):
            rows.append(cells)
    except csv.Error:
        if len(sample) < SAMPLED_LINES:
            return False  # a quote may be open where the sample ends, and nowhere else
    widths = {len(cells) for cells in rows if any(cells)}
    return len(widths) == 1 and (widths == {columns} if columns else min(widths) > 1)


# ---------------------------------------------------------------- spreadsheets and Parquet


def read_spreadsheet(path: Path, given: tuple[str, ...] = ()) -> Iterator[tuple[int, Record | Refusal]]:
    """Yield ``(row of the sheet, record)`` of the one sheet that holds rows, every cell as CSV would write it."""
    import zipfile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    with open_bytes(path) as file:
        try:
            book = load_workbook(file, read_only=True, data_only=True)
        except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as error:
            raise PipelineError(f"{path}: unreadable spreadsheet ({error}): save it again as .xlsx or .csv") from None
        filled = [sheet for sheet in book.worksheets if any(any(_cells(row)) for row in _rows(sheet))]
        if len(filled) > 1:
            names = ", ".join(repr(sheet.title) for sheet in filled)
            raise PipelineError(f"{path}: {len(filled)} sheets hold rows ({names}): save each as a file of its own")
        for sheet in filled:
            rows = ((number, _cells(row)) for number, row in enumerate(_rows(sheet), start=1))
            yield from _records(path, rows, given)


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    sheet.reset_dimensions()  # what some programs write there is too small, and rows would be lost
    yield from sheet.iter_rows(values_only=True)


def _cells(row: tuple[Any, ...]) -> Cells:
    return [_cell(value) for value in row]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def read_parquet(path: Path) -> Iterator[tuple[int, Record]]:
    import pyarrow
    from pyarrow import parquet

    if archive := archive_of(path):
        raise PipelineError(f"{path}: Parquet cannot be streamed from a zip file: unzip {archive}")
    number = 0
    path.open("rb").close()  # an OSError of this is the disk's; one that Arrow raises below is the data's
    try:
        file = parquet.ParquetFile(path)
        check_names(str(path), file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=PARQUET_BATCH):
            for record in batch.to_pylist():
                number += 1
                yield number, record
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise PipelineError(f"{path}:row {number + 1}: unreadable Parquet ({reason}): write the file again") from None
