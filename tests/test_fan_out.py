"""Four clones as four workers over one remote, as stages/fan_out.sh has it; one is killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clones import clone, commit, dvc, environment, run, set_param, stages_run
from ruamel.yaml import YAML

pytestmark = pytest.mark.drill

METHODS = ["dpo", "kto", "ipo", "cpo"]
KILLED = "kto"


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that made what all methods start from, and shared it: a commit, and a folder as the remote."""
    folder = clone(tmp_path_factory.mktemp("fan_out") / "coordinator")
    for step in (
        ["remote", "modify", "storage", "url", str(folder.parent / "store")],
        ["repro", "train@sft", "reference"],
        ["push", "--run-cache"],
    ):
        made = dvc(folder, *step)
        assert made.returncode == 0, made.stderr
    commit(folder, "the start")
    return folder


def worker(coordinator: Path, method: str) -> list[str]:
    return ["stages/fan_out.sh", str(coordinator), str(coordinator.parent / method), f"evaluate@{method}"]


def killed_in_training(coordinator: Path, method: str) -> None:
    """Start a worker and end it with its child by SIGKILL once the training has begun."""
    process = subprocess.Popen(
        worker(coordinator, method),
        cwd=coordinator,
        env=environment(coordinator),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    scratch = coordinator.parent / method / ".scratch"
    while not list(scratch.glob("train-*")):
        assert process.poll() is None, "the worker ended before its training began"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def outputs(folder: Path, method: str) -> dict[str, str]:
    """Hashes of a training's outputs but its timing."""
    stages = YAML(typ="safe").load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return {out["path"]: out["md5"] for out in stages[f"train@{method}"]["outs"] if "timing" not in out["path"]}


def test_four_workers_make_one_method_each_and_the_coordinator_runs_none(coordinator: Path) -> None:
    killed_in_training(coordinator, KILLED)
    assert not (coordinator.parent / KILLED / "models" / KILLED).exists()

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda method: run(coordinator, *worker(coordinator, method)), METHODS))
    for method, result in zip(METHODS, results, strict=True):
        assert result.returncode == 0, result.stderr
        assert stages_run(result.stdout) == {f"train@{method}", f"evaluate@{method}"}
        lean = {folder.name for folder in (coordinator.parent / method / "models").iterdir() if folder.is_dir()}
        assert lean == {"base", "sft", "reference", method}

    collected = dvc(coordinator, "repro", "--pull", *(f"evaluate@{method}" for method in METHODS))
    assert collected.returncode == 0, collected.stderr
    assert stages_run(collected.stdout) == set()
    for method in METHODS:
        for stage in ("train", "evaluate"):
            assert f"Stage '{stage}@{method}' is cached - skipping run" in collected.stdout
        assert (coordinator / "models" / method / "adapter_model.safetensors").exists()

    shared = outputs(coordinator, KILLED)
    assert dvc(coordinator, "repro", "-f", "-s", f"train@{KILLED}").returncode == 0
    assert outputs(coordinator, KILLED) == shared


def test_a_worker_of_an_older_commit_is_refused(coordinator: Path) -> None:
    subprocess.run(["git", "clone", "-q", coordinator, coordinator.parent / "late"], check=True)
    set_param(coordinator, "train.dpo.beta", 0.2)
    commit(coordinator, "another beta")
    refused = run(coordinator, "stages/fan_out.sh", str(coordinator), str(coordinator.parent / "late"), "evaluate@dpo")
    assert refused.returncode == 1 and "name a new folder" in refused.stderr
