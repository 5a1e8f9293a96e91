"""Independent work in several processes: a small model's passes are too short to fill several cores, its seeds are not.

The processes are forked, so that they start with everything imported and loaded. That is safe before the first tensor
operation of the parent only (OpenMP's threads do not survive a fork), and possible on Linux only; elsewhere, and with
one worker, the work is done here, one item after the other.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

SMALL = 50_000_000  # parameters; what is larger fills the cores by itself, and would not fit into memory twice
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>

_task: Callable[[Any], Any]


def workers(parameters: int, items: int) -> int:
    """How many processes share the threads that torch may use; 1 where a GPU or a large model does the work."""
    if sys.platform != "linux" or torch.cuda.is_available() or parameters > SMALL:
        return 1
    return min(items, torch.get_num_threads())


def in_processes(task: Callable[[Item], Result], items: Sequence[Item], count: int) -> list[Result]:
    """``task`` of every item, in their order; an exception of one comes out here."""
    if count == 1:
        return [task(item) for item in items]
    fork = multiprocessing.get_context("fork")
    threads = max(1, torch.get_num_threads() // count)
    with ProcessPoolExecutor(count, fork, initializer=_begin, initargs=(task, threads)) as pool:
        return list(pool.map(_run, items))


def _begin(task: Callable[[Any], Any], threads: int) -> None:
    """A worker whose parent was killed would wait for work for ever."""
    global _task
    _task = task
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    torch.set_num_threads(threads)


def _run(item: Any) -> Any:
    return _task(item)
