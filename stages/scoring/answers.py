"""Greedy answers to the generation prompts: what they say, how they are written, how far training has moved them."""

from __future__ import annotations

from collections.abc import Sequence

from stages.arabic.flaws import is_hedged, is_repeated
from stages.bases.adapters import merged_adapter, with_start, without_adapter
from stages.bases.tokens import Encoded, encode, encode_prompt, generation_stop_ids
from stages.core.files import Row
from stages.core.params import EvaluateBudget, Limits
from stages.core.schema import AnswerScore, Distances, TextScore
from stages.rows.conventions import assistant
from stages.scoring import answer_checks, reference_overlap, writing_style
from stages.scoring.generation import Generation, generate
from stages.scoring.scored_model import ScoredModel, identity


def answer(subject: ScoredModel, rows: Sequence[Row], budget: EvaluateBudget) -> list[Generation]:
    """The model's greedy answer to the prompt of each row, in their order."""
    prompts = [encode_prompt(subject.tokenizer, row["prompt"]) for row in rows]
    return generate(
        subject.model,
        subject.tokenizer,
        prompts,
        generation_stop_ids(subject.tokenizer),
        budget.max_new_tokens,
        budget.sequences_per_batch,
        show=f"{subject.label}: answers",
    )


def references(subject: ScoredModel, rows: Sequence[Row]) -> list[Encoded]:
    """Each prompt with its first reference as the answer."""
    return [encode(subject.tokenizer, row["prompt"], assistant(row["references"][0])) for row in rows]


def generation_rows(
    rows: Sequence[Row],
    answers: Sequence[Generation],
    nats: Sequence[float],
    limits: Limits,
    kind: str = "generation",
) -> list[AnswerScore]:
    """One score row a prompt: the answer's text and tokens, its metrics, and the nats of the row's first reference."""
    return [
        {
            **identity(kind, row),
            "task": row["task"],
            "wording": row["wording"],
            "text": given.text,
            "tokens": given.tokens,
            "stopped": given.stopped,
            "reference_nats": reference_nats,
            "reference_characters": len(row["references"][0]),
            **text_scores(given.text, row),
            **writing_style.counts(given.text),
            "flags": writing_style.flags(given.text, limits),
        }
        for row, given, reference_nats in zip(rows, answers, nats, strict=True)
    ]


def text_scores(text: str, row: Row) -> TextScore:
    """What `answer_checks` and `reference_overlap` say of one answer to a generation row."""
    hedged, repeated = is_hedged(text), is_repeated(text)
    references = row["references"]
    return {
        "exact": answer_checks.exact_match(text, references),
        "contains": answer_checks.passes(text, row["checks"]),
        "chrf": reference_overlap.chrf(text, references),
        "chrf_raw": reference_overlap.chrf(text, references, "raw"),
        "rouge_l": reference_overlap.rouge_l(text, references),
        "rouge_l_raw": reference_overlap.rouge_l(text, references, "raw"),
        "reference_words": len(reference_overlap.words(references[0], "light")),
        "hedged": hedged,
        "repeated": repeated,
        "clean": not hedged and not repeated,
        "arabic_ratio": answer_checks.arabic_ratio(text),
    }


def own_answers(subject: ScoredModel, rows: Sequence[Row], answers: Sequence[Generation]) -> list[Encoded]:
    """Each prompt with the tokens that the model answered it with, a stop token included where it came."""
    prompts = (encode_prompt(subject.tokenizer, row["prompt"]) for row in rows)
    return [Encoded(ids, list(given.ids)) for ids, given in zip(prompts, answers, strict=True)]


def distances(subject: ScoredModel, given: Sequence[Encoded], nats: Sequence[float]) -> list[Distances]:
    """Nats per token by which the model finds its own answers more probable than the base, and its own start, do.

    Their means estimate the divergence from each where the model goes (greedy answers, no sample): how far training
    has moved it, and how far the method alone. The base is 0 from itself and has no start.
    """
    with without_adapter(subject.model) as removed:
        base = subject.completions(given, "base") if removed else nats
    start: Sequence[float] | None = None
    if subject.start is not None:
        with with_start(subject.model, subject.start), merged_adapter(subject.model):
            start = subject.completions(given, "start")
    elif removed:
        start = base
    found: list[Distances] = []
    for index, example in enumerate(given):
        tokens = len(example.completion_ids)
        distance: Distances = {"log_ratio_to_base_nats_per_token": (nats[index] - base[index]) / tokens}
        if start is not None:
            distance["log_ratio_to_start_nats_per_token"] = (nats[index] - start[index]) / tokens
        found.append(distance)
    return found
