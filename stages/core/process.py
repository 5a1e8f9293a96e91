"""What a process of the pipeline does before anything else: no network, no telemetry, and an end with its parent.

`stages/__init__.py` calls `begin` for `python -m stages.<stage>`, and the command line calls it first. Importing
`stages` as a library does none of this.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import warnings
from pathlib import Path

STAGES = Path(__file__).resolve().parent.parent
SECONDS_BETWEEN_LOOKS = 0.5


def is_run_as_module() -> bool:
    """Whether this is `python -m ...` whose module is still being looked for: a stage, before its own imports."""
    return sys.argv[:1] == ["-m"]


def as_a_module(script: str) -> str:
    """What to type instead of `python stages/<stage>.py`, where this folder hides what is elsewhere on the path."""
    file = Path(script).resolve()
    stage = file.stem if file.parent == STAGES else "<stage>"
    return f"a stage is run as a module: type `python -m stages.{stage}` in the repository's root"


def begin() -> None:
    """Set up the process. Libraries read these variables when they are imported, so it has to come first.

    Nothing reaches for the network by itself. The base stage alone lifts this, for a hub download that params.yaml
    asks for.
    """
    if "DVC_STAGE" in os.environ:  # set by DVC for the stages that it runs
        end_with_parent()  # now, since the imports to come take seconds
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # TRL 1.16 reads an attribute that transformers 5.23 renamed; its users can do nothing about it.
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
    # A stage imports some 4,000 modules, and the garbage collector walks all of them again and again while they come
    # in: 0.5 to 0.7 of 4.4 seconds, in each of 30 processes. `imports_are_done` turns it on again.
    gc.disable()


def imports_are_done() -> None:
    """Turn the garbage collector on again; what is imported by now stays, and is not walked any more."""
    gc.freeze()
    gc.enable()


def end_with_parent(parent: int | None = None) -> None:
    """Exit when the process that started this one has ended, so that no training keeps writing to models/.

    A signal to the process group reaches both. `kill`, a scheduler or the system short of memory may end DVC alone.
    DVC's shell (sh, bash, zsh) gives way to the command, so the parent is DVC. ``parent`` is its id where it is known:
    it may have ended before this process came to ask.
    """
    threading.Thread(target=_watch, args=(parent or os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    import psutil  # type: ignore[import-untyped]  # here, since nearly no stage gets this far

    for child in psutil.Process().children(recursive=True):  # ranks of a launcher, loaders of rows
        child.terminate()
    os._exit(1)  # a signal would wait for the main thread, and that may wait for another process that has gone too
