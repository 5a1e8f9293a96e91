"""Special tokens of the chat templates of Qwen, Llama, Mistral, Gemma and DeepSeek: inside a text they end its turn.

Rows of this repository that hold one are refused, rows of the user's own have theirs escaped, and both are flagged:
one pattern decides for all three.
"""

from __future__ import annotations

import re

_ANGLED = (
    r"[|｜][^\s|｜<>]{1,40}[|｜]>"
    r"|/?(?:think|tool_call|tool_response|s|bos|eos|pad|start_of_turn|end_of_turn)>|</?SYS>>"
)
_SQUARE = r"/?INST\]"
_OPENING = re.compile(rf"<(?={_ANGLED})|\[(?={_SQUARE})")
_ANY = re.compile(rf"<\s?(?:{_ANGLED})|\[\s?(?:{_SQUARE})")


def has_special_token(text: str) -> bool:
    """Whether the text holds one, as it stands or escaped."""
    return _ANY.search(text) is not None


def escape_special(text: str) -> str:
    """Put a space behind the first sign of every special token (``< |im_end|>``), so that it is read as characters."""
    if "<" not in text and "[" not in text:
        return text
    return _OPENING.sub(lambda match: match[0] + " ", text)
