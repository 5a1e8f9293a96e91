"""Function words that mark a dialect: whole words, no homograph of Modern Standard Arabic among them.

A corpus-level statistic: a text of many words that holds some of these is not standard Arabic, while a single sentence
without any may still be dialect. Left out on purpose are words that standard Arabic writes alike once vowels are
dropped (الحين، كمان، ماشي، بدو، بدنا، أبي، أبيه، هلا، هون، هاد، زين، كذا، بس، عم، شوي، دول، دي، حنا، مازال، باش).
A word that several dialects share stands under each of them. No standard answer of `data/raw` holds one (tested).
"""

from __future__ import annotations

import unicodedata

from stages.arabic.normalise import light

_WORDS = {
    "egyptian": "مش اللي علشان عشان عايز عايزة عايزين عاوز عاوزة عاوزين ازاي إزاي دلوقتي دلوقت كده كدة ليه إيه "
    "فين إمتى امتى النهارده النهاردة إمبارح امبارح بتاع بتاعة بتاعت بتاعي بتاعك بتوع مفيش مافيش برضه برضو احنا إحنا "
    "مين ده معلش",
    "gulf": "وش وشو ايش إيش أبغى ابغى يبغى تبغى نبغى يبي تبي هالحين ذحين دحين باجر جدام ليش وين شلون اشلون مب مهب شنو "
    "وايد هذولا هذولي وياه وياها وياك وياكم هالشي اللي عشان علشان إحنا احنا",
    "levantine": "شو هلق هلأ هيك بدي بدك بدها بدهم كتير متل منيح منيحة ليش وين هونيك لسا لسه مبارح مشان منشان لأنو "
    "لحتى هدول هالشي قديش أديش ايمتى إيمتى اللي مش عشان إحنا احنا معلش مين",
    "maghrebi": "واش ديال ديالي ديالك ديالنا ديالو ديالها كاين كاينة كاينين شنو شنوا شنوة بزاف دابا كيفاش علاش شحال "
    "قداش وقتاش فوقاش شكون فين هادشي برشا برشة مزيان ماكاين ماكانش اللي نتا نتي بغيتي كنبغي",
}
MARKERS = {dialect: frozenset(words.split()) for dialect, words in _WORDS.items()}
ALL_MARKERS = frozenset[str]().union(*MARKERS.values())


def words(text: str) -> list[str]:
    """The words of a text at the light level; punctuation and signs part words and are no words."""
    kept = (" " if unicodedata.category(sign)[0] in "PS" else sign for sign in light(text))
    return "".join(kept).split()
