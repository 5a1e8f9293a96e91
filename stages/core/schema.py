"""The shapes of data that stages hand to each other: types alone, so no stage depends on this file."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict, final

# Prepared rows


class Message(TypedDict):
    """One turn of a chat."""

    role: str
    content: str


Messages = list[Message]


class Origin(TypedDict):
    """What every row says of itself, raw and prepared alike."""

    id: str
    topic: str
    source: str
    license: str


class Check(TypedDict):
    """What a program looks for in an answer: a name that `stages.scoring.answer_checks` knows, and its value."""

    name: str
    value: str


class Answered(TypedDict):
    """A prompt and its answer."""

    prompt: Messages
    completion: Messages


class Labelled(Answered):
    """An answer that was judged: true for a good one."""

    label: bool


class Compared(TypedDict):
    """A prompt with the answer to prefer and one that is worse."""

    prompt: Messages
    chosen: Messages
    rejected: Messages


class PairFields(Compared):
    """A pair with what is wrong in its rejected answer: ``own`` where nobody says."""

    axis: str


class Question(TypedDict):
    """A multiple-choice question; ``answer`` is the index of the right choice."""

    question: str
    choices: list[str]
    answer: int
    subject: str
    level: str


class Screened(Origin):
    """A row that may have been looked through for flags (`stages.rows.row_flags.FLAGS`)."""

    flags: NotRequired[list[str]]


@final
class SftRow(Screened, Answered):
    """A line of sft/<split>.jsonl; ``flaw`` names what was planted in an answer of ours."""

    flaw: NotRequired[str | None]


@final
class PairRow(Screened, PairFields):
    """A line of pairs/<split>.jsonl."""


@final
class UnpairedRow(Screened, Labelled):
    """A line of unpaired/<split>.jsonl; ``pair`` is the id of the pair that it is a half of."""

    pair: NotRequired[str]


@final
class QuestionRow(Screened, Question):
    """A line of mcq.jsonl, culture.jsonl or dialect.jsonl."""

    region: NotRequired[str]
    dialect: NotRequired[str]


OwnRow = SftRow | PairRow | UnpairedRow | QuestionRow  # what a record of the user's becomes


@final
class SkippedRow(TypedDict):
    """A record that is left out: one of few reasons, to be counted, and a sentence about this record."""

    reason: str
    message: str


# Spelled out, because mypy does not narrow a union that lies within a union.
ReadRow = SftRow | PairRow | UnpairedRow | QuestionRow | SkippedRow


class GenerationRow(Screened):
    """A line of generation.jsonl or tuning.jsonl: a prompt, and how its answer is judged."""

    prompt: Messages
    references: list[str]
    checks: list[Check]
    task: str
    wording: Literal["seen", "unseen"]


class SafetyRow(Screened, Compared):
    """A line of safety.jsonl: the twin of a harmful request is a benign one that resembles it."""

    category: str
    benign: bool
    twin: str


class DroppedRow(TypedDict):
    """A line of dropped.jsonl: a raw row's file and line, or a prepared row's place, and why it was dropped."""

    id: str | None
    reason: str
    place: NotRequired[str]
    file: NotRequired[str]
    line: NotRequired[int]


# Raw rows, as `stages.rows.raw` checks them


class Wrong(TypedDict):
    """A near miss: a wrong value, and the sentence of the completion with that value in it."""

    answer: str
    completion: str


class RawAnswerRow(Origin):
    """A line of data/raw/instructions."""

    prompt: str
    completion: str


class RawSkillRow(RawAnswerRow):
    """A line of data/raw/skills; ``checks`` stand where a contained answer would not tell enough."""

    answer: str
    task: str
    level: str
    wording: str
    held_out_wording: bool
    entities: list[str]
    wrong: list[Wrong]
    checks: NotRequired[list[Check]]


class RawPairRow(Origin):
    """A line of data/raw/pairs."""

    prompt: str
    chosen: str
    rejected: str
    axis: str


class RawSafetyRow(Origin):
    """A line of data/raw/evaluation/safety.jsonl."""

    prompt: str
    chosen: str
    rejected: str
    category: str
    benign: bool
    twin: str


class RawQuestionRow(Origin, Question):
    """A line of data/raw/evaluation/culture.jsonl or dialect.jsonl."""

    region: NotRequired[str]
    dialect: NotRequired[str]


class RawCountry(Origin):
    """A line of data/raw/countries.jsonl; null where there is nothing, or where it is disputed."""

    code: str
    name: str
    official_name: str | None
    gender: Literal["m", "f"]
    capital: str | None
    currency: str | None
    currency_code: str | None
    continent: str
    language: str | None
    demonym_m: str | None
    demonym_f: str | None
    arab_league: bool
