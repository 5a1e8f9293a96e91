"""Log-probabilities equal brute force, whatever the batch, the order, the adapter or the architecture."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, CohereConfig, Gemma2Config, GPT2Config, GraniteConfig

from stages.bases.tokens import Encoded
from stages.core.errors import PipelineError
from stages.scoring import log_probabilities
from stages.scoring.log_probabilities import batches, completion_logprobs

TOLERANCE = 1e-4  # nats, float32
VOCABULARY = 300


@pytest.fixture(scope="module")
def model(tiny_qwen: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_qwen)


@pytest.fixture(scope="module")
def examples() -> list[Encoded]:
    draw = random.Random(3)

    def ids(least: int, most: int) -> list[int]:
        return [draw.randrange(VOCABULARY) for _ in range(draw.randint(least, most))]

    return [Encoded(ids(1, 20), ids(1, 25)) for _ in range(23)]


@torch.no_grad()
def brute_force(model: Any, example: Encoded) -> float:
    """One row at a time, all logits, log-softmax, one token after the other."""
    ids = example.prompt_ids + example.completion_ids
    table = torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), dim=-1)
    start = len(example.prompt_ids)
    return sum(float(table[place - 1, ids[place]]) for place in range(start, len(ids)))


def test_equals_brute_force_over_full_logits(model: Any, examples: list[Encoded]) -> None:
    found = completion_logprobs(model, examples)
    assert found == pytest.approx([brute_force(model, example) for example in examples], abs=TOLERANCE)


@pytest.mark.parametrize("max_batch_tokens", [1, 45, 200, 100_000])
def test_does_not_depend_on_the_batch_size(model: Any, examples: list[Encoded], max_batch_tokens: int) -> None:
    assert completion_logprobs(model, examples, max_batch_tokens) == pytest.approx(
        completion_logprobs(model, examples), abs=TOLERANCE
    )


def test_does_not_depend_on_the_order(model: Any, examples: list[Encoded]) -> None:
    order = list(range(len(examples)))
    random.Random(5).shuffle(order)
    shuffled = completion_logprobs(model, [examples[i] for i in order])
    straight = completion_logprobs(model, examples)
    assert shuffled == pytest.approx([straight[i] for i in order], abs=TOLERANCE)


def test_scores_the_adapter_and_not_only_its_base(tiny_qwen: Path, examples: list[Encoded]) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    adapted: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_qwen), config).eval()
    found = completion_logprobs(adapted, examples)
    assert found == pytest.approx([brute_force(adapted, example) for example in examples], abs=TOLERANCE)
    with adapted.disable_adapter():
        base = completion_logprobs(adapted, examples)
    assert max(abs(a - b) for a, b in zip(found, base, strict=True)) > 0.01


SMALL = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64, "initializer_range": 0.2}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(
            vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=2, n_positions=64, initializer_range=0.2, **SPECIAL
        ),
        GraniteConfig(**SMALL, **HEADS, **SPECIAL, logits_scaling=3.0),
        CohereConfig(**SMALL, **HEADS, **SPECIAL, logit_scale=0.25),
        Gemma2Config(**SMALL, **HEADS, **SPECIAL, head_dim=16, final_logit_softcapping=2.0),
    ],
    ids=lambda config: config.model_type,
)
def test_other_architectures_keep_what_they_do_to_their_logits(config: Any, examples: list[Encoded]) -> None:
    torch.manual_seed(2)
    other = AutoModelForCausalLM.from_config(config).eval()
    found = completion_logprobs(other, examples[:6])
    assert found == pytest.approx([brute_force(other, example) for example in examples[:6]], abs=TOLERANCE)


def test_only_answer_positions_are_projected(model: Any, examples: list[Encoded]) -> None:
    projected: list[int] = []
    hook = model.lm_head.register_forward_hook(lambda _, arguments, output: projected.append(output[..., 0].numel()))
    completion_logprobs(model, examples)
    hook.remove()
    assert sum(projected) == sum(len(example.completion_ids) for example in examples)


def test_leaves_the_model_as_it_was(model: Any, examples: list[Encoded]) -> None:
    model.train()
    completion_logprobs(model, examples[:2])
    assert model.training
    assert not model.lm_head._forward_pre_hooks
    model.eval()


def test_batches_keep_both_limits_and_every_row(examples: list[Encoded]) -> None:
    groups = batches(examples, max_tokens=90, max_completion_tokens=40)
    assert sorted(index for group in groups for index in group) == list(range(len(examples)))
    for group in groups:
        rows = [examples[index] for index in group]
        assert len(group) == 1 or max(row.length for row in rows) * len(rows) <= 90
        assert len(group) == 1 or sum(len(row.completion_ids) for row in rows) <= 40


def test_a_large_vocabulary_makes_smaller_batches(
    model: Any, examples: list[Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = completion_logprobs(model, examples)
    monkeypatch.setattr(log_probabilities, "MAX_LOGITS", 30 * model.config.vocab_size)
    assert completion_logprobs(model, examples) == pytest.approx(whole, abs=TOLERANCE)


def test_no_examples_no_scores(model: Any) -> None:
    assert completion_logprobs(model, []) == []


@pytest.mark.parametrize("example", [Encoded([], [1]), Encoded([1], [])])
def test_an_empty_side_is_an_error(model: Any, example: Encoded) -> None:
    with pytest.raises(PipelineError, match="example 0"):
        completion_logprobs(model, [example])
