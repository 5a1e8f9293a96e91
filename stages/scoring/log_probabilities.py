"""Score given answers: the log-probabilities behind preferences, multiple choice and bits per character.

Only the positions that predict an answer token reach the vocabulary projection. For Qwen3 (151,936 entries) the
logits of a whole batch of 8,192 tokens would take 5 GB in float32.

How the rows are read is an argument. `plain_batches` reads each row whole; `stages.scoring.prefix_cache` reads what
rows share once. Stage `reference` reads plainly: its rows hardly share a prefix, and an edit of prefix sharing must
not compute every reference again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import Cache, PreTrainedModel

from stages.bases.adapters import evaluating, unwrapped
from stages.bases.tokens import Encoded
from stages.core.errors import PipelineError

MAX_LOGITS = 2**26  # elements of one batch's logits: 256 MiB in float32, and as much again for their softmax

# Batch for batch: the indices of its rows, and logits (completion tokens of the batch, vocabulary) in their order.
Batches = Iterator[tuple[list[int], torch.Tensor]]


class Reader(Protocol):
    """A way to read examples: every index once, in any order, with the logits that predict its completion."""

    def __call__(
        self, model: PreTrainedModel, examples: Sequence[Encoded], max_batch_tokens: int, show: str | None
    ) -> Batches: ...


def plain_batches(
    model: PreTrainedModel, examples: Sequence[Encoded], max_batch_tokens: int, show: str | None
) -> Batches:
    """Read every row whole, rows of like length together; see `Batches` for the shapes."""
    with evaluating(model), tqdm(total=len(examples), desc=show, unit="row", disable=show is None) as bar:
        for rows in batches(examples, max_batch_tokens, max_completion_tokens(model)):
            yield rows, _completion_logits(model, [examples[i] for i in rows])
            bar.update(len(rows))


@torch.no_grad()
def completion_logprobs(
    model: PreTrainedModel,
    examples: Sequence[Encoded],
    max_batch_tokens: int = 8192,
    show: str | None = None,
    read: Reader = plain_batches,
) -> list[float]:
    """Natural logarithm of p(completion | prompt), summed over the completion's tokens, stop token included.

    Returns one float (nats, 0 or less) per example, in the order of ``examples``. ``max_batch_tokens`` bounds rows
    times longest row of a batch and changes speed only, as ``read`` does: in float32 the result moves by less than
    1e-4 nats. ``show`` labels a progress bar. Works for every decoder-only architecture with an output embedding,
    plain or with an adapter. Raises PipelineError for an example without a prompt or without a completion.
    """
    for index, example in enumerate(examples):
        if not example.prompt_ids or not example.completion_ids:
            raise PipelineError(f"example {index} has no prompt or no answer to score: remove the row it came from")
    result = [0.0] * len(examples)
    for rows, logits in read(model, examples, max_batch_tokens, show):
        completions = [examples[index].completion_ids for index in rows]
        targets = torch.tensor([token for ids in completions for token in ids], device=model.device)
        per_token = -cross_entropy(logits.float(), targets, reduction="none")  # (completion tokens of the batch,)
        sums = torch.stack([part.double().sum() for part in per_token.split([len(ids) for ids in completions])])
        for index, value in zip(rows, sums.tolist(), strict=True):
            result[index] = value
    return result


@torch.no_grad()
def next_token_logprobs(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    candidates: Sequence[Sequence[int]],
    max_batch_tokens: int = 8192,
    show: str | None = None,
    read: Reader = plain_batches,
) -> list[list[float]]:
    """Natural logarithm of p(candidate | prompt) for each of a prompt's candidate tokens, from one forward pass.

    Returns nats in the shape of ``candidates``. Equals `completion_logprobs` of the one-token completions, at a cost
    that does not grow with their number. Raises PipelineError for a prompt without tokens.
    """
    if not all(prompts):
        raise PipelineError("a prompt without tokens has no next one: remove the empty row")
    examples = [Encoded(ids, [wanted[0]]) for ids, wanted in zip(prompts, candidates, strict=True)]
    result: list[list[float]] = [[] for _ in prompts]
    for rows, logits in read(model, examples, max_batch_tokens, show):
        for index, row in zip(rows, logits.float().log_softmax(dim=-1), strict=True):
            result[index] = row[list(candidates[index])].double().tolist()
    return result


def max_completion_tokens(model: PreTrainedModel) -> int:
    """How many completion tokens of one batch `MAX_LOGITS` has room for, given the model's vocabulary."""
    return MAX_LOGITS // int(unwrapped(model).config.get_text_config().vocab_size)


def batches(examples: Sequence[Encoded], max_tokens: int, max_completion_tokens: int) -> list[list[int]]:
    """Indices grouped by length, longest first, so that a batch that does not fit fails at once.

    Rows times longest row stay within ``max_tokens`` and the completions together within
    ``max_completion_tokens``; a single example above a limit is a batch of its own.
    """
    order = sorted(range(len(examples)), key=lambda i: (-examples[i].length, i))
    groups: list[list[int]] = []
    completion_tokens = 0
    for index in order:
        added = len(examples[index].completion_ids)
        if groups:
            tokens = examples[groups[-1][0]].length * (len(groups[-1]) + 1)
            if tokens <= max_tokens and completion_tokens + added <= max_completion_tokens:
                groups[-1].append(index)
                completion_tokens += added
                continue
        groups.append([index])
        completion_tokens = added
    return groups


def _completion_logits(model: PreTrainedModel, batch: list[Encoded]) -> torch.Tensor:
    """Logits (completion tokens of the batch, vocabulary) that predict them, in row order.

    One forward pass over right-padded rows; the last token of a row predicts nothing and stays out.
    """
    rows = [torch.tensor((example.prompt_ids + example.completion_ids)[:-1]) for example in batch]
    input_ids = pad_sequence(rows, batch_first=True)  # (rows, longest), padded with id 0 behind the mask
    lengths = torch.tensor([len(row) for row in rows]).unsqueeze(1)
    first = torch.tensor([len(example.prompt_ids) - 1 for example in batch]).unsqueeze(1)
    position = torch.arange(input_ids.shape[1]).unsqueeze(0)
    attended = position < lengths
    predicts = (attended & (position >= first)).to(model.device)  # (rows, longest), true where the next id is scored
    return logits_at(model, predicts, input_ids=input_ids, attention_mask=attended.long())


def logits_at(
    model: PreTrainedModel, predicts: torch.Tensor, cache: Cache | None = None, **inputs: torch.Tensor
) -> torch.Tensor:
    """Logits (positions, vocabulary) where ``predicts`` (rows, longest) is true, in row order.

    ``inputs`` are the forward's own, (rows, longest) each; the mask covers the positions of the cache too. The hidden
    states are gathered on their way into the projection, and the model's own forward goes on from there: it knows
    what comes after (Granite divides its logits, Cohere and Falcon-H1 scale them, Gemma caps them). ``cache`` is read
    and filled where it is given. Raises PipelineError for a model that projects past its output embedding.
    """

    def gather(_: torch.nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return (arguments[0][predicts].unsqueeze(0), *arguments[1:])

    projection = unwrapped(model).get_output_embeddings()
    hook = projection.register_forward_pre_hook(gather)
    try:
        moved = {name: value.to(model.device) for name, value in inputs.items()}
        logits: torch.Tensor = model(**moved, past_key_values=cache, use_cache=cache is not None).logits
    finally:
        hook.remove()
    logits = logits.flatten(0, -2)
    if len(logits) != int(predicts.sum()):
        raise PipelineError(
            f"{type(unwrapped(model)).__name__} does not pass its hidden states through get_output_embeddings(): "
            "its answers cannot be scored, use another base"
        )
    return logits
