"""One test per behaviour of DVC that `arabic-qwen experiments` relies on and no documentation promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from ruamel.yaml import YAML

from stages.commands.experiments import expand
from tests.support.canaries import canary
from tests.support.clones import commit

VALUES = ["dpo.beta=0.05,5e-7", "method=dpo,kto"]


def read(text: str) -> object:
    return YAML(typ="safe").load(text)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline of one stage and one commit; the working folder."""
    monkeypatch.chdir(tmp_path)
    for variable in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(variable, "t@example.org")
    Path("dvc.yaml").write_text("stages: {one: {cmd: 'true', params: [dpo.beta, method]}}\n")
    Path("params.yaml").write_text("method: sft\ndpo:\n  beta: 0.1  # a comment\n")
    subprocess.run(["git", "init", "-q"], check=True)
    dvc("init", "-q")
    commit(tmp_path, "start")
    return tmp_path


def dvc(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True, capture_output=True)


def queued() -> list[object]:
    """The params.yaml of every experiment that DVC has in its queue, in the order of the queue."""
    log = subprocess.run(
        ["git", "log", "-g", "--format=%H", "refs/exps/celery/stash"], check=True, capture_output=True, text=True
    ).stdout.split()
    return [
        read(subprocess.run(["git", "show", f"{one}:params.yaml"], check=True, capture_output=True, text=True).stdout)
        for one in reversed(log)
    ]


def test_values_expand_into_the_params_that_dvc_itself_queues(repository: Path) -> None:
    dvc("exp", "run", "--queue", *(part for value in VALUES for part in ("-S", value)))
    behaviour = "dvc.utils.hydra expands and applies -S as `dvc exp run --queue` does"
    with canary(behaviour, expand):
        points = get_hydra_sweeps({Path("params.yaml"): VALUES})
        made = []
        for point in points:
            copy = Path("copy.yaml")
            copy.write_bytes(Path("params.yaml").read_bytes())
            apply_overrides(copy, point[Path("params.yaml")])
            made.append(read(copy.read_text(encoding="utf-8")))
        assert len(made) == 4 and made == queued()


def test_a_value_that_names_no_key_is_hydras_own_error() -> None:
    from hydra.errors import HydraException

    with canary("a sweep that cannot be read raises an error of hydra.errors", expand):
        try:
            get_hydra_sweeps({Path("params.yaml"): ["dpo.beta=["]})
        except HydraException:
            return
        raise AssertionError
