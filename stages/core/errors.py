"""One family of errors, printed as one sentence without a traceback."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.core.process import STAGES, as_a_module, imports_are_done

TORCH_CANNOT_WRITE = ("PytorchStreamWriter failed writing", "unexpected pos", "basic_ios::clear: iostream error")


class PipelineError(Exception):
    """Something the user can mend; the message names the file, line or key, and the next step."""


def run_stage(main: Callable[[], None], about: str | None = None) -> None:
    """Run a stage's ``main`` and turn what the user can mend into one sentence and exit code 1.

    ``about`` is what ``--help`` prints for a stage that takes no arguments; without it that would begin the stage.

    DVC removes a stage's outputs before it runs; the last good ones stay in DVC's cache, so the sentence
    that follows a failure says how to bring them back. Anything unforeseen keeps its traceback.
    """
    if _is_run_as_script():
        _fail(as_a_module(sys.argv[0]))
    imports_are_done()
    if about:
        argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with told("run `dvc repro` again", "`dvc repro` resumes from the newest checkpoint"):
        refuse_other_tree()
        main()


def _is_run_as_script() -> bool:
    """`python stages/compare.py` instead of `python -m stages.compare`."""
    main = sys.modules["__main__"]
    return main.__spec__ is None and Path(getattr(main, "__file__", "")).resolve().parent == STAGES


@contextmanager
def told(again: str, interrupted: str) -> Iterator[None]:
    """Turn what the user can fix into one sentence and exit code 1, and Ctrl-C into ``interrupted`` and 130.

    ``again`` says how to repeat what failed. Anything unforeseen keeps its traceback.
    """
    try:
        yield
    except PipelineError as error:
        _fail(str(error))
    except Exception as error:
        if disk_is_full(error):
            named = getattr(error, "filename", None) or "no file named"
            _fail(f"the disk is full ({named}): free some space and {again}")
        if memory_ran_out(error):
            _fail(
                "out of memory: lower rows_per_microbatch, pairs_per_microbatch or max_tokens of profiles.<profile> in "
                f"params.yaml and {again}"
            )
        if may_not_be_written(error):
            _fail(f"{error}: make this folder yours to read and write, or clone the repository elsewhere")
        raise
    except KeyboardInterrupt:
        print(f"interrupted: {interrupted}", file=sys.stderr)
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
    """Raise PipelineError when another folder's stages would run: an experiment has a copy of the tree of its own."""
    here = Path.cwd() / "stages"
    if here.is_dir() and not here.samefile(STAGES):
        raise PipelineError(f"this would run the stages of {STAGES.parent}, not this folder's: {_run_this_tree()}")


def _run_this_tree() -> str:
    """How to run the current folder's code. `python -m` takes it first, unless Python was told to be safe."""
    if sys.modules["__main__"].__spec__ is None:  # the script that pip installed runs the installed tree
        return (
            "type `python -m stages.commands` for `arabic-qwen`, install this folder with `pip install -e .`, or run "
            f"the command in {STAGES.parent}"
        )
    if os.environ.get("PYTHONSAFEPATH"):
        return "unset PYTHONSAFEPATH"
    if sys.flags.safe_path:
        return "run Python without -P or -I"
    return f"start Python in this folder, or run the command in {STAGES.parent}"


def _fail(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    if "DVC_STAGE" in os.environ:  # set by DVC for the stages that it runs
        print("(earlier outputs of this stage are safe in DVC's cache: `dvc checkout` restores them)", file=sys.stderr)
    sys.exit(1)
