"""Finds runs of other scripts in an Arabic text, and Arabic in visual order.

Latin letters are no run of another script here: names, units and code use them, and a share of Arabic letters judges
them. PDF extraction gives Arabic in visual order: every word is spelled from its last letter to its first.
"""

from __future__ import annotations

import re
import unicodedata

from stages.arabic.language import asks_for_another_language
from stages.arabic.normalise import light

_GREEK = "\u0370-\u03ff\u1f00-\u1fff"
_OTHERS = (
    "\u0400-\u052f\u0531-\u058f\u05d0-\u05ea\u0700-\u074f\u0780-\u07bf\u07c0-\u07ff"  # Cyrillic to N'Ko
    "\u0900-\u0fff\u1000-\u10ff\u1200-\u139f\u1780-\u18af\u2d30-\u2d7f"  # Indic to Georgian, Tifinagh
    "\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\uac00-\ud7af\uff66-\uff9f"  # Kana and Hangul
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_RUN = re.compile(rf"[{_GREEK}{_OTHERS}](?:[^\w()«»\[\]]*[{_GREEK}{_OTHERS}])*")
_GREEK_SYMBOL = re.compile(rf"[{_GREEK}]{{1,2}}")
_SYMBOLS = 2  # single letters of other scripts that a text may hold, such as ツ

_GLOSS_LETTERS, _GLOSS_WORDS, _GLOSS_SHARE = (
    40,
    4,
    0.25,
)  # of a foreign term in brackets, which explains the word before it
_OPENING, _CLOSING = '([«"“', ')]»"”'

# A word in visual order begins with what only ends a word, or ends with the article. The second alone is no proof:
# «قائلا» ends so too.
_ENDS_FIRST = re.compile(r"[ةى][ء-ي]{2,}")
_ARTICLE_LAST = re.compile(r"(?!ال)[ء-ي]{3,}(?:لا|لاو|لاب|لاف|للو|لاك)")
_ARTICLE_FIRST = re.compile(r"[وفبك]?ال")
_FUNCTION = "في على إلى أن إن التي الذي الذين ذلك هذا كان كانت بعد بين غير إذا حيث منذ لدى"
_FUNCTION_WORDS = frozenset(_FUNCTION.split())
_MIRRORED = frozenset(word[::-1] for word in _FUNCTION_WORDS)
_SHAPES = re.compile("[\ufe70-\ufefc]")  # as copied from a PDF
_LEAST_MIRRORED = 2


def has_other_script(text: str, prompt: str) -> bool:
    """Whether the text holds words of another script that its prompt neither asks for nor holds.

    A symbol (π, ツ) and a short term in brackets behind its Arabic name are no such words.
    """
    runs = list(_RUN.finditer(text))
    if not runs:
        return False
    symbols = [run for run in runs if len(run[0]) == 1 and not _GREEK_SYMBOL.fullmatch(run[0])]
    words = [run for run in runs if len(run[0]) > 1 and not _GREEK_SYMBOL.fullmatch(run[0])]
    if not words and len(symbols) <= _SYMBOLS:
        return False
    if asks_for_another_language(prompt) or all(run[0] in prompt for run in runs):
        return False
    glossed = [run for run in words if _is_gloss(text, run)]
    letters = sum(map(str.isalpha, text))
    is_short = sum(len(run[0]) for run in glossed) <= _GLOSS_SHARE * letters
    return len(glossed) < len(words) or not is_short or len(symbols) > _SYMBOLS


def _is_gloss(text: str, run: re.Match[str]) -> bool:
    """Whether a run is a short term in brackets or quotation marks of its own, as in «طوكيو (東京)»."""
    if len(run[0]) > _GLOSS_LETTERS or len(run[0].split()) > _GLOSS_WORDS:
        return False
    before, after = text[: run.start()].rstrip(), text[run.end() :].lstrip()
    opened = max((before.rfind(mark) for mark in _OPENING), default=-1)
    closed = max((before.rfind(mark) for mark in ")]»”"), default=-1)
    return (
        opened > closed
        and opened >= len(before) - _GLOSS_LETTERS
        and any(mark in after[:_GLOSS_LETTERS] for mark in _CLOSING)
    )


def is_reversed(text: str, *, is_plain: bool = False) -> bool:
    """Whether most words of an Arabic text, or of one of its lines, are spelled backwards.

    A text that ``is_plain`` is known to hold no shapes of letters (U+FE70 and up).
    """
    if not (_may_be_reversed(text) or (not is_plain and _SHAPES.search(text))):
        return False
    return any(_is_reversed_line(line) for line in [text, *text.splitlines()])


def _may_be_reversed(text: str) -> bool:
    """A quick look: most texts have none of the signs."""
    if " ة" in text or " ى" in text or text[:1] in ("ة", "ى") or "\nة" in text or "\nى" in text:
        return True
    ends = text.count("لا ") + text.endswith("لا")
    return ends > 0 and ends > text.count("ال")


def _is_reversed_line(line: str) -> bool:
    words: list[str] = re.findall(r"[ء-ي]+", light(unicodedata.normalize("NFKC", line)))
    certain = sum(word in _MIRRORED or bool(_ENDS_FIRST.fullmatch(word)) for word in words)
    mirrored = certain + sum(bool(_ARTICLE_LAST.fullmatch(word)) and word not in _MIRRORED for word in words)
    if not certain or mirrored < _LEAST_MIRRORED:
        return False
    ordinary = sum(bool(_ARTICLE_FIRST.match(word)) or word[-1] == "ة" or word in _FUNCTION_WORDS for word in words)
    return mirrored > 2 * ordinary
