"""The order in which a training sees its rows: decided before it runs, by lengths, budget and seed alone.

TRL 1.16 shuffles per trainer, KTO not at all. Here DPO, IPO, CPO and SFT on chosen see the same pairs in the same
step, and KTO the same pairs as single rows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from stages.core.errors import PipelineError
from stages.core.files import Row
from stages.core.params import Budget

STEPS_GROUPED_BY_LENGTH = 8


def row_order(rows: Sequence[Row], lengths: Sequence[int], budget: Budget, seed: int) -> list[int]:
    """Which row is seen when: indices into ``rows`` of these lengths in tokens, one per row of the budget."""
    if "label" in rows[0]:
        return unpaired_order(rows, lengths, budget.steps, budget.rows_per_step, budget.rows_per_microbatch, seed)
    return seen_order(lengths, budget.steps, budget.rows_per_step, seed)


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
