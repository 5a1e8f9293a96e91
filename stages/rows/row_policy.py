"""What happens to a row that a check flags: dropped, masked or kept, as params.yaml says, and counted either way."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeVar, cast

from stages.arabic.normalise import light
from stages.arabic.personal import mask
from stages.core.files import Row
from stages.core.params import Data
from stages.core.schema import DroppedRow, Messages
from stages.rows.conventions import contents
from stages.rows.row_flags import flags_of
from stages.rows.user_groups import words_of

EXAMPLES_PER_REASON = 5  # of each flag and each reason, shown in metrics/data.json and metrics/data.md
SHOWN_CHARACTERS = 160
SAME, NEAR = "says the same as a row before it", "a near copy of a row before it"
ASKED = "shares its words with an evaluation set"
COPY_REASONS = (SAME, NEAR)
TEXT_FIELDS = ("prompt", "completion", "chosen", "rejected")

R = TypeVar("R", bound=Mapping[str, object])


@dataclass
class Tally:
    """What was seen so far: flags by name, dropped rows by reason, and the first examples of each."""

    flags: Counter[str] = field(default_factory=Counter)
    masked: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def example(self, name: str, place: str, row: Mapping[str, object]) -> None:
        if len(self.examples[name]) < EXAMPLES_PER_REASON:
            shown = {key: _shown(" ".join(contents(row, key))) for key in TEXT_FIELDS if key in row}
            self.examples[name].append({"place": place, "id": row.get("id")} | shown)

    def drop(self, place: str, row: Mapping[str, object], reason: str, message: str = "") -> DroppedRow:
        """Count a dropped row; returns how `dropped.jsonl` names it."""
        self.dropped[reason] += 1
        self.example(f"dropped: {reason}", place, row)
        return {"place": place, "id": cast("str | None", row.get("id")), "reason": message or reason}

    def as_row(self) -> Row:
        return {
            "flags": dict(self.flags),
            "masked_rows": self.masked,
            "dropped": dict(self.dropped),
            "examples": dict(self.examples),
        }


def screen(row: R, place: str, data: Data, tally: Tally) -> tuple[R | None, DroppedRow | None]:
    """The row with its ``flags`` (and its personal data masked), or None and the record of its drop."""
    flags = sorted({*cast(list[str], row.get("flags", [])), *flags_of(row, data.limits)})
    actions = {flag: data.policy.get(flag.split(":")[0], "keep") for flag in flags}
    for flag in flags:
        tally.flags[flag] += 1
        tally.example(flag, place, row)
    unwanted = [flag for flag, action in actions.items() if action == "drop"]
    if unwanted:
        return None, tally.drop(place, row, unwanted[0])
    masked = {}
    if "mask" in actions.values():
        tally.masked += 1
        masked = {key: _masked(cast(Messages, row[key])) for key in TEXT_FIELDS if key in row}
    return cast(R, {**row, **masked, "flags": flags}), None


def texts_of(row: Mapping[str, object]) -> Iterator[str]:
    """Every text of a canonical row, of messages and questions alike."""
    yield from contents(row, *TEXT_FIELDS)
    if "question" in row:
        yield str(row["question"])


def row_key(kind: str, row: Mapping[str, object]) -> int:
    """Eight bytes of a hash: equal for rows of one kind and label that say the same, at the light level."""
    said = light(" ".join(texts_of(row)))
    return int.from_bytes(blake2b(f"{kind} {row.get('label')} {said}".encode(), digest_size=8).digest())


def question_and_answers(row: Mapping[str, object]) -> tuple[str, str]:
    """What near duplicates are looked for in: the last turn of the user, and all answers, as folded words."""
    question = cast(Messages, row["prompt"])[-1]["content"]
    answers = contents(row, "completion", "chosen", "rejected")
    return " ".join(words_of(question)), " ".join(words_of(" ".join(answers)))


def _masked(turns: Messages) -> Messages:
    return [{"role": turn["role"], "content": mask(turn["content"])} for turn in turns]


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " ..."
