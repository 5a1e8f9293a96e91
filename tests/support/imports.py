"""What a module of `stages` imports, straight or through others, read from the code without running it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.support.clones import ROOT

ASSETS = {".jinja", ".txt", ".yaml", ".css", ".js", ".html", ".md", ".j2"}


@cache
def modules() -> dict[str, Path]:
    """{dotted name: file, relative to the repository} of every module of `stages`."""
    found = {}
    for file in sorted((ROOT / "stages").rglob("*.py")):
        relative = file.relative_to(ROOT)
        parts = relative.with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = relative
    return found


@cache
def imported(module: str) -> frozenset[str]:
    """The modules that one imports itself, wherever in its code; not those that only a type checker reads."""
    found: set[str] = set()
    tree = ast.parse((ROOT / modules()[module]).read_text(encoding="utf-8"))
    skipped = {id(child) for node in ast.walk(tree) if _is_type_checking(node) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(name for name in found if name in modules() and name != module)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def with_packages(module: str) -> set[str]:
    """A module and the packages in which it lies, whose `__init__` runs before it."""
    parts = module.split(".")
    return {".".join(parts[:depth]) for depth in range(1, len(parts) + 1)}


def closure(*starts: str) -> set[str]:
    """All modules that run when these are imported, themselves included."""
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        for module in with_packages(waiting.pop()) - found:
            found.add(module)
            waiting += imported(module)
    return found


def files_of(found: set[str]) -> set[Path]:
    """The files of modules, and what they read that lies beside them and is no Python: templates, words, style sheets.

    Such a file belongs to the modules of its folder that name it and look beside themselves (`__file__`), or to all of
    them where none does. A folder of templates belongs to the folder that it lies in.
    """
    code = {modules()[module] for module in found}
    every = set(modules().values())
    beside = set()
    for folder in {file.parent for file in code}:
        texts = {file: (ROOT / file).read_text(encoding="utf-8") for file in every if file.parent == folder}
        for asset in [*(ROOT / folder).iterdir(), *(ROOT / folder / "templates").glob("*")]:
            if asset.suffix in ASSETS:
                named = {file for file, text in texts.items() if asset.name in text and "__file__" in text}
                readers = named or set(texts)
                beside |= {asset.relative_to(ROOT)} if readers & code else set()
    return code | beside


def covered_by(dependencies: list[str]) -> set[Path]:
    """The files below `stages` that the dependencies of a stage name, one by one or as a folder."""
    found: set[Path] = set()
    for name in dependencies:
        path = ROOT / name
        if name.split("/")[0] == "stages":
            files = path.rglob("*") if path.is_dir() else [path]
            found |= {
                file.relative_to(ROOT) for file in files if file.is_file() and file.suffix in ASSETS | {".py", ".sh"}
            }
    return found
