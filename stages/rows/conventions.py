"""What `prepare` writes and `evaluate` relies on: turns of a chat, the request for a short answer, equal lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from stages.core.schema import GenerationRow, Messages, SftRow

SHORT_ANSWER = "أجب بكلمة أو عبارة فقط."
EQUAL_LENGTH = 0.1  # difference in words over the longer answer


def user(text: str) -> Messages:
    return [{"role": "user", "content": text}]


def assistant(text: str) -> Messages:
    return [{"role": "assistant", "content": text}]


def contents(row: Mapping[str, object], *fields: str) -> Iterator[str]:
    """The text of every message in these fields of a prepared row of any kind; a field that it lacks has none."""
    for field in fields:
        for message in cast(Messages, row.get(field, ())):
            yield message["content"]


def equal_length(chosen: Messages, rejected: Messages) -> bool:
    """Whether the answers of a pair differ by at most 10 % in words: the subset that shows a length bias."""
    one, other = (len(answer[0]["content"].split()) for answer in (chosen, rejected))
    return abs(one - other) <= EQUAL_LENGTH * max(one, other)


def own_generation_row(row: SftRow, identity: str) -> GenerationRow:
    """A user's row as a prompt to be answered: its own answer is the reference, and no program checks the answer."""
    return {
        "id": identity,
        "topic": row["topic"],
        "source": row["source"],
        "license": row["license"],
        "prompt": row["prompt"],
        "references": [row["completion"][-1]["content"]],
        "checks": [],
        "task": "own",
        "wording": "seen",
    }
