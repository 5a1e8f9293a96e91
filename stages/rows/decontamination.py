"""Decontamination: find training texts that share wording with an evaluation set, so that no test is trained.

A text of eight words or more overlaps by any eight words in a row. A short question overlaps where it stands whole in
a prompt that says little else («أجب عن السؤال: ...»). A number that is held out overlaps where a short prompt asks for
it in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import cast

from rensa import RMinHash

from stages.arabic.lexicon import SENTENCE_END, folded_words
from stages.arabic.numbers import spell
from stages.core.schema import Messages
from stages.rows.conventions import contents
from stages.rows.near_duplicates import word_runs
from stages.rows.split import numbers_in

OVERLAP_WORDS = 8
MOST_OTHER_WORDS = 16  # of an instruction around a short question; more is a text that mentions it
MOST_OTHER_WORDS_OF_TWO = 6  # around a question of two words
SHORT_PROMPT_WORDS = 24
THOUSAND = re.compile("الف|الاف")  # in every spelled number that is held out, as folded words have it


class EvaluationIndex:
    """Knows what every evaluation set asks and holds as answers, and the numbers that are held out."""

    def __init__(self, texts: Iterable[str], questions: Iterable[str] = (), numbers: Iterable[int] = ()) -> None:
        """``questions`` are found behind an instruction too; ``texts`` by a run of words, or whole."""
        self.known: set[int] = set()
        self.short: dict[int, set[int]] = {}
        self.numbers = {number: " ".join(_words(spell(number))) for number in numbers}
        for text in texts:
            self.add(text)
        for question in questions:
            self.add(question)
            words = _words(question)
            if 2 <= len(words) < OVERLAP_WORDS:
                self.short.setdefault(len(words), set()).update(_hashes(words, len(words)))

    def add(self, text: str) -> None:
        self.known.update(_hashes(_words(text), OVERLAP_WORDS))

    def asks(self, row: Mapping[str, object]) -> bool:
        """Whether training the row would show a question or an answer of an evaluation set."""
        texts = list(contents(row, "prompt", "completion", "chosen", "rejected"))
        if any(self.overlaps(text) for text in texts):
            return True
        prompt = cast(Messages, row["prompt"])[-1]["content"]
        return self._holds_short_question(prompt) or self._asks_number(prompt, texts)

    def overlaps(self, text: str) -> bool:
        """A text of fewer than eight words overlaps only where a whole evaluation text says the same."""
        return not self.known.isdisjoint(_hashes(_words(text), OVERLAP_WORDS))

    def _holds_short_question(self, prompt: str) -> bool:
        words = _words(prompt)
        for length, hashes in self.short.items():
            others = MOST_OTHER_WORDS_OF_TWO if length == 2 else MOST_OTHER_WORDS
            if length <= len(words) <= length + others and not hashes.isdisjoint(_hashes(words, length)):
                return True
        return False

    def _asks_number(self, prompt: str, texts: Iterable[str]) -> bool:
        if not self.numbers or len(prompt.split()) > SHORT_PROMPT_WORDS:
            return False
        asked = " ".join(_words(prompt))
        found = [self.numbers[number] for number in numbers_in(prompt) if number in self.numbers]
        if THOUSAND.search(asked):  # asked in words, for its digits
            found += [spelled for spelled in self.numbers.values() if spelled in asked]
        return any(spelled in " ".join(_words(text)) for spelled in found for text in texts)


def _words(text: str) -> list[str]:
    return [word for word in folded_words(text) if word != SENTENCE_END]


def _hashes(words: list[str], length: int) -> list[int]:
    return list(RMinHash.hash_token_sets([word_runs(words, length)])[0]) if words else []
