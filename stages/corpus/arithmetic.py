"""Pretraining text about integers, counted things, units, dates, weekdays and months.

An integer from 1000 up is one of those that the caller allows, or a year. Full dates keep clear of the hundred years
that the skill rows draw theirs from, so that no written date of an evaluation has been read before.
"""

from __future__ import annotations

import random
from calendar import monthrange
from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from stages.arabic.dates import GREGORIAN, HIJRI, WEEKDAYS, date_in_digits, date_in_words, genitive
from stages.arabic.numbers import Noun, count, count_in_digits, ordinal, spell, to_arabic_digits
from stages.corpus import sentences
from stages.corpus.stories import agree, person

DATE_YEARS = (*range(1850, 1950), *range(2050, 2100))
LEVANTINE = (
    "كانون الثاني", "شباط", "آذار", "نيسان", "أيار", "حزيران", "تموز", "آب", "أيلول", "تشرين الأول", "تشرين الثاني",
    "كانون الأول",
)  # fmt: skip

_DAY = Noun("يوم", "أيام")
_HOUR = Noun("ساعة", "ساعات", "f")
_MINUTE = Noun("دقيقة", "دقائق", "f")
_METRE = Noun("متر", "أمتار")
CONVERSIONS = (
    (_HOUR, _MINUTE, 60),
    (_DAY, _HOUR, 24),
    (_MINUTE, Noun("ثانية", "ثوانٍ", "f"), 60),
    (Noun("أسبوع", "أسابيع"), _DAY, 7),
    (Noun("سنة", "سنوات", "f"), Noun("شهر", "أشهر"), 12),
    (_METRE, Noun("سنتيمتر", "سنتيمترات"), 100),
    (Noun("سنتيمتر", "سنتيمترات"), Noun("مليمتر", "مليمترات"), 10),
    (Noun("ريال", "ريالات"), Noun("هللة", "هللات", "f"), 100),
    (Noun("كيلومتر", "كيلومترات"), _METRE, 1000),
    (Noun("كيلوغرام", "كيلوغرامات"), Noun("غرام", "غرامات"), 1000),
    (Noun("لتر", "لترات"), Noun("مليلتر", "مليلترات"), 1000),
)
THINGS: tuple[tuple[str, tuple[Noun, ...]], ...] = (
    ("في المكتبة", (Noun("كتاب", "كتب"), Noun("مجلة", "مجلات", "f"), Noun("رف", "رفوف"), Noun("مقعد", "مقاعد"))),
    ("في الحقيبة", (Noun("قلم", "أقلام"), Noun("دفتر", "دفاتر"), Noun("ورقة", "أوراق", "f"))),
    ("في السلة", (Noun("تفاحة", "تفاحات", "f"), Noun("برتقالة", "برتقالات", "f"), Noun("بيضة", "بيضات", "f"))),
    ("في الحديقة", (Noun("شجرة", "أشجار", "f"), Noun("زهرة", "زهرات", "f"), Noun("عصفور", "عصافير"))),
    ("في الموقف", (Noun("سيارة", "سيارات", "f"), Noun("دراجة", "دراجات", "f"), Noun("حافلة", "حافلات", "f"))),
    ("في المخزن", (Noun("صندوق", "صناديق"), Noun("كيس", "أكياس"), Noun("علبة", "علب", "f"))),
    ("في المطبخ", (Noun("صحن", "صحون"), Noun("ملعقة", "ملاعق", "f"), Noun("كوب", "أكواب"))),
    ("في المتجر", (Noun("قميص", "قمصان"), Noun("ثوب", "أثواب"), Noun("لعبة", "ألعاب", "f"))),
    ("في الفندق", (Noun("غرفة", "غرف", "f"), Noun("سرير", "أسرة"), Noun("مصباح", "مصابيح"))),
)  # fmt: skip


class NumberWriter:
    """Writes documents about integers; built once, because it sorts the allowed ones by length."""

    def __init__(self, rng: random.Random, numbers: Sequence[int]) -> None:
        self.rng = rng
        self.allowed = frozenset(numbers)
        by_length: defaultdict[int, list[int]] = defaultdict(list)
        for n in sorted(self.allowed):
            if n >= 1000:
                by_length[len(str(n))].append(n)
        self.by_length = list(by_length.values())
        self.followed = [n for group in self.by_length for n in group if n + 1 in self.allowed]
        self.conversions = [
            (large, small, amount, amount * factor)
            for large, small, factor in CONVERSIONS
            for amount in range(1, 100)
            if self._may_stand(amount * factor)
        ]
        self.writers = (
            [self.spelling] * 10
            + [self.neighbours] * 4
            + [self.comparison] * 3
            + [self.order] * 2
            + [self.parity]
            + [self.counting] * 3
            + [self.conversion] * 3
            + [self.date] * 2
            + [self.year]
        )

    def document(self) -> str:
        """Two to four statements of one kind on one line."""
        write = self.rng.choice(self.writers)
        return " ".join(f"{write()}." for _ in range(self.rng.randint(2, 4)))

    def spelling(self) -> str:
        """The same integer in digits and in words."""
        n = self._integer()
        return _one(self.rng, sentences.NUMBER_SPELLING).format(digits=_digits(n), words=spell(n))

    def neighbours(self) -> str:
        """An integer and its successor; large ones only where both are allowed."""
        large = self.rng.random() < min(0.7, len(self.followed) / 500)  # a few pairs are not to be learned by heart
        n = self.rng.choice(self.followed) if large else self.rng.randrange(1, 999)
        bank = self.rng.choice((sentences.NUMBER_AFTER, sentences.NUMBER_BEFORE))
        return _one(self.rng, bank).format(
            digits=_digits(n),
            words=spell(n),
            oblique=spell(n, case="oblique"),
            next_digits=_digits(n + 1),
            next_words=spell(n + 1),
            next_oblique=spell(n + 1, case="oblique"),
        )

    def comparison(self) -> str:
        """Two integers below 1000, often close ones."""
        low, high = sorted(self._small(2))
        return self.rng.choice(sentences.NUMBER_COMPARISON).format(
            low=_digits(low),
            high=_digits(high),
            low_words=spell(low),
            high_words=spell(high),
            low_oblique=spell(low, case="oblique"),
            high_oblique=spell(high, case="oblique"),
        )

    def order(self) -> str:
        """Three or four integers below 1000 put in order, or their extremes."""
        mixed = self._small(self.rng.choice((3, 4)))
        rising = sorted(mixed)
        return self.rng.choice(sentences.NUMBER_ORDER).format(
            mixed=_list(mixed),
            rising=_list(rising),
            falling=_list(rising[::-1]),
            lowest=_digits(rising[0]),
            highest=_digits(rising[-1]),
        )

    def parity(self) -> str:
        """Even or odd, and the digit that shows it."""
        n = self._integer()
        parity = "فردي" if n % 2 else "زوجي"
        return self.rng.choice(sentences.NUMBER_PARITY).format(digits=_digits(n), parity=parity, last=_digits(n % 10))

    def counting(self) -> str:
        """Things in a place, numeral and noun in agreement."""
        place, nouns = self.rng.choice(THINGS)
        noun, n = self.rng.choice(nouns), self.rng.choice((self.rng.randint(1, 20), self.rng.randint(1, 200)))
        hero, feminine = person(self.rng)
        return agree(self.rng.choice(sentences.COUNTING), feminine).format(
            place=place,
            hero=hero,
            digits=count_in_digits(n, noun),
            words=count(n, noun),
            oblique=count(n, noun, "oblique"),
        )

    def conversion(self) -> str:
        """An amount in the larger and in the smaller unit."""
        large, small, amount, result = self.rng.choice(self.conversions)
        return _one(self.rng, sentences.CONVERSION).format(
            t="ت" if large.gender == "f" or 3 <= amount <= 10 else "ي",
            large=count(amount, large),
            large_oblique=count(amount, large, "oblique"),
            large_oblique_digits=count_in_digits(amount, large, "oblique"),
            small=count(result, small),
            small_digits=count_in_digits(result, small),
            small_oblique=count(result, small, "oblique"),
            small_oblique_digits=count_in_digits(result, small, "oblique"),
            units=small.plural,
        )

    def date(self) -> str:
        """A date in digits and in words."""
        month, year = self.rng.randint(1, 12), self.rng.choice(DATE_YEARS)
        day = date(year, month, self.rng.randint(1, monthrange(year, month)[1]))
        hero, feminine = person(self.rng)
        return agree(_one(self.rng, sentences.DATES), feminine).format(
            hero=hero,
            date=date_in_digits(day),
            date_words=date_in_words(day),
            date_oblique=date_in_words(day, "oblique"),
            weekday=WEEKDAYS[day.isoweekday() % 7],
        )

    def year(self) -> str:
        """A year in digits and in words, which agree with سنة or عام."""
        year = self.rng.randint(1800, 2099)
        return self.rng.choice(sentences.YEAR_SPELLING).format(
            year=_digits(year),
            next_year=_digits(year + 1),
            feminine=spell(year, "f", "oblique"),
            masculine=spell(year, "m", "oblique"),
        )

    def _integer(self) -> int:
        """Below 1000 in one case of four; else each length is as likely as another."""
        if not self.by_length or self.rng.random() < 0.25:
            return self.rng.randrange(1000)
        return self.rng.choice(self.rng.choice(self.by_length))

    def _small(self, size: int) -> list[int]:
        """Distinct integers below 1000; half of the time from one hundred."""
        hundred = self.rng.randrange(10) * 100
        return self.rng.sample(range(hundred, hundred + 100) if self.rng.random() < 0.5 else range(1000), size)

    def _may_stand(self, n: int) -> bool:
        return n < 1000 or n in self.allowed


def calendar_document(rng: random.Random) -> str:
    """Two to four statements on the order of days and months."""
    writers = (_weekdays, _months, _months, _month_facts)
    return " ".join(f"{rng.choice(writers)(rng)}." for _ in range(rng.randint(2, 4)))


def _weekdays(rng: random.Random) -> str:
    a, b, c = _consecutive(rng, WEEKDAYS)
    return rng.choice(sentences.WEEKDAYS).format(a=WEEKDAYS[a], b=WEEKDAYS[b], c=WEEKDAYS[c])


def _months(rng: random.Random) -> str:
    names, era = rng.choice(((GREGORIAN, "الميلادية"), (HIJRI, "الهجرية")))
    a, b, c = _consecutive(rng, names)
    return rng.choice(sentences.MONTHS).format(
        a=names[a],
        b=names[b],
        a_of=genitive(names[a]),
        b_of=genitive(names[b]),
        c_of=genitive(names[c]),
        ordinal=ordinal(a + 1),
        era=era,
    )


def _month_facts(rng: random.Random) -> str:
    month = rng.randrange(12)
    days = 28 if month == 1 else monthrange(2001, month + 1)[1]
    length = count(days, _DAY) + (" أو تسعة وعشرون يوماً" if month == 1 else "")
    bank = rng.choice((sentences.MONTH_LENGTHS, sentences.MONTH_TWINS, sentences.CALENDAR_FACTS))
    return rng.choice(bank).format(a=GREGORIAN[month], a_of=GREGORIAN[month], length=length, twin=LEVANTINE[month])


def _consecutive(rng: random.Random, cycle: Sequence[str]) -> tuple[int, int, int]:
    start, size = rng.randrange(len(cycle)), len(cycle)
    return start, (start + 1) % size, (start + 2) % size


def _one(rng: random.Random, bank: Sequence[str]) -> str:
    """Any sentence of a bank; one of the first two, which are the plainest, in every third case."""
    return rng.choice(bank[:2] if rng.random() < 0.33 else bank)


def _digits(n: int) -> str:
    return to_arabic_digits(str(n))


def _list(numbers: Sequence[int]) -> str:
    return "، ".join(map(_digits, numbers))
