"""The sources of params.yaml, streamed into the prepared files: memory grows with the number of rows, not with texts.

A row that passes the checks, repeats no other and shares no eight words with an evaluation set goes to a split by a
hash of its id. Test rows become generation prompts too; multiple-choice questions are for evaluation only. Sources
that train alone and hold no SFT rows teach SFT by the answers that were preferred or labelled good.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO, TypeVar, cast

from tqdm import tqdm

from stages.core.params import Data, Source
from stages.core.paths import SPLITS
from stages.core.schema import PairRow, ReadRow, SftRow, UnpairedRow
from stages.rows.conventions import own_generation_row
from stages.rows.decontamination import EvaluationIndex
from stages.rows.near_duplicates import NearDuplicates
from stages.rows.prepared_rows import singles
from stages.rows.reading.sources import read_source
from stages.rows.row_policy import Tally, said_by, screen, text_key, texts_of
from stages.rows.split import side_of, unit_interval

BAD_BEHIND_GOOD = 8  # pairs between the halves of a pair in the unpaired file

R = TypeVar("R", bound=SftRow | PairRow | UnpairedRow)


class Mixture:
    """Where the rows of every source go; open it as a context, then ``add`` one source after another."""

    def __init__(self, folder: Path, data: Data, evaluation: EvaluationIndex, seen: set[int], tally: Tally) -> None:
        self.folder, self.data, self.evaluation = folder, data, evaluation
        self.seen = seen  # 8-byte hashes of every text so far, ours included
        self.near = NearDuplicates()
        self.tally = tally
        self.rows: Counter[str] = Counter()
        self.prompts: list[tuple[float, str, SftRow]] = []  # a heap of the test rows with the smallest hashes
        self.late_bad: dict[str, deque[UnpairedRow]] = {split: deque() for split in SPLITS}
        self.files: dict[str, TextIO] = {}
        self.stack = ExitStack()

    def __enter__(self) -> Mixture:
        names = [f"{kind}/{split}" for kind in ("sft", "pairs", "unpaired") for split in SPLITS]
        for name in [*names, "mcq", "generation", "dropped"]:
            file = (self.folder / f"{name}.jsonl").open("a", encoding="utf-8", newline="\n")
            self.files[name] = self.stack.enter_context(file)
        return self

    def __exit__(self, *exception: object) -> None:
        for split, rows in self.late_bad.items():
            for row in rows:
                self._write(f"unpaired/{split}", row)
        if not self.data.shipped and not self.rows["sft/train"]:
            self._teach_good_answers()
        for *_, prompt in sorted(self.prompts, key=lambda item: item[:2], reverse=True):
            self._write("generation", own_generation_row(prompt, f"gen-{prompt['id']}"))
        self.stack.close()

    def add(self, source: Source) -> None:
        found: Iterable[tuple[str, ReadRow, str]]
        found = tqdm(read_source(source), desc=f"prepare {source.name}", unit="row")
        for kind, row, place in found:
            if "reason" in row:
                self._write("dropped", self.tally.drop(place, row, row["reason"], row["message"]))
            elif "question" in row:
                self._write("mcq", row)
            else:
                self._add_answer(kind, row, place, source.weight)

    def _add_answer(self, kind: str, row: SftRow | PairRow | UnpairedRow, place: str, weight: float) -> None:
        kept, dropped = screen(row, place, self.data, self.tally)
        reason = "" if kept is None else self._repeats(kept)
        if kept is None or reason:
            self._write("dropped", dropped or self.tally.drop(place, row, reason))
            return
        split = side_of(kept["id"], self.data.seed, self.data.validation_share, self.data.test_share)
        for copy in copies(kept, weight, self.data.seed) if split == "train" else [kept]:
            self._write(f"{kind}/{split}", copy)
            if "chosen" in copy:
                self._write_singles(split, copy)
        if split == "test" and "completion" in kept and "label" not in kept:
            self._keep_prompt(kept)

    def _repeats(self, row: Mapping[str, object]) -> str:
        """Why the row may not stand beside the rows before it and the evaluation sets; empty where it may."""
        said = said_by(row)
        key = text_key(said)
        if key in self.seen:
            return "says the same as a row before it"
        self.seen.add(key)
        if any(self.evaluation.overlaps(part) for part in texts_of(row)):
            return "shares its words with an evaluation set"
        if self.near.first_like(said) is not None:
            return "a near copy of a row before it"
        return ""

    def _write_singles(self, split: str, pair: PairRow) -> None:
        good, bad = singles(pair, self.data.unpaired_bad_share, self.data.seed)
        self._write(f"unpaired/{split}", good)
        waiting = self.late_bad[split]
        if bad is not None:
            waiting.append(bad)
        if len(waiting) > BAD_BEHIND_GOOD:
            self._write(f"unpaired/{split}", waiting.popleft())

    def _teach_good_answers(self) -> None:
        for split in ("train", "validation"):
            self.files[f"unpaired/{split}"].flush()
            with (self.folder / f"unpaired/{split}.jsonl").open(encoding="utf-8") as lines:
                for row in map(json.loads, lines):
                    if row.pop("label"):
                        row.pop("pair", None)
                        self._write(f"sft/{split}", row | {"flaw": None})

    def _keep_prompt(self, row: SftRow) -> None:
        item = (-unit_interval(self.data.seed, "generation", row["id"]), row["id"], row)
        if len(self.prompts) < self.data.generation_prompts:
            heapq.heappush(self.prompts, item)
        else:
            heapq.heappushpop(self.prompts, item)

    def _write(self, name: str, row: Mapping[str, object]) -> None:
        self.rows[name] += 1
        self.files[name].write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")


def copies(row: R, weight: float, seed: int) -> Iterator[R]:
    """A weight of 0.3 keeps three rows of ten; one of 2.5 gives each row twice, and every other a third time."""
    whole, rest = divmod(weight, 1.0)
    times = int(whole) + (unit_interval(seed, "weight", row["id"]) < rest)
    for copy in range(times):
        yield row if copy == 0 else cast(R, {**row, "id": f"{row['id']}-copy{copy + 1}"})
