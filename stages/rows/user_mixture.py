"""The sources of params.yaml, streamed into the prepared files: memory grows with the number of rows, not with texts.

A row that passes the checks, repeats no other and shares no eight words with an evaluation set goes to a split by a
hash of its id. Test rows become generation prompts too; multiple-choice questions are for evaluation only. Sources
that train alone and hold no SFT rows teach SFT by the answers that were preferred or labelled good.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO, TypeVar, cast

from tqdm import tqdm

from stages.core.draws import unit_interval
from stages.core.params import Data, Source
from stages.core.paths import SPLITS
from stages.core.schema import PairRow, ReadRow, SftRow, UnpairedRow
from stages.rows.decontamination import EvaluationIndex
from stages.rows.near_duplicates import NearDuplicates
from stages.rows.own_tests import OwnTests
from stages.rows.prepared_rows import singles
from stages.rows.reading.sources import read_source
from stages.rows.row_policy import NEAR, SAME, Tally, said_by, screen, text_key, texts_of
from stages.rows.source_counts import SourceCounts, check_losses
from stages.rows.split import side_of

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
        self.counts: dict[str, SourceCounts] = {}
        self.trained: Counter[tuple[str, str, str]] = Counter()  # by kind, source and licence
        self.tests = OwnTests(data.seed)
        self.late_bad: dict[str, deque[UnpairedRow]] = {split: deque() for split in SPLITS}
        self.files: dict[str, TextIO] = {}
        self.stack = ExitStack()

    def __enter__(self) -> Mixture:
        names = [f"{kind}/{split}" for kind in ("sft", "pairs", "unpaired") for split in SPLITS]
        for name in [*names, "own", "dropped"]:
            file = (self.folder / f"{name}.jsonl").open("a", encoding="utf-8", newline="\n")
            self.files[name] = self.stack.enter_context(file)
        return self

    def __exit__(self, *exception: object) -> None:
        for split, rows in self.late_bad.items():
            for row in rows:
                self._write(f"unpaired/{split}", row)
        if not self.data.shipped and not self.rows["sft/train"]:
            self._teach_good_answers()
        for test in self.tests.rows():
            self._write("own", test)
        self.stack.close()

    def add(self, source: Source) -> SourceCounts:
        """Every row of a source; raises PipelineError where it loses too many."""
        counts = self.counts[source.name] = SourceCounts()
        found: Iterable[tuple[str, ReadRow, str]]
        found = tqdm(read_source(source, counts.left), desc=f"prepare {source.name}", unit="row")
        for kind, row, place in found:
            if "reason" in row:
                counts.skipped[row["reason"]] += 1
                self._write("dropped", self.tally.drop(place, row, row["reason"], row["message"]))
                continue
            counts.read += 1
            counts.licenses[row["license"]] += 1
            if "question" in row:
                counts.kept["own"] += 1
                self.tests.add(source.name, row, source.test_limit)
            else:
                self._add_answer(kind, row, place, source, counts)
        check_losses(source, counts)
        return counts

    def _add_answer(
        self, kind: str, row: SftRow | PairRow | UnpairedRow, place: str, source: Source, counts: SourceCounts
    ) -> None:
        if "label" in row:
            counts.labels_read[row["label"]] += 1
        kept, dropped = screen(row, place, self.data, self.tally)
        reason = "" if kept is None else self._repeats(kept)
        if kept is None or reason:
            record = dropped or self.tally.drop(place, row, reason)
            counts.dropped[record["reason"]] += 1
            self._write("dropped", record)
            return
        if "label" in kept:
            counts.labels_kept[kept["label"]] += 1
        split = side_of(kept["id"], self.data.seed, self.data.validation_share, self.data.test_share)
        if split == "test":  # asked beside ours, as a set of the source's own
            counts.kept["own"] += 1
            self.tests.add(source.name, kept, source.test_limit)
            return
        for copy in copies(kept, source.weight, self.data.seed) if split == "train" else [kept]:
            counts.kept[f"{kind}/{split}"] += 1
            if split == "train":
                self.trained[kind, source.name, copy["license"]] += 1
            self._write(f"{kind}/{split}", copy)
            if "chosen" in copy:
                self._write_singles(split, copy)

    def _repeats(self, row: Mapping[str, object]) -> str:
        """Why the row may not stand beside the rows before it and the evaluation sets; empty where it may."""
        said = said_by(row)
        key = text_key(said)
        if key in self.seen:
            return SAME
        self.seen.add(key)
        if any(self.evaluation.overlaps(part) for part in texts_of(row)):
            return "shares its words with an evaluation set"
        if self.near.first_like(said) is not None:
            return NEAR
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

    def _write(self, name: str, row: Mapping[str, object]) -> None:
        self.rows[name] += 1
        self.files[name].write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")


def copies(row: R, weight: float, seed: int) -> Iterator[R]:
    """A weight of 0.3 keeps three rows of ten; one of 2.5 gives each row twice, and every other a third time."""
    whole, rest = divmod(weight, 1.0)
    times = int(whole) + (unit_interval(seed, "weight", row["id"]) < rest)
    for copy in range(times):
        yield row if copy == 0 else cast(R, {**row, "id": f"{row['id']}-copy{copy + 1}"})
