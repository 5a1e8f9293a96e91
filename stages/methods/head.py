"""The vocabulary projection of training, at the positions that are trained and no others.

TRL 1.16 skips prompt and padding on a GPU; on a CPU it scores every position against the whole vocabulary (27 % of a
Qwen of half a billion parameters), computes the projection a second time in the backward pass, and adds an entropy,
an accuracy and a mean over the vocabulary for its logs. Here the hidden states of answer tokens alone are projected,
once, as `stages.scoring` does it.
"""

from __future__ import annotations

from types import MethodType
from typing import Any, cast

import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel
from trl.trainer.utils import FusedCausalLMOutput

from stages.scoring import unwrapped
from stages.scoring.logprobs import MAX_LOGITS, logits_at


def project_trained_positions(model: PeftModel) -> None:
    """Replace the forward that TRL's trainers call with ``fused_lm_head=True``; call it after the trainer is built.

    What TRL only logs (entropy, accuracy, mean of the logits) is 0 in its place and kept out of the curves. A batch
    whose logits would take more than ``MAX_LOGITS`` elements goes TRL's way, in chunks, and so does a mixture of
    experts, whose routers add to the loss. On a GPU nothing is changed.
    """
    base = unwrapped(cast(PreTrainedModel, model))
    if base.device.type != "cpu":
        return
    trl_forward = base.forward
    vocabulary = int(base.config.get_text_config().vocab_size)

    def forward(
        self: PreTrainedModel,
        *args: Any,
        fused_lm_head: bool = False,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        if not fused_lm_head or labels is None:
            return trl_forward(*args, labels=labels, **kwargs)
        trained = labels[:, 1:] != -100  # (rows, longest - 1), true where the next token is trained
        if int(trained.sum()) * vocabulary > MAX_LOGITS or kwargs.get("output_router_logits"):
            return trl_forward(*args, fused_lm_head=True, labels=labels, **kwargs)
        kwargs.pop("use_cache", None)
        predicts = torch.cat([trained, torch.zeros_like(trained[:, :1])], dim=1)
        logits = logits_at(trl_forward, self, predicts, **kwargs)
        per_token = -cross_entropy(logits.float(), labels[:, 1:][trained], reduction="none")
        log_probs = per_token.new_zeros(trained.shape).masked_scatter(trained, per_token)
        nothing = torch.zeros_like(log_probs)
        return FusedCausalLMOutput(
            loss=-log_probs.sum() / trained.sum().clamp(min=1),
            log_probs=log_probs,
            entropy=nothing,
            mean_logits=nothing,
            is_top1=torch.zeros_like(trained),
            label_mask=trained,
        )

    base.forward = MethodType(forward, base)
