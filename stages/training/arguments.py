"""What every method's builder receives, and the trainer arguments that must be equal for all methods.

TRL 1.16 loads, tokenises, truncates and orders differently per trainer. Here the model, the token ids and the order
of the rows are decided once and handed over, and a trainer contributes its loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from stages.bases.loading import DEFAULTS
from stages.bases.tokens import Encoded
from stages.core.params import Budget, Gpu, Profile, TrainMethod

# Covariant: what serves a run of any method serves the run of one. A frozen dataclass only gives its method away.
Method = TypeVar("Method", bound=TrainMethod, covariant=True)


@dataclass(frozen=True)
class Run(Generic[Method]):
    """One training: a model on its start, rows in the order in which they will be seen, and the settings.

    ``rows[i]`` maps a field (completion; or chosen and rejected) to its token ids; ``labels[i]`` is given for
    unpaired rows. ``reference`` gives summed log-probabilities (nats) under the start, which is the reference.
    """

    model: PeftModel
    tokenizer: PreTrainedTokenizerBase
    method: Method
    budget: Budget
    profile: Profile
    seed: int
    rows: Sequence[dict[str, Encoded]]
    labels: Sequence[bool]
    reference: Callable[[Sequence[Encoded]], list[float]]
    scratch: Path
    processes: int = 1
    gpu: Gpu = DEFAULTS


def shared_arguments(run: Run[TrainMethod]) -> dict[str, Any]:
    """Trainer arguments that are the same for every method; the order of rows is ours, so sampling is sequential."""
    on_gpu = torch.cuda.is_available()
    microbatches = run.budget.rows_per_step // run.budget.rows_per_microbatch
    return {
        "output_dir": str(run.scratch),
        "max_steps": run.budget.steps,
        "per_device_train_batch_size": run.budget.rows_per_microbatch,
        "gradient_accumulation_steps": microbatches // run.processes,  # each in turn takes the next microbatch
        "train_sampling_strategy": "sequential",
        "learning_rate": run.budget.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,  # below 1: a share of the steps
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "optim": "adamw_torch_fused" if on_gpu and run.gpu.fused_optimizer else "adamw_torch",
        "bf16": run.profile.dtype == "bfloat16",
        "use_cpu": not on_gpu,
        "full_determinism": on_gpu,
        "activation_checkpointing": run.profile.activation_checkpointing,
        "dataloader_pin_memory": on_gpu and run.gpu.pinned_memory,
        "dataloader_num_workers": run.gpu.loader_workers if on_gpu else 0,
        "max_length": None,  # rows that do not fit were dropped by `contract`; nothing is cut here
        "seed": run.seed,
        "data_seed": run.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a NaN loss must be seen, not averaged away
        "save_strategy": "no",  # checkpoints come from stages.core.checkpoints.SaveEveryMinute
        "save_total_limit": 2,
        "report_to": "none",
    }
