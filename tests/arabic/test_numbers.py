"""Numbers in words: what an Arabic editor would write, and no two numbers alike."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stages.arabic.normalise import folded
from stages.arabic.numbers import (
    LARGEST,
    Case,
    Gender,
    Noun,
    count,
    count_in_digits,
    ordinal,
    spell,
    to_arabic_digits,
    to_western_digits,
)

NUMBERS = st.integers(0, LARGEST)
GENDERS = st.sampled_from(["m", "f"])
CASES = st.sampled_from(["nominative", "oblique", "accusative"])

PLAIN = {
    0: "صفر",
    1: "واحد",
    2: "اثنان",
    3: "ثلاثة",
    8: "ثمانية",
    10: "عشرة",
    11: "أحد عشر",
    12: "اثنا عشر",
    13: "ثلاثة عشر",
    18: "ثمانية عشر",
    20: "عشرون",
    21: "واحد وعشرون",
    22: "اثنان وعشرون",
    25: "خمسة وعشرون",
    80: "ثمانون",
    99: "تسعة وتسعون",
    100: "مئة",
    101: "مئة وواحد",
    102: "مئة واثنان",
    111: "مئة وأحد عشر",
    200: "مئتان",
    212: "مئتان واثنا عشر",
    300: "ثلاثمئة",
    800: "ثمانمئة",
    999: "تسعمئة وتسعة وتسعون",
    1000: "ألف",
    1001: "ألف وواحد",
    1100: "ألف ومئة",
    2000: "ألفان",
    2020: "ألفان وعشرون",
    2200: "ألفان ومئتان",
    3000: "ثلاثة آلاف",
    3100: "ثلاثة آلاف ومئة",
    8008: "ثمانية آلاف وثمانية",
    10_000: "عشرة آلاف",
    11_000: "أحد عشر ألفاً",
    12_012: "اثنا عشر ألفاً واثنا عشر",
    20_000: "عشرون ألفاً",
    22_500: "اثنان وعشرون ألفاً وخمسمئة",
    100_000: "مئة ألف",
    100_001: "مئة ألف وواحد",
    101_000: "مئة ألف وألف",
    102_000: "مئة ألف وألفان",
    103_000: "مئة وثلاثة آلاف",
    111_111: "مئة وأحد عشر ألفاً ومئة وأحد عشر",
    200_000: "مئتا ألف",
    202_000: "مئتا ألف وألفان",
    250_000: "مئتان وخمسون ألفاً",
    300_000: "ثلاثمئة ألف",
    800_200: "ثمانمئة ألف ومئتان",
    999_999: "تسعمئة وتسعة وتسعون ألفاً وتسعمئة وتسعة وتسعون",
    1_000_000: "مليون",
    2_000_000: "مليونان",
    3_200_000: "ثلاثة ملايين ومئتا ألف",
    11_000_000: "أحد عشر مليوناً",
    200_000_000: "مئتا مليون",
}
INFLECTED: list[tuple[int, Gender, Case, str]] = [
    (1, "f", "nominative", "واحدة"),
    (2, "f", "nominative", "اثنتان"),
    (2, "m", "oblique", "اثنين"),
    (2, "f", "oblique", "اثنتين"),
    (3, "f", "nominative", "ثلاث"),
    (8, "f", "nominative", "ثمانٍ"),
    (10, "f", "nominative", "عشر"),
    (11, "f", "nominative", "إحدى عشرة"),
    (11, "m", "oblique", "أحد عشر"),
    (12, "m", "oblique", "اثني عشر"),
    (12, "f", "nominative", "اثنتا عشرة"),
    (12, "f", "oblique", "اثنتي عشرة"),
    (13, "f", "nominative", "ثلاث عشرة"),
    (18, "f", "nominative", "ثماني عشرة"),
    (20, "m", "oblique", "عشرين"),
    (21, "f", "nominative", "إحدى وعشرون"),
    (22, "f", "oblique", "اثنتين وعشرين"),
    (28, "f", "nominative", "ثمانٍ وعشرون"),
    (35, "m", "oblique", "خمسة وثلاثين"),
    (200, "m", "oblique", "مئتين"),
    (2000, "m", "oblique", "ألفين"),
    (2024, "m", "oblique", "ألفين وأربعة وعشرين"),
    (12_000, "m", "oblique", "اثني عشر ألفاً"),
    (12_005, "f", "nominative", "اثنا عشر ألفاً وخمس"),
    (200_000, "m", "oblique", "مئتي ألف"),
    (202_000, "m", "oblique", "مئتي ألف وألفين"),
    (1, "m", "accusative", "واحداً"),
    (1, "f", "accusative", "واحدة"),
    (3, "m", "accusative", "ثلاثة"),
    (3, "f", "accusative", "ثلاثاً"),
    (11, "m", "accusative", "أحد عشر"),
    (18, "f", "accusative", "ثماني عشرة"),
    (21, "m", "accusative", "واحداً وعشرين"),
    (21, "f", "accusative", "إحدى وعشرين"),
    (25, "f", "accusative", "خمساً وعشرين"),
    (28, "f", "accusative", "ثمانياً وعشرين"),
    (35, "m", "accusative", "خمسة وثلاثين"),
    (1001, "m", "accusative", "ألفاً وواحداً"),
    (1_000_000, "m", "accusative", "مليوناً"),
]

KILOMETRE = Noun("كيلومتر", "كيلومترات")
RIYAL = Noun("ريال", "ريالات")
HOUR = Noun("ساعة", "ساعات", "f")
COUNTED: list[tuple[int, Noun, Case, str]] = [
    (1, KILOMETRE, "nominative", "كيلومتر واحد"),
    (1, HOUR, "nominative", "ساعة واحدة"),
    (2, KILOMETRE, "nominative", "كيلومتران"),
    (2, HOUR, "oblique", "ساعتين"),
    (3, KILOMETRE, "nominative", "ثلاثة كيلومترات"),
    (3, HOUR, "nominative", "ثلاث ساعات"),
    (8, HOUR, "nominative", "ثماني ساعات"),
    (11, KILOMETRE, "nominative", "أحد عشر كيلومتراً"),
    (11, HOUR, "nominative", "إحدى عشرة ساعة"),
    (12, RIYAL, "oblique", "اثني عشر ريالاً"),
    (100, KILOMETRE, "nominative", "مئة كيلومتر"),
    (101, RIYAL, "nominative", "مئة ريال وريال"),
    (102, HOUR, "nominative", "مئة ساعة وساعتان"),
    (108, HOUR, "nominative", "مئة وثماني ساعات"),
    (200, RIYAL, "nominative", "مئتا ريال"),
    (200, RIYAL, "oblique", "مئتي ريال"),
    (1000, RIYAL, "nominative", "ألف ريال"),
    (1001, HOUR, "nominative", "ألف ساعة وساعة"),
    (2000, RIYAL, "nominative", "ألفا ريال"),
    (2000, HOUR, "oblique", "ألفي ساعة"),
    (5000, RIYAL, "nominative", "خمسة آلاف ريال"),
    (11_000, RIYAL, "nominative", "أحد عشر ألف ريال"),
    (12_000, HOUR, "oblique", "اثني عشر ألف ساعة"),
    (200_000, RIYAL, "nominative", "مئتا ألف ريال"),
    (2_000_000, RIYAL, "nominative", "مليونا ريال"),
    (1, RIYAL, "accusative", "ريالاً واحداً"),
    (3, HOUR, "accusative", "ثلاث ساعات"),
    (8, HOUR, "accusative", "ثماني ساعات"),
    (23, HOUR, "accusative", "ثلاثاً وعشرين ساعة"),
    (81, KILOMETRE, "accusative", "واحداً وثمانين كيلومتراً"),
    (101, RIYAL, "accusative", "مئة ريال وريالاً"),
    (1000, RIYAL, "accusative", "ألف ريال"),
    (21_000, HOUR, "accusative", "واحداً وعشرين ألف ساعة"),
]


@pytest.mark.parametrize(("n", "words"), PLAIN.items())
def test_counting_reads_as_an_editor_writes(n: int, words: str) -> None:
    assert spell(n) == words


@pytest.mark.parametrize(("n", "gender", "case", "words"), INFLECTED)
def test_gender_and_case_bend_the_words_that_they_should(n: int, gender: Gender, case: Case, words: str) -> None:
    assert spell(n, gender, case) == words


@pytest.mark.parametrize(("n", "noun", "case", "words"), COUNTED)
def test_the_counted_noun_agrees(n: int, noun: Noun, case: Case, words: str) -> None:
    assert count(n, noun, case) == words


@pytest.mark.parametrize(
    ("n", "noun", "words"),
    [
        (1, RIYAL, "ريال واحد"),
        (2, RIYAL, "ريالان"),
        (7, RIYAL, "٧ ريالات"),
        (37, KILOMETRE, "٣٧ كيلومتراً"),
        (100, KILOMETRE, "١٠٠ كيلومتر"),
        (504, HOUR, "٥٠٤ ساعات"),
        (96, HOUR, "٩٦ ساعة"),
    ],
)
def test_digits_take_the_same_noun_as_words(n: int, noun: Noun, words: str) -> None:
    assert count_in_digits(n, noun) == words


@pytest.mark.parametrize(
    ("n", "gender", "case", "words"),
    [
        (1, "m", "nominative", "الأول"),
        (1, "f", "nominative", "الأولى"),
        (6, "m", "nominative", "السادس"),
        (10, "f", "nominative", "العاشرة"),
        (11, "m", "nominative", "الحادي عشر"),
        (11, "f", "nominative", "الحادية عشرة"),
        (12, "m", "nominative", "الثاني عشر"),
        (20, "m", "oblique", "العشرين"),
        (21, "f", "nominative", "الحادية والعشرون"),
        (25, "m", "oblique", "الخامس والعشرين"),
        (100, "m", "nominative", "المئة"),
    ],
)
def test_ordinals_are_definite_and_agree(n: int, gender: Gender, case: Case, words: str) -> None:
    assert ordinal(n, gender, case) == words


@pytest.mark.parametrize("n", [-1, LARGEST + 1])
def test_a_number_out_of_range_is_refused_by_name(n: int) -> None:
    with pytest.raises(ValueError, match=f"cannot put {n} into words"):
        spell(n)


UNITS = {word: n for n in range(1, 11) for word in (spell(n), spell(n, "f"), spell(n, "f", "oblique"))}
UNITS |= {"اثنين": 2, "اثنا": 2, "اثني": 2, "اثنتا": 2, "اثنتي": 2, "أحد": 1, "إحدى": 1, "ثماني": 8, "صفر": 0}
UNITS |= {word: n for n in range(1, 11) for word in (spell(n, "m", "accusative"), spell(n, "f", "accusative"))}
TENS = {spell(n, case=case): n for n in range(20, 100, 10) for case in ("nominative", "oblique")}
HUNDREDS = {spell(n): n for n in range(100, 1000, 100)} | {"مئتين": 200, "مئتا": 200, "مئتي": 200}
SCALES = {"ألف": 1000, "ألفاً": 1000, "آلاف": 1000, "مليون": 10**6, "مليوناً": 10**6, "ملايين": 10**6}
DUALS = {"ألفان": 2000, "ألفين": 2000, "مليونان": 2 * 10**6, "مليونين": 2 * 10**6}


def read(words: str) -> int:
    """A reader that knows the words and nothing of the speller: scales multiply what has piled up before them."""
    total = pile = 0
    for word in re.split(" و?", words):
        if word in SCALES:
            total, pile = total + (pile or 1) * SCALES[word], 0
        elif word in DUALS:
            total += DUALS[word]
        elif word in ("عشر", "عشرة") and pile % 100 in range(1, 10):
            pile += 10
        else:
            pile += UNITS.get(word) or TENS.get(word) or HUNDREDS.get(word, 0)
    return total + pile


@given(NUMBERS, GENDERS, CASES)
@example(101_000, "m", "nominative")
@example(202_002, "f", "oblique")
@example(118_818, "f", "oblique")
@example(10_000_010, "m", "nominative")
def test_words_read_back_as_the_number(n: int, gender: Gender, case: Case) -> None:
    assert read(spell(n, gender, case)) == n


def test_no_two_numbers_share_their_words_even_folded() -> None:
    sample = [*range(12_000), *range(12_000, 1_000_000, 997), *range(100_000, 104_000), *range(10**6, 10**9, 7_654_321)]
    assert len({folded(spell(n)) for n in sample}) == len(set(sample))


@given(NUMBERS, GENDERS, CASES)
def test_words_are_clean_text(n: int, gender: Gender, case: Case) -> None:
    assert re.fullmatch(r"[ء-يًٍ]+( [ء-يًٍ]+)*", spell(n, gender, case))


@given(st.text())
def test_digits_survive_the_way_there_and_back(text: str) -> None:
    western = to_western_digits(text)
    assert to_western_digits(to_arabic_digits(western)) == western
    assert not re.search("[0-9]", to_arabic_digits(text))


def test_both_arabic_digit_systems_become_western() -> None:
    assert to_arabic_digits("123") == "١٢٣"
    assert to_western_digits("٤٥٦ ۴۵۶") == "456 456"
