"""From score rows to summary.json: means with intervals, groups, baselines, and what makes numbers comparable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stages.core import intervals, metrics
from stages.core.files import Row
from stages.core.metrics import SUBSETS, Mean, OfLibrary, OverReference, Ratio
from stages.core.params import Evaluate
from stages.scoring import reference_overlap
from stages.scoring.multiple_choice import position_report

KINDS = ("generation", "mcq", "pair", "safety", "culture", "dialect", "text")


NOTHING: Row = {"mean": None, "low": None, "high": None, "n": 0, "per_seed": []}


def summarise(
    rows: Sequence[Row],
    seeds: Sequence[int | None],
    settings: Evaluate,
    references: Mapping[str, Sequence[str]] | None = None,
) -> Row:
    """Everything that summary.json says but the model's name; ``rows`` must be sorted by (kind, id, seed).

    ``references`` of the generation rows, by id, give the corpus scores; without them ``corpus`` is empty.
    """
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}
    generation, pairs = kinds["generation"], kinds["pair"]
    questions = {name: kinds[name] for name in ("mcq", "culture", "dialect")}
    axes = {"sum": "sum_correct", "token": "token_correct"}
    margins = {name: name for name in ("margin_nats", "margin_nats_per_token")}
    correct = {"accuracy": "correct", "letters": "letters_correct"}
    return {
        "n": {name + "s" * (name == "pair"): len(found) // len(seeds) for name, found in kinds.items()},
        "seeds": [seed for seed in seeds if seed is not None],
        "metrics": metrics_of(rows, seeds, settings),
        "by_task": by(generation, "task", {"exact": "exact", "contains": "contains"}, len(seeds)),
        "by_axis": by(pairs, "axis", axes | margins, len(seeds)),
        "by_safety_category": by(kinds["safety"], "category", {"correct": "correct"}, len(seeds)),
        "by_region": by(kinds["culture"], "region", correct, len(seeds)),
        "by_dialect": by(kinds["dialect"], "dialect", correct, len(seeds)),
        "multiple_choice": {name: position_report(found) for name, found in questions.items() if found},
        "corpus": reference_overlap.corpus_scores(generation, references, seeds) if references and generation else {},
        "dialect_markers_per_100_words": dialects(generation),
        "flags": shares_of_flags(generation),
        "own": {name: own_summary(rows, name, seeds, settings) for name in sorted({*_sets(rows)})},
        "signatures": signatures(settings),
    }


def metrics_of(rows: Sequence[Row], seeds: Sequence[int | None], settings: Evaluate) -> Row:
    """Every metric as {mean, low, high, n, per_seed}; a metric without a row has ``n`` 0 and nulls."""
    groups = {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}
    groups |= {name: [row for row in rows if belongs(row)] for name, belongs in SUBSETS.items()}
    return {one.name: _measured(one.value, groups, len(seeds), settings) for one in metrics.measured()}


def _measured(
    value: Mean | Ratio | OverReference, groups: Mapping[str, Sequence[Row]], seeds: int, settings: Evaluate
) -> Row:
    samples, confidence = settings.bootstrap_samples, settings.confidence
    assert not isinstance(value, OverReference)  # `compare` derives these
    rows = groups[value.group]
    if isinstance(value, Mean):
        scored = [row for row in rows if value.field in row]
        values = _matrix(scored, value.field, seeds, value.reads)
        return intervals.bootstrap(values, samples, confidence).as_row() if values.size else dict(NOTHING)
    upper, lower = (_matrix(rows, field, seeds) for field in (value.numerator, value.denominator))
    if not lower.size or not lower.any():
        return dict(NOTHING)
    return intervals.bootstrap_ratio(upper * value.factor, lower, samples, confidence).as_row()


def _matrix(rows: Sequence[Row], field: str, seeds: int, reads: Callable[[Any], float] = float) -> Any:
    """What ``reads`` makes of a field, of shape (seeds, prompts)."""
    values = [reads(row[field]) for row in rows]
    return np.array(values, dtype=np.float64).reshape(-1, seeds).T


def by(rows: Sequence[Row], key: str, fields: dict[str, str], seeds: int) -> Row:
    """Means of ``fields`` over prompts and seeds for each value of ``key``; null where a row has none to give."""
    result: Row = {}
    for value in sorted({row[key] for row in rows}):
        group = [row for row in rows if row[key] == value]
        result[value] = {"n": len(group) // seeds}
        for name, field in fields.items():
            numbers = [float(row[field]) for row in group if row[field] is not None]
            result[value][name] = sum(numbers) / len(numbers) if numbers else None
    return result


def dialects(generation: Sequence[Row]) -> Row:
    """Words that mark each dialect per 100 words of all answers; a word of two dialects counts for both."""
    words = sum(row["words"] for row in generation)
    hits: Counter[str] = Counter()
    for row in generation:
        hits.update(row["dialects"])
    return {name: 100 * count / words for name, count in sorted(hits.items())}


def shares_of_flags(generation: Sequence[Row]) -> Row:
    """The share of answers that carry each flag of the data filter."""
    counts = Counter(flag for row in generation for flag in row["flags"])
    return {flag: count / len(generation) for flag, count in sorted(counts.items())}


def own_summary(rows: Sequence[Row], name: str, seeds: Sequence[int | None], settings: Evaluate) -> Row:
    """The metrics of one of the user's own sets: those that its rows can give, and no others."""
    # What is scored in a harness' own prompts is multiple choice without the letters' rotations.
    kinds = {"own_generation": "generation", "own_pair": "pair", "own_mcq": "mcq", "own_harness": "mcq"}
    mine = [row | {"kind": kinds[row["kind"]]} for row in rows if row.get("set") == name]
    questions = [row for row in mine if row["kind"] == "mcq"]
    found = metrics_of(mine, seeds, settings)
    return {
        "n": len(mine) // len(seeds),
        "metrics": {metric: value for metric, value in found.items() if value["n"]},
        "by_subject": by(questions, "subject", {"accuracy": "correct", "raw": "correct_raw"}, len(seeds)),
        "multiple_choice": position_report(questions) if questions else {},
    }


def _sets(rows: Sequence[Row]) -> set[str]:
    return {row["set"] for row in rows if "set" in row}


def signatures(settings: Evaluate) -> Row:
    """What has to be equal for two numbers to be comparable; `normalisation` names a level of stages.arabic."""
    own = {one.name: one.signature for one in metrics.measured()}
    return {
        **{
            name: reference_overlap.signature(text.score, text.level) if isinstance(text, OfLibrary) else text
            for name, text in own.items()
        },
        "corpus_chrf": reference_overlap.signature("chrF2++", "raw and light"),
        "corpus_bleu": reference_overlap.signature("BLEU", "raw and light"),
        "generation": "greedy|no penalty|version:1",
        "interval": "percentile bootstrap over prompts, crossed with seeds"
        f"|samples:{settings.bootstrap_samples}|confidence:{settings.confidence}|seed:{intervals.RESAMPLING_SEED}|version:2",
    }
