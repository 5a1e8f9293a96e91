"""Clones as workers over one remote, as fan_out.sh has it: a folder, or a real S3 server with `-m servers`."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.support import servers
from tests.support.clones import clone, commit, dvc, environment, run, set_param, stages_run

METHODS = ["dpo", "kto", "ipo", "cpo"]
KILLED = "kto"


@pytest.fixture(
    scope="module",
    params=[pytest.param("folder", marks=pytest.mark.drill), pytest.param("s3", marks=pytest.mark.servers)],
)
def coordinator(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A clone that made what all methods start from, and shared it: a commit, and a remote that the commit names."""
    folder = clone(tmp_path_factory.mktemp("fan_out") / "coordinator")
    with (
        getattr(servers, request.param)(tmp_path_factory.mktemp("server")) as server,
        pytest.MonkeyPatch.context() as m,
    ):
        for name, value in (("AWS_ACCESS_KEY_ID", servers.USER), ("AWS_SECRET_ACCESS_KEY", servers.SECRET)):
            m.setenv(name, value)
        options = {"url": server.url} | ({"endpointurl": server.endpoint} if server.endpoint else {})
        for step in (
            *(["remote", "modify", "storage", name, value] for name, value in options.items()),
            ["repro", "train@sft", "reference"],
            ["push", "--run-cache"],
        ):
            made = dvc(folder, *step)
            assert made.returncode == 0, made.stderr
        commit(folder, "the start")
        yield folder


def worker(coordinator: Path, method: str) -> list[str]:
    return ["stages/commands/fan_out.sh", str(coordinator), str(coordinator.parent / method), f"evaluate@{method}"]


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


def test_the_number_of_workers_changes_the_wall_time_and_no_hash(coordinator: Path) -> None:
    """Each count of workers has a remote path of its own, to which only the start was pushed."""
    found = {}
    for workers in (1, 2, 4):
        folder = coordinator.parent / f"with-{workers}" / "coordinator"
        subprocess.run(["git", "clone", "-q", coordinator, folder], check=True)
        url = dvc(coordinator, "config", "remote.storage.url").stdout.strip()
        for step in (
            ["pull", "prepare", "base", "contract", "train@sft", "reference"],
            ["config", "remote.storage.url", f"{url}-{workers}"],
        ):
            assert dvc(folder, *step).returncode == 0
        commit(folder, f"{workers} workers")
        shared = dvc(folder, "push", "--run-cache", "--with-deps", "train@sft", "reference")
        assert shared.returncode == 0, shared.stderr
        began = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            results = list(pool.map(lambda method: run(folder, *worker(folder, method)), METHODS))  # noqa: B023
        print(f"{workers} workers: {time.perf_counter() - began:.0f} s")
        assert [result.returncode for result in results] == [0] * len(METHODS), results[0].stderr
        found[workers] = [outputs(folder.parent / method, method) for method in METHODS]
    assert found[1] == found[2] == found[4]


def test_a_worker_of_an_older_commit_is_refused(coordinator: Path) -> None:
    subprocess.run(["git", "clone", "-q", coordinator, coordinator.parent / "late"], check=True)
    set_param(coordinator, "train.dpo.beta", 0.2)
    commit(coordinator, "another beta")
    refused = run(
        coordinator, "stages/commands/fan_out.sh", str(coordinator), str(coordinator.parent / "late"), "evaluate@dpo"
    )
    assert refused.returncode == 1 and "name a new folder" in refused.stderr
