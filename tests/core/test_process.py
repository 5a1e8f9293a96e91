"""A stage ends with the DVC that runs it, and takes along what it started; other uses of the package watch nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.clones import ROOT
from tests.support.kills import alive

# What `python -m stages.<stage>` sets while the package is imported.
STAGE = "import subprocess, sys; sys.argv[0] = '-m'; import stages; subprocess.run(['sleep', '60'])"
DVC = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STAGE!r}])"


@pytest.mark.parametrize(("variable", "outlives"), [("DVC_STAGE", False), ("OTHER", True)])
def test_a_stage_ends_with_dvc_and_takes_along_what_it_started(variable: str, outlives: bool) -> None:
    dvc = subprocess.Popen([sys.executable, "-c", DVC], cwd=ROOT, env=os.environ | {variable: "train@dpo"})
    started: list[psutil.Process] = []
    while len(started) < 2:
        started = psutil.Process(dvc.pid).children(recursive=True)
        time.sleep(0.05)
    dvc.kill()
    dvc.wait()
    deadline = time.monotonic() + (2 if outlives else 20)
    while time.monotonic() < deadline and any(alive(process) for process in started):
        time.sleep(0.05)
    survivors = [process for process in started if alive(process)]
    for process in survivors:
        process.kill()
    assert len(survivors) == (2 if outlives else 0)


STATE = """
def state():
    return dict(os.environ), list(warnings.filters), threading.enumerate(), gc.isenabled(), gc.get_freeze_count()
"""
AS_A_LIBRARY = f"import gc, os, threading, warnings{STATE}before = state()\n{{}}\nassert state() == before"


@pytest.mark.parametrize("line", ["import stages", "import stages.core.errors", "import stages.commands.cli"])
def test_as_a_library_the_package_changes_nothing_in_the_process(line: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TOKENIZERS_"))}
    environment |= {"DVC_STAGE": "train@dpo", "PYTHONPATH": str(ROOT)}
    code = AS_A_LIBRARY.format(line)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


HUB = ("transformers", "huggingface_hub", "datasets")  # take the variable when they are imported
SAYS = "import os; print('offline', os.environ.get('HF_HUB_OFFLINE'), flush=True); os._exit(0)"


@pytest.mark.parametrize(
    "command", ["stages.contract", "stages.reference", "stages.train", "stages.evaluate", "stages.commands sweep"]
)
def test_a_stage_is_offline_before_any_library_of_the_hub_is_imported(command: str, tmp_path: Path) -> None:
    for name in HUB:
        (tmp_path / f"{name}.py").write_text(SAYS)
    (tmp_path / "params.yaml").write_text("")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{ROOT}"
    typed = [sys.executable, "-m", *command.split()]
    done = subprocess.run(typed, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "offline 1\n", done.stderr


def test_a_setting_of_the_user_stays(tmp_path: Path) -> None:
    code = "import os; from stages.core.process import begin; begin(); print(os.environ['HF_HUB_OFFLINE'])"
    environment = os.environ | {"HF_HUB_OFFLINE": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "0\n", done.stderr
