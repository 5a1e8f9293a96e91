"""Verifiable rows on agreement: nationalities, professions, adjectives, verbs with their subject, counted nouns.

Every form stands in a table here or follows from a rule without exceptions in it; nouns and adjectives whose form
grammarians dispute are left out. Wrong answers are other forms of the same word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random

from stages.arabic.numbers import Noun, count, to_arabic_digits
from stages.authoring.rows import SkillRow, make_row, mixed, pick_wrong, wordings, words_overlap

# Countries whose demonym takes the sound plural: سعوديون، not أتراك or هنود.
SOUND_PLURAL = (
    "SA AE BH DZ EG IQ JO KW LB LY MA MR OM PS QA SD SY TN YE FR IT CN JP IR PK BR AR MX CA CH SE NO NL BE PT MY ID "
    "SN NG KE PL HU UA AT AU CL CO FI GR IE CU ET GH TZ TH"
)
SUBJECTS = {
    "ms": "هو",
    "fs": "هي",
    "md": "هذان الرجلان",
    "fd": "هاتان المرأتان",
    "mp": "هم",
    "fp": "هن",
}

PERSON = wordings(
    "person",
    "{given_subject} {given}، و{subject} {answer}.",
    {
        "complete": "أكمل بالصيغة المناسبة: {given_subject} {given}، و{subject} ...",
        "after": "نقول: «{given_subject} {given}». فماذا نقول بعد «{subject}» بالمعنى نفسه؟",
        "turn": "إذا قلنا: «{given_subject} {given}»، فما صيغة الخبر نفسه مع «{subject}»؟",
        "blank": "املأ الفراغ بما يوافق المبتدأ: {given_subject} {given}، وكذلك {subject} ...",
    },
    "كتب تلميذ: «{given_subject} {given}، و{subject} ...». بأي كلمة يتم الجملة لتوافق ما قبلها؟",
)
ADJECTIVE = wordings(
    "adjective",
    "{before}{answer}{after}.",
    {
        "complete": "أكمل الجملة بصيغة توافق الموصوف من الصفة «{base}»: «{blank}».",
        "put": "ضع الصفة «{base}» في صورتها الصحيحة مكان النقاط: «{blank}».",
        "form": "ما الصورة الصحيحة للصفة «{base}» في الجملة الآتية: «{blank}»؟",
        "choose": "املأ الفراغ بالصفة «{base}» بعد مطابقتها لما تصفه: «{blank}».",
    },
    "أراجع مسودة فيها «{blank}» وأريد أن أصف بكلمة «{base}»، فكيف أكتبها؟",
)
VERB = wordings(
    "verb",
    "{before}{answer}{after}.",
    {
        "complete": "أكمل بالفعل «{present}» في الزمن الماضي: «{blank}».",
        "put": "ضع الفعل «{present}» في صيغة الماضي التي توافق الفاعل: «{blank}».",
        "form": "ما الصيغة الصحيحة للفعل «{present}» في الماضي في هذه الجملة: «{blank}»؟",
        "choose": "املأ الفراغ بماضي الفعل «{present}» كما يقتضيه موضعه: «{blank}».",
    },
    "أصوغ خبراً عما حدث أمس، نصه «{blank}» وفعله «{present}»، فكيف أكتب الفعل؟",
)
COUNTED = wordings(
    "counted",
    "الصواب: {place} {answer}.",
    {
        "complete": "أكمل بالعدد {digits} مكتوباً بالحروف مع معدوده «{noun}»: {place} ...",
        "write": "اكتب بالحروف العدد {digits} وبعده الاسم «{noun}» في صيغته الصحيحة: {place} ...",
        "put": "ضع مكان النقاط العدد {digits} بالحروف متبوعاً بتمييزه من كلمة «{noun}»: {place} ...",
        "form": "كيف يكتب بالحروف العدد {digits} مع كلمة «{noun}» في قولنا: {place} ...؟",
    },
    "أريد أن أبلغ زميلي بالعدد {digits} كتابة لا رقماً، والمعدود «{noun}»، فبم أكمل: {place} ...؟",
)


def _forms(masculine: str, plural: str | None = None, feminine: str | None = None) -> dict[str, str]:
    """The six nominative forms; the plural is sound unless given."""
    feminine = feminine or masculine + "ة"
    stem = feminine.removesuffix("ة")
    return {
        "ms": masculine,
        "fs": feminine,
        "md": masculine + "ان",
        "fd": stem + "تان",
        "mp": plural or masculine + "ون",
        "fp": stem + "ات",
    }


PROFESSIONS = {
    "doctor": _forms("طبيب", "أطباء"),
    "teacher": _forms("معلم"),
    "engineer": _forms("مهندس"),
    "writer": _forms("كاتب", "كتاب"),
    "student": _forms("طالب", "طلاب"),
    "worker": _forms("عامل", "عمال"),
    "farmer": _forms("مزارع"),
    "nurse": _forms("ممرض"),
    "journalist": _forms("صحفي"),
    "poet": _forms("شاعر", "شعراء"),
    "trader": _forms("تاجر", "تجار"),
    "painter": _forms("رسام"),
    "baker": _forms("خباز"),
    "translator": _forms("مترجم"),
    "employee": _forms("موظف"),
    "researcher": _forms("باحث"),
    "player": _forms("لاعب"),
    "manager": _forms("مدير"),
    "guard": _forms("حارس", "حراس"),
    "driver": _forms("سائق"),
    "cook": _forms("طباخ"),
    "announcer": _forms("مذيع"),
    "tailor": _forms("خياط"),
    "scientist": _forms("عالم", "علماء"),
    "surgeon": _forms("جراح"),
    "actor": _forms("ممثل"),
    "photographer": _forms("مصور"),
    "accountant": _forms("محاسب"),
    "programmer": _forms("مبرمج"),
    "ambassador": _forms("سفير", "سفراء"),
    "minister": _forms("وزير", "وزراء"),
    "director": _forms("مخرج"),
    "swimmer": _forms("سباح"),
    "lawyer": {"ms": "محام", "fs": "محامية", "md": "محاميان", "fd": "محاميتان", "mp": "محامون", "fp": "محاميات"},
}

# A sentence whose noun is in the nominative, the base of the adjective, and the form that the noun asks for. A plural
# of things or animals takes the feminine singular.
DESCRIBED = (
    ("في مكتبتنا كتب ...", "مفيد", "fs"),
    ("على الرف أقلام ...", "ملون", "fs"),
    ("في المدينة شوارع ...", "واسع", "fs"),
    ("حول القرية جبال ...", "مرتفع", "fs"),
    ("في السماء نجوم ...", "لامع", "fs"),
    ("على الشاطئ بيوت ...", "صغير", "fs"),
    ("في الميناء سفن ...", "قديم", "fs"),
    ("للمدرسة أبواب ...", "عريض", "fs"),
    ("تجري في الوادي أنهار ...", "عميق", "fs"),
    ("في الحديقة أشجار ...", "مثمر", "fs"),
    ("تمر بالحي حافلات ...", "مزدحم", "fs"),
    ("عند جدتي دجاجات ...", "سمين", "fs"),
    ("في المتحف لوحات ...", "نادر", "fs"),
    ("وصلت إلي رسائل ...", "طويل", "fs"),
    ("في الصندوق مفاتيح ...", "صدئ", "fs"),
    ("تهب من الشمال رياح ...", "بارد", "fs"),
    ("في الإسطبل خيول ...", "أصيل", "fs"),
    ("على المائدة أطباق ...", "شهي", "fs"),
    ("صدرت أمس قرارات ...", "مهم", "fs"),
    ("لهذه القصة فصول ...", "ممتع", "fs"),
    ("في الغابة حيوانات ...", "مفترس", "fs"),
    ("هذه أفكار ...", "جديد", "fs"),
    ("أمام الفندق سيارة ...", "سريع", "fs"),
    ("في آخر الممر غرفة ...", "مظلم", "fs"),
    ("للبيت نافذة ...", "مفتوح", "fs"),
    ("هبت على الساحل عاصفة ...", "شديد", "fs"),
    ("في يدي رسالتان ...", "قصير", "fd"),
    ("في الساحة شجرتان ...", "يابس", "fd"),
    ("عندنا سيارتان ...", "حديث", "fd"),
    ("في القاعة طاولتان ...", "مستدير", "fd"),
    ("على الجدار ساعتان ...", "معطل", "fd"),
    ("في المسابقة فكرتان ...", "مبتكر", "fd"),
    ("ظهرت في السماء غيمتان ...", "كبير", "fd"),
    ("في البستان بئران ...", "قديم", "fd"),
    ("في الحي مسجدان ...", "واسع", "md"),
    ("على المكتب هاتفان ...", "ثقيل", "md"),
    ("يربط الضفتين جسران ...", "متين", "md"),
    ("في المعرض تمثالان ...", "رخامي", "md"),
    ("في الحقيبة قميصان ...", "نظيف", "md"),
    ("للمعلم سؤالان ...", "صعب", "md"),
    ("عند الباب كلبان ...", "أليف", "md"),
    ("بيننا جاران ...", "متعاون", "md"),
    ("في فريقنا لاعبون ...", "ماهر", "mp"),
    ("في المصنع مهندسون ...", "مجتهد", "mp"),
    ("شارك في الحملة متطوعون ...", "نشيط", "mp"),
    ("يعمل هنا موظفون ...", "مخلص", "mp"),
    ("في الورشة نجارون ...", "متقن", "mp"),
    ("في الفصل طلاب ...", "متفوق", "mp"),
    ("دافع عن المدينة رجال ...", "صامد", "mp"),
    ("في المستشفى أطباء ...", "متمرس", "mp"),
    ("في المخبز عمال ...", "صابر", "mp"),
    ("في المدرسة معلمات ...", "مخلص", "fp"),
    ("في الندوة كاتبات ...", "معروف", "fp"),
    ("فازت بالجوائز طالبات ...", "متفوق", "fp"),
    ("في القسم ممرضات ...", "متعاون", "fp"),
    ("تشرف على البحث عالمات ...", "متميز", "fp"),
    ("في المنتخب لاعبات ...", "ماهر", "fp"),
    ("في القرية أمهات ...", "صابر", "fp"),
    ("استقبلتنا في المطار مضيفات ...", "مبتسم", "fp"),
)

# The verb in the present and the past (third person masculine singular), and what follows it.
VERBS = (
    ("يصل", "وصل", "إلى المحطة قبل الغروب"),
    ("يحضر", "حضر", "إلى القاعة في الموعد"),
    ("يخرج", "خرج", "من البيت مبكراً"),
    ("يجلس", "جلس", "قرب النافذة"),
    ("يرجع", "رجع", "من السفر أمس"),
    ("يشرب", "شرب", "الشاي بالنعناع"),
    ("يدرس", "درس", "الخطة بعناية"),
    ("يلعب", "لعب", "في الساحة ساعة كاملة"),
    ("يضحك", "ضحك", "من الطرفة طويلاً"),
    ("يرسم", "رسم", "خريطة للحي"),
    ("يطبخ", "طبخ", "العدس على نار هادئة"),
    ("يزرع", "زرع", "الزيتون على التل"),
    ("يسمع", "سمع", "الخبر من المذياع"),
    ("يفتح", "فتح", "الصندوق بحذر"),
    ("يعمل", "عمل", "في المشروع شهراً"),
    ("ينجح", "نجح", "في الاختبار الأخير"),
    ("يسافر", "سافر", "إلى الجنوب بالقطار"),
    ("يشارك", "شارك", "في حملة النظافة"),
    ("يتكلم", "تكلم", "بهدوء أمام الجمهور"),
    ("يجتمع", "اجتمع", "في مقر الجمعية"),
    ("يحتفل", "احتفل", "بافتتاح المكتبة"),
    ("ينطلق", "انطلق", "نحو الجبل فجراً"),
    ("يعبر", "عبر", "الجسر سيراً"),
    ("يحمل", "حمل", "الصناديق إلى المخزن"),
    ("يركب", "ركب", "القارب الأزرق"),
    ("يشكر", "شكر", "الحارس على لطفه"),
    ("ينتظر", "انتظر", "الحافلة تحت المظلة"),
    ("يقترح", "اقترح", "موعداً جديداً"),
    ("يغادر", "غادر", "الفندق بعد الفطور"),
)
PEOPLE = ["مسافر", "معلم", "مهندس", "متطوع", "مزارع", "لاعب", "موظف", "مدرب", "باحث", "مشارك", "مسعف", "مرشد"]
# Things and animals: their plural takes the feminine singular on both sides of the verb.
THINGS = (
    ("يصل", "وصل", "السفن", "إلى الميناء ليلاً"),
    ("يعبر", "عبر", "القوارب", "القناة بسلام"),
    ("يرجع", "رجع", "الطيور", "إلى أعشاشها مساءً"),
    ("ينطلق", "انطلق", "الحافلات", "من الموقف صباحاً"),
    ("يسقط", "سقط", "الأوراق", "عن الأغصان في الخريف"),
    ("يهبط", "هبط", "الطائرات", "على المدرج تباعاً"),
    ("يدخل", "دخل", "القطط", "المطبخ من النافذة"),
    ("يشرب", "شرب", "الخيول", "من النهر"),
)

# Where something is, and what is counted there.
PLACES = (
    ("في الحديقة", Noun("شجرة", "أشجار", "f")),
    ("على الرف", Noun("كتاب", "كتب")),
    ("في الصف", Noun("طالبة", "طالبات", "f")),
    ("في الصف", Noun("طالب", "طلاب")),
    ("في المرآب", Noun("سيارة", "سيارات", "f")),
    ("في العمارة", Noun("طابق", "طوابق")),
    ("في الفندق", Noun("غرفة", "غرف", "f")),
    ("في الحقل", Noun("عامل", "عمال")),
    ("في المصنع", Noun("عاملة", "عاملات", "f")),
    ("في العلبة", Noun("قلم", "أقلام")),
    ("في الدفتر", Noun("صفحة", "صفحات", "f")),
    ("في القصيدة", Noun("بيت", "أبيات")),
    ("في الميناء", Noun("سفينة", "سفن", "f")),
    ("في السرب", Noun("طائر", "طيور")),
    ("في القطيع", Noun("جمل", "جمال")),
    ("في المزرعة", Noun("بقرة", "بقرات", "f")),
    ("في القرية", Noun("بئر", "آبار", "f")),
    ("في السوق", Noun("متجر", "متاجر")),
    ("في الحي", Noun("مدرسة", "مدارس", "f")),
    ("في المدينة", Noun("مسجد", "مساجد")),
    ("في القافلة", Noun("ناقة", "نوق", "f")),
    ("في الصندوق", Noun("مفتاح", "مفاتيح")),
    ("في السلة", Noun("تفاحة", "تفاحات", "f")),
    ("في المستشفى", Noun("طبيب", "أطباء")),
    ("في القسم", Noun("ممرضة", "ممرضات", "f")),
    ("في المكتب", Noun("موظف", "موظفين")),
    ("على الطاولة", Noun("فنجان", "فناجين")),
    ("في المطبخ", Noun("ملعقة", "ملاعق", "f")),
    ("على الجدار", Noun("لوحة", "لوحات", "f")),
    ("في المسرحية", Noun("مشهد", "مشاهد")),
    ("في الرواية", Noun("فصل", "فصول")),
    ("في الكيس", Noun("رغيف", "أرغفة")),
    ("في الفريق", Noun("لاعب", "لاعبين")),
    ("في المعرض", Noun("صورة", "صور", "f")),
    ("في القطار", Noun("عربة", "عربات", "f")),
    ("في السماء", Noun("نجمة", "نجمات", "f")),
    ("في الخزانة", Noun("قميص", "قمصان")),
    ("في البحيرة", Noun("قارب", "قوارب")),
    ("في الاختبار", Noun("سؤال", "أسئلة")),
    ("في القائمة", Noun("كلمة", "كلمات", "f")),
)


WRONG_DESCRIPTIONS = {
    "fs": ("ms", "md", "mp"),
    "md": ("ms", "fd", "mp"),
    "fd": ("fs", "md", "ms"),
    "mp": ("ms", "md", "fp"),
    "fp": ("ms", "mp", "fd"),
}
# By the subject's form: the verb's form before it and after it, each with three that are wrong there.
VERB_FORMS = {
    "mp": (("ms", "mp", "md", "fp"), ("mp", "ms", "fp", "fs")),
    "fp": (("fs", "fp", "fd", "mp"), ("fp", "mp", "fs", "ms")),
    "md": (("ms", "md", "mp", "fd"), ("md", "ms", "mp", "fd")),
    "fd": (("fs", "fd", "fp", "md"), ("fd", "fs", "md", "fp")),
    "things": (("fs", "mp", "md", "fd"), ("fs", "mp", "md", "ms")),
}


def agreement(demonyms: Mapping[str, str]) -> list[SkillRow]:
    """300 rows in five kinds; `demonyms` are the masculine ones by the code of the country."""
    rng = Random("skills/agreement")
    people = {f"nationality:{code}": _forms(demonyms[code]) for code in SOUND_PLURAL.split()}
    workers = {f"profession:{name}": forms for name, forms in PROFESSIONS.items()}
    rows = [*_people(rng, people, 72), *_people(rng, workers, 60)]
    return [*rows, *_adjectives(rng, 54), *_verbs(rng, 60), *_counted(rng, 54)]


def _people(rng: Random, words: Mapping[str, Mapping[str, str]], size: int) -> Iterator[SkillRow]:
    """A predicate in one form, asked for in another."""
    used: set[tuple[str, str]] = set()
    for i, wording in enumerate(mixed(rng, PERSON, size)):
        entity = list(words)[i % len(words)]
        given, asked = rng.sample(list(SUBJECTS), 2)
        while (entity, asked) in used:
            given, asked = rng.sample(list(SUBJECTS), 2)
        used.add((entity, asked))
        forms = words[entity]
        others = [form for key, form in forms.items() if key != asked]
        rng.shuffle(others)
        yield make_row(
            id=f"skill-agreement-{entity.replace(':', '-').lower()}-{given}-{asked}",
            task="agreement",
            entities=[entity],
            level="easy" if asked in ("ms", "fs") else "hard",
            wording=wording,
            fields={
                "given_subject": SUBJECTS[given],
                "given": forms[given],
                "subject": SUBJECTS[asked],
            },
            answer=forms[asked],
            wrong=pick_wrong(forms[asked], others, words_overlap),
            alike=words_overlap,
        )


def _adjectives(rng: Random, size: int) -> Iterator[SkillRow]:
    """An adjective after its noun."""
    chosen = sorted(rng.sample(range(len(DESCRIBED)), size))
    for i, wording in zip(chosen, mixed(rng, ADJECTIVE, size), strict=True):
        blank, base, asked = DESCRIBED[i]
        forms = _forms(base)
        yield make_row(
            id=f"skill-agreement-adjective-{i + 1}",
            task="agreement",
            entities=[f"adjective:{i + 1}"],
            level="easy" if asked == "fs" else "hard",
            wording=wording,
            fields={"base": base, "blank": blank, **_around(blank)},
            answer=forms[asked],
            wrong=[forms[key] for key in WRONG_DESCRIPTIONS[asked]],
            alike=words_overlap,
        )


def _verbs(rng: Random, size: int) -> Iterator[SkillRow]:
    """A verb before or after its subject: before it the verb stays in the singular."""
    plan = [(*thing, "things", after) for thing in THINGS for after in (False, True)]
    ways = [(form, after) for form in ("mp", "fp", "md", "fd") for after in (False, True)]
    for i in range(size - len(plan)):
        present, past, tail = VERBS[i % len(VERBS)]
        form, after = ways[(i + i // len(VERBS)) % len(ways)]
        subject = "ال" + _forms(rng.choice(PEOPLE))[form]
        plan.append((present, past, subject, tail, form, after))
    for i, ((present, past, subject, tail, form, after), wording) in enumerate(
        zip(plan, mixed(rng, VERB, size), strict=True)
    ):
        blank = f"{subject} ... {tail}" if after else f"... {subject} {tail}"
        right, *wrong = VERB_FORMS[form][after]
        yield make_row(
            id=f"skill-agreement-verb-{i + 1}",
            task="agreement",
            entities=[f"verb:{i + 1}"],
            level="hard" if after or form != "things" else "easy",
            wording=wording,
            fields={"present": present, "blank": blank, **_around(blank)},
            answer=_past(past)[right],
            wrong=[_past(past)[key] for key in wrong],
            alike=words_overlap,
        )


def _past(verb: str) -> dict[str, str]:
    """The third person of a sound verb in the past."""
    endings = {"ms": "", "fs": "ت", "md": "ا", "fd": "تا", "mp": "وا", "fp": "ن"}
    return {key: verb + ending for key, ending in endings.items()}


def _counted(rng: Random, size: int) -> Iterator[SkillRow]:
    """A numeral with its noun: wrong answers have the wrong gender, the wrong form of the noun, or both."""
    numbers = [*range(3, 20), *range(3, 13), *(n for n in range(21, 100) if n % 10)]
    used: set[tuple[int, int]] = set()
    for i, wording in enumerate(mixed(rng, COUNTED, size)):
        place, noun = PLACES[i % len(PLACES)]
        n = rng.choice(numbers)
        while (i % len(PLACES), n) in used:
            n = rng.choice(numbers)
        used.add((i % len(PLACES), n))
        right, crossed = count(n, noun), count(n, _other_gender(noun))
        form = noun.plural if n > 10 else noun.singular
        wrong = [f"{text.removesuffix(noun.after(n))}{form}" for text in (right, crossed)]
        yield make_row(
            id=f"skill-agreement-counted-{i % len(PLACES) + 1}-{n}",
            task="agreement",
            entities=[f"counted:{i % len(PLACES) + 1}-{n}"],
            level="easy" if n <= 10 else "hard",
            wording=wording,
            fields={"digits": to_arabic_digits(str(n)), "noun": noun.singular, "place": place},
            answer=right,
            wrong=[crossed, *wrong],
            alike=words_overlap,
        )


def _other_gender(noun: Noun) -> Noun:
    return replace(noun, gender="f" if noun.gender == "m" else "m")


def _around(blank: str) -> dict[str, str]:
    """What stands before and after the dots of a sentence."""
    before, after = blank.split("...")
    return {"before": before, "after": after}
