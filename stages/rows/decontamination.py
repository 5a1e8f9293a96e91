"""Decontamination: find training texts that share wording with an evaluation set, so that no test is trained."""

from __future__ import annotations

from collections.abc import Iterable

from rensa import RMinHash

from stages.arabic.lexicon import SENTENCE_END, folded_words
from stages.rows.near_duplicates import word_runs

OVERLAP_WORDS = 8


class EvaluationIndex:
    """Finds training texts that share a run of eight folded words with a text of any evaluation set."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.known: set[int] = set()
        for text in texts:
            self.known.update(self._hashes(text))

    def overlaps(self, text: str) -> bool:
        """A text of fewer than eight words overlaps only where a whole evaluation text says the same."""
        return not self.known.isdisjoint(self._hashes(text))

    @staticmethod
    def _hashes(text: str) -> list[int]:
        words = [word for word in folded_words(text) if word != SENTENCE_END]
        return list(RMinHash.hash_token_sets([word_runs(words, OVERLAP_WORDS)])[0]) if words else []
