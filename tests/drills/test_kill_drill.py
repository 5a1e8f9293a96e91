"""Twenty trainings killed at random moments, each of which `dvc repro` ends in the bytes of an uninterrupted one."""

from __future__ import annotations

import random
import re
import shutil
import time
from pathlib import Path

import pytest

from tests.support.clones import clone, dvc, set_param
from tests.support.kills import KILLS, begun, end, forget, locked, started

pytestmark = pytest.mark.drill

METHODS = ["sft", "dpo", "kto", "ipo", "cpo"]
STEPS = 150
INTERVAL = 0.4  # seconds between checkpoints; 45 in the product
GRACE = 2.0  # seconds that a step and the writing of a checkpoint take on a busy machine
SEED = 4


def moments() -> list[tuple[str, str, int, float]]:
    """Method, signal, the step whose checkpoint is awaited, and the seconds that follow it; every signal with each."""
    draw = random.Random(SEED)
    return [
        (
            METHODS[n % len(METHODS)],
            list(KILLS)[n % len(KILLS)],
            draw.randrange(STEPS * 9 // 10),
            draw.uniform(0, INTERVAL),
        )
        for n in range(20)
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, str]]]:
    """A clone whose five trainings last some seconds and are saved often, and their hashes when none is killed."""
    folder = clone(tmp_path_factory.mktemp("kills") / "clone")
    for budget in ("sft", "preference"):
        set_param(folder, f"profiles.smoke.{budget}.steps", STEPS)
    code = folder / "stages/core/checkpoints.py"
    often, replaced = re.subn(r"(?m)^(SECONDS_BETWEEN_CHECKPOINTS = ).*$", rf"\g<1>{INTERVAL}", code.read_text())
    assert replaced == 1
    code.write_text(often)
    made = dvc(folder, "repro", *(f"train@{method}" for method in METHODS))
    assert made.returncode == 0, made.stderr
    return folder, {method: adapter_and_curves(folder, method) for method in METHODS}


def adapter_and_curves(folder: Path, method: str) -> dict[str, str]:
    return {path: md5 for path, md5 in locked(folder)[f"train@{method}"].items() if "timing" not in path}


def newest(folder: Path, method: str) -> Path | None:
    """The last thing that a training wrote whole into its scratch folder: a checkpoint or its end."""
    scratch = folder / ".scratch"
    finals = list(scratch.glob(f"train-{method}-11-*/final"))
    saved = sorted(scratch.glob(f"train-{method}-11-*/checkpoint-*/seconds.json"), key=lambda path: number(path.parent))
    return finals[0] if finals else saved[-1].parent if saved else None


def number(checkpoint: Path) -> int:
    return STEPS if checkpoint.name == "final" else int(checkpoint.name.split("-")[1])


def kill_after(folder: Path, method: str, kill: str, step: int, seconds: float) -> tuple[Path | None, float]:
    """Kill a training ``seconds`` after a checkpoint of ``step`` or later; what it left, and the seconds then lost."""
    forget(folder, f"train@{method}")
    process = started(folder, "repro", f"train@{method}")
    stage = begun(process)
    while not list((folder / ".scratch").glob(f"train-{method}-11-*")):
        assert process.poll() is None, "the training ended before it began"
        time.sleep(0.01)
    while step and ((left := newest(folder, method)) is None or number(left) < step):
        assert process.poll() is None, "the training ended before its moment"
        time.sleep(0.01)
    time.sleep(seconds)
    now = time.time()
    end(process, stage, KILLS[kill])
    left = newest(folder, method)
    return left, now - left.stat().st_mtime if left else 0.0


@pytest.mark.parametrize(("method", "kill", "step", "seconds"), moments())
def test_a_training_killed_at_a_random_moment_ends_in_the_same_bytes(
    trained: tuple[Path, dict[str, dict[str, str]]],
    method: str,
    kill: str,
    step: int,
    seconds: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, whole = trained
    left, lost = kill_after(folder, method, kill, step, seconds)
    resumed = dvc(folder, "repro", f"train@{method}")
    assert resumed.returncode == 0, resumed.stderr
    said = re.search(r"seed 11 (resumes from \S+|was finished before the interruption)", resumed.stdout)
    with capsys.disabled():
        print(
            f"\n{method:3}  {kill:20}  {seconds:.2f} s after step {step:3}: {said[1] if said else 'starts again'}, "
            f"{max(0, lost):.2f} s lost",
            end=" ",
        )
    if step:
        assert left and said and number(left) >= step
        assert said[1].endswith(left.name if left.name != "final" else "interruption")
        assert lost < INTERVAL + GRACE
    assert adapter_and_curves(folder, method) == whole[method]
    assert not list((folder / ".scratch").glob("train-*"))


def test_a_clone_that_was_moved_resumes_too(trained: tuple[Path, dict[str, dict[str, str]]], tmp_path: Path) -> None:
    folder, whole = trained
    left, _ = kill_after(folder, "dpo", "SIGKILL to the group", STEPS // 2, 0.0)
    assert left
    moved = Path(shutil.move(folder, tmp_path / "elsewhere"))
    resumed = dvc(moved, "repro", "train@dpo")
    assert f"seed 11 resumes from {left.name}" in resumed.stdout
    assert adapter_and_curves(moved, "dpo") == whole["dpo"]
