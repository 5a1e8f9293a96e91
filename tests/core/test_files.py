"""What is read is checked line by line; what is written is the same bytes each time, and never half of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stages.core.errors import PipelineError
from stages.core.files import (
    dump_json,
    fingerprint,
    numbered_jsonl,
    read_json,
    read_jsonl,
    replaced_folder,
    rounded,
    sha256,
    write_json,
    write_jsonl,
)


def refusal(path: Path) -> str:
    """The one line with which a JSONL file is refused."""
    with pytest.raises(PipelineError) as caught:
        read_jsonl(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(
    ("content", "line", "expected"),
    [
        (b'{"a": 1}\n{"a": \n', 2, "not valid JSON"),
        (b'{"a": 1}\n{"a": 1} {"b": 2}\n', 2, "not valid JSON"),
        (b'\xef\xbb\xbf{"a": 1}\n', 1, "byte order mark"),
        ('{"a": 1}\n{"a": 2}\n{"a": "قلم"}\n'.encode("cp1256"), 3, "not UTF-8"),
        ('{"a": 1}\n'.encode("utf-16"), 1, "not UTF-8"),
        (b'{"a": 1}\n\n{"a": 2}\n', 2, "not valid JSON"),
        (b'{"a": 1}\n   \n', 2, "not valid JSON"),
        (b'{"a": 1}\n\n', 2, "not valid JSON"),
        (b'{"a": 1}\n[1, 2]\n', 2, "a JSON object was expected, found list"),
        (b'"text"\n', 1, "a JSON object was expected, found str"),
        (b"null\n", 1, "a JSON object was expected, found NoneType"),
    ],
)
def test_a_bad_line_is_refused_with_its_place(tmp_path: Path, content: bytes, line: int, expected: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(f"{path}:{line}: ")
    assert expected in message


def test_a_missing_file_is_refused_with_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert refusal(path).startswith(f"{path} is missing: restore it")
    with pytest.raises(PipelineError, match="is missing: run `dvc repro`"):
        read_json(tmp_path / "summary.json")
    with pytest.raises(PipelineError, match="is missing: run `dvc repro`"):
        sha256(path)


def test_broken_json_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text('{\n  "a": 1,\n  "b":\n}\n', encoding="utf-8")
    with pytest.raises(PipelineError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}:4: not valid JSON")
    assert len(str(caught.value).splitlines()) == 1


def test_lines_are_numbered_from_one_and_the_last_newline_is_optional(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for content in (b'{"a": 1}\n{"a": 2}\n', b'{"a": 1}\n{"a": 2}'):
        path.write_bytes(content)
        assert list(numbered_jsonl(path)) == [(1, {"a": 1}), (2, {"a": 2})]


@pytest.mark.parametrize("rows", [[], [{"id": "a", "text": "سؤال؟"}], [{"b": [1.5, None]}, {"a": {"c": True}}]])
def test_rows_that_were_written_are_read_back_be_they_none(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, rows)
    assert read_jsonl(path) == rows


def test_a_line_separator_inside_a_text_does_not_split_a_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"text": "سطر\u2028آخر\u0085هنا\nوهنا"}, {"text": "ب"}]
    write_jsonl(path, rows)
    assert path.read_bytes().count(b"\n") == 2
    assert read_jsonl(path) == rows


def test_the_same_value_is_the_same_bytes_whatever_the_order_of_its_keys(tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    write_json(one, {"b": 1 / 3, "a": {"y": [1, 2.0], "x": "قلم"}})
    write_json(two, {"a": {"x": "قلم", "y": (1, 2.0)}, "b": 1 / 3 + 1e-12})
    assert one.read_bytes() == two.read_bytes()
    assert sha256(one) == sha256(two)
    text = one.read_bytes().decode("utf-8")
    assert text.endswith("}\n") and "\r" not in text
    assert "قلم" in text
    assert list(json.loads(text)) == ["a", "b"]


def test_floats_are_written_with_six_significant_digits_at_any_depth() -> None:
    value = {"a": [0.123456789, {"b": 1234567.89}], "c": 5e-07, "n": 123456789, "t": True}
    assert rounded(value) == {"a": [0.123457, {"b": 1234570.0}], "c": 5e-07, "n": 123456789, "t": True}
    assert rounded(rounded(value)) == rounded(value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_cannot_carry_is_refused_and_the_old_file_stays(tmp_path: Path, number: float) -> None:
    path = tmp_path / "summary.json"
    write_json(path, {"loss": 1.0})
    before = path.read_bytes()
    for write, value in ((write_json, {"per_seed": [1.0, number]}), (write_jsonl, [{"loss": {"final": number}}])):
        with pytest.raises(PipelineError, match=f"a metric is {number}"):
            write(path, value)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["summary.json"]


def test_writing_makes_the_folders_and_leaves_nothing_else_behind(tmp_path: Path) -> None:
    write_json(tmp_path / "a/b/summary.json", {})
    assert [item.name for item in (tmp_path / "a/b").iterdir()] == ["summary.json"]


def test_a_replaced_folder_holds_what_the_block_wrote_and_nothing_older(tmp_path: Path) -> None:
    folder = tmp_path / "out/rows"
    for name in ("first", "second"):
        with replaced_folder(folder) as fresh:
            (fresh / name).write_text(name)
            assert not (folder / name).exists()
    assert [item.name for item in folder.iterdir()] == ["second"]
    assert [item.name for item in folder.parent.iterdir()] == ["rows"]


def test_a_block_that_fails_leaves_the_old_folder_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    with replaced_folder(folder) as fresh:
        (fresh / "good").write_text("old")
    with pytest.raises(ZeroDivisionError), replaced_folder(folder) as fresh:
        (fresh / "good").write_text("new")
        (fresh / "half").write_text("")
        raise ZeroDivisionError
    assert {item.name: item.read_text() for item in folder.iterdir()} == {"good": "old"}


def test_what_a_failed_block_left_does_not_enter_the_next_one(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    with pytest.raises(ZeroDivisionError), replaced_folder(folder) as fresh:
        (fresh / "half").write_text("")
        raise ZeroDivisionError
    assert not folder.exists()
    with replaced_folder(folder) as fresh:
        (fresh / "whole").write_text("")
    assert [item.name for item in folder.iterdir()] == ["whole"]


def test_a_fingerprint_depends_on_the_value_and_not_on_the_order_of_its_keys() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1, "b": [2]}) != fingerprint({"a": 1, "b": [3]})
    assert dump_json({"b": 1, "a": 2}) == dump_json({"a": 2, "b": 1})
