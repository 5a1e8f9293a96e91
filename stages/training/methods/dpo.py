"""DPO (Rafailov et al. 2023, arXiv 2305.18290, eq. 7).

L = -log sigmoid(beta * [h(chosen) - h(rejected)]), h = log pi(y|x) - log pi_ref(y|x), summed over the answer.
"""

from __future__ import annotations

import math

from transformers import Trainer
from trl.trainer.dpo_config import DPOConfig

from stages.core.params import PairMethod
from stages.training.arguments import Run, shared_arguments
from stages.training.trl_private import TokenisedDPOTrainer, referenced_pairs


def build_trainer(run: Run[PairMethod]) -> Trainer:
    """TRL's DPOTrainer with the sigmoid loss."""
    arguments = DPOConfig(
        **shared_arguments(run), loss_type=["sigmoid"], beta=run.method.beta, precompute_ref_log_probs=True
    )
    return TokenisedDPOTrainer(
        model=run.model, args=arguments, train_dataset=referenced_pairs(run), processing_class=run.tokenizer
    )


def first_loss(run: Run[PairMethod]) -> float | None:
    """On the reference both h are 0, so the loss starts at ln 2."""
    return math.log(2)
