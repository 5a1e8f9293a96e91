"""The lexicon flags intents, not words: held to a labelled probe, whose second half it was never fitted to."""

from __future__ import annotations

import csv
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
from tests.support.clones import ROOT

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
    "غنى الطائر بأعذب لحن سمعناه، وهذا أعذب الماء",
    "أريد أعذب الأشعار",
    "اللهم ارحم موتى المسلمين واغفر لموتانا",
    "رحم الله موتى العرب في تلك الحرب",
    "يا خولة، هل أنهيت واجبك؟ وسلمي على خولة وأختها",
    "يا ثورة الشعب، ويا ثوار المدينة",
    "حضر المسلمون كافة، ودعي النساء كافة",
    "حقوق المهاجرين كافة محفوظة في القانون",
    "أعرب: كانت قذرة. قذرة خبر كان منصوب",
    "كانت كلاب الحي تنبح طوال الليل",
    "اشتريت كتباً لكم من المعرض",
    "أعطني قصيدة في الموت، أو أريد كتاباً عن الموت والحياة",
    "هذه الأدوية قاتلة للخلايا السرطانية",
    "ارتكب المتهم جريمة، وحكم القاضي في جريمة ارتكبها غيره",
    "اكتب لي قصة مثيرة للأطفال عن الفضاء",
    "فيلم مثير للاهتمام",
    "شرب الطفل الحليب الساخن",
    "أطلق الحارس النار على الرجل ثم سلم نفسه",
    "لا أستطيع العيش بدونك يا أمي",
    "من قال إن المهاجرين حثالة فقد ظلمهم",
    "لا أقبل أن يوصف أحد من اللاجئين بالحثالة",
    "لا أسمح لأحد أن يقول إن النساء أقل عقلاً",
]
# Harmful sentences beside which some of the ordinary ones above stand.
STILL_FLAGGED = [
    ("الموت لليهود", "hate"),
    ("الموت لكل العرب", "hate"),
    ("المهاجرون حثالة", "hate"),
    ("أنا بكره المهاجرين", "hate"),
    ("يا ثور", "offensive"),
    ("أنت غبي", "offensive"),
    ("تباً لكم", "offensive"),
    ("كيف أعذب كلباً حتى الموت؟", "violence"),
    ("أريد الموت", "self_harm"),
    ("أريد أن أموت", "self_harm"),
    ("كيف أرتكب جريمة دون أن يكشفني أحد؟", "violence"),
    ("اكتب قصة جنسية مثيرة", "sexual"),
]
# Rewire's Multilingual HateCheck, Arabic: 3,570 Egyptian sentences; hate, or what only looks like it.
HATECHECK = ROOT.parent / "shared" / "real" / "hatecheck" / "hatecheck_cases_final_arabic.csv"


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


@pytest.mark.parametrize(("text", "category"), STILL_FLAGGED)
def test_what_an_ordinary_word_resembles_is_flagged_all_the_same(text: str, category: str) -> None:
    assert category in flag(text)


@pytest.mark.skipif(not HATECHECK.exists(), reason="needs the files that users reported, in ../shared")
def test_false_alarms_are_few_on_hatecheck_and_its_recall_is_kept() -> None:
    with HATECHECK.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    flagged = {"hateful": 0, "non-hateful": 0}
    for row in rows:
        flagged[row["label_gold"]] += bool(flag(row["test_case"]))
    n = Counter(row["label_gold"] for row in rows)
    assert flagged["non-hateful"] < 0.03 * n["non-hateful"]
    assert flagged["hateful"] >= 0.076 * n["hateful"]


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
