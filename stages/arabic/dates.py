"""Arabic dates: months of both calendars, weekdays, and a date in words or digits."""

from __future__ import annotations

from datetime import date

from stages.arabic.numbers import Case, ordinal, spell, to_arabic_digits

GREGORIAN = [
    "يناير",
    "فبراير",
    "مارس",
    "أبريل",
    "مايو",
    "يونيو",
    "يوليو",
    "أغسطس",
    "سبتمبر",
    "أكتوبر",
    "نوفمبر",
    "ديسمبر",
]
HIJRI = ["محرم", "صفر", "ربيع الأول", "ربيع الآخر", "جمادى الأولى", "جمادى الآخرة"]
HIJRI += ["رجب", "شعبان", "رمضان", "شوال", "ذو القعدة", "ذو الحجة"]
WEEKDAYS = ["الأحد", "الاثنين", "الثلاثاء", "الأربعاء", "الخميس", "الجمعة", "السبت"]


def date_in_words(day: date, case: Case = "nominative") -> str:
    """الخامس عشر من مارس عام ألفين وأربعة وعشرين; the year follows عام and so is oblique in any case."""
    month, year = GREGORIAN[day.month - 1], spell(day.year, case="oblique")
    return f"{ordinal(day.day, case=case)} من {month} عام {year}"


def date_in_digits(day: date) -> str:
    return to_arabic_digits(f"{day.day}/{day.month}/{day.year}")


def genitive(month: str) -> str:
    """The month's name after شهر: only the two that begin with ذو change."""
    return month.replace("ذو ", "ذي ")
