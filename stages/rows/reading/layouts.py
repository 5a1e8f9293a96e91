"""The layouts in which people keep their rows, each turned into one of the pipeline's kinds by a pure function.

Every layout is one entry of LAYOUTS: the columns it is known by, the kind it gives, the fields that it reads and those
that it may ignore, and the function that reads it. A row that does not fit is refused whole, never half-read. Schemas
of data sets and benchmarks are those of their cards on the hub, and of the tasks of lighteval and
lm-evaluation-harness that read them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypedDict

from stages.core.files import Row
from stages.core.params import Source
from stages.core.schema import PairFields, Question
from stages.rows.reading.answers import (
    ANSWERS,
    PROMPTS,
    READ_BY_ANSWERS,
    READ_BY_CONVERSATIONS,
    READ_BY_PAIRS,
    SIDES,
    Judged,
    read_answered,
    read_binary,
    read_messages,
    read_pairs,
    read_prompt_completion,
    read_rated,
    read_squad,
)
from stages.rows.reading.columns import ID_COLUMNS, LICENSE_COLUMNS, Plan, plan
from stages.rows.reading.multiple_choice import (
    CONTEXTS,
    read_acva,
    read_alghafa,
    read_arabculture,
    read_arabicmmlu,
    read_choices,
    read_lettered,
    read_nested,
    true_or_false,
)
from stages.rows.reading.special_tokens import escape_special
from stages.rows.reading.turns import REASONING_FIELDS, SYSTEM_COLUMNS, Reading
from stages.rows.reading.values import Record, Refusal, first_text, nothing, shown, wrong_type

# Codes of aya_dataset whose text is Arabic: MSA and eight dialects. Kanuri (knc) is in Arabic script and not Arabic.
ARABIC_CODES = {"arb", "ars", "arz", "ary", "acq", "acm", "apc", "ajp", "aeb"}


@dataclass(frozen=True)
class Layout:
    """The columns that a layout is known by (``a|b`` is met by either), its kind, and the fields that it reads."""

    required: tuple[str, ...]
    kind: str  # of a row without a label; labelled answers are `unpaired`
    read: Callable[[Record, Reading], Judged | PairFields | Question]
    reads: frozenset[str]
    ignores: re.Pattern[str]  # names in small letters, beside those of `columns.METADATA`


@dataclass(frozen=True)
class Converted:
    """The rows of one record, which are several where a conversation trains several answers."""

    kind: str
    rows: list[Row]
    answers_left_out: int = 0  # earlier answers of the conversation that are context alone
    reasoning_removed: int = 0


# ---------------------------------------------------------------- the table


def _answers(
    required: tuple[str, ...],
    read: Callable[[Record, Reading], Judged],
    kind: str = "sft",
    reads: Collection[str] = READ_BY_ANSWERS,
    ignores: str = "",
) -> Layout:
    return Layout(required, kind, read, frozenset({*reads, *REASONING_FIELDS}), re.compile(ignores))


def _questions(required: tuple[str, ...], read: Callable[[Record, Reading], Question], *more: str) -> Layout:
    named = {name for need in required for name in need.split("|")}
    about = {"subject", "Subject", "category", "Category", "level", "Level"}
    reads = frozenset({*named, *CONTEXTS, *about, *more})
    return Layout(required, "mcq", read, reads, re.compile(_ABOUT_QUESTIONS))


# What explains a question, or says where it is from and who it is for.
_ABOUT_QUESTIONS = (
    r"explanation|rationale|hint|group|is_.*|relevant_.*|sub.?(category|topic|ject)|ref(erences?)?|notes?|comments?"
)
# Scores of the sides and of their makers, as UltraFeedback, Argilla and Anthropic's copies have them.
_ABOUT_PAIRS = (
    r"(chosen|rejected)[_-].*(score|rating|model|policy|source|reward|rank|rationale|critique|name|feedback)s?"
    r"|(score|rating|reward|model|rank)s?_(chosen|rejected)|original_(chosen|rejected)|rating|ratings|score|scores|margin"
    r"|generations?|generation_models?|order|labelling_(model|prompt)|raw_labelling_response|rationale|status|in_.*_train"
)
_PROMPT, _ANSWER = "|".join((*PROMPTS, "input")), "|".join(ANSWERS)
_ASKED = "prompt|instruction|question"

# `detect` takes the first that fits, so what needs more columns comes first.
LAYOUTS: dict[str, Layout] = {
    "pairs": Layout(
        SIDES, "pairs", read_pairs, frozenset({*READ_BY_PAIRS, *REASONING_FIELDS}), re.compile(_ABOUT_PAIRS)
    ),
    "binary": _answers((_ASKED, "completion", "label|kto_tag"), read_binary, "unpaired"),
    "rated": _answers((_ASKED, "completion", "rating|score"), read_rated, "unpaired"),
    "prompt-completion": _answers((_ASKED, "completion"), read_prompt_completion),
    "messages": _answers(("messages",), read_messages, reads=READ_BY_CONVERSATIONS),
    "sharegpt": _answers(("conversations|conversation",), read_messages, reads=READ_BY_CONVERSATIONS),
    "alpaca": _answers(("instruction", "output"), read_answered),
    "aya": _answers(("inputs", "targets"), read_answered),
    "arabicmmlu": _questions(
        ("Question", "Option 1", "Option 2", "Answer Key"),
        read_arabicmmlu,
        *("Option 3", "Option 4", "Option 5", "Source", "Country", "Group"),
    ),
    "aratrust": _questions(("Question", "A", "B", "Answer|answer"), read_lettered, "C", "D", "E"),
    "exams": _questions(("question", "A", "B", "answer"), read_lettered, "C", "D", "E"),
    "alghafa": _questions(("query", "sol1", "sol2", "label"), read_alghafa, "sol3", "sol4", "sol5"),
    "arabculture": _questions(
        ("first_statement", "options", "answer_key"), read_arabculture, "country", "region", "sub_topic"
    ),
    "choices": _questions(("question", "choices", "answer"), read_choices),
    "nested-choices": _questions(("question", "answerKey"), read_nested, "choices"),
    "acva": _questions(("question", "answer"), read_acva),
    "squad": _answers(
        ("context", "question", "answers"),
        read_squad,
        reads={"context", "question", "answers", "is_impossible", *SYSTEM_COLUMNS},
        ignores="plausible_answers|document_plaintext|document_title",
    ),
    "question-answer": _answers(("question", "answer"), read_answered),
    "prompt-response": _answers((_PROMPT, _ANSWER), read_answered),
}


# ---------------------------------------------------------------- a record into rows


def detect(record: Record | Collection[str]) -> str:
    """The first layout whose columns are all there; raises Refusal that names the columns and the layouts.

    Exact names go before names in other letters. A question whose answer is neither true nor false is an open one.
    """
    columns = tuple(record)
    for aliases in (False, True):
        for name in LAYOUTS:
            found = _plan(columns, name, aliases)
            if not found.missing and not (name == "acva" and _is_open(record, found)):
                return name
    if known := [name for name in columns if name.strip().lower() in (*PROMPTS, "input")]:
        raise Refusal(
            "unknown layout",
            f"the rows hold prompts without answers (columns {', '.join(columns)}): training and scoring need one, so "
            f"add a column such as completion beside {known[0]}, or name the one that holds it in the source's columns",
        )
    layouts = "; ".join(f"{name} ({', '.join(layout.required)})" for name, layout in LAYOUTS.items())
    raise Refusal(
        "unknown layout",
        f"no layout has the columns {', '.join(columns)}: rename them, or say which is which in the source's columns "
        "(`columns: {prompt: theirs, completion: theirs}`, or a list of names for a table without a header); layouts "
        f"are: {layouts}",
    )


def _is_open(record: Record | Collection[str], found: Plan) -> bool:
    if not isinstance(record, Mapping):
        return False
    ours = {found.renamed.get(name, name): value for name, value in record.items()}
    return true_or_false(ours["answer"]) is None


@lru_cache(maxsize=4096)
def _plan(columns: tuple[str, ...], name: str, aliases: bool = True) -> Plan:
    """Rows of a file have the same columns, so what becomes of them is decided once."""
    layout = LAYOUTS[name]
    return plan(columns, layout.required, layout.reads, layout.ignores, aliases)


def convert(record: Record, layout: str, source: Source) -> Converted:
    """The rows of one record: the kind's fields, topic and license, and ``flags`` where a text was escaped.

    ``source`` gives ``topic``, ``license``, ``threshold``, ``turns`` and ``reasoning``. The rows' ``id`` and
    ``source`` are the caller's, who knows the file. Raises Refusal.
    """
    known = LAYOUTS[layout]
    found = _plan(tuple(record), layout)
    if found.missing:
        raise Refusal(
            "missing column",
            f"field {found.missing!r} is missing, the row has {', '.join(record) or 'none'}: the layout {layout!r}, "
            f"set by the file's first row or the source, needs it in every row; layouts are {', '.join(LAYOUTS)}",
        )
    for name in found.unread:
        if not nothing(record[name]):
            raise Refusal(
                f"unread field: {name}",
                f"field {name!r} would be lost ({shown(record[name])}), for the layout {layout!r} does not read it: "
                f"say what it is in the source's columns, or put {name!r} into the source's ignore",
            )
    if found.renamed:
        record = {found.renamed.get(name, name): value for name, value in record.items()}
    terms = first_text(record, LICENSE_COLUMNS) or source.license
    if not terms:
        raise Refusal("no license", "no license: set the source's license, or give each row a field 'license'")
    reading = Reading(source)
    read = known.read(record, reading)
    kind, rows = read if isinstance(read, tuple) else (known.kind, [read])
    about = {"topic": first_text(record, ("topic",)) or source.topic, "license": terms}
    return Converted(kind, [_escaped(row) | about for row in rows], reading.untrained, reading.reasoning_removed)


def own_id(record: Record) -> str:
    """The id that the record brings along, or nothing; 1.0, as pandas writes 1 beside nulls, is 1."""
    return record_id(record)[1]


def record_id(record: Record) -> tuple[str, str]:
    """The column of the record's id, and the id; both empty where it has none."""
    for column in ID_COLUMNS:
        value = record.get(column)
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise wrong_type(column, "a text or an integer", value)
        return column, str(value).strip()
    return "", ""


def _escaped(row: Mapping[str, Any]) -> Row:
    """A copy of the row with special tokens escaped in every text, flagged where there were any."""
    if not any(map(_may_hold_tokens, row.values())):
        return dict(row)
    changed = False

    def clean(value: Any) -> Any:
        nonlocal changed
        if isinstance(value, str):
            escaped = escape_special(value)
            changed |= escaped != value
            return escaped
        if isinstance(value, list):
            return [clean(item) for item in value]
        return {key: clean(item) for key, item in value.items()} if isinstance(value, dict) else value

    cleaned = {key: clean(value) for key, value in row.items()}
    return cleaned | {"flags": ["special_token"]} if changed else cleaned


def _may_hold_tokens(value: Any) -> bool:
    if isinstance(value, list):
        for item in value:
            text = item["content"] if isinstance(item, dict) else item
            if "<" in text or "[" in text:
                return True
        return False
    return isinstance(value, str) and ("<" in value or "[" in value)


# ---------------------------------------------------------------- presets


class Preset(TypedDict):
    """A data set of the hub that is known by name; ``skip`` gives the reason to leave a row out, or nothing."""

    hub: str
    layout: str
    kind: str
    license: str
    skip: Callable[[Record], str]


def _keep_all(record: Record) -> str:
    return ""


def _not_arabic(record: Record) -> str:
    return "" if record.get("language_code") in ARABIC_CODES else "the language is not Arabic"


def _translated_code(record: Record) -> str:
    """Machine translation reached into code (names of variables, tags), so such rows teach broken code."""
    text = str(record.get("conversations"))
    return "code that was translated" if "```" in text or "<html" in text else ""


def _preset(hub: str, layout: str, license: str, skip: Callable[[Record], str] = _keep_all) -> Preset:
    return {"hub": hub, "layout": layout, "kind": LAYOUTS[layout].kind, "license": license, "skip": skip}


PRESETS: dict[str, Preset] = {
    "cidar": _preset("arbml/CIDAR", "alpaca", "CC-BY-NC-4.0"),
    "aya": _preset("CohereForAI/aya_dataset", "aya", "Apache-2.0", _not_arabic),
    "alpaca-gpt4-arabic": _preset("FreedomIntelligence/alpaca-gpt4-arabic", "sharegpt", "Apache-2.0", _translated_code),
    "quora-arabic-gpt4": _preset("FreedomIntelligence/Quora-Arabic-GPT4", "sharegpt", "Apache-2.0"),
    # Turns as strings whose roles were translated too; `read_pairs` parses them, or refuses the row.
    "argilla-dpo-mix-7k-arabic": _preset("2A2I/argilla-dpo-mix-7k-arabic", "pairs", "MIT"),
    # Its hub page states no license, so the user has to.
    "arabic-preference-data-rlhf": _preset("FreedomIntelligence/Arabic-preference-data-RLHF", "pairs", ""),
    # Access is given by hand, under terms on its page that go beyond the license: read them before training.
    "saudi-dialect-dpo": _preset("HeshamHaroon/saudi-dialect-dpo", "pairs", "CC-BY-NC-4.0"),
}


def preset_named(name: str) -> Preset | None:
    """The preset of a name, or of its id on the hub; letters may be large or small."""
    by_hub = {preset["hub"].lower(): preset for preset in PRESETS.values()}
    return PRESETS.get(name.lower()) or by_hub.get(name.lower())
