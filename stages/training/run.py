"""What every method's builder receives, and what it shares with the others: the arguments that must be equal.

TRL 1.16 loads, tokenises, truncates and orders differently per trainer. Here the model, the token ids and the order
of the rows are decided once and handed over, and a trainer contributes its loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerBase
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_trainer import KTOTrainer

from stages.bases.loading import DEFAULTS
from stages.bases.tokens import Encoded
from stages.core.params import Budget, Gpu, Profile, TrainMethod
from stages.training.monitor import TIE_NATS, TIE_NATS_BFLOAT16, Monitor, answer_nats


@dataclass(frozen=True)
class Run:
    """One training: a model on its start, rows in the order in which they will be seen, and the settings.

    ``rows[i]`` maps a field (completion; or chosen and rejected) to its token ids; ``labels[i]`` is given for
    unpaired rows. ``reference`` gives summed log-probabilities (nats) under the start, which is the reference.
    """

    model: PeftModel
    tokenizer: PreTrainedTokenizerBase
    method: TrainMethod
    budget: Budget
    profile: Profile
    seed: int
    rows: Sequence[dict[str, Encoded]]
    labels: Sequence[bool]
    reference: Callable[[Sequence[Encoded]], list[float]]
    scratch: Path
    processes: int = 1
    gpu: Gpu = DEFAULTS


def shared_arguments(run: Run) -> dict[str, Any]:
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


def referenced_pairs(run: Run) -> Dataset:
    """The columns that TRL's preference collator reads: pairs, and both answers' log-probabilities under the start."""
    return Dataset.from_dict(
        {
            "prompt_ids": [row["chosen"].prompt_ids for row in run.rows],
            "chosen_ids": [row["chosen"].completion_ids for row in run.rows],
            "rejected_ids": [row["rejected"].completion_ids for row in run.rows],
            "ref_chosen_logps": run.reference([row["chosen"] for row in run.rows]),
            "ref_rejected_logps": run.reference([row["rejected"] for row in run.rows]),
        }
    )


class TokenisedDPOTrainer(DPOTrainer):
    """TRL's DPO on rows that are tokenised and referenced already, watched (canaries in tests/test_canaries.py)."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.monitor = Monitor(True, TIE_NATS_BFLOAT16 if self.args.bf16 else TIE_NATS, self.accelerator.gather)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def loss_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What the loss is given of what the monitor sees."""
        return inputs

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        with answer_nats(model) as passes:
            loss = super()._compute_loss(model, self.loss_inputs(inputs), return_outputs)  # type: ignore[no-untyped-call]
        start = torch.cat([inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]])
        good = torch.arange(len(start), device=start.device) < len(start) // 2
        self.monitor.add(passes[-1] - start, inputs["completion_mask"].sum(dim=1), good)
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log(logs | self.monitor.drain(), start_time)


class TokenisedKTOTrainer(KTOTrainer):
    """TRL's KTO on rows that are tokenised and referenced already, watched (canaries in tests/test_canaries.py)."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.monitor = Monitor(False, TIE_NATS_BFLOAT16 if self.args.bf16 else TIE_NATS, self.accelerator.gather)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        with (
            self.ungathered(),
            answer_nats(model) as passes,
        ):  # the mismatched answers of the KL term, then the rows' own
            loss = super()._compute_loss(model, inputs, return_outputs)  # type: ignore[no-untyped-call]
        tokens = inputs["completion_mask"].sum(dim=1)
        self.monitor.add(passes[-1] - inputs["ref_logps"], tokens, inputs["label"])
        return loss

    @contextmanager
    def ungathered(self) -> Iterator[None]:
        """TRL would average the KL term over the processes. A microbatch keeps its own, as in a single process that
        accumulates gradients; `log` averages what is logged."""
        self.accelerator.gather_for_metrics = lambda value: value
        try:
            yield
        finally:
            del self.accelerator.gather_for_metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        metrics = self._metrics["train"]
        if self.args.world_size > 1 and metrics:
            own = torch.tensor([sum(values) / len(values) for values in metrics.values()], device=self.args.device)
            means = self.accelerator.reduce(own, "mean").tolist()
            metrics |= {name: [mean] for name, mean in zip(metrics, means, strict=True)}
        super().log(logs | self.monitor.drain(), start_time)
