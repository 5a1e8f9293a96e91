"""The example of continuous integration: its lines, taken from the file, run here; the service itself never ran it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.clones import ROOT, commit, run, set_param

WORKFLOW = YAML(typ="safe").load((ROOT / ".github/workflows/pipeline.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["pipeline"]["steps"]
INSTALL, LOCK, GRAPH = (step["run"] for step in STEPS if "run" in step)


def bash(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """As the service runs a line, where nobody told git who he is."""
    return run(folder, "env", "GIT_CONFIG_GLOBAL=/dev/null", "bash", "-e", "-c", line)


def test_every_pull_request_runs_it_with_no_right_to_write() -> None:
    assert set(WORKFLOW["on"]) == {"pull_request", "push"}
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in STEPS if "uses" in step)


def test_its_python_is_one_that_the_package_allows_and_it_installs_as_the_readme_says() -> None:
    python = next(step["with"]["python-version"] for step in STEPS if "setup-python" in step.get("uses", ""))
    assert f"Python {python}" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{INSTALL} && dvc repro" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def merged(smoke: Path, tmp_path: Path) -> Path:
    """A checkout as the service makes it: one commit, no branch, no name of a user; the graph's small profile."""
    source, folder = tmp_path / "source", tmp_path / "checkout"
    shutil.copytree(smoke, source, symlinks=True)
    commit(source, "run")
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{source}", str(folder)], check=True)
    subprocess.run(["git", "checkout", "-q", "--detach"], cwd=folder, check=True)
    shutil.copytree(source / ".blocked", folder / ".blocked", dirs_exist_ok=True)
    return folder


def test_a_lock_that_is_not_that_of_the_tree_fails_it_and_one_that_is_passes_without_data(merged: Path) -> None:
    good = bash(merged, LOCK)
    assert good.returncode == 0, good.stderr
    set_param(merged, "train.dpo.beta", 0.3)
    assert bash(merged, LOCK).returncode != 0


def test_the_graph_is_an_experiment_of_nobody_s_and_leaves_a_report(merged: Path, smoke: Path) -> None:
    """From the cache of the clone in which it ran."""
    shutil.copytree(smoke / ".dvc/cache", merged / ".dvc/cache")
    shutil.rmtree(merged / "metrics/report")
    made = bash(merged, GRAPH)
    assert made.returncode == 0, made.stderr
    kept = next(step["with"]["path"] for step in STEPS if "upload-artifact" in step.get("uses", ""))
    assert (merged / kept / "report.html").stat().st_size > 100_000
