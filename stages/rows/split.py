"""Splitting without leaks: rows that share an entity, a number or most of their words go to one side together.

The rows are nodes of a graph and every shared key is an edge; a connected component is one group. A group's side
is decided by a hash of the seed and its smallest key, so adding a row elsewhere moves nothing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import cast

from stages.arabic.normalise import folded
from stages.arabic.numbers import YEARS, to_western_digits
from stages.core.draws import unit_interval
from stages.core.files import Row
from stages.core.paths import SPLITS
from stages.core.schema import Origin, RawCountry, SftRow
from stages.rows.near_duplicates import SHINGLE_WORDS, word_runs
from stages.rows.raw import Raw

LARGEST_HELD_OUT_GROUP = 40  # rows; a larger group trains, or a few names would decide the whole test split
NEAR_COPY_JACCARD = 0.6  # of word trigrams
INTEGER = re.compile(r"(?<!\d)\d{4,}(?!\d)")
CLITICS = r"(?:[وف]?[بلك]?)"


class Mentions:
    """Finds the countries that a text names, by name or capital, as whole words with their proclitics."""

    def __init__(self, countries: Sequence[RawCountry]) -> None:
        names: dict[str, set[str]] = defaultdict(set)
        for country in countries:
            for name in (country["name"], country["capital"]):
                if name:
                    names[folded(name)].add(f"country:{country['code']}")
        self.keys = names
        # Longest first, so that «غينيا الاستوائية» is not read as «غينيا». لل swallows the alef of ال.
        alternatives = sorted(names, key=len, reverse=True)
        forms = [
            re.escape(name) + (f"|لل{re.escape(name[2:])}" if name.startswith("ال") else "") for name in alternatives
        ]
        self.pattern = re.compile(rf"(?<!\w){CLITICS}({'|'.join(forms)})(?!\w)") if forms else None

    def of(self, *texts: str) -> set[str]:
        """Keys such as ``country:EG``."""
        if self.pattern is None:
            return set()
        found = [match for text in texts for match in self.pattern.findall(folded(text))]
        return {key for match in found for key in self.keys.get(match, self.keys.get("ال" + match[2:], set()))}


def numbers_in(*texts: str) -> set[int]:
    """Integers of four digits or more that are not years."""
    found = {int(match) for text in texts for match in INTEGER.findall(to_western_digits(text))}
    return {number for number in found if number not in YEARS}


def keys_of(raw: Raw[Origin], mentions: Mentions) -> set[str]:
    """What ties a row to others: its declared entities, and what its text mentions."""
    row = cast(Row, raw.row)
    texts = [row[field] for field in ("prompt", "completion", "chosen", "rejected") if field in row]
    return set(row.get("entities", [])) | mentions.of(*texts) | {f"number:{number}" for number in numbers_in(*texts)}


def near_copies(raws: Sequence[Raw[Origin]]) -> list[tuple[str, str]]:
    """Pairs of ids of hand-written rows whose answers share most word trigrams: exact, through an inverted index."""
    holders: dict[str, list[str]] = defaultdict(list)
    sizes: dict[str, int] = {}
    found: list[tuple[str, str]] = []
    for raw in raws:
        row = cast(Row, raw.row)
        words = folded(str(row.get("completion") or row["chosen"])).split()
        own = set(word_runs(words, SHINGLE_WORDS))
        shared = Counter(other for trigram in own for other in holders[trigram])
        for other, count in sorted(shared.items()):
            if count >= NEAR_COPY_JACCARD * (len(own) + sizes[other] - count):
                found.append((other, raw.row["id"]))
        sizes[raw.row["id"]] = len(own)
        for trigram in own:
            holders[trigram].append(raw.row["id"])
    return found


def split_rows(
    raws: Sequence[Raw[Origin]], mentions: Mentions, seed: int, validation_share: float, test_share: float
) -> tuple[dict[str, list[Raw[Origin]]], dict[str, str]]:
    """Returns the rows of each split, in input order, and the split of every key."""
    parent: dict[str, str] = {}

    def find(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def join(a: str, b: str) -> None:
        a, b = sorted((find(a), find(b)))
        parent[b] = a

    keys = {raw.row["id"]: keys_of(raw, mentions) for raw in raws}
    for identity, own in keys.items():
        find(f"row:{identity}")
        for key in own:
            join(f"row:{identity}", key)
    for a, b in near_copies([raw for raw in raws if raw.kind != "skills"]):
        join(f"row:{a}", f"row:{b}")

    sizes: dict[str, int] = defaultdict(int)
    for raw in raws:
        sizes[find(f"row:{raw.row['id']}")] += 1
    sides = {
        root: "train" if size > LARGEST_HELD_OUT_GROUP else side_of(root, seed, validation_share, test_share)
        for root, size in sizes.items()
    }
    rows: dict[str, list[Raw[Origin]]] = {split: [] for split in SPLITS}
    for raw in raws:
        rows[sides[find(f"row:{raw.row['id']}")]].append(raw)
    return rows, {key: sides[find(key)] for own in keys.values() for key in own}


def held_out(key_sides: dict[str, str], prefix: str) -> set[str]:
    """Keys of the validation and test splits that start with ``prefix``."""
    return {key for key, side in key_sides.items() if side != "train" and key.startswith(prefix)}


def side_of(group: str, seed: int, validation_share: float, test_share: float) -> str:
    """The split of a group of rows, by a hash of its name and the seed."""
    point = unit_interval(seed, group)
    return "test" if point < test_share else "validation" if point < test_share + validation_share else "train"


def overlap(train: Iterable[SftRow], test: Iterable[SftRow]) -> int:
    """How many test prompts equal a training prompt at the folded level."""
    known = {folded(row["prompt"][-1]["content"]) for row in train}
    return sum(folded(row["prompt"][-1]["content"]) in known for row in test)
