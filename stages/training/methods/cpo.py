"""CPO (Xu et al. 2024, arXiv 2401.08417): DPO with a uniform reference, plus the likelihood of the chosen answer.

L = -log sigmoid(beta * [log pi(chosen) - log pi(rejected)]) + nll_weight * NLL(chosen), NLL a mean over tokens.
A reference of zeros makes TRL's stable DPOTrainer compute it; TRL's experimental CPOTrainer differs in dtype and in
tokens (it trains an extra end-of-text token), and may be removed.

The rows carry the start's log-probabilities all the same, for the monitor alone: CPO, which nothing holds to its start,
is the method most in need of being watched. On the shared default start they are those that DPO uses already.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import Trainer
from trl.trainer.dpo_config import DPOConfig

from stages.core.params import CpoMethod
from stages.training.arguments import Run, shared_arguments
from stages.training.trl_private import TokenisedDPOTrainer, referenced_pairs


class UniformReferenceTrainer(TokenisedDPOTrainer):
    """DPO whose loss compares with zeros while its monitor compares with the start."""

    def loss_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        zeros = torch.zeros_like(inputs["ref_chosen_logps"])
        return inputs | {"ref_chosen_logps": zeros, "ref_rejected_logps": zeros}


def build_trainer(run: Run[CpoMethod]) -> Trainer:
    """TRL's DPOTrainer with the sigmoid and the sft loss, on a reference of zeros."""
    arguments = DPOConfig(
        **shared_arguments(run),
        loss_type=["sigmoid", "sft"],
        loss_weights=[1.0, run.method.nll_weight],
        beta=run.method.beta,
        precompute_ref_log_probs=True,
    )
    return UniformReferenceTrainer(
        model=run.model, args=arguments, train_dataset=referenced_pairs(run), processing_class=run.tokenizer
    )


def first_loss(run: Run[CpoMethod]) -> float | None:
    """No invariant: CPO has no reference to start on."""
    return None
