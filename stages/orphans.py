"""What DVC starts ends with it: a killed `dvc repro` leaves no training that writes models/ beside the next one.

A signal to the process group reaches both; `kill`, a scheduler or the system short of memory may end DVC alone.
"""

from __future__ import annotations

import os
import signal
import threading
import time

SECONDS_BETWEEN_LOOKS = 0.5


def end_with_parent() -> None:
    """Watch the process that started this one, DVC (sh, bash and zsh give way to the command), and end when it has."""
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    import psutil  # type: ignore[import-untyped]  # here, since nearly no stage gets this far

    for child in psutil.Process().children(recursive=True):  # ranks of a launcher, loaders of rows
        child.terminate()
    os.kill(os.getpid(), signal.SIGTERM)
