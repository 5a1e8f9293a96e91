"""A running `dvc repro` ended as users, schedulers and machines end it, and what is left of the stage afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from ruamel.yaml import YAML

from tests.support.clones import environment

Kill = Callable[[int, int], None]  # of DVC's process, which leads its group, and of the stage's

KILLS: dict[str, Kill] = {
    "SIGKILL to the group": lambda dvc, stage: os.killpg(dvc, signal.SIGKILL),  # as a power cut
    "SIGKILL to the stage": lambda dvc, stage: os.kill(stage, signal.SIGKILL),  # as Linux does when memory is short
    "SIGTERM to the group": lambda dvc, stage: os.killpg(dvc, signal.SIGTERM),  # as a scheduler does
    "SIGINT to the group": lambda dvc, stage: os.killpg(dvc, signal.SIGINT),  # Ctrl-C
    "SIGKILL to DVC": lambda dvc, stage: os.kill(dvc, signal.SIGKILL),
    "SIGTERM to DVC": lambda dvc, stage: os.kill(dvc, signal.SIGTERM),
}


def started(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """DVC in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # Tests that run in a shell's background ignore Ctrl-C, and would hand that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def stage_of(process: subprocess.Popen[bytes]) -> psutil.Process | None:
    """The process of the stage that DVC is running, if it runs one."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return next((child for child in children if any("stages." in word for word in child.cmdline())), None)
    except psutil.NoSuchProcess:
        return None


def begun(process: subprocess.Popen[bytes]) -> psutil.Process:
    """Wait until DVC runs a stage."""
    while (stage := stage_of(process)) is None:
        assert process.poll() is None, "DVC ended before it ran a stage"
        time.sleep(0.05)
    return stage


def end(process: subprocess.Popen[bytes], stage: psutil.Process, kill: Kill) -> None:
    """Kill, and wait until neither DVC nor the stage runs: what DVC leaves behind must end by itself."""
    kill(process.pid, stage.pid)
    process.wait(timeout=60)
    deadline = time.monotonic() + 10
    while alive(stage):
        assert time.monotonic() < deadline, f"process {stage.pid} outlived the DVC that ran it"
        time.sleep(0.01)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def locked(folder: Path) -> dict[str, dict[str, str]]:
    """The hashes of each stage's outputs that ``dvc.lock`` holds."""
    stages = YAML(typ="safe").load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return {name: {out["path"]: out["md5"] for out in stage["outs"]} for name, stage in stages.items()}


def forget(folder: Path, stage: str) -> None:
    """As if the stage had never run: DVC neither has its outputs, nor knows them, nor can restore them."""
    for path in locked(folder)[stage]:
        shutil.rmtree(folder / path) if (folder / path).is_dir() else (folder / path).unlink(missing_ok=True)
    shutil.rmtree(folder / ".dvc/cache/runs", ignore_errors=True)
    yaml = YAML()
    document = yaml.load((folder / "dvc.lock").read_text(encoding="utf-8"))
    del document["stages"][stage]
    with (folder / "dvc.lock").open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
