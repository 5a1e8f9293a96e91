"""Near copies are found in a stream, in order and repeatably; shared wording with an evaluation set as well."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from stages.rows.near_duplicates import OVERLAP_WORDS, EvaluationIndex, NearDuplicates

WORDS = [f"{a}{b}{c}" for a in "بتثجحخ" for b in "سشصضط" for c in "مني"]


def text(rng: random.Random, length: int = 60) -> list[str]:
    return rng.choices(WORDS, k=length)


def jaccard(one: list[str], two: list[str]) -> float:
    first, second = ({tuple(words[i : i + 3]) for i in range(len(words) - 2)} for words in (one, two))
    return len(first & second) / len(first | second)


def changed(rng: random.Random, words: list[str], changes: int) -> list[str]:
    words = list(words)
    for place in rng.sample(range(len(words)), changes):
        words[place] = "غيره"
    return words


def test_close_copies_are_found_and_distant_ones_are_not() -> None:
    rng = random.Random(3)
    found = {"close": [], "distant": []}
    near = NearDuplicates()
    for _ in range(400):
        original = text(rng)
        assert near.first_like(" ".join(original)) is None
        number = near.asked - 1
        for changes in (1, 2, 8, 12):
            copy = changed(rng, original, changes)
            similarity = jaccard(original, copy)
            if similarity > 0.88:
                found["close"].append(near.first_like(" ".join(copy)) == number)
            elif similarity < 0.6:
                fresh = NearDuplicates()
                fresh.first_like(" ".join(original))
                found["distant"].append(fresh.first_like(" ".join(copy)) is not None)
    assert len(found["close"]) > 300 and len(found["distant"]) > 300
    assert sum(found["close"]) >= 0.99 * len(found["close"])
    assert sum(found["distant"]) == 0


def test_the_earliest_text_is_named_by_its_number_in_the_order_of_asking() -> None:
    near = NearDuplicates()
    first = "في المدينة القديمة سوق واسعة يقصدها الناس كل صباح ليشتروا الخبز والتمر"
    assert near.first_like("كلام آخر عن البحر والسفن") is None
    assert near.first_like(first) is None
    assert near.first_like(first) == 1
    assert near.first_like("وهذا كلام ثالث لا يشبه ما قبله") is None
    assert near.first_like(first + ".") == 1


def test_texts_of_few_words_are_alike_only_when_equal() -> None:
    near = NearDuplicates()
    assert [near.first_like(each) for each in ("نعم", "لا", "نعم", "نعم لا", "لا نعم")] == [None, None, 0, None, None]


def test_a_text_without_words_is_like_nothing() -> None:
    near = NearDuplicates()
    assert [near.first_like(each) for each in ("", " ", "", "كلمة")] == [None] * 4


def test_the_table_grows_without_forgetting() -> None:
    rng = random.Random(5)
    texts = [" ".join(text(rng, 12)) for _ in range(3000)]
    near = NearDuplicates()
    size = len(near.table)
    assert all(near.first_like(each) is None for each in texts)
    assert len(near.table) > 8 * size
    assert [near.first_like(each) for each in texts] == list(range(3000))
    held = len(near.signatures) + 8 * len(near.table) + 8 * len(near.numbers)
    assert held / 3000 < 600  # bytes a row


def test_a_stock_phrase_does_not_make_every_row_a_candidate_of_every_other() -> None:
    rng = random.Random(7)
    phrase = "عزيزي السائل شكراً لك على سؤالك الكريم وهذا جوابه كما طلبت"
    near = NearDuplicates()
    for _ in range(2000):
        near.first_like(f"{phrase} {' '.join(text(rng, 10))}")
    row = f"{phrase} {' '.join(text(rng, 10))}"
    assert near.first_like(row) is None
    assert near.first_like(row) is not None


def test_two_runs_agree() -> None:
    rng = random.Random(11)
    texts = []
    for _ in range(300):
        texts.append(text(rng, 20))
        texts.append(changed(rng, rng.choice(texts), 1))
    runs = []
    for _ in range(2):
        near = NearDuplicates()
        runs.append([near.first_like(" ".join(words)) for words in texts])
    assert runs[0] == runs[1]
    assert any(number is not None for number in runs[0])


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=30))
def test_a_text_is_like_itself(words: list[str]) -> None:
    near = NearDuplicates()
    assert near.first_like(" ".join(words)) is None
    assert near.first_like(" ".join(words)) == 0


QUESTION = "ما المدينة التي تقع على البحر الأحمر وكانت ميناء الحجاج قديماً؟"


def test_eight_shared_words_overlap_and_seven_do_not() -> None:
    index = EvaluationIndex([QUESTION])
    words = QUESTION.removesuffix("؟").split()
    assert index.overlaps("سألني صديقي أمس: " + " ".join(words[:OVERLAP_WORDS]) + " فلم أجب.")
    assert not index.overlaps("سألني صديقي أمس: " + " ".join(words[: OVERLAP_WORDS - 1]) + " فلم أجب.")


def test_overlap_looks_through_spelling_and_punctuation() -> None:
    index = EvaluationIndex([QUESTION])
    assert index.overlaps("ما المدينه، التي تقع علي البحر الاحمر. وكانت ميناء الحجاج")


def test_a_short_evaluation_text_overlaps_only_with_its_equal() -> None:
    index = EvaluationIndex(["ما عاصمة مصر؟"])
    assert index.overlaps("ما عاصمة مصر")
    assert not index.overlaps("ما عاصمة مصر وما عملتها؟")


def test_nothing_overlaps_with_no_words() -> None:
    assert not EvaluationIndex(["", "؟"]).overlaps("")
    assert not EvaluationIndex([]).overlaps(QUESTION)


@given(st.lists(st.sampled_from(WORDS), min_size=OVERLAP_WORDS, max_size=20), st.integers(0, 12))
def test_any_run_of_eight_words_of_an_evaluation_text_overlaps(words: list[str], start: int) -> None:
    start = min(start, len(words) - OVERLAP_WORDS)
    run = words[start : start + OVERLAP_WORDS]
    assert EvaluationIndex([" ".join(words)]).overlaps("قبله " + " ".join(run) + " بعده")
