"""The model under test, and the log-probabilities that every kind of row asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages.scoring.logprobs import completion_logprobs, next_token_logprobs
from stages.tokens import Encoded, Messages, encode


@dataclass(frozen=True)
class Subject:
    """One loaded model, named ``label`` on progress bars."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    label: str

    def answers(self, turns: Sequence[tuple[Messages, str]], what: str) -> list[float]:
        """Nats of each answer to its prompt, stop token included."""
        examples = [encode(self.tokenizer, prompt, assistant(answer)) for prompt, answer in turns]
        return self.completions(examples, what)

    def completions(self, examples: Sequence[Encoded], what: str) -> list[float]:
        return completion_logprobs(self.model, examples, show=f"{self.label}: {what}")

    def choices(self, prompts: Sequence[list[int]], options: Sequence[list[list[int]]], what: str) -> list[list[float]]:
        """Nats of every continuation (token ids) of each prompt, no stop token added.

        Where all continuations of a prompt are single tokens, one forward pass gives them all.
        """
        single = [i for i, given in enumerate(options) if all(len(ids) == 1 for ids in given)]
        many = [(i, ids) for i, given in enumerate(options) if any(len(ids) != 1 for ids in given) for ids in given]
        result: list[list[float]] = [[] for _ in prompts]
        if single:
            wanted = [[ids[0] for ids in options[i]] for i in single]
            nats = next_token_logprobs(self.model, [prompts[i] for i in single], wanted, show=f"{self.label}: {what}")
            for index, values in zip(single, nats, strict=True):
                result[index] = values
        if many:
            examples = [Encoded(prompts[i], ids) for i, ids in many]
            for (index, _), value in zip(many, self.completions(examples, what), strict=True):
                result[index].append(value)
        return result


def user(text: str) -> Messages:
    return [{"role": "user", "content": text}]


def assistant(text: str) -> Messages:
    return [{"role": "assistant", "content": text}]


def wins(first: float, second: float) -> float:
    """1 where the first is larger, 0 where it is smaller, one half for a tie."""
    return 0.5 if first == second else float(first > second)


@contextmanager
def merged_adapter(model: PreTrainedModel) -> Iterator[None]:
    """The adapter added into the base's weights inside the block, where these are float32.

    Two small products a projection are saved, which is what a model of this width spends its time on; answers move by
    less than 1e-4 nats. Merged into bfloat16 the adapter would be rounded away, so there it stays beside the weights.
    """
    from peft import PeftModel

    if not isinstance(model, PeftModel) or model.dtype != torch.float32:
        yield
        return
    model.merge_adapter()
    try:
        yield
    finally:
        model.unmerge_adapter()


@contextmanager
def without_adapter(model: PreTrainedModel) -> Iterator[bool]:
    """The base alone inside the block; yields False, and changes nothing, for a model that has no adapter."""
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        yield False
        return
    with model.disable_adapter():
        yield True
