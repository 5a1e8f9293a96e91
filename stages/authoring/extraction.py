"""Verifiable rows on reading: a short report names people, a place, a day, an hour and a number of things.

A row asks for one of them, or for several in a given order. The reports are our own; nobody in them is a real person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from random import Random

from stages.arabic.dates import WEEKDAYS
from stages.arabic.numbers import Noun, count
from stages.authoring.rows import SkillRow, make_row, mixed, pick_wrong, wordings

MEN = (
    "سالم خالد ياسر طارق كريم فارس هشام جابر نبيل وليد أنس زياد مروان باسل عادل رامي سامر حازم ماهر يونس إدريس بدر شاكر"
)
WOMEN = "سلمى هند ليلى مريم نادية رنا سعاد دلال هدى عبير أسماء لبنى سمية نهى رباب وفاء زينب خولة إيمان شيماء منال غادة"
PLACES = (
    "طنطا حلب فاس صفاقس جدة إربد البصرة وهران صلالة أسوان مراكش الموصل عنيزة قسنطينة المنصورة نزوى "
    "تعز بنغازي اللاذقية "
    "صيدا نابلس العقبة الدمام سوسة أغادير كسلا أبها دمياط حمص"
)
PORTS = "صفاقس جدة وهران صلالة بنغازي اللاذقية صيدا العقبة الدمام سوسة أغادير دمياط"
STATIONS = "طنطا فاس صفاقس جدة البصرة وهران أسوان مراكش قسنطينة المنصورة الدمام سوسة دمياط"  # where trains stop
HOURS = tuple(
    f"{hour} {part}"
    for hour in ("السادسة", "السابعة", "الثامنة", "التاسعة", "السابعة والنصف", "الثامنة والربع")
    for part in ("صباحاً", "مساءً")
)
EVENING = tuple(hour for hour in HOURS if hour.endswith("مساءً"))
# With their noun these look alike in every case, so that the answer stands in the text letter for letter.
AMOUNTS = (*range(3, 12), *range(13, 20))


@dataclass(frozen=True)
class Scene:
    """A report as a template, and what it calls its first person, its second one, its place and its things.

    `{t}`, `{h}` and `{a}` are the first person's endings: of a verb, of a pronoun and of a noun.
    """

    text: str
    who: str
    other: str
    where: str
    things: str
    thing: Noun
    places: str = PLACES
    hours: tuple[str, ...] = HOURS


SCENES = (
    Scene(
        "وصل{t} {name} إلى {place} يوم {day} في الساعة {hour}، ومع{h} {count}، وكان في الاستقبال {other}",
        "المسافر{a}",
        "من كان في الاستقبال",
        "مدينة الوصول",
        "الحقائب",
        Noun("حقيبة", "حقائب", "f"),
    ),
    Scene(
        "افتتح{t} {name} معرضاً للرسم في {place} يوم {day} في الساعة {hour}. في المعرض {count} نسق "
        "عرضها فريق يقوده {other}",
        "من افتتح المعرض",
        "قائد الفريق",
        "مدينة المعرض",
        "اللوحات",
        Noun("لوحة", "لوحات", "f"),
        hours=EVENING,
    ),
    Scene(
        "يوم {day} سلم{t} {name} مكتبة {place} {count} هدية من الأسرة، وتم التسليم في الساعة {hour} "
        "بحضور الموظف {other}",
        "من سلم الهدية",
        "الموظف",
        "مدينة المكتبة",
        "الكتب",
        Noun("كتاب", "كتب"),
    ),
    Scene(
        "حجز{t} {name} {count} في قطار {place}، وموعد القطار يوم {day} في الساعة {hour}، وسلم التذاكر الموظف {other}",
        "من حجز المقاعد",
        "الموظف",
        "المدينة التي ينسب إليها القطار",
        "المقاعد",
        Noun("مقعد", "مقاعد"),
        places=STATIONS,
    ),
    Scene(
        "زرع{t} {name} {count} في حديقة عامة في {place} صباح يوم {day}، ثم التقط المصور {other} صورة "
        "للمكان في الساعة {hour}",
        "من زرع الأشجار",
        "المصور",
        "مدينة الحديقة",
        "الأشجار",
        Noun("شجرة", "أشجار", "f"),
    ),
    Scene(
        "نظم{t} {name} سباقاً للدراجات في {place} يوم {day}. انطلق السباق في الساعة {hour} وفيه "
        "{count}، وفاز المتسابق {other}",
        "من نظم السباق",
        "الفائز",
        "مدينة السباق",
        "الدراجات",
        Noun("دراجة", "دراجات", "f"),
    ),
    Scene(
        "قدم{t} {name} دورة في الخط العربي في {place}، وحضرها يوم {day} {count}. بدأ الدرس في الساعة "
        "{hour} وساعد الخطاط {other}",
        "من قدم الدورة",
        "الخطاط المساعد",
        "مدينة الدورة",
        "الطلاب",
        Noun("طالب", "طلاب"),
    ),
    Scene(
        "باع{t} {name} في سوق {place} {count} يوم {day}، وأغلق الدكان في الساعة {hour} بعد انصراف الزبون {other}",
        "من باع السجاد",
        "الزبون",
        "مدينة السوق",
        "السجادات",
        Noun("سجادة", "سجادات", "f"),
        hours=EVENING,
    ),
    Scene(
        "زار الطبيب {other} عيادة {place} يوم {day} في الساعة {hour}، وعلم أن {name} طلب{t} {count} من القطن",
        "من طلب العلب",
        "الطبيب",
        "مدينة العيادة",
        "العلب",
        Noun("علبة", "علب", "f"),
    ),
    Scene(
        "عاد{t} {name} من {place} يوم {day}، ورسا القارب في الساعة {hour}. في الشبكة {count} وزنها البحار {other}",
        "من عاد",
        "البحار",
        "مدينة المغادرة",
        "السمكات",
        Noun("سمكة", "سمكات", "f"),
        places=PORTS,
    ),
    Scene(
        "استأجر{t} {name} قاعة في {place} لحفل يوم {day}، على أن يرتب العامل {other} {count} قبل الساعة {hour}",
        "من استأجر القاعة",
        "العامل",
        "مدينة القاعة",
        "الكراسي",
        Noun("كرسي", "كراسي"),
        hours=EVENING,
    ),
    Scene(
        "أرسل{t} {name} {count} بالبريد إلى {place} يوم {day}، وتسلمها الموزع {other} في الساعة {hour}",
        "من أرسل الطرود",
        "الموزع",
        "المدينة المرسل إليها",
        "الطرود",
        Noun("طرد", "طرود"),
    ),
    Scene(
        "تدرب{t} {name} في ملعب {place} يوم {day} حتى الساعة {hour}، وسجل{t} {count} في مرمى الحارس {other}",
        "من سجل الأهداف",
        "الحارس",
        "مدينة الملعب",
        "الأهداف",
        Noun("هدف", "أهداف"),
    ),
    Scene(
        "في الساعة {hour} من يوم {day} عرض{t} {name} في مرصد {place} صور {count}، ثم شرح مواقعها الباحث {other}",
        "من عرض الصور",
        "الباحث",
        "مدينة المرصد",
        "النجمات",
        Noun("نجمة", "نجمات", "f"),
        hours=EVENING,
    ),
    Scene(
        "أعد{t} {name} لضيوف {place} {count} يوم {day}، وقدمها النادل {other} في الساعة {hour}",
        "من أعد الفطائر",
        "النادل",
        "مدينة الضيوف",
        "الفطائر",
        Noun("فطيرة", "فطائر", "f"),
    ),
    Scene(
        "أصلح{t} {name} {count} في مدرسة في {place} يوم {day}، وانتهى العمل في الساعة {hour}، ووقع "
        "المدير {other} محضر التسلم",
        "من أصلح الحواسيب",
        "المدير",
        "مدينة المدرسة",
        "الحواسيب",
        Noun("حاسوب", "حواسيب"),
    ),
    Scene(
        "نسي{t} {name} في حافلة {place} {count} يوم {day}، ووجد السائق {other} المفقودات في الساعة {hour}",
        "صاحب{a} المفقودات",
        "السائق",
        "المدينة التي تنسب إليها الحافلة",
        "المفاتيح",
        Noun("مفتاح", "مفاتيح"),
    ),
    Scene(
        "زار{t} {name} متحف {place} يوم {day} في الساعة {hour}، وشرح المرشد {other} تاريخ {count} من الفخار",
        "من زار المتحف",
        "المرشد",
        "مدينة المتحف",
        "الجرار",
        Noun("جرة", "جرار", "f"),
        hours=EVENING,
    ),
)

FIELD = wordings(
    "field",
    "{label}: {answer}.",
    {
        "extract": "استخرج {label} من النص الآتي: «{text}».",
        "mention": "اقرأ النص ثم اذكر {label}: «{text}».",
        "what": "«{text}». ما {label} في هذا الخبر؟",
        "find": "ابحث في الخبر عن {label}: «{text}».",
    },
    "وصلني هذا الخبر: «{text}». أريد منه {label} لا غير.",
)
LIST = wordings(
    "list",
    "البيانات بالترتيب: {answer}.",
    {
        "extract": "استخرج من النص {label}، وافصل بينها بفاصلة: «{text}».",
        "order": "اذكر {label} على هذا الترتيب مع فاصلة بين كل اثنين: «{text}».",
        "line": "«{text}». اكتب في سطر واحد {label} بهذا الترتيب، وبينها فواصل.",
        "card": "املأ بطاقة خاناتها {label} على التوالي، مفصولة بفواصل، من الخبر: «{text}».",
    },
    "أعد جدولاً من هذا الخبر: «{text}». ضع لي في سطر مفصول بفواصل {label}.",
)


def extraction() -> list[SkillRow]:
    """220 rows: one field of a report in 150 of them, three in a given order in the rest."""
    rng = Random("skills/extraction")
    return [*_fields_of_reports(rng, 150), *_lists(rng, 70)]


def _fields_of_reports(rng: Random, size: int) -> Iterator[SkillRow]:
    for i, wording in enumerate(mixed(rng, FIELD, size)):
        report = _draw(rng, SCENES[i % len(SCENES)])
        asked = sorted(report.values)[(i + i // len(SCENES)) % len(report.values)]
        answer = report.values[asked]
        yield make_row(
            id=f"skill-extraction-field-{i + 1}",
            task="extraction",
            entities=[f"report:field-{i + 1}"],
            level="easy" if asked in ("day", "hour", "place") else "hard",
            wording=wording,
            fields={"label": report.labels[asked], "text": report.text},
            answer=answer,
            wrong=pick_wrong(answer, report.near[asked]),
        )


def _lists(rng: Random, size: int) -> Iterator[SkillRow]:
    """Wrong answers: two other orders, and the right order with one value exchanged."""
    for i, wording in enumerate(mixed(rng, LIST, size, short=False)):
        report = _draw(rng, SCENES[i % len(SCENES)])
        asked = rng.sample(sorted(report.values), 3)
        values = [report.values[field] for field in asked]
        orders = [order for order in permutations(values) if list(order) != values]
        rng.shuffle(orders)
        changed = rng.randrange(3)
        near = pick_wrong(values[changed], report.near[asked[changed]])[0]
        exchanged = [*values[:changed], near, *values[changed + 1 :]]
        yield make_row(
            id=f"skill-extraction-list-{i + 1}",
            task="extraction",
            entities=[f"report:list-{i + 1}"],
            level="hard",
            wording=wording,
            fields={"label": " ثم ".join(report.labels[field] for field in asked), "text": report.text},
            answer="، ".join(values),
            wrong=["، ".join(order) for order in (*orders[:2], exchanged)],
        )


@dataclass(frozen=True)
class Report:
    """A scene with its values: the text, and by field the label, the value and values of the same kind."""

    text: str
    labels: dict[str, str]
    values: dict[str, str]
    near: dict[str, list[str]]


def _draw(rng: Random, scene: Scene) -> Report:
    woman = rng.random() < 0.5
    name, *names = rng.sample((WOMEN if woman else MEN).split(), 3)
    other, *others = rng.sample([man for man in MEN.split() if man not in (name, *names)], 3)
    place, *places = rng.sample(scene.places.split(), 4)
    day, *days = rng.sample(WEEKDAYS, 4)
    hour, *hours = rng.sample(scene.hours, 6)
    n, *amounts = rng.sample(AMOUNTS, 5)
    values = {
        "name": name,
        "other": other,
        "place": place,
        "day": day,
        "hour": hour,
        "count": count(n, scene.thing),
    }
    ending = "ة" if woman else ""
    labels = {
        "name": "اسم " + scene.who.format(a=ending),
        "other": f"اسم {scene.other}",
        "place": scene.where,
        "day": "اليوم المذكور",
        "hour": "الساعة المذكورة",
        "count": f"عدد {scene.things}",
    }
    near = {
        "name": [other, *names],
        "other": [name, *others],
        "place": places,
        "day": days,
        "hour": hours,
        "count": [count(m, scene.thing) for m in amounts],
    }
    text = scene.text.format(t="ت" if woman else "", h="ها" if woman else "ه", a=ending, **values)
    return Report(text, labels, values, near)
