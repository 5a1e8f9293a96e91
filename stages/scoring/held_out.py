"""The rows that every model is scored on: prepared files, and the user's own test sets of params.yaml."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.core import paths
from stages.core.draws import unit_interval
from stages.core.errors import PipelineError
from stages.core.files import Row, read_jsonl
from stages.core.params import EvaluateBudget, OwnTest
from stages.rows.conventions import own_generation_row
from stages.rows.reading.layouts import detect, own_id
from stages.rows.reading.sources import as_source, read_source, records, settled
from stages.rows.reading.values import Refusal
from stages.scoring.harness import render
from stages.scoring.language_modelling import prose_of

ORDER_SEED = 4_096
# What a kind of source row is scored as. Single labelled answers have no second one to be compared with.
OWN_KINDS = {"sft": "generation", "pairs": "pair", "mcq": "mcq"}


@dataclass(frozen=True)
class HeldOut:
    """Rows by what is asked of them; ``own`` holds the user's, by ``generation``, ``pair``, ``mcq`` and ``harness``."""

    generation: list[Row]
    mcq: list[Row]
    pairs: list[Row]
    safety: list[Row]
    culture: list[Row]
    dialect: list[Row]
    text: list[Row]
    own: dict[str, list[Row]]

    def references(self) -> dict[str, list[str]]:
        """The references of the generation rows, by id."""
        return {row["id"]: row["references"] for row in [*self.generation, *self.own["generation"]]}


def read_held_out(budget: EvaluateBudget, own: Sequence[OwnTest] = ()) -> HeldOut:
    """The first rows of each file after a seeded shuffle, and all rows of the user's own sets.

    Raises PipelineError where generation prompts, questions or pairs are missing; the hand-written sets may be empty.
    """
    generation = _needed(paths.GENERATION, budget.generation_prompts)
    tests = read_own(own)
    for kind, row in of_sources({test.name for test in own}):
        tests[kind].append(row)
    return HeldOut(
        generation=generation,
        mcq=_needed(paths.MCQ, budget.mcq_questions),
        pairs=_needed(paths.prepared_split("pairs", "test"), budget.pairs),
        safety=_first(paths.prepared_evaluation("safety"), budget.safety_rows),
        culture=_first(paths.prepared_evaluation("culture"), budget.culture_questions),
        dialect=_first(paths.prepared_evaluation("dialect"), budget.dialect_questions),
        text=prose_of(generation),
        own=tests,
    )


def of_sources(names: Collection[str]) -> Iterator[tuple[str, Row]]:
    """The held-out rows of data.sources, as `prepare` left them; ``names`` are those of evaluate.own, which differ."""
    for row in read_jsonl(paths.OWN_TESTS):
        if row["set"] in names:
            raise PipelineError(
                f"{row['set']!r} names a source and a test set of evaluate.own in params.yaml: rename one of them"
            )
        yield row.pop("asked"), row


def _needed(path: Path, limit: int) -> list[Row]:
    rows = _first(path, limit)
    if not rows:
        raise PipelineError(f"{path}: no row to evaluate: add held-out rows, or raise profiles.<profile>.evaluate")
    return rows


def _first(path: Path, limit: int) -> list[Row]:
    rows = sorted(read_jsonl(path), key=lambda row: str(row["id"]))
    random.Random(ORDER_SEED).shuffle(rows)
    return rows[: max(0, limit)]


# ---------------------------------------------------------------- the user's own


def read_own(tests: Sequence[OwnTest]) -> dict[str, list[Row]]:
    """The rows of every set by what is asked of them, each with ``set``, the name that params.yaml gives it."""
    found: dict[str, list[Row]] = {"generation": [], "pair": [], "mcq": [], "harness": []}
    for test in tests:
        if not re.fullmatch(r"[a-z0-9-]+", test.name):
            raise PipelineError(f"evaluate.own: the name {test.name!r} may hold a-z, 0-9 and - only: rename it")
        items = list(_harness_items(test) if test.prompts != "ours" else _own_rows(test))
        for kind, row in _drawn(test, items):
            found[kind].append(row | {"set": test.name})
    return found


def _drawn(test: OwnTest, items: Sequence[tuple[str, Row]]) -> list[tuple[str, Row]]:
    """At most ``test.limit`` of the rows, those with the smallest hashes, in their order."""
    if len(items) <= test.limit:
        return list(items)
    print(f"evaluate.own: {test.name}: {test.limit} of {len(items)} rows are asked (limit), drawn by a hash")
    draws = [unit_interval(ORDER_SEED, row["id"]) for _, row in items]
    last = sorted(draws)[test.limit - 1]
    return [item for item, draw in zip(items, draws, strict=True) if draw <= last]


def _own_rows(test: OwnTest) -> Iterator[tuple[str, Row]]:
    """Rows of any layout that data.sources takes, through the same reader. A question stands there once.

    Raises PipelineError for one that stands there twice with different answers.
    """
    asked: dict[str, tuple[str, str]] = {}
    repeated = 0
    for kind, row, where in read_source(as_source(test)):
        if "reason" in row:  # in a set of the hub, which the user cannot mend
            print(f"evaluate.own: {test.name}: {where} is left out: {row['message']}")
            continue
        if kind not in OWN_KINDS:
            raise PipelineError(f"{where}: a test set needs prompts with references, pairs or questions, found {kind}")
        if "question" in row:
            question, right = f"{row['question']} {sorted(row['choices'])}", row["choices"][row["answer"]]
            if question in asked:
                before, answer = asked[question]
                if answer != right:
                    raise PipelineError(
                        f"{where}: the question of {before} with another answer ({right!r}, there {answer!r}): keep one"
                    )
                repeated += 1
                continue
            asked[question] = where, right
        prompt = own_generation_row(row, row["id"]) if "completion" in row and "label" not in row else None
        yield OWN_KINDS[kind], dict(prompt or row)
    if repeated:
        print(f"evaluate.own: {test.name}: {repeated} questions stand there again and are asked once")


def _harness_items(test: OwnTest) -> Iterator[tuple[str, Row]]:
    source = settled(as_source(test))
    seen: Counter[str] = Counter()
    for where, file, _, record in records(source):
        seen[file] += 1
        try:
            if isinstance(record, Refusal):
                raise record
            layout = detect(record) if source.layout == "auto" else source.layout
            item = render(test.prompts, layout, record)
        except PipelineError as error:
            raise PipelineError(f"{where}: {error}") from None
        identity = own_id(record) or str(record.get("sample_id") or seen[file])
        about = {"subject": _about(record, "subject", "Subject"), "level": _about(record, "level", "Level")}
        part = test.split if test.hub else Path(file).stem
        yield "harness", {"id": f"{test.name}-{part}-{identity}", "item": item} | about


def _about(record: Row, *fields: str) -> str:
    return next((str(record[field]) for field in fields if record.get(field)), "unspecified")
