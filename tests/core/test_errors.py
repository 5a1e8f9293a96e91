"""What the user can mend is one sentence and exit code 1; anything unforeseen keeps its traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from stages.core.errors import PipelineError, run_stage
from tests.support.clones import ROOT


def fail_with(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


def ended(main: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Exit code and the sentence of a stage that fails; nothing is printed but it and where old outputs are."""
    with pytest.raises(SystemExit) as caught:
        run_stage(main)
    printed = capsys.readouterr()
    sentence, *rest = printed.err.splitlines()
    assert printed.out == ""
    assert len(rest) <= 1
    assert "Traceback" not in printed.err
    return caught.value.code, sentence


def test_a_stage_that_succeeds_prints_nothing_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    run_stage(lambda: None)
    assert capsys.readouterr() == ("", "")


def test_what_the_user_can_mend_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code, sentence = ended(fail_with(PipelineError("rows.jsonl:3: not UTF-8: save the file as UTF-8")), capsys)
    assert (code, sentence) == (1, "error: rows.jsonl:3: not UTF-8: save the file as UTF-8")


def test_a_failure_under_dvc_which_removes_outputs_first_says_how_to_bring_them_back(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)
    with pytest.raises(SystemExit):
        run_stage(fail_with(PipelineError("broken")))
    assert capsys.readouterr().err == "error: broken\n"
    monkeypatch.setenv("DVC_STAGE", "train@dpo")
    with pytest.raises(SystemExit):
        run_stage(fail_with(PipelineError("broken")))
    assert "dvc checkout" in capsys.readouterr().err.splitlines()[1]


def test_the_stages_of_another_folder_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As with PYTHONSAFEPATH and an editable install, in the copy of the tree in which an experiment runs."""
    (tmp_path / "stages").mkdir()
    monkeypatch.chdir(tmp_path)
    code, sentence = ended(lambda: None, capsys)
    assert code == 1
    assert sentence.startswith("error: this would run the stages of ") and "PYTHONSAFEPATH" in sentence


def test_a_full_disk_is_one_sentence_that_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "models/dpo/adapter_model.safetensors")
    code, sentence = ended(fail_with(full), capsys)
    assert code == 1
    assert sentence.startswith("error: the disk is full (models/dpo/adapter_model.safetensors): free some space")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_device_that_is_really_full_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        Path("/dev/full").write_text("قلم", encoding="utf-8")

    code, sentence = ended(main, capsys)
    assert code == 1
    assert sentence.startswith("error: the disk is full")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_checkpoint_on_a_full_disk_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code, sentence = ended(lambda: torch.save({"weight": torch.zeros(100_000)}, "/dev/full"), capsys)
    assert code == 1
    assert sentence.startswith("error: the disk is full")


def test_an_adapter_on_a_full_disk_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """As safetensors says it; its writer takes no device, and a full file system cannot be had without being root."""
    full = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    code, sentence = ended(fail_with(full), capsys)
    assert code == 1
    assert sentence.startswith("error: the disk is full")


def test_memory_that_really_runs_out_is_one_sentence_that_names_the_knobs(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        torch.empty(2**55, dtype=torch.uint8)

    code, sentence = ended(main, capsys)
    assert code == 1
    assert sentence.startswith("error: out of memory: lower ")
    assert "rows_per_microbatch" in sentence and "max_tokens" in sentence


def test_a_gpu_out_of_memory_is_the_same_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total capacity of ...")
    code, sentence = ended(fail_with(error), capsys)
    assert code == 1
    assert sentence.startswith("error: out of memory: lower ")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_folder_that_may_not_be_written_is_one_sentence(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    code, sentence = ended(fail_with(OSError(number, os.strerror(number), "metrics/selected.json.partial")), capsys)
    assert code == 1
    said = f"error: [Errno {number}] {os.strerror(number)}: 'metrics/selected.json.partial': make this folder yours"
    assert sentence.startswith(said)


def test_an_interruption_says_how_to_resume(capsys: pytest.CaptureFixture[str]) -> None:
    code, sentence = ended(fail_with(KeyboardInterrupt()), capsys)
    assert (code, sentence) == (130, "interrupted: `dvc repro` resumes from the newest checkpoint")


@pytest.mark.parametrize(
    "error",
    [
        KeyError("prompt"),
        ValueError("a bug"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        OSError(errno.EIO, os.strerror(errno.EIO), "models"),
        PermissionError("network access is blocked"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_anything_unforeseen_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        run_stage(fail_with(error))
    assert caught.value is error


def test_a_real_stage_in_an_empty_folder_ends_with_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stages.prepare"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: params.yaml is missing: run from the repository's root")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("argument", "code", "words"),
    [("--help", 0, "side by side, with intervals"), ("dpo", 2, "unrecognized arguments: dpo")],
)
def test_a_stage_without_arguments_says_what_it_is_and_begins_nothing(
    tmp_path: Path, argument: str, code: int, words: str
) -> None:
    command = [sys.executable, "-m", "stages.compare", argument]
    asked = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert asked.returncode == code and words in asked.stdout + asked.stderr
    assert not list(tmp_path.iterdir())
