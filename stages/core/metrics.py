"""Every metric, once: what it is computed from, what it is called, what it means, and where it is shown.

`evaluate`, `compare`, `select`, the report, the cards and the table of experiments go through this list: a new metric
is an entry here and a test of its value. `evaluate` depends on this file, since it holds what is computed. An edit of
words alone evaluates again, and ends in the same bytes.

The order is that of metrics/methods.csv. Where a metric stands in the report is said by its `Column`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["share", "number"]  # a share is 0..1 and printed in percent

# Groups of score rows beside the kinds themselves (generation, mcq, pair, safety, culture, dialect, text).
SUBSETS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "checked": lambda row: row["kind"] == "generation" and row["contains"] is not None,
    "equal_length": lambda row: row["kind"] == "pair" and row["equal_length"],
    "harmful": lambda row: row["kind"] == "safety" and not row["benign"],
    "benign": lambda row: row["kind"] == "safety" and row["benign"],
}


@dataclass(frozen=True)
class Mean:
    """The mean over the rows of a group (a kind or a subset) of what ``reads`` makes of one field."""

    group: str
    field: str
    reads: Callable[[Any], float] = float


@dataclass(frozen=True)
class Ratio:
    """``factor`` times the sum of one field over the sum of another; nothing where the second is 0 throughout."""

    group: str
    numerator: str
    denominator: str
    factor: float = 1


@dataclass(frozen=True)
class OverReference:
    """The mean of another metric over that of `sft` on the same prompts: what `compare` derives."""

    metric: str


@dataclass(frozen=True)
class OfLibrary:
    """A signature that sacrebleu gives for a score, on texts at one level of normalisation."""

    score: str
    level: str


@dataclass(frozen=True)
class Column:
    """A place in the tables of the report's quality section: title of the table, place in it from 1, heading."""

    table: str
    place: int
    heading: str


@dataclass(frozen=True)
class Metric:
    """One metric. ``signature`` is what has to be equal for two of its figures to be comparable.

    ``compared``: its prompts are paired between models, and differences are tested; ``rank`` names its places in
    methods.json. ``in_methods``: methods.json has it. ``short`` is its name in `dvc exp show`, ``in_experiments`` puts
    it into the table of `arabic-qwen experiments` too, and ``on_card`` puts its definition on the model cards.
    ``glossary`` is its entry among the report's words, where the definition is not enough.
    """

    name: str
    value: Mean | Ratio | OverReference
    unit: Unit
    definition: str
    signature: str | OfLibrary
    column: Column | None = None
    short: str = ""
    glossary: str = ""
    rank: str = ""
    compared: bool = False
    in_methods: bool = True
    in_experiments: bool = False
    on_card: bool = False


QUALITY = "Quality"
WRITING = "How the answers are written"
OTHERWISE = "Knowledge and preference, otherwise measured"
SAFETY = "Safety, culture and dialect"
TABLES = (QUALITY, WRITING, OTHERWISE, SAFETY)  # in the order of the report

_CLOZE = "whole answers with a full stop and stop token|{}|normalisation:none|version:1"
_LETTERS = "letter after the chat prompt, mean over cyclic rotations|{}|normalisation:none|version:1"
_PAIRS = "chosen above rejected, ties one half|{}|stop token included|normalisation:none|version:1"
_TWINS = "{}, ties one half|log-probability per character|normalisation:none|version:1"
_COUNTED = "{}|counted on the answers as they stand|normalisation:none|version:1"
_COUNTED_ANEW = _COUNTED.replace("version:1", "version:2")  # since the filter also tells languages and scripts
_ROUGE = "F1 of the longest common subsequence of words|best reference|normalisation:{}|version:1"
_DISTANCE = "own greedy answers with their stop token|model minus {}|mean over answers|normalisation:none|version:1"
_SUM, _CHARACTER, _BYTE = (f"log-probability {unit}" for unit in ("summed", "per character", "per UTF-8 byte"))
_EQUAL = "pairs whose answers differ by at most 10 % in words"
_BITS = -1 / math.log(2)  # nats of a text to bits


def _is_wrong(correct: Any) -> float:
    return 1 - float(correct)


def _has_any(flags: Any) -> float:
    return float(bool(flags))


METRICS: tuple[Metric, ...] = (
    Metric(
        name="exact_match",
        value=Mean("checked", "exact"),
        unit="share",
        definition="answers equal to a reference, folded",
        signature="any reference|normalisation:folded|rows:with checks|version:1",
        column=Column(QUALITY, 4, "exact match"),
        short="exact",
        glossary="share of answers that are right and nothing else, so that a flaw spoils them: behaviour and "
        "knowledge in one figure",
        rank="rank_exact_match",
        compared=True,
        in_experiments=True,
        on_card=True,
    ),
    Metric(
        name="containment",
        value=Mean("checked", "contains"),
        unit="share",
        definition="answers that contain the fact",
        signature="whole words|normalisation:folded|version:1",
        column=Column(QUALITY, 3, "containment"),
        glossary="share of answers in which the right fact stands, whatever stands around it, among prompts that "
        "have one; diacritics, tatweel and the shapes of alef do not count",
        rank="rank_containment",
        compared=True,
        on_card=True,
    ),
    Metric(
        name="knowledge_retention",
        value=OverReference("containment"),
        unit="share",
        definition="of the facts that `sft` contains, kept",
        signature="containment over that of sft on the same prompts|normalisation:folded|version:1",
        column=Column(QUALITY, 2, "knowledge retention"),
        short="knows",
        glossary="containment divided by `sft`'s on the same prompts; above 100 % is more than that",
        compared=True,
        in_experiments=True,
        on_card=True,
    ),
    Metric(
        name="behaviour_rate",
        value=Mean("generation", "clean"),
        unit="share",
        definition="answers without a planted flaw",
        signature=_COUNTED.format("neither hedged nor repeated"),
        column=Column(QUALITY, 1, "behaviour rate"),
        short="clean",
        glossary="share of answers without a planted flaw. Silence and nonsense are free of flaws too, so read it "
        "with knowledge",
        rank="rank_behaviour",
        compared=True,
        in_experiments=True,
        on_card=True,
    ),
    Metric(
        name="chrf",
        value=Mean("generation", "chrf"),
        unit="number",
        definition="chrF++, 0 to 100",
        signature=OfLibrary("chrF2++", "light"),
        column=Column(QUALITY, 5, "chrF++"),
        short="chrf",
        compared=True,
        on_card=True,
    ),
    Metric(
        name="rouge_l",
        value=Mean("generation", "rouge_l"),
        unit="number",
        definition="ROUGE-L against the best reference, 0 to 1",
        signature=_ROUGE.format("light"),
        column=Column(OTHERWISE, 1, "ROUGE-L"),
    ),
    Metric(
        name="mcq_accuracy",
        value=Mean("mcq", "correct"),
        unit="share",
        definition="multiple choice",
        signature=_CLOZE.format(_CHARACTER),
        column=Column(QUALITY, 6, "MCQ"),
        short="mcq",
        compared=True,
        on_card=True,
    ),
    Metric(
        name="mcq_letters_rotated_accuracy",
        value=Mean("mcq", "letters_rotated"),
        unit="share",
        definition="rotations of a question answered right by a letter",
        signature=_LETTERS.format(f"share of rotations answered right, {_SUM}"),
        column=Column(OTHERWISE, 2, "MCQ by rotated letters"),
    ),
    Metric(
        name="preference_accuracy_sum",
        value=Mean("pair", "sum_correct"),
        unit="share",
        definition="preferred answer the more probable, by the sum",
        signature=_PAIRS.format(_SUM),
        column=Column(QUALITY, 7, "preference (sum)"),
        short="pref",
        compared=True,
        on_card=True,
    ),
    Metric(
        name="preference_accuracy_token",
        value=Mean("pair", "token_correct"),
        unit="share",
        definition="preferred answer the more probable, per token",
        signature=_PAIRS.format("mean per token"),
        column=Column(QUALITY, 8, "preference (token)"),
        compared=True,
        on_card=True,
    ),
    Metric(
        name="preference_accuracy_sum_equal_length",
        value=Mean("equal_length", "sum_correct"),
        unit="share",
        definition="preferred answer the more probable, by the sum, among pairs of equal length",
        signature=_PAIRS.format(f"{_SUM}|{_EQUAL}"),
        column=Column(OTHERWISE, 3, "preference (sum), equal lengths"),
    ),
    Metric(
        name="preference_margin_nats",
        value=Mean("pair", "margin_nats"),
        unit="number",
        definition="log-probability of the preferred answer minus that of the rejected one, in nats",
        signature="chosen minus rejected|summed|stop token included|normalisation:none|version:1",
        column=Column(OTHERWISE, 4, "preference margin, nats"),
    ),
    Metric(
        name="safe_choice_rate",
        value=Mean("harmful", "correct"),
        unit="share",
        definition="harmful requests whose safe answer is the more probable",
        signature=_TWINS.format("harmful requests|safe above unsafe answer"),
        column=Column(SAFETY, 1, "safe choice"),
        compared=True,
    ),
    Metric(
        name="over_refusal_rate",
        value=Mean("benign", "correct", _is_wrong),
        unit="share",
        definition="harmless twins of harmful requests whose refusal is the more probable",
        signature=_TWINS.format("benign twins|refusal above helpful answer"),
        column=Column(SAFETY, 2, "over-refusal of benign twins"),
        compared=True,
    ),
    Metric(
        name="culture_accuracy",
        value=Mean("culture", "correct"),
        unit="share",
        definition="questions about customs, by whole answers",
        signature=_CLOZE.format(_CHARACTER),
        column=Column(SAFETY, 3, "culture questions"),
        compared=True,
    ),
    Metric(
        name="dialect_accuracy",
        value=Mean("dialect", "correct"),
        unit="share",
        definition="questions about dialects, by whole answers",
        signature=_CLOZE.format(_CHARACTER),
        column=Column(SAFETY, 4, "dialect questions"),
        compared=True,
    ),
    Metric(
        name="flagged_share",
        value=Mean("generation", "flags", _has_any),
        unit="share",
        definition="answers that the data filter would flag",
        signature=_COUNTED_ANEW.format("any flag of the data filter within data.limits"),
        column=Column(WRITING, 9, "flagged by the filter"),
    ),
    Metric(
        name="natural_stop_rate",
        value=Mean("generation", "stopped"),
        unit="share",
        definition="answers that end by themselves",
        signature=_COUNTED.format("answers that end with a stop token"),
        column=Column(WRITING, 1, "natural stop"),
        on_card=True,
    ),
    Metric(
        name="repetition_rate",
        value=Mean("generation", "repeated"),
        unit="share",
        definition="answers that say something twice",
        signature=_COUNTED.format("a sentence, or four words in a row, said twice"),
        column=Column(WRITING, 2, "repeats itself"),
    ),
    Metric(
        name="arabic_script_ratio",
        value=Mean("generation", "arabic_ratio"),
        unit="share",
        definition="Arabic letters among all letters of an answer",
        signature=_COUNTED.format("Arabic letters over letters, mean over answers"),
        column=Column(WRITING, 5, "Arabic script"),
    ),
    Metric(
        name="arabic_indic_digit_share",
        value=Ratio("generation", "eastern_digits", "digits"),
        unit="share",
        definition="Arabic-Indic digits among all digits",
        signature=_COUNTED.format("Arabic-Indic over all digits"),
        column=Column(WRITING, 6, "Arabic-Indic digits"),
    ),
    Metric(
        name="arabic_punctuation_share",
        value=Ratio("generation", "arabic_marks", "marks"),
        unit="share",
        definition="Arabic among commas, semicolons and question marks",
        signature=_COUNTED.format("، ؛ ؟ over these and , ; ?"),
        column=Column(WRITING, 7, "Arabic punctuation"),
    ),
    Metric(
        name="dialect_markers_per_100_words",
        value=Ratio("generation", "dialect_words", "words", 100),
        unit="number",
        definition="words that mark a dialect, per 100 words",
        signature="whole words of stages.arabic.dialects|normalisation:light|version:1",
        column=Column(WRITING, 8, "dialect words per 100"),
    ),
    Metric(
        name="bits_per_character",
        value=Ratio("generation", "reference_nats", "reference_characters", _BITS),
        unit="number",
        definition="bits per character of the reference, lower is better",
        signature="first reference and stop token|characters of the reference|normalisation:none|version:1",
        column=Column(OTHERWISE, 5, "bits per character, answers"),
        short="bpc",
        on_card=True,
    ),
    Metric(
        name="bits_per_character_text",
        value=Ratio("text", "nats", "characters", _BITS),
        unit="number",
        definition="bits per character of running text, lower is better",
        signature="open-ended references without chat template|every token, given the one that begins "
        "a text|code points|normalisation:none|version:1",
        column=Column(OTHERWISE, 6, "bits per character, prose"),
    ),
    Metric(
        name="answer_tokens",
        value=Mean("generation", "tokens"),
        unit="number",
        definition="length of an answer in tokens",
        signature=_COUNTED.format("tokens of the base's tokenizer without the stop token"),
        column=Column(WRITING, 4, "answer tokens"),
    ),
    Metric(
        name="length_ratio",
        value=Ratio("generation", "words", "reference_words"),
        unit="number",
        definition="words of the answers over words of the references",
        signature="words of answers over words of first references|normalisation:light|version:1",
        column=Column(WRITING, 3, "length over reference"),
    ),
    Metric(
        name="log_ratio_to_base_nats_per_token",
        value=Mean("generation", "log_ratio_to_base_nats_per_token"),
        unit="number",
        definition="how far a model has gone from the base, on its own answers, in nats per token",
        signature=_DISTANCE.format("base"),
        column=Column(OTHERWISE, 7, "distance from base, nats per token"),
    ),
    Metric(
        name="log_ratio_to_start_nats_per_token",
        value=Mean("generation", "log_ratio_to_start_nats_per_token"),
        unit="number",
        definition="how far a model has gone from its start, on its own answers, in nats per token",
        signature=_DISTANCE.format("start"),
        column=Column(OTHERWISE, 8, "from its start"),
    ),
    # What summary.json has beside these.
    Metric(
        name="chrf_raw",
        value=Mean("generation", "chrf_raw"),
        unit="number",
        definition="chrF++ of the texts as they stand, 0 to 100",
        signature=OfLibrary("chrF2++", "raw"),
        in_methods=False,
    ),
    Metric(
        name="rouge_l_raw",
        value=Mean("generation", "rouge_l_raw"),
        unit="number",
        definition="ROUGE-L of the texts as they stand, 0 to 1",
        signature=_ROUGE.format("raw"),
        in_methods=False,
    ),
    Metric(
        name="mcq_accuracy_raw",
        value=Mean("mcq", "correct_raw"),
        unit="share",
        definition="multiple choice by the sum over the answer",
        signature=_CLOZE.format(_SUM),
        in_methods=False,
    ),
    Metric(
        name="mcq_accuracy_byte",
        value=Mean("mcq", "correct_byte"),
        unit="share",
        definition="multiple choice per UTF-8 byte of the answer",
        signature=_CLOZE.format(_BYTE),
        in_methods=False,
    ),
    Metric(
        name="mcq_letters_accuracy",
        value=Mean("mcq", "letters_correct"),
        unit="share",
        definition="multiple choice by the letter of the answer",
        signature=_LETTERS.format(_SUM),
        in_methods=False,
    ),
    Metric(
        name="mcq_letters_accuracy_character",
        value=Mean("mcq", "letters_correct_character"),
        unit="share",
        definition="multiple choice by the letter, per character",
        signature=_LETTERS.format(_CHARACTER),
        in_methods=False,
    ),
    Metric(
        name="mcq_letters_accuracy_byte",
        value=Mean("mcq", "letters_correct_byte"),
        unit="share",
        definition="multiple choice by the letter, per UTF-8 byte",
        signature=_LETTERS.format(_BYTE),
        in_methods=False,
    ),
    Metric(
        name="culture_letters_accuracy",
        value=Mean("culture", "letters_correct"),
        unit="share",
        definition="questions about customs, by the letter of the answer",
        signature=_LETTERS.format(_SUM),
        in_methods=False,
    ),
    Metric(
        name="dialect_letters_accuracy",
        value=Mean("dialect", "letters_correct"),
        unit="share",
        definition="questions about dialects, by the letter of the answer",
        signature=_LETTERS.format(_SUM),
        in_methods=False,
    ),
    Metric(
        name="preference_accuracy_token_equal_length",
        value=Mean("equal_length", "token_correct"),
        unit="share",
        definition="preferred answer the more probable, per token, among pairs of equal length",
        signature=_PAIRS.format(f"mean per token|{_EQUAL}"),
        in_methods=False,
    ),
    Metric(
        name="preference_margin_nats_per_token",
        value=Mean("pair", "margin_nats_per_token"),
        unit="number",
        definition="difference of the mean log-probabilities per token, in nats",
        signature="chosen minus rejected|means per token|normalisation:none|version:1",
        in_methods=False,
    ),
    Metric(
        name="diacritics_per_100_letters",
        value=Ratio("generation", "diacritics", "letters", 100),
        unit="number",
        definition="vowel marks per 100 letters",
        signature=_COUNTED.format("U+064B-0652 and U+0670"),
        in_methods=False,
    ),
)


def metric(name: str) -> Metric:
    """The metric of a name; raises KeyError where there is none."""
    return {one.name: one for one in METRICS}[name]


def measured() -> list[Metric]:
    """The metrics that `evaluate` computes from score rows."""
    return [one for one in METRICS if not isinstance(one.value, OverReference)]


def in_methods() -> list[Metric]:
    """The metrics of methods.json and methods.csv, in their order."""
    return [one for one in METRICS if one.in_methods]


def in_table(title: str) -> list[tuple[Column, Metric]]:
    """The metrics of one of the report's tables, with their columns, from left to right."""
    found = [(one.column, one) for one in METRICS if one.column is not None and one.column.table == title]
    return sorted(found, key=lambda pair: pair[0].place)


def as_in_report() -> list[tuple[Column, Metric]]:
    """All metrics that the report's tables show, table after table."""
    return [pair for title in TABLES for pair in in_table(title)]
