"""Three levels of likeness between Arabic texts, each coarser than the one before.

* `raw`    what a reader sees: Unicode NFC only.
* `light`  the default of every metric: presentation forms, vowel marks, tatweel, invisible controls, digit systems and
  spacing no longer tell two texts apart.
* `folded` for exact match and containment of an answer, nothing else: it also merges the hamza seats, ى with ي and
  ة with ه, and drops punctuation. Real words collide in it (على, علي): never train on it or score fluency with it.

Each function is idempotent, and equal at one level means equal at every coarser one.
"""

from __future__ import annotations

import re
import unicodedata

_TASHKEEL = [*range(0x064B, 0x0653), 0x0670, *range(0x06D6, 0x06EE)]
_INVISIBLE = [
    0x00AD,  # soft hyphen
    0x061C,  # Arabic letter mark
    *range(0x200B, 0x2010),  # zero-width space, joiners, direction marks
    *range(0x202A, 0x202F),  # embeddings and overrides
    *range(0x2060, 0x2065),  # word joiner, invisible operators
    *range(0x2066, 0x206A),  # isolates
    0xFEFF,  # byte order mark
]
_LIGHT = {
    # Ordinary characters stand for themselves: `translate` finds what is in the table much faster than what is not.
    **{code: chr(code) for code in (*range(0x20, 0x7F), 0xAB, 0xBB, *range(0x0600, 0x0700))},
    **dict.fromkeys([*_TASHKEEL, *_INVISIBLE]),
    **str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "01234567890123456789"),
    **str.maketrans("یک", "يك"),
}
# A combining madda or hamza that found no letter to compose with goes too, or it would compose with a folded seat.
_FOLDED = {**str.maketrans("أإآٱىةؤئ", "اااايهوي"), **dict.fromkeys([0x0640, 0x0653, 0x0654, 0x0655])}

_LETTER = r"[^\W\d_]"
# A lone «هـ» is a choice label or "Hijri": its tatweel is part of the sign. Every other tatweel is decoration.
_TATWEEL = re.compile(rf"(?<!{_LETTER})(ه)ـ+(?!{_LETTER})|ـ+")
_DECIMAL = re.compile(r"(?<=[0-9])٫(?=[0-9])")


def raw(text: str) -> str:
    """Unicode NFC."""
    return unicodedata.normalize("NFC", text)


def light(text: str) -> str:
    """Fold what two careful writers may well do differently: forms, marks, tatweel, controls, digits and spaces."""
    text = unicodedata.normalize("NFKC", text).translate(_LIGHT)
    if "ـ" in text:
        text = _TATWEEL.sub(lambda match: "هـ" if match[1] else "", text)
    if "٫" in text:
        text = _DECIMAL.sub(".", text)
    # Characters that a dropped mark held apart may compose now.
    return " ".join(unicodedata.normalize("NFKC", text).split())


def folded(text: str, *, drop_article: bool = False) -> str:
    """Fold hamza seats, ى, ة and punctuation as well; with `drop_article` also the ال that opens the text."""
    text = light(text).translate(_FOLDED)
    kept = [" " if _is_dropped(text, i) else character for i, character in enumerate(text)]
    text = " ".join("".join(kept).split())
    return text.removeprefix("ال") if drop_article else text


def _is_dropped(text: str, i: int) -> bool:
    """Whether the character at `i` is punctuation; the point inside a decimal number is not."""
    if not unicodedata.category(text[i]).startswith("P"):
        return False
    inside_number = text[i] == "." and text[i - 1 : i].isdigit() and text[i + 1 : i + 2].isdigit()
    return not inside_number
