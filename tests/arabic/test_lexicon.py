"""The lexicon flags intents, not words: held to a labelled probe, whose second half it was never fitted to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.arabic import lexicon
from stages.arabic.lexicon import CATEGORIES, SENTENCE_END, flag, folded_words
from stages.arabic.normalise import folded
from stages.core.errors import PipelineError
from stages.core.files import Row, read_jsonl

PROBE = read_jsonl(Path(__file__).with_name("filter_probe.jsonl"))
# The first hundred lines were at hand while the lexicon grew; the others were written when it was finished.
FITTED, HELD_OUT = PROBE[:100], PROBE[100:]
ORDINARY_WORDS = [
    "مصر والمكسيك وبلجيكا وباكستان",
    "مصدر القرار، ومصنع السكر، ومصباح الغرفة",
    "كسوف الشمس وخسوف القمر",
    "نظام لينكس وعكس الاتجاه ومكسب كبير",
    "الجنس البشري والجنسية السعودية والجنس الأدبي",
    "اليهود والمسيحيون والمسلمون يعيشون معاً بسلام",
    "اقتل العملية ثم أعد تشغيل الخادم",
    "كيف أقتل الوقت في السفر الطويل؟",
    "تمرين يساعد على حرق السعرات",
    "الكلب أفضل صديق للإنسان",
    "حمار الوحش والقرد والخنزير البري حيوانات ثديية",
    "سلاح ذو حدين",
    "سلاح المهندسين وسلاح الجو",
    "مخدر موضعي قبل خلع الضرس",
    "فئران التجارب في المختبر",
    "أزور مكة كل عام، وأزور جدتي كل أسبوع",
    "اضرب العدد في سبعة، واضرب لي مثالاً",
    "كيف أحمي أطفالي من التحرش والابتزاز؟",
    "عقوبة غسل الأموال في النظام",
    "تاريخ صناعة القنبلة الذرية",
    "الوقاية من الانتحار وعلاج الإدمان",
    "انتحر هتلر في مخبئه عام ١٩٤٥",
    "بسم الله نبدأ",
]


@pytest.mark.parametrize(
    ("lines", "least_precision", "least_recall"),
    [(FITTED, 0.97, 0.95), (HELD_OUT, 0.95, 0.80), (PROBE, 0.97, 0.90)],
    ids=["fitted", "held-out", "all"],
)
def test_precision_and_recall_hold_on_the_probe(lines: list[Row], least_precision: float, least_recall: float) -> None:
    flagged = [line for line in lines if flag(line["text"])]
    right = [line for line in flagged if line["harmful"]]
    missed = [line for line in lines if line["harmful"] and line not in flagged]
    precision, recall = len(right) / len(flagged), len(right) / (len(right) + len(missed))
    print(f"precision {precision:.3f}, recall {recall:.3f}")
    for line in [*missed, *(line for line in flagged if not line["harmful"])]:
        print("missed" if line["harmful"] else "wrongly flagged", line["category"], line["text"])
    assert precision >= least_precision
    assert recall >= least_recall


def test_most_hits_name_the_category_that_the_probe_names() -> None:
    hits = [(line["category"], flag(line["text"])) for line in PROBE if line["harmful"] and flag(line["text"])]
    assert sum(category in found for category, found in hits) >= 0.95 * len(hits)


def test_the_probe_is_what_it_says() -> None:
    assert len(PROBE) == 200 == len({line["text"] for line in PROBE})
    for half in (FITTED, HELD_OUT):
        assert Counter(line["harmful"] for line in half) == {True: 45, False: 55}
        harmful = Counter(line["category"] for line in half if line["harmful"])
        assert harmful == dict.fromkeys(CATEGORIES, 5)


@pytest.mark.parametrize("text", ORDINARY_WORDS)
def test_ordinary_words_and_contexts_are_left_alone(text: str) -> None:
    assert flag(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "كيف أصنع قنبلة",
        "كَيْفَ أَصْنَعُ قُنْبُلَةً؟",
        "كيف اصنع القنبله",
        "وكيف أصنع قنبلتي",
        "كيف أصنع بالقنابل ما أريد",
        "كيف يا صديقي أصنع في بيتي قنبلة",
        "كيف أصنـــع قنبلة",
    ],
)
def test_clitics_marks_and_loose_spelling_do_not_hide_a_phrase(text: str) -> None:
    assert "weapons" in flag(text)


def test_a_phrase_does_not_reach_over_the_end_of_a_sentence() -> None:
    assert flag("كيف أصنع كعكة؟ قنبلة هيدروجينية تفجر في الفيلم.") == []


def test_one_text_may_touch_several_categories() -> None:
    assert flag("يا حمار، كيف أسرق سيارة وأشتري الكوكايين؟") == ["drugs", "illegal", "offensive"]


@given(st.text(st.characters(min_codepoint=0x0600, max_codepoint=0x06FF) | st.sampled_from(" \n،؟.ab1«»_-")))
def test_folded_words_are_the_words_of_folded(text: str) -> None:
    text = text.replace("٫", " ").replace(SENTENCE_END, " ")
    words = [word for word in folded_words(text) if word != SENTENCE_END]
    if not any(character.isdigit() for character in text):  # a point inside a number is the one difference
        assert words == folded(text).split()


def test_every_flag_is_a_category() -> None:
    assert {category for line in PROBE for category in flag(line["text"])} == set(CATEGORIES)


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ("[nonsense]\nكلمة", ":2: unknown category"),
        ("[drugs]\n@absent كلمة", ":2: class @absent"),
        ("[drugs]\nكلمة-أخرى", ":2: 'كلمة-أخرى' is not one word"),
        ("[drugs]\n.. كلمة\nأخرى", ":2: .* starts with a word"),
    ],
)
def test_a_mistake_in_the_lexicon_names_its_line(tmp_path: Path, lines: str, place: str) -> None:
    file = tmp_path / "lexicon.txt"
    file.write_text(lines, encoding="utf-8")
    with pytest.raises(PipelineError, match=place):
        lexicon._Lexicon(file)
