"""Train one seed of one model in three parts: define what is trained, fit it, collect what it left.

The work is done in a scratch folder, which is named by everything that decides the adapter's bytes. A training that was
killed finds its checkpoints there, and one that was finished its result.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from transformers import PreTrainedTokenizerBase, Trainer

from stages.bases.adapters import load_start
from stages.bases.tokens import Encoded
from stages.core import ranks
from stages.core.checkpoints import CLOCK, SaveEveryMinute, StepClock, newest_checkpoint, scratch_folder
from stages.core.files import Row, replaced_folder, write_json
from stages.core.host import peak_memory_mib
from stages.core.params import Params, TrainMethod
from stages.core.progress import show_progress
from stages.training.arguments import Run
from stages.training.checks import check_adapter, check_losses
from stages.training.definition import Training, definition, training
from stages.training.monitor import closing_values
from stages.training.reference_answers import MONITORED, read_reference, reference_tokens
from stages.training.saved_adapter import save_adapter, whole_weights
from stages.training.seen_rows import seen_rows
from stages.training.trackers import check_installed, mirrored
from stages.training.trl_private import drop_copy_of_start, project_trained_positions, train_in_float32


class MethodFile(Protocol):
    """What each file of `stages/training/methods` holds, for runs of its own method."""

    def build_trainer(self, run: Run[Any]) -> Trainer:
        """The trainer with this method's loss, on the run's model and rows."""

    def first_loss(self, run: Run[Any]) -> float | None:
        """The loss of the first step where the model starts on its reference; None where it is not known."""


@dataclass(frozen=True)
class Fit:
    """What a training has left in memory. ``weights`` are those of `whole_weights`, ``adapter`` is the count of
    `check_adapter`, and ``seconds`` were spent in optimizer steps."""

    trainer: Trainer
    weights: dict[str, torch.Tensor] | None
    adapter: Row
    seconds: float


def train_one(
    name: str,
    params: Params,
    rows: Sequence[Row],
    lengths: Sequence[int],
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
) -> Path:
    """Train one seed in its scratch folder; returns the folder `final` with adapter, run.json, result.json, history,
    which the first process writes while the others go on."""
    check_installed(params.report_to)
    one = training(name, params, seed)
    what = definition(one)
    scratch = scratch_folder(f"train-{name}-{seed}", what)
    final = scratch / "final"
    if final.exists():
        print(f"{name}: seed {seed} was finished before the interruption")
        return final
    began = time.perf_counter()
    run = define(one, rows, lengths, tokenizer, scratch)
    fitted = fit(name, run, params.report_to)
    if ranks.is_first():
        result = collect(name, run, fitted)
        write_final(final, what, run, fitted, result, total_seconds=time.perf_counter() - began)
        print(
            f"{name}: seed {seed}, loss {result['loss_first']:.4f} -> {result['loss_final']:.4f} "
            f"in {fitted.seconds:.1f} s"
        )
    return final


def define(
    one: Training, rows: Sequence[Row], lengths: Sequence[int], tokenizer: PreTrainedTokenizerBase, scratch: Path
) -> Run[TrainMethod]:
    """The rows that will be seen, as token ids and in their order, and the model on its start."""
    seen = seen_rows(tokenizer, rows, lengths, one.budget, one.seed)
    return Run(
        model=load_start(one.profile, one.lora, one.start, one.seed),
        tokenizer=tokenizer,
        method=one.method,
        budget=one.budget,
        profile=one.profile,
        seed=one.seed,
        rows=seen.rows,
        labels=seen.labels,
        reference=read_reference(one.reference),
        scratch=scratch,
        processes=ranks.processes(),
        gpu=one.gpu,
    )


def method_file(method: TrainMethod) -> MethodFile:
    """The file of `stages/training/methods` with this method's loss.

    It is imported by its name, so that a training runs, and by its stage's dependencies reruns for, the file of its own
    method alone: an edit of KTO's leaves DPO's adapters as they are.
    """
    return cast(MethodFile, importlib.import_module(f"stages.training.methods.{method.method}"))


def fit(name: str, run: Run[TrainMethod], report_to: Sequence[str]) -> Fit:
    """Train the run's model to its last step, from the newest checkpoint where there is one."""
    trainer = method_file(run.method).build_trainer(run)
    drop_copy_of_start(run.model)
    train_in_float32(run.model)
    adapter = check_adapter(run.model, run.profile)
    project_trained_positions(run.model)
    checkpoint = newest_checkpoint(run.scratch, CLOCK)
    if checkpoint:
        print(f"{name}: seed {run.seed} resumes from {Path(checkpoint).name}")
    clock = StepClock(checkpoint)
    trainer.add_callback(clock)
    trainer.add_callback(SaveEveryMinute())
    show_progress(trainer, f"{name} seed {run.seed}")
    with mirrored(trainer, report_to if ranks.is_first() else (), run.scratch.name.removeprefix("train-")):
        trainer.train(resume_from_checkpoint=checkpoint)
    return Fit(trainer, whole_weights(trainer), adapter, clock.seconds)


def collect(name: str, run: Run[TrainMethod], fitted: Fit) -> Row:
    """What the run was and cost, without timings; raises PipelineError for losses that cannot be true."""
    history = fitted.trainer.state.log_history
    losses = [entry["loss"] for entry in history if "loss" in entry]
    check_losses(name, losses, method_file(run.method).first_loss(run), run.profile.dtype)
    tail = losses[-max(1, len(losses) // 10) :]
    trained = [answer for row in run.rows for answer in trained_answers(row, run.method)]
    result = fitted.adapter | {
        "seed": run.seed,
        "loss_first": losses[0],
        "loss_final": sum(tail) / len(tail),
        "loss_final_steps": len(tail),
        "steps": len(losses),
        "rows_seen": len(run.rows),
        "sequences_seen": len(trained),
        "tokens_seen": sum(answer.length for answer in trained),
        "trained_tokens": sum(len(answer.completion_ids) for answer in trained),
        "reference_tokens": reference_tokens(run.method, run.rows, run.budget),
    }
    if run.method.method in MONITORED:
        result["displacement"] = closing_values(history)
    return result


def trained_answers(row: dict[str, Encoded], method: TrainMethod) -> list[Encoded]:
    """The sequences of one row that carry gradients: both sides of a pair, or the chosen one for SFT."""
    return [row["chosen"]] if method.method == "sft" and "chosen" in row else list(row.values())


def write_final(
    final: Path, what: dict[str, Any], run: Run[TrainMethod], fitted: Fit, result: Row, total_seconds: float
) -> None:
    """Write the folder ``final`` of a finished training; ``what`` is its `definition`."""
    trainer = fitted.trainer
    timing = {
        "seed": run.seed,
        "train_seconds": fitted.seconds,
        "total_seconds": total_seconds,
        "seconds_per_step": fitted.seconds / result["steps"],
        "tokens_per_second": result["tokens_seen"] / fitted.seconds,
        "peak_memory_mib": peak_memory_mib(),
    }
    with replaced_folder(final) as folder:
        model = trainer.accelerator.unwrap_model(trainer.model)
        save_adapter(model, run.tokenizer, folder / "adapter", fitted.weights)
        write_json(folder / "adapter" / "run.json", what | {"result": result})
        write_json(folder / "result.json", result)
        write_json(folder / "timing.json", timing)
        write_json(folder / "history.json", trainer.state.log_history)
