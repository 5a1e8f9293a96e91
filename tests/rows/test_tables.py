"""Files as people have them: marks, line ends, separators, index columns, spreadsheets, and what pandas writes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
from openpyxl import Workbook

from stages.core.errors import PipelineError
from stages.core.params import Source
from stages.rows.reading.formats import expand, place, read_records
from stages.rows.reading.sources import read_source

ROWS = [
    {"prompt": "ما عاصمة مصر؟", "completion": "القاهرة."},
    {"prompt": "ما لون الليمون؟", "completion": "أصفر؛ وقد يكون أخضر، أو بينهما."},
]
LINES = [json.dumps(row, ensure_ascii=False) for row in ROWS]


def read(path: Path) -> list[dict[str, Any]]:
    return [record for _, record in read_records(path)]


def csv(separator: str = ",", end: str = "\n") -> str:
    return end.join([separator.join(ROWS[0]), *(separator.join(f'"{x}"' for x in row.values()) for row in ROWS)]) + end


FILES: dict[str, tuple[str, str]] = {
    "mark in CSV": ("a.csv", "\ufeff" + csv(end="\r\n")),
    "mark in JSONL": ("a.jsonl", "\ufeff" + "\n".join(LINES)),
    "mark in JSON": ("a.json", "\ufeff" + json.dumps(ROWS)),
    "CRLF in JSONL": ("a.jsonl", "\r\n".join(LINES) + "\r\n"),
    "CRLF in JSON": ("a.json", json.dumps(ROWS, indent=1).replace("\n", "\r\n")),
    "blank lines at the end": ("a.jsonl", "\n".join(LINES) + "\n\n  \r\n\n"),
    "blank lines at the end of CSV": ("a.csv", csv() + "\n\n"),
    "empty rows at the end of CSV": ("a.csv", csv() + ",\n,\n"),
    "blank line before the header": ("a.csv", "\n" + csv()),
    "semicolons": ("a.csv", csv(";")),
    "tabs": ("a.csv", csv("\t")),
    "bars": ("a.csv", csv("|")),
    "commas in .tsv": ("a.tsv", csv()),
    "tabs in .txt": ("a.txt", csv("\t")),
    "separators behind the last column": ("a.csv", csv().replace("\n", ",,\n")),
    "separator named by Excel": ("a.csv", "sep=;\r\n" + csv(";", "\r\n")),
    "index of pandas": ("a.csv", pandas.DataFrame(ROWS).to_csv()),
    "index of a part": ("a.csv", pandas.DataFrame(ROWS, index=[7, 12]).to_csv()),
    "pandas by columns": ("a.json", pandas.DataFrame(ROWS).to_json()),
    "pandas by index": ("a.json", pandas.DataFrame(ROWS).to_json(orient="index")),
    "pandas split": ("a.json", pandas.DataFrame(ROWS).to_json(orient="split")),
    "pandas records": ("a.json", pandas.DataFrame(ROWS).to_json(orient="records")),
    "pandas lines": ("a.json", pandas.DataFrame(ROWS).to_json(orient="records", lines=True)),
}


@pytest.mark.parametrize(("name", "text"), FILES.values(), ids=FILES)
def test_a_file_is_read_as_people_have_it(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert read(tmp_path / name) == ROWS


def test_lines_keep_their_numbers_behind_a_mark_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\ufeff" + "\r\n".join([*LINES, "{"]), encoding="utf-8", newline="")
    with pytest.raises(PipelineError, match=r"a.jsonl:3: not valid JSON"):
        read(path)


def test_a_comma_in_a_text_does_not_hide_the_separator(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("question;answer\nأ، ب, ج؟;نعم, لا\nس؟;ج\n", encoding="utf-8")
    assert read(path) == [{"question": "أ، ب, ج؟", "answer": "نعم, لا"}, {"question": "س؟", "answer": "ج"}]


def test_a_row_of_another_width_does_not_change_the_separator(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1;2,3\nx,y,z\n", encoding="utf-8")
    with pytest.raises(PipelineError, match=r"a.csv:3: 3 fields, 2 were expected \(a, b\)"):
        read(path)


def test_the_header_of_a_second_table_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(csv() * 2, encoding="utf-8")
    with pytest.raises(PipelineError, match=r"a.csv:4: the names of the columns again: remove the line"):
        read(path)


# ---------------------------------------------------------------- spreadsheets


def sheet(path: Path, *sheets: list[list[Any]]) -> Path:
    book = Workbook()
    book.remove(book.active)
    for rows in sheets:
        page = book.create_sheet()
        for row in rows:
            page.append(row)
    book.save(path)
    return path


def test_a_spreadsheet_is_read_as_the_table_that_it_is(tmp_path: Path) -> None:
    rows = [["id", "prompt", "completion", "rating"], [1, "س", "ج", 4.0], [2.0, "ص", 7, 0.5], [None, "ع", "غ", True]]
    path = sheet(tmp_path / "a.xlsx", [], [*rows, [None] * 4, []], [[None]])
    assert list(read_records(path)) == [
        (2, {"id": "1", "prompt": "س", "completion": "ج", "rating": "4"}),
        (3, {"id": "2", "prompt": "ص", "completion": "7", "rating": "0.5"}),
        (4, {"id": "", "prompt": "ع", "completion": "غ", "rating": "True"}),
    ]
    assert place(path, 2) == f"{path}:row 2"
    assert expand(str(tmp_path)) == [path]


def test_a_spreadsheet_of_two_tables_and_one_of_none_are_refused(tmp_path: Path) -> None:
    rows = [["prompt", "completion"], ["س", "ج"]]
    with pytest.raises(PipelineError, match=r"2 sheets hold rows \('Sheet', 'Sheet1'\): save each as a file"):
        read(sheet(tmp_path / "a.xlsx", rows, rows))
    with pytest.raises(PipelineError, match=r"b.xlsx is empty: write rows into it"):
        read(sheet(tmp_path / "b.xlsx", []))
    with pytest.raises(PipelineError, match=r"c.xlsx:row 3: a blank line|c.xlsx:row 3: .*is empty"):
        list(read_source(Source("m", str(sheet(tmp_path / "c.xlsx", [*rows, [], ["ص", "غ"]])), license="x")))


# ---------------------------------------------------------------- SQuAD


def squad(*questions: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "1.1",
        "data": [{"title": "لون", "paragraphs": [{"context": "البحر أزرق.", "qas": [*questions]}]}],
    }


def question(number: int, *answers: str, **more: Any) -> dict[str, Any]:
    found = [{"text": text, "answer_start": 0} for text in answers]
    return {"id": f"q-{number}", "question": f"سؤال {number}", "answers": found} | more


def test_squads_questions_are_answered_from_their_passage_and_those_without_an_answer_are_named(tmp_path: Path) -> None:
    path = tmp_path / "squad.json"
    unanswered = question(2, is_impossible=True, plausible_answers=[{"text": "أحمر", "answer_start": 0}])
    path.write_text(json.dumps(squad(question(1, "أزرق", "أزرق غامق"), unanswered)), encoding="utf-8")
    (kind, row, where), (left, reason, _) = read_source(Source("m", str(path), license="x"))
    assert (kind, where, row["id"]) == ("sft", f"{path}:row 1", "m-q-1")
    assert row["prompt"][0]["content"] == "البحر أزرق.\n\nسؤال 1"
    assert row["completion"][0]["content"] == "أزرق"
    assert (left, reason["reason"]) == ("skipped", "no answer in the passage")


# ---------------------------------------------------------------- archives


def zipped(path: Path, **files: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "."), text)
    return path


def test_a_zip_file_is_read_as_a_folder_and_one_of_its_files_by_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "Data.zip", a__csv=csv(), notes__txt="a\tb\n1\t2\n", README__md="x")
    assert expand(str(path)) == [path / "a.csv"]
    assert expand(str(path / "notes.txt")) == [path / "notes.txt"]
    assert read(path / "a.csv") == ROWS
    assert read(path / "notes.txt") == [{"a": "1", "b": "2"}]
    assert place(path / "a.csv", 2) == f"{path}/a.csv:2"


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (lambda path: zipped(path, notes__txt="a"), "", "no data file by itself (found notes.txt): name one of them"),
        (lambda path: zipped(path, a__csv="a"), "b.csv", "no file 'b.csv' (found a.csv): name one of them"),
        (lambda path: path.write_bytes(b"PK"), "", "is no readable zip file"),
    ],
)
def test_a_zip_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, make: Callable[[Path], object], name: str, words: str
) -> None:
    make(tmp_path / "Data.zip")
    with pytest.raises(PipelineError) as caught:
        expand(str(tmp_path / "Data.zip" / name))
    assert words in str(caught.value) and len(str(caught.value).splitlines()) == 1
