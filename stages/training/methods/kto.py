"""KTO (Ethayarajh et al. 2024, arXiv 2402.01306, eq. 8): single answers labelled good or bad.

L = w_good (1 - sigmoid(beta (h - z0))) or w_bad (1 - sigmoid(beta (z0 - h))), with z0 = max(0, mean of h over
mismatched prompts and answers of the microbatch), detached. A prompt's mismatched answer is its neighbour's.
"""

from __future__ import annotations

from transformers import Trainer
from trl.trainer.kto_config import KTOConfig

from stages.core.errors import PipelineError
from stages.core.params import KtoMethod
from stages.training.arguments import Run, shared_arguments
from stages.training.reference_answers import neighbours
from stages.training.trl_private import TokenisedKTOTrainer, referenced_answers

WEIGHTED_RATIO = (1.0, 4 / 3)
RATIO_TOLERANCE = 0.05  # a window of a shuffled pass is not exactly as mixed as the whole


def build_trainer(run: Run[KtoMethod]) -> Trainer:
    """TRL's KTOTrainer; the mismatched answers are laid out here, as TRL lays them out itself."""
    check_labels(run)
    mismatched = neighbours([row["completion"] for row in run.rows], run.budget.rows_per_microbatch)
    arguments = KTOConfig(
        **shared_arguments(run),
        beta=run.method.beta,
        desirable_weight=run.method.desirable_weight,
        undesirable_weight=run.method.undesirable_weight,
        precompute_ref_log_probs=True,
    )
    return TokenisedKTOTrainer(
        model=run.model,
        args=arguments,
        train_dataset=referenced_answers(run, mismatched),
        processing_class=run.tokenizer,
    )


def first_loss(run: Run[KtoMethod]) -> float | None:
    """On the reference h and z0 are 0: half the mean weight of the first step's rows."""
    weights = {True: run.method.desirable_weight, False: run.method.undesirable_weight}
    first = [weights[label] for label in run.labels[: run.budget.rows_per_step]]
    return 0.5 * sum(first) / len(first)


def check_labels(run: Run[KtoMethod]) -> None:
    """Raise PipelineError where a microbatch is too small or holds one label only, or where the weights do not make
    up for the shares of the labels: (w_good n_good) / (w_bad n_bad) should lie in 1..4/3 (the paper's section 4.1).
    """
    size = run.budget.rows_per_microbatch
    if size < 4:
        raise PipelineError(
            f"KTO needs rows_per_microbatch of 4 or more for its KL term, found {size}: "
            "raise profiles.<profile>.preference.pairs_per_microbatch to 2 or more"
        )
    for start in range(0, len(run.labels), size):
        if len(set(run.labels[start : start + size])) == 1:
            raise PipelineError(
                f"rows {start}..{start + size - 1} of KTO's order carry one label only: mix good and bad rows"
            )
    good = sum(run.labels)
    bad = len(run.labels) - good
    ratio = run.method.desirable_weight * good / (run.method.undesirable_weight * bad)
    low, high = WEIGHTED_RATIO
    if not low - RATIO_TOLERANCE <= ratio <= high + RATIO_TOLERANCE:
        raise PipelineError(
            f"KTO sees {good} good and {bad} bad rows, and its weights bring them to {ratio:.2f} : 1, outside 1..4/3: "
            f"set train.kto.undesirable_weight to {run.method.desirable_weight * good / bad:.3g}"
        )
