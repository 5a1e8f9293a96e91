"""A chat row becomes token ids in one way: the prompt as a strict prefix, then an answer with one stop token."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from stages.bases.loading import load_tokenizer
from stages.bases.tokens import encode, encode_prompt, generation_stop_ids, sides, stop_token_id
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import read_jsonl
from tests.support.clones import ROOT
from tests.support.tiny import CHAT_TEMPLATE, turn

# As Qwen3's: the last answer stands behind an empty block of thoughts, which belongs to the prompt without thinking.
THINKING_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\n' }}"
    "{%- if message.role == 'assistant' and loop.last -%}{{ '<think>\n\n</think>\n\n' }}{%- endif -%}"
    "{{ message.content + '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{ '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false -%}{{ '<think>\n\n</think>\n\n' }}{%- endif -%}"
    "{%- endif -%}"
)
# Closes a turn with a newline; the only special token opens it.
OPENING_ONLY = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\n' + message.content + '\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
PLAIN = (
    "{%- for message in messages -%}{{ message.role + ':\n' + message.content + '\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ 'assistant:\n' }}{%- endif -%}"
)
# Shows the model another context before its answer than the one in which the answer is trained.
UNLIKE = CHAT_TEMPLATE.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\nالجواب: '")
PROMPT = turn("user", "ما عاصمة مصر؟")
ANSWERS = ["عاصمة مصر هي القاهرة.", "٣٥", "نعم\n\nلا", "  مسافات  ", "Cairo <b>", "🙂", "سؤال: ما عاصمة مصر؟ assistant"]


def with_template(folder: Path, template: str) -> PreTrainedTokenizerBase:
    tokenizer = load_tokenizer(folder)
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture
def tokenizer(tiny_qwen: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(tiny_qwen)


def refusal(tokenizer: PreTrainedTokenizerBase) -> str:
    with pytest.raises(PipelineError) as caught:
        encode(tokenizer, PROMPT, turn("assistant", "عاصمة مصر هي القاهرة."))
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, THINKING_TEMPLATE], ids=["plain", "thinking"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_the_prompt_is_a_strict_prefix_and_the_answer_ends_with_its_one_stop_token(
    tiny_qwen: Path, template: str, answer: str
) -> None:
    tokenizer = with_template(tiny_qwen, template)
    encoded = encode(tokenizer, PROMPT, turn("assistant", answer))
    stop = stop_token_id(tokenizer)
    whole = tokenizer.apply_chat_template(PROMPT + turn("assistant", answer), tokenize=False, enable_thinking=False)
    together = encoded.prompt_ids + encoded.completion_ids
    assert tokenizer(whole, add_special_tokens=False)["input_ids"][: len(together)] == together
    assert encoded.prompt_ids == encode_prompt(tokenizer, PROMPT)
    assert encoded.completion_ids[-1] == stop
    assert encoded.completion_ids.count(stop) == 1
    assert tokenizer.decode(encoded.completion_ids[:-1]) == answer
    assert encoded.length == len(together)


def test_the_hand_written_rows_keep_the_contract_and_lose_nothing(tokenizer: PreTrainedTokenizerBase) -> None:
    stop = stop_token_id(tokenizer)
    rows = [row for file in sorted((ROOT / paths.INSTRUCTIONS).glob("*.jsonl")) for row in read_jsonl(file)]
    assert len(rows) >= 150
    for row in rows:
        encoded = encode(tokenizer, turn("user", row["prompt"]), turn("assistant", row["completion"]))
        assert encoded.completion_ids.count(stop) == 1
        assert tokenizer.decode(encoded.completion_ids) == row["completion"] + "<|im_end|>"


def test_what_the_template_writes_after_the_stop_token_is_not_trained(tokenizer: PreTrainedTokenizerBase) -> None:
    whole = tokenizer.apply_chat_template(PROMPT + turn("assistant", "نعم."), tokenize=False)
    assert whole.endswith("<|im_end|>\n")
    encoded = encode(tokenizer, PROMPT, turn("assistant", "نعم."))
    assert tokenizer.decode(encoded.completion_ids) == "نعم.<|im_end|>"


def test_an_earlier_turn_belongs_to_the_prompt(tokenizer: PreTrainedTokenizerBase) -> None:
    prompt = [*PROMPT, *turn("assistant", "القاهرة."), *turn("user", "وما عاصمة السعودية؟")]
    encoded = encode(tokenizer, prompt, turn("assistant", "الرياض."))
    assert tokenizer.decode(encoded.completion_ids) == "الرياض.<|im_end|>"
    assert encoded.prompt_ids.count(stop_token_id(tokenizer)) == 3


def test_an_empty_block_of_thoughts_belongs_to_the_prompt_and_is_never_trained(tiny_qwen: Path) -> None:
    tokenizer = with_template(tiny_qwen, THINKING_TEMPLATE)
    block = "<think>\n\n</think>\n\n"
    # Left alone, the template would leave the block to the answer.
    assert not tokenizer.apply_chat_template(PROMPT, tokenize=False, add_generation_prompt=True).endswith(block)
    assert tokenizer.decode(encode_prompt(tokenizer, PROMPT)).endswith(f"<|im_start|>assistant\n{block}")
    encoded = encode(tokenizer, PROMPT, turn("assistant", "القاهرة."))
    assert tokenizer.decode(encoded.prompt_ids).endswith(block)
    assert tokenizer.decode(encoded.completion_ids) == "القاهرة.<|im_end|>"


def test_a_template_without_a_special_token_is_refused(tiny_qwen: Path) -> None:
    tokenizer = with_template(tiny_qwen, PLAIN)
    with pytest.raises(PipelineError, match="closes a turn with no special token"):
        stop_token_id(tokenizer)
    assert "special token" in refusal(tokenizer)


def test_a_template_that_does_not_close_the_turn_is_refused(tiny_qwen: Path) -> None:
    message = refusal(with_template(tiny_qwen, OPENING_ONLY))
    assert message.startswith("no stop token after the answer 'عاصمة مصر هي القاهرة.'")


@pytest.mark.parametrize("template", [UNLIKE, THINKING_TEMPLATE.replace(" and loop.last", " and false")])
def test_a_template_that_renders_the_prompt_differently_before_an_answer_is_refused(
    tiny_qwen: Path, template: str
) -> None:
    message = refusal(with_template(tiny_qwen, template))
    assert message.startswith("the prompt is not a strict prefix of prompt and answer for the answer 'عاصمة مصر")
    assert "chat_template.jinja" in message


def test_the_stop_token_is_read_from_the_template_whatever_eos_is(tiny_qwen: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_qwen, eos_token="<|endoftext|>")
    end, eos = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert tokenizer.eos_token_id == eos
    assert stop_token_id(tokenizer) == end
    assert generation_stop_ids(tokenizer) == sorted({end, eos})


def test_a_generation_ends_at_the_trained_stop_token(tokenizer: PreTrainedTokenizerBase) -> None:
    assert generation_stop_ids(tokenizer) == [tokenizer.convert_tokens_to_ids("<|im_end|>")]


def test_a_pair_has_two_sides_and_every_other_row_one() -> None:
    one, two = turn("assistant", "نعم."), turn("assistant", "لا.")
    assert sides({"prompt": PROMPT, "chosen": one, "rejected": two}) == [("chosen", one), ("rejected", two)]
    assert sides({"prompt": PROMPT, "completion": one}) == [("completion", one)]
