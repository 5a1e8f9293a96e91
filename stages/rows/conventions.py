"""What `prepare` writes and `evaluate` relies on: turns of a chat, the request for a short answer, equal lengths."""

from __future__ import annotations

from stages.core.files import Row
from stages.core.schema import Messages

SHORT_ANSWER = "أجب بكلمة أو عبارة فقط."
EQUAL_LENGTH = 0.1  # difference in words over the longer answer


def user(text: str) -> Messages:
    return [{"role": "user", "content": text}]


def assistant(text: str) -> Messages:
    return [{"role": "assistant", "content": text}]


def equal_length(pair: Row) -> bool:
    """Whether the answers of a pair differ by at most 10 % in words: the subset that shows a length bias."""
    chosen, rejected = (len(pair[side][0]["content"].split()) for side in ("chosen", "rejected"))
    return abs(chosen - rejected) <= EQUAL_LENGTH * max(chosen, rejected)
