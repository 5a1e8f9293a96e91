"""A stage ends with the DVC that runs it, and takes along what it started; other uses of the package watch nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import time

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
