"""Scratch space of unfinished work: a killed stage resumes from its newest complete checkpoint.

Checkpoints lie outside DVC's outputs, in a folder named by a hash of everything that defines the run, so that a
changed parameter starts fresh (DVC's ``persist: true`` would resume from another configuration's checkpoint).
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from stages.core import paths, ranks
from stages.core.files import fingerprint, read_json, write_json

SECONDS_BETWEEN_CHECKPOINTS = 45.0
CLOCK = "seconds.json"  # what `StepClock` adds to a checkpoint


def scratch_folder(name: str, definition: dict[str, Any]) -> Path:
    """The folder of one run; ``definition`` is all that decides its bytes. Other runs of ``name`` are removed."""
    folder = paths.scratch_root() / f"{name}-{fingerprint(definition)[:16]}"
    for other in paths.scratch_root().glob(f"{name}-*"):
        if other != folder and ranks.is_first():
            print(f"{name}: the run's definition has changed since {other.name}; that unfinished work is discarded")
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def newest_checkpoint(folder: Path, last: str = "trainer_state.json") -> str | None:
    """The newest complete checkpoint, or None; ``last`` is the file that is written last, transformers' by default."""
    complete = [path for path in folder.glob("checkpoint-*") if (path / last).exists()]
    return str(max(complete, key=lambda path: int(path.name.split("-")[1]))) if complete else None


class SaveEveryMinute(TrainerCallback):
    """Ask for a checkpoint when the last one is older than 45 seconds, so that a kill costs less than a minute."""

    def __init__(self) -> None:
        self.saved_at = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        due = torch.tensor(time.monotonic() - self.saved_at > SECONDS_BETWEEN_CHECKPOINTS, device=args.device)
        if args.world_size > 1:  # all save together, by the clock of the first
            torch.distributed.broadcast(due, src=0)
        if due:
            control.should_save = True
            self.saved_at = time.monotonic()
        return control


class StepClock(TrainerCallback):
    """Seconds spent in the optimizer steps that count: what a kill undid is not among them."""

    def __init__(self, resumed_from: str | None) -> None:
        self.seconds = 0.0
        if resumed_from:
            self.seconds = float(read_json(Path(resumed_from) / CLOCK)["seconds"])
        self.began = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.seconds += time.perf_counter() - self.began

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_json(folder / CLOCK, {"seconds": self.seconds})
