"""Files of the user's own, read one record at a time: which files a path stands for, and which reader takes each.

What is wrong with a file is one sentence that names the file, the line (the row in JSON, Parquet and spreadsheets) and
the remedy. Memory is constant: a file of a million rows costs no more than one of a thousand. Only the text of a
`.json` file is held whole.
"""

from __future__ import annotations

import glob
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from stages.core.errors import PipelineError
from stages.rows.reading.json_rows import CHUNK, read_json, read_jsonl
from stages.rows.reading.tables import PARQUET_BATCH, read_parquet, read_separated, read_spreadsheet
from stages.rows.reading.text_lines import LARGEST_RECORD, archive_of
from stages.rows.reading.values import Record, Refusal

__all__ = [
    "CHUNK",
    "LARGEST_RECORD",
    "PARQUET_BATCH",
    "Record",
    "expand",
    "place",
    "place_of_rows",
    "read_records",
    "read_rows",
]

Numbered = Iterator[tuple[int, Record | Refusal]]

PLAIN: dict[str, Callable[[Path], Numbered]] = {".jsonl": read_jsonl, ".json": read_json, ".parquet": read_parquet}
# A table's reader takes the names of its columns too, for a file without a header.
TABLES: dict[str, Callable[[Path, tuple[str, ...]], Numbered]] = {
    ".csv": read_separated,
    ".tsv": read_separated,
    ".xlsx": read_spreadsheet,
}
READERS = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".xlsx")
# Read where it is named and holds a table, never found in a folder, whose .txt files are notes.
NAMED_TABLES = {".txt": read_separated}
NUMBERED_BY_ROW = (".json", ".parquet", ".xlsx")
ARCHIVES = (".tar", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst")
# Files that the datasets library writes beside the data.
METADATA = {"dataset_info.json", "dataset_infos.json", "state.json"}


def expand(path: str) -> list[Path]:
    """The data files that a file's name, a folder or a glob stands for, sorted by name.

    A folder is searched to any depth, and what is no data in it (a README, hidden files) is passed over. A .zip file is
    read as a folder; one file in it is named as if it were one (`Data.zip/train.csv`).
    """
    root = Path(path).expanduser()
    if root.suffix.lower() == ".zip" and root.is_file():
        return _members(root, "")
    if archive := archive_of(root):
        return _members(archive, root.relative_to(archive).as_posix())
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


def _members(archive: Path, wanted: str) -> list[Path]:
    """The data files within a .zip file, or the one that is wanted."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = sorted(name for name in opened.namelist() if not name.endswith("/"))
    except (zipfile.BadZipFile, OSError) as error:
        raise PipelineError(f"{archive} is no readable zip file ({error}): download or compress it again") from None
    found = [name for name in names if name == wanted] if wanted else [name for name in names if _is_data(Path(name))]
    if not found:
        missing = f"no file {wanted!r}" if wanted else "no data file by itself"
        raise PipelineError(
            f"{archive} holds {missing} (found {', '.join(names[:20]) or 'nothing'}): name one of them, as in "
            f"{archive}/{names[0] if names else 'train.csv'}, or unzip it"
        )
    return [archive / name for name in found]


def read_rows(path: Path, columns: tuple[str, ...] = ()) -> Numbered:
    """Yield ``(number, record)``, or the number and what is wrong with that row.

    The number is the line in JSONL, CSV and TSV, and the row in JSON, Parquet and spreadsheets. ``columns`` are the
    names of a table without a header. Raises PipelineError for a file that cannot be read, holds no row, or breaks its
    format so that no further row can be told.
    """
    suffix = _format(path)
    table = (TABLES | NAMED_TABLES).get(suffix)
    if columns and not table:
        raise PipelineError(
            f"{path}: the source's columns are a list, which names the columns of a table without a header: for "
            f"{suffix}, map them as in `columns: {{prompt: theirs, completion: theirs}}`"
        )
    number = 0
    try:
        for number, record in table(path, columns) if table else PLAIN[suffix](path):
            yield number, record
    except OSError as error:
        raise PipelineError(f"{path} cannot be read ({error.strerror or error}): check its name and rights") from None
    if not number:
        raise PipelineError(f"{path} is empty: write rows into it, or take it out of the source")


def read_records(path: Path) -> Iterator[tuple[int, Record]]:
    """Yield ``(number, record)``; raises PipelineError for the first row that is wrong, too."""
    for number, record in read_rows(path):
        if isinstance(record, Refusal):
            raise PipelineError(f"{place(path, number)}: {record}")
        yield number, record


def place(path: Path, number: int) -> str:
    """How a record is named in messages and metrics: ``file:line``, or ``file:row n`` where rows are counted."""
    return f"{place_of_rows(path)}{number}"


def place_of_rows(path: Path) -> str:
    """What stands before the number in every place of a file."""
    return f"{path}:row " if _format(path) in NUMBERED_BY_ROW else f"{path}:"


def _is_data(file: Path) -> bool:
    hidden = any(part.startswith((".", "~$", "__MACOSX")) for part in file.parts)
    return not hidden and file.name not in METADATA and _suffix(file) in READERS and not _is_zipped_parquet(file)


def _format(path: Path) -> str:
    """The suffix that decides how a file is read, without ``.gz``."""
    suffix = _suffix(path)
    if suffix in ARCHIVES:
        raise PipelineError(f"{path}: an archive or a compression that is not read: unpack it, and name its files")
    if suffix == ".xls":
        raise PipelineError(f"{path}: the spreadsheet of an older Excel: save it as .xlsx or .csv")
    if suffix not in READERS and suffix not in NAMED_TABLES:
        raise PipelineError(f"{path}: unknown kind of file {suffix or 'without a suffix'!r}: use {_known()}")
    if _is_zipped_parquet(path):
        raise PipelineError(f"{path}: Parquet is compressed inside and cannot be streamed from gzip: gunzip it")
    return suffix


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _is_zipped_parquet(path: Path) -> bool:
    return path.name.lower().endswith(".parquet.gz")


def _known() -> str:
    return ", ".join(READERS) + " (all but Parquet also with .gz or in a .zip)"
