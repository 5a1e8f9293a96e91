"""The vocabulary projection of training, at the positions that are trained and no others.

TRL 1.16 skips prompt and padding on a GPU; on a CPU it scores every position against the whole vocabulary (27 % of a
Qwen of half a billion parameters), computes the projection a second time in the backward pass, and adds an entropy,
an accuracy and a mean over the vocabulary for its logs. Here answer tokens alone are projected, once.
"""

from __future__ import annotations

from types import MethodType
from typing import Any, cast

import torch
from peft import PeftModel
from torch.autograd.function import once_differentiable
from transformers import PreTrainedModel
from trl.trainer.utils import FusedCausalLMOutput

from stages.bases.adapters import unwrapped

CHUNK_LOGITS = 2**25  # elements of the logits that exist at one moment: 128 MiB in float32
# Heads that do more than multiply (Granite, Cohere, Falcon-H1, Gemma, ...) are left to TRL, which knows them.
SCALED_HEADS = (
    "final_logit_softcapping",
    "logit_scale",
    "logits_scaling",
    "lm_head_multiplier",
    "output_multiplier",
)


class TokenLogProbs(torch.autograd.Function):
    """log p(label | hidden state) for hidden states (positions, width) and a frozen projection (vocabulary, width).

    The gradient of one log-probability by its hidden state is ``W[label] - sum over v of p(v) W[v]``. It is computed
    beside the log-probability, chunk by chunk, so that no logits wait for the backward pass, which only scales it.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        log_probs = hidden.new_empty(len(labels), dtype=torch.float32)
        wanted = ctx.needs_input_grad[0]
        directions = torch.empty_like(hidden) if wanted else hidden.new_empty(0)
        size = max(1, CHUNK_LOGITS // len(weight))
        with torch.autocast(hidden.device.type, enabled=False):
            for start in range(0, len(labels), size):
                part = slice(start, start + size)
                logits = (hidden[part].to(weight.dtype) @ weight.T).float()
                norm = logits.logsumexp(dim=1, keepdim=True)
                log_probs[part] = (logits.gather(1, labels[part, None]) - norm).squeeze(1)
                if wanted:
                    expected = logits.sub_(norm).exp_().to(weight.dtype) @ weight
                    directions[part] = (weight[labels[part]].float() - expected.float()).to(hidden.dtype)
        ctx.save_for_backward(directions)
        return log_probs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (directions,) = ctx.saved_tensors
        return (directions.float() * upstream[:, None]).to(directions.dtype), None, None


def project_trained_positions(model: PeftModel) -> None:
    """Replace the forward that TRL's trainers call with ``fused_lm_head=True``; call it after the trainer is built.

    What TRL only logs (entropy, accuracy, mean of the logits) is 0 in its place and kept out of the curves. Nothing is
    changed on a GPU, for a head that scales its logits or has a bias, and for a mixture of experts.
    """
    base = unwrapped(cast(PreTrainedModel, model))
    config = base.config.get_text_config()
    scaled = any(getattr(config, name, None) is not None for name in SCALED_HEADS)
    head = base.get_output_embeddings()
    if base.device.type != "cpu" or scaled or getattr(head, "bias", None) is not None:
        return
    trl_forward = base.forward

    def forward(
        self: PreTrainedModel,
        *args: Any,
        fused_lm_head: bool = False,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        if not fused_lm_head or labels is None or kwargs.get("output_router_logits"):
            return trl_forward(*args, fused_lm_head=fused_lm_head, labels=labels, **kwargs)
        trained = labels[:, 1:] != -100  # (rows, longest - 1), true where the next token is trained
        kwargs["use_cache"] = False
        hidden = self.base_model(*args, **kwargs).last_hidden_state[:, :-1][trained]
        weight: Any = self.get_output_embeddings().weight
        per_token = cast(torch.Tensor, TokenLogProbs.apply(hidden, weight, labels[:, 1:][trained]))  # type: ignore[no-untyped-call]
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
