"""How much of a reference an answer says: chrF++ first, BLEU second, ROUGE-L with words that are Arabic.

Each at two levels side by side, since in Arabic the spelling habits of two writers move a score more than two models
do: `raw` (Unicode NFC) and `light` (vowel marks, tatweel, digit systems and presentation forms folded).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import zip_longest
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from stages.arabic.normalise import light, raw
from stages.core.files import Row
from stages.core.schema import CorpusScore

LEVELS: Mapping[str, Callable[[str], str]] = {"raw": raw, "light": light}
# Two word orders make it chrF++. BLEU's default tokenizer, 13a, leaves ، ؛ ؟ « » on the words; `intl` parts them.
_SCORERS: Mapping[str, Callable[[], Any]] = {
    "chrf": partial(CHRF, word_order=2),
    "bleu": partial(BLEU, tokenize="intl"),
}


def chrf(text: str, references: Sequence[str], level: str = "light") -> float:
    """Sentence chrF++ in 0..100 at a level, against the best of the references (Popović 2017)."""
    same = LEVELS[level]
    return _sentence_chrf(same(text), tuple(map(same, references)))


@lru_cache(maxsize=2**15)
def _sentence_chrf(text: str, references: tuple[str, ...]) -> float:
    """Most texts are the same at both levels, and are scored once."""
    return float(_SCORERS["chrf"]().sentence_score(text, references).score)


def rouge_l(text: str, references: Sequence[str], level: str = "light") -> float:
    """ROUGE-L in 0..1 (Lin 2004, F with equal weights) over Arabic words, against the best of the references.

    The usual package's tokenizer keeps a-z and 0-9 only, and scores identical Arabic sentences 0.
    """
    same = LEVELS[level]
    return max(_f_of_common(same(text), same(reference)) for reference in references)


def words(text: str, level: str) -> list[str]:
    """What stands between spaces, punctuation and signs, at a level; letters keep the marks that the level keeps."""
    return _parted(LEVELS[level](text))


def _parted(text: str) -> list[str]:
    return "".join(" " if unicodedata.category(sign)[0] in "PS" else sign for sign in text).split()


@lru_cache(maxsize=2**15)
def _f_of_common(text: str, reference: str) -> float:
    said, expected = _parted(text), _parted(reference)
    common = longest_common(said, expected)
    return 2 * common / (len(said) + len(expected)) if common else 0.0


def longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest subsequence of both."""
    before = [0] * (len(second) + 1)
    for one in first:
        row = [0]
        for index, two in enumerate(second):
            row.append(before[index] + 1 if one == two else max(before[index + 1], row[index]))
        before = row
    return before[-1]


def corpus_scores(
    rows: Sequence[Row], references: Mapping[str, Sequence[str]], seeds: Sequence[int | None]
) -> dict[str, dict[str, CorpusScore]]:
    """Corpus chrF++ and BLEU of the generation rows at both levels: the mean over seeds, and each seed's.

    ``references`` go by row id; rows may have different numbers of them.
    """
    result: dict[str, dict[str, CorpusScore]] = {}
    for metric in _SCORERS:
        result[metric] = {}
        for level in LEVELS:
            scores = [
                _corpus(metric, level, [row for row in rows if row["seed"] == seed], references) for seed in seeds
            ]
            result[metric][level] = {"mean": sum(scores) / len(scores), "per_seed": scores}
    return result


def _corpus(metric: str, level: str, rows: Sequence[Row], references: Mapping[str, Sequence[str]]) -> float:
    same = LEVELS[level]
    expected = ([same(one) for one in references[row["id"]]] for row in rows)
    streams = list(zip_longest(*expected))  # (references, rows), None where a row has fewer
    return float(_SCORERS[metric]().corpus_score([same(row["text"]) for row in rows], streams).score)


def signature(metric: str, levels: str) -> str:
    """sacrebleu's own signature, with our normalisation behind it."""
    scorer = _SCORERS[{"chrF2++": "chrf", "BLEU": "bleu"}[metric]]()
    scorer.corpus_score(["1", "2"], [["1", "2"], ["1", None]])  # says that the number of references varies
    return f"{metric}|{scorer.get_signature()}|normalisation:{levels}"
