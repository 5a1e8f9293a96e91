"""Experiments: DVC's traps refused before anything is queued, and a table of intervals from what DVC keeps."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages import compare
from stages.commands import experiments
from stages.commands.experiment_table import finished, print_tables, row, table
from stages.core.errors import PipelineError
from stages.core.files import Row
from tests.support import clones
from tests.support.clones import MODELS, ROOT, clone, dvc, run, set_param, stages_run, store_at
from tests.support.drawn_plots import lines, pictures
from tests.support.made_metrics import World

PERSON = {f"GIT_{role}_{what}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One commit with params.yaml and the figures of a finished comparison; the working folder."""
    for name, value in PERSON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    World().write(tmp_path)
    compare.main()
    Path(".gitignore").write_text("/data\n")  # what DVC keeps
    subprocess.run(["git", "init", "-q"], check=True)
    commit("start")
    return tmp_path


def commit(message: str) -> str:
    subprocess.run(["git", "add", "params.yaml", "metrics/methods.json"], check=True)
    subprocess.run(["git", "commit", "-qm", message, "--allow-empty"], check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def experiment(name: str, **params: Any) -> None:
    """An experiment as DVC keeps it: a commit on HEAD that only a reference under refs/exps names."""
    base = commit("base of an experiment") if not finished() else next(iter(finished()))
    for key, value in params.items():
        set_param(Path.cwd(), key.replace("__", "."), value)
    revision = commit(name)
    subprocess.run(["git", "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", revision], check=True)
    subprocess.run(["git", "reset", "-q", "--hard", base], check=True)


def printed(capsys: pytest.CaptureFixture[str], by: str = "exact", every_commit: bool = False) -> str:
    print_tables(by, every_commit)
    return capsys.readouterr().out


def line(text: str, name: str) -> str:
    return next(found for found in text.splitlines() if found.startswith(f"{name} "))


def test_a_row_has_the_intervals_of_its_own_revision(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment("kto", method="kto")
    figures = json.loads(Path("metrics/methods.json").read_text())["kto"]
    shown = line(printed(capsys), "kto")
    for metric in ("behaviour_rate", "knowledge_retention", "exact_match"):
        mean, low, high = (100 * figures[metric + end] for end in ("", "_low", "_high"))
        assert f"{mean:.1f} [{low:.1f}, {high:.1f}]" in shown
    assert f" {figures['rank_exact_match']} " in shown


def test_a_row_names_all_that_differs_from_its_commit_so_that_what_was_inherited_shows(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment("beta-1", train__dpo__beta=5e-7, train__kto__beta=0.7)
    text = printed(capsys)
    assert "dpo.beta=5e-07" in text and "kto.beta=0.7" in text


def test_no_line_is_longer_than_a_hundred_columns(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment("a_long_name_for_it-12", profile="smoke", train__dpo__beta=0.123456, train__cpo__nll_weight=0.25)
    experiment("sft_chosen", method="sft_chosen")
    text = printed(capsys)
    assert max(map(len, text.splitlines())) <= 100
    assert "cpo.nll_weight=0.25" in text


def test_the_best_comes_first_in_the_column_asked_for(repository: Path) -> None:
    rows = [
        {"experiment": name, "differs in": "", "figures": {"exact_match": exact, "behaviour_rate": clean} | bounds}
        for name, exact, clean in (("a", 0.1, 0.9), ("b", 0.3, 0.5), ("c", None, None))
        for bounds in [
            {f"{metric}_{end}": 0.0 for metric in ("exact_match", "behaviour_rate") for end in ("low", "high")}
        ]
    ]
    assert [found[0] for found in table(rows, "exact").splitlines()[1:]] == ["b", "a", "c"]
    assert [found[0] for found in table(rows, "clean").splitlines()[1:]] == ["a", "b", "c"]


def test_an_experiment_without_figures_is_shown_without_them(repository: Path) -> None:
    subprocess.run(["git", "rm", "-q", "--cached", "metrics/methods.json"], check=True)
    subprocess.run(["git", "commit", "-qm", "without"], check=True)
    assert row("none", "HEAD", {})["figures"] == {}


def test_experiments_of_earlier_commits_are_counted_and_shown_on_request(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment("kto", method="kto")
    experiment("ipo", method="ipo")
    commit("the next one")
    text = printed(capsys)
    assert "kto" not in text
    assert "2 experiments start from other commits: --all shows them." in text
    everything = printed(capsys, every_commit=True)
    assert line(everything, "kto") and line(everything, "ipo") and "other commits" not in everything


def test_values_expand_as_dvc_expands_them(repository: Path) -> None:
    points = experiments.expand(["train.dpo.beta=0.05,5e-7", "method=dpo,kto"])
    assert [point for point, _ in points] == [
        [f"train.dpo.beta={beta}", f"method={method}"] for beta in ("0.05", "5e-07") for method in ("dpo", "kto")
    ]
    assert points[-1][1]["train"]["dpo"]["beta"] == 5e-7, "a number, though PyYAML would read a string"
    assert points[-1][1]["method"] == "kto"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.dpo.betta=0.3", "Could not override 'train.dpo.betta'"),
        ("+train.dpo.betta=0.3", "params.yaml: unknown key 'train.dpo.betta'"),
        ("train.dpo.beta=0.3,high", "params.yaml: train.dpo.beta must be a float, found 'high'"),
        ("train.dpo.beta=-1", "beta must be above 0"),
        ("profile=smok", "profile 'smok' is not one of"),
        ("train.dpo.beta=[", "no viable alternative"),
    ],
)
def test_a_mistake_in_a_value_is_one_sentence_before_anything_is_queued(
    repository: Path, override: str, words: str
) -> None:
    with pytest.raises(PipelineError) as caught:
        experiments.expand([override])
    assert str(caught.value).startswith(f"-S {override}: ") and words in str(caught.value)
    assert "\n" not in str(caught.value) and "/tmp" not in str(caught.value)


def test_what_the_last_experiment_left_in_params_is_refused(repository: Path) -> None:
    experiments.refuse_changed_inputs()
    Path("metrics/methods.json").write_text("{}")
    experiments.refuse_changed_inputs()  # results are no inputs
    set_param(repository, "method", "kto")
    with pytest.raises(PipelineError, match=r"not as in the last commit: params\.yaml: .*git restore"):
        experiments.refuse_changed_inputs()


def test_code_that_experiments_would_not_see_is_refused(repository: Path) -> None:
    Path("stages").mkdir()
    Path("stages/new.py").write_text("")
    with pytest.raises(PipelineError, match=r"stages/new\.py"):
        experiments.refuse_changed_inputs()


def test_what_is_finished_is_not_run_again_and_a_name_is_not_taken_twice(repository: Path) -> None:
    experiment("beta-1", train__dpo__beta=0.3)
    same, other = experiments.expand(["train.dpo.beta=0.3,0.5"])
    assert experiments.missing({"beta-1": same, "beta-2": other}) == {"beta-2": ["train.dpo.beta=0.5"]}
    with pytest.raises(PipelineError, match=r"beta-1 is another experiment: .*dvc exp remove beta-1"):
        experiments.missing({"beta-1": other})


def test_a_queued_experiment_runs_its_own_copy_of_the_stages(tmp_path: Path) -> None:
    """Although the package of another folder is on the path, as an editable install puts it there."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/__init__.py").write_text("")
    (tmp_path / "stages/where.py").write_text("import pathlib\npathlib.Path('where').write_text(__file__)\n")
    (tmp_path / "dvc.yaml").write_text(
        "stages: {where: {cmd: python -m stages.where, params: [n], outs: [{where: {cache: false}}]}}\n"
    )
    (tmp_path / "params.yaml").write_text("n: 1\n")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"} | PERSON
    environment |= {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def do(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"], ["git", "add", "-A"]):
        do(*command)
    do("git", "commit", "-qm", "start")
    do(sys.executable, "-m", "dvc", "exp", "run", "-q", "--queue", "-n", "copy", "-S", "n=2")
    do(sys.executable, "-m", "dvc", "exp", "run", "-q", "--run-all")
    ran = do("git", "show", f"{do('git', 'for-each-ref', '--format=%(refname)', 'refs/exps/*/*/copy').strip()}:where")
    assert ran.startswith(str(tmp_path / ".dvc/tmp/exps")) and ran.endswith("stages/where.py")


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "arabic-qwen", "experiments", *arguments)


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which nothing was trained."""
    folder = clone(tmp_path_factory.mktemp("cold") / "clone")
    for name in ("name", "email"):
        subprocess.run(["git", "config", f"user.{name}", "t@example.org"], cwd=folder, check=True)
    return folder


@pytest.mark.drill
@pytest.mark.timeout(1200)
def test_two_workers_on_a_cold_clone_train_every_model_once(cold: Path) -> None:
    result = command(cold, "methods", "-j", "2")
    assert result.returncode == 0, result.stderr[-3000:]
    ran = [found for found in result.stderr.splitlines() if found.startswith("Running stage 'train@")]
    assert sorted(ran) == sorted(f"Running stage 'train@{model}':" for model in MODELS[1:])
    assert all(line(result.stdout, model) for model in MODELS)


@pytest.mark.drill
@pytest.mark.timeout(1200)
def test_an_experiment_that_fails_is_an_error_and_the_others_are_kept(cold: Path) -> None:
    """`local` names a base that is not there; DVC itself ends with 0."""
    clones.commit(cold, "run")
    result = command(cold, "sweep", "-n", "base", "-S", "profile=local,smoke", "-S", "train.dpo.beta=0.3")
    assert result.returncode == 1
    assert "error: failed: base-1: `dvc queue logs base-1` says why" in result.stderr
    assert stages_run(result.stderr) >= {"train@dpo"} and "train@kto" not in stages_run(result.stderr)
    table = command(cold, "table").stdout
    assert "dpo.beta=0.3" in line(table, "base-2") and "base-1" not in table
    assert "8 experiments start from other commits" in table


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_experiments_travel_and_become_branches(cold: Path, tmp_path: Path) -> None:
    """After the two drills above; data go to a folder, commits to a bare repository."""
    bare, there = tmp_path / "bare.git", tmp_path / "there"
    subprocess.run(["git", "clone", "-q", "--bare", str(cold), str(bare)], check=True)
    subprocess.run(["git", "remote", "add", "hub", str(bare)], cwd=cold, check=True)
    store_at(cold, str(tmp_path / "store"))
    pushed = dvc(cold, "exp", "push", "hub", "base-2")
    assert pushed.returncode == 0, pushed.stderr
    subprocess.run(["git", "clone", "-q", str(bare), str(there)], check=True)
    shutil.copytree(cold / ".blocked", there / ".blocked", dirs_exist_ok=True)
    store_at(there, str(tmp_path / "store"))
    pulled = dvc(there, "exp", "pull", "origin", "base-2")
    assert pulled.returncode == 0, pulled.stderr
    assert line(command(there, "table").stdout, "base-2") == line(command(cold, "table").stdout, "base-2")
    assert dvc(there, "exp", "branch", "base-2", "kept").returncode == 0
    branched: Row = json.loads(
        subprocess.run(
            ["git", "show", "kept:metrics/methods.json"], cwd=there, check=True, capture_output=True, text=True
        ).stdout
    )
    assert set(branched) == set(MODELS)
    applied = dvc(there, "exp", "apply", "base-2")
    assert applied.returncode == 0, applied.stderr
    assert (there / "models/dpo/adapter_model.safetensors").exists()


def lines_of_the_readme() -> list[str]:
    """What the section says to type, as it stands there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Compare experiments\n")[2].partition("\n## ")[0]
    fenced = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    cells = re.findall(r"^\| [^|]* \| `([^`]*)` \|$", section, re.MULTILINE)
    return [*"".join(fenced).splitlines(), *cells]


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_every_line_of_the_readme_does_what_it_says(smoke: Path, tmp_path: Path) -> None:
    """On the small profile: `embedded` would train its base for minutes."""
    folder, bare = tmp_path / "clone", tmp_path / "bare.git"
    shutil.copytree(smoke, folder, symlinks=True)
    for name in ("name", "email"):
        subprocess.run(["git", "config", f"user.{name}", "t@example.org"], cwd=folder, check=True)
    clones.commit(folder, "run")
    subprocess.run(["git", "branch", "-M", "main"], cwd=folder, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(folder), str(bare)], check=True)
    subprocess.run(["git", "remote", "add", "origin", str(bare)], cwd=folder, check=True)
    store_at(folder, str(tmp_path / "store"))
    said: dict[str, str] = {}
    for typed in lines_of_the_readme():
        began = time.monotonic()
        done = run(folder, "bash", "-c", typed.replace("embedded", "smoke"))
        print(f"{time.monotonic() - began:.0f} s: {typed}\n{done.stdout}")
        assert done.returncode == 0, (typed, done.stdout[-2000:], done.stderr[-3000:])
        said[typed] = done.stdout
    shown = next(text for typed, text in said.items() if typed.startswith("dvc exp show"))
    assert max(map(len, shown.splitlines())) <= 100
    assert set(re.findall(r"\[(\w+)\]", shown)) == {"sft", "dpo", "kto", "ipo", "cpo"}
    everything = next(text for typed, text in said.items() if "table --all" in typed)
    named = re.findall(r"sweep -n (\w+)", "\n".join(said))
    assert len(named) == 6 and all(line(everything, f"{name}-1") for name in named)
    assert all(line(everything, model) for model in MODELS)
    assert "train.dpo.beta" in next(text for typed, text in said.items() if typed.startswith("dvc exp diff"))
    revisions = ("main", "beta-1", "beta-2")
    page = (folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert all(f'"rev": "{name}"' in page for name in revisions)
    drawn = lines(pictures(folder, "diff", *revisions)["training-loss"])
    assert set(drawn) == {(model, name) for model in MODELS[1:] for name in revisions}
    assert len({dash for _, dash in drawn.values()}) == len(revisions)
    assert YAML(typ="safe").load(folder / "params.yaml")["train"]["dpo"]["beta"] == 0.05
