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
    weights = label_weights(run)
    mismatched = neighbours([row["completion"] for row in run.rows], run.budget.rows_per_microbatch)
    arguments = KTOConfig(
        **shared_arguments(run),
        beta=run.method.beta,
        desirable_weight=weights[True],
        undesirable_weight=weights[False],
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
    weights = label_weights(run)
    first = [weights[label] for label in run.labels[: run.budget.rows_per_step]]
    return 0.5 * sum(first) / len(first)


def label_weights(run: Run[KtoMethod]) -> dict[bool, float]:
    """The weights of good and of bad rows. ``undesirable_weight: auto`` makes both labels count alike.

    A microbatch may hold one label only, as in TRL: its loss is that of its rows, and its KL term needs no label.
    Raises PipelineError where a microbatch is too small for that term, where all rows carry one label, or where the
    weights do not make up for the shares of the labels: (w_good n_good) / (w_bad n_bad) should lie in 1..4/3 (the
    paper's section 4.1).
    """
    size = run.budget.rows_per_microbatch
    if size < 4:
        raise PipelineError(
            f"KTO needs rows_per_microbatch of 4 or more for its KL term, found {size}: "
            "raise profiles.<profile>.preference.pairs_per_microbatch to 2 or more"
        )
    good = sum(run.labels)
    bad = len(run.labels) - good
    if not good or not bad:
        raise PipelineError(
            f"all {len(run.labels)} rows that KTO would see are labelled {'good' if good else 'bad'}: add feedback "
            "with the other label, or raise profiles.<profile>.preference.steps"
        )
    desirable = run.method.desirable_weight
    if run.method.undesirable_weight == "auto":
        return {True: desirable, False: desirable * good / bad}
    ratio = desirable * good / (run.method.undesirable_weight * bad)
    low, high = WEIGHTED_RATIO
    if not low - RATIO_TOLERANCE <= ratio <= high + RATIO_TOLERANCE:
        raise PipelineError(
            f"KTO sees {good} good and {bad} bad rows, and its weights bring them to {ratio:.2f} : 1, outside 1..4/3: "
            f"set train.kto.undesirable_weight to auto, or to {desirable * good / bad:.3g}"
        )
    return {True: desirable, False: run.method.undesirable_weight}
