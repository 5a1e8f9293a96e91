"""Answers are greedy, in order, and untouched by the base's own generation settings."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from stages.bases.tokens import generation_stop_ids
from stages.core.errors import PipelineError
from stages.scoring import generation
from stages.scoring.generation import generate, new_tokens
from tests.support.tiny import SENTENCES

NEW = 12


@pytest.fixture(scope="module")
def model(tiny_qwen: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_qwen)


@pytest.fixture(scope="module")
def tokenizer(tiny_qwen: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_qwen)


@pytest.fixture(scope="module")
def prompts(tokenizer: Any) -> list[list[int]]:
    return [tokenizer(sentence)["input_ids"] for sentence in SENTENCES]


@torch.no_grad()
def by_hand(model: Any, prompt: list[int], stop_ids: list[int], count: int) -> list[int]:
    """Argmax of the last position, no cache, no padding."""
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] in stop_ids:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize("batch_size", [1, 4, 64])
@pytest.mark.parametrize("round_tokens", [1, 5, 32])
def test_answers_are_the_argmax_in_the_prompts_order(
    model: Any,
    tokenizer: Any,
    prompts: list[list[int]],
    batch_size: int,
    round_tokens: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generation, "ROUND_TOKENS", round_tokens)
    stop_ids = generation_stop_ids(tokenizer)
    found = generate(model, tokenizer, prompts, stop_ids, NEW, batch_size)
    for prompt, answer in zip(prompts, found, strict=True):
        ids = by_hand(model, prompt, stop_ids, NEW)
        kept = [token for token in ids if token not in stop_ids]
        assert answer.text == tokenizer.decode(kept, skip_special_tokens=True).strip()
        assert (answer.tokens, answer.stopped, list(answer.ids)) == (len(kept), len(kept) < len(ids), ids)


def test_an_answer_ends_at_a_stop_id_that_it_does_not_count(
    model: Any, tokenizer: Any, prompts: list[list[int]]
) -> None:
    free = by_hand(model, prompts[0], [], NEW)
    stop = next(token for token in free if free.index(token) >= 2)
    answer = generate(model, tokenizer, prompts[:3], [stop], NEW, batch_size=3)[0]
    assert answer.stopped
    assert answer.tokens == free.index(stop)


def test_pad_as_a_stop_id_still_ends_every_answer_where_it_ended(
    model: Any, tokenizer: Any, prompts: list[list[int]]
) -> None:
    free = [by_hand(model, prompt, [], NEW) for prompt in prompts]
    stop_ids = [tokenizer.pad_token_id, free[0][3]]
    found = generate(model, tokenizer, prompts, stop_ids, NEW, batch_size=6)
    for ids, answer in zip(free, found, strict=True):
        place = next((index for index, token in enumerate(ids) if token in stop_ids), None)
        assert (answer.tokens, answer.stopped) == (NEW if place is None else place, place is not None)


def test_the_bases_own_settings_come_back_and_nothing_warns(
    model: Any, tokenizer: Any, prompts: list[list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    assert model.generation_config.repetition_penalty == 5.0  # it would change the answers compared above
    logging.getLogger("transformers").propagate = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generate(model, tokenizer, prompts, generation_stop_ids(tokenizer), 3, batch_size=2)
    logging.getLogger("transformers").propagate = False
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert model.generation_config.repetition_penalty == 5.0


def test_a_least_number_of_tokens_forbids_the_stop_ids(model: Any, tokenizer: Any, prompts: list[list[int]]) -> None:
    first = by_hand(model, prompts[0], [], 1)
    rows = new_tokens(model, tokenizer, prompts[:1], first, NEW, min_new_tokens=NEW)
    assert len(rows[0]) == NEW
    assert first[0] not in rows[0]


def test_an_empty_prompt_is_an_error(model: Any, tokenizer: Any) -> None:
    with pytest.raises(PipelineError, match="prompt without tokens"):
        generate(model, tokenizer, [[1, 2], []], [0], 2, batch_size=2)
