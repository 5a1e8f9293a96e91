"""The token contract: how a chat row becomes token ids, in one place, for training, scoring and generation alike.

Every method trains exactly these ids. TRL's trainers would each tokenise for themselves, and not alike: SFT, DPO
and KTO train the newline after the stop token, experimental CPO an extra end-of-text token. Here the answer ends
with the stop token, and everything after it is cut.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from stages.core.errors import PipelineError
from stages.core.schema import Messages

# Qwen3's template writes an empty <think> block in front of an answer; with thinking disabled the block belongs to
# the prompt, so that it is never trained as an answer. Templates without the switch ignore it.
TEMPLATE_ARGUMENTS: dict[str, Any] = {"enable_thinking": False}
REMEDY = "take such rows out, or set the base's chat_template in params.yaml to one that writes them"


@dataclass(frozen=True)
class Encoded:
    """Token ids of one prompt and one answer; the answer's last id is the stop token."""

    prompt_ids: list[int]
    completion_ids: list[int]

    @property
    def length(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Messages) -> list[int]:
    """Token ids that a model sees before it answers."""
    return list(_rendered_ids(tokenizer, json.dumps(prompt), True))


def encode(tokenizer: PreTrainedTokenizerBase, prompt: Messages, completion: Messages) -> Encoded:
    """Token ids of a prompt and its answer.

    Raises PipelineError when the prompt is not a strict prefix of the whole, or when no stop token follows the
    answer: a model trained so would see another context at inference, or never learn to stop.
    """
    prompt_ids = encode_prompt(tokenizer, prompt)
    whole_ids = list(_rendered_ids(tokenizer, json.dumps(prompt + completion), False))
    shown = completion[0]["content"][:40]
    if whole_ids[: len(prompt_ids)] != prompt_ids or len(whole_ids) == len(prompt_ids):
        raise PipelineError(
            f"the prompt is not a strict prefix of prompt and answer for the answer {shown!r}: "
            "the base's chat template renders the two differently; use another chat_template.jinja"
        )
    answer_ids = whole_ids[len(prompt_ids) :]
    stop = stop_token_id(tokenizer)
    if stop not in answer_ids:
        raise PipelineError(f"no stop token after the answer {shown!r}: the base's chat template must close each turn")
    last_stop = len(answer_ids) - 1 - answer_ids[::-1].index(stop)
    return Encoded(prompt_ids, answer_ids[: last_stop + 1])


@lru_cache(maxsize=4)
def stop_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The special token that the chat template puts behind an answer (``<|im_end|>`` for Qwen).

    It is read from the template and not from ``eos_token``, which is ``<|endoftext|>`` in Qwen's base models.
    """
    turns: Messages = [{"role": "user", "content": "س"}, {"role": "assistant", "content": "ج"}]
    special = set(tokenizer.all_special_ids) | {
        index for index, token in tokenizer.added_tokens_decoder.items() if token.special
    }
    for token_id in reversed(_ids(tokenizer, _render(tokenizer, turns, add_generation_prompt=False))):
        if token_id in special:
            return token_id
    raise PipelineError("the base's chat template closes a turn with no special token, so a model cannot learn to stop")


def generation_stop_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids that end a generation: the trained stop token, and the tokenizer's own end token where it differs."""
    ids = {stop_token_id(tokenizer)}
    if isinstance(tokenizer.eos_token_id, int):
        ids.add(tokenizer.eos_token_id)
    return sorted(ids)


def sides(row: Mapping[str, object]) -> Sequence[tuple[str, Messages]]:
    """The answers of a prepared row, by field name: one of an SFT or unpaired row, two of a pair."""
    return [(field, cast(Messages, row[field])) for field in ("completion", "chosen", "rejected") if field in row]


@lru_cache(maxsize=2**14)
def _rendered_ids(tokenizer: PreTrainedTokenizerBase, messages: str, add_generation_prompt: bool) -> tuple[int, ...]:
    """Ids of a JSON list of messages; both sides of a pair and its unpaired rows share their prompt."""
    return tuple(_ids(tokenizer, _render(tokenizer, json.loads(messages), add_generation_prompt=add_generation_prompt)))


def _render(tokenizer: PreTrainedTokenizerBase, messages: Messages, *, add_generation_prompt: bool) -> str:
    try:
        text = str(
            tokenizer.apply_chat_template(
                cast(list[dict[str, str]], messages),
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                **TEMPLATE_ARGUMENTS,
            )
        )
    except (TemplateError, TypeError, KeyError) as error:  # Gemma's template has no system role, others no third turn
        roles = ", ".join(message["role"] for message in messages)
        raise PipelineError(f"the base's chat template refuses the turns {roles} ({error}): {REMEDY}") from None
    for message in messages:
        if message["content"].strip() not in text:
            raise PipelineError(f"the base's chat template leaves out what the {message['role']} says: {REMEDY}")
    return text


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    # Not verbose: it would warn of indexing errors past the base's context, which rotary positions do not know; what
    # is too long to train on is counted and named by the stage `contract`.
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
