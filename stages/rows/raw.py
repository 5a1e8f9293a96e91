"""Raw rows: one JSON object a line under `data/raw`, checked at the boundary so that nothing later has to guess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeGuard, TypeVar, cast

from stages.arabic.normalise import light
from stages.core.errors import PipelineError
from stages.core.files import Row, numbered_jsonl
from stages.core.schema import DroppedRow, Origin, RawAnswerRow, RawPairRow, RawSkillRow
from stages.rows.reading.special_tokens import has_special_token

COMMON_FIELDS = ("id", "topic", "source", "license")
TEXT_FIELDS = {
    "instructions": ("prompt", "completion"),
    "skills": ("prompt", "completion", "answer", "task", "level", "wording"),
    "pairs": ("prompt", "chosen", "rejected", "axis"),
    "safety": ("prompt", "chosen", "rejected", "category", "twin"),
    "questions": ("question", "subject", "level"),
    "countries": ("name", "code", "continent", "gender"),
}
# What `stages.scoring.answer_checks.passes` knows; the names stand here too, because preparing data imports no metric.
CHECK_NAMES = ("contains", "not_contains", "exact_words", "max_words", "starts_with", "ends_with", "items")

R_co = TypeVar("R_co", bound=Mapping[str, Any], covariant=True)


@dataclass(frozen=True)
class Raw(Generic[R_co]):
    """A checked raw row and where it stands; ``kind`` is a key of TEXT_FIELDS."""

    kind: str
    file: Path
    line: int
    row: R_co

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def read_folder(folder: Path, kind: str) -> list[Raw[Any]]:
    """Every row of every JSONL file in ``folder``, in name order; an absent folder holds no rows."""
    return [raw for file in sorted(folder.glob("*.jsonl")) for raw in read_file(file, kind)]


def read_file(file: Path, kind: str) -> list[Raw[Any]]:
    """The rows of one file, each as `stages.core.schema` types its kind; PipelineError names file, line and field."""
    rows = []
    for line, row in numbered_jsonl(file):
        raw = Raw(kind, file, line, row)
        check(raw)
        rows.append(raw)
    if not rows:
        raise PipelineError(f"{file} is empty: add rows or remove the file")
    return rows


def check(raw: Raw[Row]) -> None:
    """Raise PipelineError unless the row has its fields, of the right type, with plain text in them."""
    for field in (*COMMON_FIELDS, *TEXT_FIELDS[raw.kind]):
        value = raw.row.get(field)
        if not isinstance(value, str) or not value.strip():
            found = "nothing" if field not in raw.row else repr(value)
            raise PipelineError(f"{raw.place}: field {field!r} must be a non-empty string, found {found}: mend the row")
        if has_special_token(value):
            raise PipelineError(f"{raw.place}: field {field!r} contains a chat template's special token: remove it")
    if raw.kind == "skills":
        _check_skill(raw)
    if raw.kind == "questions":
        _check_question(raw)
    if raw.kind == "safety" and not isinstance(raw.row.get("benign"), bool):
        raise PipelineError(f"{raw.place}: field 'benign' must be true or false")


def _check_skill(raw: Raw[Row]) -> None:
    row = raw.row
    if not isinstance(row.get("entities"), list) or not isinstance(row.get("held_out_wording"), bool):
        raise PipelineError(
            f"{raw.place}: a skill row needs 'entities' (a list) and 'held_out_wording' (true or false)"
        )
    wrong = row.get("wrong")
    if not isinstance(wrong, list) or not all(
        isinstance(item, dict) and isinstance(item.get(field), str) and item[field].strip()
        for item in wrong
        for field in ("answer", "completion")
    ):
        raise PipelineError(f"{raw.place}: field 'wrong' must be a list of objects with 'answer' and 'completion'")
    if any(has_special_token(item[field]) for item in wrong for field in ("answer", "completion")):
        raise PipelineError(f"{raw.place}: field 'wrong' contains a chat template's special token: remove it")
    if len(wrong) != 3 or len({item["answer"] for item in wrong} | {row["answer"]}) != 4:
        raise PipelineError(
            f"{raw.place}: field 'wrong' must hold three answers that differ from each other and 'answer'"
        )
    if "checks" in row:
        _check_checks(raw)


def _check_checks(raw: Raw[Row]) -> None:
    """The optional list of what a program looks for in the answer."""
    checks = raw.row["checks"]
    if not isinstance(checks, list) or not checks:
        raise PipelineError(f"{raw.place}: field 'checks' must be a list that is not empty, or be left out")
    for check in checks:
        if not isinstance(check, dict) or set(check) != {"name", "value"}:
            raise PipelineError(f"{raw.place}: field 'checks' must be a list of objects with 'name' and 'value'")
        if check["name"] not in CHECK_NAMES:
            known = ", ".join(CHECK_NAMES)
            raise PipelineError(f"{raw.place}: field 'checks' names {check['name']!r}, which is none of {known}")
        if not isinstance(check["value"], str) or not check["value"].strip():
            raise PipelineError(f"{raw.place}: field 'checks' needs a non-empty string as the value of {check['name']}")


def _check_question(raw: Raw[Row]) -> None:
    choices, answer = raw.row.get("choices"), raw.row.get("answer")
    if (
        not isinstance(choices, list)
        or len(choices) != 4
        or len({str(choice).strip() for choice in choices} - {""}) != 4
    ):
        raise PipelineError(f"{raw.place}: field 'choices' must be a list of four different answers")
    if type(answer) is not int or not 0 <= answer < 4:
        raise PipelineError(f"{raw.place}: field 'answer' must be the index of the right choice, 0 to 3")


def answers(raws: Iterable[Raw[Origin]]) -> list[Raw[RawAnswerRow]]:
    """The instructions and skill rows: what has a prompt and one right answer."""
    return [cast(Raw[RawAnswerRow], raw) for raw in raws if raw.kind in ("instructions", "skills")]


def instructions(raws: Iterable[Raw[Origin]]) -> list[Raw[RawAnswerRow]]:
    """The hand-written answers among rows of every kind."""
    return [cast(Raw[RawAnswerRow], raw) for raw in raws if raw.kind == "instructions"]


def skills(raws: Iterable[Raw[Origin]]) -> list[Raw[RawSkillRow]]:
    """The rows whose answers a program can check."""
    return [cast(Raw[RawSkillRow], raw) for raw in raws if raw.kind == "skills"]


def pairs(raws: Iterable[Raw[Origin]]) -> list[Raw[RawPairRow]]:
    """The hand-written pairs."""
    return [cast(Raw[RawPairRow], raw) for raw in raws if raw.kind == "pairs"]


def is_skill(row: RawAnswerRow) -> TypeGuard[RawSkillRow]:
    """Whether a program can check the row's answer."""
    return "wrong" in row


R = TypeVar("R", bound=Origin)


def drop_duplicates(raws: Iterable[Raw[R]]) -> tuple[list[Raw[R]], list[DroppedRow]]:
    """Keep the first of rows that say the same (at the light level); returns (kept, dropped with file, line, reason).

    Raises PipelineError for an id that stands twice: the two rows could not be told apart in any metric.
    """
    kept: list[Raw[R]] = []
    dropped: list[DroppedRow] = []
    places: dict[str, str] = {}
    seen: dict[tuple[str, ...], str] = {}
    for raw in raws:
        identity = raw.row["id"]
        if identity in places:
            raise PipelineError(
                f"{raw.place}: id {identity!r} already stands at {places[identity]}: rename one of them"
            )
        places[identity] = raw.place
        text = tuple(
            light(str(text))
            for field in ("prompt", "completion", "chosen", "rejected", "question", "choices")
            if (text := raw.row.get(field)) is not None
        )
        if text in seen:
            dropped.append(drop_record(raw, f"says the same as {seen[text]}"))
            continue
        seen[text] = raw.place
        kept.append(raw)
    return kept, dropped


def drop_record(raw: Raw[Origin], reason: str) -> DroppedRow:
    """How a dropped row is named in metrics/data.json."""
    return {"file": str(raw.file), "line": raw.line, "id": raw.row["id"], "reason": reason}
