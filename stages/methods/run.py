"""What every method's builder receives, and what it shares with the others: the arguments that must be equal.

TRL 1.16 loads, tokenises, truncates and orders differently per trainer. Here the model, the token ids and the order
of the rows are decided once and handed over, and a trainer contributes its loss.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerBase
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_trainer import KTOTrainer

from stages.errors import PipelineError
from stages.files import Row
from stages.params import Budget, Profile, TrainMethod
from stages.tokens import Encoded

STEPS_GROUPED_BY_LENGTH = 8
LORA_TARGETS = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


@dataclass(frozen=True)
class Run:
    """One training: a model on its start, rows in the order in which they will be seen, and the settings.

    ``rows[i]`` maps a field (completion; or chosen and rejected) to its token ids; ``labels[i]`` is given for
    unpaired rows. ``reference`` computes summed log-probabilities (nats) under the start, which is the reference.
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


def shared_arguments(run: Run) -> dict[str, Any]:
    """Trainer arguments that are the same for every method; the order of rows is ours, so sampling is sequential."""
    on_gpu = torch.cuda.is_available()
    return {
        "output_dir": str(run.scratch),
        "max_steps": run.budget.steps,
        "per_device_train_batch_size": run.budget.rows_per_microbatch,
        "gradient_accumulation_steps": run.budget.rows_per_step // run.budget.rows_per_microbatch,
        "train_sampling_strategy": "sequential",
        "learning_rate": run.budget.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,  # below 1: a share of the steps
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "optim": "adamw_torch_fused" if on_gpu else "adamw_torch",
        "bf16": run.profile.dtype == "bfloat16",
        "use_cpu": not on_gpu,
        "full_determinism": on_gpu,
        "activation_checkpointing": run.profile.activation_checkpointing,
        "dataloader_pin_memory": on_gpu,
        "dataloader_num_workers": 2 if on_gpu else 0,
        "max_length": None,  # rows that do not fit were dropped by `contract`; nothing is cut here
        "seed": run.seed,
        "data_seed": run.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a NaN loss must be seen, not averaged away
        "save_strategy": "no",  # checkpoints come from stages.checkpoints.SaveEveryMinute
        "save_total_limit": 2,
        "report_to": "none",
    }


def seen_order(lengths: Sequence[int], steps: int, rows_per_step: int, seed: int) -> list[int]:
    """Indices of the rows (of these lengths in tokens) that ``steps`` steps see: whole shuffled passes, cut at the end.

    Within a window of a few steps the rows are grouped by length, so that a short row is not padded to a long one,
    and the steps of the window are shuffled again. The same lengths and seed give the same order, so DPO, IPO, CPO
    and SFT on chosen see the same pairs in the same step.
    """
    if not lengths:
        raise PipelineError("no training rows are left after `contract`: raise max_tokens or add data")
    wanted = steps * rows_per_step
    passes: list[int] = []
    while len(passes) < wanted:
        generator = random.Random(f"{seed}:{len(passes)}")
        indices = list(range(len(lengths)))
        generator.shuffle(indices)
        passes += indices
    order: list[int] = []
    window = STEPS_GROUPED_BY_LENGTH * rows_per_step
    for start in range(0, wanted, window):
        near = sorted(passes[start : min(start + window, wanted)], key=lambda index: (lengths[index], index))
        batches = [near[first : first + rows_per_step] for first in range(0, len(near), rows_per_step)]
        random.Random(f"{seed}:window:{start}").shuffle(batches)
        order += [index for batch in batches for index in batch]
    return order


def unpaired_order(
    rows: Sequence[Row], lengths: Sequence[int], steps: int, rows_per_step: int, rows_per_microbatch: int, seed: int
) -> list[int]:
    """The unpaired rows of the very pairs that a pairwise method sees in the same step, good and bad alternating.

    TRL estimates KTO's KL term by giving each prompt its neighbour's answer within the microbatch; the two halves
    of a pair are therefore never neighbours, and each microbatch holds as many good as bad rows.
    """
    halves: dict[str, dict[bool, int]] = {}
    for index, row in enumerate(rows):
        halves.setdefault(str(row.get("pair", row["id"])), {})[row["label"]] = index
    whole = [halves[pair] for pair in sorted(halves) if len(halves[pair]) == 2]
    if len(whole) * 2 != len(rows):
        return seen_order(lengths, steps, rows_per_step, seed)  # binary feedback of the user's own, not from pairs
    order: list[int] = []
    pair_lengths = [max(lengths[index] for index in pair.values()) for pair in whole]
    pairs = seen_order(pair_lengths, steps, rows_per_step // 2, seed)
    window = rows_per_microbatch // 2
    for start in range(0, len(pairs), window):
        block = [whole[index] for index in pairs[start : start + window]]
        turned = [*block[len(block) // 2 :], *block[: len(block) // 2]]
        for good, bad in zip(block, turned, strict=True):
            order += [good[True], bad[False]]
    return order


def pair_dataset(run: Run, chosen_reference: Sequence[float], rejected_reference: Sequence[float]) -> Dataset:
    """The columns that TRL's preference collator reads, reference log-probabilities included."""
    return Dataset.from_dict(
        {
            "prompt_ids": [row["chosen"].prompt_ids for row in run.rows],
            "chosen_ids": [row["chosen"].completion_ids for row in run.rows],
            "rejected_ids": [row["rejected"].completion_ids for row in run.rows],
            "ref_chosen_logps": list(chosen_reference),
            "ref_rejected_logps": list(rejected_reference),
        }
    )


def referenced_pairs(run: Run) -> Dataset:
    """Pairs with the log-probabilities of both answers under the start of this training."""
    chosen = run.reference([row["chosen"] for row in run.rows])
    rejected = run.reference([row["rejected"] for row in run.rows])
    return pair_dataset(run, chosen, rejected)


class TokenisedDPOTrainer(DPOTrainer):
    """TRL's DPO on rows that are tokenised and referenced already (canaries in tests/test_canaries.py)."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


class TokenisedKTOTrainer(KTOTrainer):
    """TRL's KTO on rows that are tokenised and referenced already (canaries in tests/test_canaries.py)."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset
