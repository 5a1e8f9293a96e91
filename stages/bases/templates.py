"""The chat template that a base is trained with, and that goes out with every adapter.

The template that is saved renders a prompt as it was trained without any argument: Qwen3's template opens a block of
thoughts unless it is told not to, and every model here is trained behind an empty one.
"""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from stages.core.errors import PipelineError

SHIPPED = {"chatml": "chat_template.jinja", "plain": "plain_template.jinja"}
# Names of the arguments by which published templates open a block of thoughts (Qwen3, Qwen3.5, SmolLM3, Hunyuan).
THINKING = "enable_thinking"
WITHOUT_THINKING = "{%- if enable_thinking is not defined %}{% set enable_thinking = false %}{% endif -%}\n"


def shipped_template(name: str) -> str:
    return (Path(__file__).parent / SHIPPED[name]).read_text(encoding="utf-8")


def chosen_template(tokenizer: PreTrainedTokenizerBase, chosen: str, where: str, key: str) -> str:
    """The template: the base's own, or the one that params.yaml chooses by ``key``, a name or a file.

    Raises PipelineError where the base has none and none is chosen, and for a marker that is no token of the base.
    """
    if not chosen:
        if not isinstance(tokenizer.chat_template, str):
            several = " of several" if tokenizer.chat_template else ""
            raise PipelineError(
                f"{where} has no single chat template{several}: set {key} in params.yaml to {' or '.join(SHIPPED)}, or "
                "to a .jinja file"
            )
        return tokenizer.chat_template
    if chosen in SHIPPED:
        template = shipped_template(chosen)
    elif Path(chosen).is_file():
        template = Path(chosen).read_text(encoding="utf-8")
    else:
        raise PipelineError(f"{key} is {chosen!r}, neither {' nor '.join(SHIPPED)} nor a file: fix it")
    if chosen == "chatml":
        known = tokenizer.get_vocab()
        lacking = [marker for marker in ("<|im_start|>", "<|im_end|>") if marker not in known]
        if lacking:
            raise PipelineError(
                f"{key} is chatml, whose marker {lacking[0]} is no token of {where}, so that a model could not learn "
                "to stop: set it to plain, which ends a turn with the base's own end token"
            )
    return template


def without_thinking(template: str) -> str:
    """The template with its block of thoughts empty unless the caller asks for one; others as they are."""
    return WITHOUT_THINKING + template if THINKING in template and WITHOUT_THINKING not in template else template
