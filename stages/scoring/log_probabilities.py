"""Log-probabilities of given answers: the number behind preferences, multiple choice and bits per character.

Only the positions that predict an answer token reach the vocabulary projection. For Qwen3 (151,936 entries) the
logits of a whole batch of 8,192 tokens would take 5 GB in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import Cache, PreTrainedModel

from stages.bases.adapters import evaluating, unwrapped
from stages.bases.tokens import Encoded
from stages.core.errors import PipelineError

MAX_LOGITS = 2**26  # elements of one batch's logits: 256 MiB in float32, and as much again for their softmax


@torch.no_grad()
def completion_logprobs(
    model: PreTrainedModel, examples: Sequence[Encoded], max_batch_tokens: int = 8192, show: str | None = None
) -> list[float]:
    """Natural logarithm of p(completion | prompt), summed over the completion's tokens, stop token included.

    Returns one float (nats, 0 or less) per example, in the order of ``examples``. ``max_batch_tokens`` bounds rows
    times longest row of a batch and changes speed only: in float32 the result moves by less than 1e-4 nats.
    ``show`` labels a progress bar. Works for every decoder-only architecture with an output embedding, plain or
    with an adapter. Raises PipelineError for an example without a prompt or without a completion.
    """
    for index, example in enumerate(examples):
        if not example.prompt_ids or not example.completion_ids:
            raise PipelineError(f"example {index} has no prompt or no answer to score: remove the row it came from")
    vocabulary = int(unwrapped(model).config.get_text_config().vocab_size)
    result = [0.0] * len(examples)
    with evaluating(model), tqdm(total=len(examples), desc=show, unit="row", disable=show is None) as bar:
        for batch in batches(examples, max_batch_tokens, MAX_LOGITS // vocabulary):
            for index, value in zip(batch, _score(model, [examples[i] for i in batch]), strict=True):
                result[index] = value
            bar.update(len(batch))
    return result


@torch.no_grad()
def next_token_logprobs(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    candidates: Sequence[Sequence[int]],
    max_batch_tokens: int = 8192,
    show: str | None = None,
) -> list[list[float]]:
    """Natural logarithm of p(candidate | prompt) for each of a prompt's candidate tokens, from one forward pass.

    Equals `completion_logprobs` of the one-token completions, at a cost that does not grow with their number. Raises
    PipelineError for a prompt without tokens.
    """
    if not all(prompts):
        raise PipelineError("a prompt without tokens has no next one: remove the empty row")
    examples = [Encoded(ids, [wanted[0]]) for ids, wanted in zip(prompts, candidates, strict=True)]
    vocabulary = int(unwrapped(model).config.get_text_config().vocab_size)
    result: list[list[float]] = [[] for _ in prompts]
    with evaluating(model), tqdm(total=len(prompts), desc=show, unit="row", disable=show is None) as bar:
        for batch in batches(examples, max_batch_tokens, MAX_LOGITS // vocabulary):
            table = _completion_logits(model, [examples[i] for i in batch]).float().log_softmax(dim=-1)
            for row, index in zip(table, batch, strict=True):
                result[index] = row[list(candidates[index])].double().tolist()
            bar.update(len(batch))
    return result


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


def _score(model: PreTrainedModel, batch: list[Encoded]) -> list[float]:
    """Summed log-probabilities of one batch's completions."""
    logits = _completion_logits(model, batch)
    targets = torch.tensor([token for example in batch for token in example.completion_ids], device=model.device)
    per_token = -cross_entropy(logits.float(), targets, reduction="none")
    sums = [part.double().sum() for part in per_token.split([len(example.completion_ids) for example in batch])]
    return [float(value) for value in torch.stack(sums).tolist()]


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
    logits = logits_at(model, predicts, input_ids=input_ids, attention_mask=attended.long())
    if logits.shape[0] != sum(len(example.completion_ids) for example in batch):
        raise PipelineError(
            f"{type(unwrapped(model)).__name__} does not pass its hidden states through get_output_embeddings(): "
            "its answers cannot be scored, use another base"
        )
    return logits


def logits_at(
    model: PreTrainedModel, predicts: torch.Tensor, cache: Cache | None = None, **inputs: torch.Tensor
) -> torch.Tensor:
    """Logits (positions, vocabulary) where ``predicts`` (rows, longest) is true, in row order.

    The hidden states are gathered on their way into the projection, and the model's own forward goes on from there:
    it knows what comes after (Granite divides its logits, Cohere and Falcon-H1 scale them, Gemma caps them). ``cache``
    is read and filled where it is given.
    """

    def gather(_: torch.nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return (arguments[0][predicts].unsqueeze(0), *arguments[1:])

    head = unwrapped(model).get_output_embeddings()
    hook = head.register_forward_pre_hook(gather)
    try:
        moved = {name: value.to(model.device) for name, value in inputs.items()}
        logits: torch.Tensor = model(**moved, past_key_values=cache, use_cache=cache is not None).logits
    finally:
        hook.remove()
    return logits.flatten(0, -2)
