"""Intervals and tests behind every number: prompts are resampled, seeds are averaged.

Values come as a matrix (seeds, prompts). The prompts are the sample that a reader generalises from; the few seeds are
repetitions of one training, so a prompt's value is its mean over seeds, and the spread over seeds is reported beside
the interval. Every resampling uses the same constant seed: a rerun gives the same bytes, and two models scored on
the same prompts meet the same resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

RESAMPLING_SEED = 20_260
_BLOCK_ELEMENTS = 4_000_000  # of resampling weights held at once: 32 MB


@dataclass(frozen=True)
class Interval:
    """A mean over prompts and seeds with its percentile interval; ``n`` counts prompts."""

    mean: float
    low: float
    high: float
    n: int
    per_seed: tuple[float, ...]

    def as_row(self) -> dict[str, Any]:
        return asdict(self) | {"per_seed": list(self.per_seed)}


@dataclass(frozen=True)
class Difference(Interval):
    """First minus second on the same prompts; ``p_value`` is two-sided."""

    p_value: float

    @property
    def tie(self) -> bool:
        """Whether the interval contains no difference at all."""
        return self.low <= 0 <= self.high


def bootstrap(values: ArrayLike, samples: int, confidence: float) -> Interval:
    """Percentile bootstrap of the mean (Efron 1979); ``values`` is (seeds, prompts) or (prompts,), finite numbers.

    ``samples`` resamples, ``confidence`` in 0..1. Raises ValueError for no prompt or a value that is not finite.
    """
    matrix = _matrix(values)
    drawn = _resampled_means(matrix.mean(axis=0)[None], samples)[0]
    return Interval(float(matrix.mean()), *_limits(drawn, confidence), matrix.shape[1], _floats(matrix.mean(axis=1)))


def paired_difference(first: ArrayLike, second: ArrayLike, samples: int, confidence: float) -> Difference:
    """Bootstrap of mean(first) - mean(second) over shared prompts; the numbers of seeds may differ.

    The p-value is twice the smaller share of resamples on either side of 0, counted with one more than was drawn so
    that it is never 0 (Davison and Hinkley 1997, section 4.2). ``per_seed`` is empty unless both have as many seeds.
    """
    one, two = _pair(first, second)
    drawn = _resampled_means((one.mean(axis=0) - two.mean(axis=0))[None], samples)[0]
    drawn = drawn.round(12)  # thirds of three seeds cancel only up to rounding, and a tie must count as one
    share = (1 + min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))) / (samples + 1)
    per_seed = _floats(one.mean(axis=1) - two.mean(axis=1)) if len(one) == len(two) else ()
    mean = float(one.mean() - two.mean())
    return Difference(mean, *_limits(drawn, confidence), one.shape[1], per_seed, p_value=min(1.0, 2 * share))


def bootstrap_ratio(numerator: ArrayLike, denominator: ArrayLike, samples: int, confidence: float) -> Interval:
    """Bootstrap of sum(numerator) / sum(denominator) over shared prompts, each averaged over its seeds first.

    For bits per character (bits over characters) and for knowledge retention (one model's hits over another's).
    A resample whose denominator is 0 has no ratio and is left out. Raises ValueError when the whole denominator is 0.
    """
    upper, lower = _pair(numerator, denominator)
    if lower.mean() == 0:
        raise ValueError("a ratio to nothing: the denominator is 0 for every prompt")
    over, under = _resampled_means(np.stack([upper.mean(axis=0), lower.mean(axis=0)]), samples)
    kept = under != 0
    below = lower.mean(axis=1) if len(upper) == len(lower) and lower.mean(axis=1).all() else lower.mean()
    return Interval(
        float(upper.mean() / lower.mean()),
        *_limits(over[kept] / under[kept], confidence),
        upper.shape[1],
        _floats(upper.mean(axis=1) / below),
    )


def wilson(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval for a proportion (1927), honest near 0 and 1. Raises ValueError unless 0 <= k <= n."""
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} successes of {n} is not a proportion")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979) for several tests at once, in the order given; compare with the level."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _matrix(values: ArrayLike) -> Floats:
    matrix = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"expected a matrix (seeds, prompts) with at least one value, found shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("a value is not a finite number")
    return matrix


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    one, two = _matrix(first), _matrix(second)
    if one.shape[1] != two.shape[1]:
        raise ValueError(f"pairs need the same prompts, found {one.shape[1]} and {two.shape[1]}")
    return one, two


def _resampled_means(columns: Floats, samples: int) -> Floats:
    """Means of (k, prompts) over ``samples`` draws of prompts with replacement, as (k, samples).

    How often each prompt is drawn is multinomial; drawing those counts turns all means into one matrix product.
    """
    prompts = columns.shape[1]
    generator = np.random.default_rng(RESAMPLING_SEED)
    block = max(1, _BLOCK_ELEMENTS // prompts)
    means = np.empty((len(columns), samples))
    for start in range(0, samples, block):
        size = min(block, samples - start)
        counts = generator.multinomial(prompts, np.full(prompts, 1 / prompts), size=size)
        means[:, start : start + size] = columns @ counts.T / prompts
    return means


def _limits(drawn: Floats, confidence: float) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _floats(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
