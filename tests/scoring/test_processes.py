"""Work in several processes comes back in order, errors too, and scores as it does in one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import read_jsonl
from stages.scoring.processes import SMALL, in_processes, workers
from tests.support.clones import ROOT, replace_in_params
from tests.support.score_rows import check_equal

needs_fork = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


@needs_fork
def test_results_come_in_the_order_of_the_items_from_other_processes() -> None:
    base = 7
    found = in_processes(lambda item: (item + base, os.getpid(), torch.get_num_threads()), range(5), 2)
    assert [value for value, _, _ in found] == [7, 8, 9, 10, 11]
    assert os.getpid() not in {pid for _, pid, _ in found}
    alone = in_processes(lambda item: (item + base, os.getpid()), range(5), 1)
    assert alone == [(value, os.getpid()) for value, _, _ in found]


@needs_fork
def test_an_error_of_a_worker_comes_out() -> None:
    def fails(item: int) -> int:
        raise PipelineError(f"mend {item}")

    with pytest.raises(PipelineError, match="mend 3"):
        in_processes(fails, [3], 2)


def test_a_large_model_works_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(sys, "platform", "linux")
    assert [workers(SMALL, items) for items in (2, 6)] == [2, 4]
    assert workers(SMALL + 1, 6) == 1
    monkeypatch.setattr(sys, "platform", "darwin")
    assert workers(SMALL, 6) == 1


@needs_fork
def test_two_processes_score_as_one(adapters: str) -> None:
    """Through the command line: a fork is safe only where no tensor was computed before."""
    rows = []
    for threads in (1, 2):
        replace_in_params(f"threads: {max(1, threads - 1)}\n    activation", f"threads: {threads}\n    activation")
        command = [sys.executable, "-m", "stages.evaluate", adapters]
        environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        subprocess.run(command, check=True, env=environment | {"PYTHONPATH": str(ROOT)}, timeout=120)
        rows.append(read_jsonl(paths.eval_metrics(adapters) / "rows.jsonl"))
    check_equal(*rows, within=1e-4)
