"""Verifiable rows on amounts of money: the counted noun, sub-units, change, sums of two prices, the price of one.

Every amount stays below 1000, so that no number ties these rows to the drills on numbers and units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from random import Random

from stages.arabic.numbers import Case, Noun, count, count_in_digits, spell, to_arabic_digits
from stages.authoring.rows import SkillRow, gives_away, make_row, mixed, pick_wrong, wordings, words_overlap


@dataclass(frozen=True)
class Currency:
    """A unit of money, a hundredth of it where one is asked for, and the notes that people pay with."""

    key: str
    unit: Noun
    notes: tuple[int, ...]
    small_key: str = ""
    small: Noun | None = None


CURRENCIES = (
    Currency("riyal", Noun("ريال", "ريالات"), (20, 50, 100), "halala", Noun("هللة", "هللات", "f")),
    Currency("dinar", Noun("دينار", "دنانير"), (10, 20)),
    Currency("dirham", Noun("درهم", "دراهم"), (20, 50, 100), "fils", Noun("فلس", "فلوس")),
    Currency("pound", Noun("جنيه", "جنيهات"), (20, 50, 100), "qirsh", Noun("قرش", "قروش")),
    Currency("lira", Noun("ليرة", "ليرات", "f"), (20, 50, 100), "qirsh", Noun("قرش", "قروش")),
)
COUNTED = {key: noun for c in CURRENCIES for key, noun in ((c.key, c.unit), (c.small_key, c.small)) if noun}
AMOUNTS = (*range(3, 20), *range(3, 20), *range(21, 100), *range(100, 1000, 100))

# What is bought.
GOODS = tuple(
    Noun(singular, plural, "f" if singular.endswith("ة") else "m")
    for singular, plural in (
        ("دفتر", "دفاتر"),
        ("قلم", "أقلام"),
        ("كتاب", "كتب"),
        ("مسطرة", "مساطر"),
        ("حقيبة", "حقائب"),
        ("وردة", "ورود"),
        ("قميص", "قمصان"),
        ("فنجان", "فناجين"),
        ("مجلة", "مجلات"),
        ("فطيرة", "فطائر"),
        ("مصباح", "مصابيح"),
        ("مظلة", "مظلات"),
        ("وسادة", "وسائد"),
        ("مفتاح", "مفاتيح"),
        ("خاتم", "خواتم"),
        ("قبعة", "قبعات"),
        ("طبق", "أطباق"),
        ("منشفة", "مناشف"),
        ("صابونة", "صابونات"),
        ("شمعة", "شموع"),
        ("كرسي", "كراسي"),
        ("ملعقة", "ملاعق"),
        ("بطيخة", "بطيخات"),
        ("تذكرة", "تذاكر"),
        ("بطاقة", "بطاقات"),
        ("لعبة", "ألعاب"),
        ("صندوق", "صناديق"),
        ("إبريق", "أباريق"),
    )
)

AMOUNT = wordings(
    "amount",
    "يكتب هذا المبلغ بالحروف هكذا: {answer}.",
    {
        "how": "كيف يكتب بالحروف مبلغ قدره {digits} بعملة «{unit}»؟",
        "write": "اكتب بالحروف العدد {digits} مع تمييزه «{unit}».",
        "read": "كيف يقرأ العدد {digits} إذا كان المعدود «{unit}»؟",
        "receipt": "ما الذي يكتب في خانة «المبلغ بالحروف» إذا كان العدد {digits} والعملة «{unit}»؟",
    },
    "أحرر إيصالاً، فكيف أثبت فيه المبلغ {digits} بالحروف إذا كانت الوحدة «{unit}»؟",
)
SMALL = wordings(
    "small",
    "المبلغ بال{smalls} هو {answer}.",
    {
        "how-many": "إذا كان في ال{unit} مئة {small}، فكم {accusative} في {amount}؟",
        "convert": "حول {object} إلى {smalls}، علماً أن في ال{unit} مئة {small}.",
        "worth": "في ال{unit} مئة {small}، فما قيمة {amount} بال{smalls}؟",
        "write": "اكتب مبلغاً قدره {nominative} بال{smalls} وحدها، وفي ال{unit} مئة {small}.",
    },
    "أريد أن أفك {object} إلى {smalls} معدنية، وفي ال{unit} مئة {small}، فكم أستلم؟",
)
CHANGE = wordings(
    "change",
    "الباقي هو {answer}.",
    {
        "left": "اشتريت {bought} {its} {price}، ودفعت ورقة من فئة {note}، فكم الباقي؟",
        "returns": "ثمن {thing} {price}، وأعطى المشتري البائع {note}، فكم يرد إليه؟",
        "remains": "كان معي {nominative}، ثم اشتريت {bought} {its} {price}، فكم بقي معي؟",
        "compute": "احسب ما يرده البائع بعد شراء {thing}: الثمن {price}، والمدفوع {nominative}.",
    },
    "أعطيت صاحب الدكان {note} لقاء {thing} {its} {price}، فكم يعيد إلي؟",
)
SUM = wordings(
    "sum",
    "المجموع هو {answer}.",
    {
        "both": "ثمن ال{one} {first}، وثمن ال{two} {second}، فكم ثمنهما معاً؟",
        "pay": "أريد شراء {one} بسعر {first_of} و{two} بسعر {second_of}، فكم أدفع؟",
        "total": "ما مجموع الثمنين إذا كان سعر ال{one} {first_of} وسعر ال{two} {second_of}؟",
        "add": "اجمع ثمن {one} وثمن {two}، وهما {first} و{second}.",
    },
    "في الفاتورة بندان: {one} {its_first} {first} و{two} {its_second} {second}، فما مبلغها؟",
)
ONE = wordings(
    "one",
    "ثمن ال{thing} {single} هو {answer}.",
    {
        "price": "ثمن {things} متشابهة {total}، فكم ثمن ال{thing} {single}؟",
        "bought": "دفعت هند {total_paid} لشراء {things} بسعر واحد، فما ثمن ال{thing} {single}؟",
        "divide": "اقسم {total_paid} على {things} لتعرف ثمن ال{thing} {single}.",
        "equal": "اشترى خالد {things} بسعر موحد، وبلغت الفاتورة {total_paid}، فبكم ال{thing} {single}؟",
    },
    "يعرض المتجر {things} مقابل {total_of}، فكم يكلفني شراء {thing} {bare_single}؟",
)

Write = Callable[..., str]


def money() -> list[SkillRow]:
    """220 rows; each kind goes round the currencies."""
    rng = Random("skills/money")
    kinds = (_amounts(rng, 64), _sub_units(rng, 36), _changes(rng, 45), _sums(rng, 45), _prices_of_one(rng, 30))
    return [row for rows in kinds for row in rows]


def _amounts(rng: Random, size: int) -> Iterator[SkillRow]:
    """An amount in words: the noun's form, the numeral's gender and the amount itself can go wrong."""
    used: set[tuple[str, int]] = set()
    for i, (key, wording) in enumerate(zip(islice(cycle(COUNTED), size), mixed(rng, AMOUNT, size), strict=True)):
        noun = COUNTED[key]
        n = (1, 2, 11, 200)[i // len(COUNTED)] if i < 4 * len(COUNTED) else rng.choice(AMOUNTS)
        while (key, n) in used:
            n = rng.choice(AMOUNTS)
        used.add((key, n))
        yield make_row(
            id=f"skill-money-amount-{key}-{n}",
            task="money",
            entities=[f"money:{key}-{n}"],
            level="easy" if n <= 10 else "hard",
            wording=wording,
            fields={"digits": to_arabic_digits(str(n)), "unit": noun.singular},
            answer=count(n, noun),
            wrong=pick_wrong(count(n, noun), misspelled(n, noun), words_overlap),
            alike=words_overlap,
        )


def misspelled(n: int, noun: Noun) -> list[str]:
    """What a careless writer makes of `n` of the noun: the wrong gender, the wrong form of the noun, another amount."""
    other = replace(noun, gender="f" if noun.gender == "m" else "m")
    if n <= 2:
        numeral = spell(n, noun.gender)
        return [f"{numeral} {noun.plural}", f"{noun.singular} {spell(n, other.gender)}", count(n + 10, other)]
    right = count(n, noun)
    numeral = right.rsplit(" ", 1)[0]
    forms = dict.fromkeys(form for form in (noun.plural, noun.accusative, noun.singular) if form != noun.after(n))
    wrong = [count(n, other), *(f"{numeral} {form}" for form in forms)]
    wrong += [count(n + step, noun) for step in (1, 10, 100)]
    return [text for text in wrong if text != right]


def _sub_units(rng: Random, size: int) -> Iterator[SkillRow]:
    """Whole units and a part of one, in the unit that a hundred of make it up."""
    used: set[tuple[str, int]] = set()
    split = [c for c in CURRENCIES if c.small]
    for currency, wording in zip(islice(cycle(split), size), mixed(rng, SMALL, size), strict=True):
        assert currency.small is not None
        part = rng.choice((25, 50, 75))
        total = rng.randrange(1, 10) * 100 + part
        while (currency.key, total) in used:
            total = rng.randrange(1, 10) * 100 + rng.choice((10, 20, 25, 30, 40, 50, 60, 75, 80, 90))
        used.add((currency.key, total))
        whole, part = divmod(total, 100)

        def amount(case: Case, currency: Currency = currency, whole: int = whole, part: int = part) -> str:
            assert currency.small is not None
            one = currency.unit.accusative if case == "accusative" else currency.unit.singular
            units = one if whole == 1 else count(whole, currency.unit, case)
            return f"{units} و{count(part, currency.small, case)}"

        answer = count(total, currency.small)
        near = [whole * 10 + part, whole + part, total + 100, total - part, total + 10, whole * 100 + 5]
        yield make_row(
            id=f"skill-money-small-{currency.key}-{total}",
            task="money",
            entities=[f"money:{currency.key}-{currency.small_key}-{total}"],
            level="easy" if whole < 3 else "hard",
            wording=wording,
            fields={
                "unit": currency.unit.singular,
                "small": currency.small.singular,
                "smalls": currency.small.plural,
                "accusative": currency.small.accusative,
                "amount": amount("oblique"),
                "nominative": amount("nominative"),
                "object": amount("accusative"),
            },
            answer=answer,
            wrong=pick_wrong(answer, [count(n, currency.small) for n in near if n < 1000]),
        )


def _changes(rng: Random, size: int) -> Iterator[SkillRow]:
    """What is left of a note; prices in words and in digits take turns."""
    used: set[tuple[str, int, int]] = set()
    deck = mixed(rng, CHANGE, size)
    for i, (currency, wording) in enumerate(zip(islice(cycle(CURRENCIES), size), deck, strict=True)):
        write: Write = count if i % 2 else count_in_digits
        while True:
            note, thing = rng.choice(currency.notes), rng.choice(GOODS)
            price = rng.randrange(2, note - 1)
            fields = {
                "thing": thing.singular,
                "bought": thing.accusative,
                "its": _its_price(thing),
                "price": write(price, currency.unit),
                "note": write(note, currency.unit, "oblique"),
                "nominative": write(note, currency.unit),
            }
            answer = write(note - price, currency.unit)
            if (currency.key, note, price) not in used and not gives_away(wording, fields, answer):
                break
        used.add((currency.key, note, price))
        near = _near(rng, note - price, {note, price, note + price})
        yield make_row(
            id=f"skill-money-change-{currency.key}-{note}-{price}",
            task="money",
            entities=[f"money:{currency.key}-{note}-less-{price}"],
            level="easy" if note <= 20 else "hard",
            wording=wording,
            fields=fields,
            answer=answer,
            wrong=pick_wrong(answer, [write(n, currency.unit) for n in near]),
        )


def _sums(rng: Random, size: int) -> Iterator[SkillRow]:
    """Two prices together, below a hundred."""
    used: set[tuple[str, int, int]] = set()
    for i, (currency, wording) in enumerate(zip(islice(cycle(CURRENCIES), size), mixed(rng, SUM, size), strict=True)):
        write: Write = count if i % 2 else count_in_digits
        while True:
            one, two = rng.sample(GOODS, 2)
            first, second = rng.randrange(2, 50), rng.randrange(2, 50)
            fields = {
                "one": one.singular,
                "two": two.singular,
                "its_first": _its_price(one),
                "its_second": _its_price(two),
                "first": write(first, currency.unit),
                "second": write(second, currency.unit),
                "first_of": write(first, currency.unit, "oblique"),
                "second_of": write(second, currency.unit, "oblique"),
            }
            answer = write(first + second, currency.unit)
            if (currency.key, first, second) not in used and not gives_away(wording, fields, answer):
                break
        used.add((currency.key, first, second))
        near = _near(rng, first + second, {first, second, abs(first - second)})
        yield make_row(
            id=f"skill-money-sum-{currency.key}-{first}-{second}",
            task="money",
            entities=[f"money:{currency.key}-{first}-and-{second}"],
            level="easy" if first + second <= 20 else "hard",
            wording=wording,
            fields=fields,
            answer=answer,
            wrong=pick_wrong(answer, [write(n, currency.unit) for n in near]),
        )


def _prices_of_one(rng: Random, size: int) -> Iterator[SkillRow]:
    """The price of one of several things that cost the same."""
    used: set[tuple[str, int, int]] = set()
    for i, (currency, wording) in enumerate(zip(islice(cycle(CURRENCIES), size), mixed(rng, ONE, size), strict=True)):
        write: Write = count if i % 2 else count_in_digits
        while True:
            thing, amount, price = rng.choice(GOODS), rng.randrange(3, 11), rng.randrange(2, 15)
            fields = {
                "thing": thing.singular,
                "things": write(amount, thing, "oblique"),
                "single": "الواحدة" if thing.gender == "f" else "الواحد",
                "bare_single": "واحدة" if thing.gender == "f" else "واحد",
                "total": write(amount * price, currency.unit),
                "total_of": write(amount * price, currency.unit, "oblique"),
                "total_paid": write(amount * price, currency.unit, "accusative"),
            }
            answer = write(price, currency.unit)
            fresh = amount * price < 100 and (currency.key, amount, price) not in used
            if fresh and not gives_away(wording, fields, answer):
                break
        used.add((currency.key, amount, price))
        near = _near(rng, price, {amount, amount * price})
        yield make_row(
            id=f"skill-money-one-{currency.key}-{amount}-{price}",
            task="money",
            entities=[f"money:{currency.key}-{amount * price}-by-{amount}"],
            level="easy" if amount * price <= 30 else "hard",
            wording=wording,
            fields=fields,
            answer=answer,
            wrong=pick_wrong(answer, [write(n, currency.unit) for n in near]),
        )


def _its_price(thing: Noun) -> str:
    return "ثمنها" if thing.gender == "f" else "ثمنه"


def _near(rng: Random, n: int, slips: set[int]) -> list[int]:
    """Amounts one gets by slipping: the figures of the question, a unit or ten too many or too few."""
    near = sorted((slips | {n + step for step in (-10, -2, -1, 1, 2, 10)}) - {n})
    rng.shuffle(near)
    return [m for m in near if 2 <= m < 200]
