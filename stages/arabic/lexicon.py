"""Flags unsafe material in Arabic by a small hand-written lexicon (`lexicon.txt`): categories, never a verdict.

A list of bad words matched inside other words flags مصر and misses «كيف أصنع قنبلة». So whole words are matched, with
their clitics, and most of the lexicon asks for two things near each other: an intent and an object. Contexts that
mean something else («اقتل العملية») clear what they cover.

Every word of a text becomes one character: its own symbol where the lexicon knows it, "." where it does not, "|"
where a sentence ends. The patterns compile to one regular expression over that short string, so a text costs about
as much as splitting it into words.

It reads words, not meaning: a quotation, a refusal or a warning in other words is flagged as well, and whoever wants
to get past it will. A policy decides what a flag does.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from stages.arabic.normalise import folded
from stages.core.errors import PipelineError

CATEGORIES = ("offensive", "hate", "sexual", "violence", "self_harm", "illegal", "weapons", "drugs", "fraud")
ALLOW = "allow"
SENTENCE_END = "|"

_UNKNOWN, _PERHAPS_ME = ".", "i"
_UNLISTED = {".": r"[^|]{0,1}", "..": r"[^|]{0,3}", "...": r"[^|]{0,6}", "@me": _PERHAPS_ME}
_FIRST_SYMBOL = 0x4E00  # a block wide enough for every form, whose characters mean nothing to a regular expression

_SUFFIXES = frozenset({"ا", "ه", "ها", "هم", "هن", "هما", "ك", "كم", "كن", "كما", "ي", "ني", "نا"})
_ENDINGS = ("", "ة", "ان", "ين", "ون", "ات")
_MOST_WORDS = 2**16  # whose symbols are kept
_FEWEST_LETTERS = 3  # a shorter word is matched exactly: with clitics it would be found everywhere


def flag(text: str) -> list[str]:
    """The categories that ``text`` touches, sorted."""
    symbols = "".join(map(_SYMBOLS.__getitem__, folded_words(text)))
    found = _categories(symbols)
    if found:  # seldom, so what clears a hit is looked for only then
        found = _categories(_LEXICON.allowed.sub(lambda match: _UNKNOWN * len(match[0]), symbols))
    return sorted(found)


@lru_cache(maxsize=4)  # several checks read the same text, one after the other
def folded_words(text: str) -> tuple[str, ...]:
    """The words of `normalise.folded` at a tenth of its cost, with "|" where a sentence ends.

    They differ in a number with a fraction, whose point ends a sentence here, and in the character "|" itself.
    """
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    return tuple(text.translate(_FOLDING).split())


def _categories(symbols: str) -> set[str]:
    found: set[str] = set()
    for head in _HEADS.finditer(symbols):
        for category, pattern in _LEXICON.starting_with[head[0]]:
            if category not in found and pattern.match(symbols, head.start()):
                found.add(category)
    return found


def _folding() -> dict[int, str]:
    """What becomes of each character; ordinary letters stand in the table too, because a miss is slow."""
    table = {code: folded(chr(code)) or " " * _separates(chr(code)) for code in range(0x3000)}
    return table | dict.fromkeys(map(ord, ".!?؟؛;\n\r"), f" {SENTENCE_END} ") | {ord(SENTENCE_END): " "}


def _separates(character: str) -> bool:
    return character.isspace() or unicodedata.category(character).startswith("P")


# A pattern: unlisted words as a regular expression, or the forms of one word and "?" where it is optional.
_Element = str | tuple[set[str], str]
_Pattern = list[_Element]


class _Lexicon:
    """Reads the lexicon: words to symbols, and patterns of words to patterns of symbols."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.symbols: dict[str, str] = {}  # folded form -> symbol
        self.open: set[str] = set()  # forms that take clitics
        self.before_suffix: dict[str, str] = {}  # «قنبلت» of قنبلة, «اقتلو» of اقتلوا -> the form
        self.classes: dict[str, set[str]] = {}  # name -> forms
        patterns: dict[str, list[_Pattern]] = {name: [] for name in (*CATEGORIES, ALLOW)}
        category = ""
        for self.line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if text.startswith("@") and ":" in text:
                name, words = text.split(":")
                self.classes[name] = self._any_of(words.split())
            elif text.startswith("["):
                category = text.strip("[]")
            elif text.strip() and not text.startswith("#"):
                if category not in patterns:
                    self._refuse(f"unknown category {category!r}")
                pattern = [self._element(element) for element in text.split()]
                if category != ALLOW:
                    self._heads(pattern)  # refuses while the line is known
                patterns[category].append(pattern)
        self.forms_with = self._forms_with()
        self.allowed = re.compile("|".join(map(self._regex, patterns[ALLOW])))
        self.starting_with = self._by_first_word(patterns)

    def symbol(self, word: str) -> str:
        """The symbol of a folded word: its own, or that of what stands inside its clitics, fewest clitics first."""
        if word == SENTENCE_END:
            return SENTENCE_END
        if word in self.symbols:
            return self.symbols[word]
        unlisted = _PERHAPS_ME if word[0] == "ا" and not word.startswith("ال") else _UNKNOWN
        return next((self.symbols[form] for form in self._inside(word)), unlisted)

    def _inside(self, word: str) -> Iterator[str]:
        """The forms that the word may be, under its clitics."""
        for rest in _without_prefixes(word):
            if rest in self.open:
                yield rest
            for letters in (1, 2, 3):
                if rest[-letters:] in _SUFFIXES:
                    stem = rest[:-letters]
                    if stem in self.open:
                        yield stem
                    if stem in self.before_suffix:
                        yield self.before_suffix[stem]

    def _forms_with(self) -> dict[str, set[str]]:
        """Each form and the listed ones that hold it under clitics: whoever asks for موت gets الموت too."""
        holders = {form: {form} for form in self.symbols}
        for holder in self.symbols:
            for form in self._inside(holder):
                holders[form].add(holder)
        return holders

    def _element(self, element: str) -> _Element:
        if element in _UNLISTED:
            return _UNLISTED[element]
        return self._any_of(element.removesuffix("?").split("|")), "?" * element.endswith("?")

    def _any_of(self, words: list[str]) -> set[str]:
        return {form for word in words for form in self._forms(word)}

    def _forms(self, word: str) -> set[str]:
        if word.startswith("@"):
            if word not in self.classes:
                self._refuse(f"class {word} stands nowhere above")
            return self.classes[word]
        exact, endings = word.startswith("="), _ENDINGS if word.endswith("+") else ("",)
        return {self._form(word.strip("=+") + ending, exact) for ending in endings}

    def _form(self, spelling: str, exact: bool) -> str:
        form = folded(spelling)
        if not form.isalpha():
            self._refuse(f"{spelling!r} is not one word")
        if not exact and len(form) >= _FEWEST_LETTERS:
            self.open.add(form)
            if spelling.endswith("ة"):
                self.before_suffix[form[:-1] + "ت"] = form
            elif spelling.endswith("وا"):
                self.before_suffix[form[:-1]] = form
        self.symbols.setdefault(form, chr(_FIRST_SYMBOL + len(self.symbols)))
        return form

    def _heads(self, pattern: _Pattern) -> set[str]:
        """The forms with which the pattern can begin."""
        heads: set[str] = set()
        for element in pattern:
            if isinstance(element, str):
                self._refuse("a pattern that may flag starts with a word")
            heads |= element[0]
            if not element[1]:
                break
        return heads

    def _by_first_word(self, patterns: dict[str, list[_Pattern]]) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
        """What may match at a word, by the word's symbol: nothing at most words, a few patterns at the others."""
        alternatives: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
        for name in CATEGORIES:
            for pattern in patterns[name]:
                alternatives[name, tuple(self._symbols(self._heads(pattern)))].append(self._regex(pattern))
        found: dict[str, list[tuple[str, re.Pattern[str]]]] = defaultdict(list)
        for (name, heads), regexes in alternatives.items():
            compiled = re.compile("|".join(regexes))
            for symbol in heads:
                found[symbol].append((name, compiled))
        return found

    def _regex(self, pattern: _Pattern) -> str:
        return "".join(
            item if isinstance(item, str) else f"[{''.join(self._symbols(item[0]))}]{item[1]}" for item in pattern
        )

    def _symbols(self, forms: set[str]) -> list[str]:
        return sorted({self.symbols[each] for form in forms for each in self.forms_with[form]})

    def _refuse(self, why: str) -> NoReturn:
        raise PipelineError(f"{self.path}:{self.line}: {why}: fix the line")


class _Symbols(dict[str, str]):
    """The symbols of the words met so far; a plain dictionary is twice as fast as a cached function."""

    def __init__(self, known: _Lexicon) -> None:
        super().__init__()
        self.known = known

    def __missing__(self, word: str) -> str:
        if len(self) >= _MOST_WORDS:
            self.clear()
        self[word] = symbol = self.known.symbol(word)
        return symbol


def _without_prefixes(word: str) -> Iterator[str]:
    """«وبالسلاح»: itself, بالسلاح, السلاح, سلاح."""
    rests = [word, word[1:]] if word[0] in "وف" else [word]
    for rest in rests:
        yield rest
        if rest.startswith(("ال", "لل")):
            yield rest[2:]
        if rest.startswith(("ب", "ك", "ل", "س")):
            yield rest[1:]
            if rest.startswith("ال", 1):
                yield rest[3:]


_FOLDING = _folding()
_LEXICON = _Lexicon(Path(__file__).with_name("lexicon.txt"))
_SYMBOLS = _Symbols(_LEXICON)
_HEADS = re.compile(f"[{''.join(sorted(_LEXICON.starting_with))}]")
