"""Tells a text that says the same syllable, word or phrase again and again, as a model in a loop does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from stages.arabic.normalise import folded

# A repetition counts as abnormal from these numbers on, above what lists, refrains and laughter in chat reach.
LOOP_WORD_COUNT, LOOP_WORD_SHARE = 8, 0.2
LOOP_PHRASE_COUNT, LOOP_PHRASE_SHARE = 5, 0.5
LOOP_SYLLABLE_COUNT, LOOP_SYLLABLE_SHARE = 12, 0.08
LONGEST_WORD = 20
SHORTEST_LOOP = LOOP_PHRASE_COUNT + 2  # words; fewer do not hold so many phrases of three
# What a genealogy, a list of people or a number read out repeats, beside the words next to it.
_KIN_SPELLED = "بن ابن بنت ابنة أبو أبي أبا أم آل عبد ال ولد وابن وبنت وأبو وأبي"
_TITLES_SPELLED = "السيد السيدة الشيخ الدكتور الدكتورة الأستاذ الأستاذة المهندس القاضي الإمام الأمير"
_DIGITS_SPELLED = (
    "صفر واحد واحدة اثنان اثنين اثنتان ثلاثة ثلاث أربعة أربع خمسة خمس ستة ست سبعة سبع ثمانية ثماني تسعة تسع عشرة عشر "
    "عشرون عشرين مئة مائة ألف تنين ثنين تلاتة تمانية"
)
_KIN, _TITLES, _SAID_DIGITS = (
    frozenset(map(folded, words.split())) for words in (_KIN_SPELLED, _TITLES_SPELLED, _DIGITS_SPELLED)
)
_FEWEST_SAID_DIGITS = 3  # different ones; a loop says one or two again and again


def is_loop(text: str) -> bool:
    """Whether a syllable, a word or a phrase of three words comes back abnormally often.

    A word drawn out by tatweel says nothing twice. Genealogies, lists of people and numbers read out repeat words that
    do not count.
    """
    words = text.split()
    if words and max(map(len, words)) > LONGEST_WORD:
        drawn = text.replace("ـ", "")
        syllables = (three for three in trigrams(drawn) if all(map(str.isalpha, three)))
        if _is_common(syllables, LOOP_SYLLABLE_COUNT, LOOP_SYLLABLE_SHARE * len(text)):
            return True
    if len(words) < SHORTEST_LOOP or len(set(words)) > (1 - LOOP_WORD_SHARE) * len(words) + 1:
        return False
    spoken = [word for word in words if any(map(str.isalpha, word))]  # a table repeats its rules
    least, share = LOOP_WORD_COUNT, LOOP_WORD_SHARE * len(words)
    if _is_common(spoken, least, share) and _is_common(_counted(spoken), least, share):
        return True
    least, share = LOOP_PHRASE_COUNT, LOOP_PHRASE_SHARE * len(words) / 3
    if not _is_common(trigrams(spoken), least, share):
        return False
    return _is_common(
        (three for three in trigrams(spoken) if sum(folded(one) in _KIN for one in three) < 2), least, share
    )


def _counted(words: Sequence[str]) -> Iterator[str]:
    """The words whose repetition means something."""
    bare = [folded(word) for word in words]
    digits = {word.removeprefix("و") for word in bare} & _SAID_DIGITS
    for place, word in enumerate(bare):
        if word in _TITLES or (word.removeprefix("و") in digits and len(digits) >= _FEWEST_SAID_DIGITS):
            continue
        if not _KIN.isdisjoint(bare[max(0, place - 1) : place + 2]):
            continue
        yield words[place]


def _is_common(parts: Iterable[object], least: float, share: float) -> bool:
    """Whether the commonest part stands there at least so often."""
    counts = Counter(parts).values()
    return max(counts, default=0) >= max(least, share)


def trigrams(text: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every three neighbours, of characters or of words."""
    return zip(text, text[1:], text[2:], strict=False)
