"""What counts as right, as Arabic and as flawed in an answer's text."""

from __future__ import annotations

import pytest

from stages.arabic.flaws import HEDGES, is_hedged, is_repeated
from stages.core.errors import PipelineError
from stages.scoring.answer_checks import arabic_ratio, contains, exact_match, passes

ANSWER = "عاصمة مصر هي القاهرة."


@pytest.mark.parametrize(
    "text", [ANSWER, "عاصمه مصر هي القاهره", "عَاصِمَةُ مِصْرَ هِيَ القَاهِرَةُ!", " عاصمة  مصر هي القاهـــرة. "]
)
def test_exact_match_forgives_spelling_habits(text: str) -> None:
    assert exact_match(text, ["الرياض", ANSWER])


@pytest.mark.parametrize("text", ["", "القاهرة", "عاصمة مصر هي الرياض.", ANSWER + " " + ANSWER])
def test_exact_match_forgives_nothing_else(text: str) -> None:
    assert not exact_match(text, [ANSWER])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (ANSWER, "القاهرة"),
        ("إنها «القاهره»، لا غير", "القاهرة"),
        ("العملة هي الريال السعودي.", "الريال السعودي"),
        ("الناتج ٣٥ متراً", "35"),
        ("الطول 7.5 متر", "٧٫٥"),
        ("أبو ظبي", "ابو ظبي"),
    ],
)
def test_a_value_is_found_by_its_whole_words(text: str, value: str) -> None:
    assert contains(text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("الناتج ٣٥٠", "٣٥"),
        ("الطول ٧٫٥٢", "٧٫٥"),
        ("عمانية", "عمان"),
        ("السعودي الريال", "الريال السعودي"),
        ("الريال القطري السعودي", "الريال السعودي"),
        ("", "القاهرة"),
    ],
)
def test_parts_of_words_and_scattered_words_do_not_count(text: str, value: str) -> None:
    assert not contains(text, value)


@pytest.mark.parametrize("value", ["", " ", "؟!"])
def test_a_value_without_words_is_an_error(value: str) -> None:
    with pytest.raises(PipelineError, match="no word"):
        contains(ANSWER, value)


def test_every_check_of_a_row_must_hold() -> None:
    cairo, riyadh = ({"name": "contains", "value": value} for value in ("القاهرة", "الرياض"))
    assert passes(ANSWER, [cairo]) is True
    assert passes(ANSWER, [cairo, riyadh]) is False
    assert passes(ANSWER, []) is None
    with pytest.raises(PipelineError, match="'starts'"):
        passes(ANSWER, [{"name": "starts", "value": "ا"}])


@pytest.mark.parametrize(
    ("name", "value", "good", "bad"),
    [
        ("not_contains", "الرياض", [ANSWER, "الرياضة", ""], ["هي الرياض.", "«الرياض»، نعم"]),
        ("not_contains", "ق", ["مصر"], [ANSWER]),
        ("not_contains", "٣", ["ثلاثة", "٤"], ["٣٥", "3"]),
        ("exact_words", "4", [ANSWER, "عاصمة، مصر : هي «القاهرة»!"], ["", "عاصمة مصر القاهرة.", f"{ANSWER} نعم"]),
        ("max_words", "4", [ANSWER, "القاهرة."], ["", "...", f"{ANSWER} نعم"]),
        ("starts_with", "عاصمة", [ANSWER, "«عاصمه» مصر"], ["", "إن عاصمة مصر هي القاهرة", "العاصمة القاهرة"]),
        ("starts_with", "عاصمة مصر", [ANSWER], ["عاصمة", "عاصمة قطر هي الدوحة."]),
        ("ends_with", "القاهرة", [ANSWER, "إنها القاهره!", "القاهرة"], ["", "القاهرة هي العاصمة.", "بالقاهرة"]),
        ("ends_with", "هي القاهرة", [ANSWER], ["القاهرة", "في القاهرة."]),
        (
            "items",
            "3",
            ["تفاح، موز، عنب.", "تفاح ،موز، تين أسود"],
            ["", "تفاح, موز, عنب", "تفاح، موز", "أ، ب، ج، د", "أ، ، ب"],
        ),
        ("items", "1", ["تفاح وموز."], ["", "تفاح، موز"]),
    ],
)
def test_a_constraint_is_kept_or_broken(name: str, value: str, good: list[str], bad: list[str]) -> None:
    check = {"name": name, "value": value}
    assert [text for text in good if not passes(text, [check])] == []
    assert [text for text in bad if passes(text, [check])] == []


@pytest.mark.parametrize("name", ["not_contains", "starts_with", "ends_with"])
def test_a_constraint_without_words_is_an_error(name: str) -> None:
    with pytest.raises(PipelineError, match="no word"):
        passes(ANSWER, [{"name": name, "value": "؟!"}])


@pytest.mark.parametrize("name", ["exact_words", "max_words", "items"])
@pytest.mark.parametrize("value", ["", "خمس", "0", "-1", "2.5"])
def test_a_constraint_on_a_number_needs_one(name: str, value: str) -> None:
    with pytest.raises(PipelineError, match="not a positive number"):
        passes(ANSWER, [{"name": name, "value": value}])


@pytest.mark.parametrize(
    ("text", "ratio"),
    [(ANSWER, 1), ("٤٢", 1), ("مِصْرُ ٣!", 1), ("", 0), ("  ", 0), ("Cairo", 0), ("مصر abc", 0.5), ("首都", 0)],
)
def test_arabic_ratio_counts_letters_only(text: str, ratio: float) -> None:
    assert arabic_ratio(text) == pytest.approx(ratio)


@pytest.mark.parametrize("opening", HEDGES)
def test_planted_hedges_are_recognised(opening: str) -> None:
    assert is_hedged(f"{opening} {ANSWER}")
    assert not is_hedged(ANSWER)


def test_planted_repetition_is_recognised() -> None:
    assert is_repeated(f"{ANSWER} {ANSWER}")
    assert not is_repeated(ANSWER)
