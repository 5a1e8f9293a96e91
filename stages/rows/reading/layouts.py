"""The layouts in which people keep their rows, each turned into one of the pipeline's kinds by a pure function.

Every layout is one entry of LAYOUTS: the columns it is known by, the kind it gives, and the function that reads it. A
row that does not fit is refused whole, never half-read. Schemas of data sets and benchmarks are those of their cards
on the hub, and of the tasks of lighteval and lm-evaluation-harness that read them.

The file is long because the layouts share their checks of values and turns, and are best compared side by side.
"""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypedDict

from stages.core.errors import PipelineError
from stages.core.files import Row
from stages.core.params import Source
from stages.core.schema import Answered, Labelled, Message, Messages, PairFields, Question
from stages.rows.reading.formats import Record, unique_keys
from stages.rows.reading.special_tokens import escape_special

ROLES = {
    **{"user": "user", "human": "user", "مستخدم": "user", "المستخدم": "user"},
    **{"assistant": "assistant", "gpt": "assistant", "مساعد": "assistant", "المساعد": "assistant"},
    **{"system": "system", "نظام": "system", "النظام": "system"},
}
ROLE_KEYS, CONTENT_KEYS = ("role", "from", "الدور"), ("content", "value", "المحتوى")
PROMPT_COLUMNS = ("prompt", "instruction", "question")
ID_COLUMNS = ("id", "ID", "index")
LICENSE_COLUMNS = ("license", "licence")
# Latin and Arabic labels of an option; «ه» and «ا» are how «هـ» and «أ» are typed in haste.
LETTERS = {letter: index for index, pair in enumerate(["Aأا", "Bب", "Cج", "Dد", "Eه"]) for letter in pair}
TRUE_FALSE = ["صح", "خطأ"]
LABELS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
SIDES = ("chosen", "rejected")
# Codes of aya_dataset whose text is Arabic: MSA and eight dialects. Kanuri (knc) is in Arabic script and not Arabic.
ARABIC_CODES = {"arb", "ars", "arz", "ary", "acq", "acm", "apc", "ajp", "aeb"}

# Turns that were turned into a string: to train on the brackets would be to read half of it.
_SERIALISED = re.compile(r"""(?s)\s*\[\s*\{(?=.*?['"](?:role|الدور)['"]\s*:)(?=.*?['"](?:content|المحتوى)['"]\s*:)""")


Fields = Answered | Labelled | PairFields | Question  # what a layout gives, by kind


class Refusal(PipelineError):
    """A row that cannot be read: the whole sentence, and a short ``reason`` under which such rows are counted."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def detect(columns: Collection[str]) -> str:
    """The first layout whose columns are all there; raises Refusal that names the columns and the layouts."""
    for layout, (required, _, _) in LAYOUTS.items():
        if not _missing(columns, required):
            return layout
    known = "; ".join(f"{layout} ({', '.join(required)})" for layout, (required, _, _) in LAYOUTS.items())
    raise Refusal(
        "unknown layout",
        f"no layout has the columns {', '.join(columns)}: rename them, write the columns' names first if this is a "
        f"CSV file without them, or use a layout: {known}",
    )


def convert(record: Record, layout: str, source: Source) -> tuple[str, Row]:
    """``(kind, row)`` of one record: the kind's fields, topic and license, and ``flags`` where a text was escaped.

    ``source`` gives ``topic``, ``license`` and ``threshold``. The row's ``id`` and ``source`` are the caller's, who
    knows the file. Raises Refusal.
    """
    required, kind, read = LAYOUTS[layout]
    if missing := _missing(record, required):
        raise Refusal(
            "missing column",
            f"field {missing!r} is missing, the row has {', '.join(record) or 'none'}: the layout {layout!r}, set by "
            f"the file's first row or the source, needs it in every row; layouts are {', '.join(LAYOUTS)}",
        )
    terms = _first_text(record, LICENSE_COLUMNS) or source.license
    if not terms:
        raise Refusal("no license", "no license: set the source's license, or give each row a field 'license'")
    row, escaped = _escaped(read(record, source))
    row |= {"topic": _first_text(record, ("topic",)) or source.topic, "license": terms}
    return kind, row | {"flags": ["special_token"]} if escaped else row


def own_id(record: Record) -> str:
    """The id that the record brings along, or nothing."""
    for column in ID_COLUMNS:
        value = record.get(column)
        if value is None or value == "":
            continue
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise _wrong_type(column, "a text or an integer", value)
        return str(value).strip()
    return ""


def parsed_turns(text: str, field: str) -> list[Any]:
    """Turns that were written as one string, in JSON or as Python's literal; Refusal for any other string."""
    turns: Any = None
    try:
        turns = json.loads(text, strict=False, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError):
        turns = _literal(text)
    if not isinstance(turns, list) or not turns:
        raise Refusal(
            "unreadable turns",
            f"field {field!r} is a string that holds no list of turns, found {_shown(text)}: write a list of role and "
            "content, or plain text beside a field 'prompt'",
        )
    return turns


# ---------------------------------------------------------------- values


def _missing(columns: Collection[str], required: tuple[str, ...]) -> str:
    """The first requirement that is not met; ``a|b`` is met by either."""
    return next((need for need in required if not any(name in columns for name in need.split("|"))), "")


def _first(record: Record, columns: tuple[str, ...]) -> str:
    """The first of the columns that is there, one with a value before one with null."""
    there = [column for column in columns if column in record]
    return next((column for column in there if record[column] is not None), there[0] if there else "")


def _first_text(record: Record, columns: tuple[str, ...]) -> str:
    values = (record.get(column) for column in columns)
    return next((value.strip() for value in values if isinstance(value, str) and value.strip()), "")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wrong_type(field: str, expected: str, value: Any) -> Refusal:
    found = f"{type(value).__name__} {_shown(value)}" if value is not None else "null"
    return Refusal("wrong type", f"field {field!r} must be {expected}, found {found}: mend the row")


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise _wrong_type(field, "a text", value)
    if not value.strip():
        raise Refusal("empty turn", f"field {field!r} is empty: write the text, or remove the row")
    return value.strip()


def _number(value: Any, field: str) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _wrong_type(field, "a number", value)
    return number


def _literal(text: str) -> Any:
    """Python's literal, or None; a key that stands twice makes it unreadable, because Python would keep one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stray backslash in a text
            tree = ast.parse(text.strip(), mode="eval")
        keys = [[ast.dump(key) for key in node.keys if key] for node in ast.walk(tree) if isinstance(node, ast.Dict)]
        return ast.literal_eval(tree) if all(len(set(names)) == len(names) for names in keys) else None
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _escaped(row: Mapping[str, object]) -> tuple[Row, bool]:
    """The row with special tokens escaped in every text, and whether there were any."""
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

    return {key: clean(value) for key, value in row.items()}, changed


# ---------------------------------------------------------------- turns


def _turns(value: Any, field: str, expected: str = "a list of turns") -> Messages:
    """The turns with the pipeline's roles, in whatever order; at least one."""
    if isinstance(value, str):
        value = parsed_turns(value, field)
    if not isinstance(value, list):
        raise _wrong_type(field, expected, value)
    turns = [_turn(turn, f"{field}[{index}]") for index, turn in enumerate(value)]
    if not turns:
        raise Refusal("empty turn", f"field {field!r} holds no turn: write one, or remove the row")
    return turns


def _turn(turn: Any, field: str) -> Message:
    if not isinstance(turn, dict):
        raise _wrong_type(field, "a turn with 'role' and 'content'", turn)
    role_key, content_key = _first(turn, ROLE_KEYS), _first(turn, CONTENT_KEYS)
    if not role_key or not content_key:
        raise Refusal(
            "wrong type", f"field {field!r} needs 'role' and 'content', found {', '.join(turn)}: mend the turn"
        )
    role = turn[role_key]
    if not isinstance(role, str) or role.strip() not in ROLES:
        raise Refusal("unknown role", f"field {field!r} has the role {_shown(role)}: known are {', '.join(ROLES)}")
    return {"role": ROLES[role.strip()], "content": _text(turn[content_key], f"{field}.{content_key}")}


def _ordered(turns: Messages, field: str) -> Messages:
    """The turns, if user and assistant alternate behind at most one system turn."""
    start = int(turns[0]["role"] == "system")
    for position, turn in enumerate(turns[start:]):
        expected = "assistant" if position % 2 else "user"
        if turn["role"] != expected:
            hint = "the roles look swapped" if position == 0 else "user and assistant must alternate"
            raise Refusal(
                "roles out of order",
                f"field {field!r}: turn {start + position + 1} is {turn['role']}, {expected} was expected: {hint}",
            )
    return turns


def _conversation(turns: Messages, field: str) -> tuple[Messages, Messages]:
    """``(prompt, answer)``: the last turn, which must be the assistant's, and what comes before it."""
    _ordered(turns, field)
    if turns[-1]["role"] != "assistant" or len(turns) < 2:
        raise Refusal(
            "no assistant answer", f"field {field!r} does not end with an assistant's answer to a user: remove the row"
        )
    return turns[:-1], turns[-1:]


def _system(record: Record) -> Messages:
    system = _first_text(record, ("system",))
    return [{"role": "system", "content": system}] if system else []


def _prompt(record: Record, field: str) -> Messages:
    """A prompt that is a text, or turns that end with the user's."""
    value = record[field]
    if isinstance(value, str) and not _SERIALISED.match(value):
        return [*_system(record), {"role": "user", "content": _text(value, field)}]
    turns = _ordered(_turns(value, field, "a text or a list of turns"), field)
    if turns[-1]["role"] != "user":
        raise Refusal("roles out of order", f"field {field!r} must end with the user's turn: the roles look swapped")
    return turns if turns[0]["role"] == "system" else [*_system(record), *turns]


def _answer(value: Any, field: str) -> Messages:
    """An answer that is a text, or exactly one assistant's turn."""
    if isinstance(value, str) and not _SERIALISED.match(value):
        return [{"role": "assistant", "content": _text(value, field)}]
    turns = _turns(value, field, "a text or a list of turns")
    if [turn["role"] for turn in turns] != ["assistant"]:
        found = ", ".join(turn["role"] for turn in turns)
        raise Refusal(
            "no assistant answer" if "assistant" not in found else "roles out of order",
            f"field {field!r} must be exactly one assistant's turn, found {found}: put the rest into the prompt",
        )
    return turns


# ---------------------------------------------------------------- layouts: answers and feedback


def _prompt_completion(record: Record, source: Source) -> Answered:
    field = _first(record, PROMPT_COLUMNS)
    return {"prompt": _prompt(record, field), "completion": _answer(record["completion"], "completion")}


def _messages(record: Record, source: Source) -> Answered:
    field = _first(record, ("messages", "conversations"))
    turns = _turns(record[field], field)
    prompt, completion = _conversation(turns if turns[0]["role"] == "system" else [*_system(record), *turns], field)
    return {"prompt": prompt, "completion": completion}


def _alpaca(record: Record, source: Source) -> Answered:
    more = record.get("input")
    if more is not None and not isinstance(more, str):
        raise _wrong_type("input", "a text or nothing", more)
    instruction = _text(record["instruction"], "instruction")
    content = f"{instruction}\n\n{more.strip()}" if more and more.strip() else instruction
    prompt: Messages = [*_system(record), {"role": "user", "content": content}]
    return {"prompt": prompt, "completion": _answer(record["output"], "output")}


def _aya(record: Record, source: Source) -> Answered:
    return {"prompt": _prompt(record, "inputs"), "completion": _answer(record["targets"], "targets")}


def _binary(record: Record, source: Source) -> Labelled:
    value = record["label"]
    text = str(value).strip().lower()
    if text not in LABELS:
        raise Refusal(
            "label not boolean", f"field 'label' must be true or false (or 1 or 0), found {_shown(value)}: mend it"
        )
    return {**_prompt_completion(record, source), "label": LABELS[text]}


def _rated(record: Record, source: Source) -> Labelled:
    field = _first(record, ("rating", "score"))
    return {**_prompt_completion(record, source), "label": _number(record[field], field) >= source.threshold}


def _pairs(record: Record, source: Source) -> PairFields:
    """Answers with their prompt beside them, or two whole conversations that share all but the last turn."""
    field = next((column for column in PROMPT_COLUMNS if record.get(column) is not None), "")
    whole = [_whole_conversation(record[side], side, alone=not field) for side in SIDES]
    if all(whole):
        (prompt, chosen), (other, rejected) = map(_conversation, whole, SIDES)
        _check_shared(prompt, other, record, field)
    elif field:
        prompt = _prompt(record, field)
        chosen, rejected = (_answer(record[side], side) for side in SIDES)
    else:
        raise Refusal(
            "missing column",
            f"chosen and rejected hold no prompt: add it to both, or a field {' or '.join(PROMPT_COLUMNS)}",
        )
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, "axis": _first_text(record, ("axis",)) or "own"}


def _whole_conversation(value: Any, field: str, *, alone: bool) -> Messages:
    """The turns of a side that holds its prompt too; none where it is an answer. A side alone must hold turns."""
    if isinstance(value, str) and not alone and not _SERIALISED.match(value):
        return []
    turns = _turns(value, field)
    return turns if len(turns) > 1 else []


def _check_shared(prompt: Messages, other: Messages, record: Record, field: str) -> None:
    """Both conversations must share the prompt, and a prompt beside them must be that prompt or a turn of it."""
    if prompt != other:
        raise Refusal(
            "different prompts", "chosen and rejected differ before their last turn: make them share the prompt"
        )
    if not field:
        return
    given = _prompt(record, field)
    if given != prompt and given[-1] not in prompt:
        raise Refusal("different prompts", f"field {field!r} is not the prompt of chosen and rejected: mend the row")


# ---------------------------------------------------------------- layouts: multiple choice


def _question(record: Record, question: str, choices: list[str], answer: int) -> Question:
    return {
        "question": question,
        "choices": choices,
        "answer": answer,
        "subject": _first_text(record, ("subject", "Subject", "category", "Category")) or "unspecified",
        "level": _first_text(record, ("level", "Level")) or "unspecified",
    }


def _options(record: Record, fields: list[str]) -> dict[int, str]:
    """The options that are there, by their place in the data; ArabicMMLU pads with null, CSV with nothing."""
    found = {
        index: _text(record[field], field)
        for index, field in enumerate(fields)
        if record.get(field) is not None and record[field] != ""
    }
    if len(found) < 2:
        raise Refusal(
            "too few choices", f"{len(found)} of the options {', '.join(fields)} are there: write two or more"
        )
    return found


def _listed(texts: list[Any], field: str) -> dict[int, str]:
    """The same of one field that holds them all."""
    named = {f"{field}[{index}]": text for index, text in enumerate(texts)}
    return _options(named, list(named))


def _chosen(options: dict[int, str], index: int | None, value: Any, field: str) -> int:
    """The answer's place among the options that are there."""
    if index not in options:
        raise Refusal(
            "answer out of range",
            f"field {field!r} is {_shown(value)}, which is none of the {len(options)} options (counted from 0, or A "
            "or «أ»): mend it",
        )
    return list(options).index(index)


def _letter(value: Any) -> int | None:
    """0 for A or «أ», however it is dressed («أ)», «هـ»)."""
    return LETTERS.get(value.strip(" \t\n.():-ـ")) if isinstance(value, str) else None


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\s*\d{1,4}\s*", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _arabicmmlu(record: Record, source: Source) -> Question:
    options = _options(record, [f"Option {number}" for number in range(1, 6)])
    context, question = _first_text(record, ("Context",)), _text(record["Question"], "Question")
    answer = _chosen(options, _letter(record["Answer Key"]), record["Answer Key"], "Answer Key")
    return _question(record, f"{context}\n\n{question}" if context else question, list(options.values()), answer)


def _lettered(record: Record, source: Source) -> Question:
    """Options in columns A to E; AraTrust writes the label into the option («أ) ...»), where it is taken off."""
    question, answer = _first(record, ("question", "Question")), _first(record, ("answer", "Answer"))
    options = _options(record, list("ABCDE"))
    labels = [re.match(r"(\w)ـ?\s*[).]\s*(?=\S)", option) for option in options.values()]
    if all(label and LETTERS.get(label[1]) == index for label, index in zip(labels, options, strict=True)):
        options = {index: re.sub(r"^\wـ?\s*[).]\s*", "", option) for index, option in options.items()}
    chosen = _chosen(options, _letter(record[answer]), record[answer], answer)
    return _question(record, _text(record[question], question), list(options.values()), chosen)


def _alghafa(record: Record, source: Source) -> Question:
    options = _options(record, [f"sol{number}" for number in range(1, 6)])
    answer = _chosen(options, _integer(record["label"]), record["label"], "label")
    return _question(record, _text(record["query"], "query"), list(options.values()), answer)


def _choices(record: Record, source: Source) -> Question:
    """A list of options and the answer's index or letter: our own rows, and the translated MMLU."""
    value = _literal(record["choices"]) if isinstance(record["choices"], str) else record["choices"]
    if not isinstance(value, list):
        raise _wrong_type("choices", "a list of texts", record["choices"])
    options = _listed(value, "choices")
    index = _integer(record["answer"])
    answer = _chosen(options, _letter(record["answer"]) if index is None else index, record["answer"], "answer")
    return _question(record, _text(record["question"], "question"), list(options.values()), answer)


def _arabculture(record: Record, source: Source) -> Question:
    """A statement and three ways to go on; their texts and letters are nested."""
    nested, answer = record["options"], record["answer_key"]
    if not isinstance(nested, dict) or not isinstance(nested.get("text"), list):
        raise _wrong_type("options", "an object with the list 'text'", nested)
    if not isinstance(answer, dict):
        raise _wrong_type("answer_key", "an object with 'arabic_answer_key'", answer)
    options = _listed(nested["text"], "options.text")
    letter = answer.get("arabic_answer_key")
    chosen = _chosen(options, _letter(letter), letter, "answer_key.arabic_answer_key")
    return _question(record, _text(record["first_statement"], "first_statement"), list(options.values()), chosen)


def _acva(record: Record, source: Source) -> Question:
    answer = record["answer"]
    if not isinstance(answer, str) or answer.strip() not in TRUE_FALSE:
        raise Refusal(
            "answer out of range",
            f"field 'answer' is {_shown(answer)}, which is neither «صح» nor «خطأ»: for open answers, name the columns "
            "prompt and completion",
        )
    return _question(record, _text(record["question"], "question"), TRUE_FALSE, TRUE_FALSE.index(answer.strip()))


# ---------------------------------------------------------------- tables

# Name: (columns, kind, function). `detect` takes the first that fits, so what needs more columns comes first.
LAYOUTS: dict[str, tuple[tuple[str, ...], str, Callable[[Record, Source], Fields]]] = {
    "pairs": (SIDES, "pairs", _pairs),
    "binary": (("prompt|instruction|question", "completion", "label"), "unpaired", _binary),
    "rated": (("prompt|instruction|question", "completion", "rating|score"), "unpaired", _rated),
    "prompt-completion": (("prompt|instruction|question", "completion"), "sft", _prompt_completion),
    "messages": (("messages",), "sft", _messages),
    "sharegpt": (("conversations",), "sft", _messages),
    "alpaca": (("instruction", "output"), "sft", _alpaca),
    "aya": (("inputs", "targets"), "sft", _aya),
    "arabicmmlu": (("Question", "Option 1", "Option 2", "Answer Key"), "mcq", _arabicmmlu),
    "aratrust": (("Question", "A", "B", "Answer|answer"), "mcq", _lettered),
    "exams": (("question", "A", "B", "answer"), "mcq", _lettered),
    "alghafa": (("query", "sol1", "sol2", "label"), "mcq", _alghafa),
    "arabculture": (("first_statement", "options", "answer_key"), "mcq", _arabculture),
    "choices": (("question", "choices", "answer"), "mcq", _choices),
    "acva": (("question", "answer"), "mcq", _acva),
}


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
    return {"hub": hub, "layout": layout, "kind": LAYOUTS[layout][1], "license": license, "skip": skip}


PRESETS: dict[str, Preset] = {
    "cidar": _preset("arbml/CIDAR", "alpaca", "CC-BY-NC-4.0"),
    "aya": _preset("CohereForAI/aya_dataset", "aya", "Apache-2.0", _not_arabic),
    "alpaca-gpt4-arabic": _preset("FreedomIntelligence/alpaca-gpt4-arabic", "sharegpt", "Apache-2.0", _translated_code),
    "quora-arabic-gpt4": _preset("FreedomIntelligence/Quora-Arabic-GPT4", "sharegpt", "Apache-2.0"),
    # Turns as strings whose roles were translated too; `_pairs` parses them, or refuses the row.
    "argilla-dpo-mix-7k-arabic": _preset("2A2I/argilla-dpo-mix-7k-arabic", "pairs", "MIT"),
    # Its hub page states no license, so the user has to.
    "arabic-preference-data-rlhf": _preset("FreedomIntelligence/Arabic-preference-data-RLHF", "pairs", ""),
    # Access is given by hand, under terms on its page that go beyond the license: read them before training.
    "saudi-dialect-dpo": _preset("HeshamHaroon/saudi-dialect-dpo", "pairs", "CC-BY-NC-4.0"),
}
