"""Per-prompt scores of every model on the same prompts, and what may be said of their differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages import paths
from stages.errors import PipelineError
from stages.files import Row, read_jsonl
from stages.params import Evaluate
from stages.reporting.inputs import need
from stages.statistics import Difference, Interval, bootstrap_ratio, paired_difference

Floats = NDArray[np.float64]

REFERENCE = "sft"  # knowledge is retained, and behaviour fixed, against this model
FIELDS = {"exact_match": "exact", "containment": "contains", "behaviour_rate": "clean", "chrf": "chrf"}
NEED_A_CHECK = ("exact_match", "containment")  # an open prompt has no fact to find


@dataclass(frozen=True)
class Scores:
    """One model: prompts in id order, and for each metric its prompts and a matrix (seeds, prompts)."""

    prompts: dict[str, tuple[str, ...]]
    values: dict[str, Floats]
    rows: tuple[Row, ...]  # the generation rows, sorted by (id, seed)


def read_scores(models: Sequence[str]) -> dict[str, Scores]:
    """The generation rows of every model; raises PipelineError unless all answered the same prompts."""
    found: dict[str, Scores] = {}
    for model in models:
        path = paths.eval_metrics(model) / "rows.jsonl"
        found[model] = _scores(read_jsonl(path), path)
        if found[model].prompts != found[models[0]].prompts:
            raise PipelineError(
                f"{path}: {model} was scored on other prompts than {models[0]}: run `dvc repro -f evaluate@{model}`"
            )
    return found


def _scores(rows: Sequence[Row], path: Path) -> Scores:
    generated = sorted((row for row in rows if need(row, path, "kind") == "generation"), key=_order)
    if not generated:
        raise PipelineError(f"{path} holds no generation row: raise evaluate.generation_prompts in params.yaml")
    seeds = sorted({_seed(row) for row in generated})
    prompts: dict[str, tuple[str, ...]] = {}
    values: dict[str, Floats] = {}
    for metric, field in FIELDS.items():
        scored = [row for row in generated if metric not in NEED_A_CHECK or need(row, path, "contains") is not None]
        by_prompt: dict[str, list[float]] = {}
        for row in scored:
            by_prompt.setdefault(row["id"], []).append(float(need(row, path, field)))
        for prompt, numbers in by_prompt.items():
            if len(numbers) != len(seeds):
                raise PipelineError(
                    f"{path}: the prompt {prompt!r} has {len(numbers)} rows for {len(seeds)} seeds: "
                    f"run `dvc repro -f evaluate@{path.parent.name}`"
                )
        prompts[metric] = tuple(by_prompt)
        values[metric] = np.array(list(by_prompt.values()), dtype=np.float64).T
    return Scores(prompts, values, tuple(generated))


def _seed(row: Row) -> int:
    seed = row.get("seed")
    return -1 if seed is None else int(seed)


def _order(row: Row) -> tuple[str, int]:
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


def places(scores: Mapping[str, Scores], metric: str, settings: Evaluate) -> dict[str, Place]:
    """Shared places by a metric's mean, higher first; an interval of the difference that contains 0 is a tie.

    Models of equal mean keep the order in which they are given.
    """
    if not next(iter(scores.values())).prompts[metric]:
        return {}
    order = sorted(scores, key=lambda name: -float(scores[name].values[metric].mean()))

    def tied(best: str, other: str) -> bool:
        found = difference(scores[best], scores[other], metric, settings)
        return found is None or found.tie

    return shared_places(order, tied)
