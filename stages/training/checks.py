"""What a training must satisfy: the adapter that params promise, and losses that can be true."""

from __future__ import annotations

import math
from typing import Any

import torch
from peft import PeftModel

from stages.bases.projections import check_targets
from stages.core.errors import PipelineError
from stages.core.files import Row
from stages.core.params import Profile

# The first loss of a method that starts on its reference is known; bfloat16 keeps 8 bits of each log-probability.
FIRST_LOSS_TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1}


def check_adapter(model: PeftModel, profile: Profile) -> Row:
    """What is trained, counted after loading; raises PipelineError where it is not what params promise."""
    adapted = {name.split(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A." in name}
    trained = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    config: Any = model.peft_config["default"]
    check_targets(config.target_modules, adapted)
    frozen = {str(value.dtype) for _, value in model.named_parameters() if not value.requires_grad}
    packed = {"torch.uint8"} if profile.quantize == "4bit" else set()  # two weights in a byte
    if frozen != {f"torch.{profile.dtype}"} | packed or {value.dtype for _, value in trained} != {torch.float32}:
        raise PipelineError(f"the base must be {profile.dtype} and the adapter float32, found {frozen}")
    return {
        "adapted_modules": len(adapted),
        "trainable_parameters": sum(value.numel() for _, value in trained),
        "dtype": profile.dtype,
        "quantize": profile.quantize,
        "adapter_dtype": "float32",
    }


def check_losses(name: str, losses: list[float], expected_first: float | None, dtype: str) -> None:
    """Raise PipelineError for a loss that is not a number, or a first loss that contradicts the reference."""
    bad = [step for step, loss in enumerate(losses, start=1) if not math.isfinite(loss)]
    if bad:
        raise PipelineError(f"{name}: the loss is not a number at step {bad[0]}: lower the learning rate")
    if expected_first is not None and abs(losses[0] - expected_first) > FIRST_LOSS_TOLERANCE[dtype] * expected_first:
        raise PipelineError(
            f"{name}: the first loss is {losses[0]:.6f}, but a model on its own reference gives {expected_first:.6f}: "
            "start and reference differ; please report this with models/<model>/run.json"
        )
