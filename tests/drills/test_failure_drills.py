"""What goes wrong on real machines: each ends in a completed `dvc repro` with the same hashes, or in one sentence.

The sentences are those of the README's table; its remedies are what is typed here.
"""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.clones import ROOT, commit, dvc, run, stages_run
from tests.support.kills import KILLS, alive, begun, end, forget, locked, started

STAGES = ["prepare", "base", "contract", "reference", "train@kto", "evaluate@ipo", "benchmark@cpo", "compare", "select"]
TIMED = ("metrics/timing/", "metrics/bench/", "metrics/selected_speed.json", "metrics/report")  # and what prints times
OFTEN = "SECONDS_BETWEEN_CHECKPOINTS = -1.0"

namespaces = pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0,
    reason="mounting a file system for one test needs Linux that lets users have namespaces of their own",
)


@pytest.fixture(scope="module")
def finished(smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished clone again, in another place, with its lock in git."""
    folder = tmp_path_factory.mktemp("failures") / "clone"
    shutil.copytree(smoke, folder, symlinks=True)
    commit(folder, "finished")
    return folder


def hashes(folder: Path) -> dict[str, str]:
    """Of every output but timings and what prints them."""
    outputs = {path: md5 for stage in locked(folder).values() for path, md5 in stage.items()}
    return {path: md5 for path, md5 in outputs.items() if not path.startswith(TIMED)}


def refused(result: subprocess.CompletedProcess[str], words: str) -> None:
    """The command failed with words that the README's table explains, and without a traceback."""
    assert result.returncode != 0
    assert re.search(words, result.stderr), result.stderr
    assert "Traceback" not in result.stderr
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("## When something goes wrong")[1].split("\n## ")[0]
    assert re.search(words, table), f"the README's table does not explain {words!r}"


def repaired(folder: Path, before: dict[str, str]) -> str:
    """`dvc repro` completes, with the hashes of before; returns what it said."""
    result = dvc(folder, "repro")
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    assert hashes(folder) == before
    return result.stdout


def mounted(folder: Path, mount: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python after a ``mount`` that this one command sees."""
    script = f'set -e; {mount}; cd "{folder}"; exec "$@"'
    return run(folder, "unshare", "-rm", "sh", "-c", script, "sh", sys.executable, "-m", *arguments)


def cached(folder: Path, path: str) -> Path:
    """Where DVC's cache has the content of an output's file."""
    md5 = hashlib.md5((folder / path).read_bytes()).hexdigest()
    return folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def test_outputs_that_are_missing_or_edited_are_restored_without_a_training(finished: Path) -> None:
    before = hashes(finished)
    shutil.rmtree(finished / "models/dpo")
    (finished / "metrics/train/kto/loss.tsv").unlink()
    with (finished / "models/cpo/adapter_config.json").open("a") as file:
        file.write(" ")
    (finished / "metrics/methods.json").unlink()  # in git, not in the cache: made again
    assert stages_run(repaired(finished, before)) == {"compare"}
    assert (finished / "models/dpo/adapter_model.safetensors").exists()


def test_an_object_lost_from_the_cache_is_taken_from_the_output(finished: Path) -> None:
    """Otherwise DVC would remove the output and train again."""
    before = hashes(finished)
    lost = cached(finished, "models/ipo/adapter_model.safetensors")
    lost.unlink()
    named = dvc(finished, "status")
    assert "train@ipo" in named.stdout and "not in cache" in named.stdout
    assert dvc(finished, "commit", "-f", "train@ipo").returncode == 0
    assert lost.exists()
    assert stages_run(repaired(finished, before)) == set()


@pytest.mark.drill
@pytest.mark.parametrize(
    ("path", "made_again"),
    [
        ("models/ipo/adapter_model.safetensors", {"train@ipo", "report"}),  # the report prints the new timing
        ("metrics/eval/ipo/summary.json", {"evaluate@ipo"}),
    ],
)
def test_an_output_lost_from_the_cache_too_is_made_again(finished: Path, path: str, made_again: set[str]) -> None:
    before = hashes(finished)
    cached(finished, path).unlink()
    (finished / path).unlink()
    assert stages_run(repaired(finished, before)) == made_again


def test_a_conflicted_lock_is_named_and_one_side_of_it_is_enough(finished: Path) -> None:
    before = hashes(finished)
    lock = finished / "dvc.lock"
    text, own = lock.read_text(encoding="utf-8"), before["models/dpo"]
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for branch, start, md5 in (
        ("older", "HEAD", f"{1:032}.dir"),
        ("theirs", "older", f"{2:032}.dir"),
        ("ours", "older", own),
    ):
        assert run(finished, "git", "checkout", "-q", "-b", branch, start).returncode == 0
        lock.write_text(text.replace(own, md5), encoding="utf-8")
        assert run(finished, *git, "commit", "-qam", branch).returncode == 0
    assert run(finished, *git, "merge", "theirs").returncode != 0
    refused(dvc(finished, "repro"), "is invalid \\(possible merge conflicts\\)")
    assert run(finished, "git", "checkout", "--ours", "dvc.lock").returncode == 0
    assert stages_run(repaired(finished, before)) == set()


def test_a_lock_that_was_cut_off_is_had_from_git(finished: Path) -> None:
    before = hashes(finished)
    commit(finished, "whole")
    lock = finished / "dvc.lock"
    text = lock.read_text(encoding="utf-8")
    lock.write_text(text[: text.rindex("path:") + 2], encoding="utf-8")
    refused(dvc(finished, "repro"), "is invalid|validation failed")
    run(finished, "git", "checkout", "dvc.lock")
    assert stages_run(repaired(finished, before)) == set()


@pytest.mark.drill
def test_a_lost_lock_trains_and_scores_nothing_again(finished: Path) -> None:
    before = hashes(finished)
    (finished / "dvc.lock").unlink()
    made = stages_run(repaired(finished, before))
    assert {stage.split("@")[0] for stage in made} == {"benchmark", "compare", "select", "report"}


def test_a_moved_clone_has_nothing_to_do(finished: Path) -> None:
    moved = finished.rename(finished.with_name("moved"))
    try:
        assert "Data and pipelines are up to date." in dvc(moved, "repro").stdout
    finally:
        moved.rename(finished)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    beta: 0.1 ", "    betta: 0.1 ", "unknown key"),
        ("profile: smoke", "profile: smok", "Parameters '.*' are missing"),
    ],
)
def test_a_typo_in_params_is_named_and_what_the_failed_run_removed_comes_back(
    finished: Path, old: str, new: str, words: str
) -> None:
    before = hashes(finished)
    params = finished / "params.yaml"
    text = params.read_text(encoding="utf-8")
    assert old in text
    params.write_text(text.replace(old, new, 1), encoding="utf-8")
    refused(dvc(finished, "repro"), words)
    params.write_text(text, encoding="utf-8")
    assert stages_run(repaired(finished, before)) == set()


def test_a_lock_of_dvc_itself_that_a_kill_cut_off_is_named(finished: Path) -> None:
    lock = finished / ".dvc/tmp/rwlock"
    lock.write_text("")
    refused(dvc(finished, "repro", "-s", "select"), "Unable to read RWLock-file")
    lock.unlink()
    assert dvc(finished, "repro", "-s", "select").returncode == 0


@namespaces
def test_a_tree_that_may_only_be_read_is_named_by_dvc_and_by_a_stage(finished: Path) -> None:
    mount = f'mount --bind "{finished}" "{finished}"; mount -o remount,ro,bind "{finished}"'
    refused(mounted(finished, mount, "dvc", "repro"), "Read-only file system")
    stage = mounted(finished, mount, "stages.select", "dpo")
    refused(stage, "Read-only file system")
    assert stage.stderr.startswith(
        "error: [Errno 30] Read-only file system: 'metrics/selected.json.partial': make this"
    )


@pytest.mark.drill
@namespaces
@pytest.mark.parametrize(
    ("place", "kib", "words"),
    [
        (".scratch", 40, "error: the disk is full"),  # safetensors finds no room
        (".scratch", 300, "error: the disk is full"),  # torch.save, for the optimizer
        (".dvc/cache", 64, "No space left on device"),
    ],
)
def test_a_training_on_a_full_disk_is_one_sentence_and_the_next_one_completes(
    finished: Path, place: str, kib: int, words: str
) -> None:
    before = hashes(finished)
    code = finished / "stages/core/checkpoints.py"
    text = code.read_text(encoding="utf-8")
    forget(finished, "train@dpo")
    (finished / place).mkdir(exist_ok=True)
    code.write_text(re.sub(r"(?m)^SECONDS_BETWEEN_CHECKPOINTS = .*$", OFTEN, text), encoding="utf-8")
    refused(mounted(finished, f"mount -t tmpfs -o size={kib}k full {place}", "dvc", "repro", "-s", "train@dpo"), words)
    code.write_text(text, encoding="utf-8")
    assert "train@dpo" in stages_run(repaired(finished, before))


@pytest.mark.drill
def test_a_second_repro_is_told_who_is_at_work_and_the_first_completes(finished: Path) -> None:
    before = hashes(finished)
    first = started(finished, "repro", "-f", "-s", "evaluate@dpo")
    begun(first)
    second = dvc(finished, "repro", "-s", "evaluate@dpo")
    refused(second, "is busy, it is being blocked by")
    assert f"(PID {first.pid})" in second.stderr
    assert first.wait() == 0
    assert stages_run(repaired(finished, before)) == set()


@pytest.mark.drill
@pytest.mark.parametrize("kill", ["SIGKILL to the group", "SIGKILL to the stage"])
@pytest.mark.parametrize("stage", [*STAGES, "report"])
def test_a_stage_killed_at_a_random_moment_is_made_by_the_next_repro(
    finished: Path, stage: str, kill: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hashes(finished)
    seconds = random.Random(f"{stage} {kill}").uniform(0.5, 8)
    while not killed(finished, stage, kill, seconds):
        seconds /= 2  # it had ended by then
    began = time.monotonic()
    made = stages_run(repaired(finished, before))
    with capsys.disabled():
        print(
            f"\n{stage:13} {kill:20} after {seconds:.2f} s; repro in {time.monotonic() - began:.0f} s: {sorted(made)}"
        )
    assert stage in made
    assert made <= {stage, "select", "report"}  # these print the new timings


def killed(folder: Path, stage: str, kill: str, seconds: float) -> bool:
    """Whether a stage that never ran before still ran after ``seconds``, and was ended by ``kill``."""
    forget(folder, stage)
    process = started(folder, "repro", "-s", stage)
    running = begun(process)
    time.sleep(seconds)
    if not alive(running):
        process.wait()
        return False
    end(process, running, KILLS[kill])
    return True
