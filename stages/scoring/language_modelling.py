"""Bits per character of held-out prose, so that bases with different tokenizers compare.

The text stands alone, without a chat template: what is measured is the language model, not the chat format.
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from stages.bases.tokens import Encoded, stop_token_id
from stages.core.files import Row
from stages.core.schema import ProseScore
from stages.scoring.scored_model import ScoredModel, identity


def prose_of(generation: Sequence[Row]) -> list[Row]:
    """``id`` and ``text`` of the open-ended rows' first references: hand-written prose of several sentences."""
    return [{"id": f"text-{row['id']}", "text": row["references"][0]} for row in generation if row["task"] == "open"]


def prose_rows(subject: ScoredModel, texts: Sequence[Row]) -> list[ProseScore]:
    """Nats of all tokens of each text, the first one included, and its characters (code points) and bytes (UTF-8)."""
    examples = [encode_text(subject.tokenizer, row["text"]) for row in texts]
    nats = subject.completions(examples, "prose")
    return [
        {
            **identity("text", row),
            "nats": value,
            "tokens": len(example.completion_ids),
            "characters": len(row["text"]),
            "bytes": len(row["text"].encode()),
        }
        for row, example, value in zip(texts, examples, nats, strict=True)
    ]


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> Encoded:
    """The text's tokens behind the token that begins a text: the tokenizer's own, or else what ends a turn.

    Qwen has no token for the beginning; what a model has seen before a text is the end of the one before it.
    """
    first = tokenizer.bos_token_id if isinstance(tokenizer.bos_token_id, int) else stop_token_id(tokenizer)
    return Encoded([first], list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]))
