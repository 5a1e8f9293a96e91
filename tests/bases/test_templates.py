"""The same prompt out as in: the template that is saved renders, without arguments, the ids that were trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import trl
from transformers import AutoTokenizer

from stages.bases.templates import without_thinking
from stages.bases.tokens import encode, encode_prompt
from stages.core.schema import Messages
from tests.support.tiny import tiny_tokenizer

FOLDER = Path(trl.__file__).parent / "chat_templates"
# Qwen's own, as TRL carries them; of 3.5, 3.6 and 3.8 with thoughts and without.
PUBLISHED = sorted(file for file in FOLDER.glob("qwen*.jinja") if "training" not in file.name and "vl" not in file.name)
CONVERSATIONS: dict[str, Messages] = {
    "one turn": [{"role": "user", "content": "ما عاصمة مصر؟"}],
    "a system turn": [{"role": "system", "content": "أجب بكلمة."}, {"role": "user", "content": "ما عاصمة مصر؟"}],
    "several turns": [
        {"role": "user", "content": "ما عاصمة مصر؟"},
        {"role": "assistant", "content": "القاهرة."},
        {"role": "user", "content": "وعاصمة الأردن؟"},
    ],
}


def test_the_templates_that_the_project_names_are_among_those_tried() -> None:
    names = {file.stem for file in PUBLISHED}
    assert {"qwen2_5", "qwen3", "qwen3_instruct_2507", "qwen3_5_think", "qwen3_5_nothink"} <= names


@pytest.mark.parametrize("turns", CONVERSATIONS)
@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: str(file.stem))
def test_plain_transformers_gives_the_ids_that_were_trained(file: Path, turns: str, tmp_path: Path) -> None:
    prompt = CONVERSATIONS[turns]
    original = file.read_text(encoding="utf-8")
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = original
    trained = encode_prompt(tokenizer, prompt)
    saved = tiny_tokenizer()
    saved.chat_template = without_thinking(original)
    saved.save_pretrained(tmp_path)

    loaded = AutoTokenizer.from_pretrained(tmp_path)
    out = loaded.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert list(out) == trained == encode_prompt(loaded, prompt)
    whole = encode(loaded, prompt, [{"role": "assistant", "content": "القاهرة."}])
    assert whole.prompt_ids == trained


def test_a_caller_who_asks_for_thoughts_still_gets_them() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = without_thinking((FOLDER / "qwen3.jinja").read_text(encoding="utf-8"))
    turns = CONVERSATIONS["one turn"]
    default, asked = (
        tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False, **arguments)
        for arguments in ({}, {"enable_thinking": True})
    )
    assert default.endswith("<think>\n\n</think>\n\n") and asked.endswith("<|im_start|>assistant\n")


def test_a_template_without_the_switch_stays_as_it_is() -> None:
    template = (FOLDER / "qwen2_5.jinja").read_text(encoding="utf-8")
    assert without_thinking(template) == template
    thinking = (FOLDER / "qwen3.jinja").read_text(encoding="utf-8")
    assert without_thinking(without_thinking(thinking)) == without_thinking(thinking)
