"""The side of the split on which the user's rows go: rows that share a prompt, a reference or a passage go together.

Every shared text is a key of 8 bytes, and rows that share one are joined into a group (union-find), over all sources
and kinds. A group's side is a hash of the seed and its smallest key, so adding rows elsewhere moves nothing.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import cast

from stages.arabic.lexicon import SENTENCE_END, folded_words
from stages.core.paths import SPLITS
from stages.core.schema import Messages
from stages.rows.split import side_of

LONG_ANSWER_WORDS = 8  # shorter ones (yes, a label, a name) are shared without telling a test row
PASSAGE_WORDS = 25  # of a paragraph that several questions share
LARGEST_HELD_OUT = 40, 0.1  # rows, and share of all rows: a larger group trains, or it would be most of the test


class UserGroups:
    """Groups of rows by what they share: ``add`` every row first, then ask for sides."""

    def __init__(self, seed: int, validation_share: float, test_share: float) -> None:
        self.settings = seed, validation_share, test_share
        self.parent: dict[int, int] = {}
        self.sizes: Counter[int] = Counter()
        self.keys = array("Q")  # one of each row, in the order of adding

    def add(self, row: Mapping[str, object]) -> None:
        first, *others = keys_of(row)
        for other in others:
            self._join(first, other)
        self.sizes[self._find(first)] += 1
        self.keys.append(first)

    def side(self, number: int) -> str:
        """train, validation or test, of the row that was added as this number, from 0."""
        root = self._find(self.keys[number])
        return "train" if self.is_too_large(root) else side_of(f"group:{root}", *self.settings)

    def is_too_large(self, root: int) -> bool:
        rows, share = LARGEST_HELD_OUT
        return self.sizes[root] > max(rows, share * len(self.keys))

    def rows_in_large_groups(self) -> int:
        """Rows that train because their group is too large to hold out."""
        roots = {self._find(key) for key in self.sizes}
        return sum(self.sizes[root] for root in roots if self.is_too_large(root))

    def _find(self, key: int) -> int:
        parent = self.parent
        root = parent.setdefault(key, key)
        while parent[root] != root:
            root = parent[root]
        while parent[key] != root:
            parent[key], key = root, parent[key]
        return root

    def _join(self, one: int, other: int) -> None:
        small, large = sorted((self._find(one), self._find(other)))
        if small != large:
            self.parent[large] = small
            self.sizes[small] += self.sizes.pop(large, 0)


def keys_of(row: Mapping[str, object]) -> Iterator[int]:
    """What ties a row to others: its last question, the opening of its conversation, long answers and passages."""
    prompt = cast(Messages, row["prompt"])
    asked = [turn["content"] for turn in prompt if turn["role"] == "user"]
    yield hash_of("asked", *(word for word in folded_words(asked[-1]) if word != SENTENCE_END))
    answers = [turn["content"] for field in ("completion", "chosen") for turn in cast(Messages, row.get(field, ()))]
    earlier = [turn["content"] for turn in prompt if turn["role"] == "assistant"]
    yield hash_of("opened", asked[0], (earlier or answers)[0])
    for answer in answers:
        if len(words := answer.split()) >= LONG_ANSWER_WORDS:
            yield hash_of("said", *words)
    for text in (turn["content"] for turn in prompt if turn["role"] != "assistant"):
        for paragraph in text.split("\n"):
            if len(words := paragraph.split()) >= PASSAGE_WORDS and paragraph.strip() != asked[-1].strip():
                yield hash_of("passage", *words)


def hash_of(*parts: str) -> int:
    """Eight bytes."""
    return int.from_bytes(blake2b(" ".join(parts).encode(), digest_size=8).digest())


class Overlap:
    """Counts what stands on both sides of the split, independently of the groups: each text by its hash."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, set[int]]] = {what: {side: set() for side in SPLITS} for what in WHAT}

    def add(self, row: Mapping[str, object], side: str) -> None:
        prompt = cast(Messages, row["prompt"])
        self.seen["prompts"][side].add(hash_of(*prompt[-1]["content"].split()))
        for field in ("completion", "chosen"):
            for turn in cast(Messages, row.get(field, ())):
                if len(words := turn["content"].split()) >= LONG_ANSWER_WORDS:
                    self.seen["references"][side].add(hash_of(*words))

    def counts(self) -> dict[str, int]:
        """{prompts, references: how many of the test side stand on the training side too}."""
        return {f"test_{what}_in_train": len(by["test"] & by["train"]) for what, by in self.seen.items()}


WHAT = ("prompts", "references")
