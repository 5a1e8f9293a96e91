"""Files that users reported, and data sets as published, each read as it should be; skipped where they are absent."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import PipelineError
from stages.core.params import OwnTest, Source
from stages.rows.reading.sources import read_source
from stages.scoring.held_out import read_own

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
OWN, PUBLISHED, REAL = SHARED / "cases/own-data", SHARED / "cases/published-data", SHARED / "real"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the files that users reported, in ../shared")

MMLU = ("question", "A", "B", "C", "D", "answer")


def read(path: Path, **settings: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(kind, row) for kind, row, _ in read_source(Source("mine", str(path), license="x", **settings))]


def last(row: dict[str, Any], field: str) -> str:
    text: str = row[field][-1]["content"]
    return text


# File, settings, and what comes out: kind, number of turns in the prompt, and the answer or label.
READ: dict[str, tuple[dict[str, Any], list[tuple[str, int, Any]]]] = {
    "labelled-feedback-as-sft/kto_messages.jsonl": ({}, [("unpaired", 1, True), ("unpaired", 1, False)]),
    "labelled-feedback-as-sft/kto_alpaca.jsonl": ({}, [("unpaired", 1, True), ("unpaired", 1, False)]),
    "labelled-feedback-as-sft/alpaca_label.jsonl": ({}, [("unpaired", 1, True), ("unpaired", 1, False)]),
    "labelled-feedback-as-sft/sharegpt_rating.jsonl": (
        {"threshold": 3.0},
        [("unpaired", 1, True), ("unpaired", 1, False)],
    ),
    "input-and-history-lost/binary_input.jsonl": ({}, [("unpaired", 1, True), ("unpaired", 1, False)]),
    "input-and-history-lost/pc_input.jsonl": ({}, [("sft", 1, "إيجابي.")]),
    "input-and-history-lost/pairs_input.jsonl": ({}, [("pairs", 1, "افتتحت البلدية يوم السبت حديقة في الحي الشمالي.")]),
    "input-and-history-lost/pairs_history.jsonl": ({}, [("pairs", 3, "يزيد عدد سكانها على مليون نسمة.")]),
    "input-and-history-lost/history.jsonl": (
        {},
        [("sft", 2, "عاصمة عُمان هي مسقط."), ("sft", 4, "يزيد عدد سكانها على مليون نسمة.")],
    ),
    "multi-turn/multiturn.jsonl": ({}, [("sft", 2, "مسقط."), ("sft", 4, "الدوحة."), ("sft", 6, "العفو.")]),
    "turns-not-to-train/weight.jsonl": ({}, [("sft", 1, "أزرق.")]),
    "turns-not-to-train/train_flag.jsonl": ({}, [("sft", 1, "أزرق.")]),
    "reasoning/think_empty.jsonl": ({}, [("sft", 1, "اثنان وأربعون.")]),
    "reasoning/think.jsonl": ({"reasoning": "remove"}, [("sft", 1, "اثنان وأربعون.")]),
    "reasoning/reasoning.jsonl": ({"reasoning": "remove"}, [("sft", 1, "اثنان وأربعون.")]),
    "sharegpt-as-found/lf_pairs.jsonl": ({}, [("pairs", 1, "عاصمة عُمان هي مسقط.")]),
    "sharegpt-as-found/caps.jsonl": ({}, [("sft", 1, "مسقط.")]),
    "sharegpt-as-found/developer.jsonl": ({}, [("sft", 2, "مسقط.")]),
    "sharegpt-as-found/parts.jsonl": ({}, [("sft", 1, "مسقط.")]),
    **{
        f"spreadsheets/{name}": (
            {},
            [("sft", 1, "عاصمة عُمان هي مسقط."), ("sft", 1, "لون الليمون أصفر؛ وقد يكون أخضر.")],
        )
        for name in ("semicolon.csv", "tab_in_csv.csv", "split.json", "float_id.parquet")
    },
    "spreadsheets/blank_end.jsonl": ({}, [("sft", 1, "عاصمة عُمان هي مسقط.")]),
}


@pytest.mark.parametrize("name", READ)
def test_a_reported_file_is_read_rightly(name: str) -> None:
    settings, expected = READ[name]
    found = [
        (
            kind,
            len(row["prompt"]),
            row["label"] if "label" in row else last(row, "chosen" if kind == "pairs" else "completion"),
        )
        for kind, row in read(OWN / name, **settings)
    ]
    assert found == expected
    assert not any("flags" in row for _, row in read(OWN / name, **settings))


REFUSED = {
    "reasoning/think.jsonl": "begins with reasoning in <think>",
    "reasoning/reasoning.jsonl": "'messages[1].reasoning_content' holds reasoning",
    "tools-and-images/images.jsonl": "field 'images' would be lost",
    "tools-and-images/tools_col.jsonl": "field 'tools' would be lost",
    "tools-and-images/tool_role.jsonl": "'messages[1].tool_calls' would be lost",
    "tools-and-images/lf_tool.jsonl": "has the role 'function_call'",
    "tools-and-images/null_fields.parquet": "row 2: field 'messages[1].tool_calls' would be lost",
    "sharegpt-as-found/starts_gpt.jsonl": "turn 1 is assistant, user was expected",
    "sharegpt-as-found/ends_user.jsonl": "does not end with an assistant's answer",
    "sharegpt-as-found/two_users.jsonl": "turn 2 is user, assistant was expected",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_reported_file_is_refused_by_name(name: str) -> None:
    with pytest.raises(PipelineError) as caught:
        read(OWN / name)
    assert REFUSED[name] in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_an_index_that_repeats_is_no_id() -> None:
    assert len(read(OWN / "spreadsheets/index_twice.parquet")) == 4


def test_labelled_answers_are_no_test_set() -> None:
    with pytest.raises(PipelineError, match="found unpaired"):
        read_own([OwnTest("mine", str(OWN / "labelled-feedback-as-sft/kto_test.jsonl"))])


@pytest.mark.parametrize("prompts", ["ours", "lm_eval", "oall"])
def test_alghafas_nulls_are_no_options(prompts: Any) -> None:
    found = read_own([OwnTest("mine", str(OWN / "alghafa-nulls/alghafa_null.jsonl"), prompts=prompts)])
    if prompts == "ours":
        assert found["mcq"][0]["choices"] == ["صح", "خطأ"]
    else:
        assert [len(row["item"].continuations) for row in found["harness"]] == [2, 4]


PUBLISHED_READ: dict[str, tuple[dict[str, Any], str, Any]] = {
    "acva-as-published/own.jsonl": ({}, "mcq", 2),
    "alpaca-history/own.jsonl": ({}, "sft", 3),
    "alpaca-nan/own.jsonl": ({}, "sft", 2),
    "byte-order-mark/own.csv": ({}, "sft", 1),
    "byte-order-mark-and-crlf-jsonl/own.jsonl": ({}, "sft", 1),
    "headerless-csv/own.csv": ({"columns": MMLU}, "mcq", 1),
    "index-column/own.csv": ({}, "sft", 1),
    "question-answer/own.jsonl": ({}, "sft", 1),
}


@pytest.mark.parametrize("name", PUBLISHED_READ)
def test_a_file_as_published_is_read(name: str) -> None:
    settings, kind, count = PUBLISHED_READ[name]
    found = read(PUBLISHED / name, **settings)
    assert [found_kind for found_kind, _ in found] == [kind] * count
    assert "nan" not in str(found) and "noinput" not in str(found)


def test_all_bad_rows_are_named_at_once_and_a_table_of_tabs_by_its_columns() -> None:
    with pytest.raises(PipelineError, match=r"2 of its 4 rows cannot be read[\s\S]*own.jsonl:2: [\s\S]*own.jsonl:4: "):
        read(PUBLISHED / "one-bad-row-at-a-time/own.jsonl")
    with pytest.raises(PipelineError, match="no layout has the columns Word, Fine-grained, Coarse-grained"):
        read(PUBLISHED / "tab-separated-csv/own.csv")


IRONY = {"prompt": "Tweets with Decoded emojis", "completion": "Final Annotation"}
VALIDATION = {"query": {"text": "أي الجملتين لا يقبلها العقل؟"}, "sol1": "sent1", "sol2": "sent2"}
# Data set, settings, rows by kind or by the reason why they are left out.
DATA_SETS: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "acva": ({}, {"mcq": 9000}),
    "exams-ar/exam_test.jsonl": ({}, {"mcq": 537}),
    "mmlu-ar": ({"columns": MMLU}, {"mcq": 485}),
    "xquad/xquad.ar.json": ({}, {"sft": 1190}),
    "legal-qa": ({}, {"sft": 3742}),
    "commonsense/Data.zip/Train.txt": ({"columns": VALIDATION}, {"mcq": 10000}),
    "saudi-irony": ({"columns": IRONY, "on_bad_row": "skip"}, {"sft": 1993, "empty turn": 7}),
    "hatecheck": ({"columns": {"prompt": "test_case", "completion": "label_gold"}}, {"sft": 3570}),
    "train/sft.jsonl": ({}, {"sft": 2156}),
    "train/pairs.jsonl": ({}, {"pairs": 3000}),
}


@pytest.mark.parametrize("name", DATA_SETS)
def test_a_published_data_set_loads_with_a_line(name: str) -> None:
    settings, expected = DATA_SETS[name]
    found = Counter(row.get("reason", kind) for kind, row in read(REAL / name, **settings))
    assert found == expected


@pytest.mark.parametrize(
    ("name", "columns"), [("vicuna-ar", {"prompt": "text"}), ("xsafety", ("prompt",))], ids=["vicuna", "xsafety"]
)
def test_prompts_without_answers_are_refused_as_that(name: str, columns: Any) -> None:
    with pytest.raises(PipelineError, match="the rows hold prompts without answers"):
        read(REAL / name, columns=columns)
