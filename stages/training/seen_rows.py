"""The rows that a training sees: read, without those that `contract` dropped, put in order, as token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from stages.bases.tokens import Encoded, encode, sides
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_json, read_jsonl
from stages.core.params import Budget, TrainMethod
from stages.training.row_order import row_order


@dataclass(frozen=True)
class Seen:
    """Rows in the order in which they are seen: ``rows[i]`` maps a field (completion; or chosen and rejected) to its
    token ids; ``labels[i]`` is given for unpaired rows."""

    rows: Sequence[dict[str, Encoded]]
    labels: Sequence[bool]


def read_rows(name: str, method: TrainMethod) -> tuple[list[Row], list[int], int]:
    """The training rows that `contract` kept, by id (pairs and unpaired rows must agree), the tokens of each, and how
    many it dropped."""
    path = paths.prepared_split(method.data, "train")
    tokens = read_json(paths.contract_lengths(method.data))
    every = read_jsonl(path)
    if not every:
        raise PipelineError(f"{path} holds no rows to train {name} on: add such rows to data.sources in params.yaml")
    rows = sorted((row for row in every if row["id"] in tokens), key=lambda row: str(row["id"]))
    if not rows:
        raise PipelineError(f"{path}: no row fits max_tokens for {name}: raise it in params.yaml")
    return rows, [tokens[row["id"]] for row in rows], len(every) - len(rows)


def seen_rows(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], lengths: Sequence[int], budget: Budget, seed: int
) -> Seen:
    """The rows of one training in the order in which it sees them, encoded as `contract` proved."""
    order = row_order(rows, lengths, budget, seed)
    encoded = {
        index: {field: encode(tokenizer, rows[index]["prompt"], answer) for field, answer in sides(rows[index])}
        for index in sorted(set(order))
    }
    return Seen([encoded[index] for index in order], [rows[index]["label"] for index in order if "label" in rows[0]])
