"""What is counted on an answer's text: overlap with a reference, digits, punctuation, marks, dialect and flags."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF

from stages.arabic.dialects import ALL_MARKERS, MARKERS, words
from stages.arabic.normalise import light
from stages.core.params import load_params
from stages.scoring import reference_overlap, writing_style
from tests.support.clones import ROOT

ANSWER = "عاصمة مصر هي القاهرة."
SHOUTED = "عَاصِمَةُ مِصْرَ هِيَ القاهرة."


def test_chrf_is_sacrebleus_at_each_level() -> None:
    assert reference_overlap.chrf(SHOUTED, [ANSWER]) == pytest.approx(100)
    assert reference_overlap.chrf(SHOUTED, [ANSWER], "raw") < 60
    plain = CHRF(word_order=2).sentence_score("عاصمة قطر هي الدوحة.", [ANSWER]).score
    assert reference_overlap.chrf("عاصمة قطر هي الدوحة.", [ANSWER]) == pytest.approx(plain)
    assert 0 < plain < 100
    assert reference_overlap.chrf("", [ANSWER]) == 0
    assert reference_overlap.chrf(ANSWER, ["الرياض", ANSWER]) == pytest.approx(100)


@given(st.lists(st.sampled_from("ابج"), max_size=7), st.lists(st.sampled_from("ابج"), max_size=7))
def test_the_longest_common_subsequence_equals_brute_force(first: list[str], second: list[str]) -> None:
    def subsequences(values: list[str]) -> set[tuple[str, ...]]:
        return {one for size in range(len(values) + 1) for one in itertools.combinations(values, size)}

    assert reference_overlap.longest_common(first, second) == max(map(len, subsequences(first) & subsequences(second)))


@pytest.mark.parametrize(
    ("text", "level", "expected"),
    [
        (ANSWER, "raw", 1.0),
        (SHOUTED, "light", 1.0),
        (SHOUTED, "raw", 0.25),  # one word of four is spelt alike
        ("القاهرة، هي عاصمة مصر", "light", 0.5),
        ("الرياض", "light", 0.0),
        ("", "light", 0.0),
        ("Cairo", "raw", 0.0),
    ],
)
def test_rouge_l_counts_arabic_words(text: str, level: str, expected: float) -> None:
    assert reference_overlap.rouge_l(text, [ANSWER], level) == pytest.approx(expected)


def test_rouge_l_takes_the_best_reference() -> None:
    assert reference_overlap.rouge_l(ANSWER, ["الرياض", ANSWER]) == 1


def test_corpus_scores_are_sacrebleus_by_seed_and_level() -> None:
    references = {"a": [ANSWER], "b": ["عاصمة قطر هي الدوحة.", "إنها الدوحة."]}
    rows = [
        {"id": identity, "seed": seed, "text": text}
        for seed, texts in ((11, (ANSWER, "إنها الدوحة.")), (12, (SHOUTED, "الدوحة")))
        for identity, text in zip("ab", texts, strict=True)
    ]
    found = reference_overlap.corpus_scores(rows, references, [11, 12])
    assert found["chrf"]["raw"]["per_seed"][0] == pytest.approx(100)
    streams = [[light(ANSWER), light("عاصمة قطر هي الدوحة.")], [None, light("إنها الدوحة.")]]
    for name, metric in (("chrf", CHRF(word_order=2)), ("bleu", BLEU(tokenize="intl"))):
        expected = metric.corpus_score([light(SHOUTED), "الدوحة"], streams).score  # type: ignore[arg-type]
        assert found[name]["light"]["per_seed"][1] == pytest.approx(expected)
        assert found[name]["raw"]["per_seed"][1] < expected
        assert found[name]["light"]["mean"] == pytest.approx(sum(found[name]["light"]["per_seed"]) / 2)


@pytest.mark.parametrize(
    ("metric", "parts"),
    [
        ("chrF2++", ("nrefs:var", "nc:6", "nw:2", "version:2.6.0", "normalisation:light")),
        ("BLEU", ("nrefs:var", "tok:intl", "version:2.6.0", "normalisation:light")),
    ],
)
def test_the_signature_names_all_that_decides_the_score(metric: str, parts: tuple[str, ...]) -> None:
    signature = reference_overlap.signature(metric, "light")
    assert signature.startswith(metric)
    assert all(part in signature for part in parts)


def test_digits_punctuation_and_marks_are_counted_by_system() -> None:
    found = writing_style.counts("كَتَبَ ٣ رسائل، و12 بطاقة, أليس كذلك؟")
    assert (found["digits"], found["eastern_digits"]) == (3, 1)
    assert (found["marks"], found["arabic_marks"]) == (3, 2)
    assert (found["diacritics"], found["letters"]) == (3, 22)
    assert (found["words"], found["dialect_words"], found["dialects"]) == (7, 0, {})


def test_words_of_a_dialect_are_whole_words() -> None:
    found = writing_style.counts("أنا مش عارف، واش نمشي دلوقتي؟ وواشنطن بعيدة")
    assert found["dialect_words"] == 3
    assert found["dialects"] == {"egyptian": 2, "levantine": 1, "maghrebi": 1}


def _texts(files: list[Path], *fields: str) -> list[str]:
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [row[field] for row in rows for field in fields if isinstance(row.get(field), str)]


def test_no_standard_answer_of_ours_holds_a_marker_and_dialect_answers_do() -> None:
    """72,000 words written as standard Arabic, and the rejected answers of the dialect axis."""
    raw = ROOT / "data/raw"
    standard = [*raw.glob("instructions/*.jsonl"), *raw.glob("skills/*.jsonl"), *raw.glob("pairs/*.jsonl")]
    said = [word for text in _texts(standard, "completion", "chosen") for word in words(text)]
    assert len(said) > 50_000
    assert not ALL_MARKERS & set(said)
    spoken = [words(text) for text in _texts([raw / "pairs/dialect.jsonl"], "rejected")]
    assert sum(bool(ALL_MARKERS & set(text)) for text in spoken) / len(spoken) > 0.7
    assert sum(word in ALL_MARKERS for text in spoken for word in text) / sum(map(len, spoken)) > 0.03


def test_markers_are_single_words_at_the_light_level() -> None:
    for dialect, marks in MARKERS.items():
        assert len(marks) > 20, dialect
        assert all(words(mark) == [mark] for mark in marks)


def test_an_answer_is_held_to_the_limits_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    limits = load_params().data.limits
    assert writing_style.flags(ANSWER, limits) == []
    assert "low_arabic_share" in writing_style.flags("The capital is Cairo.", limits)
    assert "empty_answer" in writing_style.flags("", limits)
    loop = " ".join(random.Random(1).choices(["نعم", "لا"], k=60))
    assert "repetition_loop" in writing_style.flags(loop, limits)
