"""One family of errors, printed as one sentence without a traceback."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from stages.core.process import imports_are_done

TORCH_CANNOT_WRITE = ("PytorchStreamWriter failed writing", "unexpected pos", "basic_ios::clear: iostream error")


class PipelineError(Exception):
    """Something the user can mend; the message names the file, line or key, and the next step."""


def run_stage(main: Callable[[], None], about: str | None = None) -> None:
    """Run a stage's ``main`` and turn what the user can mend into one sentence and exit code 1.

    ``about`` is what ``--help`` prints for a stage that takes no arguments; without it that would begin the stage.

    DVC removes a stage's outputs before it runs; the last good ones stay in DVC's cache, so the sentence
    that follows a failure says how to bring them back. Anything unforeseen keeps its traceback.
    """
    imports_are_done()
    if about:
        argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    try:
        refuse_other_tree()
        main()
    except PipelineError as error:
        _fail(str(error))
    except Exception as error:
        if disk_is_full(error):
            named = getattr(error, "filename", None) or "no file named"
            _fail(f"the disk is full ({named}): free some space and run `dvc repro` again")
        if memory_ran_out(error):
            _fail(
                "out of memory: lower rows_per_microbatch, pairs_per_microbatch or max_tokens of profiles.<profile> in "
                "params.yaml and run `dvc repro` again"
            )
        if may_not_be_written(error):
            _fail(f"{error}: make this folder yours to read and write, or clone the repository elsewhere")
        raise
    except KeyboardInterrupt:
        print("interrupted: `dvc repro` resumes from the newest checkpoint", file=sys.stderr)
        sys.exit(130)


def disk_is_full(error: Exception) -> bool:
    """Also as safetensors says it, and as PyTorch does, whose writer only finds that its file is not as long as it
    should be."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    text = str(error)
    return "os error 28" in text or (
        isinstance(error, RuntimeError) and any(sign in text for sign in TORCH_CANNOT_WRITE)
    )


def memory_ran_out(error: Exception) -> bool:
    """On a CPU or a GPU."""
    told = "out of memory" in str(error) or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and told)


def may_not_be_written(error: Exception) -> bool:
    """A file system that is mounted for reading alone, or a folder that belongs to another user."""
    return isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)


def refuse_other_tree() -> None:
    """Raise PipelineError when another folder's stages would run: an experiment has a copy of the tree of its own.

    `python -m` takes the current folder first, unless PYTHONSAFEPATH is set and the package is installed.
    """
    own, here = Path(__file__).resolve().parent.parent, Path.cwd() / "stages"
    if here.is_dir() and not here.samefile(own):
        raise PipelineError(f"this would run the stages of {own.parent}, not this folder's: unset PYTHONSAFEPATH")


def _fail(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    if "DVC_STAGE" in os.environ:  # set by DVC for the stages that it runs
        print("(earlier outputs of this stage are safe in DVC's cache: `dvc checkout` restores them)", file=sys.stderr)
    sys.exit(1)
