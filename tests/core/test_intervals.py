"""Intervals agree with brute force and with SciPy; Monte Carlo comparisons state their tolerance."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from scipy.stats import binomtest, norm
from scipy.stats import bootstrap as scipy_bootstrap

from stages.core import intervals
from stages.core.intervals import (
    all_comparisons,
    bootstrap,
    bootstrap_ratio,
    holm,
    paired_difference,
    prompts_needed,
)

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
    found = bootstrap(scores[0], SAMPLES, CONFIDENCE)
    other = scipy_bootstrap(
        (scores[0],),
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


def test_interval_is_that_of_a_slow_loop_over_prompts_and_seeds(scores: np.ndarray) -> None:
    scores = scores + np.array([[0.0], [0.03], [-0.04]])  # the spread of training, about as large as that over prompts
    draw = random.Random(4)
    table = scores.tolist()
    means = []
    for _ in range(SAMPLES):
        prompts = draw.choices(range(80), k=80)
        means.append(sum(table[seed][prompt] for seed in draw.choices(range(3), k=2) for prompt in prompts) / 160)
    found = bootstrap(scores, SAMPLES, CONFIDENCE)
    low, high = np.quantile(means, [0.025, 0.975])
    assert close((found.low, found.high), (float(low), float(high)))


def test_the_variance_between_seeds_is_not_understated(scores: np.ndarray) -> None:
    """Seeds alone: the interval's variance is that of a mean of three, with the unbiased estimate of their spread."""
    levels = np.array([0.2, 0.5, 0.9])
    found = intervals._resampled_means(np.repeat(levels[:, None], 80, axis=1)[None], SAMPLES)[0]
    assert found.var() == pytest.approx(levels.var(ddof=1) / 3, rel=0.03)


@pytest.mark.parametrize(("between", "least", "most"), [(0.0, 0.93, 1.0), (1.0, 0.90, 1.0), (5.0, 0.70, 0.90)])
def test_three_seeds_cover_as_the_module_says(between: float, least: float, most: float) -> None:
    """``between``: the seeds' part of the standard error over that of the prompts. 300 trials: 0.013 at 0.95."""
    generator = np.random.default_rng(20)
    covered = 0
    for _ in range(300):
        seeds = generator.normal(0, between * (1 + 1 / 3) ** 0.5 * (3 / 200) ** 0.5, (3, 1))
        values = seeds + generator.normal(size=(1, 200)) + generator.normal(size=(3, 200))
        found = bootstrap(values, 400, CONFIDENCE)
        covered += found.low <= 0 <= found.high
    assert least <= covered / 300 <= most


def test_seeds_that_disagree_widen_the_interval(scores: np.ndarray) -> None:
    agreeing = bootstrap(np.repeat(scores.mean(axis=0, keepdims=True), 3, axis=0), 500, CONFIDENCE)
    apart = bootstrap(scores + np.array([[0.0], [0.2], [-0.2]]), 500, CONFIDENCE)
    assert apart.high - apart.low > 3 * (agreeing.high - agreeing.low)


def test_the_same_numbers_every_time_and_in_blocks(scores: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap(scores, 500, CONFIDENCE)
    assert bootstrap(scores, 500, CONFIDENCE) == whole
    monkeypatch.setattr(intervals, "_BLOCK_ELEMENTS", 80 * 7)
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


def test_what_has_one_seed_is_the_same_under_every_seed(scores: np.ndarray) -> None:
    found = paired_difference(scores, scores[:1], 500, CONFIDENCE)
    spelled_out = paired_difference(scores, scores[[0, 0, 0]], 500, CONFIDENCE)
    assert (found.low, found.high) == (spelled_out.low, spelled_out.high)


def test_the_prompts_needed_are_enough_and_not_far_too_many() -> None:
    generator = np.random.default_rng(9)
    first, second = generator.normal(0.5, 0.3, 300), generator.normal(0.45, 0.3, 300)
    needed = prompts_needed(first, second, CONFIDENCE)
    assert needed is not None
    change, spread = (first - second).mean(), (first - second).std(ddof=1)
    drawn = generator.normal(change, spread, size=(4000, needed))
    z = np.abs(drawn.mean(axis=1)) / (drawn.std(axis=1, ddof=1) / np.sqrt(needed))
    assert (z > 1.96).mean() == pytest.approx(0.8, abs=0.03)  # 4,000 trials: a standard error of 0.006
    assert prompts_needed(first, first, CONFIDENCE) is None


def test_the_prompts_needed_are_the_published_formula_and_rise_with_the_number_of_comparisons() -> None:
    change = np.random.default_rng(15).normal(0.1, 0.4, 126)
    size = abs(change.mean()) / change.std(ddof=1)
    for comparisons in (1, 28):
        z = norm.ppf(1 - 0.05 / (2 * comparisons)) + norm.ppf(0.8)
        found = prompts_needed(change, np.zeros(126), CONFIDENCE, comparisons)
        assert found == np.ceil((z / size) ** 2)


def layered(generator: np.random.Generator, between: float, prompts: int) -> np.ndarray:
    """Differences of 0.1 in three seeds: their spread, that over prompts (0.3) and what neither explains (0.3)."""
    shape = (3, prompts)
    seed, prompt = generator.normal(0, between, (3, 1)), generator.normal(0, 0.3, (1, prompts))
    return 0.1 + seed + prompt + generator.normal(0, 0.3, shape)


def test_the_prompts_needed_with_seeds_are_enough_for_the_bootstrap() -> None:
    """Take the size that a large sample of the world asks for, and see how often the bootstrap separates there."""
    generator = np.random.default_rng(16)
    size = prompts_needed(layered(generator, 0.0, 20_000), np.zeros(20_000), CONFIDENCE)
    assert size is not None
    found = sum(
        not paired_difference(layered(generator, 0.0, size), np.zeros(size), 400, CONFIDENCE).tie for _ in range(300)
    )
    assert 0.75 < found / 300 < 0.95  # counted conservatively: at least the stated 0.8, less three standard errors


def test_seeds_that_spread_widely_leave_no_number_of_prompts() -> None:
    generator = np.random.default_rng(17)
    calm, wild = layered(generator, 0.0, 100), 0.1 + np.array([[-0.3], [0.0], [0.3]]) + np.zeros((3, 100))
    assert prompts_needed(calm, np.zeros(100), CONFIDENCE) is not None
    assert prompts_needed(wild, np.zeros(100), CONFIDENCE) is None


def test_one_family_of_comparisons_is_every_pair_alone_corrected_together(scores: np.ndarray) -> None:
    generator = np.random.default_rng(18)
    models = {
        name: scores + gain + generator.normal(0, 0.1, scores.shape)
        for name, gain in zip("abc", (0, 0, 0.1), strict=True)
    }
    found = all_comparisons(models, SAMPLES, CONFIDENCE)
    pairs = list(itertools.combinations("abc", 2))
    alone = {pair: paired_difference(models[pair[0]], models[pair[1]], SAMPLES, CONFIDENCE) for pair in pairs}
    expected = step_down([alone[pair].p_value for pair in pairs])
    for pair, p_adjusted in zip(pairs, expected, strict=True):
        one, other = found[pair], found[pair[::-1]]
        assert (one.mean, one.low, one.high) == pytest.approx((alone[pair].mean, alone[pair].low, alone[pair].high))
        assert (one.p_value, one.p_adjusted) == (alone[pair].p_value, pytest.approx(p_adjusted))
        assert (other.mean, other.low, other.high) == (-one.mean, -one.high, -one.low)
        assert other.separated == one.separated == (p_adjusted < 0.05)
    assert {pair for pair in pairs if found[pair].separated} == {("a", "c"), ("b", "c")}


def step_down(p_values: list[float]) -> list[float]:
    """Holm's adjustment by trying levels: the smallest at which step-down testing still rejects a hypothesis."""
    levels = sorted({min(1.0, p * k) for p in p_values for k in range(1, len(p_values) + 1)})

    def rejected(level: float) -> set[int]:
        result: set[int] = set()
        for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[index] * (len(p_values) - step) > level * (1 + 1e-12):
                break
            result.add(index)
        return result

    return [min(level for level in levels if index in rejected(level)) for index in range(len(p_values))]


def test_a_family_draws_enough_to_separate_whatever_its_size() -> None:
    """Thirty models have 435 pairs: 2,000 resamples could separate none of them."""
    generator = np.random.default_rng(19)
    models = {str(index): generator.normal(10.0 * (index == 0), 1, 20) for index in range(30)}
    found = all_comparisons(models, 100, CONFIDENCE)
    assert all(found["0", name].separated for name in models if name != "0")


def test_what_is_kept_is_compared_as_a_share_of_the_reference(scores: np.ndarray) -> None:
    hits = {name: (scores > level).astype(float) for name, level in (("sft", 0.5), ("dpo", 0.6), ("kto", 0.7))}
    found = all_comparisons(hits, SAMPLES, CONFIDENCE, over="sft")
    kept = {name: bootstrap_ratio(one, hits["sft"], SAMPLES, CONFIDENCE) for name, one in hits.items()}
    assert found["dpo", "kto"].mean == pytest.approx(kept["dpo"].mean - kept["kto"].mean)
    against = found["dpo", "sft"]
    assert (against.low, against.high) == pytest.approx((kept["dpo"].low - 1, kept["dpo"].high - 1))
    with pytest.raises(ValueError, match="sft is 0"):
        all_comparisons({name: np.zeros((3, 5)) for name in hits}, 10, CONFIDENCE, over="sft")


def test_a_planted_effect_is_found_as_often_as_the_power_says() -> None:
    """The bootstrap itself, at the size that `prompts_needed` names for an effect of 0.1 with a spread of 0.4."""
    size = 126  # ((1.960 + 0.842) * 0.4 / 0.1)^2
    generator = np.random.default_rng(10)
    found = 0
    for _ in range(300):
        change = generator.normal(0.1, 0.4, size)
        found += not paired_difference(change, np.zeros(size), 400, CONFIDENCE).tie
    assert found / 300 == pytest.approx(0.8, abs=0.07)  # three standard errors


def test_mcnemar_and_the_bootstrap_agree_on_right_and_wrong() -> None:
    """Two models on 400 questions: 40 that only the first answers, 20 that only the second answers."""
    first = np.array([1] * 40 + [0] * 20 + [1] * 240 + [0] * 100, dtype=float)
    second = np.array([0] * 40 + [1] * 20 + [1] * 240 + [0] * 100, dtype=float)
    found = paired_difference(first, second, SAMPLES, CONFIDENCE)
    exact = binomtest(20, 60).pvalue  # McNemar's exact test
    assert found.p_value == pytest.approx(exact, abs=0.01)


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
    three = bootstrap_ratio(scores * sizes, sizes, SAMPLES, CONFIDENCE)
    assert three.mean == pytest.approx((scores * sizes).mean(axis=0).sum() / sizes.sum())
    assert three.per_seed == pytest.approx((scores * sizes).sum(axis=1) / sizes.sum())
    bits = scores[0] * sizes[0]
    found = bootstrap_ratio(bits, sizes, SAMPLES, CONFIDENCE)
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
