"""dvc.yaml lists for each stage the code that decides its bytes, all of it and no more. Imports go downwards."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.core import paths
from stages.core.params import load_params
from stages.training.definition import recorded
from tests.support.clones import ROOT
from tests.support.imports import closure, covered_by, files_of, imported, modules

GRAPH: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
PARAMS = load_params(ROOT / paths.PARAMS)

# Imported by stages and listed by none: an edit of these leaves the bytes of every output as they are.
DECIDES_NO_BYTES = {
    "stages/__init__.py": "prepares the process in which a stage runs, by core/process.py",
    "stages/core/errors.py": "says why a stage ended early; such a stage leaves no output",
    "stages/core/params.py": "reads params.yaml; the values themselves are params of the stages",
    "stages/core/paths.py": "names files; a stage that reads or writes another file has another entry in dvc.yaml",
    "stages/core/process.py": "starts and ends the process: environment, garbage collector, death of the parent",
    "stages/core/progress.py": "draws progress bars",
    "stages/core/schema.py": "holds types, by which files are checked and nothing is computed",
    "stages/core/typed_files.py": "refuses a file of another shape, and returns any other as it stands",
    "stages/training/trackers.py": "shows curves in other tools, below runs/, on which nothing depends",
}


def is_bare(file: Path) -> bool:
    """An `__init__.py` that holds a docstring at most."""
    if file.name != "__init__.py":
        return False
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def code() -> dict[str, tuple[set[str], list[str]]]:
    """{stage: the modules that it starts with, and its `deps`}; trainings one by one, for each loads its method."""
    found: dict[str, tuple[set[str], list[str]]] = {}
    for name, stage in GRAPH["stages"].items():
        deps = stage.get("do", stage)["deps"]
        if name != "train":
            found[name] = {f"stages.{name}"}, deps
            continue
        for model, settings in PARAMS.train.items():
            own = [dep.replace("${item.method}", settings.method) for dep in deps]
            found[f"train@{model}"] = {"stages.train", f"stages.training.methods.{settings.method}"}, own
    return found


CODE = code()


@pytest.mark.parametrize("stage", CODE)
def test_a_stage_depends_on_the_code_that_decides_its_bytes_and_on_no_other(stage: str) -> None:
    starts, deps = CODE[stage]
    run = {str(file) for file in files_of(closure(*starts)) if not is_bare(file)} - set(DECIDES_NO_BYTES)
    listed = {str(file) for file in covered_by(deps) if not is_bare(file)}
    assert sorted(run - listed) == [], f"{stage} runs these: add them to its deps in dvc.yaml"
    assert sorted(listed - run) == [], f"{stage} runs none of these: take them out of its deps in dvc.yaml"


def test_every_file_that_decides_no_bytes_is_there_and_runs_in_some_stage() -> None:
    run = {str(file) for starts, _ in CODE.values() for file in files_of(closure(*starts))}
    assert sorted(set(DECIDES_NO_BYTES) - run) == []


def test_an_asset_belongs_to_the_module_that_reads_it() -> None:
    """Only the stage that writes the chat template into a base depends on it; the others name the file of the base."""
    readers = {
        stage
        for stage, (starts, _) in CODE.items()
        if Path("stages/bases/chat_template.jinja") in files_of(closure(*starts))
    }
    assert readers == {"base"}
    assert Path("stages/arabic/lexicon.txt") in files_of({"stages.arabic.lexicon"})
    assert Path("stages/arabic/lexicon.txt") not in files_of({"stages.arabic.numbers"})
    assert Path("stages/launch/fsdp.yaml") in files_of({"stages.launch"})


def test_a_training_depends_on_the_reference_that_its_method_reads() -> None:
    [joined] = GRAPH["vars"]
    assert joined == {
        "train": {name: {"reads": recorded(method)["reference"]} for name, method in PARAMS.train.items()}
    }


TRAINED = [model for model in PARAMS.models if model != "base"]
# What a stage reads of every model stands in dvc.yaml name by name.
READ_OF_EACH = {
    "compare": {"metrics/eval/{}": PARAMS.models, "metrics/train/{}/summary.json": TRAINED},
    "select": {"metrics/timing/{}.json": TRAINED},
    "report": {
        "metrics/eval/{}": PARAMS.models,
        "metrics/train/{}": TRAINED,
        "metrics/timing/{}.json": [*TRAINED, "reference"],
        "metrics/bench/{}.json": PARAMS.models,
    },
}


@pytest.mark.parametrize(
    ("stage", "pattern"), [(stage, pattern) for stage, read in READ_OF_EACH.items() for pattern in read]
)
def test_a_stage_that_reads_something_of_each_model_depends_on_all_of_them(stage: str, pattern: str) -> None:
    before, after = pattern.split("{}")
    deps = [
        dep
        for dep in GRAPH["stages"][stage]["deps"]
        if dep.startswith(before) and dep.endswith(after) and "$" not in dep
    ]
    assert sorted(deps) == sorted(pattern.format(model) for model in READ_OF_EACH[stage][pattern])


def test_the_models_of_params_are_those_that_are_evaluated_and_registered() -> None:
    starts = {"base": "models/base"} | {name: f"${{train.{name}.init}}" for name in TRAINED}
    assert GRAPH["stages"]["evaluate"]["foreach"] == starts
    assert [artifact["path"] for artifact in GRAPH["artifacts"].values()] == [f"models/{name}" for name in TRAINED]


# From the ground up. A package imports from lower floors; those that share a floor do not import each other.
STAGES, COMMANDS, AUTHORING = "the stages", "commands", "authoring"
FLOORS = (
    {"core"},
    {"arabic"},
    {"rows", "corpus"},
    {"bases", "launch"},
    {"training", "scoring"},
    {"comparison"},
    {"reporting"},
    {STAGES},
    {COMMANDS},
)
BELOW_AUTHORING = {"core", "arabic", "rows"}  # it writes data/raw, by hand: only the command line imports it


def package(module: str) -> str:
    """The package below `stages` in which a module lies; a module that lies in `stages` itself is a stage."""
    name = module.split(".")[1]
    return name if (ROOT / "stages" / name).is_dir() else STAGES


ARROWS = [
    (module, other)
    for module in modules()
    for other in imported(module)
    if "stages" not in (module, other) and (package(module) != package(other) or package(module) == STAGES)
]


def test_every_package_has_a_floor() -> None:
    assert {package(module) for module in modules() if module != "stages"} == {AUTHORING}.union(*FLOORS)


def test_imports_go_downwards() -> None:
    below = {name: set().union(*FLOORS[:floor]) for floor, names in enumerate(FLOORS) for name in names}
    below[AUTHORING] = BELOW_AUTHORING
    below[COMMANDS] |= {AUTHORING}
    assert len(ARROWS) > 100
    assert [f"{one} imports {other}" for one, other in ARROWS if package(other) not in below[package(one)]] == []


def test_a_file_in_stages_is_a_stage_and_a_folder_is_a_library() -> None:
    files = {file.name for file in (ROOT / "stages").iterdir() if file.is_file()}
    assert files == {f"{stage}.py" for stage in GRAPH["stages"]} | {"__init__.py"}


def test_no_stage_but_select_shadows_the_standard_library() -> None:
    """`python stages/compare.py` puts `stages/` first on the path, before the standard library."""
    assert set(GRAPH["stages"]) & sys.stdlib_module_names == {"select"}
