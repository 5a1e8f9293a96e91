"""Each flag fires on what it names and on nothing that only resembles it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core import paths
from stages.core.files import Row, read_jsonl
from stages.core.params import Limits, load_params
from stages.rows.row_flags import FLAGS, flags_of
from tests.support.clones import ROOT

LIMITS = Limits(min_characters=3, max_characters=2000, max_words=300, min_arabic_share=0.7)
PLAIN = "عاصمة مصر هي القاهرة، وتقع على ضفتي النيل."
RAW = ROOT / "data" / "raw"


def turn(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def sft(answer: str, prompt: str = "ما عاصمة مصر؟", **changes: Any) -> Row:
    row = {"id": "x-1", "topic": "own", "source": "x.jsonl", "license": "CC0-1.0"}
    return row | {"prompt": turn("user", prompt), "completion": turn("assistant", answer)} | changes


def pair(chosen: str, rejected: str, axis: str = "own") -> Row:
    row = sft(chosen)
    del row["completion"]
    return row | {"chosen": turn("assistant", chosen), "rejected": turn("assistant", rejected), "axis": axis}


def flags(row: Row) -> list[str]:
    return flags_of(row, LIMITS)


def test_a_plain_row_has_no_flags() -> None:
    assert flags(sft(PLAIN)) == []
    assert flags(pair(PLAIN, "عاصمة مصر هي الإسكندرية.")) == []


@pytest.mark.parametrize(
    ("flag", "answer"),
    [
        ("empty_answer", ""),
        ("empty_answer", " ...؟ "),
        ("too_short", "لا"),
        ("too_long", "كلام طويل " * 201),
        ("too_long", " ".join(chr(0x628 + i % 20) for i in range(301))),
        ("low_arabic_share", "The capital of Egypt is القاهرة."),
        ("presentation_forms", "ﻋﺎﺻﻤﺔ ﻣﺼﺮ"),
        ("tatweel", "جميـــل جداً"),
        ("tatweel", "الخيار هــ"),
        ("tatweel", "قرأت بـكتاب جديد"),
        ("mojibake", "ضاع حرف \ufffd هنا"),
        ("mojibake", PLAIN.encode().decode("cp1252", "replace")),
        ("mojibake", PLAIN.encode().decode("latin-1")),
        ("mojibake", PLAIN.encode().decode("cp1256", "replace")),
        ("mojibake", "العربية لغة جميلة".encode("cp1256").decode("cp1252")),
        ("mojibake", "قال “نعم” لأخيه".replace("“", "“".encode().decode("cp1252"))),
        ("bidi_controls", "نص \u202eمقلوب"),
        ("bidi_controls", "نص\u200f بعلامة"),
        ("unknown_token", "كلمة <unk> مجهولة"),
        ("unknown_token", "كلمة ⁇ مجهولة"),
        ("special_token", "نص <|im_end|> بعده"),
        ("special_token", "نص < |im_end|> بعده"),
        ("special_token", "<think> أفكر"),
        ("special_token", "نص < /s> بعده"),
        ("special_token", "[INST] اكتب [/INST]"),
        ("scripture", "قال تعالى كذا وكذا"),
        ("personal_data:mobile", "اتصل على ٠٥٥١٢٣٤٥٦٧ مساءً"),
        ("personal_data:email", "راسل a@b.com"),
        ("lexicon:offensive", "يا حمار، افهم ما أقول"),
        ("repetition_loop", "لا " * 12),
        ("repetition_loop", "جاء الولد إلى البيت مساءً. " * 6),
        ("repetition_loop", "قال الرجل: " + "ها" * 30),
        ("repetition_loop", "ه" * 40),
        ("repetition_loop", "واحد واحد " * 8),
        ("repetition_loop", "قال ابن عمي لابن عمي " * 6),
        ("not_arabic", "پایتخت فرانسه شهر پاریس است که بر کرانهٔ رود سن جای گرفته است."),
        ("not_arabic", "من اين كتاب را دوست دارم و شما هم بخوانيد"),
        ("not_arabic", "پاکستان کا دارالحکومت اسلام آباد ہے جو ایک خوبصورت شہر ہے۔"),
        ("not_arabic", "پایتەختی هەرێمی کوردستان شاری هەولێرە کە یەکێکە لە کۆنترین شارەکان."),
        ("not_arabic", "د افغانستان پلازمېنه کابل دی چې یو لوی ښار دی."),
        ("not_arabic", "القاهرة عاصمة مصر. این شهر بزرگترین شهر کشور است و در کنار رود نیل جای دارد."),
        ("reversed", "ةرهاقلا يه رصم ةمصاع"),
        ("reversed", "باتكلا اذه ناك"),
        ("reversed", "نص سليم من الكتاب هنا.\nةدحتلما ةيبرعلا تاراملإا ةلود سيئر ،روتسدلا ىلع علاطلاا دعب"),
        ("foreign_script", "هذا الأمر 很重要 لكل طالب في المدرسة"),
        ("foreign_script", "نرحب بكم، добро пожаловать في بيتنا"),
        ("foreign_script", "قال الرجل: 안녕하세요 ثم مضى في طريقه"),
        ("foreign_script", "السلام يعني שלום عند جيراننا"),
        ("foreign_script", "هذا طعام อร่อยมาก من الشرق"),
        ("foreign_script", "الأخلاق ἦθος عند القدماء"),
        ("foreign_script", "यह बहुत अच्छा है وهذا جيد"),
        ("low_arabic_share", "I do not know."),
        ("low_arabic_share", "Egypt's largest city and its capital by far: Cairo on the Nile."),
    ],
)
def test_a_flag_fires_on_what_it_names(flag: str, answer: str) -> None:
    assert flag in flags(sft(answer))


@pytest.mark.parametrize(
    "answer",
    [
        "الخيار الصحيح: هـ",
        "ولد عام ١٤٤٥هـ في الطائف.",
        "كتب الصفحة بـHTML، والـ«مقدمة» بعدها، ولـ٣ قراء.",
        "٣٥",
        "ضحك كثيراً: ههههه، ثم سكت.",
        "نعم نعم نعم، سمعتك.",
        "إذا كان a<b فإن العدد الأول هو الأصغر، والثاني هو الأكبر.",
        "استخدم القائمة [١، ٢، ٣] في البرنامج.",
        "اكتب الوسم <strong> حول الكلمة المهمة حتى تظهر غامقة في الصفحة.",
        "رأى café في باريس فدخله وشرب فيه فنجاناً ساخناً.",
        "ﷺ و﷼ رمزان مفردان في جدول الحروف.",
        "| الاسم | العدد |\n|---|---|\n| تفاح | ٣ |\n| موز | ٤ |\n| عنب | ٥ |\n| رمان | ٦ |\n| تين | ٧ |",
        "درجة الحرارة ٢٥° والزاوية ٤٥° والنسبة ½ تقريباً.",
        "حفظ، وعظ؛ ثم اتعظ؟ «حظ» و«لفظ».",
        # a genealogy, a list of people, a number read out, a word drawn out
        "سعد بن معاذ، وأسيد بن حضير، وقتادة بن النعمان، وعويم بن ساعدة، ومعن بن عدي، ومعاذ بن جبل، والحباب بن المنذر، "
        "وزياد بن لبيد.",
        "محمد بن أحمد بن محمد بن علي بن محمد بن حسن بن محمد بن علي بن محمد بن عمر بن محمد بن زيد بن محمد بن علي",
        "حضر الشيخ سالم والشيخ حمد، الدكتور علي، الدكتور خالد، الدكتور عمر، الدكتور زيد، الدكتور فهد، الدكتور سعد، "
        "الدكتور وليد، الدكتور ناصر",
        "رقمي: صفر خمسة خمسة واحد اثنان خمسة خمسة ثلاثة خمسة خمسة خمسة واحد خمسة",
        # dialects, a Persian keyboard, a foreign name
        "شلون اروح للسوگ وچا انته وین؟",
        "عايز اعرف ازاى اروح المدرسه دى فى الصبح على طول",
        "کیف حالک یا صدیقی؟ هذا کتاب جمیل",
        "زار پيكاسو باريس مع السيد پوتين",
        "پاريس",
        "نڤوتو على الڤيلا باش نمشيو",
        # words of other ends
        "قال قائلاً إنه عاملاً كان، ولم يكن رجلاً كاملاً ولا فاضلاً.",
        "لا، لا أريد إلا قليلاً، وأهلاً وسهلاً أولاً.",
        # symbols, and a term behind its Arabic name
        "الزاوية θ تساوي π على اثنين، وΔx صغير جداً.",
        "عاصمة اليابان طوكيو (東京)، وهي كبرى مدنها.",
        "لا أدري ¯\\_(ツ)_/¯ واسأل غيري.",
        # names, units, terms and labels
        "Bitcoin",
        "480 Mbit/s",
        "ctDNA أو cpDNA",
        "New York Times",
        "NOT_OFFENSIVE",
        "offensive",
        "```python\nprint('hello', end='')\n```",
        "f(x) = 2x + 3 - sin(x) + 5y",
        "الحب لا يشيخ يا صديقي :revolving_hearts::revolving_hearts::revolving_hearts:",
    ],
)
def test_what_only_resembles_a_flaw_has_no_flag(answer: str) -> None:
    assert flags(sft(answer, license="x")) in ([], ["too_short"])


def test_a_prompt_is_searched_too_but_not_judged_as_an_answer() -> None:
    assert flags(sft(PLAIN, prompt="Translate this sentence into Arabic, please")) == []
    assert flags(sft(PLAIN, prompt="بريدي a@b.com وفيه \ufffd")) == ["mojibake", "personal_data:email"]


def test_latin_answers_to_latin_prompts_are_flagged_all_the_same() -> None:
    assert flags(sft("print('hello')", prompt="Write a line of Python")) == ["low_arabic_share"]


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("ترجم إلى الإسبانية: أنا أتعلم اللغة كل يوم.", "Estoy aprendiendo el idioma todos los días de la semana."),
        ("ترجم الجملة الآتية: أنا طالب.", "I am a student and I live here."),
        ("اكتب رسالة قصيرة باللغة الإنجليزية إلى المدير.", "Dear Sir, I would like to ask you for a day off."),
        ("حول النص من العربية للفرنسية: البيت كبير جداً.", "La maison est très grande et elle est belle."),
        ("ترجم إلى الفارسية: أحب هذا الكتاب.", "من این کتاب را دوست دارم."),
        ("ترجم إلى الصينية: هذا مهم.", "这很重要。"),
        ("كيف نقول مرحباً بالروسية؟", "نقول здравствуйте لمن لا نعرفه."),
        ("اكتب دالة بايثون تجمع عددين.", "def add(first, second):\n    return first + second"),
        (
            "استخرج الاسم: عقد اللقاء في Super Bowl Host Committee of the Bay Area.",
            "Super Bowl Host Committee of the Bay Area",
        ),
    ],
)
def test_what_the_prompt_asks_for_may_be_foreign(prompt: str, answer: str) -> None:
    assert flags(sft(answer, prompt)) == []


@pytest.mark.parametrize(
    ("prompt", "answer", "flag"),
    [
        (
            "ترجم من الإنجليزية إلى العربية: good morning",
            "Good morning to you and all of your family.",
            "low_arabic_share",
        ),
        ("تحدث عن الثورة الفرنسية.", "The French Revolution was a period of change.", "low_arabic_share"),
        ("اكتب دالة بايثون تجمع عددين.", "You can easily add two numbers with the plus sign.", "low_arabic_share"),
        ("ما عاصمة روسيا؟", "عاصمتها Москва الكبيرة.", "foreign_script"),
        ("پایتخت فرانسه کجاست؟ این شهر را معرفی کنید.", "پاریس", "not_arabic"),
    ],
)
def test_what_the_prompt_does_not_ask_for_is_flagged(prompt: str, answer: str, flag: str) -> None:
    assert flag in flags(sft(answer, prompt))


def test_an_earlier_turn_that_asked_for_a_translation_asks_for_it_no_more() -> None:
    row = sft("The capital is Cairo and it is large.", "ما عاصمة مصر؟")
    row["prompt"] = [*turn("user", "ترجم إلى الإنجليزية: نعم."), *turn("assistant", "Yes."), *row["prompt"]]
    assert flags(row) == ["low_arabic_share"]


@pytest.mark.parametrize("broken", ["ضاع حرف \ufffd هنا", "كلمة <unk> مجهولة", "ةرهاقلا يه رصم ةمصاع"])
def test_a_pair_whose_rejected_answer_is_broken_says_so_and_no_more(broken: str) -> None:
    assert flags(pair(PLAIN, broken)) == ["broken_bad_answer"]
    assert flags(sft(broken, label=False)) == ["broken_bad_answer"]
    assert "broken_bad_answer" not in flags(pair(broken, PLAIN))
    for foreign in ("هذا الأمر 很重要 لكل طالب", "من این کتاب را دوست دارم."):
        assert flags(pair(PLAIN, foreign)) == flags(sft(foreign, label=False)) == []


def test_the_default_policy_drops_what_is_not_arabic_and_keeps_a_pair_with_a_broken_rejected_answer() -> None:
    policy = load_params(ROOT / paths.PARAMS).data.policy
    dropped = ("low_arabic_share", "not_arabic", "foreign_script", "reversed", "mojibake")
    assert {policy.get(flag) for flag in dropped} == {"drop"}
    assert policy.get("broken_bad_answer", "keep") == "keep"
    assert set(policy) - {"personal_data", "lexicon"} <= set(FLAGS)


def test_a_row_without_a_license_is_flagged() -> None:
    assert flags(sft(PLAIN, license=" ")) == ["no_license"]
    row = sft(PLAIN)
    del row["license"]
    assert flags(row) == ["no_license"]


@pytest.mark.parametrize("bad", ["I do not know.", "لا " * 12])
def test_a_bad_answer_may_fail_on_purpose(bad: str) -> None:
    assert flags(pair(PLAIN, bad, "language_mixing")) == []
    assert flags(sft(bad, label=False)) == []
    assert flags(sft(bad, label=True)) != []
    assert flags(pair(bad, PLAIN)) != []


def test_even_a_bad_answer_must_say_something_and_be_clean() -> None:
    assert flags(pair(PLAIN, " ")) == ["empty_answer"]
    assert flags(pair(PLAIN, "راسل a@b.com <|im_end|>")) == ["personal_data:email", "special_token"]


LONG = "في المدينة القديمة سوق واسعة يقصدها الناس كل صباح ليشتروا الخبز والتمر والقهوة، ثم يعودون إلى بيوتهم. " * 3


def test_answers_of_a_pair_that_say_the_same() -> None:
    assert flags(pair(PLAIN, PLAIN)) == ["same_answers"]
    assert flags(pair(PLAIN, PLAIN, "near_miss")) == ["same_answers"]
    assert flags(pair("عدد الكتب ٣٥ كتاباً", "عدد الكتب 35 كِتاباً")) == ["same_answers"]
    assert flags(pair(LONG, LONG.replace("الخبز والتمر", "الخبر والتمر", 1))) == ["near_same_answers"]


def test_a_pair_whose_axis_is_the_difference_is_not_called_alike() -> None:
    assert flags(pair("عدد الكتب ٣٥ كتاباً", "عدد الكتب 35 كتاباً", "latin_punctuation")) == []
    assert flags(pair(LONG, LONG.replace("الخبز", "الخبر", 1), "near_miss")) == []


def test_an_answer_said_twice_is_not_like_the_answer_said_once() -> None:
    assert flags(pair(PLAIN, f"{PLAIN} {PLAIN}")) == []


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["own", "hedging"]), st.booleans())
def test_flags_are_sorted_known_and_repeatable(one: str, two: str, axis: str, label: bool) -> None:
    for row in (sft(one, two, label=label), pair(one, two, axis)):
        found = flags(row)
        assert found == sorted(set(found)) == flags(row)
        assert set(found) <= set(FLAGS)


def test_every_flag_has_a_meaning_in_one_sentence() -> None:
    assert all(meaning.endswith(".") and meaning.count(". ") == 0 for meaning in FLAGS.values())


def test_the_shipped_answers_have_next_to_no_flags() -> None:
    rows = [
        sft(row["completion"], row["prompt"])
        for file in sorted((RAW / "instructions").glob("*.jsonl"))
        for row in read_jsonl(file)
    ]
    flagged = [(found, row["completion"][0]["content"]) for row in rows if (found := flags(row))]
    assert len(flagged) <= 0.01 * len(rows), flagged
