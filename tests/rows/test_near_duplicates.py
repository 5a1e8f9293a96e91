"""Near duplicates: a labelled probe of true copies, and of rows that share what rows share by design."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.rows.near_duplicates import NearDuplicates

WORDS = [f"{a}{b}{c}" for a in "بتجدرس" for b in "اوي" for c in "لمنهعق"]


def text(seed: int, words: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


LONG, OTHER, DOCUMENT, INSTRUCTION = text(1, 60), text(2, 60), text(3, 150), text(4, 47)
ANSWER = text(5, 20)


def changed(words: str, *places: int) -> str:
    found = words.split()
    for place in places:
        found[place] = "كلمة"
    return " ".join(found)


COPIES = {
    "the same": ((LONG, ANSWER), (LONG, ANSWER)),
    "one word of a long question": ((LONG, ANSWER), (changed(LONG, 30), ANSWER)),
    "a few words here and there": ((LONG, ANSWER), (changed(LONG, 15, 30, 42), ANSWER)),
    "one word of a long answer": (("كيف؟", text(6, 60)), ("كيف؟", changed(text(6, 60), 30))),
    "a word added at the end": ((LONG, ANSWER), (f"{LONG} شكرا", ANSWER)),
}
ONE, TWO = text(7, 8), text(8, 8)  # two questions, or two short texts to classify
CASE, LIKE = "ماذا قررت المحكمة في القضية رقم {}؟", "أي الجملتين أصح؟"
NO_COPIES = {
    "other questions": ((LONG, ANSWER), (OTHER, ANSWER)),
    "other answers": ((LONG, "نعم"), (LONG, "لا")),
    "two questions on one document": ((f"{DOCUMENT} {ONE}", "سنة ١٩٥٠"), (f"{DOCUMENT} {TWO}", "بيروت")),
    "two questions with one answer": ((f"{DOCUMENT} {ONE}", "نعم"), (f"{DOCUMENT} {TWO}", "نعم")),
    "a short text behind one instruction": ((f"{INSTRUCTION} {ONE}", "سلبي"), (f"{INSTRUCTION} {TWO}", "سلبي")),
    "a short text before it": ((f"{ONE} {INSTRUCTION}", "سلبي"), (f"{TWO} {INSTRUCTION}", "سلبي")),
    "another word in a short question": (("النساء هم بس مشكلة", "نعم"), ("اللاجئين هم بس مشكلة", "نعم")),
    "another number in a long one": ((f"{LONG} القضية رقم ٩", ANSWER), (f"{LONG} القضية رقم ٨", ANSWER)),
    "another number in one form": ((CASE.format(946274), "قبول الطعن"), (CASE.format(810931), "قبول الطعن")),
    "subject and object exchanged": ((LIKE, "الأسنان أقوى من اللسان"), (LIKE, "اللسان أقوى من الأسنان")),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found(name: str) -> None:
    one, other = COPIES[name]
    with NearDuplicates() as near:
        assert near.first_like(OTHER + " ثم", "شيء آخر") is None
        assert near.first_like(*one) is None
        assert near.first_like(*other) == 1


@pytest.mark.parametrize("name", NO_COPIES)
def test_what_rows_share_by_design_is_no_copy(name: str) -> None:
    one, other = NO_COPIES[name]
    with NearDuplicates() as near:
        assert near.first_like(*one) is None
        assert near.first_like(*other) is None


def test_many_rows_behind_one_instruction_stay() -> None:
    with NearDuplicates() as near:
        rows = [(f"{INSTRUCTION} {text(100 + n, 12)}", ("سلبي", "إيجابي")[n % 2]) for n in range(500)]
        assert all(near.first_like(*row) is None for row in rows)
        assert [near.first_like(*row) for row in rows] == list(range(500))


def test_a_row_without_words_is_like_nothing() -> None:
    with NearDuplicates() as near:
        assert [near.first_like("", ""), near.first_like(" ", ""), near.first_like("", "")] == [None] * 3


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=60), st.lists(st.sampled_from(WORDS), max_size=40))
def test_a_row_is_like_itself(question: list[str], answer: list[str]) -> None:
    with NearDuplicates() as near:
        row = " ".join(question), " ".join(answer)
        assert near.first_like(*row) is None
        assert near.first_like(*row) == 0
