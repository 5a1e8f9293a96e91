"""Tells an answer that should be Arabic and is not: by the share of its letters, and by its language.

What an answer is to be follows from its prompt. A translation, a term, a label, code and what the prompt itself holds
may be in other letters.
"""

from __future__ import annotations

import re

from stages.arabic.language import asks_for_another_language, is_other_language

ARABIC = "\u0620-\u064a\u066e-\u06d3\u06d5\u06ee\u06ef\u06fa-\u06ff\u0750-\u077f\u0870-\u08c9\ufb50-\ufdff\ufe70-\ufefc"
_ARABIC_LETTER = re.compile(f"[{ARABIC}]")
_OTHER_LETTER = re.compile(rf"[^\W\d_{ARABIC}]")

# An answer in other letters that is a name, a term, a label or a measure, and no sentence.
TERM_WORDS, TERM_CHARACTERS = 6, 60
_SENTENCE_WORDS = re.compile(
    r"\b(?:i|i'm|you|he|she|it|we|they|is|are|am|was|were|be|been|do|does|did|don't|can|can't|cannot|will|would|should"
    r"|have|has|had|sorry|please|my|your|this|that|there|what|how|je|ne|pas|ich|nicht|yo|est|sont)\b",
    re.IGNORECASE,
)
# Code between backticks, addresses, formulas, their letters elsewhere, and names of emoji (:joy:).
_FENCED = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]+`|https?://\S+|\$\$.*?\$\$|\$[^$\n]+\$|\\\[.*?\\\]|\\\(.*?\\\)"
    r"|:[a-z][a-z0-9_]+:|(?<![A-Za-z])(?:[A-Za-z]|sin|cos|tan|log|ln|lim|exp|max|min|mod|sqrt)(?![A-Za-z])",
    re.DOTALL,
)
_ASKS_FOR_CODE = re.compile(
    r"كود|شيفرة|شفرة|برنامج|برمج|دالة|سكربت|سكريبت|خوارزمي|استعلام|بايثون|جافا|تعبير نمطي|معادلة"
    r"|\b(?:python|java|javascript|sql|html|css|c\+\+|bash|php|json|xml|regex|latex|code|excel|linux)\b",
    re.IGNORECASE,
)
_CODE_LINE = re.compile(
    r"[{}();=<>\[\]\\]|^\s*(?:#|//|--|\$)"
    r"|^\s*(?:def|class|import|from|return|for|while|if|else|elif|try|print|select|insert|update|where|sudo|pip|git)\b",
    re.IGNORECASE,
)


def is_too_foreign(answer: str, asked: str, least: float) -> bool:
    """Whether fewer than ``least`` (0..1) of the letters are Arabic, where the prompt ``asked`` for Arabic.

    Code, formulas and addresses do not count. A term of a few words may be Latin, as may what the prompt holds.
    """
    if _arabic_share(answer) >= least:
        return False
    if asks_for_another_language(asked) or _is_term(answer, asked):
        return False
    said = _FENCED.sub(" ", answer)
    if _ASKS_FOR_CODE.search(asked) and _ARABIC_LETTER.search(asked):
        said = "\n".join(line for line in said.splitlines() if not _CODE_LINE.search(line))
    return _arabic_share(said) < least


def is_not_arabic(answer: str, asked: str) -> bool:
    """Whether an answer is in another language of the Arabic script; a few words are judged with their prompt."""
    if not is_other_language(answer):
        if not _is_short(answer) or not is_other_language(asked) or "عرب" in asked:
            return False
        if not _ARABIC_LETTER.search(answer) or not is_other_language(f"{asked} {answer}"):
            return False
    return not asks_for_another_language(asked)


def _is_term(answer: str, asked: str) -> bool:
    """Whether an answer to an Arabic prompt is a term, a label or a measure, or stands word for word in its prompt."""
    if not _ARABIC_LETTER.search(asked):
        return False
    return answer.strip(" .\n") in asked or (_is_short(answer) and not _SENTENCE_WORDS.search(answer))


def _is_short(answer: str) -> bool:
    return len(answer) <= TERM_CHARACTERS and len(answer.split()) <= TERM_WORDS


def _arabic_share(text: str) -> float:
    """Arabic letters over all letters; 1 for a text without letters, such as a number."""
    others = len(_OTHER_LETTER.findall(text))
    if not others:
        return 1.0
    arabic = len(_ARABIC_LETTER.findall(text))
    return arabic / (arabic + others)
