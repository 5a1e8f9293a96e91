"""Bytes of a text file as lines of UTF-8: what is damaged or in another encoding is one sentence with its line.

A file may lie in a .gz file, or within a .zip file, whose name then stands in the path like a folder's.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from stages.core.errors import PipelineError

Bytes = io.BufferedReader | gzip.GzipFile | IO[bytes]

LARGEST_RECORD = 4 * 2**20  # bytes of one line, or characters of one JSON object: more is a broken file, not a text


def archive_of(path: Path) -> Path | None:
    """The .zip file that a path leads into, or none."""
    return next((parent for parent in path.parents if parent.suffix.lower() == ".zip" and parent.is_file()), None)


def open_bytes(path: Path) -> Bytes:
    if archive := archive_of(path):
        try:
            return zipfile.ZipFile(archive).open(path.relative_to(archive).as_posix())
        except (zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError) as error:
            raise PipelineError(f"{path} cannot be read ({error}): unzip {archive} and name its files") from None
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def read_bytes(path: Path, file: Bytes, where: int, size: int, *, line: bool) -> bytes:
    """The next line, or ``size`` bytes at most; a damaged gzip file is an error at the line ``where``."""
    try:
        # What is whole before the damage is given first.
        return file.readline(size) if line else file.read1(size)  # type: ignore[union-attr]
    except EOFError:
        raise PipelineError(f"{path}:{where}: the gzip file is cut off here: download or compress it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise PipelineError(f"{path}:{where}: damaged gzip data ({error}): download or compress it again") from None
    except zipfile.BadZipFile as error:
        raise PipelineError(f"{path}:{where}: damaged zip data ({error}): download or compress it again") from None


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield ``(number from 1, text with its newline)``; a byte order mark at the beginning is passed over."""
    number = 0
    with open_bytes(path) as file:
        while line := read_bytes(path, file, number + 1, LARGEST_RECORD + 1, line=True):
            number += 1
            if len(line) > LARGEST_RECORD:
                raise PipelineError(
                    f"{path}:{number}: the line is longer than {LARGEST_RECORD // 2**20} MiB: split it into rows"
                )
            check_bytes(path, number, line, first=number == 1)
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise wrong_encoding(path, number, line, f" at byte {error.start} of the line") from None
            yield number, text.removeprefix("\ufeff") if number == 1 else text


def check_bytes(path: Path, number: int, data: bytes, *, first: bool) -> None:
    """Refuse what decodes as UTF-8, or nearly, and is no plain text."""
    if first and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise wrong_encoding(path, 1, data)
    if (at := data.find(b"\0")) >= 0:
        number += data.count(b"\n", 0, at)
        if _is_utf16(data):
            raise wrong_encoding(path, number, data)
        raise PipelineError(f"{path}:{number}: holds a NUL byte: the file is damaged or no text; remove the byte")


def wrong_encoding(path: Path, number: int, data: bytes, at: str = "") -> PipelineError:
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
