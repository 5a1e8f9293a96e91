"""The model under test, and the log-probabilities that every kind of row asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages.bases.adapters import unwrapped
from stages.bases.tokens import Encoded
from stages.core.files import Row
from stages.core.schema import Scored
from stages.scoring.log_probabilities import completion_logprobs, next_token_logprobs
from stages.scoring.prefix_cache import shared_prefixes

FILLS_GPU, LEAST = 8192, 256  # tokens
CACHE_BYTES = 2**20  # usual for the second level of one core


@dataclass(frozen=True)
class ScoredModel:
    """One loaded model, named ``label`` on progress bars, and the adapter that its training began with, if any."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    label: str
    start: Path | None = None

    @property
    def batch_tokens(self) -> int:
        """Rows times longest row of a batch: what fills a GPU; on a CPU, what a layer reads of it in a core's cache."""
        if self.model.device.type == "cuda":
            return FILLS_GPU
        width = int(unwrapped(self.model).config.get_text_config().hidden_size) * self.model.dtype.itemsize
        return min(FILLS_GPU, max(LEAST, CACHE_BYTES // width))

    def completions(self, examples: Sequence[Encoded], what: str) -> list[float]:
        """Nats of each answer to its prompt, stop token included."""
        show = f"{self.label}: {what}"
        return completion_logprobs(self.model, examples, self.batch_tokens, show, shared_prefixes)

    def choices(self, prompts: Sequence[list[int]], options: Sequence[list[list[int]]], what: str) -> list[list[float]]:
        """Nats of every continuation (token ids) of each prompt, no stop token added.

        Where all of them are single tokens, nothing is read after the prompt.
        """
        if all(len(ids) == 1 for given in options for ids in given):
            wanted = [[ids[0] for ids in given] for given in options]
            show = f"{self.label}: {what}"
            return next_token_logprobs(self.model, prompts, wanted, self.batch_tokens, show, shared_prefixes)
        pairs = [Encoded(prompt, ids) for prompt, given in zip(prompts, options, strict=True) for ids in given]
        nats = iter(self.completions(pairs, what))
        return [[next(nats) for _ in given] for given in options]


def identity(kind: str, row: Row) -> Scored:
    """What every score row begins with: its kind, and the id and own test set of the row that was scored."""
    scored: Scored = {"kind": kind, "id": row["id"]}
    if "set" in row:
        scored["set"] = row["set"]
    return scored


def wins(first: float, second: float) -> float:
    """1 where the first is larger, 0 where it is smaller, one half for a tie."""
    return 0.5 if first == second else float(first > second)
