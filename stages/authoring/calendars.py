"""Verifiable rows about written dates, months and weekdays, and the order of the Hijri months."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from random import Random

from stages.arabic.dates import GREGORIAN, HIJRI, WEEKDAYS, date_in_digits, date_in_words, genitive
from stages.arabic.numbers import ordinal
from stages.authoring.rows import SkillRow, Wording, make_row, mixed, pick_wrong, spread, wordings

DATE_TO_WORDS = wordings(
    "date-to-words",
    "التاريخ {digits} هو {answer}.",
    {
        "write": "اكتب التاريخ {digits} بالكلمات.",
        "how": "كيف يكتب التاريخ {digits} بالكلمات؟",
        "read": "كيف يقرأ التاريخ {digits}؟",
        "say": "عبر عن التاريخ {digits} بالكلمات.",
    },
    "وصلتني رسالة مؤرخة في {digits}، فما تاريخها بالكلمات؟",
)
DATE_TO_DIGITS = wordings(
    "date-to-digits",
    "يكتب تاريخ {oblique} بالأرقام هكذا: {answer}.",
    {
        "write": "اكتب تاريخ {oblique} بالأرقام.",
        "how": "كيف يكتب تاريخ {oblique} بالأرقام؟",
        "what": "ما تاريخ {oblique} بالأرقام؟",
        "colon": "اكتب بالأرقام تاريخ {oblique}.",
    },
    "انعقد الاجتماع في {oblique}، فكيف أكتب تاريخه بالأرقام؟",
)
MONTH_AFTER = wordings(
    "month-after",
    "الشهر الذي يأتي بعد شهر {month} هو {answer}.",
    {
        "what": "ما الشهر الذي يأتي بعد شهر {month}؟",
        "which": "أي شهر يلي شهر {month}؟",
        "year": "ماذا يأتي بعد شهر {month} في السنة {calendar}؟",
        "ended": "انتهى شهر {month}، فما الشهر التالي؟",
    },
    "نحن في شهر {month}، فأي شهر ننتظر بعده؟",
)
MONTH_BEFORE = wordings(
    "month-before",
    "الشهر الذي يأتي قبل شهر {month} هو {answer}.",
    {
        "what": "ما الشهر الذي يأتي قبل شهر {month}؟",
        "which": "أي شهر يسبق شهر {month}؟",
        "year": "ماذا يأتي قبل شهر {month} في السنة {calendar}؟",
        "began": "بدأ شهر {month}، فما الشهر الذي انتهى قبله؟",
    },
    "نحن في شهر {month}، فأي شهر ودعنا قبله؟",
)
DAY_AFTER = wordings(
    "day-after",
    "اليوم الذي يأتي بعد يوم {day} هو يوم {answer}.",
    {
        "what": "ما اليوم الذي يأتي بعد يوم {day}؟",
        "which": "أي يوم يلي يوم {day}؟",
        "week": "ماذا يأتي بعد يوم {day} في أيام الأسبوع؟",
        "tomorrow": "إذا كان اليوم يوم {day}، فأي يوم يكون غداً؟",
    },
    "موعدي في اليوم التالي ليوم {day}، ففي أي يوم هو؟",
)
DAY_BEFORE = wordings(
    "day-before",
    "اليوم الذي يأتي قبل يوم {day} هو يوم {answer}.",
    {
        "what": "ما اليوم الذي يأتي قبل يوم {day}؟",
        "which": "أي يوم يسبق يوم {day}؟",
        "week": "ماذا يأتي قبل يوم {day} في أيام الأسبوع؟",
        "yesterday": "إذا كان اليوم يوم {day}، فأي يوم كان أمس؟",
    },
    "كان موعدي في اليوم السابق ليوم {day}، ففي أي يوم كان؟",
)
MONTH_OF_ORDINAL = wordings(
    "hijri-month",
    "الشهر {ordinal} في السنة الهجرية هو {answer}.",
    {
        "what": "ما الشهر {ordinal} في السنة الهجرية؟",
        "name": "ما اسم الشهر الهجري {ordinal}؟",
        "mention": "اذكر الشهر {ordinal} من شهور السنة الهجرية.",
        "which": "أي شهر هو {ordinal} في التقويم الهجري؟",
    },
    "لو عددنا الشهور الهجرية من أول السنة، فأي شهر يكون {ordinal}؟",
)
ORDINAL_OF_MONTH = wordings(
    "hijri-ordinal",
    "شهر {month} هو الشهر {answer} في السنة الهجرية.",
    {
        "rank": "ما ترتيب شهر {month} في السنة الهجرية؟",
        "rank-months": "ما ترتيب شهر {month} بين الشهور الهجرية؟",
        "position": "في أي ترتيب يأتي شهر {month} في السنة الهجرية؟",
        "mention": "اذكر ترتيب شهر {month} في التقويم الهجري.",
    },
    "أتابع التقويم الهجري شهراً شهراً، فما رقم شهر {month} فيه؟",
)


def dates() -> list[SkillRow]:
    """Written dates, months and weekdays in their cycles, and the order of the Hijri months."""
    rng = Random("skills/dates")
    first, last = date(1950, 1, 1).toordinal(), date(2049, 12, 31).toordinal()
    days = [date.fromordinal(n) for n in rng.sample(range(first, last + 1), 140)]
    deck = mixed(rng, DATE_TO_WORDS, 90) + mixed(rng, DATE_TO_DIGITS, 50)
    rows = [_date_row(rng, wording, day) for wording, day in zip(deck, days, strict=True)]
    for calendar, key, names in (("الميلادية", "gregorian", GREGORIAN), ("الهجرية", "hijri", HIJRI)):
        for kind, step in ((MONTH_AFTER, 1), (MONTH_BEFORE, -1)):
            rows += _cycle_rows(rng, kind, step, f"month:{key}-", names, {"calendar": calendar})
    for kind, step in ((DAY_AFTER, 1), (DAY_BEFORE, -1)):
        rows += _cycle_rows(rng, kind, step, "weekday:", WEEKDAYS, {})
    return rows + _hijri_order_rows(rng)


def _date_row(rng: Random, wording: Wording, day: date) -> SkillRow:
    write = date_in_digits if wording.name.startswith("date-to-digits") else date_in_words
    near = [near_date for near_date in _near_dates(day) if near_date != day]
    rng.shuffle(near)
    return make_row(
        id=f"skill-date-{day.isoformat()}",
        task="dates",
        entities=[f"date:{day.isoformat()}"],
        level="easy" if day.day <= 10 else "hard",
        wording=wording,
        fields={"digits": date_in_digits(day), "oblique": date_in_words(day, "oblique")},
        answer=write(day),
        wrong=pick_wrong(write(day), map(write, near)),
    )


def _near_dates(day: date) -> Iterator[date]:
    """Dates that differ in one part, or that have day and month exchanged; no month runs past its 28th."""
    if day.day <= 12:
        yield day.replace(day=day.month, month=day.day)
    safe = day.replace(day=min(day.day, 28))
    yield from (safe.replace(day=safe.day % 28 + 1), safe.replace(day=(safe.day + 9) % 28 + 1))
    yield from (safe.replace(month=safe.month % 12 + 1), safe.replace(month=(safe.month + 10) % 12 + 1))
    every_year = safe if (day.month, day.day) == (2, 29) else day
    yield from (every_year.replace(year=day.year + step) for step in (-10, -1, 1, 10))


def _cycle_rows(
    rng: Random, kind: tuple[list[Wording], Wording], step: int, entity: str, names: list[str], extra: dict[str, str]
) -> list[SkillRow]:
    """One row for each name of a cycle, and a second, short one for every other name."""
    seen, held_out = kind
    size = len(names)
    deck = [*spread(rng, seen, size - 1), held_out]
    rng.shuffle(deck)
    pairs = list(zip(range(size), deck, strict=True))
    short = [wording.short() for wording in spread(rng, seen, (size + 1) // 2)]
    pairs += zip(range(0, size, 2), short, strict=True)
    rows = []
    for i, wording in pairs:
        answer = names[(i + step) % size]
        others = [name for name in names if name not in (answer, names[i])]
        others.sort(key=lambda name: _distance(names, name, answer))
        rows.append(
            make_row(
                id=f"skill-{entity.replace(':', '-')}{i + 1}-{wording.name}",
                task="dates",
                entities=[f"{entity}{i + 1}"],
                level="easy",
                wording=wording,
                fields={"month": genitive(names[i]), "day": names[i], **extra},
                answer=answer,
                wrong=pick_wrong(answer, others),
            )
        )
    return rows


def _distance(names: list[str], a: str, b: str) -> int:
    apart = abs(names.index(a) - names.index(b))
    return min(apart, len(names) - apart)


def _hijri_order_rows(rng: Random) -> list[SkillRow]:
    rows = []
    orders = [ordinal(n) for n in range(1, 13)]
    for (seen, held_out), answers in ((MONTH_OF_ORDINAL, HIJRI), (ORDINAL_OF_MONTH, orders)):
        deck = [*spread(rng, seen, 11), held_out]
        rng.shuffle(deck)
        for i, wording in enumerate(deck):
            others = sorted((a for a in answers if a != answers[i]), key=lambda a: _distance(answers, a, answers[i]))
            rows.append(
                make_row(
                    id=f"skill-month-hijri-{i + 1}-{wording.name}",
                    task="dates",
                    entities=[f"month:hijri-{i + 1}"],
                    level="hard",
                    wording=wording,
                    fields={"month": genitive(HIJRI[i]), "ordinal": orders[i]},
                    answer=answers[i],
                    wrong=pick_wrong(answers[i], others),
                )
            )
    return rows
