"""CPO (Xu et al. 2024, arXiv 2401.08417): DPO with a uniform reference, plus the likelihood of the chosen answer.

L = -log sigmoid(beta * [log pi(chosen) - log pi(rejected)]) + nll_weight * NLL(chosen), NLL a mean over tokens.
A reference of zeros makes TRL's stable DPOTrainer compute it; TRL's experimental CPOTrainer differs in dtype and in
tokens (it trains an extra end-of-text token), and may be removed.
"""

from __future__ import annotations

from transformers import Trainer
from trl.trainer.dpo_config import DPOConfig

from stages.methods.run import Run, TokenisedDPOTrainer, pair_dataset, shared_arguments
from stages.params import CpoMethod


def build_trainer(run: Run) -> Trainer:
    """TRL's DPOTrainer with the sigmoid and the sft loss, on a reference of zeros."""
    assert isinstance(run.method, CpoMethod)
    arguments = DPOConfig(
        **shared_arguments(run),
        loss_type=["sigmoid", "sft"],
        loss_weights=[1.0, run.method.nll_weight],
        beta=run.method.beta,
        precompute_ref_log_probs=True,
    )
    zeros = [0.0] * len(run.rows)
    return TokenisedDPOTrainer(
        model=run.model, args=arguments, train_dataset=pair_dataset(run, zeros, zeros), processing_class=run.tokenizer
    )


def first_loss(run: Run) -> float | None:
    """No invariant: CPO has no reference to start on."""
    return None
