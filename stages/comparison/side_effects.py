"""What a preference training did beside lowering its loss: displacement, length, repetition; judged by intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

import numpy as np

from stages.comparison.measured import preference_methods, train_summary
from stages.comparison.paired_scores import REFERENCE, Floats, Scores
from stages.core.errors import PipelineError
from stages.core.intervals import Difference, Interval, bootstrap_ratio, paired_difference
from stages.core.params import Evaluate, Params

MOVED_NATS = 0.01  # per token: about 1 % of each token's probability

Field = Literal["tokens", "repeated", "hedged", "stopped"]  # of a generation row


class Likelihood(Enum):
    """What became of answers in all seeds of a training."""

    LIKELIER = auto()
    LESS_LIKELY = auto()
    SAME = auto()


class Trend(Enum):
    """Of a figure whose interval lies above, below or around what it would be without a change."""

    RISES = auto()
    FALLS = auto()
    UNCLEAR = auto()


@dataclass(frozen=True)
class Watched:
    """One preference training at its end, a value per seed: changes and margin against its start, in nats."""

    chosen_nats_per_token: tuple[float, ...]
    rejected_nats_per_token: tuple[float, ...]
    reward_margin_nats: tuple[float, ...]
    reward_accuracy: tuple[float, ...]

    @property
    def chosen(self) -> Likelihood:
        return moved(self.chosen_nats_per_token)

    @property
    def rejected(self) -> Likelihood:
        return moved(self.rejected_nats_per_token)


@dataclass(frozen=True)
class Effect:
    """A model's generated answers against the reference's, on the same prompts; ``length`` is a ratio of tokens."""

    length: Interval | None
    repeated: Difference
    hedged: Difference
    stopped: Difference

    @property
    def longer(self) -> Trend | None:
        """RISES where the answers are longer, FALLS where they are shorter."""
        return None if self.length is None else trend(self.length, unchanged=1.0)

    @property
    def length_change(self) -> tuple[float, float, float]:
        """By how many per cent the length changed in either direction, with its interval, the smaller end first."""
        assert self.length is not None
        low, high = sorted(abs(end - 1) * 100 for end in (self.length.low, self.length.high))
        return abs(self.length.mean - 1) * 100, low, high

    @property
    def repetition(self) -> Trend:
        return trend(self.repeated)

    @property
    def hedging(self) -> Trend:
        return trend(self.hedged)

    @property
    def stopping(self) -> Trend:
        return trend(self.stopped)


def moved(nats_per_token: Sequence[float]) -> Likelihood:
    """The rule LIKELIER: every seed moved the same way, by more than `MOVED_NATS`."""
    if min(nats_per_token) > MOVED_NATS:
        return Likelihood.LIKELIER
    return Likelihood.LESS_LIKELY if max(nats_per_token) < -MOVED_NATS else Likelihood.SAME


def trend(one: Interval, unchanged: float = 0.0) -> Trend:
    """The rules LONGER, of a ratio to 1, and RISES, of a difference."""
    return Trend.RISES if one.low > unchanged else Trend.FALLS if one.high < unchanged else Trend.UNCLEAR


def read_watched(params: Params) -> dict[str, Watched]:
    """From ``metrics/train/<model>/summary.json``; raises PipelineError naming the key that is missing."""
    found = {}
    for model in preference_methods(params):
        seeds = [seed["displacement"] for seed in train_summary(model)["per_seed"] if "displacement" in seed]
        if not seeds:
            raise PipelineError(f"{model} was not watched while it trained: run `dvc repro -f train@{model}`")
        found[model] = Watched(
            chosen_nats_per_token=tuple(seed["chosen_nats_per_token"] for seed in seeds),
            rejected_nats_per_token=tuple(seed["rejected_nats_per_token"] for seed in seeds),
            reward_margin_nats=tuple(seed["reward_margin_nats"] for seed in seeds),
            reward_accuracy=tuple(seed["reward_accuracy"] for seed in seeds),
        )
    return found


def _matrix(scores: Scores, field: Field) -> Floats:
    """(seeds, prompts); the rows come sorted by prompt and seed, and every prompt has every seed."""
    seeds = len({row["seed"] for row in scores.rows})
    return np.array([float(row[field]) for row in scores.rows]).reshape(-1, seeds).T


def effect(model: str, scores: Mapping[str, Scores], settings: Evaluate) -> Effect:
    """The model against the reference; ``length`` is None where the reference says nothing at all."""
    samples, confidence = settings.bootstrap_samples, settings.confidence

    def sides(field: Field) -> tuple[Floats, Floats]:
        return _matrix(scores[model], field), _matrix(scores[REFERENCE], field)

    own, start = sides("tokens")
    return Effect(
        length=bootstrap_ratio(own, start, samples, confidence) if start.any() else None,
        repeated=paired_difference(*sides("repeated"), samples, confidence),
        hedged=paired_difference(*sides("hedged"), samples, confidence),
        stopped=paired_difference(*sides("stopped"), samples, confidence),
    )


def effects(params: Params, scores: Mapping[str, Scores]) -> dict[str, Effect]:
    """Of everything that was trained after the reference; empty where the reference was not scored."""
    if REFERENCE not in scores:
        return {}
    trained = [model for model in params.models[1:] if model != REFERENCE]
    return {model: effect(model, scores, params.evaluate) for model in trained}
