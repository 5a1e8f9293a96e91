"""Turns of a chat, in whatever keys, roles and marks people write them, as the pipeline's own messages."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NotRequired, cast

from stages.core.params import Source
from stages.core.schema import Message, Messages
from stages.rows.reading.json_rows import unique_keys
from stages.rows.reading.values import (
    NO_TEXT,
    Record,
    Refusal,
    first_there,
    literal,
    nothing,
    shown,
    text_of,
    the_one,
    wrong_type,
)

ROLES = {
    **{"user": "user", "human": "user", "prompter": "user", "مستخدم": "user", "المستخدم": "user"},
    **{"assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant"},
    **{"مساعد": "assistant", "المساعد": "assistant"},
    **{"system": "system", "developer": "system", "نظام": "system", "النظام": "system"},
}
ROLE_KEYS, CONTENT_KEYS = ("role", "from", "الدور"), ("content", "value", "المحتوى")
SYSTEM_COLUMNS = ("system", "system_prompt", "system_message")
# Where a turn, or a row, holds reasoning beside its answer.
REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking", "thought", "chain_of_thought", "cot")
TEXT_PARTS = ("text", "input_text", "output_text")  # the last two are of OpenAI's Responses
# Marks of whether a turn is trained: OpenAI's and Fireworks' `weight`, Axolotl's `train`, and `loss`.
TRAIN_MARKS = ("weight", "train", "loss")
MARK_VALUES = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
# Of a turn, what says nothing to train on.
TURN_METADATA = {
    "id",
    "index",
    "turn",
    "turn_id",
    "timestamp",
    "created_at",
    "create_time",
    "date",
    "model",
    "language",
}
TURN_METADATA |= {
    "lang",
    "tokens",
    "num_tokens",
    "token_count",
    "hash",
    "uuid",
    "toxic",
    "redacted",
    "message_id",
    "country",
    "hashed_ip",
    "header",
    "state",
    "turn_identifier",
}
_TURN_READ = {*ROLE_KEYS, *CONTENT_KEYS, *TRAIN_MARKS, *REASONING_FIELDS, *TURN_METADATA}

# Turns that were turned into a string: to train on the brackets would be to read half of it.
_SERIALISED = re.compile(
    r"""(?s)\s*\[\s*\{(?=.*?['"](?:role|from|الدور)['"]\s*:)(?=.*?['"](?:content|value|المحتوى)['"]\s*:)"""
)
_SPEAKER = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")
_THINKING = "think|thinking|thought|reasoning"
_THOUGHT = re.compile(rf"(?is)\A\s*<({_THINKING})>(.*?)</\1>")
_THINK_TAG = re.compile(r"(?i)<\s?/?\s?think\s?>")


class Turn(Message):
    """A message that may be marked as not to be trained."""

    train: NotRequired[bool]


@dataclass
class Reading:
    """What the source asks for, and what was left out of the row that is being read."""

    source: Source
    reasoning_removed: int = 0
    untrained: int = 0


def is_text(value: Any) -> bool:
    """Whether a value is a text of its own, and no list of turns that was written as a string."""
    return isinstance(value, str) and not (value.lstrip()[:1] == "[" and _SERIALISED.match(value))


def parsed_turns(text: str, field: str) -> list[Any]:
    """Turns that were written as one string, in JSON or as Python's literal; Refusal for any other string."""
    turns: Any = None
    try:
        turns = json.loads(text, strict=False, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError):
        turns = literal(text)
    if not isinstance(turns, list) or not turns:
        raise Refusal(
            "unreadable turns",
            f"field {field!r} is a string that holds no list of turns, found {shown(text)}: write a list of role and "
            "content, or plain text beside a field 'prompt'",
        )
    return turns


def dialogue_turns(text: str) -> list[Record]:
    """The turns of a text in the layout of Anthropic's HH data («Human: ... Assistant: ...»); none of any other."""
    if not text.lstrip().startswith("Human:"):
        return []
    _, *parts = _SPEAKER.split(text)
    return [{"role": role, "content": said} for role, said in zip(parts[::2], parts[1::2], strict=True)]


def turns_of(value: Any, field: str, reading: Reading, expected: str = "a list of turns") -> list[Turn]:
    """The turns with the pipeline's roles, in whatever order; at least one."""
    if isinstance(value, str):
        value = parsed_turns(value, field)
    if isinstance(value, dict) and first_there(value, ROLE_KEYS):
        value = [value]  # LLaMA-Factory writes each side of a pair as one turn
    if not isinstance(value, list):
        raise wrong_type(field, expected, value)
    turns = [_turn(turn, f"{field}[{index}]", reading) for index, turn in enumerate(value)]
    if not turns:
        raise Refusal("empty turn", f"field {field!r} holds no turn: write one, or remove the row")
    return turns


def _turn(turn: Any, field: str, reading: Reading) -> Turn:
    if not isinstance(turn, dict):
        raise wrong_type(field, "a turn with 'role' and 'content'", turn)
    role_key, content_key = first_there(turn, ROLE_KEYS), first_there(turn, CONTENT_KEYS)
    if len(turn) > 2 or not role_key or not content_key:
        _check_fields(turn, field, reading)
    if not role_key or not content_key:
        raise Refusal(
            "wrong type", f"field {field!r} needs 'role' and 'content', found {', '.join(turn)}: mend the turn"
        )
    said = turn[role_key]
    role = (ROLES.get(said) or ROLES.get(said.strip().lower())) if isinstance(said, str) else None
    if role is None:
        raise Refusal("unknown role", f"field {field!r} has the role {shown(said)}: known are {', '.join(ROLES)}")
    content = turn[content_key]
    if role == "assistant" and isinstance(content, list):
        content = _without_thinking_parts(content, f"{field}.{content_key}", reading)
    content = _content(content, f"{field}.{content_key}")
    if role == "assistant":
        content = without_reasoning(content, f"{field}.{content_key}", reading)
    read: Turn = {"role": role, "content": content}
    if len(turn) > 2:
        _read_marks(turn, read, field, reading)
    return read


def _check_fields(turn: Record, field: str, reading: Reading) -> None:
    unread = [
        key for key in turn if key not in _TURN_READ and key not in reading.source.ignore and not nothing(turn[key])
    ]
    if unread:
        raise Refusal(
            f"unread field of a turn: {unread[0]}",
            f"field {f'{field}.{unread[0]}'!r} would be lost ({shown(turn[unread[0]])}): remove the row, or put "
            f"{unread[0]!r} into the source's ignore if the turns are right without it",
        )


def _read_marks(turn: Record, read: Turn, field: str, reading: Reading) -> None:
    """Whether the turn is trained, and its reasoning, which is removed or refused."""
    marks = {key: turn[key] for key in TRAIN_MARKS if key in turn and turn[key] is not None}
    for key, value in marks.items():
        if key in reading.source.ignore:
            continue
        trained = MARK_VALUES.get(str(value).strip().lower())
        if trained is None:
            raise Refusal(
                "weight that is no mark",
                f"field {f'{field}.{key}'!r} is {shown(value)}: write 1 to train the turn, or 0",
            )
        if read["role"] == "assistant":
            read["train"] = trained and read.get("train", True)
        elif trained and key != "weight":  # a weight of 1 stands on every turn of some data sets
            raise Refusal(
                "turn to be trained",
                f"field {f'{field}.{key}'!r} is {shown(value)} on a turn of the {read['role']}'s: answers alone are "
                f"trained; remove the mark, or put {key!r} into the source's ignore",
            )
    if read["role"] == "assistant":
        check_reasoning(turn, field, reading)


def _content(value: Any, field: str) -> str:
    """A text, or the text parts of a message joined by line breaks, as vLLM joins them."""
    if isinstance(value, list) and value:
        value = "\n".join(_part(part, f"{field}[{index}]") for index, part in enumerate(value))
    return text_of(value, field)


def _part(part: Any, field: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type", "text") in TEXT_PARTS and isinstance(part.get("text"), str):
        if other := [key for key in part if key not in ("type", "text") and not nothing(part[key])]:
            raise Refusal("part that is no text", f"field {f'{field}.{other[0]}'!r} would be lost: remove the row")
        return cast(str, part["text"])
    kind = part.get("type") if isinstance(part, dict) else type(part).__name__
    raise Refusal("part that is no text", f"field {field!r} is a part of type {shown(kind)}, no text: remove the row")


# ---------------------------------------------------------------- reasoning


def without_reasoning(text: str, field: str, reading: Reading) -> str:
    """An answer without its think block: an empty one goes, a filled one goes where the source says so.

    Raises Refusal for reasoning that the source does not remove, and for tags that would be trained as characters.
    """
    if "<" not in text:
        return text
    while found := _THOUGHT.match(text):
        if found[2].strip():
            _remove_reasoning(f"field {field!r} begins with reasoning in <{found[1]}>", reading)
        text = text[found.end() :].strip()
    # DeepSeek-R1's template opens the block in the prompt, so that its answers only close it.
    head, tag, rest = text.partition("</think>")
    if tag and not _THINK_TAG.search(head):
        if head.strip():
            _remove_reasoning(f"field {field!r} begins with reasoning that ends in </think>", reading)
        text = rest.strip()
    if _THINK_TAG.search(text):
        raise Refusal(
            "think tag", f"field {field!r} holds a think tag outside a block at its beginning: fix or remove the row"
        )
    if not text or text.lower() in NO_TEXT:
        raise Refusal("empty turn", f"field {field!r} holds no answer behind its reasoning: remove the row")
    return text


def _without_thinking_parts(parts: list[Any], field: str, reading: Reading) -> list[Any]:
    """The parts of an answer that are no reasoning."""
    kept = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in ("thinking", "reasoning"):
            kept.append(part)
        elif not nothing({key: value for key, value in part.items() if key != "type"}):
            _remove_reasoning(f"field {field!r} holds a part of type {kind!r}", reading)
    return kept


def check_reasoning(record: Record, where: str, reading: Reading) -> None:
    """Refuse, or count as removed, the reasoning that stands in a field of its own."""
    for name in REASONING_FIELDS:
        if name in record and name not in reading.source.ignore and not nothing(record[name]):
            _remove_reasoning(f"field {f'{where}.{name}'.lstrip('.')!r} holds reasoning", reading)


def _remove_reasoning(found: str, reading: Reading) -> None:
    if reading.source.reasoning != "remove":
        raise Refusal(
            "reasoning",
            f"{found}, which is not trained here: set the source's reasoning: remove to train the answer without it, "
            "or remove the row",
        )
    reading.reasoning_removed += 1


# ---------------------------------------------------------------- whole conversations


def ordered(turns: list[Turn], field: str) -> list[Turn]:
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


def conversation(turns: list[Turn], field: str) -> list[Turn]:
    """The turns, if they are ordered and end with the assistant's answer."""
    ordered(turns, field)
    if turns[-1]["role"] != "assistant" or len(turns) < 2:
        raise Refusal(
            "no assistant answer", f"field {field!r} does not end with an assistant's answer to a user: remove the row"
        )
    return turns


def plain(turns: list[Turn]) -> Messages:
    """The turns without their marks."""
    return [{"role": turn["role"], "content": turn["content"]} if len(turn) > 2 else turn for turn in turns]


def with_system(record: Record, turns: list[Turn], field: str) -> list[Turn]:
    """The turns behind the row's system text; a system turn of their own must say the same."""
    column = the_one(record, SYSTEM_COLUMNS)
    if not column:
        return turns
    system: Turn = {"role": "system", "content": text_of(record[column], column)}
    if turns[0]["role"] != "system":
        return [system, *turns]
    if turns[0]["content"] != system["content"]:
        raise Refusal(
            "two systems", f"field {column!r} and the system turn of {field!r} differ: remove one, or the row"
        )
    return turns


def history_of(record: Record, reading: Reading) -> list[Turn]:
    """The earlier turns: LLaMA-Factory's pairs of question and answer, or turns."""
    value = record.get("history")
    if nothing(value):
        return []
    if isinstance(value, str):
        value = parsed_turns(value, "history")
    if not isinstance(value, list):
        raise wrong_type("history", "a list of pairs of question and answer, or of turns", value)
    if isinstance(value[0], dict):
        return turns_of(value, "history", reading)
    turns: list[Turn] = []
    for index, pair in enumerate(value):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise wrong_type(f"history[{index}]", "a pair of question and answer", pair)
        asked, answered = f"history[{index}][0]", f"history[{index}][1]"
        turns.append({"role": "user", "content": text_of(pair[0], asked)})
        answer = without_reasoning(text_of(pair[1], answered), answered, reading)
        turns.append({"role": "assistant", "content": answer})
    return turns
