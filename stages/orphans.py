"""What DVC starts ends with it: a killed `dvc repro` leaves no training that writes models/ beside the next one.

A signal to the process group reaches both; `kill`, a scheduler or the system short of memory may end DVC alone.
"""

from __future__ import annotations

import os
import threading
import time

SECONDS_BETWEEN_LOOKS = 0.5


def end_with_parent(parent: int | None = None) -> None:
    """Watch the process that started this one, DVC (sh, bash and zsh give way to the command), and end when it has.

    ``parent`` is its id where it is known: it may have ended before this process came to ask.
    """
    threading.Thread(target=_watch, args=(parent or os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    import psutil  # type: ignore[import-untyped]  # here, since nearly no stage gets this far

    for child in psutil.Process().children(recursive=True):  # ranks of a launcher, loaders of rows
        child.terminate()
    os._exit(1)  # a signal would wait for the main thread, and that may wait for another process that has gone too
