"""Near duplicates are found in a stream of texts, in order and repeatably."""

from __future__ import annotations

import random

import psutil
from hypothesis import given
from hypothesis import strategies as st

from stages.rows.near_duplicates import NearDuplicates

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


def test_nothing_is_forgotten_as_the_texts_grow_in_number() -> None:
    rng = random.Random(5)
    texts = [" ".join(text(rng, 12)) for _ in range(3000)]
    near = NearDuplicates()
    assert all(near.first_like(each) is None for each in texts)
    assert [near.first_like(each) for each in texts] == list(range(3000))


def test_a_remembered_text_costs_the_same_however_long_it_is() -> None:
    """The sketches lie outside Python's heap, so the process itself is asked."""
    rng = random.Random(13)
    memory = psutil.Process().memory_info
    near = NearDuplicates()
    for words in (12, 2000):
        texts = [" ".join(text(rng, words)) for _ in range(1000)]
        before = memory().rss
        assert all(near.first_like(each) is None for each in texts)
        assert (memory().rss - before) / 1000 < 5000  # bytes; a text of 2,000 words alone has 14,000


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
