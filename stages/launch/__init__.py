"""How a training is started: by itself, or as several processes that share each batch, by the engines of PyTorch.

`launch` in params.yaml decides, and the stage starts what it says: `torchrun`, or `accelerate launch` with one of the
configurations beside this file. Each process then runs the stage again, and finds its place in RANK and WORLD_SIZE.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.params import Launch
from stages.core.process import end_with_parent
from stages.core.ranks import is_first, processes

STARTED_BY = "ARABIC_QWEN_LAUNCHER"  # the id of the process that started the several


def configuration(launch: Launch) -> Path | None:
    """The file that `accelerate launch` is given; None for python and torchrun."""
    engine, _, name = launch.by.partition("_")
    return Path(__file__).parent / f"{name}.yaml" if engine == "accelerate" else None


def check_machine(launch: Launch) -> None:
    """Raise PipelineError for what this machine cannot start."""
    devices = torch.cuda.device_count()
    if launch.by in ("accelerate_fsdp", "accelerate_deepspeed") and not devices:
        # accelerate would leave the sharding out on a CPU, and say nothing
        raise PipelineError(f"{paths.PARAMS}: launch.by is {launch.by}, which needs GPUs: set it to torchrun")
    if devices and launch.processes > devices:
        raise PipelineError(
            f"{paths.PARAMS}: launch.processes is {launch.processes}, and this machine shows {devices} GPUs: lower it"
        )
    if launch.by == "accelerate_deepspeed" and importlib.util.find_spec("deepspeed") is None:
        raise PipelineError(f"{paths.PARAMS}: launch.by is {launch.by}: run `pip install deepspeed`, or set another")


def start(launch: Launch, module: str, *arguments: str) -> None:
    """Run ``module`` in each process, and wait; raises PipelineError when one of them ends with an error."""
    check_machine(launch)
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # it would report a dead process twice
    threads = str(max(1, (os.cpu_count() or 1) // launch.processes))
    threads = os.environ.setdefault("OMP_NUM_THREADS", threads)
    os.environ[STARTED_BY] = str(os.getpid())  # torchrun and accelerate start the processes from here
    file = configuration(launch)
    try:
        if file is None:
            here = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
            count = f"--nproc-per-node={launch.processes}"
            torchrun.run(torchrun.parse_args([*here, count, "-m", module, *arguments]))
        else:
            from accelerate.commands.launch import launch_command, launch_command_parser

            given = [f"--config_file={file}", f"--num_processes={launch.processes}", "--main_process_port=0"]
            given += [f"--num_cpu_threads_per_process={threads}", "-m", module, *arguments]
            launch_command(launch_command_parser().parse_args(given))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise PipelineError(
            f"process {rank} of {launch.processes} ended with exit code {failure.exitcode}, and with it the others; "
            "what it said stands above. `dvc repro` resumes from the newest checkpoint"
        ) from None
    except SignalException:  # PyTorch has passed it on to the processes
        raise KeyboardInterrupt from None


def join(launch: Launch) -> None:
    """Take one's place among the processes: a device of one's own, and silence for all but the first.

    Raises PipelineError when there are not as many as params say (`accelerate launch --cpu` starts a single one,
    huggingface/accelerate#2741): the batch would be another.
    """
    started = processes()
    if started != launch.processes:
        raise PipelineError(
            f"{paths.PARAMS}: launch.processes is {launch.processes}, but this training was started as {started}: "
            "set launch, and start it with `dvc repro` or `python -m stages.train`"
        )
    if started == 1:
        return
    # torchrun gives each process a session of its own, which a kill of the stage's group spares
    end_with_parent(int(os.environ.get(STARTED_BY, os.getppid())))
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not is_first():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        disable_progress_bar()


def leave() -> None:
    """Wait for the first process, which may still be writing, and end the group."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
