"""Verifiable rows on integers: numbers in words and digits, units of measure, comparisons.

A drill's answer follows from its prompt by rule, so a model can be right on integers that it never saw. To keep that
claim honest the integers of `numbers` (1000 and above, no recent years) occur in no other row: `units` says which
ones it mentions, and `comparison` stays below 1000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random

from stages.arabic.numbers import YEARS, Noun, count, count_in_digits, spell, to_arabic_digits
from stages.authoring.rows import Level, SkillRow, Wording, make_row, mixed, overlap, pick_wrong, wordings

SMALLEST, LARGEST = 1000, 999_999


def digits(n: int) -> str:
    """`n` in Arabic-Indic digits."""
    return to_arabic_digits(str(n))


# --- numbers -----------------------------------------------------------------------------------------------------

TO_WORDS = wordings(
    "to-words",
    "يكتب العدد {digits} بالحروف هكذا: {answer}.",
    {
        "how": "كيف يكتب العدد {digits} بالحروف؟",
        "write": "اكتب العدد {digits} بالحروف.",
        "say": "عبر عن العدد {digits} بالكلمات.",
        "read": "كيف يقرأ العدد {digits}؟",
    },
    "أريد كتابة المبلغ {digits} بالحروف في شيك، فماذا أكتب؟",
)
TO_DIGITS = wordings(
    "to-digits",
    "يكتب العدد {words} بالأرقام هكذا: {answer}.",
    {
        "how": "كيف يكتب العدد {words} بالأرقام؟",
        "write": "اكتب العدد «{words}» بالأرقام.",
        "what": "ما العدد {words} بالأرقام؟",
        "colon": "اكتب بالأرقام العدد الآتي: {words}.",
    },
    "سمعت العدد «{words}» في نشرة الأخبار، فكيف أدونه رقماً؟",
)
SUCCESSOR = wordings(
    "successor",
    "العدد الذي يأتي بعد {oblique} مباشرة هو {answer}.",
    {
        "after": "ما العدد الذي يأتي بعد {oblique} مباشرة؟",
        "next": "ما العدد الصحيح التالي للعدد {oblique}؟",
        "count": "ماذا يأتي بعد {oblique} عند العد؟",
        "add": "أضف واحداً إلى {oblique}، فكم يكون الناتج؟",
    },
    "عددت بالترتيب حتى {oblique}، فأي عدد أنطق الآن؟",
)
PREDECESSOR = wordings(
    "predecessor",
    "العدد الذي يأتي قبل {oblique} مباشرة هو {answer}.",
    {
        "before": "ما العدد الذي يأتي قبل {oblique} مباشرة؟",
        "previous": "ما العدد الصحيح السابق للعدد {oblique}؟",
        "count": "ماذا يأتي قبل {oblique} عند العد؟",
        "subtract": "اطرح واحداً من {oblique}، فكم يكون الناتج؟",
    },
    "بدأت العد التنازلي من {oblique}، فأي عدد أنطق بعده؟",
)


def draw_number(rng: Random) -> int:
    """An integer of four to six digits with more zeros than chance gives, because zeros are where spelling fails."""
    length = rng.choice((4, 4, 5, 5, 6))
    rest = ("0" if rng.random() < 0.2 else str(rng.randrange(10)) for _ in range(length - 1))
    return int(str(rng.randrange(1, 10)) + "".join(rest))


def near_numbers(rng: Random, n: int) -> list[int]:
    """Integers that a careless writer confuses with `n`: two digits swapped, one digit off by one; in random order."""
    text = str(n)
    swapped = (text[:i] + text[i + 1] + text[i] + text[i + 2 :] for i in range(len(text) - 1))
    stepped = (n + sign * 10**place for place in range(len(text)) for sign in (1, -1))
    near = sorted({int(swap) for swap in swapped} | set(stepped))
    rng.shuffle(near)
    return [m for m in near if m != n and len(str(m)) == len(text) and m not in YEARS]


def numbers(taken: frozenset[int]) -> list[SkillRow]:
    """900 rows, each on integers of its own; `taken` are those that other drills mention."""
    rng = Random("skills/numbers")
    plan = [(TO_WORDS, 300), (TO_DIGITS, 300), (SUCCESSOR, 150), (PREDECESSOR, 150)]
    chosen: list[tuple[Wording, int, int]] = []  # wording, the integer asked about, the integer that answers
    used = set(taken)
    for kind, size in plan:
        step = {"successor": 1, "predecessor": -1}.get(kind[1].name.removesuffix("-held-out"), 0)
        for wording in mixed(rng, kind, size):
            n = draw_number(rng)
            while not _fresh(n, n + step, used):
                n = draw_number(rng)
            used |= {n, n + step}
            chosen.append((wording, n, n + step))
    return [_number_row(rng, wording, n, result, used) for wording, n, result in chosen]


def _fresh(n: int, result: int, used: set[int]) -> bool:
    """Whether a row may use `n` and `result`, neither of which is taken or gives the other away."""
    if any(m in used or m in YEARS or not SMALLEST <= m <= LARGEST for m in (n, result)):
        return False
    return n == result or not overlap(spell(result), spell(n, case="oblique"))


def _number_row(rng: Random, wording: Wording, n: int, result: int, used: set[int]) -> SkillRow:
    write = digits if wording.name.startswith("to-digits") else spell
    near = [m for m in near_numbers(rng, result) if m not in used]
    return make_row(
        id=f"skill-number-{n}",
        task="numbers",
        entities=[f"number:{m}" for m in dict.fromkeys((n, result))],
        level="easy" if n < 10_000 else "hard",
        wording=wording,
        fields={"digits": digits(n), "words": spell(n), "oblique": spell(n, case="oblique")},
        answer=write(result),
        wrong=pick_wrong(write(result), map(write, near)),
    )


# --- units -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Conversion:
    """A larger unit and the smaller one that `factor` of make it up."""

    key: str
    large: Noun
    small: Noun
    factor: int
    most: int  # amounts run from 2 to this


CONVERSIONS = (
    Conversion("km-m", Noun("كيلومتر", "كيلومترات"), Noun("متر", "أمتار"), 1000, 99),
    Conversion("kg-g", Noun("كيلوغرام", "كيلوغرامات"), Noun("غرام", "غرامات"), 1000, 99),
    Conversion("l-ml", Noun("لتر", "لترات"), Noun("مليلتر", "مليلترات"), 1000, 99),
    Conversion("riyal-halala", Noun("ريال", "ريالات"), Noun("هللة", "هللات", "f"), 100, 99),
    Conversion("hour-minute", Noun("ساعة", "ساعات", "f"), Noun("دقيقة", "دقائق", "f"), 60, 72),
    Conversion("day-hour", Noun("يوم", "أيام"), Noun("ساعة", "ساعات", "f"), 24, 60),
)
UNITS = wordings(
    "units",
    "في {amount} {answer}.",
    {
        "how-many": "كم {small} في {amount}؟",
        "number": "ما عدد ال{smalls} في {amount}؟",
        "compute": "احسب عدد ال{smalls} في {amount}.",
        "write": "اكتب {object} بال{smalls}.",
    },
    "المقدار المعطى هو {nominative}، فكم يساوي بال{smalls}؟",
)


def units() -> tuple[list[SkillRow], frozenset[int]]:
    """Conversions to the smaller unit, half in digits and half in words, and every integer that they mention."""
    rng = Random("skills/units")
    rows: list[SkillRow] = []
    mentioned: set[int] = set()
    for conversion in CONVERSIONS:
        amounts = sorted(rng.sample(range(2, conversion.most + 1), 42))
        for i, (n, wording) in enumerate(zip(amounts, mixed(rng, UNITS, len(amounts)), strict=True)):
            near = _near_amounts(rng, n, conversion.factor)
            mentioned |= {n * conversion.factor, *near}
            rows.append(_unit_row(conversion, n, near, wording, in_words=i % 2 == 1))
    return rows, frozenset(mentioned)


def _near_amounts(rng: Random, n: int, factor: int) -> list[int]:
    """What one gets by slipping: a factor ten times off, the neighbour's value, swapped digits, 100 minutes an hour."""
    slips = {n * factor * 10, n * factor // 10, (n + 1) * factor, (n - 1) * factor, int(str(n)[::-1]) * factor}
    if factor < 100:
        slips |= {n * 100, n * (84 - factor)}  # minutes taken for hours and the other way round
    near = sorted(slips - {n, n * factor})
    rng.shuffle(near)
    return near


def _unit_row(conversion: Conversion, n: int, near: list[int], wording: Wording, in_words: bool) -> SkillRow:
    write = count if in_words else count_in_digits
    answer = write(n * conversion.factor, conversion.small)
    return make_row(
        id=f"skill-unit-{conversion.key}-{n}",
        task="units",
        entities=[f"unit:{conversion.key}:{n}"],
        level="easy" if n <= 12 else "hard",
        wording=wording,
        fields={
            "amount": write(n, conversion.large, "oblique"),
            "nominative": write(n, conversion.large),
            "object": write(n, conversion.large, "accusative"),
            "small": conversion.small.accusative,
            "smalls": conversion.small.plural,
        },
        answer=answer,
        wrong=pick_wrong(answer, (write(m, conversion.small) for m in near)),
    )


# --- comparison --------------------------------------------------------------------------------------------------

GREATER = wordings(
    "greater",
    "العدد الأكبر بين {list} هو {answer}.",
    {
        "which": "أيهما أكبر: {either}؟",
        "what": "ما العدد الأكبر بين {list}؟",
        "mention": "اذكر الأكبر من العددين {list}.",
        "compare": "قارن بين {list}، فأيهما أكبر؟",
    },
    "غرفتان في فندق رقماهما {list}، فأي الرقمين أكبر؟",
)
SMALLER = wordings(
    "smaller",
    "العدد الأصغر بين {list} هو {answer}.",
    {
        "which": "أيهما أصغر: {either}؟",
        "what": "ما العدد الأصغر بين {list}؟",
        "mention": "اذكر الأصغر من العددين {list}.",
        "compare": "قارن بين {list}، فأيهما أصغر؟",
    },
    "غرفتان في فندق رقماهما {list}، فأي الرقمين أصغر؟",
)
LARGEST_OF_FOUR = wordings(
    "largest",
    "أكبر هذه الأعداد هو {answer}.",
    {
        "what": "ما أكبر عدد بين الأعداد {commas}؟",
        "which": "أي الأعداد الآتية هو الأكبر: {commas}؟",
        "choose": "اختر العدد الأكبر من الأعداد {commas}.",
        "mention": "اذكر أكبر الأعداد الآتية: {commas}.",
    },
    "سجل أربعة لاعبين النقاط الآتية: {commas}. فما أعلى رصيد؟",
)
SMALLEST_OF_FOUR = wordings(
    "smallest",
    "أصغر هذه الأعداد هو {answer}.",
    {
        "what": "ما أصغر عدد بين الأعداد {commas}؟",
        "which": "أي الأعداد الآتية هو الأصغر: {commas}؟",
        "choose": "اختر العدد الأصغر من الأعداد {commas}.",
        "mention": "اذكر أصغر الأعداد الآتية: {commas}.",
    },
    "سجل أربعة لاعبين النقاط الآتية: {commas}. فما أدنى رصيد؟",
)
ASCENDING = wordings(
    "ascending",
    "الترتيب من الأصغر إلى الأكبر هو: {answer}.",
    {
        "sort": "رتب الأعداد {commas} من الأصغر إلى الأكبر.",
        "what": "ما الترتيب التصاعدي للأعداد {commas}؟",
        "how": "كيف ترتب الأعداد {commas} تصاعدياً؟",
        "write": "اكتب الأعداد {commas} بترتيب تصاعدي.",
    },
    "لدي ثلاث بطاقات أرقامها {commas}، وأريد أن أبدأ بالأصغر وأنتهي بالأكبر.",
)
DESCENDING = wordings(
    "descending",
    "الترتيب من الأكبر إلى الأصغر هو: {answer}.",
    {
        "sort": "رتب الأعداد {commas} من الأكبر إلى الأصغر.",
        "what": "ما الترتيب التنازلي للأعداد {commas}؟",
        "how": "كيف ترتب الأعداد {commas} تنازلياً؟",
        "write": "اكتب الأعداد {commas} بترتيب تنازلي.",
    },
    "لدي ثلاث بطاقات أرقامها {commas}، وأريد أن أبدأ بالأكبر وأنتهي بالأصغر.",
)


def comparison() -> list[SkillRow]:
    """The greater and the smaller of two, the extremes of four, three numbers in order; all below 1000."""
    rng = Random("skills/comparison")
    plan = [(GREATER, 2, 50), (SMALLER, 2, 50), (LARGEST_OF_FOUR, 4, 40), (SMALLEST_OF_FOUR, 4, 40)]
    plan += [(ASCENDING, 3, 35), (DESCENDING, 3, 35)]
    rows: list[SkillRow] = []
    used: set[tuple[int, ...]] = set()
    for kind, size, amount in plan:
        for wording in mixed(rng, kind, amount):
            close = rng.random() < 0.5
            shown = _draw_shown(rng, size, close)
            while tuple(sorted(shown)) in used:
                shown = _draw_shown(rng, size, close)
            used.add(tuple(sorted(shown)))
            rows.append(_comparison_row(rng, wording, shown, "hard" if close else "easy"))
    return rows


def _draw_shown(rng: Random, size: int, close: bool) -> list[int]:
    """Distinct numbers of three digits, more than two never in order; with `close` the first digit is shared."""
    pool = range(100, 1000)
    if close:
        hundred = rng.randrange(1, 10) * 100
        pool = range(hundred, hundred + 100)
    shown = rng.sample(pool, size)
    while size > 2 and shown in (sorted(shown), sorted(shown, reverse=True)):
        rng.shuffle(shown)
    return shown


def _comparison_row(rng: Random, wording: Wording, shown: list[int], level: Level) -> SkillRow:
    kind = wording.name.split("-")[0]
    if kind in ("ascending", "descending"):
        right = sorted(shown, reverse=kind == "descending")
        orders = sorted(set(permutations(shown)) - {tuple(right)})
        rng.shuffle(orders)
        answer, candidates = _commas(right), [_commas(order) for order in orders]
    else:
        best = max(shown) if kind in ("greater", "largest") else min(shown)
        # Two numbers leave one wrong choice; the others misread a digit.
        near = [n for n in near_numbers(rng, best) if n not in shown]
        answer, candidates = digits(best), [digits(n) for n in (*shown, *near) if n != best]
    return make_row(
        id=f"skill-comparison-{kind}-{'-'.join(map(str, sorted(shown)))}",
        task="comparison",
        entities=[f"comparison:{'-'.join(map(str, sorted(shown)))}"],
        level=level,
        wording=wording,
        fields={
            "list": " و".join(map(digits, shown)),
            "either": " أم ".join(map(digits, shown)),
            "commas": _commas(shown),
        },
        answer=answer,
        wrong=pick_wrong(answer, candidates),
    )


def _commas(numbers: Sequence[int]) -> str:
    return "، ".join(map(digits, numbers))
