"""Near duplicates among rows of one kind and label: MinHash finds candidates, and their words decide.

What rows share by design is no copy: a document before its questions, an instruction before its texts, a system
prompt. So a row is compared by its last question and its answers, and two rows are copies only if both are alike in
nearly all their words.

Candidates: MinHash (Broder 1997) over word trigrams of the edges of the question and of the answers, in 16 bands of 8
values (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4): a pair of similarity 0.8 is found with
probability 0.95, one of 0.9 with 0.9999. The edges hold what differs where a long text is shared. The texts wait in a
temporary file, so memory holds sketches and places alone. The same rows in the same order give the same answers.
"""

from __future__ import annotations

import tempfile
from array import array
from collections import Counter
from collections.abc import Sequence

from rensa import RMinHash, RMinHashLSH

THRESHOLD = 0.7  # Jaccard index of the trigrams: a word more at the end of a text moves all of an edge
SHINGLE_WORDS = 3
VALUES, BANDS, SEED = 128, 16, 1
EDGE_WORDS = 12  # at either end of a question
QUESTION_SHARE = 0.05  # of the words of a question may be others: none below twenty words
ANSWER_SHARE = 0.1  # of the words of the answers may be others: none below ten words
MOST_CANDIDATES = 200  # compared word by word; more begin and end alike and are no copies


class NearDuplicates:
    """Remembers the rows that are copies of none before them; open it as a context."""

    def __init__(self) -> None:
        self.index = RMinHashLSH(threshold=THRESHOLD, num_perm=VALUES, num_bands=BANDS)
        self.texts = tempfile.TemporaryFile()  # noqa: SIM115  (closed by __exit__)
        self.places = array("Q")  # of each remembered row in the file, and of the end

    def __enter__(self) -> NearDuplicates:
        return self

    def __exit__(self, *exception: object) -> None:
        self.texts.close()

    def first_like(self, question: str, answer: str) -> int | None:
        """The number, from 0 in the order of remembering, of the first row of which this is a copy.

        Texts are compared as they stand: give them at the light level. None remembers the row. A row without words is
        like nothing and not remembered.
        """
        asked, said = question.split(), answer.split()
        if not asked and not said:
            return None
        sketch = RMinHash(VALUES, SEED)
        sketch.update(shingles(asked, said))
        for number in sorted(self.index.query(sketch))[:MOST_CANDIDATES]:
            if are_copies(asked, said, *self._read(number)):
                return int(number)
        self.index.insert(len(self.places), sketch)
        self.places.append(self.texts.seek(0, 2))
        self.texts.write(f"{question}\n{answer}\n".encode())
        return None

    def _read(self, number: int) -> tuple[list[str], list[str]]:
        self.texts.seek(self.places[number])
        question, answer = (self.texts.readline().decode().split() for _ in range(2))
        return question, answer


def are_copies(asked: Sequence[str], said: Sequence[str], question: Sequence[str], answer: Sequence[str]) -> bool:
    """Whether two rows, as words of their questions and answers, say the same but for a few words."""
    if differing(said, answer) > 2 * int(ANSWER_SHARE * min(len(said), len(answer))) or not alike(asked, question):
        return False
    one, other = set(shingles(asked, said)), set(shingles(question, answer))
    return len(one & other) >= THRESHOLD * len(one | other)


def shingles(asked: Sequence[str], said: Sequence[str]) -> list[str]:
    """Word trigrams of the edges of a question and of its answers."""
    return word_runs([*edges(asked), *said], SHINGLE_WORDS)


def alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two questions are one but for few words here and there, and for no number.

    Between what both begin and end with, such questions still share most words. Different texts behind one
    instruction, and different questions behind one document, do not.
    """
    start = common(one, other)
    end = common(one[start:][::-1], other[start:][::-1])
    first, second = one[start : len(one) - end], other[start : len(other) - end]
    apart = differing(first, second)
    few = 2 * int(QUESTION_SHARE * min(len(one), len(other)))
    numbers = any(any(map(str.isdigit, word)) for word in {*first} ^ {*second})
    return not numbers and apart <= few and (apart <= 2 or 2 * apart <= len(first) + len(second))


def common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words both begin with."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def differing(one: Sequence[str], other: Sequence[str]) -> int:
    """Words of either that the other has not: an exchanged word counts twice, and so do words in another order."""
    if sorted(one) == sorted(other):
        return 0 if list(one) == list(other) else 2
    first, second = Counter(one), Counter(other)
    return (first - second).total() + (second - first).total()


def edges(words: Sequence[str]) -> list[str]:
    """The first and the last words; all of them where there are few."""
    return list(words) if len(words) <= 2 * EDGE_WORDS else [*words[:EDGE_WORDS], *words[-EDGE_WORDS:]]


def word_runs(words: Sequence[str], length: int) -> list[str]:
    """Every run of ``length`` words; all words as one run where there are fewer."""
    return [" ".join(words[i : i + length]) for i in range(max(1, len(words) - length + 1))]
