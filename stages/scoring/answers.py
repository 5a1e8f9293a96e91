"""Greedy answers to the generation prompts: what they say, how they are written, how far training has moved them."""

from __future__ import annotations

from collections.abc import Sequence

from stages.bases.adapters import merged_adapter, with_start, without_adapter
from stages.bases.tokens import Encoded, encode, encode_prompt, generation_stop_ids
from stages.core.files import Row
from stages.core.params import EvaluateBudget, Limits
from stages.rows.conventions import assistant
from stages.scoring import answer_checks as metrics
from stages.scoring import reference_overlap, writing_style
from stages.scoring.generation import Generation, generate
from stages.scoring.scored_model import Subject


def answer(subject: Subject, rows: Sequence[Row], budget: EvaluateBudget) -> list[Generation]:
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


def references(subject: Subject, rows: Sequence[Row]) -> list[Encoded]:
    """Each prompt with its first reference as the answer."""
    return [encode(subject.tokenizer, row["prompt"], assistant(row["references"][0])) for row in rows]


def generation_rows(
    rows: Sequence[Row],
    answers: Sequence[Generation],
    nats: Sequence[float],
    limits: Limits,
    kind: str = "generation",
) -> list[Row]:
    """One score row a prompt: the answer's text and tokens, its metrics, and the nats of the row's first reference."""
    return [
        {
            "kind": kind,
            "id": row["id"],
            "task": row["task"],
            "wording": row["wording"],
            "text": given.text,
            "tokens": given.tokens,
            "stopped": given.stopped,
            "reference_nats": reference_nats,
            "reference_characters": len(row["references"][0]),
        }
        | {field: row[field] for field in ("set",) if field in row}
        | text_scores(given.text, row)
        | writing_style.counts(given.text)
        | {"flags": writing_style.flags(given.text, limits)}
        for row, given, reference_nats in zip(rows, answers, nats, strict=True)
    ]


def text_scores(text: str, row: Row) -> Row:
    """What `stages.scoring.answer_checks` and `overlap` say of one answer to a generation row."""
    hedged, repeated = metrics.hedged(text), metrics.repeated(text)
    references = row["references"]
    return {
        "exact": metrics.exact_match(text, references),
        "contains": metrics.passes(text, row["checks"]),
        "chrf": reference_overlap.chrf(text, references),
        "chrf_raw": reference_overlap.chrf(text, references, "raw"),
        "rouge_l": reference_overlap.rouge_l(text, references),
        "rouge_l_raw": reference_overlap.rouge_l(text, references, "raw"),
        "reference_words": len(reference_overlap.words(references[0], "light")),
        "hedged": hedged,
        "repeated": repeated,
        "clean": not hedged and not repeated,
        "arabic_ratio": metrics.arabic_ratio(text),
    }


def own_answers(subject: Subject, rows: Sequence[Row], answers: Sequence[Generation]) -> list[Encoded]:
    """Each prompt with the tokens that the model answered it with, a stop token included where it came."""
    prompts = (encode_prompt(subject.tokenizer, row["prompt"]) for row in rows)
    return [Encoded(ids, list(given.ids)) for ids, given in zip(prompts, answers, strict=True)]


def distances(subject: Subject, given: Sequence[Encoded], nats: Sequence[float]) -> list[Row]:
    """Nats per token by which the model finds its own answers more probable than the base, and its own start, do.

    Their means estimate the divergence from each where the model goes (greedy answers, no sample): how far training
    has moved it, and how far the method alone. The base is 0 from itself and has no start.
    """
    others: dict[str, Sequence[float]] = {}
    with without_adapter(subject.model) as removed:
        others["base"] = subject.completions(given, "base") if removed else nats
    if subject.start is not None:
        with with_start(subject.model, subject.start), merged_adapter(subject.model):
            others["start"] = subject.completions(given, "start")
    elif removed:
        others["start"] = others["base"]
    return [
        {
            f"log_ratio_to_{name}_nats_per_token": (nats[index] - other[index]) / len(example.completion_ids)
            for name, other in others.items()
        }
        for index, example in enumerate(given)
    ]
