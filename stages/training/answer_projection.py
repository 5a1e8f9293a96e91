"""The vocabulary projection of training, at the positions that are trained and no others.

TRL 1.16 skips prompt and padding on a GPU; on a CPU it scores every position against the whole vocabulary (27 % of a
Qwen of half a billion parameters), computes the projection a second time in the backward pass, and adds an entropy,
an accuracy and a mean over the vocabulary for its logs. Here answer tokens alone are projected, once.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch.autograd.function import once_differentiable
from transformers import PreTrainedModel

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

    ``labels`` and the result have the shape (positions,); the result is in nats and in float32.

    The gradient of one log-probability by its hidden state is ``W[label] - sum over v of p(v) W[v]``. It is computed
    beside the log-probability, chunk by chunk, so that no logits wait for the backward pass, which only scales it.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Shapes (positions, width), (vocabulary, width) and (positions,) to log-probabilities (positions,)."""
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
        """The gradient by each log-probability (positions,) to the one by the hidden states (positions, width)."""
        (directions,) = ctx.saved_tensors
        return (directions.float() * upstream[:, None]).to(directions.dtype), None, None


def can_project(base: PreTrainedModel) -> bool:
    """Whether `label_log_probs` is this base's own output: not on a GPU, nor for a head that scales its logits or has a
    bias."""
    config = base.config.get_text_config()
    scaled = any(getattr(config, name, None) is not None for name in SCALED_HEADS)
    head = base.get_output_embeddings()
    return base.device.type == "cpu" and not scaled and getattr(head, "bias", None) is None


def label_log_probs(
    base: PreTrainedModel, labels: torch.Tensor, *args: Any, **kwargs: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities (nats) of the labels, and where they are trained: both of shape (rows, longest - 1).

    ``labels``, of shape (rows, longest), is -100 where nothing is trained, and the log-probability is 0 there. Position
    i of the result belongs to label i + 1. ``args`` and ``kwargs`` are those of the forward pass.
    """
    trained = labels[:, 1:] != -100
    kwargs["use_cache"] = False
    hidden = base.base_model(*args, **kwargs).last_hidden_state[:, :-1][trained]  # (trained positions, width)
    weight: Any = base.get_output_embeddings().weight
    per_token = cast(torch.Tensor, TokenLogProbs.apply(hidden, weight, labels[:, 1:][trained]))  # type: ignore[no-untyped-call]
    return per_token.new_zeros(trained.shape).masked_scatter(trained, per_token), trained
