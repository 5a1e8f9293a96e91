"""Everything of TRL that is not public, and of accelerate's live object: no other file relies on it.

TRL is pinned to 1.16.0 in pyproject.toml. Each reliance below has a canary in tests/training/test_canaries.py, which
says in one sentence what an upgrade has changed and which function here must follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import MethodType
from typing import Any, cast

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedModel
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_trainer import KTOTrainer
from trl.trainer.utils import FusedCausalLMOutput

from stages.bases.adapters import unwrapped
from stages.bases.tokens import Encoded
from stages.core.params import TrainMethod
from stages.training.answer_projection import can_project, label_log_probs
from stages.training.arguments import Run
from stages.training.monitor import TIE_NATS, TIE_NATS_BFLOAT16, Monitor

# The names, or how they begin, under which TRL logs what becomes a curve. Its entropy, token accuracy and mean logits
# are not computed here (project_trained_positions), and stages/training/monitor.py replaces its margins and accuracies.
LOGGED = ("kl",)
LOGGED_FAMILIES = ("rewards/chosen", "rewards/rejected", "logps/")


# The columns that TRL's two preference collators read.


def referenced_pairs(run: Run[TrainMethod]) -> Dataset:
    """A row per pair for TRL's DPO: token ids, and both answers' log-probabilities (nats) under the start."""
    chosen, rejected = ([row[side] for row in run.rows] for side in ("chosen", "rejected"))
    return Dataset.from_dict(
        {
            "prompt_ids": [answer.prompt_ids for answer in chosen],
            "chosen_ids": [answer.completion_ids for answer in chosen],
            "rejected_ids": [answer.completion_ids for answer in rejected],
            "ref_chosen_logps": run.reference(chosen),
            "ref_rejected_logps": run.reference(rejected),
        }
    )


def referenced_answers(run: Run[TrainMethod], mismatched: Sequence[Encoded]) -> Dataset:
    """A row per labelled answer for TRL's KTO: token ids, the mismatched answer of its KL term, and the
    log-probabilities (nats) of both under the start. ``mismatched[i]`` has the prompt of ``run.rows[i]``."""
    own = [row["completion"] for row in run.rows]
    return Dataset.from_dict(
        {
            "prompt_ids": [answer.prompt_ids for answer in own],
            "completion_ids": [answer.completion_ids for answer in own],
            "KL_completion_ids": [answer.completion_ids for answer in mismatched],
            "label": list(run.labels),
            "ref_logps": run.reference(own),
            "ref_KL_logps": run.reference(mismatched),
        }
    )


# The two preference trainers. TRL prepares and references every data set by itself, and has no way to say that this
# is done already. Its SFTTrainer has one: dataset_kwargs={"skip_prepare_dataset": True}.


class TokenisedDPOTrainer(DPOTrainer):
    """TRL's DPO on rows that are tokenised and referenced already, watched by a monitor."""

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

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """TRL's loss of one microbatch, which holds the chosen answers and then the rejected ones in the same order."""
        with answer_nats(model) as passes:
            loss = super().compute_loss(model, self.loss_inputs(inputs), return_outputs, num_items_in_batch)  # type: ignore[no-untyped-call]
        start = torch.cat([inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]])
        good = torch.arange(len(start), device=start.device) < len(start) // 2
        self.monitor.add(passes[-1] - start, inputs["completion_mask"].sum(dim=1), good)
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log(logs | self.monitor.drain(), start_time)


class TokenisedKTOTrainer(KTOTrainer):
    """TRL's KTO on rows that are tokenised and referenced already, watched by a monitor."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.monitor = Monitor(False, TIE_NATS_BFLOAT16 if self.args.bf16 else TIE_NATS, self.accelerator.gather)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """TRL's loss of one microbatch, whose KL term is the microbatch's own among several processes too."""
        with self.ungathered(), answer_nats(model) as passes:
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)  # type: ignore[no-untyped-call]
        tokens = inputs["completion_mask"].sum(dim=1)
        # The pass over the mismatched answers of the KL term comes first, the one over the rows' own answers last.
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


@contextmanager
def answer_nats(model: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collects log pi(y|x) (nats, shape (rows,)) of every forward pass of the block: what a TRL loss sees."""
    found: list[torch.Tensor] = []

    def keep(_: torch.nn.Module, __: Any, output: Any) -> None:
        found.append(output.log_probs.detach().sum(dim=1))

    handle = model.register_forward_hook(keep)
    try:
        yield found
    finally:
        handle.remove()


# What is undone or replaced in the model after TRL has built its trainer.


def drop_copy_of_start(model: PeftModel) -> None:
    """Delete the float32 copy of the start that TRL adds as a reference: ours is computed already."""
    if "ref" in model.peft_config:
        model.delete_adapter("ref")


def train_in_float32(model: PeftModel) -> None:
    """TRL turns the adapter of a quantised base into bfloat16; every other adapter is trained in float32."""
    for value in model.parameters():
        if value.requires_grad:
            value.data = value.data.float()


def project_trained_positions(model: PeftModel) -> None:
    """Replace the forward that TRL's trainers call with ``fused_lm_head=True``; call it after the trainer is built.

    What TRL only logs (entropy, accuracy, mean of the logits) is 0 in its place and kept out of the curves. Nothing is
    changed where `can_project` says no, and for a mixture of experts.
    """
    base = unwrapped(cast(PreTrainedModel, model))
    if not can_project(base):
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
        log_probs, trained = label_log_probs(self, labels, *args, **kwargs)
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
