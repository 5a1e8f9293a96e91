"""What the user can mend is one sentence and exit code 1; anything unforeseen keeps its traceback."""

from __future__ import annotations

import errno
import os
import re
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


@pytest.mark.parametrize(
    ("options", "variables", "remedy"),
    [
        (["-m", "stages.compare"], {"PYTHONSAFEPATH": "1"}, "unset PYTHONSAFEPATH"),
        (["-P", "-m", "stages.compare"], {}, "run Python without -P or -I"),
        (["-m", "from_elsewhere"], {}, f"start Python in this folder, or run the command in {ROOT}"),
    ],
)
def test_the_stages_of_another_folder_are_refused_with_the_remedy_that_applies(
    options: list[str], variables: dict[str, str], remedy: str, tmp_path: Path
) -> None:
    """As with an editable install, in the copy of the tree in which an experiment runs."""
    (tmp_path / "copy/stages").mkdir(parents=True)
    (tmp_path / "from_elsewhere.py").write_text(
        "import os\nos.chdir('..')\nfrom stages.compare import main, run_stage\nos.chdir('copy')\nrun_stage(main)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"} | variables
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{tmp_path}"
    command = [sys.executable, *options]
    done = subprocess.run(command, cwd=tmp_path / "copy", env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"error: this would run the stages of {ROOT}, not this folder's: {remedy}\n"


STAGES = sorted(path.stem for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__")


def run_as_a_file(stage: str, way: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *way], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    sentence = f"error: a stage is run as a module: type `python -m stages.{stage}` in the repository's root\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_run_as_a_file_says_what_to_type(stage: str) -> None:
    run_as_a_file(stage, [f"stages/{stage}.py"])


@pytest.mark.parametrize("stage", ["prepare", "compare", "select"])
def test_so_it_does_where_python_has_select_built_in(stage: str) -> None:
    """Such a Python never takes stages/select.py for it; here it is imported before."""
    code = "import select, runpy, sys; sys.argv[0] = {0!r}; runpy.run_path({0!r}, run_name='__main__')"
    run_as_a_file(stage, ["-c", code.format(f"stages/{stage}.py")])


def test_every_stage_of_the_pipeline_is_one_of_these() -> None:
    commands = re.findall(r"python -m stages\.(\w+)", (ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    assert set(commands) == set(STAGES) and len(STAGES) == 10


def test_the_standard_librarys_select_hidden_by_a_folder_on_the_path_is_one_sentence(tmp_path: Path) -> None:
    variables = {"PYTHONPATH": f"{ROOT / 'stages'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.modules.pop('select', None); import select"],
        cwd=tmp_path,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: a stage is run as a module: type `python -m stages.<stage>`")


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
    knobs = {"rows_per_microbatch", "pairs_per_microbatch", "max_tokens"}
    assert [knob for knob in knobs if f" {knob}" not in sentence] == []


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
