"""The command line: help at once, one sentence for what the user can fix, and never another tree's code."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.commands import cli, data_card
from stages.commands.experiment_table import shown as columns
from stages.core.errors import PipelineError
from tests.support.clones import ROOT

COMMANDS = [
    ["experiments", "methods"],
    ["experiments", "sweep", "-S", "lora.rank=8"],
    ["experiments", "table"],
    ["sweep"],
    ["publish", "dpo", "out"],
    ["card"],
]
each_command = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
# What `pip install` writes for a console script; such a file does not put the current folder on the path (-P).
AS_INSTALLED = ["-P", "-c", "import sys; from stages.commands.cli import main; sys.exit(main())"]
AS_MODULE = ["-m", "stages.commands"]


def typed(folder: Path, way: list[str], *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in ``folder``, while this repository's code is what is installed."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    environment |= {"PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, *way, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def mentions() -> list[str]:
    """Every `arabic-qwen ...` that a reader is told to type."""
    files = [ROOT / "README.md", ROOT / "params.yaml", *(ROOT / "data").glob("*.md"), *(ROOT / "stages").rglob("*.py")]
    found = set()
    for file in files:
        text = file.read_text(encoding="utf-8")
        found |= set(re.findall(r"`arabic-qwen ([^`]+)`", text))
        found |= set(re.findall(r"^ +arabic-qwen (.+?)(?:  .*)?$", text, re.MULTILINE))
    return sorted(found - {"<command>"})


def test_the_installed_script_is_this_command_line() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"arabic-qwen": f"{cli.__name__}:{cli.main.__name__}"}


@pytest.mark.parametrize("line", mentions())
def test_what_readers_are_told_to_type_is_understood(line: str) -> None:
    """`--help` at its end reads the line and runs nothing."""
    shown = CliRunner().invoke(cli.app, [*shlex.split(line), "--help"])
    assert shown.exit_code == 0, shown.output


def test_the_mentions_are_found() -> None:
    assert {"card", "sweep", "experiments methods", "experiments table --all --sort knows"} <= set(mentions())
    assert len(mentions()) >= 12


@pytest.mark.parametrize("group", [[], ["experiments"]])
def test_help_says_what_each_command_is_for_in_a_sentence_that_is_not_cut_off(group: list[str]) -> None:
    shown = CliRunner().invoke(cli.app, [*group, "--help"]).output
    names = {command[len(group)] for command in COMMANDS if command[: len(group)] == group}
    listed = dict(re.findall(r"^  (\w+) +(\S.*)$", shown.split("Commands:")[1], re.MULTILINE))
    assert set(listed) == names
    assert all(text.endswith(".") and "..." not in text for text in listed.values())


def test_help_names_the_columns_to_sort_by() -> None:
    shown = " ".join(CliRunner().invoke(cli.app, ["experiments", "table", "--help"]).output.split())
    assert f"{', '.join([*columns()][:-1])} or {[*columns()][-1]}" in shown


@pytest.mark.parametrize("way", [AS_INSTALLED, AS_MODULE], ids=["installed", "module"])
def test_help_comes_without_a_large_import_and_anywhere(way: list[str], tmp_path: Path) -> None:
    asked = typed(tmp_path, ["-X", "importtime", *way], "--help")
    assert asked.returncode == 0
    assert "experiments" in asked.stdout and "publish" in asked.stdout
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in asked.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"torch", "transformers", "datasets", "numpy", "pandas", "matplotlib", "dvc", "ruamel"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["publish", "dpo"], "Missing argument"),
        (["publish", "dpo", "out", "more"], "unexpected extra argument"),
        (["experiments", "sweep"], "Missing option '-S'"),
        (["experiments", "methods", "-j", "0"], "'-j'"),
        (["cart"], "No such command 'cart'"),
        (["--install-completion"], "No such option"),
        ([], "Usage: "),
    ],
)
def test_a_command_line_that_cannot_be_read_ends_with_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = typed(tmp_path, AS_INSTALLED, *arguments)
    assert done.returncode == 2
    assert words in done.stdout + done.stderr and "Traceback" not in done.stderr


def test_an_unknown_column_is_a_command_line_that_cannot_be_read() -> None:
    done = typed(ROOT, AS_MODULE, "experiments", "table", "--sort", "speed")
    assert done.returncode == 2
    assert "Invalid value for --sort: 'speed' is not one of clean, knows, exact" in done.stderr


@each_command
def test_outside_a_repository_each_command_is_one_sentence(command: list[str], tmp_path: Path) -> None:
    done = typed(tmp_path, AS_INSTALLED, *command)
    assert done.returncode == 1
    assert done.stderr == "error: params.yaml is missing: run from the repository's root, or restore it with git\n"
    assert done.stdout == "" and not list(tmp_path.iterdir())


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A repository of other code than the installed one."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/__init__.py").write_text("")
    (tmp_path / "params.yaml").write_text("")
    return tmp_path


@each_command
def test_the_installed_script_refuses_the_folder_of_another_tree(command: list[str], other: Path) -> None:
    done = typed(other, AS_INSTALLED, *command)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: this would run the stages of {ROOT}, not this folder's: type `python -m stages.commands` for "
        f"`arabic-qwen`, install this folder with `pip install -e .`, or run the command in {ROOT}\n"
    )


def test_as_a_module_the_folders_own_code_runs(other: Path) -> None:
    """The first remedy of that sentence."""
    (other / "stages/commands").mkdir()
    (other / "stages/commands/__init__.py").write_text("")
    (other / "stages/commands/__main__.py").write_text("print('own code')\n")
    assert typed(other, AS_MODULE, "card").stdout == "own code\n"


def test_what_the_user_can_fix_is_one_sentence_and_the_rest_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)

    def fails(error: Exception) -> None:
        def main() -> None:
            raise error

        monkeypatch.setattr(data_card, "main", main)

    fails(PipelineError("data/README.md: the two lines are missing: restore them"))
    with pytest.raises(SystemExit) as ended:
        cli.app(["card"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: data/README.md: the two lines are missing: restore them\n"
    fails(OSError(28, "No space left on device", "data/SAMPLES.md"))
    with pytest.raises(SystemExit):
        cli.app(["card"])
    assert capsys.readouterr().err.endswith("(data/SAMPLES.md): free some space and run the command again\n")
    fails(KeyError("a bug"))
    with pytest.raises(KeyError):
        cli.app(["card"])


def test_ctrl_c_ends_with_130_and_one_sentence(tmp_path: Path) -> None:
    """In the middle of a command: it reads a pipe that nobody writes to."""
    (tmp_path / "params.yaml").write_text("")
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data/README.md")
    process = subprocess.Popen(
        [sys.executable, *AS_INSTALLED, "card"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in a shell's background ignore Ctrl-C, and would hand that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with (tmp_path / "data/README.md").open("w"):  # opens once the command does
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == ("", "interrupted: run the command again, it keeps what is finished\n")
