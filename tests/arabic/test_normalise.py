"""Normalisation: what each level forgives, what it keeps apart, and that the levels nest."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.arabic.normalise import folded, light, raw

ARABIC = st.text(
    st.one_of(
        st.characters(min_codepoint=0x0600, max_codepoint=0x06FF),
        st.characters(min_codepoint=0xFB50, max_codepoint=0xFEFF, exclude_categories=["Cn"]),
        st.sampled_from(" \u200b\u200f\u2067\u0640ه.,٫»«-3٣۳\t\n"),
    )
)
TEXT = st.one_of(ARABIC, st.text())
LEVELS = [raw, light, folded]


@pytest.mark.parametrize("level", LEVELS)
@given(text=TEXT)
def test_a_second_pass_changes_nothing(level, text: str) -> None:  # type: ignore[no-untyped-def]
    assert level(level(text)) == level(text)


def plain_light(text: str) -> str:
    """What `light` promises, one step after the other and without its shortcuts."""
    text = unicodedata.normalize("NFKC", text)
    text = re.sub("[\u064b-\u0652\u0670\u06d6-\u06ed]", "", text)  # vowel marks, dagger alef, Quranic signs
    text = re.sub("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]", "", text)
    text = re.sub("[٠-٩۰-۹]", lambda digit: str(unicodedata.decimal(digit[0])), text)
    text = text.replace("ی", "ي").replace("ک", "ك")
    text = re.sub(r"(?<![^\W\d_])هـ+(?![^\W\d_])", "ه\0", text).replace("ـ", "").replace("\0", "ـ")
    text = re.sub(r"(?<=[0-9])٫(?=[0-9])", ".", text)
    return " ".join(unicodedata.normalize("NFKC", text).split())


@settings(max_examples=500)
@given(TEXT.filter(lambda text: "\0" not in text))
def test_light_is_what_its_plain_form_gives(text: str) -> None:
    assert light(text) == plain_light(text)


def test_light_is_what_its_plain_form_gives_for_every_character() -> None:
    characters = [chr(code) for code in range(1, 0x20000) if not 0xD800 <= code < 0xE000]
    for before, after in (("", ""), ("ه", "ـ"), ("3", "3"), ("ل", "ا")):
        assert [c for c in characters if light(before + c + after) != plain_light(before + c + after)] == []


@given(TEXT)
def test_each_level_contains_the_finer_ones(text: str) -> None:
    assert light(raw(text)) == light(text)
    assert folded(raw(text)) == folded(light(text)) == folded(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ﻻ ﷲ", "لا الله"),  # presentation forms
        ("مُحَمَّدٌ", "محمد"),  # tashkeel
        ("هٰذا", "هذا"),  # dagger alef
        ("العـــربية", "العربية"),  # tatweel
        ("الخيار هـ", "الخيار هـ"),  # the label keeps its tatweel
        ("١٤٤٥هـ", "1445هـ"),
        ("هــ)", "هـ)"),
        ("هـذا", "هذا"),
        ("نعم\u200f \u202bلا\u202c\ufeff", "نعم لا"),  # direction marks
        ("٠١٢ ۷۸۹", "012 789"),
        ("٣٫٥", "3.5"),
        ("کتاب فارسی", "كتاب فارسي"),
        ("  كلمة \n\t كلمة\u00a0كلمة ", "كلمة كلمة كلمة"),
        ("ا\u0654", "أ"),
    ],
)
def test_light_forgives_what_careful_writers_do_differently(text: str, expected: str) -> None:
    assert light(text) == expected


@pytest.mark.parametrize(
    "pair", [("أحمد", "احمد"), ("على", "علي"), ("مدرسة", "مدرسه"), ("نعم.", "نعم"), ("سؤال", "سوال")]
)
def test_light_keeps_apart_what_folded_merges(pair: tuple[str, str]) -> None:
    assert light(pair[0]) != light(pair[1])
    assert folded(pair[0]) == folded(pair[1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("أإآٱ", "اااا"),
        ("مسؤول وقائمة.", "مسوول وقايمه"),
        ("«القاهرة»، مصر؟", "القاهره مصر"),
        ("نعم،لا", "نعم لا"),
        ("٣٫٥ كم.", "3.5 كم"),
        ("١٥/٣/٢٠٢٤", "15 3 2024"),
        ("هـ", "ه"),
        ("ثمانٍ", "ثمان"),
    ],
)
def test_folded_leaves_letters_digits_and_single_spaces(text: str, expected: str) -> None:
    assert folded(text) == expected


def test_folded_drops_the_opening_article_only_on_request() -> None:
    assert folded("الريال السعودي") == "الريال السعودي"
    assert folded("الريال السعودي", drop_article=True) == "ريال السعودي"


def test_raw_composes_and_changes_nothing_else() -> None:
    assert raw("ا\u0653لة") == "آلة"
    assert raw("مُـ ٣٫٥ ﻻ\u200f") == "مُـ ٣٫٥ ﻻ\u200f"
