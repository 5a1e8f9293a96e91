"""Intervals agree with brute force and with SciPy; Monte Carlo comparisons state their tolerance."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from scipy.stats import binomtest
from scipy.stats import bootstrap as scipy_bootstrap

from stages import statistics
from stages.statistics import bootstrap, bootstrap_ratio, holm, paired_difference, wilson

SAMPLES, CONFIDENCE = 20_000, 0.95
# Two percentile estimates of 20,000 resamples differ by less than this share of the interval's width.
MONTE_CARLO = 0.04


@pytest.fixture
def scores() -> np.ndarray:
    return np.random.default_rng(1).normal(0.6, 0.2, size=(3, 80))


def close(found: tuple[float, float], expected: tuple[float, float]) -> bool:
    width = expected[1] - expected[0]
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) < MONTE_CARLO * width


def test_mean_and_seeds(scores: np.ndarray) -> None:
    found = bootstrap(scores, 100, CONFIDENCE)
    assert found.mean == pytest.approx(scores.mean())
    assert found.per_seed == pytest.approx(scores.mean(axis=1))
    assert found.n == 80


def test_interval_is_scipys(scores: np.ndarray) -> None:
    found = bootstrap(scores, SAMPLES, CONFIDENCE)
    other = scipy_bootstrap(
        (scores.mean(axis=0),),
        np.mean,
        n_resamples=SAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert close((found.low, found.high), (other.low, other.high))


def test_interval_is_the_exact_one_of_all_resamples() -> None:
    values = [0.0, 0.2, 0.7, 1.0, 3.0]
    means = [sum(drawn) / 5 for drawn in itertools.product(values, repeat=5)]  # all 3,125 are equally likely
    found = bootstrap(values, SAMPLES, 0.8)
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.1, 0.9]), abs=0.03)


def test_interval_is_that_of_a_slow_loop(scores: np.ndarray) -> None:
    draw = random.Random(4)
    columns = [float(value) for value in scores.mean(axis=0)]
    means = [sum(draw.choices(columns, k=80)) / 80 for _ in range(SAMPLES)]
    found = bootstrap(scores, SAMPLES, CONFIDENCE)
    low, high = np.quantile(means, [0.025, 0.975])
    assert close((found.low, found.high), (float(low), float(high)))


def test_the_same_numbers_every_time_and_in_blocks(scores: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap(scores, 500, CONFIDENCE)
    assert bootstrap(scores, 500, CONFIDENCE) == whole
    monkeypatch.setattr(statistics, "_BLOCK_ELEMENTS", 80 * 7)
    assert bootstrap(scores, 500, CONFIDENCE).low == pytest.approx(whole.low, abs=1e-12)


def test_repeating_a_seed_does_not_narrow_the_interval(scores: np.ndarray) -> None:
    one, three = bootstrap(scores[:1], 500, CONFIDENCE), bootstrap(scores[[0, 0, 0]], 500, CONFIDENCE)
    assert (one.low, one.high) == pytest.approx((three.low, three.high))


def test_a_constant_has_no_spread() -> None:
    found = bootstrap([1.0, 1.0, 1.0], 100, CONFIDENCE)
    assert (found.mean, found.low, found.high) == (1.0, 1.0, 1.0)


def test_a_paired_difference_is_the_bootstrap_of_differences(scores: np.ndarray) -> None:
    other = scores - 0.05 + np.random.default_rng(5).normal(0, 0.01, scores.shape)
    found = paired_difference(scores, other, SAMPLES, CONFIDENCE)
    direct = bootstrap(scores - other, SAMPLES, CONFIDENCE)
    assert (found.mean, found.low, found.high) == pytest.approx((direct.mean, direct.low, direct.high))
    assert found.per_seed == pytest.approx(direct.per_seed)
    assert not found.tie
    assert found.p_value == pytest.approx(2 / (SAMPLES + 1))
    unpaired = bootstrap(scores, SAMPLES, CONFIDENCE)
    assert found.high - found.low < (unpaired.high - unpaired.low) / 5


def test_seeds_may_differ_in_number(scores: np.ndarray) -> None:
    found = paired_difference(scores, scores[:1], 500, CONFIDENCE)
    assert found.mean == pytest.approx(scores.mean() - scores[0].mean())
    assert found.per_seed == ()


def test_a_model_ties_with_itself(scores: np.ndarray) -> None:
    found = paired_difference(scores, scores, 500, CONFIDENCE)
    assert found.tie
    assert found.p_value == 1.0


def test_p_values_are_about_uniform_without_a_difference() -> None:
    generator = np.random.default_rng(6)
    p_values = [
        paired_difference(generator.normal(size=60), generator.normal(size=60), 400, CONFIDENCE).p_value
        for _ in range(400)
    ]
    assert 0.02 < np.mean([p < 0.05 for p in p_values]) < 0.10  # nominal 0.05, 400 trials
    assert 0.43 < np.mean(p_values) < 0.57


def test_a_ratio_is_of_sums_and_its_interval_is_scipys(scores: np.ndarray) -> None:
    sizes = np.random.default_rng(7).uniform(5, 50, size=(1, 80))
    found = bootstrap_ratio(scores * sizes, sizes, SAMPLES, CONFIDENCE)
    bits = (scores * sizes).mean(axis=0)
    assert found.mean == pytest.approx(bits.sum() / sizes.sum())
    assert found.per_seed == pytest.approx((scores * sizes).sum(axis=1) / sizes.sum())
    other = scipy_bootstrap(
        (bits, sizes[0]),
        lambda over, under, axis: over.sum(axis=axis) / under.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=SAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(8),
    ).confidence_interval
    assert close((found.low, found.high), (other.low, other.high))


def test_a_model_retains_all_of_its_own(scores: np.ndarray) -> None:
    hits = (scores > 0.6).astype(float)
    found = bootstrap_ratio(hits, hits, 500, CONFIDENCE)
    assert (found.mean, found.low, found.high, found.per_seed) == (1.0, 1.0, 1.0, (1.0, 1.0, 1.0))


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 20), (399, 400)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson_is_scipys(k: int, n: int, confidence: float) -> None:
    other = binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert wilson(k, n, confidence) == pytest.approx((other.low, other.high), abs=1e-12)


def test_holm_is_its_definition() -> None:
    draw = random.Random(9)
    for count in range(7):
        p_values = [draw.choice([0.001, 0.01, 0.02, 0.3, draw.random()]) for _ in range(count)]
        ranked = sorted(p_values)
        expected = [min(1.0, max((count - j) * ranked[j] for j in range(count) if ranked[j] <= p)) for p in p_values]
        assert holm(p_values) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[], [[]], [1.0, float("nan")], [[[1.0]]]])
def test_values_that_have_no_mean_are_errors(values: list[float]) -> None:
    with pytest.raises(ValueError, match="value"):
        bootstrap(values, 10, CONFIDENCE)


def test_other_misuse_is_an_error() -> None:
    with pytest.raises(ValueError, match="same prompts"):
        paired_difference([1.0, 2.0], [1.0], 10, CONFIDENCE)
    with pytest.raises(ValueError, match="denominator"):
        bootstrap_ratio([1.0], [0.0], 10, CONFIDENCE)
    with pytest.raises(ValueError, match="not a proportion"):
        wilson(3, 2, CONFIDENCE)
