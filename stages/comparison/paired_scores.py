"""Per-prompt scores of every model on the same prompts, and what may be said of their differences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from stages.core import metrics, paths
from stages.core.errors import PipelineError
from stages.core.files import Row, numbered_jsonl
from stages.core.intervals import Comparison, Difference, Interval, all_comparisons, bootstrap_ratio, paired_difference
from stages.core.metrics import SUBSETS, Mean
from stages.core.params import Evaluate
from stages.core.schema import Apart, GenerationScore, PairScore, QuestionScore, SafetyScore, Scored
from stages.core.typed_files import typed

Floats = NDArray[np.float64]

RETENTION = "knowledge_retention"  # containment over the reference's
SCORES: dict[object, type[Scored]] = {  # the rows in which metrics are paired; of the others only the kind is read
    "generation": GenerationScore,
    "pair": PairScore,
    "safety": SafetyScore,
    "mcq": QuestionScore,
    "culture": QuestionScore,
    "dialect": QuestionScore,
}
REFERENCE = "sft"  # knowledge is retained, and behaviour fixed, against this model


@dataclass(frozen=True)
class Scores:
    """One model: for each metric its prompts in id order and a matrix (seeds, prompts)."""

    prompts: dict[str, tuple[str, ...]]
    values: dict[str, Floats]
    rows: tuple[GenerationScore, ...]  # sorted by (id, seed)


def read_scores(models: Sequence[str]) -> dict[str, Scores]:
    """The generation rows of every model; raises PipelineError unless all answered the same prompts."""
    found: dict[str, Scores] = {}
    for model in models:
        path = paths.eval_metrics(model) / "rows.jsonl"
        found[model] = _scores(list(numbered_jsonl(path)), path)
        if found[model].prompts != found[models[0]].prompts:
            raise PipelineError(
                f"{path}: {model} was scored on other prompts than {models[0]}: run `dvc repro -f evaluate@{model}`"
            )
    return found


def _scores(rows: Sequence[tuple[int, Row]], path: Path) -> Scores:
    groups: dict[str, list[Row]] = defaultdict(list)
    generated: list[GenerationScore] = []
    for number, row in sorted(rows, key=_order):
        place = f"{path}:{number}"
        if row.get("kind") == "generation":
            generated.append(typed(row, GenerationScore, place))
        for group in _groups(row, place):
            groups[group].append(row)
    if not generated:
        raise PipelineError(f"{path} holds no generation row: raise evaluate.generation_prompts in params.yaml")
    seeds = {row.get("seed") for row in generated}
    prompts: dict[str, tuple[str, ...]] = {}
    values: dict[str, Floats] = {}
    for metric, value in compared().items():
        by_prompt: dict[str, list[float]] = {}
        for row in groups[value.group]:
            by_prompt.setdefault(row["id"], []).append(value.reads(row[value.field]))
        for prompt, numbers in by_prompt.items():
            if len(numbers) != len(seeds):
                raise PipelineError(
                    f"{path}: the prompt {prompt!r} has {len(numbers)} rows for {len(seeds)} seeds: "
                    f"run `dvc repro -f evaluate@{path.parent.name}`"
                )
        prompts[metric] = tuple(by_prompt)
        values[metric] = np.array(list(by_prompt.values()), dtype=np.float64).T
    return Scores(prompts, values, tuple(generated))


def compared() -> dict[str, Mean]:
    """The metrics whose prompts are paired between models, by name; retention is made of one of them."""
    return {one.name: one.value for one in metrics.METRICS if one.compared and isinstance(one.value, Mean)}


def _groups(row: Row, place: str) -> tuple[str, ...]:
    """The kind of a row, and what it is beside that: a prompt with a fact to find, a harmful request or its twin."""
    kind = typed(row, SCORES.get(row.get("kind"), Scored), place)["kind"]
    asked = {value.group for value in compared().values()}
    return (kind, *(name for name, belongs in SUBSETS.items() if name in asked and belongs(row)))


def _seed(row: Row) -> int:
    seed = row.get("seed")
    return -1 if seed is None else int(seed)


def _order(numbered: tuple[int, Row]) -> tuple[str, int]:
    _, row = numbered
    return str(row["id"]), _seed(row)


def difference(first: Scores, second: Scores, metric: str, settings: Evaluate) -> Difference | None:
    """First minus second on their shared prompts; None when no prompt carries the metric."""
    if not first.prompts[metric]:
        return None
    samples, confidence = settings.bootstrap_samples, settings.confidence
    return paired_difference(first.values[metric], second.values[metric], samples, confidence)


def retention(model: Scores, reference: Scores, settings: Evaluate) -> Interval | None:
    """Containment over the reference's; None when the reference contains no fact, so that nothing can be kept."""
    if not reference.prompts["containment"] or not reference.values["containment"].any():
        return None
    above, below = model.values["containment"], reference.values["containment"]
    return bootstrap_ratio(above, below, settings.bootstrap_samples, settings.confidence)


def comparisons(scores: Mapping[str, Scores], metric: str, settings: Evaluate) -> dict[tuple[str, str], Comparison]:
    """Every ordered pair of models, corrected together; empty where no prompt carries the metric, or nothing is kept.

    ``metric`` is one of `compared`, or `RETENTION`.
    """
    field = "containment" if metric == RETENTION else metric
    values = {model: one.values[field] for model, one in scores.items()}
    if not all(matrix.size for matrix in values.values()):
        return {}
    if metric == RETENTION and (REFERENCE not in values or not values[REFERENCE].any()):
        return {}
    over = REFERENCE if metric == RETENTION else None
    return all_comparisons(values, settings.bootstrap_samples, settings.confidence, over)


def differences(
    scores: Mapping[str, Scores], metric: str, against: Sequence[str], settings: Evaluate
) -> dict[str, dict[str, Apart]]:
    """{model: {other: difference}} for every model but the base, against each other one that is named.

    ``prompts_needed`` is null for what is separated, and where no number of prompts would separate. ``win``, ``tie``
    and ``loss`` are the shares of answers that score higher than, as high as and lower than the other's.
    """
    field = "containment" if metric == RETENTION else metric
    prompts = len(next(iter(scores.values())).prompts[field])
    result: dict[str, dict[str, Apart]] = {}
    for (name, other), one in comparisons(scores, metric, settings).items():
        if name != "base" and other in against:
            needed = None if one.separated else one.prompts_needed
            outcomes = duels(scores[name].values[field], scores[other].values[field])
            row = asdict(one) | {"prompts": prompts, "prompts_needed": needed} | outcomes
            result.setdefault(name, {})[other] = cast(Apart, row)
    return {name: result[name] for name in scores if name in result}


def duels(first: Floats, second: Floats) -> Row:
    """Shares of pairs of answers to one prompt, seed against seed; one without seeds meets every seed of the other."""
    signs = np.sign(first - second)
    return {name: float((signs == sign).mean()) for name, sign in (("win", 1), ("tie", 0), ("loss", -1))}


class Place(NamedTuple):
    """A rank and whether another model shares it."""

    rank: int
    shared: bool

    def __str__(self) -> str:
        return f"{self.rank}=" if self.shared else str(self.rank)


def shared_places(order: Sequence[str], tied: Callable[[str, str], bool]) -> dict[str, Place]:
    """Ranks for names given best first; a name that ties with the best of the current group shares its rank.

    Competition ranking: after a group of three at rank 1 comes rank 4. Ties are judged against the group's best
    only, since "no clear difference" is not transitive and chains would put the first and the last together.
    """
    ranks: dict[str, int] = {}
    best = ""
    for index, name in enumerate(order):
        if index and tied(best, name):
            ranks[name] = ranks[best]
        else:
            best, ranks[name] = name, index + 1
    taken = list(ranks.values())
    return {name: Place(rank, taken.count(rank) > 1) for name, rank in ranks.items()}


def better_than(
    scores: Mapping[str, Scores], names: Sequence[str], metric: str, settings: Evaluate
) -> dict[str, set[str]]:
    """For each name, those of the names that are better: separated, with p-values of all pairs of models adjusted."""
    found = comparisons(scores, metric, settings)
    return {
        name: {other for other in names if (one := found.get((other, name))) and one.separated and one.mean > 0}
        for name in names
    }


def places(scores: Mapping[str, Scores], metric: str, settings: Evaluate) -> dict[str, Place]:
    """Shared places by a metric, higher first: one more than the number of models that are better (`better_than`)."""
    if not next(iter(scores.values())).prompts[metric]:
        return {}
    ranks = {name: 1 + len(found) for name, found in better_than(scores, list(scores), metric, settings).items()}
    taken = list(ranks.values())
    return {name: Place(rank, taken.count(rank) > 1) for name, rank in ranks.items()}
