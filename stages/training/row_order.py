"""Which rows a training sees, in which order, and what its reference is asked about them: decided before it runs.

TRL 1.16 shuffles per trainer, KTO not at all. Here the order depends on lengths, budget and seed alone, so that DPO,
IPO, CPO and SFT on chosen see the same pairs in the same step, and KTO the same pairs as single rows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from stages.bases.tokens import Encoded, encode, sides
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, fingerprint, read_json, read_jsonl
from stages.core.params import Budget, TrainMethod

STEPS_GROUPED_BY_LENGTH = 8
REFERENCED = ("dpo", "ipo", "kto")  # methods whose loss compares with the start
MONITORED = (*REFERENCED, "cpo")  # methods whose answers are watched against the start


def recorded(method: TrainMethod) -> dict[str, Any]:
    """The settings of a method as run.json has them, with what its answers are watched against (models/base: nothing).

    The budget is recorded as what it comes to, beside them.
    """
    reference = str(paths.REFERENCE if method.method in MONITORED else paths.BASE)
    return {key: value for key, value in vars(method).items() if key != "budget"} | {"reference": reference}


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


def row_order(rows: Sequence[Row], lengths: Sequence[int], budget: Budget, seed: int) -> list[int]:
    """Which row is seen when: indices into ``rows`` of these lengths in tokens, one per row of the budget."""
    if "label" in rows[0]:
        return unpaired_order(rows, lengths, budget.steps, budget.rows_per_step, budget.rows_per_microbatch, seed)
    return seen_order(lengths, budget.steps, budget.rows_per_step, seed)


def seen_rows(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], lengths: Sequence[int], budget: Budget, seed: int
) -> Seen:
    """The rows of one training in the order in which it sees them, as the token ids that `contract` proved."""
    order = row_order(rows, lengths, budget, seed)
    encoded = {
        index: {field: encode(tokenizer, rows[index]["prompt"], answer) for field, answer in sides(rows[index])}
        for index in sorted(set(order))
    }
    return Seen([encoded[index] for index in order], [rows[index]["label"] for index in order if "label" in rows[0]])


def answer_key(answer: Encoded) -> str:
    """The name of an answer to a prompt, by its token ids."""
    return fingerprint([answer.prompt_ids, answer.completion_ids])


def asked_of_reference(method: TrainMethod, seen: Seen, budget: Budget) -> list[Encoded]:
    """Every answer whose log-probability under the start this training needs; KTO's mismatched ones included."""
    answers = [answer for row in seen.rows for answer in row.values()]
    return answers + neighbours(answers, budget.rows_per_microbatch) if method.method == "kto" else answers


def seen_order(lengths: Sequence[int], steps: int, rows_per_step: int, seed: int) -> list[int]:
    """Indices of the rows (of these lengths in tokens) that ``steps`` steps see: whole shuffled passes, cut at the end.

    Within a window of a few steps the rows are grouped by length, so that a short row is not padded to a long one,
    and the steps of the window are shuffled again. The same lengths and seed give the same order, so DPO, IPO, CPO
    and SFT on chosen see the same pairs in the same step.
    """
    if not lengths:
        raise PipelineError("no training rows are left after `contract`: raise max_tokens or add data")
    wanted = steps * rows_per_step
    passes: list[int] = []
    while len(passes) < wanted:
        generator = random.Random(f"{seed}:{len(passes)}")
        indices = list(range(len(lengths)))
        generator.shuffle(indices)
        passes += indices
    order: list[int] = []
    window = STEPS_GROUPED_BY_LENGTH * rows_per_step
    for start in range(0, wanted, window):
        near = sorted(passes[start : min(start + window, wanted)], key=lambda index: (lengths[index], index))
        batches = [near[first : first + rows_per_step] for first in range(0, len(near), rows_per_step)]
        random.Random(f"{seed}:window:{start}").shuffle(batches)
        order += [index for batch in batches for index in batch]
    return order


def unpaired_order(
    rows: Sequence[Row], lengths: Sequence[int], steps: int, rows_per_step: int, rows_per_microbatch: int, seed: int
) -> list[int]:
    """The unpaired rows of the very pairs that a pairwise method sees in the same step, good and bad alternating.

    TRL estimates KTO's KL term by giving each prompt its neighbour's answer within the microbatch; the two halves
    of a pair are therefore never neighbours, and each microbatch holds as many good as bad rows.
    """
    halves: dict[str, dict[bool, int]] = {}
    for index, row in enumerate(rows):
        halves.setdefault(str(row.get("pair", row["id"])), {})[row["label"]] = index
    whole = [halves[pair] for pair in sorted(halves) if len(halves[pair]) == 2]
    if len(whole) * 2 != len(rows):
        return labelled_order([row["label"] for row in rows], steps * rows_per_step, seed)
    order: list[int] = []
    pair_lengths = [max(lengths[index] for index in pair.values()) for pair in whole]
    pairs = seen_order(pair_lengths, steps, rows_per_step // 2, seed)
    window = rows_per_microbatch // 2
    for start in range(0, len(pairs), window):
        block = [whole[index] for index in pairs[start : start + window]]
        turned = [*block[len(block) // 2 :], *block[: len(block) // 2]]
        for good, bad in zip(block, turned, strict=True):
            order += [good[True], bad[False]]
    return order


def labelled_order(labels: Sequence[bool], wanted: int, seed: int) -> list[int]:
    """Feedback that is not made of pairs, or unbalanced: whole shuffled passes in which each label is spread evenly.

    Every window of the size of a microbatch so holds both labels in about their share of the whole.
    """
    order: list[int] = []
    while len(order) < wanted:
        generator = random.Random(f"{seed}:labels:{len(order)}")
        places = []
        for label in (True, False):
            indices = [index for index, own in enumerate(labels) if own == label]
            generator.shuffle(indices)
            places += [((rank + 0.5) / len(indices), index) for rank, index in enumerate(indices)]
        order += [index for _, index in sorted(places)]
    return order[:wanted]


def neighbours(answers: list[Encoded], rows_per_microbatch: int) -> list[Encoded]:
    """Each prompt with the answer of the row before it, wrapping around within a microbatch."""
    mismatched = []
    for start in range(0, len(answers), rows_per_microbatch):
        window = answers[start : start + rows_per_microbatch]
        mismatched += [
            Encoded(own.prompt_ids, other.completion_ids)
            for own, other in zip(window, [window[-1], *window[:-1]], strict=True)
        ]
    return mismatched
