"""The sources of params.yaml, streamed into the prepared files: memory grows with the number of rows, not with texts.

Every source is read twice: once to join the rows that share a prompt, a reference or a passage, then to check each row
and write it. A row that passes the checks, copies no other of its kind and label, and holds nothing of an evaluation
set goes to the side of its group. Test rows and multiple-choice questions are asked beside ours, as sets of their
source's own. Sources that train alone and hold no SFT rows teach SFT by the answers that were preferred or labelled
good.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
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
from stages.rows.reading.sources import SKIPPED, read_source
from stages.rows.row_policy import ASKED, NEAR, SAME, Tally, question_and_answers, row_key, screen
from stages.rows.source_counts import SourceCounts, check_losses
from stages.rows.user_groups import Overlap, UserGroups

BAD_BEHIND_GOOD = 8  # pairs between the halves of a pair in the unpaired file

R = TypeVar("R", bound=SftRow | PairRow | UnpairedRow)


class Mixture:
    """Where the rows of every source go; open it as a context, then ``mix`` the sources."""

    def __init__(self, folder: Path, data: Data, evaluation: EvaluationIndex, seen: set[int], tally: Tally) -> None:
        self.folder, self.data, self.evaluation = folder, data, evaluation
        self.seen = seen  # `row_key` of every row so far, ours included
        self.near: dict[str, NearDuplicates] = {}  # by kind and label
        self.groups = UserGroups(data.seed, data.validation_share, data.test_share)
        self.overlap = Overlap()
        self.tally = tally
        self.rows: Counter[str] = Counter()
        self.counts: dict[str, SourceCounts] = {}
        self.trained: Counter[tuple[str, str, str]] = Counter()  # by kind, source and licence
        self.numbers = count()  # of the rows with a prompt, in the order of both readings
        self.names: dict[str, str] = {}  # of sources, by what their rows say of where they are from
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

    def mix(self, sources: Sequence[Source]) -> None:
        """Every row of every source; raises PipelineError where a source loses too many."""
        for source in sources:
            self._join(source)
        self.groups.settle()
        for source in sources:
            self._add(source)

    def _join(self, source: Source) -> None:
        """The first reading: which rows of this and other sources go to one side together."""
        for kind, row, _ in read_source(source, say=lambda line: None):
            if kind != SKIPPED and "prompt" in row:
                self.groups.add(row)

    def _add(self, source: Source) -> None:
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
            self.names[row["source"]] = source.name
            if "question" in row:
                counts.kept["own"] += 1
                self.tests.add(source.name, row, source.test_limit)
            else:
                self._add_answer(kind, row, place, source, counts)
        check_losses(source, counts)

    def _add_answer(
        self, kind: str, row: SftRow | PairRow | UnpairedRow, place: str, source: Source, counts: SourceCounts
    ) -> None:
        number = next(self.numbers)
        if "label" in row:
            counts.labels_read[row["label"]] += 1
        kept, dropped = screen(row, place, self.data, self.tally)
        reason = "" if kept is None else self._repeats(kind, kept)
        if kept is None or reason:
            record = dropped or self.tally.drop(place, row, reason)
            counts.dropped[record["reason"]] += 1
            self._write("dropped", record)
            return
        if "label" in kept:
            counts.labels_kept[kept["label"]] += 1
        split = self.groups.side(number)
        self.overlap.add(row, split)
        if split == "test":  # asked beside ours, as a set of the source's own
            counts.kept["own"] += 1
            self.tests.add(source.name, kept, source.test_limit)
            return
        for copy in copies(kept, source.weight, self.data.seed) if split == "train" else [kept]:
            counts.kept[f"{kind}/{split}"] += 1
            self._write(f"{kind}/{split}", copy)
            if "chosen" in copy:
                self._write_singles(split, copy)

    def _repeats(self, kind: str, row: Mapping[str, object]) -> str:
        """Why the row may not stand beside the rows before it and the evaluation sets; empty where it may."""
        key = row_key(kind, row)
        if key in self.seen:
            return SAME
        self.seen.add(key)
        if self.evaluation.asks(row):
            return ASKED
        alike = f"{kind} {row.get('label')}"
        if alike not in self.near:
            self.near[alike] = self.stack.enter_context(NearDuplicates())
        return NEAR if self.near[alike].first_like(*question_and_answers(row)) is not None else ""

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
        kind, _, split = name.partition("/")
        if split == "train":
            self.trained[kind, self.names[str(row["source"])], str(row["license"])] += 1
        self.files[name].write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")


def copies(row: R, weight: float, seed: int) -> Iterator[R]:
    """A weight of 0.3 keeps three rows of ten; one of 2.5 gives each row twice, and every other a third time."""
    whole, rest = divmod(weight, 1.0)
    times = int(whole) + (unit_interval(seed, "weight", row["id"]) < rest)
    for copy in range(times):
        yield row if copy == 0 else cast(R, {**row, "id": f"{row['id']}-copy{copy + 1}"})
