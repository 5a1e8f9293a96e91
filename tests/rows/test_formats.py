"""Every kind of file is read record by record, and every way to break one is a sentence with place and remedy."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from stages.core.errors import PipelineError
from stages.rows.reading.formats import CHUNK, LARGEST_RECORD, PARQUET_BATCH, expand, place, read_records

ROWS = [
    {"prompt": "ما عاصمة مصر؟", "completion": "عاصمة مصر هي القاهرة."},
    {"prompt": "ما عاصمة قطر؟", "completion": "الدوحة،\nعلى الخليج."},
]
ROW = '{"prompt": "س", "completion": "ج"}'


def read(path: Path) -> list[tuple[int, dict[str, Any]]]:
    return list(read_records(path))


def refusal(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(PipelineError) as caught:
        read(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def array(rows: list[dict[str, Any]], **layout: Any) -> bytes:
    return json.dumps(rows, ensure_ascii=False, **layout).encode()


def separated(rows: list[dict[str, Any]], separator: str, newline: str = "\n") -> bytes:
    quoted = [[f'"{value}"' for value in row.values()] for row in rows]
    return (newline.join(separator.join(cells) for cells in [list(rows[0]), *quoted]) + newline).encode()


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    ("name", "content", "numbers"),
    [
        ("rows.jsonl", lines(ROWS), (1, 2)),
        ("ROWS.JSONL", lines(ROWS).rstrip(b"\n"), (1, 2)),
        ("rows.json", array(ROWS), (1, 2)),
        ("rows.json", array(ROWS, indent=2), (1, 2)),
        ("rows.json", json.dumps({"version": "1.0", "data": ROWS}).encode(), (1, 2)),
        ("rows.json", lines(ROWS), (1, 2)),
        ("rows.csv", separated(ROWS, ","), (2, 3)),
        ("rows.csv", separated(ROWS, ",", "\r\n").replace("،\n".encode(), "،\r\n".encode()), (2, 3)),
        ("rows.tsv", separated(ROWS, "\t"), (2, 3)),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_every_text_format_gives_the_same_records(
    tmp_path: Path, name: str, content: bytes, numbers: tuple[int, ...], zipped: bool
) -> None:
    path = tmp_path / (name + (".gz" if zipped else ""))
    path.write_bytes(gzip.compress(content) if zipped else content)
    assert read(path) == list(zip(numbers, ROWS, strict=True))


def test_parquet_gives_the_same_records_across_batches(tmp_path: Path) -> None:
    rows = [row | {"turns": [{"role": "user", "content": "س"}], "note": None} for row in ROWS] * PARQUET_BATCH
    assert read(write_parquet(tmp_path / "rows.parquet", rows)) == list(enumerate(rows, start=1))


def test_a_place_names_the_line_or_the_row() -> None:
    assert place(Path("a/b.jsonl.gz"), 7) == "a/b.jsonl.gz:7"
    assert place(Path("b.csv"), 7) == "b.csv:7"
    assert place(Path("b.json"), 7) == "b.json:row 7"
    assert place(Path("b.parquet"), 7) == "b.parquet:row 7"


def test_a_csv_record_of_several_lines_is_named_by_its_first(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('a,b\n1,"x\ny\nz"\n2,w\n', encoding="utf-8")
    assert read(path) == [(2, {"a": "1", "b": "x\ny\nz"}), (5, {"a": "2", "b": "w"})]


def test_line_separators_of_unicode_do_not_end_a_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"a": "سطر\u2028آخر\u0085هنا\x1cوهنا"}, {"a": "ب\ufeff"}]
    path.write_bytes(lines(rows))
    assert [row for _, row in read(path)] == rows


def test_whole_surrogate_pairs_and_escaped_backslashes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": "\\ud83d\\ude00"}\n{"a": "\\\\ud800"}\n')
    assert [row for _, row in read(path)] == [{"a": "\U0001f600"}, {"a": "\\ud800"}]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.none(), max_size=4), min_size=1))
def test_json_that_was_written_is_read_back_from_either_form(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("json")
    for name, content in (("a.jsonl", lines(rows)), ("b.json", array(rows)), ("c.json", array(rows, indent=1))):
        (folder / name).write_bytes(content)
        assert [row for _, row in read(folder / name)] == rows


@pytest.mark.parametrize("wrapped", [False, True])
def test_json_is_read_across_chunks_wherever_they_are_cut(tmp_path: Path, wrapped: bool) -> None:
    """Rows of 1 to 4,000 characters over six chunks: the cuts fall inside texts, names, numbers and characters."""
    rows = [{"number": index * 7919, "text": "نص" * (index * 31 % 2000)} for index in range(1800)]
    path = tmp_path / "rows.json"
    document = {"version": 12, "data": rows, "end": [1, 2]} if wrapped else rows
    path.write_bytes(json.dumps(document, ensure_ascii=False).encode())
    assert path.stat().st_size > 4 * CHUNK and path.stat().st_size > LARGEST_RECORD
    assert [row for _, row in read(path)] == rows


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    rows = [{"prompt": f"{index} " + "سؤال " * 30, "completion": "جواب " * 30} for index in range(20_000)]
    path = tmp_path / name
    if name == "rows.parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=1000)
    else:
        content = {"rows.jsonl": lines, "rows.csv": lambda rows: separated(rows, ",")}[name]
        path.write_bytes(content(rows))
    next(iter(read_records(path)))  # imports
    tracemalloc.start()
    assert sum(1 for _ in read_records(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 2**20


@pytest.mark.parametrize(("sign", "times"), [("", 3), ("\U0001f600", 6)])
def test_a_json_array_takes_a_few_times_the_memory_of_its_file(tmp_path: Path, sign: str, times: int) -> None:
    """Python keeps a text at 1, 2 or 4 bytes a character, whichever its widest needs."""
    path = tmp_path / "rows.json"
    path.write_bytes(
        array([{"prompt": f"{index} " + "سؤال " * 60, "completion": f"جواب{sign}"} for index in range(9000)])
    )
    next(iter(read_records(path)))  # imports
    tracemalloc.start()
    assert sum(1 for _ in read_records(path)) == 9000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < times * path.stat().st_size


def test_a_fault_in_a_large_json_file_is_named_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    rows = array([{"text": "نص" * 1000}] * 2 * (LARGEST_RECORD // 4000), indent=1)
    path.write_bytes(rows.replace(b'"text":', b'"text"', 1))
    assert f"{path}:3: not valid JSON: Expecting ':' delimiter (column 10)" in refusal(path)
    path.write_bytes(b'{"a": ' + rows + b', "b": ' + rows + b"}")
    assert "one object with 2 arrays of rows in it" in refusal(path)
    path.write_bytes(array([{"text": "x" * LARGEST_RECORD}]))
    assert f"{path}:1: a row longer than 4 MiB" in refusal(path)


# ---------------------------------------------------------------- files, folders and globs


def test_a_folder_gives_its_data_files_in_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a/c.csv.gz", "a/d.parquet", "README.md", ".cache/x.json", "dataset_infos.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    names = ["a/c.csv.gz", "a/d.parquet", "b.jsonl"]
    assert expand(str(tmp_path)) == [tmp_path / name for name in names]
    assert expand(f"{tmp_path}/**/*.csv.gz") == [tmp_path / "a/c.csv.gz"]
    assert expand(f"{tmp_path}/b.jsonl") == [tmp_path / "b.jsonl"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    path = tmp_path / "rows[1].jsonl"
    path.write_bytes(b"")
    assert expand(str(path)) == [path]


@pytest.mark.parametrize(
    ("path", "phrase"),
    [
        ("none.jsonl", "matches no file: mend the path"),
        ("*.jsonl", "matches no file: mend the path"),
        ("empty", "holds no data file (found nothing): put files ending in .jsonl, .json, .csv, .tsv, .parquet"),
        ("notes", "holds no data file (found .md, .txt): put files ending in"),
    ],
)
def test_a_path_without_data_is_refused(tmp_path: Path, path: str, phrase: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.md").write_text("a")
    (tmp_path / "notes/b.txt").write_text("b")
    with pytest.raises(PipelineError) as caught:
        expand(str(tmp_path / path))
    assert str(caught.value).startswith(f"{tmp_path / path} ")
    assert phrase in str(caught.value)


# ---------------------------------------------------------------- what is refused

JSONL = f"{ROW}\n".encode()
ARRAY = f"[{ROW},\n".encode()
CSV = b"prompt,completion\n"
CP1256 = '{"prompt": "ما عاصمة مصر؟"}\n'.encode("cp1256")

BAD_FILES = {
    "broken JSON": ("a.jsonl", JSONL + b'{"prompt": \n', ":2: not valid JSON", "mend or remove the line"),
    "two rows in a line": (
        "a.jsonl",
        JSONL + ROW.encode() * 2 + b"\n",
        ":2: not valid JSON",
        "mend or remove the line",
    ),
    "array in JSONL": ("a.jsonl", b"[\n" + ROW.encode() + b"\n]\n", ":1: not valid JSON", "one array .json"),
    "Windows-1256": ("a.jsonl", JSONL + CP1256, ":2: not UTF-8 at byte 12", "iconv -f cp1256 -t UTF-8"),
    "ISO 8859-6": (
        "a.jsonl",
        JSONL + '{"a": "ما عاصمة مصر"}\n'.encode("iso8859_6"),
        ":2: not UTF-8 at byte 7",
        "iconv -f ISO-8859-6",
    ),
    "Windows-1252": ("a.jsonl", '{"a": "café ü"}\n'.encode("cp1252"), ":1: not UTF-8 at byte 10", "iconv -f cp1252"),
    "UTF-8 with a damaged byte": (
        "a.jsonl",
        JSONL + '{"a": "مرحبا بكم"}'.encode().replace("ح".encode(), b"\xd8") + b"\n",
        ":2: not UTF-8 at byte 11",
        "damaged bytes: write the line again",
    ),
    "UTF-16": ("a.jsonl", f"{ROW}\n".encode("utf-16"), ":1: not UTF-8; it looks like UTF-16", "iconv -f UTF-16"),
    "UTF-16 without mark": (
        "a.jsonl",
        f"{ROW}\n".encode("utf-16-le"),
        ":1: not UTF-8; it looks like UTF-16",
        "iconv -f UTF-16",
    ),
    "NUL byte": ("a.jsonl", JSONL + b'{"prompt": "\0"}\n', ":2: holds a NUL byte", "remove the byte"),
    "empty file": ("a.jsonl", b"", " is empty", "write rows into it"),
    "giant line": (
        "a.jsonl",
        JSONL + b'{"a": "' + b"x" * LARGEST_RECORD + b'"}\n',
        ":2: the line is longer than 4 MiB",
        "split it into rows",
    ),
    "truncated gzip": (
        "a.jsonl.gz",
        gzip.compress(JSONL * 2)[:-8],
        ":3: the gzip file is cut off",
        "compress it again",
    ),
    "no gzip at all": ("a.jsonl.gz", JSONL, ":1: damaged gzip data", "download or compress it again"),
    "corrupt gzip": (
        "a.jsonl.gz",
        gzip.compress(JSONL)[:-8] + bytes(8),
        ":2: damaged gzip data",
        "download or compress it again",
    ),
    "blank line": ("a.jsonl", JSONL + b"\n" + JSONL, ":2: a blank line", "remove it"),
    "row that is no object": ("a.jsonl", JSONL + b"[1]\n", ":2: a JSON object was expected, found list", "write one"),
    "key twice": ("a.jsonl", JSONL + b'{"a": {"b": 1, "b": 2}}\n', ":2: the key 'b' stands twice", "keep one of them"),
    "NaN": ("a.jsonl", JSONL + b'{"rating": NaN}\n', ":2: NaN is no JSON number", "write null"),
    "infinity": ("a.jsonl", JSONL + b'{"rating": -Infinity}\n', ":2: -Infinity is no JSON number", "write null"),
    "number out of range": ("a.jsonl", b'{"rating": 1e999}\n', ":1: 1e999 is no JSON number", "write null"),
    "endless integer": (
        "a.jsonl",
        b'{"a": ' + b"9" * 5000 + b"}\n",
        ":1: a value out of range",
        "mend or remove the row",
    ),
    "deep nesting": (
        "a.jsonl",
        b'{"a": ' + b"[" * 99_999 + b"\n",
        ":1: brackets nested too deep",
        "mend or remove the row",
    ),
    "half a surrogate pair": ("a.jsonl", JSONL + b'{"a": "\\ud800"}\n', ":2: half of a surrogate pair", "remove it"),
    "unknown suffix": ("a.txt", JSONL, ": unknown kind of file '.txt'", "use .jsonl, .json, .csv, .tsv, .parquet"),
    "no suffix": ("rows", JSONL, ": unknown kind of file 'without a suffix'", "use .jsonl"),
    "JSON: empty": ("a.json", b" \n", " is empty", "write rows into it"),
    "JSON: no rows": ("a.json", b"[]", " is empty", "write rows into it"),
    "JSON: a text": ("a.json", b'"text"', ":1: an array of objects was expected, found '\"'", "an array of objects"),
    "JSON: broken row": (
        "a.json",
        ARRAY + b'{"prompt": ]}]',
        ":2: not valid JSON: Expecting value (column 12)",
        "mend",
    ),
    "JSON: cut off": (
        "a.json",
        ARRAY + ROW.encode(),
        ":2: not valid JSON: ',' was expected",
        "the file may be cut off",
    ),
    "JSON: cut off in a row": (
        "a.json",
        ARRAY + b'{"prompt": "x',
        ":2: not valid JSON: Unterminated string",
        "mend the row",
    ),
    "JSON: comma at the end": ("a.json", ARRAY + b"]", ":2: not valid JSON: Expecting value", "mend the row"),
    "JSON: data behind the end": ("a.json", f"[{ROW}]\n[]".encode(), ":2: something follows the end", "remove it"),
    "JSON: row that is no object": (
        "a.json",
        ARRAY + b"7]",
        ":row 2: a JSON object was expected, found int",
        "an array of",
    ),
    "JSON: one row only": ("a.json", ROW.encode(), ":1: one object with 0 arrays", "write one array of objects"),
    "JSON: key twice": ("a.json", ARRAY + b'{"a": 1, "a": 2}]', ":2: the key 'a' stands twice", "keep one of them"),
    "JSON: NaN": ("a.json", ARRAY + b'{"a": NaN}]', ":2: NaN is no JSON number", "write null"),
    "JSON: half a surrogate pair": (
        "a.json",
        ARRAY + b'{"a": "\\uDFFF"}]',
        ":2: half of a surrogate pair",
        "remove it",
    ),
    "JSON: NUL byte": ("a.json", ARRAY + b"\0", ":2: holds a NUL byte", "remove the byte"),
    "JSON: Windows-1256": ("a.json", ARRAY + CP1256, ":2: not UTF-8; it looks like Windows-1256", "iconv -f cp1256"),
    "JSON: cut inside a letter": (
        "a.json",
        ARRAY + b'{"a": "\xd8',
        ":2: the file is cut off inside a letter",
        "write it again",
    ),
    "JSON: open quote in a large file": (
        "a.json",
        ARRAY + b'{"a": "' + b"x" * (LARGEST_RECORD + CHUNK),
        ":2: a row longer than 4 MiB, or a bracket or quote left open",
        "mend it",
    ),
    "JSON: truncated gzip": (
        "a.json.gz",
        gzip.compress(ARRAY * 9)[:-12],
        ": the gzip file is cut off",
        "compress it again",
    ),
    "CSV: empty": ("a.csv", b"", " is empty", "write rows into it"),
    "CSV: header only": ("a.csv", CSV, " is empty", "write rows into it"),
    "CSV: too many fields": (
        "a.csv",
        CSV + "س,ج\nس,ج،,زيادة\n".encode(),
        ":3: 3 fields, 2 were expected",
        "quote a text",
    ),
    "CSV: too few fields": ("a.csv", CSV + "س\n".encode(), ":2: 1 fields, 2 were expected", "give an empty field"),
    "CSV: long text for a header": (
        "a.csv",
        f"{'سؤال ' * 20},ج\nس,ج\n".encode(),
        ":1: a row stands where",
        "names first",
    ),
    "CSV: number for a header": ("a.csv", b"1,2\n3,4\n", ":1: a row stands where", "write the columns' names first"),
    "CSV: column without a name": ("a.csv", b"prompt,,b\nx,y,z\n", ":1: column 2 has no name", "to_csv(index=False)"),
    "CSV: unnamed texts": ("a.csv", b",prompt\nx,y\n", ":2: column 1 has no name and holds 'x'", "to_csv(index=False)"),
    "CSV: unnamed labels": ("a.csv", b",a\n0,y\n1,y\n0,y\n", ":4: column 1 has no name and holds '0'", "name it"),
    "text that is no table": ("a.txt", b"a line\nand another\n", ": unknown kind of file '.txt'", "tab-separated"),
    "tar": ("a.jsonl.tar.gz", gzip.compress(JSONL), ": an archive", "unpack it"),
    "older Excel": ("a.xls", JSONL, ": the spreadsheet of an older Excel", "save it as .xlsx"),
    "spreadsheet that is none": ("a.xlsx", JSONL, ": unreadable spreadsheet", "save it again"),
    "CSV: column twice": (
        "a.csv",
        b"prompt,prompt\nx,y\n",
        ":1: the column 'prompt' stands twice",
        "rename one of them",
    ),
    "CSV: blank line": ("a.csv", CSV + b"x,y\n\nx,y\n", ":3: a blank line", "remove it"),
    "CSV: open quote": (
        "a.csv",
        CSV + b'x,y\nx,"y\nx,y\n',
        ":3: not valid CSV (unexpected end of data)",
        "close every quote",
    ),
    "CSV: quote inside a quote": ("a.csv", CSV + b'x,"a "b" c"\n', ":2: not valid CSV", "double one inside a text"),
    "CSV: giant field": (
        "a.csv",
        CSV + b'x,"' + b"y\n" * (LARGEST_RECORD // 2 + 1) + b'"\n',
        ":2: not valid CSV (field larger than field limit",
        "close every quote",
    ),
    "CSV: Windows-1256": ("a.csv", CSV + "ما,عاصمة\n".encode("cp1256"), ":2: not UTF-8 at byte 0", "iconv -f cp1256"),
    "CSV: NUL byte": ("a.csv", CSV + b"x,\0\n", ":2: holds a NUL byte", "remove the byte"),
    "Parquet: no Parquet": ("a.parquet", JSONL, ":row 1: unreadable Parquet", "write the file again"),
    "Parquet: empty": ("a.parquet", b"", ":row 1: unreadable Parquet", "write the file again"),
    "Parquet: in gzip": ("a.parquet.gz", gzip.compress(b"PAR1"), ": Parquet is compressed inside", "gunzip it"),
}


@pytest.mark.parametrize(("name", "content", "found", "remedy"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused_with_its_place_and_a_remedy(
    tmp_path: Path, name: str, content: bytes, found: str, remedy: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(str(path))
    assert found in message, message
    assert remedy in message, message


def test_the_rows_before_a_bad_line_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(JSONL * 2 + b"{\n")
    records = read_records(path)
    assert [next(records)[0], next(records)[0]] == [1, 2]
    with pytest.raises(PipelineError, match=r":3: not valid JSON"):
        next(records)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    for name in ("none.jsonl", "none.jsonl.gz", "none.json", "none.csv", "none.parquet"):
        message = refusal(tmp_path / name)
        assert message == f"{tmp_path / name} cannot be read (No such file or directory): check its name and rights"


def test_a_folder_under_a_files_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").mkdir()
    assert "cannot be read (Is a directory)" in refusal(tmp_path / "rows.jsonl")


def test_parquet_without_rows_and_parquet_that_is_cut_off_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"prompt": pa.array([], pa.string())}), path)
    assert f"{path} is empty" in refusal(path)
    whole = write_parquet(path, ROWS).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refusal(path).startswith(f"{path}:row 1: unreadable Parquet")
    parquet.write_table(pa.table([["س"], ["ج"]], names=["prompt", "prompt"]), path)
    assert "the column 'prompt' stands twice: rename one of them" in refusal(path)


def test_parquet_whose_text_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xc7\xe1"))
    parquet.write_table(pa.table({"prompt": broken}), path)
    assert refusal(path).startswith(f"{path}:row 1: unreadable Parquet ('utf-8' codec can't decode")
