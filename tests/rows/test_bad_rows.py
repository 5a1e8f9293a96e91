"""Bad rows of the user's own stop the run together, each with its line, or are left out by name, up to a share."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import PipelineError
from stages.core.params import Source
from stages.rows.reading.sources import EARLIER, REASONING, read_source


def source(path: Path, rows: list[Any], **settings: Any) -> Source:
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return Source("mine", str(path), license="x", **settings)


def good(count: int) -> list[Any]:
    return [{"prompt": f"سؤال {number}", "completion": f"جواب {number}"} for number in range(count)]


BAD: list[Any] = [
    {"prompt": "", "completion": "ج"},
    {"prompt": "س", "completion": "<think>فكر</think>ج"},
    {"prompt": "س", "completion": "ج", "tools": ["a"]},
    '{"prompt": "س", ',
    "",
    "[1]",
    {"prompt": "س"},
]
REASONS = [
    "empty turn",
    "reasoning",
    "unread field: tools",
    "not valid JSON",
    "blank line",
    "no object",
    "missing column",
]


def test_all_bad_rows_are_listed_at_once_with_line_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with pytest.raises(PipelineError) as caught:
        list(read_source(source(path, [*good(3), *BAD, *good(2)])))
    first, *listed = str(caught.value).splitlines()
    assert first == (
        "source 'mine': 7 of its 12 rows cannot be read: fix them, or set the source's on_bad_row: skip to leave them "
        "out by name"
    )
    assert [line.split(": ")[0] for line in listed] == [f"  {path}:{number}" for number in range(4, 11)]
    assert "field 'prompt' is empty" in listed[0] and "not valid JSON" in listed[3]


def test_twenty_are_listed_and_the_rest_is_counted(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as caught:
        list(read_source(source(tmp_path / "a.jsonl", [*good(1), *BAD[:2] * 15])))
    first, *listed = str(caught.value).splitlines()
    assert "30 of its 31 rows cannot be read" in first and len(listed) == 21
    assert listed[-1] == "  and 10 more; all by reason: empty turn 15, reasoning 15"


def test_one_bad_row_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as caught:
        list(read_source(source(tmp_path / "a.jsonl", [*good(3), BAD[0], *good(2)])))
    assert str(caught.value).startswith(f"{tmp_path}/a.jsonl:4: field 'prompt' is empty")


def test_rows_are_left_out_by_name_where_the_source_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    found = list(read_source(source(path, [*good(133), *BAD], on_bad_row="skip")))
    assert len(found) == 140 and sum(kind == "sft" for kind, _, _ in found) == 133
    skipped = [(row["reason"], where) for kind, row, where in found if kind == "skipped"]
    assert [reason for reason, _ in skipped] == REASONS
    assert [where for _, where in skipped] == [f"{path}:{number}" for number in range(134, 141)]
    assert all(row["message"] for kind, row, _ in found if kind == "skipped")


def test_above_a_share_no_row_is_left_out(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as caught:
        list(read_source(source(tmp_path / "a.jsonl", [*good(93), *BAD[:1] * 4, *BAD[1:4]], on_bad_row="skip")))
    message = str(caught.value)
    assert "7 of its 100 rows cannot be read, and `on_bad_row: skip` leaves out at most 5%" in message
    assert "empty turn 4, reasoning 1, unread field: tools 1, not valid JSON 1" in message
    assert f"the first is {tmp_path}/a.jsonl:94: field 'prompt' is empty" in message


def test_a_file_of_labelled_and_unlabelled_rows_is_refused(tmp_path: Path) -> None:
    """The unlabelled ones would train as answers to imitate, whatever was meant."""
    chat = [{"role": "user", "content": "س"}, {"role": "assistant", "content": "ج"}]
    rows = [{"messages": chat, "label": True}, {"messages": chat, "label": False}, {"messages": chat, "label": None}]
    with pytest.raises(PipelineError, match=r"a.jsonl:3: the row is an answer without a label, where the file's first"):
        list(read_source(source(tmp_path / "a.jsonl", rows)))


def test_what_is_left_out_of_rows_is_counted_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    talk = [{"role": role, "content": role} for role in ("user", "assistant") * 3]
    rows = [{"messages": talk}, {"messages": [*talk[:3], {"role": "assistant", "content": "<think>س</think>ج"}]}]
    left: Counter[str] = Counter()
    found = list(read_source(source(tmp_path / "a.jsonl", rows, turns="last", reasoning="remove"), left))
    assert len(found) == 2 and left == {EARLIER: 3, REASONING: 1}
    assert capsys.readouterr().out == f"source 'mine': 1 {REASONING}\nsource 'mine': 3 {EARLIER}\n"
    found = list(read_source(source(tmp_path / "a.jsonl", rows, reasoning="remove")))
    assert [row["id"] for _, row, _ in found] == [
        *(f"mine-1-turn{n}" for n in (1, 2, 3)),
        "mine-2-turn1",
        "mine-2-turn2",
    ]
