"""Endings that share their prompt are scored as if each were read with it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
)

from stages.errors import PipelineError
from stages.scoring.logprobs import completion_logprobs
from stages.scoring.shared import ending_logprobs, keeps_everything
from stages.tokens import Encoded

VOCABULARY = 300
SMALL = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64, "initializer_range": 0.2}


@pytest.fixture(scope="module")
def given() -> tuple[list[list[int]], list[list[list[int]]]]:
    draw = random.Random(4)

    def ids(least: int, most: int) -> list[int]:
        return [draw.randrange(VOCABULARY) for _ in range(draw.randint(least, most))]

    prompts = [ids(1, 25) for _ in range(17)]
    return prompts, [[ids(1, 9) for _ in range(draw.randint(1, 5))] for _ in prompts]


def one_by_one(model: Any, prompts: list[list[int]], endings: list[list[list[int]]]) -> list[list[float]]:
    return [
        [completion_logprobs(model, [Encoded(prompt, ids)])[0] for ids in some]
        for prompt, some in zip(prompts, endings, strict=True)
    ]


@pytest.mark.parametrize("max_batch_tokens", [1, 60, 300, 8192])
def test_equals_one_ending_at_a_time_whatever_the_batch(
    tiny_qwen: Path, given: tuple[list[list[int]], list[list[list[int]]]], max_batch_tokens: int
) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_qwen)
    found = ending_logprobs(model, *given, max_batch_tokens)
    for values, expected in zip(found, one_by_one(model, *given), strict=True):
        assert values == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("config", "shares"),
    [
        (LlamaConfig(**SMALL, **HEADS), True),
        (GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=2, n_positions=64), True),
        (MistralConfig(**SMALL, **HEADS, sliding_window=6), False),
        (Gemma2Config(**SMALL, **HEADS, head_dim=16, sliding_window=6), False),
    ],
    ids=lambda value: value.model_type if isinstance(value, PretrainedConfig) else "",
)
def test_equals_for_other_architectures(
    config: PretrainedConfig, shares: bool, given: tuple[list[list[int]], list[list[list[int]]]]
) -> None:
    torch.manual_seed(2)
    model = AutoModelForCausalLM.from_config(config).eval()
    assert keeps_everything(model) == shares
    for values, expected in zip(ending_logprobs(model, *given), one_by_one(model, *given), strict=True):
        assert values == pytest.approx(expected, abs=1e-4)


def test_nothing_to_score_is_an_error(tiny_qwen: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_qwen)
    for prompts, endings in (([[]], [[[1]]]), ([[1]], [[[1], []]])):
        with pytest.raises(PipelineError, match="no token to score"):
            ending_logprobs(model, prompts, endings)
