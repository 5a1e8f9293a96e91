"""The rows that users reported for their flags: what each should have, and whether the default policy keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stages.core import paths
from stages.core.files import Row
from stages.core.params import load_params
from stages.rows.row_policy import Tally, screen
from tests.support.clones import ROOT

SHARED = ROOT.parent / "shared"
DATA = load_params(ROOT / paths.PARAMS).data
CASES = SHARED / "cases" / "published-data"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the files that users reported, in ../shared")


def turn(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def screened(row: Row) -> tuple[bool, list[str]]:
    """Whether the default policy keeps a row, and its flags."""
    tally = Tally()
    kept, _ = screen(row, "own.jsonl:1", DATA, tally)
    return kept is not None, sorted(tally.flags)


def rows(case: str) -> list[Row]:
    lines = (CASES / case / "own.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {"id": f"own-{place}", "license": "CC-BY-4.0"}
        | {"prompt": turn("user", line["prompt"]), "completion": turn("assistant", line["completion"])}
        for place, line in enumerate(map(json.loads, lines))
    ]


@pytest.mark.parametrize(
    ("case", "kept", "flags"),
    [
        ("persian", False, ["not_arabic"]),
        ("reversed", False, ["reversed"]),
        ("short-foreign-answers", True, []),
        ("lexicon", True, []),
        ("scripture-blessing", True, []),
        ("genealogy", True, []),
    ],
)
def test_a_reported_row_has_the_right_flags(case: str, kept: bool, flags: list[str]) -> None:
    found = rows(case)
    assert [screened(row) for row in found] == [(kept, flags)] * len(found)


@pytest.mark.parametrize("name", ["sft", "pairs", "pairs-test"])
def test_real_rows_are_seldom_flagged(name: str) -> None:
    """What is dropped of published sets quotes scripture, says one thing twice, or came in the wrong encoding."""
    file: Path = SHARED / "real" / "train" / f"{name}.jsonl"
    seen: dict[str, int] = {}
    for line in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        answers = {key: turn("assistant", line[key]) for key in ("completion", "chosen", "rejected") if key in line}
        kept, flags = screened({"id": line["id"], "license": "x", "prompt": turn("user", line["prompt"])} | answers)
        for flag in flags if not kept else ():
            seen[flag] = seen.get(flag, 0) + 1
    assert set(seen) <= {"scripture", "same_answers", "near_same_answers", "tatweel", "bidi_controls", "mojibake"}, seen
