"""Named flaws of an answer: planted by `prepare` in training rows, and recognised by `evaluate` in what models write.

A flaw changes one factor and keeps the content (controlled corruption), so that a preference pair says one thing.
"""

from __future__ import annotations

import re
from itertools import pairwise

from stages.arabic.numbers import to_western_digits

# Openings that wrap a known answer in doubt, whatever it begins with: «أظن أن تقع» would break its grammar as well.
# None of them occurs in the hand-written answers (tested).
HEDGES = (
    "لست متأكداً تماماً، لكن ربما كان الجواب:",
    "لا أعرف على وجه اليقين، وقد يكون الجواب:",
    "قد أكون مخطئاً، غير أن الجواب في ظني:",
    "لا أستطيع الجزم بذلك، ولعل الجواب هو:",
    "ربما، ولست واثقاً من ذلك،",
)
# A reader hears doubt in these words wherever they stand, so a model's own way of hedging is caught too.
DOUBT = re.compile(
    r"لست متأكد|لا أعرف|قد أكون مخطئ|لا أستطيع الجزم|لست واثق|(?<![\u0621-\u064A])ربما(?![\u0621-\u064A])"
    r"|لا أدري|وقد يكون الجواب|ولعل الجواب"
)

# One word of an answer turned into English: the mixing that half-translated data has.
ENGLISH = {
    "هي": "is",
    "هو": "is",
    "يساوي": "equals",
    "تساوي": "equals",
    "في": "in",
    "من": "from",
    "مع": "with",
    "إلى": "to",
    "ثم": "then",
    "أو": "or",
    "لكن": "but",
    "على": "on",
}
LATIN_PUNCTUATION = str.maketrans({"،": ",", "؛": ";", "؟": "?", "«": '"', "»": '"', "٫": "."})

SENTENCE_END = re.compile(r"(?<=[.!؟])\s+")
# Where quoted speech ends, its closing guillemet stands behind the stop: «ومتى؟» قالت.
SPEECH_END = re.compile(r"(?<=[.!؟])\s+|(?<=[.!؟]»)\s+")
SHORTEST_TO_CUT = 12  # words; a shorter answer that stops early is a near miss, not a truncation


def hedge(answer: str, choice: int) -> str:
    """Wrap ``answer`` in one of the doubtful openings; ``choice`` picks it."""
    return f"{HEDGES[choice % len(HEDGES)]} {answer}"


def repeat(answer: str, choice: int) -> str:
    """Say the last sentence of ``answer`` twice, or three times for an odd ``choice``."""
    last = sentences(answer)[-1]
    return " ".join([answer] + [last] * (1 + choice % 2))


def truncate(answer: str, choice: int) -> str | None:
    """Stop ``answer`` in the middle, at 45 to 64 % of its words; None for a short one."""
    words = answer.split()
    kept = len(words) * (45 + choice % 20) // 100
    return " ".join(words[:kept]).rstrip("،؛:.") if len(words) >= SHORTEST_TO_CUT else None


def mix_languages(answer: str) -> str | None:
    """Put the first word that has a plain English twin into English; None where there is none."""
    words = answer.split(" ")
    for position, word in enumerate(words):
        if word in ENGLISH:
            return " ".join([*words[:position], ENGLISH[word], *words[position + 1 :]])
    return None


def latin_punctuation(answer: str) -> str | None:
    """Latin punctuation and digits in place of Arabic ones; None where the answer has neither."""
    changed = to_western_digits(answer.translate(LATIN_PUNCTUATION))
    return changed if changed != answer else None


def is_hedged(text: str) -> bool:
    """True where the text voices doubt about its own answer."""
    return bool(DOUBT.search(text))


def is_repeated(text: str) -> bool:
    """True where a sentence stands twice (one of a single word: follows itself), or a run of four words does."""
    said = [sentence.strip(" .!؟«»") for sentence in SPEECH_END.split(text.strip())]
    longer = [sentence for sentence in said if len(sentence.split()) >= 2]
    if len(set(longer)) < len(longer) or any(one and one == two for one, two in pairwise(said)):
        return True
    words = text.split()
    return any(words[i : i + 4] == words[i + 4 : i + 8] for i in range(len(words) - 7))


def sentences(text: str) -> list[str]:
    """Split at sentence ends; a text without one is a single sentence."""
    return [part for part in SENTENCE_END.split(text.strip()) if part] or [text]
