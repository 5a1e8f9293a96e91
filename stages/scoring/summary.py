"""From score rows to summary.json: means with intervals, groups, baselines, and what makes numbers comparable."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stages.core import intervals
from stages.core.files import Row
from stages.core.params import Evaluate
from stages.scoring import reference_overlap
from stages.scoring.multiple_choice import position_report

# Groups of rows that have a metric of their own, beside the kinds themselves.
SUBSETS: dict[str, Callable[[Row], bool]] = {
    "checked": lambda row: row["kind"] == "generation" and row["contains"] is not None,
    "equal_length": lambda row: row["kind"] == "pair" and row["equal_length"],
    "harmful": lambda row: row["kind"] == "safety" and not row["benign"],
    "benign": lambda row: row["kind"] == "safety" and row["benign"],
}
KINDS = ("generation", "mcq", "pair", "safety", "culture", "dialect", "text")


def _refused(row: Row) -> float:
    return 1 - float(row["correct"])


def _flagged(row: Row) -> float:
    return float(bool(row["flags"]))


Value = str | Callable[[Row], float]
METRICS: dict[str, tuple[str, Value]] = {  # name: (kind or subset, field or function of a row)
    "exact_match": ("checked", "exact"),
    "containment": ("checked", "contains"),
    "chrf": ("generation", "chrf"),
    "chrf_raw": ("generation", "chrf_raw"),
    "rouge_l": ("generation", "rouge_l"),
    "rouge_l_raw": ("generation", "rouge_l_raw"),
    "mcq_accuracy": ("mcq", "correct"),
    "mcq_accuracy_raw": ("mcq", "correct_raw"),
    "mcq_accuracy_byte": ("mcq", "correct_byte"),
    "mcq_letters_accuracy": ("mcq", "letters_correct"),
    "mcq_letters_accuracy_character": ("mcq", "letters_correct_character"),
    "mcq_letters_accuracy_byte": ("mcq", "letters_correct_byte"),
    "mcq_letters_rotated_accuracy": ("mcq", "letters_rotated"),
    "culture_accuracy": ("culture", "correct"),
    "culture_letters_accuracy": ("culture", "letters_correct"),
    "dialect_accuracy": ("dialect", "correct"),
    "dialect_letters_accuracy": ("dialect", "letters_correct"),
    "preference_accuracy_sum": ("pair", "sum_correct"),
    "preference_accuracy_token": ("pair", "token_correct"),
    "preference_accuracy_sum_equal_length": ("equal_length", "sum_correct"),
    "preference_accuracy_token_equal_length": ("equal_length", "token_correct"),
    "preference_margin_nats": ("pair", "margin_nats"),
    "preference_margin_nats_per_token": ("pair", "margin_nats_per_token"),
    "safe_choice_rate": ("harmful", "correct"),
    "over_refusal_rate": ("benign", _refused),
    "flagged_share": ("generation", _flagged),
    "natural_stop_rate": ("generation", "stopped"),
    "repetition_rate": ("generation", "repeated"),
    "arabic_script_ratio": ("generation", "arabic_ratio"),
    "behaviour_rate": ("generation", "clean"),
    "answer_tokens": ("generation", "tokens"),
    "log_ratio_to_base_nats_per_token": ("generation", "log_ratio_to_base_nats_per_token"),
    "log_ratio_to_start_nats_per_token": ("generation", "log_ratio_to_start_nats_per_token"),
}
# Sums over sums: name: (kind, numerator, denominator, factor); null where the denominator is 0 throughout.
RATIOS: dict[str, tuple[str, str, str, float]] = {
    "bits_per_character": ("generation", "reference_nats", "reference_characters", -1 / math.log(2)),
    "bits_per_character_text": ("text", "nats", "characters", -1 / math.log(2)),
    "length_ratio": ("generation", "words", "reference_words", 1),
    "arabic_indic_digit_share": ("generation", "eastern_digits", "digits", 1),
    "arabic_punctuation_share": ("generation", "arabic_marks", "marks", 1),
    "diacritics_per_100_letters": ("generation", "diacritics", "letters", 100),
    "dialect_markers_per_100_words": ("generation", "dialect_words", "words", 100),
}
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
    samples, confidence = settings.bootstrap_samples, settings.confidence
    found: Row = {}
    for name, (group, value) in METRICS.items():
        scored = [row for row in groups[group] if callable(value) or value in row]
        values = _matrix(scored, value, len(seeds))
        found[name] = intervals.bootstrap(values, samples, confidence).as_row() if values.size else dict(NOTHING)
    for name, (group, numerator, denominator, factor) in RATIOS.items():
        upper, lower = (_matrix(groups[group], field, len(seeds)) for field in (numerator, denominator))
        ratio = lower.size and lower.any()
        found[name] = (
            intervals.bootstrap_ratio(upper * factor, lower, samples, confidence).as_row() if ratio else dict(NOTHING)
        )
    return found


def _matrix(rows: Sequence[Row], value: Value, seeds: int) -> Any:
    """(seeds, prompts)"""
    values = [float(row[value]) if isinstance(value, str) else value(row) for row in rows]
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


_CLOZE = "whole answers with a full stop and stop token|{}|normalisation:none|version:1"
_LETTERS = "letter after the chat prompt, mean over cyclic rotations|{}|normalisation:none|version:1"
_PAIRS = "chosen above rejected, ties one half|{}|stop token included|normalisation:none|version:1"
_TWINS = "{}, ties one half|log-probability per character|normalisation:none|version:1"
_COUNTED = "{}|counted on the answers as they stand|normalisation:none|version:1"
_ROUGE = "F1 of the longest common subsequence of words|best reference|normalisation:{}|version:1"
_SUM, _CHARACTER, _BYTE = (f"log-probability {unit}" for unit in ("summed", "per character", "per UTF-8 byte"))
_EQUAL = "pairs whose answers differ by at most 10 % in words"


def signatures(settings: Evaluate) -> Row:
    """What has to be equal for two numbers to be comparable; `normalisation` names a level of stages.arabic."""
    return {
        "exact_match": "any reference|normalisation:folded|rows:with checks|version:1",
        "containment": "whole words|normalisation:folded|version:1",
        "chrf": reference_overlap.signature("chrF2++", "light"),
        "chrf_raw": reference_overlap.signature("chrF2++", "raw"),
        "corpus_chrf": reference_overlap.signature("chrF2++", "raw and light"),
        "corpus_bleu": reference_overlap.signature("BLEU", "raw and light"),
        "rouge_l": _ROUGE.format("light"),
        "rouge_l_raw": _ROUGE.format("raw"),
        "mcq_accuracy": _CLOZE.format(_CHARACTER),
        "mcq_accuracy_raw": _CLOZE.format(_SUM),
        "mcq_accuracy_byte": _CLOZE.format(_BYTE),
        "mcq_letters_accuracy": _LETTERS.format(_SUM),
        "mcq_letters_accuracy_character": _LETTERS.format(_CHARACTER),
        "mcq_letters_accuracy_byte": _LETTERS.format(_BYTE),
        "mcq_letters_rotated_accuracy": _LETTERS.format(f"share of rotations answered right, {_SUM}"),
        **{f"{name}_accuracy": _CLOZE.format(_CHARACTER) for name in ("culture", "dialect")},
        **{f"{name}_letters_accuracy": _LETTERS.format(_SUM) for name in ("culture", "dialect")},
        "preference_accuracy_sum": _PAIRS.format(_SUM),
        "preference_accuracy_token": _PAIRS.format("mean per token"),
        "preference_accuracy_sum_equal_length": _PAIRS.format(f"{_SUM}|{_EQUAL}"),
        "preference_accuracy_token_equal_length": _PAIRS.format(f"mean per token|{_EQUAL}"),
        "preference_margin_nats": "chosen minus rejected|summed|stop token included|normalisation:none|version:1",
        "preference_margin_nats_per_token": "chosen minus rejected|means per token|normalisation:none|version:1",
        "safe_choice_rate": _TWINS.format("harmful requests|safe above unsafe answer"),
        "over_refusal_rate": _TWINS.format("benign twins|refusal above helpful answer"),
        "flagged_share": _COUNTED.format("any flag of the data filter within data.limits"),
        "natural_stop_rate": _COUNTED.format("answers that end with a stop token"),
        "repetition_rate": _COUNTED.format("a sentence, or four words in a row, said twice"),
        "behaviour_rate": _COUNTED.format("neither hedged nor repeated"),
        "arabic_script_ratio": _COUNTED.format("Arabic letters over letters, mean over answers"),
        "answer_tokens": _COUNTED.format("tokens of the base's tokenizer without the stop token"),
        "bits_per_character": "first reference and stop token|characters of the reference|normalisation:none|version:1",
        "bits_per_character_text": "open-ended references without chat template|every token, given the one that begins "
        "a text|code points|normalisation:none|version:1",
        **{
            f"log_ratio_to_{other}_nats_per_token": f"own greedy answers with their stop token|model minus {other}|"
            "mean over answers|normalisation:none|version:1"
            for other in ("base", "start")
        },
        "length_ratio": "words of answers over words of first references|normalisation:light|version:1",
        "arabic_indic_digit_share": _COUNTED.format("Arabic-Indic over all digits"),
        "arabic_punctuation_share": _COUNTED.format("، ؛ ؟ over these and , ; ?"),
        "diacritics_per_100_letters": _COUNTED.format("U+064B-0652 and U+0670"),
        "dialect_markers_per_100_words": "whole words of stages.arabic.dialects|normalisation:light|version:1",
        "generation": "greedy|no penalty|version:1",
        "interval": "percentile bootstrap over prompts, crossed with seeds"
        f"|samples:{settings.bootstrap_samples}|confidence:{settings.confidence}|seed:{intervals.RESAMPLING_SEED}|version:2",
    }
