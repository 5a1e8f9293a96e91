"""One family of errors, printed as one sentence without a traceback."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

# What the system and safetensors say, and what torch.save does: it only counts the bytes that arrived.
FULL_DISK = ("No space left on device", "Disk quota exceeded", "PytorchStreamWriter failed", "unexpected pos")
NO_ACCESS = (errno.EROFS, errno.EACCES, errno.EPERM)
NO_MEMORY = ("out of memory", "can't allocate memory")


class PipelineError(Exception):
    """Something the user can mend; the message names the file, line or key, and the next step."""


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's ``main`` and turn what the user can mend into one sentence and exit code 1.

    DVC removes a stage's outputs before it runs; the last good ones stay in DVC's cache, so the sentence
    that follows a failure says how to bring them back. Anything unforeseen keeps its traceback.
    """
    gc.freeze()  # what is imported by now stays
    gc.enable()
    try:
        refuse_other_tree()
        main()
    except Exception as error:
        sentence = remedy(error)
        if sentence is None:
            raise
        _fail(sentence)
    except KeyboardInterrupt:
        print("interrupted: `dvc repro` resumes from the newest checkpoint", file=sys.stderr)
        sys.exit(130)


def remedy(error: Exception) -> str | None:
    """One sentence for what the user can mend, whichever library noticed it; None for anything unforeseen."""
    said = str(error)
    file = error.filename if isinstance(error, OSError) else None
    if isinstance(error, PipelineError):
        return said
    if any(words in said for words in FULL_DISK):
        return f"the disk is full ({file or 'no file named'}): free some space and run `dvc repro` again"
    if isinstance(error, OSError) and error.errno in NO_ACCESS:
        return (
            f"{file or 'no file named'}: {error.strerror}: make this folder yours to read and write, or clone it anew"
        )
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in said for words in NO_MEMORY)
    ):
        return (
            "out of memory: lower profiles.<profile>.train.<model>.rows_per_microbatch or max_tokens in params.yaml "
            "and run `dvc repro` again"
        )
    return None


def refuse_other_tree() -> None:
    """Raise PipelineError when another folder's stages would run: an experiment has a copy of the tree of its own.

    `python -m` takes the current folder first, unless PYTHONSAFEPATH is set and the package is installed.
    """
    own, here = Path(__file__).resolve().parent, Path.cwd() / "stages"
    if here.is_dir() and not here.samefile(own):
        raise PipelineError(f"this would run the stages of {own.parent}, not this folder's: unset PYTHONSAFEPATH")


def _fail(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    if "DVC_STAGE" in os.environ:  # set by DVC for the stages that it runs
        print("(earlier outputs of this stage are safe in DVC's cache: `dvc checkout` restores them)", file=sys.stderr)
    sys.exit(1)
