"""Reading and writing the project's files: strict JSONL in, byte-stable JSON out, and never a half-written output."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.core.errors import PipelineError

Row = dict[str, Any]

SIGNIFICANT_DIGITS = 6


def read_json(path: Path) -> Any:
    """Parse one JSON file; raises PipelineError naming the file and the line."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: not UTF-8 at byte {error.start}: save the file as UTF-8") from None
    except FileNotFoundError:
        raise _missing(path) from None
    except json.JSONDecodeError as error:
        raise PipelineError(
            f"{path}:{error.lineno}: not valid JSON ({error.msg}): mend the line or remove it"
        ) from None


def read_jsonl(path: Path) -> list[Row]:
    """Read one JSON object a line; raises PipelineError naming the file, the line and what to do."""
    return [row for _, row in numbered_jsonl(path)]


def numbered_jsonl(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield ``(line number from 1, row)``; blank lines are errors too, so that line numbers mean rows."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing: restore it with git, or run `dvc repro` if it is an output") from None
    if data.startswith(b"\xef\xbb\xbf"):
        raise PipelineError(f"{path}:1: starts with a byte order mark: save the file as UTF-8 without BOM")
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()  # what follows the final newline is no line
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise PipelineError(f"{path}:{number}: not UTF-8 at byte {error.start}: save the file as UTF-8") from None
        except json.JSONDecodeError as error:
            raise PipelineError(
                f"{path}:{number}: not valid JSON ({error.msg} at column {error.colno}): mend or remove the line"
            ) from None
        if not isinstance(row, dict):
            raise PipelineError(f"{path}:{number}: a JSON object was expected, found {type(row).__name__}")
        yield number, row


def rounded(value: Any) -> Any:
    """Floats to six significant digits, at any depth: enough for metrics, and stable across reruns."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise PipelineError(f"a metric is {value}: refusing to write a number that JSON and readers cannot trust")
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def dump_json(value: Any) -> str:
    """Sorted, indented, rounded, with a final newline: the same value is the same bytes."""
    return json.dumps(rounded(value), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def write_json(path: Path, value: Any) -> None:
    write_text(path, dump_json(value))


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(rounded(row), ensure_ascii=False, sort_keys=True) + "\n" for row in rows))


def write_text(path: Path, text: str) -> None:
    """Write beside the target and rename, so that a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    os.replace(partial, path)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yield a fresh folder beside ``path`` that takes its place only when the block ends without an error."""
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(path, ignore_errors=True)
    os.replace(partial, path)


def sha256(path: Path) -> str:
    """Of a file's bytes; raises PipelineError where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise _missing(path) from None


def _missing(path: Path) -> PipelineError:
    return PipelineError(f"{path} is missing: run `dvc repro` to make it, or `dvc pull` to fetch it")


def fingerprint(value: Any) -> str:
    """SHA-256 of a JSON value: the name of a run's scratch folder."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
