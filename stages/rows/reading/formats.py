"""Files of the user's own: JSONL, JSON, CSV, TSV and Parquet, read one record at a time.

What is wrong with a file is one sentence that names the file, the line (the row in JSON and Parquet, where lines mean
nothing) and the remedy. Memory is constant: a file of a million rows costs no more than one of a thousand. Only the
text of a `.json` file is held whole.

The file is long because the formats share their checks of bytes, names and values; each format is one section.
"""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.core.errors import PipelineError

Record = dict[str, Any]
Bytes = io.BufferedReader | gzip.GzipFile

LARGEST_RECORD = 4 * 2**20  # bytes of one line, or characters of one JSON object: more is a broken file, not a text
LONGEST_NAME = 64  # characters of a CSV column's name; more is a text, so the header is missing
CHUNK = 2**20  # bytes of a JSON file that are read at a time
PARQUET_BATCH = 256  # rows that are decoded at a time
# Files that the datasets library writes beside the data.
METADATA = {"dataset_info.json", "dataset_infos.json", "state.json"}


def expand(path: str) -> list[Path]:
    """The data files that a file's name, a folder or a glob stands for, sorted by name.

    A folder is searched to any depth, and what is no data in it (a README, hidden files) is passed over.
    """
    root = Path(path).expanduser()
    if root.is_file():
        return [root]
    if root.is_dir():
        inside = sorted(file for file in root.rglob("*") if file.is_file())
        found = [file for file in inside if _is_data(file.relative_to(root))]
        if not found:
            there = ", ".join(sorted({file.suffix or file.name for file in inside})) or "nothing"
            raise PipelineError(f"{root} holds no data file (found {there}): put files ending in {_known()} there")
        return found
    found = sorted(Path(name) for name in glob.glob(str(root), recursive=True) if Path(name).is_file())
    if not found:
        raise PipelineError(f"{path} matches no file: mend the path, which is taken from where `dvc repro` is run")
    return found


def read_records(path: Path) -> Iterator[tuple[int, Record]]:
    """Yield ``(number, record)``, the number being the line in JSONL, CSV and TSV, and the row in JSON and Parquet.

    Raises PipelineError for a file that cannot be read, holds no row, or breaks its format.
    """
    reader = READERS[_format(path)]
    number = 0
    try:
        for number, record in reader(path):
            yield number, record
    except OSError as error:
        raise PipelineError(f"{path} cannot be read ({error.strerror or error}): check its name and rights") from None
    if not number:
        raise PipelineError(f"{path} is empty: write rows into it, or take it out of the source")


def place(path: Path, number: int) -> str:
    """How a record is named in messages and metrics: ``file:line``, or ``file:row n`` where rows are counted."""
    return f"{path}:row {number}" if _format(path) in (".json", ".parquet") else f"{path}:{number}"


def unique_keys(pairs: list[tuple[str, Any]]) -> Record:
    """JSON's object, with a key that stands twice an error: Python would keep the last one and say nothing."""
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Fault(f"the key {twice!r} stands twice in one object", "keep one of them")
    return record


def _is_data(file: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.parts)
    return not hidden and file.name not in METADATA and _suffix(file) in READERS and not _is_zipped_parquet(file)


def _format(path: Path) -> str:
    """The suffix that decides how a file is read, without ``.gz``."""
    suffix = _suffix(path)
    if suffix not in READERS:
        raise PipelineError(f"{path}: unknown kind of file {suffix or 'without a suffix'!r}: use {_known()}")
    if _is_zipped_parquet(path):
        raise PipelineError(f"{path}: Parquet is compressed inside and cannot be streamed from gzip: gunzip it")
    return suffix


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _is_zipped_parquet(path: Path) -> bool:
    return path.name.lower().endswith(".parquet.gz")


def _known() -> str:
    return ", ".join(READERS) + " (all but Parquet also with .gz)"


# ---------------------------------------------------------------- bytes and lines


def _bytes(path: Path, file: Bytes, where: int, size: int, *, line: bool) -> bytes:
    """The next line, or ``size`` bytes at most; a damaged gzip file is an error at the line ``where``."""
    try:
        return file.readline(size) if line else file.read1(size)  # what is whole before the damage is given first
    except EOFError:
        raise PipelineError(f"{path}:{where}: the gzip file is cut off here: download or compress it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise PipelineError(f"{path}:{where}: damaged gzip data ({error}): download or compress it again") from None


def _open(path: Path) -> Bytes:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield ``(number from 1, text with its newline)``."""
    number = 0
    with _open(path) as file:
        while line := _bytes(path, file, number + 1, LARGEST_RECORD + 1, line=True):
            number += 1
            if len(line) > LARGEST_RECORD:
                raise PipelineError(
                    f"{path}:{number}: the line is longer than {LARGEST_RECORD // 2**20} MiB: split it into rows"
                )
            _check_bytes(path, number, line, first=number == 1)
            try:
                yield number, line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise _wrong_encoding(path, number, line, f" at byte {error.start} of the line") from None


def _check_bytes(path: Path, number: int, data: bytes, *, first: bool) -> None:
    """Refuse what decodes as UTF-8, or nearly, and is no plain text."""
    if first and data.startswith(codecs.BOM_UTF8):
        raise PipelineError(f"{path}:1: starts with a byte order mark: save the file as UTF-8 without BOM")
    if first and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _wrong_encoding(path, 1, data)
    if (at := data.find(b"\0")) >= 0:
        number += data.count(b"\n", 0, at)
        if _is_utf16(data):
            raise _wrong_encoding(path, number, data)
        raise PipelineError(f"{path}:{number}: holds a NUL byte: the file is damaged or no text; remove the byte")


def _wrong_encoding(path: Path, number: int, data: bytes, at: str = "") -> PipelineError:
    name, codec = _guess_encoding(data)
    return PipelineError(
        f"{path}:{number}: not UTF-8{at}; it looks like {name}: "
        + (f"convert the file with `iconv -f {codec} -t UTF-8`" if codec else "write the line again")
    )


def _guess_encoding(data: bytes) -> tuple[str, str]:
    """The likely encoding of bytes that are not UTF-8, as ``(name, iconv's name)``; no name for UTF-8 with damage."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _is_utf16(data):
        return "UTF-16", "UTF-16"
    high = sum(byte >= 0x80 for byte in data)
    if data.decode("utf-8", errors="replace").count("\ufffd") * 4 < high:
        return "UTF-8 with damaged bytes", ""
    scores = {codec: _arabic_score(data, codec) for codec in ("cp1256", "iso8859_6")}
    best = max(scores, key=lambda codec: scores[codec])
    if scores[best] <= 0:
        return "Windows-1252 or another Latin encoding", "cp1252"
    return {"cp1256": ("Windows-1256", "cp1256"), "iso8859_6": ("ISO 8859-6", "ISO-8859-6")}[best]


def _arabic_score(data: bytes, codec: str) -> int:
    """How Arabic the bytes read in ``codec``: common letters less rare ones, in words of two letters or more."""
    text = "".join(re.findall("[\u0621-\u064a]{2,}", data.decode(codec, errors="replace")))
    return sum((letter in "اليمنورتبعد") - (letter in "ظضطغثذءؤئ") for letter in text)


def _is_utf16(data: bytes) -> bool:
    """Arabic and ASCII in UTF-16: every other byte, give or take, is 00 or 06."""
    halves = (data[0::2], data[1::2])
    return data.count(0) > 1 and any(sum(byte in (0, 6) for byte in half) > 0.8 * len(half) for half in halves if half)


# ---------------------------------------------------------------- JSON


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


def _jsonl(path: Path) -> Iterator[tuple[int, Record]]:
    for number, text in _lines(path):
        where = f"{path}:{number}"
        if text.isspace():
            raise PipelineError(f"{where}: a blank line: remove it, so that line numbers mean rows")
        if text.endswith("\r\n"):
            raise PipelineError(
                f"{where}: the line ends with CRLF: save the file with LF line ends, as `dos2unix` does"
            )
        yield number, _record(_parsed(where, text), where, "one object a line; a file that is one array ends in .json")


def _parsed(where: str, text: str) -> Any:
    try:
        value = DECODER.decode(text)
        _check_surrogates(value, text, 0, len(text))
        return value
    except json.JSONDecodeError as error:
        hint = "name a file that is one array .json" if text.startswith("[") else "mend or remove the line"
        raise PipelineError(f"{where}: not valid JSON ({error.msg} at column {error.colno}): {hint}") from None
    except (ValueError, RecursionError) as error:
        raise _refused(where, error) from None


def _refused(where: str, error: Exception) -> PipelineError:
    if isinstance(error, _Fault):
        return PipelineError(f"{where}: {error.sentence}")
    found = "brackets nested too deep" if isinstance(error, RecursionError) else f"a value out of range ({error})"
    return PipelineError(f"{where}: {found}: mend or remove the row")


def _record(value: Any, where: str, expected: str) -> Record:
    if not isinstance(value, dict):
        raise PipelineError(f"{where}: a JSON object was expected, found {type(value).__name__}: write {expected}")
    return value


def _json(path: Path) -> Iterator[tuple[int, Record]]:
    """The rows of one array, of an object that wraps one array, or of objects one after the other.

    The text is held whole and the rows of an array are decoded one by one: an array of 100 MB takes 230 MB (twice
    that if emoji stand in it), where `json.loads` takes 310 MB. `ijson` would take nothing, but it reads half of a
    surrogate pair as "?", keeps the last of two equal keys, and names no line.
    """
    text = _JsonText(path, "".join(_pieces(path)))
    first = text.peek()
    if first not in ("[", "{", ""):
        raise PipelineError(f"{path}:{text.line_of(text.at)}: an array of objects was expected, found {first!r}")
    values = _array(text) if first == "[" else _objects(text) if first else iter(())
    for number, value in enumerate(values, start=1):
        yield number, _record(value, f"{path}:row {number}", "an array of objects")
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
    """Objects one after the other (JSONL under the name .json), or the rows of an object that wraps one array."""
    first = text.value()
    if text.peek():
        yield first
        while text.peek():
            yield text.row()
        return
    arrays = [value for value in first.values() if isinstance(value, list) and all(isinstance(x, dict) for x in value)]
    if len(arrays) != 1:
        raise text.error(f"one object with {len(arrays)} arrays of rows in it", 0, "write one array of objects")
    yield from arrays[0]


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
        while (found := self.text[self.at : self.at + 1]) and found in " \t\n":
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
            raise _refused(f"{self.path}:{self.line_of(start)}", error) from None

    def _too_long(self, start: int) -> PipelineError:
        where, limit = f"{self.path}:{self.line_of(start)}", LARGEST_RECORD // 2**20
        return PipelineError(f"{where}: a row longer than {limit} MiB, or a bracket or quote left open: mend it")


def _pieces(path: Path) -> Iterator[str]:
    """The text of a JSON file, CHUNK bytes at a time; raises PipelineError with the line of what is no such text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, first, data = 1, True, b"\n"
    with _open(path) as file:
        while data:
            data = _bytes(path, file, line, CHUNK, line=False)
            _check_bytes(path, line, data, first=first)
            first = False
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                line += error.object.count(b"\n", 0, error.start)
                if data:
                    raise _wrong_encoding(path, line, error.object) from None
                raise PipelineError(f"{path}:{line}: the file is cut off inside a letter: write it again") from None
            if (at := text.find("\r")) >= 0:
                line += text.count("\n", 0, at)
                raise PipelineError(f"{path}:{line}: the line ends with CRLF: save the file with LF line ends")
            line += text.count("\n")
            yield text


# ---------------------------------------------------------------- CSV and Parquet


def _csv(path: Path) -> Iterator[tuple[int, Record]]:
    """Rows under a header. CRLF is CSV's own line end (RFC 4180) and is read as LF, in a quoted text too."""
    csv.field_size_limit(LARGEST_RECORD)
    delimiter = "\t" if _suffix(path) == ".tsv" else ","
    reader = csv.reader((text.replace("\r\n", "\n") for _, text in _lines(path)), delimiter=delimiter, strict=True)
    header: list[str] = []
    number = 1
    try:
        for cells in reader:
            if not header:
                header = _header(path, cells)
            else:
                yield number, _csv_record(f"{path}:{number}", header, cells)
            number = reader.line_num + 1
    except csv.Error as error:
        remedy = "close every quote, and double one inside a text"
        raise PipelineError(f"{path}:{number}: not valid CSV ({error}): {remedy}") from None


def _header(path: Path, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if "" in names or not names:
        raise PipelineError(
            f"{path}:1: column {names.index('') + 1 if names else 1} has no name: name it, or leave it out "
            "(pandas: to_csv(index=False))"
        )
    if any(len(name) > LONGEST_NAME or "\n" in name or re.fullmatch(r"[\d.]+", name) for name in names):
        raise PipelineError(f"{path}:1: a row stands where the header was expected: write the columns' names first")
    _check_names(f"{path}:1", names)
    return names


def _check_names(where: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise PipelineError(f"{where}: the column {name!r} stands twice: rename one of them")


def _csv_record(where: str, header: list[str], cells: list[str]) -> Record:
    if not cells:
        raise PipelineError(f"{where}: a blank line: remove it")
    if len(cells) != len(header):
        raise PipelineError(
            f"{where}: {len(cells)} fields, {len(header)} were expected ({', '.join(header)}): quote a text that holds "
            "the separator, and give an empty field its separator"
        )
    return dict(zip(header, cells, strict=True))


def _parquet(path: Path) -> Iterator[tuple[int, Record]]:
    import pyarrow
    from pyarrow import parquet

    number = 0
    path.open("rb").close()  # an OSError of this is the disk's; one that Arrow raises below is the data's
    try:
        file = parquet.ParquetFile(path)
        _check_names(str(path), file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=PARQUET_BATCH):
            for record in batch.to_pylist():
                number += 1
                yield number, record
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise PipelineError(f"{path}:row {number + 1}: unreadable Parquet ({reason}): write the file again") from None


READERS = {".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _csv, ".parquet": _parquet}
