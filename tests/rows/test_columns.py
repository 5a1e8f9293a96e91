"""A source says which column is which, what it does not need, and the names of a table without a header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.params import OwnTest, Source, load_params
from stages.rows.reading.sources import read_source
from stages.scoring.held_out import read_own


def rows_of(path: Path, *rows: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return [row for _, row, _ in read_source(Source("mine", str(path), license="x", **settings))]


def texts(row: dict[str, Any]) -> tuple[str, str]:
    return row["prompt"][-1]["content"], row["completion"][0]["content"]


ARABIC = {"سؤال المستخدم": "ما عاصمة مصر؟", "جواب النموذج": "القاهرة.", "تعليق المراجع": "جيد"}
MAP = {"prompt": "سؤال المستخدم", "completion": "جواب النموذج"}


def test_a_map_names_what_is_read_and_the_rest_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = rows_of(tmp_path / "a.jsonl", ARABIC | {"id": "x"}, columns=MAP)
    assert (texts(row), row["id"]) == (("ما عاصمة مصر؟", "القاهرة."), "mine-x")
    assert capsys.readouterr().out == (
        "source 'mine': its columns name what is read, so these are left out: تعليق المراجع\n"
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"input": "القديمة"}, "ما عاصمة مصر؟\n\nالقديمة"),
        ({"المدخل": "القديمة"}, "ما عاصمة مصر؟\n\nالقديمة"),
        ({"history": [["س", "ج"]]}, "ما عاصمة مصر؟"),
    ],
)
def test_a_column_that_has_a_meaning_is_read_though_no_map_names_it(
    tmp_path: Path, more: dict[str, Any], expected: str
) -> None:
    found = rows_of(tmp_path / "a.jsonl", ARABIC | more, columns=MAP)
    assert texts(found[-1])[0] == expected
    assert len(found) == 1 + ("history" in more)


@pytest.mark.parametrize("more", [{"tools": ["a"]}, {"question": "سؤال آخر"}, {"images": ["a.png"]}])
def test_a_column_that_would_change_the_row_is_no_left_over(tmp_path: Path, more: dict[str, Any]) -> None:
    with pytest.raises(PipelineError, match=f"'{next(iter(more))}'"):
        rows_of(tmp_path / "a.jsonl", ARABIC | more, columns=MAP)
    assert len(rows_of(tmp_path / "a.jsonl", ARABIC | more, columns=MAP, ignore=tuple(more))) == 1


def test_every_row_may_get_the_same_text(tmp_path: Path) -> None:
    columns = {"instruction": {"text": "صنف الجملة."}, "input": "text", "output": "class"}
    rows = [{"text": "أحب البحر.", "class": "إيجابي"}, {"text": "تأخر القطار.", "class": "سلبي"}]
    found = rows_of(tmp_path / "a.jsonl", *rows, columns=columns)
    assert [texts(row) for row in found] == [
        ("صنف الجملة.\n\nأحب البحر.", "إيجابي"),
        ("صنف الجملة.\n\nتأخر القطار.", "سلبي"),
    ]
    with pytest.raises(
        PipelineError, match=r"a.jsonl:2: field 'text' is empty, and the rest of the prompt is the same"
    ):
        rows_of(tmp_path / "a.jsonl", rows[0], {"text": "nan", "class": "سلبي"}, columns=columns)


def test_a_map_that_fits_no_row_says_what_the_row_has(tmp_path: Path) -> None:
    with pytest.raises(
        PipelineError, match=r"a.jsonl:1: the source's columns name 'جواب', which the row lacks: it has"
    ):
        rows_of(tmp_path / "a.jsonl", ARABIC, columns={"prompt": "سؤال المستخدم", "completion": "جواب"})


def test_a_list_names_the_columns_of_a_table_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ما عاصمة مصر؟,الرياض,القاهرة,B\nما عاصمة قطر؟,الدوحة,بغداد,A\n", encoding="utf-8")
    columns = ("question", "A", "B", "answer")
    found = list(read_source(Source("m", str(path), license="x", columns=columns)))
    assert [(row["choices"][row["answer"]], where) for _, row, where in found] == [
        ("القاهرة", f"{path}:1"),
        ("الدوحة", f"{path}:2"),
    ]
    assert [row["choices"] for row in read_own([OwnTest("m", str(path), columns=columns)])["mcq"]][1][0] == "الدوحة"
    path.write_text("ما عاصمة مصر؟\tحذف\tالقاهرة.\n", encoding="utf-8")
    (row,) = (row for _, row, _ in read_source(Source("m", str(path), license="x", columns=("prompt", "", "response"))))
    assert texts(row) == ("ما عاصمة مصر؟", "القاهرة.")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "Prompt,completion\nس,ج\n", "this file has its columns' names: take the source's columns out"),
        ("a.csv", "س,ج,د\n", r"a.csv:1: 3 fields, 2 were expected \(prompt, completion\)"),
        ("a.jsonl", '{"prompt": "س"}\n', "the source's columns are a list, which names the columns of a table without"),
    ],
)
def test_a_list_that_does_not_fit_is_one_sentence(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(PipelineError, match=words):
        list(read_source(Source("m", str(tmp_path / name), license="x", columns=("prompt", "completion"))))


def test_prompts_without_answers_are_refused_by_what_they_lack(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="the rows hold prompts without answers"):
        rows_of(tmp_path / "a.jsonl", {"text": "كيف أتعلم؟", "category": "generic"}, columns={"prompt": "text"})


def test_an_index_of_two_tables_is_no_id_and_1_0_is_1(tmp_path: Path) -> None:
    rows = [{"index": index % 2, "prompt": f"س {index}", "completion": "ج"} for index in range(4)]
    assert [row["id"] for row in rows_of(tmp_path / "a.jsonl", *rows)] == [
        "mine-0",
        "mine-1",
        "mine-0-row3",
        "mine-1-row4",
    ]
    rows = [{"id": identity, "prompt": "س", "completion": "ج"} for identity in (7.0, float(8), None)]
    assert [row["id"] for row in rows_of(tmp_path / "a.jsonl", *rows)] == ["mine-7", "mine-8", "mine-3"]


# ---------------------------------------------------------------- as params.yaml has them


def with_source(settings: str) -> Source:
    text = paths.PARAMS.read_text(encoding="utf-8")
    source = f"  sources: [{{name: mine, path: x, license: MIT, {settings}}}]  #"
    paths.PARAMS.write_text(text.replace("  sources: []", source, 1), encoding="utf-8")
    return load_params().data.sources[0]


def test_params_take_a_map_or_a_list(project: Path) -> None:
    found = with_source("columns: {prompt: السؤال, completion: {text: نعم}}, ignore: [notes], turns: last")
    assert found.columns == {"prompt": "السؤال", "completion": {"text": "نعم"}}
    assert (found.ignore, found.turns, found.on_bad_row, found.reasoning) == (("notes",), "last", "stop", "refuse")


def test_params_take_a_list_of_names(project: Path) -> None:
    assert with_source("columns: [question, A, B, '', answer]").columns == ("question", "A", "B", "", "answer")


@pytest.mark.parametrize("columns", ["prompt", "{prompt: 7}", "[1, 2]", "{}", "{prompt: {words: x}}"])
def test_params_refuse_other_columns(project: Path, columns: str) -> None:
    with pytest.raises(PipelineError, match=r"data.sources\[0\].columns is .*: write our names with theirs"):
        with_source(f"columns: {columns}")


@pytest.mark.parametrize("setting", ["on_bad_row: ignore", "turns: first", "reasoning: keep"])
def test_params_refuse_unknown_settings(project: Path, setting: str) -> None:
    with pytest.raises(PipelineError, match=rf"data.sources\[0\].{setting.split(':')[0]} is .*: write one of"):
        with_source(setting)
