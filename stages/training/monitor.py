"""What every preference training is watched for while it runs, beside its loss: curves, and their last tenth.

The change h = log pi(y|x) - log pi_start(y|x) of each answer of a step, chosen (or good) and rejected (or bad). Where
the chosen answers lose probability too, that is likelihood displacement (Razin et al. 2024, arXiv 2410.08847), which
neither the loss nor the margin shows. All four methods are measured against their start, CPO too, whose loss has no
reference; so the curves can be compared. They cost no pass: the loss has just computed these log-probabilities.

TRL's own `rewards/accuracies` counts a tie as wrong (0 instead of one half on the start), KTO logs none, and the
`rewards/margins` of CPO have no reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from stages.core.files import Row

CURVES = (
    "displacement/chosen_nats_per_token",
    "displacement/rejected_nats_per_token",
    "reward_margin_nats",
    "reward_accuracy",
)
# Rewards nearer than this are equal: on the start itself they differ by the rounding of two passes in other batches.
TIE_NATS, TIE_NATS_BFLOAT16 = 1e-3, 0.1


class Monitor:
    """The answers of one optimizer step, gathered over its microbatches and processes; empty again after each."""

    def __init__(self, paired: bool, tie_nats: float, gather: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """``paired``: a microbatch holds its chosen answers, then the rejected ones in the same order; ``gather`` joins
        the rows of all processes."""
        self.paired = paired
        self.tie_nats = tie_nats
        self.gather = gather
        self.microbatches: list[torch.Tensor] = []

    def add(self, change_nats: torch.Tensor, tokens: torch.Tensor, good: torch.Tensor) -> None:
        """One microbatch, each argument of shape (answers,): h summed over the answer, its length, its label.

        Nothing is read back to the CPU before the step ends, so a GPU is not made to wait.
        """
        answers = torch.stack([change_nats.float(), tokens.float(), good.float()], dim=1)
        self.microbatches.append(self.gather(answers))

    def drain(self) -> dict[str, float]:
        """The curves' values of the step that has ended; nothing where no answer was seen."""
        if not self.microbatches:
            return {}
        change, tokens, good = torch.cat(self.microbatches).cpu().double().unbind(dim=1)
        self.microbatches = []
        return step_values(change, tokens, good > 0, self.paired, self.tie_nats)


def step_values(
    change_nats: torch.Tensor, tokens: torch.Tensor, good: torch.Tensor, paired: bool, tie_nats: float
) -> dict[str, float]:
    """Means over the answers of one step, by curve; every argument has the shape (answers,).

    A step of unbalanced feedback may hold one label only. It then has no value of the other label's curve, nor of the
    two that compare them.

    The margin (nats, summed over the answer, beta left out) is h(chosen) - h(rejected) of each pair. Single answers
    have no pair: each good one meets each bad one. Accuracy is the share of margins above 0, with ties at one half;
    for single answers this is the area under the ROC curve.
    """
    per_token = change_nats / tokens
    chosen, rejected = change_nats[good], change_nats[~good]
    margins = chosen - rejected if paired else chosen[:, None] - rejected[None, :]
    wins = torch.where(margins.abs() <= tie_nats, 0.5, (margins > 0).double())
    values = zip(CURVES, (per_token[good], per_token[~good], margins, wins), strict=True)
    return {name: float(value.mean()) for name, value in values if value.numel()}


def closing_values(history: Sequence[Row]) -> Row:
    """Each curve's mean over the last tenth of the steps that have it, by its name without the folder."""
    found: Row = {}
    for name in CURVES:
        values = [float(entry[name]) for entry in history if name in entry]
        tail = values[-max(1, len(values) // 10) :]
        found[name.split("/")[-1]] = sum(tail) / len(tail)
    return found


def mean_values(seeds: Sequence[Row]) -> Row:
    """The mean over seeds of what `closing_values` gives for each."""
    return {name: sum(float(seed[name]) for seed in seeds) / len(seeds) for name in seeds[0]}
