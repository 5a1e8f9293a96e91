"""How an answer is written, counted and not judged: digits, punctuation, vowel marks, words of a dialect, flags.

Every count is kept per answer; a share is made of sums over answers, so that a long answer counts for what it says.
"""

from __future__ import annotations

import unicodedata

from stages.arabic.dialects import ALL_MARKERS, MARKERS, words
from stages.core.params import Limits
from stages.core.schema import StyleCounts
from stages.rows.row_flags import flags_of

ARABIC_MARKS, LATIN_MARKS = "،؛؟", ",;?"
EASTERN_DIGITS = "٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹"  # Arabic-Indic, and their Persian forms
WESTERN_DIGITS = "0123456789"


def counts(text: str) -> StyleCounts:
    """Letters, vowel marks, digits and punctuation by system, words, and words that mark a dialect."""
    said = words(text)
    eastern = sum(sign in EASTERN_DIGITS for sign in text)
    arabic = sum(sign in ARABIC_MARKS for sign in text)
    return {
        "letters": sum(unicodedata.category(sign)[0] == "L" for sign in text),
        "diacritics": sum("\u064b" <= sign <= "\u0652" or sign == "\u0670" for sign in text),
        "digits": eastern + sum(sign in WESTERN_DIGITS for sign in text),
        "eastern_digits": eastern,
        "marks": arabic + sum(sign in LATIN_MARKS for sign in text),
        "arabic_marks": arabic,
        "words": len(said),
        "dialect_words": sum(word in ALL_MARKERS for word in said),
        "dialects": {name: hits for name, marks in MARKERS.items() if (hits := sum(word in marks for word in said))},
    }


def flags(text: str, limits: Limits) -> list[str]:
    """What the data filter would hold against the answer, were it a row to train on."""
    return flags_of({"completion": [{"role": "assistant", "content": text}], "license": "own"}, limits)
