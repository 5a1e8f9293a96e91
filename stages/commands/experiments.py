"""Command `arabic-qwen experiments`: run experiments without DVC's traps, and print them with intervals.

    arabic-qwen experiments methods                                      which method? one experiment a model
    arabic-qwen experiments sweep -n beta -S train.dpo.beta=0.05,0.3     which setting? one a combination
    arabic-qwen experiments sweep -n base -S profile=smoke,embedded      which base? profiles side by side
    arabic-qwen experiments table --all --sort knows                     what was run, on every commit

They are DVC's own (`dvc exp show`, `diff`, `apply`, `branch`, `push`), and plain `dvc exp run --queue` with
`dvc queue start` runs them as well, but
- it starts from the workspace and inherits what the last experiment left in params.yaml: here that is refused;
- `-S` takes any value, and a mistake shows when its stage starts: here it shows before anything is queued;
- two workers that find no SFT adapter both train it: here the pipeline is brought up to date before they start;
- a failed experiment is in no table, and `--run-all` ends with exit code 0: here it is an error;
- a fresh clone trains everything again: here it fetches what it needs (for `methods`, run `dvc pull` first).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dvc.exceptions import InvalidArgumentError
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from hydra.errors import HydraException
from ruamel.yaml import YAML

from stages.commands.experiment_table import finished, git, head, params_at
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row
from stages.core.params import load_params

DVC = [sys.executable, "-m", "dvc"]
FETCH = ["--pull", "--allow-missing"]  # a fresh clone fetches what a stage that has changed reads, and trains no more
INPUTS = (str(paths.PARAMS), "dvc.yaml", "stages", "data")
SAID = ("Reproducing", "Running stage", "error:")  # of what DVC and the stages print while experiments run
Points = Mapping[str, tuple[list[str], Row]]  # name: its values of `-S`, and the params.yaml that they make


def refuse_changed_inputs() -> None:
    """An experiment is a commit and its `-S`, nothing else: raises PipelineError naming what is not committed."""
    changed = [line[3:] for line in git("status", "--porcelain", "--untracked-files=all", "--", *INPUTS).splitlines()]
    if changed:
        raise PipelineError(
            f"not as in the last commit: {', '.join(changed[:5])}: commit it, or take it back with `git restore`, "
            "since every experiment would inherit it"
        )


def expand(overrides: Sequence[str]) -> list[tuple[list[str], Row]]:
    """Every combination of the values in `-S`, as DVC expands and applies it, with the params.yaml that it makes."""
    points = []
    with TemporaryDirectory() as folder:
        copy = Path(folder) / paths.PARAMS.name
        try:
            for point in get_hydra_sweeps({copy: list(overrides)}):
                shutil.copyfile(paths.PARAMS, copy)
                apply_overrides(copy, point[copy])
                load_params(copy)
                points.append((point[copy], YAML(typ="safe").load(copy)))
        except (HydraException, InvalidArgumentError, PipelineError) as error:
            reason = str(error.__cause__ or error).splitlines()[0].replace(str(copy), str(paths.PARAMS))
            raise PipelineError(f"-S {' '.join(overrides)}: {reason}") from None
    return points


def missing(wanted: Points) -> dict[str, list[str]]:
    """What is not finished on this commit; raises PipelineError if a name is taken by an experiment of other params."""
    here = finished().get(head(), {})
    for name in sorted(set(wanted) & set(here)):
        if params_at(here[name]) != wanted[name][1]:
            raise PipelineError(f"{name} is another experiment: choose another -n, or run `dvc exp remove {name}`")
    return {name: point for name, (point, _) in wanted.items() if name not in here}


def run_experiments(wanted: Points, jobs: int) -> None:
    """Queue what is not finished, with `select` as its target, and wait; raises PipelineError if one fails."""
    queued = missing(wanted)
    if not queued:
        return
    if subprocess.run([*DVC, "repro", *FETCH, "select"], stdout=sys.stderr).returncode:
        raise PipelineError("`dvc repro select` failed, so nothing was queued: see above")
    for name, point in queued.items():
        options = [part for override in point for part in ("-S", override)]
        command = ["exp", "run", "--quiet", "--queue", "--name", name, *FETCH, *options, "select"]
        print(f"dvc {' '.join(command)}", file=sys.stderr)
        if subprocess.run([*DVC, *command]).returncode:
            raise PipelineError(f"{name} could not be queued: see above")
    with subprocess.Popen([*DVC, "exp", "run", "--run-all", "-j", str(jobs)], stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout or ():
            if line.startswith(SAID):
                print(line, end="", file=sys.stderr)
    if failed := list(missing(wanted)):
        raise PipelineError(f"failed: {', '.join(failed)}: `dvc queue logs {failed[0]}` says why")


def compare_methods(jobs: int) -> None:
    """One experiment a model."""
    refuse_changed_inputs()
    run_experiments({model: expand([f"method={model}"])[0] for model in load_params().models}, jobs)


def sweep(name: str, overrides: Sequence[str], jobs: int) -> None:
    """One experiment a combination of the values in ``overrides``, as `-S` of `dvc exp run` takes them."""
    refuse_changed_inputs()
    points = enumerate(expand(overrides), start=1)
    run_experiments({f"{name}-{number}": point for number, point in points}, jobs)
