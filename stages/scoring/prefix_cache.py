"""Log-probabilities of rows that begin alike, whose beginning is read once.

Four options of a question share nine tenths of what there is to read, its rotations a half, and a benchmark's questions
the frame around them. What rows share is their head: its keys and values are kept and handed to each of them, and only
the tails are read after that. Which rows share which head is chosen so that the fewest tokens are read in all. What all
of them begin with, a system prompt for one, is their frame, and read once for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from stages.bases.adapters import evaluating, unwrapped
from stages.bases.tokens import Encoded
from stages.core.errors import PipelineError
from stages.scoring import log_probabilities
from stages.scoring.log_probabilities import logits_at

MOST_ROWS = 16  # that share one head: keeps the choice quick, and the head is read again for the next ones
PASS_TOKENS = 8  # reading heads is a pass more, which has to save more tokens than these


@dataclass(frozen=True)
class Group:
    """Indices of rows whose first ``shared`` tokens are the same; 0 where nothing is worth sharing."""

    shared: int
    rows: tuple[int, ...]


@torch.no_grad()
def completion_logprobs(
    model: PreTrainedModel, examples: Sequence[Encoded], max_batch_tokens: int = 8192, show: str | None = None
) -> list[float]:
    """Natural logarithm of p(completion | prompt), summed over the completion's tokens, in the order of ``examples``.

    Equals `log_probabilities.completion_logprobs` to less than 1e-4 nats in float32, whatever the batches, and is that
    for a model whose layers keep something else than all keys and values (sliding windows, states of a recurrence).
    Raises PipelineError for an example without a prompt or without a completion.
    """
    if not keeps_everything(model):
        return log_probabilities.completion_logprobs(model, examples, max_batch_tokens, show)
    result = [0.0] * len(examples)
    for rows, logits in _read(model, examples, max_batch_tokens, show):
        completions = [examples[index].completion_ids for index in rows]
        targets = torch.tensor([token for ids in completions for token in ids], device=model.device)
        per_token = -cross_entropy(logits.float(), targets, reduction="none")
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
) -> list[list[float]]:
    """Natural logarithm of p(candidate | prompt) for each of a prompt's candidate tokens.

    Equals `completion_logprobs` of the one-token completions, at a cost that does not grow with their number. Raises
    PipelineError for a prompt without tokens.
    """
    if not keeps_everything(model):
        return log_probabilities.next_token_logprobs(model, prompts, candidates, max_batch_tokens, show)
    examples = [Encoded(ids, [wanted[0]]) for ids, wanted in zip(prompts, candidates, strict=True)]
    result: list[list[float]] = [[] for _ in prompts]
    for rows, logits in _read(model, examples, max_batch_tokens, show):
        for index, row in zip(rows, logits.float().log_softmax(dim=-1), strict=True):
            result[index] = row[list(candidates[index])].double().tolist()
    return result


def keeps_everything(model: PreTrainedModel) -> bool:
    """Whether each layer's cache is plain keys and values of all positions, which any row may go on from."""
    cache = DynamicCache(config=unwrapped(model).config.get_text_config())
    return all(type(layer) is DynamicLayer for layer in cache.layers)


# ---------------------------------------------------------------- which rows share what


def frame_of(examples: Sequence[Encoded]) -> list[int]:
    """What all prompts begin with, at least one token short of each, where it is worth a pass of its own."""
    if len(examples) < 2:
        return []
    prompts = [example.prompt_ids for example in examples]
    first, last = min(prompts), max(prompts)  # in order, so that all between begin alike as far as these two do
    common = min(common_length(first, last), *(len(ids) - 1 for ids in prompts))
    return first[:common] if common > PASS_TOKENS else []


def grouped(examples: Sequence[Encoded], max_tokens: int) -> list[Group]:
    """Every row in one group; a group of several keeps within ``max_tokens``, padding included.

    The last token of a prompt is every row's own: it predicts what is asked for.
    """
    rows = [example.prompt_ids for example in examples]
    order = sorted(range(len(rows)), key=lambda i: (rows[i], i))
    alike = [common_length(rows[one], rows[two]) for one, two in pairwise(order)]

    def shared(begin: int, end: int) -> int:
        own = (len(rows[i]) - 1 for i in order[begin:end])
        return min(*alike[begin : end - 1], *own) if end - begin > 1 else 0

    def saved(begin: int, end: int) -> float:
        common = shared(begin, end)
        return PASS_TOKENS - (end - begin - 1) * common if common else 0

    found = []
    for begin, end in cheapest_cuts(len(order), MOST_ROWS, saved):
        common = shared(begin, end) if saved(begin, end) < 0 else 0
        longest_first = sorted(order[begin:end], key=lambda i: (-examples[i].length, i))
        tails = [examples[i].length - common for i in longest_first]

        def read(first: int, last: int, head: int = common, tails: list[int] = tails) -> float:
            tokens = head + (last - first) * tails[first]
            return tokens if tokens <= max_tokens or last - first == 1 else math.inf

        found += [Group(common, tuple(longest_first[a:b])) for a, b in cheapest_cuts(len(tails), MOST_ROWS, read)]
    return found


def common_length(one: Sequence[int], two: Sequence[int]) -> int:
    pairs = enumerate(zip(one, two, strict=False))
    return next((place for place, (first, second) in pairs if first != second), min(len(one), len(two)))


def cheapest_cuts(count: int, most: int, cost: Callable[[int, int], float]) -> list[tuple[int, int]]:
    """The cheapest way to cut ``range(count)`` into runs (begin, end) of at most ``most``."""
    total, before = [0.0], [0]
    for end in range(1, count + 1):
        value, begin = min((total[begin] + cost(begin, end), begin) for begin in range(max(0, end - most), end))
        total.append(value)
        before.append(begin)
    cuts = []
    while count:
        cuts.append((before[count], count))
        count = before[count]
    return cuts[::-1]


def batches(
    examples: Sequence[Encoded], groups: Sequence[Group], max_tokens: int, max_completion_tokens: int
) -> list[list[Group]]:
    """Groups with tails of like length, longest first; heads and tails of a batch, padded, within ``max_tokens``."""

    def tail(group: Group) -> int:
        return max(examples[i].length for i in group.rows) - group.shared

    found: list[list[Group]] = []
    heads: set[tuple[int, ...]] = set()
    rows = completion = longest_head = longest_tail = 0
    for group in sorted(groups, key=lambda one: (one.shared == 0, -tail(one), -one.shared, one.rows)):
        head = tuple(examples[group.rows[0]].prompt_ids[: group.shared])
        added = sum(len(examples[i].completion_ids) for i in group.rows)
        tokens = max(longest_head, group.shared) * len(heads | {head}) + (rows + len(group.rows)) * longest_tail
        fits = tokens <= max_tokens and completion + added <= max_completion_tokens
        if not found or not fits or (group.shared == 0) != (found[-1][0].shared == 0):
            found.append([])
            heads, rows, completion, longest_head, longest_tail = set(), 0, 0, 0, tail(group)
        found[-1].append(group)
        heads.add(head)
        rows, completion, longest_head = rows + len(group.rows), completion + added, max(longest_head, group.shared)
    return found


# ---------------------------------------------------------------- reading them


def _read(
    model: PreTrainedModel, examples: Sequence[Encoded], max_batch_tokens: int, show: str | None
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Batch for batch: indices, and the logits (completion tokens, vocabulary) that predict their completions."""
    for index, example in enumerate(examples):
        if not example.prompt_ids or not example.completion_ids:
            raise PipelineError(f"example {index} has no token to score: remove the row it came from")
    vocabulary = int(unwrapped(model).config.get_text_config().vocab_size)
    common = frame_of(examples)
    examples = [Encoded(example.prompt_ids[len(common) :], example.completion_ids) for example in examples]
    groups = grouped(examples, max_batch_tokens)
    with evaluating(model), tqdm(total=len(examples), desc=show, unit="row", disable=show is None) as bar:
        frame = _read_frame(model, common)
        for batch in batches(examples, groups, max_batch_tokens, log_probabilities.MAX_LOGITS // vocabulary):
            rows = [index for group in batch for index in group.rows]
            shared = [group.shared for group in batch for _ in group.rows]
            yield rows, _completion_logits(model, [examples[i] for i in rows], shared, frame)
            bar.update(len(rows))


def _completion_logits(
    model: PreTrainedModel, batch: list[Encoded], shared: list[int], frame: DynamicCache
) -> torch.Tensor:
    """``shared`` tokens of each row are a head, or none of any is; tails are padded on the right."""
    heads = [tuple(example.prompt_ids[:common]) for example, common in zip(batch, shared, strict=True)]
    once = list(dict.fromkeys(heads))
    owner = torch.tensor([once.index(head) for head in heads])
    cache = _copies(model, frame, len(once))
    attended = _read_heads(model, cache, once)[owner]
    kept = cache if attended.shape[1] else None
    if kept is not None:
        kept.batch_select_indices(owner.to(model.device))
    rows = [example.prompt_ids + example.completion_ids[:-1] for example in batch]
    tails = [torch.tensor(ids[common:]) for ids, common in zip(rows, shared, strict=True)]
    input_ids = pad_sequence(tails, batch_first=True)
    place = torch.arange(input_ids.shape[1]).unsqueeze(0)
    real = place < torch.tensor([len(ids) for ids in tails]).unsqueeze(1)
    first = [len(example.prompt_ids) - 1 - common for example, common in zip(batch, shared, strict=True)]
    predicts = (real & (place >= torch.tensor(first).unsqueeze(1))).to(model.device)
    with last_layer_at(model, predicts):
        return logits_at(
            model,
            predicts,
            kept,
            input_ids=input_ids,
            attention_mask=torch.cat([attended, real.long()], dim=1),
            position_ids=attended.sum(dim=1, keepdim=True) + place,
        )


def _read_frame(model: PreTrainedModel, ids: list[int]) -> DynamicCache:
    """The keys and values of what all rows begin with, in one row."""
    frame = DynamicCache(config=unwrapped(model).config.get_text_config())
    _read_heads(model, frame, [tuple(ids)])
    return frame


def _copies(model: PreTrainedModel, frame: DynamicCache, count: int) -> DynamicCache:
    cache = DynamicCache(config=unwrapped(model).config.get_text_config())
    layers: Any = frame.layers
    if frame.get_seq_length():
        for index, layer in enumerate(layers):
            cache.update(layer.keys.expand(count, -1, -1, -1), layer.values.expand(count, -1, -1, -1), index)
    return cache


def _read_heads(model: PreTrainedModel, cache: DynamicCache, heads: list[tuple[int, ...]]) -> torch.Tensor:
    """Add heads to the cache, padded on the left as in generation; which of its positions are theirs."""
    longest = max(map(len, heads))
    before = torch.ones(len(heads), cache.get_seq_length(), dtype=torch.long)
    read = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in heads], dtype=torch.long)
    attended = torch.cat([before, read], dim=1)
    if not longest:
        return attended
    last = torch.zeros_like(read, dtype=torch.bool)
    last[:, -1] = True
    with last_layer_at(model, last.to(model.device)):
        logits_at(
            model,
            last.to(model.device),
            cache,
            input_ids=torch.tensor([[0] * (longest - len(ids)) + list(ids) for ids in heads]),
            attention_mask=attended,
            position_ids=(attended.cumsum(dim=1) - 1).clamp(min=0)[:, -longest:],
        )
    return attended


@contextmanager
def last_layer_at(model: PreTrainedModel, predicts: torch.Tensor) -> Iterator[None]:
    """The last layer's feed-forward network at the positions that ``predicts`` marks only, where it is named ``mlp``.

    Nothing reads what it would give at the others: a sixth of the work of four layers, a thirtieth of that of 24.
    """
    layers: Any = getattr(unwrapped(model).get_decoder(), "layers", None)
    network = getattr(layers[-1], "mlp", None) if layers is not None else None
    if network is None:
        yield
        return

    def gather(_: torch.nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return (arguments[0][predicts].unsqueeze(0), *arguments[1:])

    def scatter(_: torch.nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        if not isinstance(output, torch.Tensor):  # of experts some also return what they routed
            return (scatter(_, __, output[0]), *output[1:])
        whole = output.new_zeros(*predicts.shape, output.shape[-1])
        whole[predicts] = output[0]
        return whole

    hooks = [network.register_forward_pre_hook(gather), network.register_forward_hook(scatter)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
