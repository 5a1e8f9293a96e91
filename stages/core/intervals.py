"""Intervals and tests behind every number: prompts are resampled, and within each resample the seeds.

Values come as a matrix (seeds, prompts). A resample draws prompts with replacement and, independently, S - 1 of the S
seeds with replacement: every seed answers every prompt, so both are resampled whole (Owen 2007, "The pigeonhole
bootstrap"). Models are paired in both: they meet the same draws, and seed k of a method starts from seed k of SFT. A
model without seeds (the base) is the same under every seed. One seed gives an interval over prompts only.

S - 1, because S of S understate the variance between seeds by (S - 1) / S, a third of it for three (McCarthy and
Snowden 1985, "The bootstrap and finite population sampling", for n - 1 draws). What few seeds cannot give is tails:
in a simulation of three seeds and 200 prompts a 95 % interval covered 94 to 99 % while the seeds' part of the
standard error was at most that of the prompts, 88 to 94 % at twice that, and about 80 % at five times: an interval
that the seeds dominate is at most their range. So the values of the seeds are printed beside the intervals. Where
models differ mostly by chance in single answers it is too wide instead, since chance is counted in both draws.

Every resampling uses the same constant seed: a rerun gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

RESAMPLING_SEED = 20_260
POWER = 0.8  # of a sample that is large enough, the convention of Cohen (1988)
ROUNDING = 12  # decimals; thirds of three seeds cancel only up to rounding, and a tie must count as one
_BLOCK_ELEMENTS = 4_000_000  # of counts in one matrix product: 32 MB


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


@dataclass(frozen=True)
class Comparison:
    """First minus second among several models; ``p_adjusted`` is Holm's (1979) over all of their pairs.

    ``prompts_needed`` would separate the two with `POWER`; None where no number would.
    """

    mean: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    separated: bool
    prompts_needed: int | None

    def mirrored(self) -> Comparison:
        """Second minus first."""
        return replace(self, mean=0.0 - self.mean, low=0.0 - self.high, high=0.0 - self.low)


def bootstrap(values: ArrayLike, samples: int, confidence: float) -> Interval:
    """Percentile bootstrap of the mean (Efron 1979); ``values`` is (seeds, prompts) or (prompts,), finite numbers.

    ``samples`` resamples, ``confidence`` in 0..1. Raises ValueError for no prompt or a value that is not finite.
    """
    matrix = _matrix(values)
    drawn = _resampled_means(matrix[None], samples)[0]
    return Interval(float(matrix.mean()), *_limits(drawn, confidence), matrix.shape[1], _floats(matrix.mean(axis=1)))


def paired_difference(first: ArrayLike, second: ArrayLike, samples: int, confidence: float) -> Difference:
    """Bootstrap of mean(first) - mean(second) over shared prompts; the numbers of seeds may differ.

    Each is (seeds, prompts) or (prompts,), in any unit; the result is in the same unit. ``per_seed`` is empty unless
    both have as many seeds.
    """
    one, two = _pair(first, second)
    drawn = _resampled_means(_changes(one, two)[None], samples)[0].round(ROUNDING)
    per_seed = _floats(one.mean(axis=1) - two.mean(axis=1)) if len(one) == len(two) else ()
    mean = float(one.mean() - two.mean())
    return Difference(mean, *_limits(drawn, confidence), one.shape[1], per_seed, p_value=_p_value(drawn))


def bootstrap_ratio(numerator: ArrayLike, denominator: ArrayLike, samples: int, confidence: float) -> Interval:
    """Bootstrap of sum(numerator) / sum(denominator) over shared prompts, each averaged over its seeds first.

    Each is (seeds, prompts) or (prompts,). The result is in units of the numerator per unit of the denominator.
    For bits per character (bits over characters) and for knowledge retention (one model's hits over another's).
    A resample whose denominator is 0 has no ratio and is left out. Raises ValueError when the whole denominator is 0.
    """
    upper, lower = _pair(numerator, denominator)
    if lower.mean() == 0:
        raise ValueError("a ratio to nothing: the denominator is 0 for every prompt")
    over, under = _resampled_means(np.stack(_aligned(upper, lower)), samples)
    kept = under != 0
    below = lower.mean(axis=1) if len(upper) == len(lower) and lower.mean(axis=1).all() else lower.mean()
    return Interval(
        float(upper.mean() / lower.mean()),
        *_limits(over[kept] / under[kept], confidence),
        upper.shape[1],
        _floats(upper.mean(axis=1) / below),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979) for several tests at once, in the order given; compare with the level."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def all_comparisons(
    values: Mapping[str, ArrayLike], samples: int, confidence: float, over: str | None = None
) -> dict[tuple[str, str], Comparison]:
    """Every ordered pair of the models, on shared prompts; their unordered pairs are one family of tests.

    Each of ``values`` is (seeds, prompts) or (prompts,); differences are in their unit, or shares of ``over``.
    With ``over``, all means are divided by that model's in the same resample (knowledge retention). The tables, the
    ranks and the opening read one family, so that none separates what another calls a tie. At least so many resamples
    are drawn that the smallest p-value, corrected, is half the level. Raises ValueError when ``over`` has mean 0.
    """
    matrices = {name: _matrix(value) for name, value in values.items()}
    pairs = list(combinations(matrices, 2))
    samples = max(samples, math.ceil(4 * len(pairs) / (1 - confidence)))
    unit, units = 1.0, np.ones(samples)
    if over is not None:
        unit, units = float(matrices[over].mean()), _resampled_means(matrices[over][None], samples)[0]
        if unit == 0:
            raise ValueError(f"a ratio to nothing: {over} is 0 for every prompt")
    kept = units != 0
    drawn = []
    for one, two in pairs:
        changes = _resampled_means(_changes(*_pair(matrices[one], matrices[two]))[None], samples)[0]
        drawn.append((changes[kept] / units[kept]).round(ROUNDING))
    p_values = [_p_value(changes) for changes in drawn]
    found: dict[tuple[str, str], Comparison] = {}
    for (one, two), changes, p_value, p_adjusted in zip(pairs, drawn, p_values, holm(p_values), strict=True):
        forward = Comparison(
            float(matrices[one].mean() - matrices[two].mean()) / unit,
            *_limits(changes, confidence),
            p_value,
            p_adjusted,
            separated=p_adjusted < 1 - confidence,
            prompts_needed=prompts_needed(matrices[one], matrices[two], confidence, comparisons=len(pairs)),
        )
        found |= {(one, two): forward, (two, one): forward.mirrored()}
    return found


def prompts_needed(first: ArrayLike, second: ArrayLike, confidence: float, comparisons: int = 1) -> int | None:
    """Prompts at which the observed difference, if it is the true one, is separated with `POWER`.

        n = (sd^2 + 2 r^2 / S) / ((difference / (z_(1 - alpha / 2m) + z_power))^2 - t^2 / S)

    Each is (seeds, prompts) or (prompts,).
    Among m ``comparisons`` the level is that of Holm's first and strictest step, alpha / m. sd^2 is the variance over
    prompts of the differences, each averaged over the S seeds; t^2 that between seeds, which no prompt reduces, and
    r^2 what neither explains, both by the method of moments of a two-way layout. The bootstrap counts r^2 / S three
    times (Owen 2007, "The pigeonhole bootstrap"), so what it is to separate needs them three times. With
    one seed this is the formula of Cohen (1988) and of Miller (2024, arXiv 2411.00640, section 5).
    None where no number is enough: there is no difference, or the seeds spread too much, and more of them are needed.
    """
    one, two = _pair(first, second)
    changes = _changes(one, two)
    seeds, prompts = changes.shape
    if abs(changes.mean()) < 1e-12 or prompts < 2:
        return None
    between, rest = _seed_variances(changes)
    normal = NormalDist()
    z = normal.inv_cdf(1 - (1 - confidence) / (2 * comparisons)) + normal.inv_cdf(POWER)
    room: float = (float(changes.mean()) / z) ** 2 - between / seeds
    if room <= 0:
        return None
    spread: float = float(changes.mean(axis=0).var(ddof=1)) + 2 * rest / seeds
    return max(2, math.ceil(spread / room))


def _seed_variances(changes: Floats) -> tuple[float, float]:
    """Between seeds, and left over, of (seeds, prompts) without replicates; both 0 for one seed."""
    seeds, prompts = changes.shape
    if seeds == 1:
        return 0.0, 0.0
    left = changes - changes.mean(axis=1, keepdims=True) - changes.mean(axis=0) + changes.mean()
    rest = float((left**2).sum()) / ((seeds - 1) * (prompts - 1))
    return max(0.0, float(changes.mean(axis=1).var(ddof=1)) - rest / prompts), rest


def _p_value(drawn: Floats) -> float:
    """Two-sided, of (samples,) differences: twice the smaller share of resamples on either side of 0.

    Counted with one more than was drawn, so that it is never 0 (Davison and Hinkley 1997, section 4.2).
    """
    share = (1 + min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))) / (drawn.size + 1)
    return min(1.0, 2 * share)


def _matrix(values: ArrayLike) -> Floats:
    """(seeds, prompts); a plain list of prompts is one seed."""
    matrix = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"expected a matrix (seeds, prompts) with at least one value, found shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("a value is not a finite number")
    return matrix


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    """Both as (seeds, prompts), over the same prompts."""
    one, two = _matrix(first), _matrix(second)
    if one.shape[1] != two.shape[1]:
        raise ValueError(f"pairs need the same prompts, found {one.shape[1]} and {two.shape[1]}")
    return one, two


def _aligned(one: Floats, two: Floats) -> tuple[Floats, Floats]:
    """Both with as many seeds: one seed stands for every seed; otherwise unlike numbers of seeds are averaged."""
    if len(one) == len(two):
        return one, two
    if 1 in (len(one), len(two)):
        shape = (max(len(one), len(two)), one.shape[1])
        return np.broadcast_to(one, shape), np.broadcast_to(two, shape)
    return one.mean(axis=0, keepdims=True), two.mean(axis=0, keepdims=True)


def _changes(one: Floats, two: Floats) -> Floats:
    """First minus second, (seeds, prompts)."""
    first, second = _aligned(one, two)
    return first - second


def _resampled_means(layers: Floats, samples: int) -> Floats:
    """Means of (k, seeds, prompts) over ``samples`` draws of prompts and of seeds, as (k, samples).

    How often each prompt is drawn is multinomial; drawing those counts turns all means into matrix products.
    """
    seeds, prompts = layers.shape[1:]
    blocks = _drawn_counts(prompts, samples, max(1, _BLOCK_ELEMENTS // prompts))
    means: Floats = np.concatenate([layers @ counts.T / prompts for counts in blocks], axis=2)
    if seeds == 1:
        one: Floats = means[:, 0]
        return one
    generator = np.random.default_rng([RESAMPLING_SEED, seeds])
    weights = generator.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=samples).T / (seeds - 1)
    weighted: Floats = (means * weights).sum(axis=1)
    return weighted


@lru_cache(maxsize=8)
def _drawn_counts(prompts: int, samples: int, block: int) -> tuple[Floats, ...]:
    """How often each prompt is in each resample: matrices (``block`` samples, prompts), the same for every model."""
    generator = np.random.default_rng(RESAMPLING_SEED)
    sizes = [min(block, samples - start) for start in range(0, samples, block)]
    share = np.full(prompts, 1 / prompts)
    return tuple(generator.multinomial(prompts, share, size=size).astype(np.float64) for size in sizes)


def _limits(drawn: Floats, confidence: float) -> tuple[float, float]:
    """The percentile interval of (samples,) means."""
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _floats(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
