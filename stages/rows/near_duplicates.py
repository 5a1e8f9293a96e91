"""Near copies in a stream of rows, and rows that share wording with an evaluation set: memory in bytes per row.

`NearDuplicates` estimates the Jaccard similarity of word trigrams by MinHash (Broder 1997; `rensa`, R-MinHash) and
finds candidates by banding (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4). 128 values in 16 bands of
8 find a copy of similarity 0.8 with probability 0.95, of 0.9 with 0.9999; a candidate counts only if its estimated
similarity, of standard error 0.03, reaches the threshold. One byte of each value is kept for that estimate, and for
each band one 8-byte entry of a single hash table.

Measured on one core of a shared EPYC, rows of 60 words, one in twenty a near copy:

    rows        rows a second   memory   at the most, while the table grows
    10,000      11,000            4 MB     5 MB
    100,000     10,800           53 MB    67 MB
    1,000,000    9,800          394 MB   483 MB

With its own deduplicator `rensa` does 36,000 rows a second in 2.0 kB a row, datasketch 2.0.0 does 5,600 in 3.3 kB
before it stores what the estimate needs: 1 million rows would take 2 GB and more.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from stages.arabic.lexicon import SENTENCE_END, folded_words
from stages.core.errors import PipelineError

THRESHOLD = 0.8
SHINGLE_WORDS = 3
OVERLAP_WORDS = 8

_VALUES, _BANDS, _SEED = 128, 16, 1
# A table entry: 40 bits of the band's hash, which choose its place too, and 24 bits of row number plus one.
_ROW_BITS, _KEY_SHIFT = 24, np.uint64(64 - 40)
_MOST_ROWS = 2**_ROW_BITS - 1
_FULLEST = 0.6
_ROWS_PER_BUCKET = 8  # a stock phrase must not make every row a candidate of every other
_MULTIPLIERS = np.random.default_rng(_SEED).integers(2**64, size=(_BANDS, _VALUES // _BANDS), dtype=np.uint64) | 1


class NearDuplicates:
    """Remembers the texts that are like none before them; the same texts in the same order give the same answers."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        # Two different values share their low byte once in 256, which the estimate is corrected for.
        self.equal_bytes = _VALUES * (threshold + (1 - threshold) / 256)
        self.asked = 0
        self.numbers = array("Q")  # of each remembered text: how many texts were asked before it
        self.signatures = bytearray()
        self.table = array("Q", bytes(8 * 2**12))
        self.entries = 0

    def first_like(self, text: str) -> int | None:
        """The number, from 0 in the order of asking, of the earliest remembered text that is like this one.

        Texts are compared as they stand: give them at the light level. None remembers the text. A text without words
        is like nothing and not remembered. Raises PipelineError beyond 16,777,215 remembered texts.
        """
        number = self.asked
        self.asked += 1
        words = text.split()
        if not words:
            return None
        sketch = RMinHash(_VALUES, _SEED)
        sketch.update(_runs(words, SHINGLE_WORDS))
        values = np.array(sketch.digest(), dtype=np.uint64)
        keys = ((values.reshape(_BANDS, -1) * _MULTIPLIERS).sum(axis=1) >> _KEY_SHIFT).tolist()
        signature = values.astype(np.uint8)
        places, candidates = self._look_up(keys)
        like = self._first_equal(sorted(candidates), signature)
        if like is not None:
            return self.numbers[like]
        self._remember(number, signature, keys, places)
        return None

    def _look_up(self, keys: list[int]) -> tuple[list[int], set[int]]:
        """Where each key would go, -1 for a full bucket, and the rows of all buckets."""
        table, mask = self.table, len(self.table) - 1
        places, rows = [], set()
        for key in keys:
            place, held = key & mask, 0
            while entry := table[place]:
                if entry >> _ROW_BITS == key:
                    rows.add((entry & _MOST_ROWS) - 1)
                    held += 1
                place = (place + 1) & mask
            places.append(place if held < _ROWS_PER_BUCKET else -1)
        return places, rows

    def _first_equal(self, rows: list[int], signature: NDArray[np.uint8]) -> int | None:
        if not rows:
            return None
        held = b"".join(self.signatures[row * _VALUES : (row + 1) * _VALUES] for row in rows)
        equal = np.count_nonzero(np.frombuffer(held, dtype=np.uint8).reshape(-1, _VALUES) == signature, axis=1)
        enough = np.flatnonzero(equal >= self.equal_bytes)
        return rows[enough[0]] if len(enough) else None

    def _remember(self, number: int, signature: NDArray[np.uint8], keys: list[int], places: list[int]) -> None:
        self.numbers.append(number)
        self.signatures += signature.tobytes()
        row = len(self.numbers)  # plus one: an entry of zero is an empty place
        if row > _MOST_ROWS:
            raise PipelineError(f"near copies are found among {_MOST_ROWS} rows at most: split the sources")
        table, mask = self.table, len(self.table) - 1
        for key, place in zip(keys, places, strict=True):
            if place >= 0:
                while table[place]:  # another band of this row may have taken it
                    place = (place + 1) & mask
                table[place] = key << _ROW_BITS | row
                self.entries += 1
        if self.entries > _FULLEST * len(table):
            self._grow()

    def _grow(self) -> None:
        table = array("Q", bytes(16 * len(self.table)))
        mask = len(table) - 1
        for entry in self.table:
            if entry:
                place = entry >> _ROW_BITS & mask
                while table[place]:
                    place = (place + 1) & mask
                table[place] = entry
        self.table = table


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
        return list(RMinHash.hash_token_sets([_runs(words, OVERLAP_WORDS)])[0]) if words else []


def _runs(words: Sequence[str], length: int) -> list[str]:
    """Every run of ``length`` words; all words where there are fewer."""
    return [" ".join(words[i : i + length]) for i in range(max(1, len(words) - length + 1))]
