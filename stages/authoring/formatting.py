"""Verifiable rows on form: a sentence or a list on a subject, under a constraint that a program checks.

The sentences are put together from a core and adverbials that may follow it or open it, so that each one is correct
Arabic and the wrong answers break the constraint alone. What decides is in `checks`, not a contained answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

from stages.arabic.normalise import folded
from stages.arabic.numbers import Noun, count
from stages.authoring.rows import SkillRow, Wording, make_row, mixed, pick_wrong, same, wordings
from stages.core.schema import Check

# A subject, a sentence on it, and three adverbials: each may be added, left out or put first.
SUBJECTS = (
    ("sun", "الشمس", "تضيء الشمس الأرض", "كل صباح", "بنورها الدافئ", "في هدوء عجيب"),
    ("sea", "البحر", "يهدأ البحر", "عند الفجر", "قرب الساحل الرملي", "بعد ليلة عاصفة"),
    ("rain", "المطر", "يسقي المطر الحقول", "في الشتاء", "بلا انقطاع", "بعد طول انتظار"),
    ("market", "السوق", "يمتلئ السوق بالناس", "كل خميس", "قبل الظهر", "رغم حرارة الجو"),
    ("library", "المكتبة", "يقرأ الطلاب في المكتبة", "كل مساء", "بهدوء تام", "من دون ملل"),
    ("bread", "الخبز", "يخبز الفران الخبز", "منذ الفجر", "على نار هادئة", "لأهل الحي جميعاً"),
    ("coffee", "القهوة", "تعد جدتي القهوة", "بعد العصر", "بحب كبير", "لضيوفها الكرام"),
    ("moon", "القمر", "يطل القمر", "من وراء التلال", "في الليالي الصافية", "مثل مصباح معلق"),
    ("palm", "النخلة", "تعلو النخلة", "بين البيوت القديمة", "منذ سنين طويلة", "في شموخ"),
    ("cat", "القطة", "تنام القطة", "فوق السطح", "تحت أشعة الشمس", "طوال النهار"),
    ("train", "القطار", "ينطلق القطار", "في موعده", "نحو الجنوب", "من المحطة الكبيرة"),
    ("friend", "الصديق", "يساعد الصديق صديقه", "وقت الشدة", "بكل إخلاص", "من غير تردد أو ملل"),
    ("teacher", "المعلم", "يشرح المعلم الدرس", "بصبر", "أمام تلاميذه", "في بداية كل حصة"),
    ("river", "النهر", "يجري النهر", "بين الجبال", "طوال العام", "في طريقه إلى البحر"),
    ("garden", "الحديقة", "تتفتح الأزهار في الحديقة", "كل ربيع", "بألوان زاهية", "بعد أول مطر"),
    ("winter", "الشتاء", "تجتمع الأسرة حول المدفأة", "في الشتاء", "كل ليلة", "مع أكواب الشاي الساخن"),
    ("desert", "الصحراء", "تسير القافلة في الصحراء", "ليلاً", "على ضوء النجوم", "بحثاً عن الماء"),
    ("doctor", "الطبيب", "يفحص الطبيب المريض", "بعناية", "في عيادته", "قبل أن يصف الدواء"),
    ("farmer", "الفلاح", "يحرث الفلاح أرضه", "قبل الشروق", "بهمة عالية", "مع ثوره الوفي"),
    ("bird", "الطيور", "تهاجر الطيور", "كل خريف", "في أسراب كبيرة", "نحو بلاد دافئة"),
    ("book", "الكتاب", "يفتح الكتاب عقولنا", "منذ الصغر", "على عوالم جديدة", "بصفحاته الكثيرة"),
    ("school", "المدرسة", "يدخل التلاميذ المدرسة", "مع الجرس", "في صفوف منظمة", "بوجوه باسمة"),
    ("mountain", "الجبل", "يغطي الثلج قمة الجبل", "في يناير", "بثوب أبيض", "لأسابيع كثيرة"),
    ("fisher", "الصياد", "يرمي الصياد شبكته", "عند الغروب", "من قاربه الصغير", "في صبر طويل"),
    ("honey", "العسل", "يصنع النحل العسل", "في الخلية", "من رحيق الأزهار", "بنظام دقيق"),
    ("olive", "الزيتون", "يقطف الأولاد الزيتون", "في الخريف", "مع آبائهم", "بأيد ماهرة وقلوب فرحة"),
    ("tea", "الشاي", "نشرب الشاي", "بالنعناع", "بعد الغداء", "في شرفة البيت الواسعة"),
    ("bus", "الحافلة", "تقف الحافلة", "أمام المستشفى", "كل نصف ساعة", "لدقائق قليلة"),
    ("wind", "الريح", "تحرك الريح الأغصان", "برفق", "في المساء", "فوق سور الحديقة العالي"),
    ("poet", "الشاعر", "يلقي الشاعر قصيدته", "بصوت عذب", "أمام الجمهور", "في المهرجان السنوي"),
    ("child", "الطفل", "يضحك الطفل", "في حضن أمه", "بلا سبب", "كلما رأى فراشة"),
    ("camel", "الجمل", "يحمل الجمل المتاع", "عبر الرمال", "لأيام طويلة", "من غير تعب"),
    ("ship", "السفينة", "ترسو السفينة", "في الميناء", "بعد رحلة طويلة", "لتفريغ حمولتها"),
    ("neighbour", "الجار", "يزور الجار جاره", "في العيد", "بعد صلاة العصر", "حاملاً طبق حلوى"),
    ("football", "كرة القدم", "يلعب الأولاد الكرة", "في الشارع", "حتى المغيب", "بحماسة شديدة كل يوم"),
    ("carpenter", "النجار", "يصنع النجار الأبواب", "من خشب الجوز", "في ورشته", "بدقة يعرفها الجميع"),
    ("star", "النجوم", "تلمع النجوم", "فوق القرية", "كل ليلة صافية", "كأنها لآلئ"),
    ("kitchen", "المطبخ", "تفوح رائحة الطعام من المطبخ", "ظهراً", "قبل الغداء", "في أرجاء الدار كلها"),
    ("letter", "الرسالة", "وصلت الرسالة", "أمس", "من مدينة بعيدة", "بعد غياب استمر شهراً"),
    ("museum", "المتحف", "يعرض المتحف آثاراً نادرة", "مجاناً", "في قاعاته الجديدة", "طوال أيام الأسبوع"),
    ("water", "الماء", "نحفظ الماء", "في بيوتنا", "من الهدر", "حرصاً على الغد"),
    ("phone", "الهاتف", "يرن الهاتف", "في المكتب", "منذ الصباح", "بإلحاح شديد"),
    ("race", "السباق", "يبدأ السباق", "غداً", "عند بوابة الملعب", "في السابعة صباحاً"),
    ("tailor", "الخياط", "يخيط الخياط الثوب", "بإبرة رفيعة", "خلال يومين", "وفق قياس الزبون"),
    ("spring", "الربيع", "تخضر الأرض", "في الربيع", "بعد برد طويل", "من جديد"),
)

# What a list may be asked of, and what may stand in it.
CATEGORIES = (
    ("fruits", "الفواكه", "تفاح|موز|برتقال|عنب|رمان|تين|مشمش"),
    ("vegetables", "الخضراوات", "خيار|جزر|باذنجان|كوسا|فلفل|سبانخ|قرنبيط"),
    ("colours", "الألوان", "أحمر|أزرق|أخضر|أصفر|بنفسجي|رمادي|بني"),
    ("animals", "حيوانات المزرعة", "بقرة|خروف|ماعز|دجاجة|حمار|أرنب|بطة"),
    ("wild", "الحيوانات البرية", "أسد|نمر|ذئب|ثعلب|فيل|زرافة|ضبع"),
    ("birds", "الطيور", "صقر|حمامة|عصفور|هدهد|بومة|نورس|لقلق"),
    ("jobs", "المهن", "طبيب|نجار|معلم|خباز|مهندس|حداد|خياط"),
    ("kitchen", "أدوات المطبخ", "ملعقة|سكين|قدر|مقلاة|مصفاة|مغرفة|طبق"),
    ("school", "أدوات المدرسة", "قلم|دفتر|مسطرة|ممحاة|حقيبة|مبراة|كتاب"),
    ("furniture", "أثاث البيت", "سرير|كرسي|طاولة|خزانة|أريكة|مكتب|رف"),
    ("clothes", "الملابس", "قميص|سروال|معطف|جورب|قبعة|ثوب|وشاح"),
    ("transport", "وسائل النقل", "سيارة|قطار|طائرة|سفينة|دراجة|حافلة|قارب"),
    ("sports", "الرياضات", "السباحة|الجري|المصارعة|الرماية|الفروسية|الجمباز|التنس"),
    ("flowers", "الأزهار", "ياسمين|نرجس|قرنفل|زنبق|بنفسج|أقحوان|فل"),
    ("trees", "الأشجار", "نخلة|زيتونة|سنديان|صنوبر|أرز|سرو|صفصاف"),
    ("spices", "التوابل", "كمون|كركم|قرفة|زنجبيل|هيل|كزبرة|زعفران"),
    ("drinks", "المشروبات", "شاي|قهوة|عصير ليمون|حليب|كركديه|سحلب|تمر هندي"),
    ("weather", "ظواهر الطقس", "مطر|ثلج|ضباب|برق|رعد|ريح|صقيع"),
    ("body", "أعضاء الجسم", "رأس|يد|قدم|عين|أذن|كتف|ركبة"),
    ("tools", "أدوات النجار", "مطرقة|منشار|مسمار|مبرد|مثقاب|إزميل|كماشة"),
    ("months", "أشهر السنة الميلادية", "يناير|مارس|أبريل|يونيو|أغسطس|أكتوبر|ديسمبر"),
    ("days", "أيام الأسبوع", "الأحد|الاثنين|الثلاثاء|الأربعاء|الخميس|الجمعة|السبت"),
    ("music", "الآلات الموسيقية", "عود|ناي|قانون|ربابة|دف|كمان|طبل"),
    ("metals", "المعادن", "حديد|نحاس|ذهب|فضة|رصاص|قصدير|ألمنيوم"),
    ("planets", "كواكب المجموعة الشمسية", "عطارد|الزهرة|الأرض|المريخ|المشتري|زحل|نبتون"),
    ("family", "أفراد الأسرة", "أب|أم|أخ|أخت|جد|جدة|عم"),
    ("insects", "الحشرات", "نحلة|نملة|فراشة|ذبابة|بعوضة|جرادة|خنفساء"),
    ("sea", "حيوانات البحر", "سمكة|حوت|دلفين|سلطعون|أخطبوط|قرش|حبار"),
    ("rooms", "غرف البيت", "مطبخ|حمام|غرفة نوم|غرفة جلوس|مكتب|غرفة طعام|مخزن"),
    ("virtues", "الأخلاق الحسنة", "الصدق|الأمانة|الكرم|الوفاء|التواضع|الصبر|الشجاعة"),
)
# Letters that no other spelling shares; alef, hamza, waw, ya and the like are folded into one another.
LETTERS = "بتثجحخدذرزسشصضطظعغفقكلمن"

EXACT = wordings(
    "exact",
    "{answer}",
    {
        "write": "اكتب جملة عن {subject} تتألف من {words} بالضبط.",
        "make": "كون جملة موضوعها {subject} وعدد كلماتها {digits} لا أكثر ولا أقل.",
        "give": "أعطني جملة واحدة عن {subject} فيها {nominative} تماماً.",
        "count": "أريد جملة عن {subject}، على أن أعد فيها {words} بلا زيادة ولا نقصان.",
    },
    "صف {subject} لي في جملة طولها {nominative} تحديداً.",
)
MOST = wordings(
    "most",
    "{answer}",
    {
        "write": "اكتب جملة عن {subject} لا تزيد على {words}.",
        "most": "كون جملة موضوعها {subject}، عدد كلماتها {digits} على الأكثر.",
        "brief": "تحدث بإيجاز عن {subject} في جملة لا تتجاوز {words}.",
        "limit": "الحد الأقصى {nominative}: اكتب جملة عن {subject}.",
    },
    "أحتاج إلى تعليق قصير عن {subject} لا يتعدى {words}.",
)
START = wordings(
    "start",
    "{answer}",
    {
        "write": "اكتب جملة عن {subject} تبدأ بكلمة «{value}».",
        "first": "كون جملة موضوعها {subject} أول كلمة فيها «{value}».",
        "open": "افتتح بكلمة «{value}» جملة عن {subject}.",
        "with": "ابدأ بكلمة «{value}» واكتب جملة عن {subject}.",
    },
    "أكمل هذه البداية لتصير جملة عن {subject}: «{value} ...». اكتب الجملة كلها.",
)
END = wordings(
    "end",
    "{answer}",
    {
        "write": "اكتب جملة عن {subject} تنتهي بكلمة «{value}».",
        "last": "كون جملة موضوعها {subject} آخر كلمة فيها «{value}».",
        "close": "اختم بكلمة «{value}» جملة عن {subject}.",
        "rhyme": "أريد جملة عن {subject} تكون خاتمتها كلمة «{value}».",
    },
    "لدي كلمة «{value}» وأريدها في نهاية جملة عن {subject}، فاكتبها لي.",
)
WITHOUT = wordings(
    "without",
    "{answer}",
    {
        "write": "اكتب جملة عن {subject} لا ترد فيها كلمة «{value}».",
        "avoid": "كون جملة موضوعها {subject} وتجنب كلمة «{value}».",
        "never": "صف {subject} في جملة من غير أن تستعمل كلمة «{value}».",
        "forbidden": "كلمة «{value}» ممنوعة: اكتب جملة عن {subject}.",
    },
    "هات جملة عن {subject} خالية من كلمة «{value}».",
)
NO_LETTER = wordings(
    "letter",
    "{answer}",
    {
        "write": "اكتب جملة عن {subject} ليس فيها حرف «{value}».",
        "avoid": "كون جملة عن {subject} وتجنب حرف «{value}» في كل كلماتها.",
        "free": "أريد جملة تخلو من حرف «{value}» وموضوعها {subject}.",
        "forbidden": "حرف «{value}» ممنوع: اكتب جملة عن {subject}.",
    },
    "تعطل مفتاح الحرف «{value}» في لوحتي، فاكتب لي جملة عن {subject} لا أحتاج فيها إليه.",
)
WITH = wordings(
    "with",
    "{answer}",
    {
        "write": "اكتب جملة عن {subject} فيها كلمة «{value}» وكلمة «{second}».",
        "use": "استعمل كلمتي «{value}» و«{second}» في جملة عن {subject}.",
        "join": "اجمع بين كلمة «{value}» وكلمة «{second}» في جملة موضوعها {subject}.",
        "must": "كون جملة عن {subject}، ولا بد أن ترد فيها كلمتا «{value}» و«{second}».",
    },
    "عندي كلمتان هما «{value}» و«{second}»، فضعهما في جملة عن {subject}.",
)
ITEMS = wordings(
    "items",
    "{answer}",
    {
        "list": "اكتب قائمة من {words} في موضوع {subject}، وافصل بينها بالفاصلة «،» من غير أي كلام آخر.",
        "mention": "اذكر {words} من {subject} لا أكثر، وضع بين كل اثنين الفاصلة «،».",
        "line": "اسرد في سطر واحد من {subject} {words} تفصل بينها الفاصلة «،» فقط.",
        "only": "أجب بقائمة فيها {nominative} من {subject}، ولا تستعمل بينها إلا الفاصلة «،».",
    },
    "أملأ جدولاً وأحتاج إلى {words} من {subject} تفصلها الفاصلة «،»، فاكتبها دون مقدمة.",
)

WORD = Noun("كلمة", "كلمات", "f")
ITEM = Noun("عنصر", "عناصر")


@dataclass(frozen=True)
class Case:
    """A constraint in one place: what the prompt says, the checks, a text that keeps it and texts that break it."""

    fields: dict[str, str]
    checks: list[Check]
    answer: str
    broken: list[str]


def formatting() -> list[SkillRow]:
    """220 rows in eight kinds of constraint."""
    rng = Random("skills/formatting")
    plan = (
        (EXACT, 45, _exact),
        (MOST, 30, _most),
        (START, 30, _start),
        (END, 30, _end),
        (WITHOUT, 25, _without),
        (NO_LETTER, 20, _no_letter),
        (WITH, 10, _with),
    )
    rows: list[SkillRow] = []
    for kind, size, make in plan:
        subjects = sorted(rng.sample(range(len(SUBJECTS)), size))
        for i, wording in zip(subjects, mixed(rng, kind, size, short=False), strict=True):
            key, subject, core, *added = SUBJECTS[i]
            rows.append(_row(key, wording, make(rng, core, added), {"subject": subject}))
    for (key, category, listed), wording in zip(
        CATEGORIES, mixed(rng, ITEMS, len(CATEGORIES), short=False), strict=True
    ):
        rows.append(_row(key, wording, _items(rng, listed.split("|")), {"subject": category}))
    return rows


def _row(key: str, wording: Wording, case: Case, fields: dict[str, str]) -> SkillRow:
    kind = wording.name.split("-")[0]
    row = make_row(
        id=f"skill-formatting-{kind}-{key}",
        task="formatting",
        entities=[f"formatting:{kind}-{key}"],
        level="easy" if kind in ("start", "end", "with", "without") else "hard",
        wording=wording,
        fields=fields | case.fields,
        answer=f"{case.answer}.",
        wrong=[f"{text}." for text in pick_wrong(case.answer, case.broken, same)],
        alike=same,
    )
    row["checks"] = case.checks
    return row


def sentences_on(core: str, added: Sequence[str]) -> list[str]:
    """The core with any of its adverbials behind it, and with one of them in front."""
    behind = [" ".join([core, *some]) for size in range(4) for some in combinations(added, size)]
    fronted = [
        " ".join([first, core, *some])
        for first in added
        for size in range(3)
        for some in combinations([other for other in added if other != first], size)
    ]
    return behind + fronted


def _shuffled(rng: Random, texts: Sequence[str]) -> list[str]:
    return rng.sample(list(texts), len(texts))


def _divided(rng: Random, texts: Sequence[str], keeps: Callable[[list[str]], bool]) -> tuple[str, list[str]]:
    """A random text whose words keep the constraint, and all that break it, in random order."""
    kept = [text for text in texts if keeps(folded(text).split())]
    broken = [text for text in texts if not keeps(folded(text).split())]
    return rng.choice(kept), _shuffled(rng, broken)


def _length_fields(n: int, noun: Noun) -> dict[str, str]:
    nominative, oblique = count(n, noun), count(n, noun, "oblique")
    return {"words": oblique, "nominative": nominative, "digits": count(n, noun)}


def _exact(rng: Random, core: str, added: Sequence[str]) -> Case:
    texts = sentences_on(core, added)
    n = len(rng.choice(texts).split())
    answer, broken = _divided(rng, texts, lambda words: len(words) == n)
    return Case(_length_fields(n, WORD), [Check(name="exact_words", value=str(n))], answer, broken)


def _most(rng: Random, core: str, added: Sequence[str]) -> Case:
    texts = sentences_on(core, added)
    n = len(rng.choice(texts[:4]).split())  # the core, or the core with one adverbial
    answer, broken = _divided(rng, texts, lambda words: len(words) <= n)
    return Case(_length_fields(n, WORD), [Check(name="max_words", value=str(n))], answer, broken)


def _start(rng: Random, core: str, added: Sequence[str]) -> Case:
    texts = sentences_on(core, added)
    value = rng.choice([core, *added]).split()[0]
    answer, broken = _divided(rng, texts, lambda words: words[0] == folded(value))
    return Case({"value": value}, [Check(name="starts_with", value=value)], answer, broken)


def _end(rng: Random, core: str, added: Sequence[str]) -> Case:
    texts = sentences_on(core, added)
    value = rng.choice([core, *added]).split()[-1]
    answer, broken = _divided(rng, texts, lambda words: words[-1] == folded(value))
    return Case({"value": value}, [Check(name="ends_with", value=value)], answer, broken)


def _without(rng: Random, core: str, added: Sequence[str]) -> Case:
    texts = sentences_on(core, added)[1:]
    value = rng.choice(added).split()[-1]
    answer, broken = _divided(rng, texts, lambda words: folded(value) not in words)
    return Case({"value": value}, [Check(name="not_contains", value=value)], answer, broken)


def _no_letter(rng: Random, core: str, added: Sequence[str]) -> Case:
    texts = sentences_on(core, added)[1:]
    for letter in _shuffled(rng, LETTERS):
        kept = [text for text in texts if letter not in text]
        if kept and len(texts) - len(kept) >= 3:
            broken = _shuffled(rng, [text for text in texts if letter in text])
            return Case({"value": letter}, [Check(name="not_contains", value=letter)], rng.choice(kept), broken)
    raise ValueError(f"no letter parts the sentences on «{core}»")


def _with(rng: Random, core: str, added: Sequence[str]) -> Case:
    value, second = (phrase.split()[-1] for phrase in rng.sample(list(added), 2))
    wanted = {folded(value), folded(second)}
    answer, broken = _divided(rng, sentences_on(core, added), lambda words: wanted <= set(words))
    checks = [Check(name="contains", value=word) for word in (value, second)]
    return Case({"value": value, "second": second}, checks, answer, broken)


def _items(rng: Random, listed: list[str]) -> Case:
    """So many items; wrong are one too few, one too many, and the right number without the separator."""
    n = rng.randrange(3, 7)
    chosen = rng.sample(listed, n + 1)
    broken = ["، ".join(chosen[: n - 1]), "، ".join(chosen), " و".join(chosen[:n])]
    fields = _length_fields(n, ITEM)
    return Case(fields, [Check(name="items", value=str(n))], "، ".join(chosen[:n]), broken)
