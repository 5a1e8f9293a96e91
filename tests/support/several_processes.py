"""What each process of tests/launch runs: several trainings after one start, which takes most of the time.

    python -m tests.support.several_processes <model>[:<process>:<step>] ...

Each is `stages.train` as the stage runs it, with a checkpoint after every step; a copy of what it wrote goes to
``several/<place in the list>-<model>``. Where a process and a step are named, that process kills itself after it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from transformers import Trainer, TrainerCallback

from stages import launch, train
from stages.core import checkpoints, paths, ranks
from stages.training import one_run


class KillAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def doom(step: int) -> None:
    shown = one_run.show_progress

    def show_progress(trainer: Trainer, label: str) -> None:
        shown(trainer, label)
        trainer.add_callback(KillAt(step))

    one_run.show_progress = show_progress


def shard_without_a_gpu() -> None:
    """accelerate leaves FSDP out on a CPU, where PyTorch has it: let it take the same way as on GPUs."""
    build = AcceleratorState.__init__

    def init(self: AcceleratorState, *arguments: Any, fsdp_plugin: Any = None, **more: Any) -> None:
        build(self, *arguments, fsdp_plugin=fsdp_plugin, **more)
        if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP
            AcceleratorState._shared_state |= {"distributed_type": DistributedType.FSDP, "fsdp_plugin": fsdp_plugin}

    AcceleratorState.__init__ = init


def main(trainings: list[str]) -> None:
    checkpoints.SECONDS_BETWEEN_CHECKPOINTS = -1.0
    if "ACCELERATE_USE_FSDP" in os.environ:
        shard_without_a_gpu()
    leave, launch.leave = launch.leave, torch.distributed.barrier  # the next training needs the group
    for place, training in enumerate(trainings):
        name, *killed = training.split(":")
        if killed and os.environ["RANK"] == killed[0]:
            doom(int(killed[1]))
        sys.argv = ["train", name]
        train.main()
        if ranks.is_first():
            shutil.copytree(paths.model(name), Path("several") / f"{place}-{name}" / "model")
            shutil.copytree(paths.train_metrics(name), Path("several") / f"{place}-{name}" / "metrics")
    leave()


if __name__ == "__main__":
    main(sys.argv[1:])
