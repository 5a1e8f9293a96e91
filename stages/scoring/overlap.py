"""How much of a reference an answer says: chrF++ first, BLEU second, ROUGE-L with words that are Arabic.

Each at two levels side by side, since in Arabic the spelling habits of two writers move a score more than two models
do: `raw` (Unicode NFC) and `light` (vowel marks, tatweel, digit systems and presentation forms folded).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from stages.arabic.normalise import light, raw
from stages.files import Row

LEVELS: Mapping[str, Callable[[str], str]] = {"raw": raw, "light": light}
_CHRF = CHRF(word_order=2)  # two word orders make it chrF++
# The default tokenizer, 13a, leaves ، ؛ ؟ « » on the words; `intl` parts them.
_BLEU_TOKENIZER = "intl"


def chrf(text: str, references: Sequence[str], level: str = "light") -> float:
    """Sentence chrF++ in 0..100 at a level, against the best of the references (Popović 2017)."""
    same = LEVELS[level]
    return float(_CHRF.sentence_score(same(text), [same(reference) for reference in references]).score)


def rouge_l(text: str, references: Sequence[str], level: str = "light") -> float:
    """ROUGE-L in 0..1 (Lin 2004, F with equal weights) over Arabic words, against the best of the references.

    The usual package's tokenizer keeps a-z and 0-9 only, and scores identical Arabic sentences 0.
    """
    said = words(text, level)
    return max(_f_of_common(said, words(reference, level)) for reference in references)


def words(text: str, level: str) -> list[str]:
    """What stands between spaces, punctuation and signs, at a level; letters keep the marks that the level keeps."""
    kept = (" " if unicodedata.category(sign)[0] in "PS" else sign for sign in LEVELS[level](text))
    return "".join(kept).split()


def _f_of_common(said: Sequence[str], reference: Sequence[str]) -> float:
    common = longest_common(said, reference)
    return 2 * common / (len(said) + len(reference)) if common else 0.0


def longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest subsequence of both."""
    before = [0] * (len(second) + 1)
    for one in first:
        row = [0]
        for index, two in enumerate(second):
            row.append(before[index] + 1 if one == two else max(before[index + 1], row[index]))
        before = row
    return before[-1]


def corpus_scores(rows: Sequence[Row], references: Mapping[str, Sequence[str]], seeds: Sequence[int | None]) -> Row:
    """Corpus chrF++ and BLEU of the generation rows at both levels: the mean over seeds, and each seed's.

    ``references`` go by row id; rows may have different numbers of them.
    """
    most = max(len(references[row["id"]]) for row in rows)
    result: Row = {"chrf": {}, "bleu": {}}
    for level, same in LEVELS.items():
        for name, metric in (("chrf", CHRF(word_order=2)), ("bleu", BLEU(tokenize=_BLEU_TOKENIZER))):
            scores = []
            for seed in seeds:
                of_seed = [row for row in rows if row["seed"] == seed]
                texts = [same(row["text"]) for row in of_seed]
                streams = [[_nth(references[row["id"]], place, same) for row in of_seed] for place in range(most)]
                scores.append(float(_corpus(metric, texts, streams)))
            result[name][level] = {"mean": sum(scores) / len(scores), "per_seed": scores}
    return result


def _nth(references: Sequence[str], place: int, same: Callable[[str], str]) -> str | None:
    return same(references[place]) if place < len(references) else None


def _corpus(metric: Any, texts: list[str], streams: list[list[str | None]]) -> float:
    return float(metric.corpus_score(texts, streams).score)


def signature(metric: str, levels: str) -> str:
    """sacrebleu's own signature, with our normalisation behind it."""
    scorer: Any = {"chrF2++": CHRF(word_order=2), "BLEU": BLEU(tokenize=_BLEU_TOKENIZER)}[metric]
    scorer.num_refs = -1  # sacrebleu's mark for "varies from row to row"
    return f"{metric}|{scorer.get_signature()}|normalisation:{levels}"
