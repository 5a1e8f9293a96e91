"""Score continuations with a shared-prefix KV cache: what several rows begin with is read once.

Four options of a question share nine tenths of what there is to read, its rotations a half, and a benchmark's questions
the instruction before them. The keys and values of a shared prefix are kept and handed to each row, and only the
suffixes are read after that. Which rows share which prefix is chosen so that the fewest tokens are read in all. What
all rows begin with is their system prefix. It is read once for all batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from stages.bases.adapters import evaluating, unwrapped
from stages.bases.tokens import Encoded
from stages.scoring.log_probabilities import Batches, logits_at, max_completion_tokens, plain_batches

MOST_ROWS = 16  # that share one prefix: keeps the choice quick, and the prefix is read again for the next ones
PASS_TOKENS = 8  # reading prefixes is a pass more, which has to save more tokens than these


@dataclass(frozen=True)
class Group:
    """Indices of rows whose first ``prefix`` tokens are the same; 0 where nothing is worth sharing."""

    prefix: int
    rows: tuple[int, ...]


def shared_prefixes(
    model: PreTrainedModel, examples: Sequence[Encoded], max_batch_tokens: int, show: str | None
) -> Batches:
    """Read what rows begin with once, and then each row's own suffix: a reader for `completion_logprobs`.

    See `Batches` for the shapes. The log-probabilities equal those of `plain_batches` to less than 1e-4 nats in
    float32, whatever the batches. A model whose layers keep something else than all keys and values (sliding windows,
    states of a recurrence) is read by `plain_batches`.
    """
    if not keeps_everything(model):
        yield from plain_batches(model, examples, max_batch_tokens, show)
        return
    common = system_prefix(examples)
    examples = [Encoded(example.prompt_ids[len(common) :], example.completion_ids) for example in examples]
    groups = grouped(examples, max_batch_tokens)
    with evaluating(model), tqdm(total=len(examples), desc=show, unit="row", disable=show is None) as bar:
        system = _read_system_prefix(model, common)
        for batch in prefix_batches(examples, groups, max_batch_tokens, max_completion_tokens(model)):
            rows = [index for group in batch for index in group.rows]
            lengths = [group.prefix for group in batch for _ in group.rows]
            yield rows, _suffix_logits(model, [examples[i] for i in rows], lengths, system)
            bar.update(len(rows))


def keeps_everything(model: PreTrainedModel) -> bool:
    """Whether each layer's cache is plain keys and values of all positions, which any row may go on from."""
    # The very class: those that inherit from it forget or compress positions.
    return all(type(layer) is DynamicLayer for layer in _empty_cache(model).layers)


# ---------------------------------------------------------------- which rows share what


def system_prefix(examples: Sequence[Encoded]) -> list[int]:
    """Token ids that all prompts begin with, at least one short of each prompt; none where no pass is saved."""
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
        suffixes = [examples[i].length - common for i in longest_first]

        def read(first: int, last: int, prefix: int = common, suffixes: list[int] = suffixes) -> float:
            tokens = prefix + (last - first) * suffixes[first]
            return tokens if tokens <= max_tokens or last - first == 1 else math.inf

        found += [Group(common, tuple(longest_first[a:b])) for a, b in cheapest_cuts(len(suffixes), MOST_ROWS, read)]
    return found


def common_length(one: Sequence[int], two: Sequence[int]) -> int:
    """How many tokens the two begin with in common."""
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


def prefix_batches(
    examples: Sequence[Encoded], groups: Sequence[Group], max_tokens: int, max_completion_tokens: int
) -> list[list[Group]]:
    """Groups with suffixes of like length, longest first.

    Prefixes and suffixes of a batch, padded, stay within ``max_tokens`` and its completions together within
    ``max_completion_tokens``; a single group above a limit is a batch of its own.
    """

    def suffix(group: Group) -> int:
        return max(examples[i].length for i in group.rows) - group.prefix

    found: list[list[Group]] = []
    prefixes: set[tuple[int, ...]] = set()
    rows = completion = longest_prefix = longest_suffix = 0
    for group in sorted(groups, key=lambda one: (one.prefix == 0, -suffix(one), -one.prefix, one.rows)):
        prefix = tuple(examples[group.rows[0]].prompt_ids[: group.prefix])
        added = sum(len(examples[i].completion_ids) for i in group.rows)
        tokens = (
            max(longest_prefix, group.prefix) * len(prefixes | {prefix}) + (rows + len(group.rows)) * longest_suffix
        )
        fits = tokens <= max_tokens and completion + added <= max_completion_tokens
        if not found or not fits or (group.prefix == 0) != (found[-1][0].prefix == 0):
            found.append([])
            prefixes, rows, completion, longest_prefix, longest_suffix = set(), 0, 0, 0, suffix(group)
        found[-1].append(group)
        prefixes.add(prefix)
        rows, completion, longest_prefix = rows + len(group.rows), completion + added, max(longest_prefix, group.prefix)
    return found


# ---------------------------------------------------------------- reading them


def _suffix_logits(
    model: PreTrainedModel, batch: list[Encoded], lengths: list[int], system: DynamicCache
) -> torch.Tensor:
    """Logits (completion tokens of the batch, vocabulary) that predict them, in row order.

    The first ``lengths`` tokens of each row are its shared prefix, or none of any row is. Suffixes are padded on the
    right.
    """
    prefixes = [tuple(example.prompt_ids[:length]) for example, length in zip(batch, lengths, strict=True)]
    once = list(dict.fromkeys(prefixes))
    owner = torch.tensor([once.index(prefix) for prefix in prefixes])  # (rows,), which prefix is a row's
    cache = deepcopy(system)
    cache.batch_repeat_interleave(len(once))
    attended = _read_prefixes(model, cache, once)[owner]
    kept = cache if attended.shape[1] else None
    if kept is not None:
        kept.batch_select_indices(owner.to(model.device))
    rows = [example.prompt_ids + example.completion_ids[:-1] for example in batch]
    suffixes = [torch.tensor(ids[length:]) for ids, length in zip(rows, lengths, strict=True)]
    input_ids = pad_sequence(suffixes, batch_first=True)  # (rows, longest suffix), as all below but ``attended``
    place = torch.arange(input_ids.shape[1]).unsqueeze(0)
    real = place < torch.tensor([len(ids) for ids in suffixes]).unsqueeze(1)
    first = [len(example.prompt_ids) - 1 - length for example, length in zip(batch, lengths, strict=True)]
    predicts = (real & (place >= torch.tensor(first).unsqueeze(1))).to(model.device)
    return logits_at(
        model,
        predicts,
        kept,
        input_ids=input_ids,
        attention_mask=torch.cat([attended, real.long()], dim=1),
        position_ids=attended.sum(dim=1, keepdim=True) + place,
    )


def _empty_cache(model: PreTrainedModel) -> DynamicCache:
    return DynamicCache(config=unwrapped(model).config.get_text_config())


def _read_system_prefix(model: PreTrainedModel, ids: list[int]) -> DynamicCache:
    """The keys and values of what all rows begin with, as one row; an empty cache where that is nothing."""
    cache = _empty_cache(model)
    _read_prefixes(model, cache, [tuple(ids)])
    return cache


def _read_prefixes(model: PreTrainedModel, cache: DynamicCache, prefixes: list[tuple[int, ...]]) -> torch.Tensor:
    """Add one row of keys and values per prefix to the cache, padded on the left as in generation.

    Returns (prefixes, positions of the cache): 1 where a position is the row's own, 0 where it is padding.
    """
    longest = max(map(len, prefixes))
    before = torch.ones(len(prefixes), cache.get_seq_length(), dtype=torch.long)
    read = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prefixes], dtype=torch.long)
    attended = torch.cat([before, read], dim=1)
    if not longest:
        return attended
    last = torch.zeros_like(read, dtype=torch.bool)
    last[:, -1] = True  # one position a row, because nobody reads these logits
    logits_at(
        model,
        last.to(model.device),
        cache,
        input_ids=torch.tensor([[0] * (longest - len(ids)) + list(ids) for ids in prefixes]),
        attention_mask=attended,
        position_ids=(attended.cumsum(dim=1) - 1).clamp(min=0)[:, -longest:],
    )
    return attended
