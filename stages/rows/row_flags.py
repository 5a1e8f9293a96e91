"""What a reviewer would hold against a row, as flags; whether a flagged row is dropped, masked or kept is policy.

A pair's rejected answer, and an answer labelled bad, may fail on purpose. They are not judged by length below, script,
language or repetition. Broken characters in them are the flag `broken_bad_answer`, whose pair can stay. What would be
learned from a text wherever it stands is looked for in prompts and all answers: chat marks, personal data, scripture.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import cast

from stages.arabic import lexicon, personal
from stages.arabic.arabic_share import ARABIC, is_not_arabic, is_too_foreign
from stages.arabic.loops import is_loop, trigrams
from stages.arabic.normalise import light
from stages.arabic.scripts import has_other_script, is_reversed
from stages.arabic.scripture import quotes_scripture
from stages.core.params import Limits
from stages.core.schema import Messages
from stages.rows.conventions import contents
from stages.rows.reading.special_tokens import has_special_token

FLAGS = {
    "bidi_controls": "An invisible mark sets the direction of the text.",
    "broken_bad_answer": "A rejected answer, or one labelled bad, lost characters or is spelled backwards.",
    "empty_answer": "An answer has neither letters nor digits.",
    "foreign_script": "An answer holds words of another script (Han, Cyrillic ...) that its prompt does not ask for.",
    "low_arabic_share": "Fewer letters of the answer are Arabic than min_arabic_share asks.",
    "mojibake": "A text was read in the wrong encoding, or lost characters to one.",
    "near_same_answers": "The two answers of a pair of your own share at least 97 % of their character trigrams.",
    "not_arabic": "An answer in Arabic letters is Persian, Urdu, Kurdish, Pashto or another language.",
    "no_license": "The row names no license.",
    "presentation_forms": "Letters stand as shapes (U+FB50 and up), as text copied from a PDF has them.",
    "repetition_loop": "The answer says the same syllable, word or phrase abnormally often.",
    "reversed": "A text has its Arabic words in visual order, from the last letter, as copied from a PDF.",
    "same_answers": "The two answers of a pair say the same.",
    "scripture": "A text quotes or cites scripture.",
    "special_token": "A text holds a mark of a chat template, escaped or not.",
    "tatweel": "A word is drawn out by tatweel; the label «هـ» and «بـ» before a foreign word are not meant.",
    "too_long": "An answer has more characters or words than max_characters or max_words.",
    "too_short": "An answer has fewer characters than min_characters.",
    "unknown_token": "A text holds the mark that a tokenizer writes for what it does not know.",
    **{
        f"personal_data:{kind}": f"A text holds {what}."
        for kind, what in {
            "card": "the number of a payment card",
            "email": "an e-mail address",
            "iban": "a bank account",
            "mobile": "a mobile number",
            "saudi_id": "a Saudi identity number",
        }.items()
    },
    **{
        f"lexicon:{category}": f"The lexicon finds words of {what}; read before you judge."
        for category, what in {
            "drugs": "drugs and how to get them",
            "fraud": "deceit for gain",
            "hate": "hatred of a group",
            "illegal": "other crime",
            "offensive": "insult",
            "self_harm": "self-harm",
            "sexual": "explicit sexual content",
            "violence": "threats and violence",
            "weapons": "weapons and how to get them",
        }.items()
    },
}

NEAR_SAME = 0.97  # Jaccard similarity of character trigrams at the light level
OWN_AXIS = "own"  # pairs of the other axes differ in one factor, which may be a single character

BROKEN = frozenset({"mojibake", "unknown_token", "reversed"})  # characters that no reader can read

# The label or "Hijri" sign, and a particle joined to what is no Arabic word: «بـHTML».
_JOINED = re.compile(rf"(?<![^\W\d_])(?:هـ(?![^\W\d_])|[وف]?(?:[بلكس]|ال|لل)ـ(?![{ARABIC}ـ]))")
# Most texts hold nothing but these: what follows is looked for only in the others.
_UNUSUAL = re.compile(r"[^\s!-;=?-Z\\-~\u0621-\u063a\u0641-\u0652\u0660-\u066c\u060c\u061b\u061f«»–—“”‘’…]")
_LATIN = re.compile("[A-Za-z]")

_UTF8_IN_CP1252 = "\u0080-\u00bf" + bytes(range(0x80, 0xA0)).decode("cp1252", "ignore")
_UTF8_IN_CP1256 = bytes(range(0x80, 0xC0)).decode("cp1256")
_SIGNS = {
    "presentation_forms": "[\ufb50-\ufbb1\ufbd3-\ufd3d\ufd50-\ufdc7\ufe70-\ufefc]",
    "bidi_controls": "[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]",
    # In turn: lost characters; UTF-8 read as cp1252, once and twice; a quotation mark so read; UTF-8 read as cp1256;
    # cp1256 read as cp1252.
    "mojibake": f"\ufffd|(?:[ØÙÚÛ][{_UTF8_IN_CP1252}]){{2}}|Ã[˜™š›\u0098-\u009b]|â€|(?:[طظ][{_UTF8_IN_CP1256}]){{2}}"
    "|[À-ÖØ-öø-ÿ]{5}",
    "unknown_token": r"<\s?unk\s?>|\[UNK\]|⁇",
}
_SIGN_PATTERNS = {name: re.compile(pattern) for name, pattern in _SIGNS.items()}


def flags_of(row: Mapping[str, object], limits: Limits) -> list[str]:
    """The names of the row's flags, sorted; each is a key of `FLAGS`.

    The row is canonical: ``prompt``, ``completion``, ``chosen``, ``rejected`` are lists of messages where present.
    """
    flags: set[str] = set()
    asked = _asked(row)
    for field in ("completion", "chosen", "rejected"):
        if field not in row:
            continue
        is_good = field != "rejected" and row.get("label") is not False
        for answer in contents(row, field):
            flags.update(_bounds(answer, limits))
            is_plain = _UNUSUAL.search(answer) is None
            signs = set(_signs(answer, is_plain))
            if is_good:
                flags.update(_quality(answer, asked, limits, is_plain))
            elif signs & BROKEN:
                signs = signs - BROKEN | {"broken_bad_answer"}
            flags |= signs
    for prompt in contents(row, "prompt"):
        flags.update(_signs(prompt, _UNUSUAL.search(prompt) is None))
    if "chosen" in row:
        flags.update(_likeness(row))
    if not str(row.get("license") or "").strip():
        flags.add("no_license")
    return sorted(flags)


def _asked(row: Mapping[str, object]) -> str:
    """What the answer answers: the last turn of the prompt, and the system's."""
    turns = cast(Messages, row.get("prompt", ()))
    return "\n".join(turn["content"] for turn in turns if turn["role"] == "system" or turn is turns[-1])


def _bounds(answer: str, limits: Limits) -> Iterator[str]:
    if not any(map(str.isalnum, answer)):
        yield "empty_answer"
    many_words = len(answer) > 2 * limits.max_words and len(answer.split()) > limits.max_words
    if many_words or len(answer) > limits.max_characters:
        yield "too_long"


def _quality(answer: str, asked: str, limits: Limits, is_plain: bool) -> Iterator[str]:
    """Flags of an answer from which a model is to learn; ``asked`` is its prompt."""
    if len(answer.strip()) < limits.min_characters:
        yield "too_short"
    if (not is_plain or _LATIN.search(answer)) and is_too_foreign(answer, asked, limits.min_arabic_share):
        yield "low_arabic_share"
    if not is_plain and has_other_script(answer, asked):
        yield "foreign_script"
    if is_not_arabic(answer, asked):
        yield "not_arabic"
    if is_loop(answer):
        yield "repetition_loop"


def _signs(text: str, is_plain: bool) -> Iterator[str]:
    """Flags of a text that do not depend on where it stands; one that ``is_plain`` holds ordinary characters alone."""
    if not is_plain:
        yield from (name for name, pattern in _SIGN_PATTERNS.items() if pattern.search(text))
        if has_special_token(text):
            yield "special_token"
        if "ـ" in text and "ـ" in _JOINED.sub("", text):
            yield "tatweel"
    if is_reversed(text, is_plain=is_plain):
        yield "reversed"
    yield from (f"personal_data:{found.kind}" for found in personal.find(text))
    yield from (f"lexicon:{category}" for category in lexicon.flag(text))
    if quotes_scripture(text, is_plain=is_plain):
        yield "scripture"


def _likeness(row: Mapping[str, object]) -> Iterator[str]:
    chosen, rejected = list(contents(row, "chosen")), list(contents(row, "rejected"))
    if chosen == rejected:
        yield "same_answers"
    elif row.get("axis", OWN_AXIS) == OWN_AXIS:
        one, two = light(" ".join(chosen)), light(" ".join(rejected))
        if one == two:
            yield "same_answers"
        elif _are_near(one, two):
            yield "near_same_answers"


def _are_near(one: str, two: str) -> bool:
    """Trigrams are counted, not just listed: an answer said twice is not like the answer said once."""
    if min(len(one), len(two)) < NEAR_SAME * max(len(one), len(two)):
        return False
    first, second = Counter(trigrams(one)), Counter(trigrams(two))
    shared = (first & second).total()
    return shared >= NEAR_SAME * (first.total() + second.total() - shared)
