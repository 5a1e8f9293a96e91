"""Greedy answers, in batches, with nothing inherited from the base's own generation settings.

Qwen's `generation_config.json` asks for sampling with a repetition penalty. A penalty changes greedy answers too,
and would hide the very repetition that the comparison measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from stages.bases.adapters import evaluating, unwrapped
from stages.core.errors import PipelineError

ROUND_TOKENS = 32


@dataclass(frozen=True)
class Generation:
    """An answer: its text without special tokens, its tokens without the stop token, and whether it ended itself.

    ``ids`` are the tokens as they were generated, the stop token included where the answer ended itself.
    """

    text: str
    tokens: int
    stopped: bool
    ids: tuple[int, ...]


@torch.no_grad()
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts_ids: Sequence[list[int]],
    stop_ids: Sequence[int],
    max_new_tokens: int,
    batch_size: int,
    show: str | None = None,
) -> list[Generation]:
    """The most probable next token, again and again, until a stop id or ``max_new_tokens``; in the prompts' order.

    After every ROUND_TOKENS the answers that have ended leave their batches, and the others close ranks: most answers
    are short, and a batch would go on computing them until its longest has ended. Prompts of like length share a
    batch, so that the padding (on the left) is rare. ``show`` labels a progress bar. Raises PipelineError for an empty
    prompt.
    """
    told: list[list[int]] = [[] for _ in prompts_ids]
    waiting = sorted(range(len(prompts_ids)), key=lambda i: (-len(prompts_ids[i]), i))
    with evaluating(model), tqdm(total=len(waiting), desc=show, unit="answer", disable=show is None) as bar:
        for start in range(0, max_new_tokens, ROUND_TOKENS):
            room = min(ROUND_TOKENS, max_new_tokens - start)
            for place in range(0, len(waiting), batch_size):
                batch = waiting[place : place + batch_size]
                known = [prompts_ids[i] + told[i] for i in batch]
                for index, ids in zip(batch, new_tokens(model, tokenizer, known, stop_ids, room), strict=True):
                    told[index] += ids
            left = [i for i in waiting if not set(stop_ids) & set(told[i])]
            bar.update(len(waiting) - len(left))
            waiting = left
        bar.update(len(waiting))
    return [_answer(tokenizer, ids, stop_ids) for ids in told]


def new_tokens(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts_ids: Sequence[list[int]],
    stop_ids: Sequence[int],
    max_new_tokens: int,
    min_new_tokens: int | None = None,
) -> list[list[int]]:
    """One batch of greedy continuations as token ids; what follows a stop id in a row is padding.

    Returns (rows, at most ``max_new_tokens``), the rows of one length, in the order of ``prompts_ids``.
    Up to ``min_new_tokens`` the stop ids are forbidden, so that a timing decodes a known number of tokens.
    """
    if not all(prompts_ids):
        raise PipelineError("a prompt without tokens cannot be answered: remove the empty row")
    pad = tokenizer.pad_token_id if isinstance(tokenizer.pad_token_id, int) else stop_ids[0]
    longest = max(len(ids) for ids in prompts_ids)
    input_ids = torch.tensor([[pad] * (longest - len(ids)) + ids for ids in prompts_ids])
    attended = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts_ids])
    config = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=max_new_tokens,
        min_new_tokens=min_new_tokens,
        eos_token_id=list(stop_ids),
        pad_token_id=pad,
        use_cache=True,
    )
    base: Any = unwrapped(model)
    with _without_own_settings(base):
        output = base.generate(
            input_ids=input_ids.to(model.device), attention_mask=attended.to(model.device), generation_config=config
        )
    rows: list[list[int]] = output[:, longest:].tolist()
    return rows


@contextmanager
def _without_own_settings(base: PreTrainedModel) -> Iterator[None]:
    """Transformers fills whatever a config leaves open from the model's own settings; here there are none."""
    own = base.generation_config
    base.generation_config = GenerationConfig()
    try:
        yield
    finally:
        base.generation_config = own


def _answer(tokenizer: PreTrainedTokenizerBase, ids: list[int], stop_ids: Sequence[int]) -> Generation:
    stop = next((place for place, token in enumerate(ids) if token in stop_ids), None)
    kept = ids if stop is None else ids[:stop]
    text = str(tokenizer.decode(kept, skip_special_tokens=True)).strip()
    own = ids if stop is None else ids[: stop + 1]
    return Generation(text=text, tokens=len(kept), stopped=stop is not None, ids=tuple(own))
