"""Texts that share wording with an evaluation set are found, through spelling and punctuation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stages.rows.decontamination import OVERLAP_WORDS, EvaluationIndex

WORDS = [f"{a}{b}{c}" for a in "بتثجحخ" for b in "سشصضط" for c in "مني"]
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


SHORT = "لماذا سميت المقلوبة بهذا الاسم؟"


def row(prompt: str, answer: str = "جواب قصير.") -> dict[str, object]:
    return {"prompt": [{"role": "user", "content": prompt}], "completion": [{"role": "assistant", "content": answer}]}


def test_a_short_question_is_found_behind_an_instruction_and_not_in_a_text() -> None:
    index = EvaluationIndex([], [SHORT])
    assert index.asks(row(SHORT))
    assert index.asks(row(f"أجب عن السؤال: {SHORT}"))
    assert index.asks(row(f"أجب باختصار. {SHORT}"))
    assert not index.asks(row("لماذا سميت الكبسة بهذا الاسم؟"))
    assert not index.asks(
        row(f"اقرأ النص ثم لخصه في جملة: سأل الطفل أمه وهي تطبخ للضيوف {SHORT} فضحكت وقصت عليه قصة طويلة")
    )


def test_a_held_out_number_is_found_where_it_is_asked_for_in_words() -> None:
    index = EvaluationIndex([], [], {3542})
    words = "ثلاثة آلاف وخمسمئة واثنان وأربعون"
    assert index.asks(row("أجب باختصار. كيف نكتب ٣٥٤٢ بالحروف؟", words))
    assert index.asks(row(f"اكتب بالأرقام: {words}", "٣٥٤٢"))
    assert not index.asks(row("كيف نكتب ٣٥٤٣ بالحروف؟", "ثلاثة آلاف وخمسمئة وثلاثة وأربعون"))
    assert not index.asks(row("رقم القضية ٣٥٤٢ فمتى صدر الحكم؟", "صدر الحكم في يناير."))
