"""Tells Arabic from other languages that share its script, and finds prompts that ask for another language.

A share of Arabic letters cannot tell Persian, Urdu, Kurdish or Pashto from Arabic. Words can: function words that
Arabic does not have, and letters that no Arabic word has. Against them stand the article, the letters أ, إ and ة, and
Arabic function words, in Modern Standard Arabic and in the dialects.

What people do to Arabic is no evidence: ک and ی of a Persian keyboard, Egyptian ى for ي, or چ, گ, ڤ and پ of a dialect
or a foreign name. Language identifiers take such text for Persian (fastText's lid.176 and py3langid, tried on both).
"""

from __future__ import annotations

import re
from functools import lru_cache

from stages.arabic.lexicon import SENTENCE_END, folded_words
from stages.arabic.normalise import folded

# Words that neither standard Arabic nor a dialect has, however loosely it is spelled. ZWNJ is gone in them: «می‌شود».
_FOREIGN = (
    # Persian
    "است هستند هستم هستید هستیم نیست نیستند نبود باشد باشند باشید دارد دارند دارم دارید داریم داشته داشتند کرده کردند "
    "کنند کنید کنیم میکند میکنند میکنم میکنید میکنیم میکرد میکردند نمیکند نمیکنم میشود میشوند میشد نمیشود شدند شدهاند "
    "میرود میروم میروند میتوان میتواند میتوانند میتوانم میتوانید نمیتوان نمیتواند نمیتوانم میباشد میخواهم میخواهد "
    "میدهد میدهند میگوید میگویند میدانم میدانید میدانند نمیدانم خواهد خواهند خواهم خواهید شما اینکه آنکه درباره "
    "چگونه چرا چیست کجاست کدام هنگامی بسیاری دیگر دیگران همچنین زیرا اگر برخی نخستین بزرگترین بهترین "
    "مهمترین هرچند هیچ گفته گفتند رفته نوشته پایتخت کشور کشورهای شهرهای را که متشکرم ممنونم خیلی"
    # Urdu; most of its words are told by their letters
    " ہے ہیں تھا تھی تھے ہوتا ہوتی ہوا گیا گئی کرنا کرتا سکتا جاتا مجھے ہمیں اپنا اپنی بہت لیکن کیلیے"
    # Kurdish and Pashto
    " لە بە کە بۆ ئەم ئەو دەکات دەبێت هەیە چې کې څخه کړي لپاره"
)

# Letters of Urdu, Kurdish, Pashto, Uyghur, Sindhi and Jawi. Some decorate Arabic names, and are worth half a word.
_LETTERS = "ٹڈڑںےۓۀۂڕڵێځڅډړښڼۍېږۋټڏڟٻڀڄڃڇٽٿڊڍڱڳڻڠڽݢۏ"
_DECORATIONS = "ھہەۆۇۈڪگپچژ\u200c"
_FOREIGN_LETTER = re.compile(f"[{_LETTERS}]")
_DECORATED = re.compile(rf"[{_LETTERS}{_DECORATIONS}]")
_WORD = re.compile(r"[^\s،؛؟.,:;!?«»()\[\]\"'…]+")

_ARABIC = (
    "في على إلى عن مع هذا هذه ذلك تلك هؤلاء التي الذي الذين اللي كان كانت يكون تكون أن أنا أنت نحن هو هي هم لن لم "
    "لا ما هل كيف لماذا متى ثم قد لقد حيث عند بعد قبل كل بعض غير بين حتى منذ لكن لأن إذا لو ليس ليست أي أو وهو وهي "
    "وفي ومن وقد ولا وما كما مثل جدا مش مو عشان علشان ليه ليش شو شنو وش ايش ايه فين وين كده كدا دي ده دا هيك هاد "
    "هاي احنا انتو بس كمان اني انك انه انها عايز عاوز بدي ابغى ديال بتاع واش زي يا الله إن إنه إنها هنا هناك"
)
_ARABIC_WORDS = frozenset(map(folded, _ARABIC.split()))
_ARTICLE = re.compile(r"[وفبك]?ال.{2,}|[وف]?لل.{2,}")
_ARABIC_LETTER = re.compile(r"\w*[أإة]\w*")
_FOREIGN_WORDS = frozenset(map(folded, _FOREIGN.split()))
_FEWEST_WORDS_OF_A_PASSAGE, _FEWEST_FOREIGN_IN_A_PASSAGE = 6, 2

_LANGUAGE = (
    "(?:[اأإ]?نجليزي|انكليزي|انقليزي|فرنسي|اسباني|الماني|ايطالي|برتغالي|هولندي|سويدي|نرويجي|دنماركي|بولندي|روماني"
    "|روسي|اوكراني|يوناني|لاتيني|تركي|فارسي|اردي|اوردي|اردو|هندي|بنغالي|صيني|ياباني|كوري|تايلندي|فيتنامي|اندونيسي"
    "|ماليزي|ملاوي|سواحيلي|امهري|صومالي|كردي|امازيغي|عبري|سرياني|ارامي|ارمني|بشتو|فرنسا|اجنبي)(?:ه|ا)?"
)
# What stands before a language that is asked for; of folded text.
_ASKS = re.compile(
    rf"(?<!\w)(?:(?:الي|نحو) (?:اللغه |لغه )?(?:ال)?|[وف]?ب(?:ال|اللغه ال|لغه )|[وف]?ل(?:ل|لغه ال)"
    rf"|(?:ال)?(?:لغه|كلمه|كلمات|جمله|جمل|نص|عباره|فقره|مصطلح|رساله|مقال|مقاله|قصيده|حوار|اسم|بريد|ايميل|مرادف|قواعد"
    rf"|مقابل|معني|اختصار|حروف|احرف|بالحروف|بالاحرف) (?:\w+ )?(?:ال|بال)?){_LANGUAGE}(?!\w)"
    r"|\b(?:in|into|to) (?:english|french|spanish|german|italian|turkish|persian|urdu|russian|chinese|japanese)\b",
    re.IGNORECASE,
)
_TRANSLATES = re.compile(r"(?<!\w)[وف]?(?:ترجم|ترجمي|ترجموا|ترجمه|الترجمه|اترجم|نترجم|translate)(?!\w)", re.IGNORECASE)
_INTO_ARABIC = re.compile(
    r"(?<!\w)(?:الي (?:اللغه )?(?:ال)?عربي|بالعربي|باللغه العربي|للعربي|للغه العربي|به عربي|to arabic|into arabic)",
    re.IGNORECASE,
)


def is_other_language(text: str) -> bool:
    """Whether a text in Arabic letters, or a passage of six words or more in it, is not Arabic.

    A single word says nothing by its letters: «پاريس» may be a foreign name in an Arabic text.
    """
    words = folded_words(text)
    if _FOREIGN_WORDS.isdisjoint(words) and not _FOREIGN_LETTER.search(text):
        return False
    if _weighs_more(text, words, 1, 1.0):
        return True
    return any(
        _weighs_more(part, folded_words(part), _FEWEST_FOREIGN_IN_A_PASSAGE, 2.0)
        for part in re.split(r"[.!?؟؛;\n۔]+", text)
        if len(part.split()) >= _FEWEST_WORDS_OF_A_PASSAGE
    )


def _weighs_more(text: str, words: tuple[str, ...], least: int, times: float) -> bool:
    """Whether the foreign words are ``least`` or more, and more than ``times`` the Arabic ones."""
    spelled = [word for word in words if word != SENTENCE_END]
    foreign = sum(word in _FOREIGN_WORDS or bool(_FOREIGN_LETTER.search(word)) for word in spelled)
    if foreign < least or len(spelled) < 2:
        return False
    decorated = sum(bool(_DECORATED.search(word)) for word in _WORD.findall(text))
    arabic = sum(word in _ARABIC_WORDS or bool(_ARTICLE.fullmatch(word)) for word in spelled)
    arabic += len(_ARABIC_LETTER.findall(text))
    return foreign + 0.5 * max(0, decorated - foreign) > times * arabic


@lru_cache(maxsize=4)  # several checks ask of the same prompt
def asks_for_another_language(prompt: str) -> bool:
    """Whether the prompt asks for an answer, a term or a translation in a language other than Arabic."""
    said = " ".join(folded_words(prompt))
    if _ASKS.search(said):
        return True
    return bool(_TRANSLATES.search(said)) and not _INTO_ARABIC.search(said)
