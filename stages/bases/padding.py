"""Which token fills up short rows: never the stop token, so that no model learns to ignore its end.

Padding is masked in every loss and in attention. A token with a role of its own would do no harm, but one that the chat
template writes is easily taken for content in logs.
"""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from stages.core.errors import PipelineError

CONVERSATION = [
    {"role": "user", "content": "س"},
    {"role": "assistant", "content": "ج"},
]


def settle_padding(tokenizer: PreTrainedTokenizerBase, stop: int, rows: int, where: str) -> str:
    """Give the tokenizer a padding token that is not ``stop`` and has a row in an embedding of ``rows``.

    Returns what was chosen, in words; empty where its own token serves. Raises PipelineError where no special token is
    left to pad with.
    """
    own = tokenizer.pad_token_id
    if own is not None and own != stop and own < rows:
        return ""
    used = set(
        tokenizer(str(tokenizer.apply_chat_template(CONVERSATION, tokenize=False)), add_special_tokens=False)[
            "input_ids"
        ]
    )
    special = {index: token.content for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    free = {index: name for index, name in special.items() if index not in used | {stop} and index < rows}
    for wanted in ("pad", "endoftext", "end_of_text", "unk", "eos", "</s>", "reserved", ""):
        found = [name for _, name in sorted(free.items()) if wanted in name.lower()]
        if found:
            tokenizer.pad_token = found[0]
            return f"its tokenizer has no token to pad with but the stop token; using {found[0]}"
    raise PipelineError(
        f"{where}: its tokenizer has no special token to pad with beside the stop token "
        f"{tokenizer.convert_ids_to_tokens(stop)!r}: name another one as pad_token in tokenizer_config.json"
    )
