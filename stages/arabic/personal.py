"""Personal data in a text, by form and check digits: what a model should never learn to say.

Saudi national and residence numbers (Luhn), Saudi mobiles and international numbers of Arab countries, IBANs (ISO
13616: length by country, modulo 97), payment cards (ISO/IEC 7812: Luhn and the networks' prefixes), e-mail addresses.
Digits may be Western, Arabic-Indic or Persian. A number that merely passes its check by chance is found too: one in
ten of the ten-digit numbers that begin with 1 or 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from stages.arabic.numbers import to_western_digits

MASKS = {"email": "[بريد]", "iban": "[آيبان]", "card": "[بطاقة]", "mobile": "[جوال]", "saudi_id": "[هوية]"}

# Total length by country: the Arab countries, and those from which transfers to them often come.
_IBAN_LENGTHS = {
    **{"SA": 24, "AE": 23, "KW": 30, "QA": 29, "BH": 22, "OM": 23, "JO": 30, "LB": 28, "PS": 29, "IQ": 23, "EG": 29},
    **{"SD": 18, "LY": 25, "TN": 24, "DZ": 26, "MA": 28, "MR": 27, "YE": 30, "SO": 23, "DJ": 27},
    **{"TR": 26, "PK": 24, "GB": 22, "DE": 22, "FR": 27, "ES": 24, "IT": 27, "NL": 18},
}
_ARAB_CALLING_CODES = "20|21[1-8]|222|249|25[23]|269|96[1-8]|97[0134]"
# Visa; Mastercard; American Express; Diners; Discover, UnionPay and Maestro.
_CARD_NETWORKS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0|6|8)\d{12}|6\d{15,18}"
)

# Nothing but an @ or nine digits in a row can be personal data here: most texts cost one quick search.
_NINE_DIGITS = re.compile(r"\d(?:[ -]?\d){8}")
_IBAN = "|".join(f"{country}[0-9]{{2}}(?: ?[A-Z0-9]){{{length - 4}}}" for country, length in _IBAN_LENGTHS.items())
_FORMS = {
    "email": r"(?<![A-Z0-9._%+-])[A-Z0-9._%+-]{1,64}@(?:[A-Z0-9-]{1,63}\.){1,8}[A-Z]{2,24}",
    "iban": rf"(?<![A-Z0-9])(?:{_IBAN})(?![A-Z0-9])",
    "mobile": r"(?<![A-Z0-9.+])(?:(?:(?:\+|00)?966[ -]?0?|0)5(?:[ -]?\d){8}"
    rf"|(?:\+|00)(?:{_ARAB_CALLING_CODES})(?:[ -]?\d){{7,10}})(?![A-Z0-9])",
    "card": r"(?<![A-Z0-9.+])(?:\d{13,19}|\d{4}(?P<four>[ -])\d{4}(?P=four)\d{4}(?P=four)\d{1,7}"
    r"|\d{4}(?P<six>[ -])\d{6}(?P=six)\d{5})(?![A-Z0-9])",
    "saudi_id": r"(?<![A-Z0-9.+])[12]\d{9}(?![A-Z0-9])",
}
_ANY = re.compile("|".join(f"(?P<{kind}>{form})" for kind, form in _FORMS.items()), re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """One piece of personal data: its kind, a key of `MASKS`, and where it stands."""

    kind: str
    start: int
    end: int


def find(text: str) -> list[Found]:
    """Everything found, in the order of the text, without overlaps."""
    if "@" not in text and not _NINE_DIGITS.search(text):
        return []
    return list(_candidates(to_western_digits(text)))


def mask(text: str) -> str:
    """``text`` with each piece replaced by its mask, «[جوال]» for a mobile."""
    parts, last = [], 0
    for found in find(text):
        parts += [text[last : found.start], MASKS[found.kind]]
        last = found.end
    return "".join([*parts, text[last:]])


def _candidates(text: str) -> Iterator[Found]:
    position = 0
    while match := _ANY.search(text, position):
        kind = next(kind for kind in _FORMS if match[kind])
        if _valid(kind, match[kind]):
            yield Found(kind, *match.span(kind))
            position = match.end(kind)
        else:
            position = match.start(kind) + 1  # what failed may hold a shorter one that passes


def _valid(kind: str, text: str) -> bool:
    characters = re.sub("[ -]", "", text)
    if kind == "saudi_id":
        return _passes_luhn(characters)
    if kind == "card":
        return bool(_CARD_NETWORKS.fullmatch(characters)) and _passes_luhn(characters)
    if kind == "iban":
        turned = characters[4:] + characters[:4]
        return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1
    return True


def _passes_luhn(digits: str) -> bool:
    """Every second digit from the right is doubled; the digits of all results add up to a multiple of ten."""
    total = sum(map(int, digits[::-2])) + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return total % 10 == 0
