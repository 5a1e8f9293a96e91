"""Tells a text that quotes scripture, by the form of the quotation; no scripture is shipped, nor needed.

A small model that learns to write scripture writes it wrongly, in the right tone. So a row that quotes or cites is
flagged: by the ornate brackets and the annotation signs of printed Qurans, by dense Uthmani spelling, by chapter and
verse, or by a formula that opens or closes a quotation. What believers say every day («إن شاء الله», «الحمد لله»,
the names of months and feasts) quotes nothing and is left alone.
"""

from __future__ import annotations

import re

from stages.arabic.lexicon import folded_words
from stages.arabic.normalise import folded

_SIGNS = re.compile("[\ufd3e\ufd3f\u06d6-\u06ed]")  # ornate brackets; pause marks, the end of a verse and the like
_UTHMANI = re.compile("[\u0670\u0671]")  # dagger alef and alef wasla: a few stand in هٰذا and الرحمٰن, many in a copy
_FEW_UTHMANI, _WORDS_PER_UTHMANI = 3, 5

# Chapters whose name a list of people or things would hardly hold: «(يوسف: ٢)» may well be a list.
_CHAPTERS = (
    "الفاتحة|البقرة|آل عمران|المائدة|الأنعام|الأعراف|الأنفال|التوبة|الإسراء|الكهف|الأنبياء|الحج|المؤمنون|الفرقان"
    "|القصص|العنكبوت|السجدة|الأحزاب|سبأ|فاطر|الصافات|الزمر|غافر|فصلت|الشورى|الزخرف|الجاثية|الأحقاف|الحجرات|الذاريات"
    "|الواقعة|المجادلة|الحشر|الممتحنة|المنافقون|التغابن|التحريم|الحاقة|المعارج|المزمل|المدثر|القيامة|المرسلات"
    "|النازعات|عبس|التكوير|الانفطار|المطففين|الانشقاق|البروج|الغاشية|الضحى|الزلزلة|العاديات|القارعة|التكاثر|الهمزة"
    "|الماعون|الكوثر|الكافرون|المسد|الإخلاص|الفلق"
)
_IN_BRACKETS = re.compile(
    rf"[\[(﴾»]\s*(?:سورة\s+)?(?:{_CHAPTERS})\s*[:/،,]\s*(?:الآية\s+)?\d+|[\[(]\s*متفق عليه\s*[\])]"
)
_ANNOUNCED = re.compile(r'(?:الآية الكريمة|الحديث (?:النبوي )?(?:الشريف|القدسي))\s*[:«"(]')

# A gloss of the word itself, «[قوله: تعالى] أي ارتفع», or a call: «قال: تعالي». Folding drops the colon.
_GLOSSED = re.compile(r"(?:قال|يقول|قول|بقول)\w{0,2}[\u064b-\u0652]*\s*[:：]\s*[«\"“(\[]?\s*تَ?عَ?الَ?[ىيﻰ]")

_COLLECTORS = (
    "البخاري|مسلم|الشيخان|الترمذي|أبو داود|أبو داوود|النسائي|ابن ماجه|ابن حبان|ابن خزيمة|الطبراني|البيهقي|الحاكم"
    "|الدارمي|الدارقطني|الألباني|أصحاب السنن|الإمام أحمد|الإمام مالك"
)
_FORMULAS = (
    r"[وفكل]*(?:قال|يقول|قوله|بقوله) (?:الله |ربنا |المولى |الحق )?"
    r"(?:تعالى|عز وجل|سبحانه|جل وعلا|جل جلاله|تبارك(?: اسمه)? وتعالى)"
    r"(?! (?:إلى|معي|معايا|هنا|نلعب|نروح|نذهب|عندي|بسرعة)(?!\w))",
    r"[وفك]?(?:قال|يقول) الله في (?:كتابه|محكم|القرآن)",
    r"صدق الله العظيم",
    r"سورة \S+(?: \S+)? (?:ال)?آية (?:الكريمة )?(?:رقم )?\d+",
    r"سورة \S+ \d+(?! (?:آية|آيات))",
    r"(?:ال)?آية (?:رقم )?\S+ من سورة",
    rf"(?:رواه|أخرجه|صححه|حسنه) (?:الإمام )?(?:{_COLLECTORS})",
    r"حديث متفق عليه",
    r"[وفك]?(?:قال|يقول|قول) (?:رسول الله|النبي|نبينا|الرسول الكريم|المصطفى|عليه الصلاة|عليه السلام|صلى الله عليه)",
    r"صلى الله عليه وسلم (?:أنه )?(?:قال|يقول)",
    r"عن \S+(?: \S+){0,3} رضي الله (?:تعالى )?عن(?:ه|ها|هما|هم) (?:أنه |أنها )?(?:قال|قالت|أن)",
    r"سمعت (?:رسول الله|النبي)",
    r"يقول الكتاب المقدس|[وفك]?جاء في (?:الإنجيل|التوراة)",
    r"إنجيل (?:متى|مرقس|لوقا|يوحنا) (?:الإصحاح )?\d+",
    r"سفر (?:التكوين|الخروج|اللاويين|العدد|التثنية|إشعياء|إرميا|دانيال|الأمثال|الجامعة|الرؤيا|أيوب) (?:الإصحاح )?\d+",
)


def quotes_scripture(text: str, *, is_plain: bool = False) -> bool:
    """Whether the text quotes or cites scripture; one that ``is_plain`` is known to hold no sign of a printed Quran."""
    if not is_plain and (_SIGNS.search(text) or _has_dense_uthmani(text)):
        return True
    said = " ".join(folded_words(text))
    if _has_clue(said) and _CITES.search(said):
        glossed = _GLOSSED.sub("", text)
        return glossed == text or quotes_scripture(glossed, is_plain=is_plain)
    if ("(" in text or "[" in text or "»" in text) and _IN_BRACKETS.search(text):
        return True
    return ("الآية" in text or "الحديث" in text) and bool(_ANNOUNCED.search(text))


def _has_clue(said: str) -> bool:
    for clue in _CLUES:  # noqa: SIM110 - `any` of a generator takes twice the time
        if clue in said:
            return True
    return False


def _has_dense_uthmani(text: str) -> bool:
    if "\u0670" not in text and "\u0671" not in text:
        return False
    count = len(_UTHMANI.findall(text))
    return count > _FEW_UTHMANI and count * _WORDS_PER_UTHMANI > len(text.split())


def _fold(pattern: str) -> str:
    """A pattern whose Arabic words are spelled correctly, as folded text spells them."""
    return re.sub(r"[\u0600-\u06ff]+", lambda match: folded(match[0]), pattern)


_CITES = re.compile(rf"(?<!\S)(?:{'|'.join(map(_fold, _FORMULAS))})(?!\w)")
# One of these stands in every formula; most texts have none, which is quicker to see.
_CLUES = tuple(map(folded, ("قال", "قول", "صدق الله", "سورة", "رواه", "خرجه", "صححه", "حسنه", "متفق", "رضي الله")))
_CLUES += tuple(map(folded, ("سمعت", "مقدس", "جاء في", "إنجيل", "سفر", "وسلم")))
