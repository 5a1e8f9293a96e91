"""The side of the split on which the user's rows go: rows that share a prompt, a reference or a passage go together.

Every shared text is a key of 8 bytes, and rows that share one are joined into a group (union-find), over all sources
and kinds. A group's side is a hash of the seed and its smallest key, so adding rows elsewhere moves nothing. A text
that most rows share is a frame (a system prompt, an instruction, a greeting) and joins nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import cast

import numpy as np

from stages.arabic.lexicon import SENTENCE_END, folded_words
from stages.core.paths import SPLITS
from stages.core.schema import Messages
from stages.rows.split import side_of

LONG_ANSWER_WORDS = 8  # shorter ones (yes, a label, a name) are shared without telling a test row
PASSAGE_WORDS = 25  # of a text that several questions share
COMPARED_WORDS = 40  # of an answer: those that begin alike so far are taken for one
LARGEST_GROUP = 40, 0.1  # rows, and share of all rows: a larger group trains, or it would be most of the test


class UserGroups:
    """Groups of rows by what they share: ``add`` every row, ``settle``, then ask for sides by the rows' numbers.

    It holds about 70 bytes a row: 8 for each key, and 8 for the row's place in its group.
    """

    def __init__(self, seed: int, validation_share: float, test_share: float) -> None:
        self.settings = seed, validation_share, test_share
        self.keys, self.rows = array("Q"), array("Q")  # a key, and the row that has it
        self.frames = array("B")  # 1 where a key may be that of a frame
        self.first = array("Q")  # of each row, the key of its question
        self.parent = np.zeros(0, dtype=np.int64)
        self.sizes = np.zeros(0, dtype=np.int64)

    def add(self, row: Mapping[str, object]) -> None:
        number = len(self.first)
        for place, (key, may_be_frame) in enumerate(keys_of(row)):
            if not place:
                self.first.append(key)
            self.keys.append(key)
            self.rows.append(number)
            self.frames.append(may_be_frame)

    def settle(self) -> None:
        """Join the rows that share a key; call it once, after the last row."""
        self.parent = np.arange(len(self.first), dtype=np.int64)
        keys, rows, frames = np.array(self.keys), np.array(self.rows), np.array(self.frames)
        order = np.lexsort((rows, keys))
        keys, rows, frames = keys[order], rows[order], frames[order]
        edges = np.flatnonzero(np.diff(keys)) + 1
        for begin, end in zip([0, *edges.tolist()], [*edges.tolist(), len(keys)], strict=True):
            if end - begin > 1 and not (frames[begin] and self._is_too_large(end - begin)):
                for other in rows[begin + 1 : end].tolist():
                    self._join(int(rows[begin]), other)
        roots = [self._find(number) for number in range(len(self.first))]
        self.parent = np.array(roots, dtype=np.int64)
        self.sizes = np.bincount(self.parent, minlength=len(roots)) if roots else self.sizes
        smallest: dict[int, int] = {}
        for number, root in enumerate(roots):
            smallest[root] = min(smallest.get(root, self.first[number]), self.first[number])
        self.smallest = smallest

    def side(self, number: int) -> str:
        """train, validation or test, of the row that was added as this number, from 0."""
        root = int(self.parent[number])
        if self._is_too_large(int(self.sizes[root])):
            return "train"
        return side_of(f"group:{self.smallest[root]}", *self.settings)

    def rows_in_large_groups(self) -> int:
        """Rows that train because their group is too large to hold out."""
        return sum(int(size) for size in self.sizes if self._is_too_large(int(size)))

    def _is_too_large(self, rows: int) -> bool:
        least, share = LARGEST_GROUP
        return rows > max(least, share * len(self.first))

    def _find(self, number: int) -> int:
        root = number
        while self.parent[root] != root:
            root = int(self.parent[root])
        while self.parent[number] != root:
            self.parent[number], number = root, int(self.parent[number])
        return root

    def _join(self, one: int, other: int) -> None:
        small, large = sorted((self._find(one), self._find(other)))
        self.parent[large] = small


def keys_of(row: Mapping[str, object]) -> Iterator[tuple[int, bool]]:
    """What ties a row to others, and whether it may be a frame.

    Its last question and its answers, rejected ones too, tie it whoever shares them. The opening of its conversation,
    and passages, tie it unless most rows share them.
    """
    prompt = cast(Messages, row["prompt"])
    asked = [turn["content"] for turn in prompt if turn["role"] == "user"]
    yield hashed("asked", words_of(asked[-1])), False
    for answer in answers_of(row):
        yield hashed("said", answer), False
    yield hashed("opened", words_of(asked[0])), True
    for passage in passages_of(prompt):
        yield hashed("passage", passage), True


def answers_of(row: Mapping[str, object]) -> Iterator[list[str]]:
    """The beginnings of the long answers of a row, as folded words."""
    for field in ("completion", "chosen", "rejected"):
        for turn in cast(Messages, row.get(field, ())):
            words = words_of(turn["content"], COMPARED_WORDS)
            if len(words) >= LONG_ANSWER_WORDS:
                yield words


def passages_of(prompt: Messages) -> Iterator[list[str]]:
    """The beginning and the end of every long paragraph: a question may stand before or behind its passage."""
    for turn in prompt:
        if turn["role"] != "assistant":
            for paragraph in turn["content"].split("\n"):
                words = paragraph.split()
                if len(words) >= PASSAGE_WORDS:
                    yield words_of(" ".join(words[:PASSAGE_WORDS]))
                    yield words_of(" ".join(words[-PASSAGE_WORDS:]))


def words_of(text: str, most: int = 0) -> list[str]:
    """Its folded words, or the first so many."""
    if most:
        text = " ".join(text.split(maxsplit=most)[:most])
    return [word for word in folded_words(text) if word != SENTENCE_END]


def hashed(kind: str, words: list[str]) -> int:
    """Eight bytes."""
    return int.from_bytes(blake2b(f"{kind}:{' '.join(words)}".encode(), digest_size=8).digest())


class Overlap:
    """Counts what stands on both sides of the split, from the rows as they were written."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, set[int]]] = {
            what: {side: set() for side in SPLITS} for what in ("prompts", "references")
        }

    def add(self, row: Mapping[str, object], side: str) -> None:
        question = cast(Messages, row["prompt"])[-1]["content"]
        self.seen["prompts"][side].add(hashed("prompt", words_of(question)))
        for answer in answers_of(row):
            self.seen["references"][side].add(hashed("reference", answer))

    def counts(self) -> dict[str, int]:
        """{prompts, references: how many of the test side stand on the training side too}."""
        return {f"test_{what}_in_train": len(by["test"] & by["train"]) for what, by in self.seen.items()}
