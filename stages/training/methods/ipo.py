"""IPO (Azar et al. 2023, arXiv 2310.12036, eq. 17), in TRL's form per token.

L = (h(chosen)/n_chosen - h(rejected)/n_rejected - 1/(2 beta))^2. The paper writes the sum over the answer; TRL
divides by the number of tokens, so the target gap 1/(2 beta) is in nats PER TOKEN: 5.0 at beta 0.1.
"""

from __future__ import annotations

from transformers import Trainer
from trl.trainer.dpo_config import DPOConfig

from stages.core.params import PairMethod
from stages.training.arguments import Run, shared_arguments
from stages.training.trl_private import TokenisedDPOTrainer, referenced_pairs


def build_trainer(run: Run[PairMethod]) -> Trainer:
    """TRL's DPOTrainer with the IPO loss."""
    arguments = DPOConfig(
        **shared_arguments(run), loss_type=["ipo"], beta=run.method.beta, precompute_ref_log_probs=True
    )
    return TokenisedDPOTrainer(
        model=run.model, args=arguments, train_dataset=referenced_pairs(run), processing_class=run.tokenizer
    )


def first_loss(run: Run[PairMethod]) -> float | None:
    """On the reference the gap is 0, so the loss starts at the squared target."""
    return float((1 / (2 * run.method.beta)) ** 2)
