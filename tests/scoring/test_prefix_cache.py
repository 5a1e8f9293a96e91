"""Rows with a shared prefix are scored as if each were read alone, and what they share is chosen as well as can be."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, GPT2Config, LlamaConfig, MistralConfig, PretrainedConfig

from stages.bases.tokens import Encoded
from stages.core.errors import PipelineError
from stages.scoring.log_probabilities import completion_logprobs, next_token_logprobs
from stages.scoring.prefix_cache import (
    PASS_TOKENS,
    cheapest_cuts,
    grouped,
    keeps_everything,
    prefix_batches,
    shared_prefixes,
    system_prefix,
)

VOCABULARY = 300
SMALL = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 128, "initializer_range": 0.2}


@pytest.fixture(scope="module")
def examples() -> list[Encoded]:
    """Options after one prompt, rotations after half of one, an instruction before many, loners, some within others."""
    draw = random.Random(5)

    def ids(count: int) -> list[int]:
        return [draw.randrange(VOCABULARY) for _ in range(count)]

    prompts = [prefix for prefix in (ids(18), ids(30)) for _ in range(4)]
    prompts += [prefix + ids(7 + turn % 2) for prefix in (ids(18), ids(30)) for turn in range(4)]
    instruction = ids(20)
    prompts += [instruction + ids(draw.randint(1, 40)) for _ in range(9)]
    prompts += [ids(1), ids(33), prompts[0][:15], prompts[0] + ids(3)]
    made = [Encoded(prompt, ids(draw.randint(1, 9))) for prompt in prompts]
    draw.shuffle(made)
    return made


def with_system_prefix(examples: list[Encoded], tokens: int = 12) -> list[Encoded]:
    """All behind the same first tokens."""
    return [Encoded([7] * tokens + example.prompt_ids, example.completion_ids) for example in examples]


@pytest.mark.parametrize("system_tokens", [0, 12])
@pytest.mark.parametrize("max_batch_tokens", [1, 90, 300, 8192])
def test_equals_every_row_read_alone_whatever_the_batch(
    tiny_qwen: Path, examples: list[Encoded], max_batch_tokens: int, system_tokens: int
) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_qwen)
    examples = with_system_prefix(examples, system_tokens)
    alone = [completion_logprobs(model, [example])[0] for example in examples]
    assert completion_logprobs(model, examples, max_batch_tokens, read=shared_prefixes) == pytest.approx(
        alone, abs=1e-4
    )
    prompts = [example.prompt_ids for example in examples]
    wanted = [[index, index + 7] for index in range(len(prompts))]
    for ids, tokens, values in zip(
        prompts,
        wanted,
        next_token_logprobs(model, prompts, wanted, max_batch_tokens, read=shared_prefixes),
        strict=True,
    ):
        assert values == pytest.approx(next_token_logprobs(model, [ids], [tokens])[0], abs=1e-4)


def test_a_model_in_training_is_read_without_dropout(examples: list[Encoded]) -> None:
    torch.manual_seed(2)
    config = GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=2, n_positions=128)  # drops a tenth
    model = AutoModelForCausalLM.from_config(config).train()
    first = completion_logprobs(model, with_system_prefix(examples), read=shared_prefixes)
    assert model.training
    assert first == pytest.approx(completion_logprobs(model, with_system_prefix(examples)), abs=1e-4)


def test_does_not_depend_on_the_order(tiny_qwen: Path, examples: list[Encoded]) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_qwen)
    straight = completion_logprobs(model, examples, 300, read=shared_prefixes)
    assert completion_logprobs(model, examples[::-1], 300, read=shared_prefixes) == pytest.approx(
        straight[::-1], abs=1e-4
    )


@pytest.mark.parametrize(
    ("config", "shares"),
    [
        (LlamaConfig(**SMALL, **HEADS), True),
        (GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=2, n_positions=128), True),
        (MistralConfig(**SMALL, **HEADS, sliding_window=6), False),
        (Gemma2Config(**SMALL, **HEADS, head_dim=16, sliding_window=6), False),
    ],
    ids=lambda value: value.model_type if isinstance(value, PretrainedConfig) else "",
)
def test_equals_for_other_architectures(config: PretrainedConfig, shares: bool, examples: list[Encoded]) -> None:
    torch.manual_seed(2)
    model = AutoModelForCausalLM.from_config(config).eval()
    assert keeps_everything(model) == shares
    for given in (examples, with_system_prefix(examples)):
        expected = completion_logprobs(model, given)
        assert completion_logprobs(model, given, read=shared_prefixes) == pytest.approx(expected, abs=1e-4)


def test_what_is_shared_is_read_once(tiny_qwen: Path, examples: list[Encoded]) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_qwen)
    read: list[int] = []
    embedding = model.get_input_embeddings()
    hook = embedding.register_forward_hook(lambda _, arguments, output: read.append(output[..., 0].numel()))
    completion_logprobs(model, examples, 150, read=shared_prefixes)
    without = sum(read)
    assert without < 0.8 * sum(example.length - 1 for example in examples)
    read.clear()
    completion_logprobs(model, with_system_prefix(examples, 30), 150, read=shared_prefixes)
    hook.remove()
    assert read[0] == 30 and sum(read) == 30 + without


def test_every_row_is_in_one_group_that_begins_alike(examples: list[Encoded]) -> None:
    groups = grouped(examples, 200)
    assert sorted(index for group in groups for index in group.rows) == list(range(len(examples)))
    assert {len(group.rows) > 1 for group in groups} == {True, False}
    for group in groups:
        assert len({tuple(examples[index].prompt_ids[: group.prefix]) for index in group.rows}) == 1
        assert all(len(examples[index].prompt_ids) > group.prefix for index in group.rows)
        longest = max(examples[index].length for index in group.rows)
        assert len(group.rows) == 1 or group.prefix + len(group.rows) * (longest - group.prefix) <= 200


def test_the_system_prefix_is_what_all_prompts_begin_with_and_leaves_each_a_token() -> None:
    def tokens(*prompts: list[int]) -> int:
        return len(system_prefix([Encoded(prompt, [4]) for prompt in prompts]))

    instruction = list(range(PASS_TOKENS + 3))
    assert tokens([*instruction, 50, 1], [*instruction, 40], [*instruction, 60, 2]) == len(instruction)
    assert tokens(instruction, [*instruction, 40], [*instruction, 60]) == len(instruction) - 1
    assert tokens(instruction, instruction) == len(instruction) - 1
    assert tokens(instruction) == 0  # nothing is shared
    assert tokens([*instruction, 50], [9, *instruction]) == 0
    assert tokens([*instruction[:PASS_TOKENS], 50], [*instruction[:PASS_TOKENS], 60]) == 0  # not worth a pass


def test_a_prefix_of_few_tokens_is_not_worth_a_pass() -> None:
    def shared(count: int) -> set[int]:
        return {group.prefix for group in grouped([Encoded([1] * count + [own], [4]) for own in (2, 3)], 8192)}

    assert shared(PASS_TOKENS) == {0}
    assert shared(PASS_TOKENS + 1) == {PASS_TOKENS + 1}


def test_batches_keep_both_limits_and_every_group(examples: list[Encoded]) -> None:
    groups = grouped(examples, 200)
    made = prefix_batches(examples, groups, max_tokens=200, max_completion_tokens=20)
    assert sorted(group.rows for batch in made for group in batch) == sorted(group.rows for group in groups)
    for batch in made:
        rows = [index for group in batch for index in group.rows]
        prefixes = {tuple(examples[group.rows[0]].prompt_ids[: group.prefix]) for group in batch}
        suffix = max(examples[index].length - group.prefix for group in batch for index in group.rows)
        assert len(batch) == 1 or sum(len(examples[index].completion_ids) for index in rows) <= 20
        assert len(batch) == 1 or len(prefixes) * max(map(len, prefixes)) + len(rows) * suffix <= 200
        assert len({group.prefix == 0 for group in batch}) == 1


def test_the_cuts_are_the_cheapest_of_all() -> None:
    draw = random.Random(9)
    for count in range(1, 8):
        runs = [(begin, end) for begin in range(count) for end in range(begin + 1, count + 1)]
        price = {(begin, end): draw.random() * (end - begin) ** draw.random() for begin, end in runs}
        ways = [
            list(itertools.pairwise([0, *inner, count]))
            for size in range(count)
            for inner in itertools.combinations(range(1, count), size)
        ]
        allowed = [cuts for cuts in ways if all(end - begin <= 4 for begin, end in cuts)]
        cheapest = min(sum(price[cut] for cut in cuts) for cuts in allowed)
        found = cheapest_cuts(count, 4, lambda begin, end, price=price: price[begin, end])  # type: ignore[misc]
        assert sum(price[cut] for cut in found) == pytest.approx(cheapest)


def test_nothing_to_score_is_an_error_and_no_rows_are_none(tiny_qwen: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_qwen)
    for example in (Encoded([], [1]), Encoded([1], [])):
        with pytest.raises(PipelineError, match="example 0 has no prompt or no answer to score"):
            completion_logprobs(model, [example], read=shared_prefixes)
    assert (
        completion_logprobs(model, [], read=shared_prefixes)
        == next_token_logprobs(model, [], [], read=shared_prefixes)
        == []
    )
