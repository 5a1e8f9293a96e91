"""pyproject.toml names what `stages` imports, all of it and no more, and what an installation has to carry along."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.clones import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# Not imported by our code, and yet ours to choose.
IMPORTED_BY_OTHERS = {
    "gguf": "transformers reads .gguf files with it",
}
# Imported where it is installed, and left out where it is not.
WHERE_INSTALLED = {"nvidia-ml-py": "the energy that a GPU counts; dvclive brings it"}


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(text: str) -> set[str]:
    """Top-level modules that are neither ours nor the standard library's, wherever they are imported."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"stages"}


def all_imported() -> set[str]:
    files = (ROOT / "stages").rglob("*.py")
    return {name for file in files for name in imported(file.read_text(encoding="utf-8"))}


def distributions(modules: set[str]) -> set[str]:
    """What to install for them, which what is installed tells."""
    found = packages_distributions()
    return {normal(name) for module in modules for name in found.get(module, [module])}


def declared() -> list[str]:
    return [normal(re.split(r"[^\w.-]", line)[0]) for line in PYPROJECT["project"]["dependencies"]]


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    needed = (distributions(all_imported()) | set(IMPORTED_BY_OTHERS)) - set(WHERE_INSTALLED)
    assert needed == set(declared())


def test_the_exceptions_are_exceptions() -> None:
    modules = all_imported()
    assert not distributions(modules) & set(IMPORTED_BY_OTHERS)
    assert distributions(modules) >= set(WHERE_INSTALLED)


@pytest.mark.parametrize("section", ["dependencies", *PYPROJECT["project"]["optional-dependencies"]])
def test_no_dependency_is_declared_twice(section: str) -> None:
    groups = {"dependencies": PYPROJECT["project"]["dependencies"]} | PYPROJECT["project"]["optional-dependencies"]
    names = [normal(re.split(r"[^\w.-]", line)[0]) for line in groups[section]]
    assert len(names) == len(set(names))


def test_an_installation_carries_every_file_that_lies_beside_the_code() -> None:
    carried: set[Path] = set()
    for package, patterns in PYPROJECT["tool"]["setuptools"]["package-data"].items():
        folder = ROOT / package.replace(".", "/")
        assert (folder / "__init__.py").exists(), f"{package} is no package, so its files are left out"
        for pattern in patterns:
            found = set(folder.glob(pattern))
            assert found, f"{package}: {pattern} names no file"
            carried |= found
    files = {path for path in (ROOT / "stages").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in files if path.suffix != ".py"} == carried
