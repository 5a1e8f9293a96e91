"""What an answer's text is worth: exact match, a contained fact, and script."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from stages.arabic.normalise import folded
from stages.core.errors import PipelineError
from stages.core.files import Row


def exact_match(text: str, references: Sequence[str]) -> bool:
    """Whether the text equals a reference once hamza seats, ى, ة and punctuation are folded."""
    return folded(text) in {folded(reference) for reference in references}


def contains(text: str, value: str) -> bool:
    """Whether the value's folded words stand in the text as whole words, next to each other and in order.

    Raises PipelineError for a value without a word, which every text would contain.
    """
    words, wanted = folded(text).split(), _words_of_check(value)
    return any(words[i : i + len(wanted)] == wanted for i in range(len(words) - len(wanted) + 1))


def not_contains(text: str, value: str) -> bool:
    """Whether the text is without the value: a single letter or digit anywhere, a longer value by its whole words."""
    sign = folded(value)
    return sign not in folded(text) if len(sign) == 1 else not contains(text, value)


def starts_with(text: str, value: str) -> bool:
    """Whether the text's first folded words are those of the value."""
    wanted = _words_of_check(value)
    return folded(text).split()[: len(wanted)] == wanted


def ends_with(text: str, value: str) -> bool:
    """Whether the text's last folded words are those of the value; closing punctuation does not count."""
    wanted = _words_of_check(value)
    return folded(text).split()[-len(wanted) :] == wanted


def exact_words(text: str, value: str) -> bool:
    """Whether the text has just so many words; a proclitic is no word of its own."""
    return len(folded(text).split()) == _number_of_check(value)


def max_words(text: str, value: str) -> bool:
    """Whether the text has at least one word and at most so many."""
    return 1 <= len(folded(text).split()) <= _number_of_check(value)


def items(text: str, value: str) -> bool:
    """Whether «،» parts the text into just so many items, each of which has a word."""
    parts = text.split("،")
    return len(parts) == _number_of_check(value) and all(folded(part) for part in parts)


def _words_of_check(value: str) -> list[str]:
    words = folded(value).split()
    if not words:
        raise PipelineError(f"the check value {value!r} has no word to look for: mend the row's checks")
    return words


def _number_of_check(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise PipelineError(f"the check value {value!r} is not a positive number: mend the row's checks")
    return int(value)


CHECKS: dict[str, Callable[[str, str], bool]] = {
    check.__name__: check for check in (contains, not_contains, exact_words, max_words, starts_with, ends_with, items)
}


def passes(text: str, checks: Sequence[Row]) -> bool | None:
    """Whether every check of a generation row holds; None for a row without checks. Raises for an unknown check."""
    if not checks:
        return None
    unknown = [check["name"] for check in checks if check["name"] not in CHECKS]
    if unknown:
        raise PipelineError(f"the check {unknown[0]!r} is unknown: generation rows may use {', '.join(CHECKS)}")
    return all(CHECKS[check["name"]](text, check["value"]) for check in checks)


def arabic_ratio(text: str) -> float:
    """Arabic letters over all letters, 0..1. A text without letters has no foreign one: 1; an empty text: 0."""
    letters = [character for character in text if unicodedata.category(character).startswith("L")]
    if not letters:
        return 1.0 if text.strip() else 0.0
    return sum(unicodedata.name(letter, "").startswith("ARABIC") for letter in letters) / len(letters)
