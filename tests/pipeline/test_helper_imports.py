"""What several tests share lies in tests/support and is imported from there, so that a helper has one identity."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.clones import ROOT

FILES = sorted((ROOT / "tests").rglob("*.py"))
HELPERS = {path.stem for path in (ROOT / "tests/support").glob("*.py")} - {"__init__"}


def imported(text: str) -> set[str]:
    """The modules that Python code imports, wherever the import stands; of `from a import b` both `a` and `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or "."} | {f"{node.module or '.'}.{name.name}" for name in node.names}
    return found


def misplaced(text: str) -> set[str]:
    """Imports of helpers by another name than `tests.support`, and of what is in another test."""
    others = {name for name in imported(text) if name.startswith(("tests.", ".")) and name != "tests.support"}
    return {name for name in others if not name.startswith("tests.support.")} | (imported(text) & HELPERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_helpers_are_imported_from_tests_support_alone(path: Path) -> None:
    assert misplaced(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "line",
    [
        "from tests.training.test_train import run_train",
        "from tests.conftest import project",
        "from clones import ROOT",
        "import kills",
        "from .tiny import turn",
        "def test() -> None:\n    from tests.stages import test_prepare",
    ],
)
def test_an_import_of_another_test_or_by_another_name_is_found(line: str) -> None:
    assert misplaced(line)


def test_the_root_and_the_models_are_named_once() -> None:
    named = [
        (target.id, path.name)
        for path in FILES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("ROOT", "MODELS")
    ]
    assert sorted(named) == [("MODELS", "clones.py"), ("ROOT", "clones.py")]
