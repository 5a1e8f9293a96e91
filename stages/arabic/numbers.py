"""Arabic numerals in words: cardinals, ordinals and counted nouns, in modern spelling.

The rules of the counted noun (العدد والمعدود) live here once, because every drill, every answer key and the
pretraining text lean on them:

* 1 and 2 follow the noun's gender; 3 to 10 take the opposite one (ثلاثة كتب، ثلاث سنوات); both halves of 11 and 12
  agree, in 13 to 19 only the second half does (ثلاثة عشر كتاباً، ثلاث عشرة سنة).
* After 3 to 10 the noun is a plural, after 11 to 99 an accusative singular, after a full hundred a plain singular.
* A dual loses its nun in front of the noun it governs: مئتان, but مئتا ألف; ألفان, but ألفا ريال.
* 101 and 102 repeat the noun: مئة ألف وألف، ألف ريال وريالان.
* The object of a verb is not always spelled like what follows a preposition: في ثلاث وعشرين ساعة, but
  انتظر ثلاثاً وعشرين ساعة; من واحد وعشرين ريالاً, but دفع واحداً وعشرين ريالاً.

Thousands and millions are nouns that get counted, so one function serves them and everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Gender = Literal["m", "f"]
Case = Literal["nominative", "oblique", "accusative"]  # oblique: the genitive

LARGEST = 999_999_999
YEARS = range(1800, 2101)  # an integer of this range reads as a year: no drill asks it, no split is decided by it

_MASCULINE = ("صفر", "واحد", "اثنان", "ثلاثة", "أربعة", "خمسة", "ستة", "سبعة", "ثمانية", "تسعة", "عشرة")
_FEMININE = ("صفر", "واحدة", "اثنتان", "ثلاث", "أربع", "خمس", "ست", "سبع", "ثماني", "تسع", "عشر")
_TENS = ("", "", "عشر", "ثلاث", "أربع", "خمس", "ست", "سبع", "ثمان", "تسع")
_HUNDREDS = ("", "مئة", "مئت", "ثلاثمئة", "أربعمئة", "خمسمئة", "ستمئة", "سبعمئة", "ثمانمئة", "تسعمئة")
_ORDINALS = ("", "أول", "ثاني", "ثالث", "رابع", "خامس", "سادس", "سابع", "ثامن", "تاسع", "عاشر")

_TO_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_TO_WESTERN = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "01234567890123456789")


@dataclass(frozen=True)
class Noun:
    """A noun with regular dual and accusative endings; its plural may be broken (ساعة، ساعات; متر، أمتار)."""

    singular: str
    plural: str
    gender: Gender = "m"

    @property
    def accusative(self) -> str:
        """The indefinite accusative singular: متراً, but ساعة and ماء without an alef."""
        return self.singular if self.singular.endswith(("ة", "اء")) else self.singular + "اً"

    def dual(self, case: Case = "nominative", construct: bool = False) -> str:
        """متران and مترين; in construct مترا and متري."""
        stem = self.singular[:-1] + "ت" if self.singular.endswith("ة") else self.singular
        return stem + _dual_ending(case, construct)

    def after(self, n: int) -> str:
        """The form that follows the numeral `n`, for every `n` but 1 and 2."""
        if 3 <= n % 100 <= 10:
            return self.plural
        return self.accusative if n % 100 >= 11 else self.singular


_THOUSAND = Noun("ألف", "آلاف")
_MILLION = Noun("مليون", "ملايين")


def spell(n: int, gender: Gender = "m", case: Case = "nominative") -> str:
    """Spell `n` in words; `gender` is that of what is counted, "m" in plain counting.

    >>> spell(4372)
    'أربعة آلاف وثلاثمئة واثنان وسبعون'
    """
    _check(n, 0, LARGEST)
    return _words(n, gender, case, construct=False)


def count(n: int, noun: Noun, case: Case = "nominative") -> str:
    """Spell `n` together with what it counts.

    >>> count(11, Noun("كيلومتر", "كيلومترات"))
    'أحد عشر كيلومتراً'
    """
    _check(n, 0, LARGEST)
    if n == 1:
        return f"{_single(noun, case)} {_small(1, noun.gender, case, construct=False)}"
    return " و".join(_counted(n, noun, case, construct=False))


def count_in_digits(n: int, noun: Noun, case: Case = "nominative") -> str:
    """Like `count` with the numeral in Arabic-Indic digits; one and two have no digits: متر واحد، متران."""
    if n in (1, 2):
        return count(n, noun, case)
    _check(n, 0, LARGEST)
    return f"{to_arabic_digits(str(n))} {noun.after(n)}"


def ordinal(n: int, gender: Gender = "m", case: Case = "nominative") -> str:
    """The definite ordinal of 1 to 100: التاسع، الحادية عشرة، الخامس والعشرون."""
    _check(n, 1, 100)
    if n == 100:
        return "المئة"
    tens, unit = divmod(n, 10)
    if n <= 10:
        return _ordinal_unit(n, gender)
    if n < 20:
        return f"{_ordinal_unit(unit, gender, compound=True)} {'عشر' if gender == 'm' else 'عشرة'}"
    ten = "ال" + _ten(tens, case)
    return f"{_ordinal_unit(unit, gender, compound=True)} و{ten}" if unit else ten


def to_arabic_digits(text: str) -> str:
    """Replace Western digits by Arabic-Indic ones."""
    return text.translate(_TO_ARABIC)


def to_western_digits(text: str) -> str:
    """Replace Arabic-Indic and Persian digits by Western ones."""
    return text.translate(_TO_WESTERN)


def _check(n: int, least: int, most: int) -> None:
    if not least <= n <= most:
        raise ValueError(f"cannot put {n} into words: expected an integer from {least} to {most}")


def _words(n: int, gender: Gender, case: Case, construct: bool) -> str:
    """Spell `n`; with `construct` the last word stands right before the noun that it governs."""
    millions, rest = divmod(n, 1_000_000)
    thousands, below = divmod(rest, 1000)
    hundreds, small = divmod(below, 100)
    parts: list[str] = []
    if millions:
        parts += _counted(millions, _MILLION, case, construct and not rest)
    if thousands:
        parts += _counted(thousands, _THOUSAND, case, construct and not below)
    if hundreds == 2:
        parts.append("مئت" + _dual_ending(case, construct and not small))
    elif hundreds:
        parts.append(_HUNDREDS[hundreds])
    if small or not n:
        parts.append(_small(small, gender, case, construct))
    return " و".join(parts)


def _counted(n: int, noun: Noun, case: Case, construct: bool) -> list[str]:
    """The parts of "n nouns", still to be joined; a single noun stands without its numeral."""
    head, last = n - n % 100, n % 100
    if last in (1, 2):
        tail = noun.dual(case, construct) if last == 2 else noun.singular if construct else _single(noun, case)
        return [*_counted(head, noun, case, construct=False), tail] if head else [tail]
    form = noun.after(n)
    if construct and form == noun.accusative:
        form = noun.singular
    return [f"{_words(n, noun.gender, case, construct=True)} {form}"]


def _single(noun: Noun, case: Case) -> str:
    return noun.accusative if case == "accusative" else noun.singular


def _small(n: int, gender: Gender, case: Case, construct: bool) -> str:
    """Spell 0 to 99."""
    ones = _MASCULINE if gender == "m" else _FEMININE
    tens, unit = divmod(n, 10)
    if n == 2:
        return _two(gender) + _dual_ending(case, construct=False)
    if n <= 10 and case == "accusative" and not construct and not ones[n].endswith("ة"):
        return ones[n] + "اً"
    if n == 8 and gender == "f" and not construct:
        return "ثمانٍ"
    if n <= 10:
        return ones[n]
    if n < 20:
        teen = "عشر" if gender == "m" else "عشرة"
        if n == 11:
            return f"{'أحد' if gender == 'm' else 'إحدى'} {teen}"
        return f"{_two(gender) + _dual_ending(case, construct=True) if n == 12 else ones[unit]} {teen}"
    if not unit:
        return _ten(tens, case)
    first = "إحدى" if n % 10 == 1 and gender == "f" else _small(unit, gender, case, construct=False)
    return f"{first} و{_ten(tens, case)}"


def _two(gender: Gender) -> str:
    return "اثن" if gender == "m" else "اثنت"


def _ten(tens: int, case: Case) -> str:
    return _TENS[tens] + ("ون" if case == "nominative" else "ين")


def _dual_ending(case: Case, construct: bool) -> str:
    ending = "ان" if case == "nominative" else "ين"
    return ending[0] if construct else ending


def _ordinal_unit(n: int, gender: Gender, compound: bool = False) -> str:
    if n == 1:
        if compound:
            return "الحادي" if gender == "m" else "الحادية"
        return "الأول" if gender == "m" else "الأولى"
    return "ال" + _ORDINALS[n] + ("" if gender == "m" else "ة")
