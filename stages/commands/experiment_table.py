"""Experiments as DVC keeps them, commits under refs/exps/<baseline commit>, and their figures with intervals as text.

Read from git and not through `dvc exp show`, which has no intervals, is wider than a terminal, shows only what starts
from the newest commit, and loses what starts from a commit that was rebased away (treeverse/dvc#8236, #10707).
"""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML

from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row
from stages.core.metrics import as_in_report
from stages.reporting.tables import number_interval

WIDTH = 100  # characters


def shown() -> dict[str, str]:
    """{short name: metric} of the table's columns, in the order of the report."""
    return {one.short: one.name for _, one in as_in_report() if one.in_experiments}


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8")
    if done.returncode:
        raise PipelineError(f"git {arguments[0]}: {done.stderr.strip()}: run this in the repository's root")
    return done.stdout


def head() -> str:
    return git("rev-parse", "HEAD").strip()


def finished() -> dict[str, dict[str, str]]:
    """{baseline commit: {name: revision}} of all experiments, oldest first; DVC keeps them as refs/exps/<baseline>."""
    found: dict[str, dict[str, str]] = {}
    for line in git(
        "for-each-ref", "--sort=creatordate", "--format=%(objectname) %(refname)", "refs/exps"
    ).splitlines():
        revision, reference = line.split(" ")
        parts = reference.split("/", 4)
        if len(parts) == 5 and len(parts[2] + parts[3]) == 40:  # others are DVC's stash and queue
            found.setdefault(parts[2] + parts[3], {})[parts[4]] = revision
    return found


def params_at(revision: str) -> Row:
    params: Row = YAML(typ="safe").load(git("show", f"{revision}:{paths.PARAMS}"))
    return params


def flat(value: Any, key: str = "") -> Row:
    """{dotted key: value} of nested mappings."""
    if not isinstance(value, dict):
        return {key: value}
    return {
        name: leaf for part, inner in value.items() for name, leaf in flat(inner, f"{key}.{part}".strip(".")).items()
    }


def row(name: str, revision: str, baseline: Row) -> Row:
    """What one experiment differs in from its commit, and its model's figures in metrics/methods.json."""
    params = params_at(revision)
    model, before = params["method"], flat(baseline) | {"method": params["method"]}
    changes = [
        f"{'.'.join(key.split('.')[-2:])}={value}" for key, value in flat(params).items() if before.get(key) != value
    ]
    if model != name and not any(change.startswith(f"{model}.") for change in changes):
        changes = [model, *changes]
    measured = git("ls-tree", "--name-only", revision, str(paths.METHODS_JSON))
    figures = json.loads(git("show", f"{revision}:{paths.METHODS_JSON}")).get(model, {}) if measured else {}
    return {"experiment": name, "differs in": ", ".join(changes), "figures": figures}


def cell(figures: Row, metric: str) -> str:
    """Per cent with its interval; "-" where nothing was measured."""
    if figures.get(metric) is None:
        return "-"
    return number_interval(*(100 * figures[metric + end] for end in ("", "_low", "_high")))


def table(rows: Sequence[Row], by: str) -> str:
    """Rows as text of at most 100 columns, the best first; long differences stand below their row."""
    rows = sorted(rows, key=lambda row: -(row["figures"].get(shown()[by]) or 0))
    lines = [["experiment", "differs in", "place", *(f"{name}, %" for name in shown())]]
    for one in rows:
        figures = one["figures"]
        place = str(figures.get("rank_exact_match") or "-")
        lines.append([one["experiment"], one["differs in"], place, *(cell(figures, key) for key in shown().values())])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    room = WIDTH - (sum(widths) - widths[1]) - 2 * (len(widths) - 1)
    widths[1] = max(len(line[1]) for line in lines if len(line[1]) <= max(room, len(lines[0][1])))
    text = []
    for name, differs, *others in lines:
        fits = len(differs) <= widths[1]
        cells = [name, differs if fits else "", *others]
        text.append("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        text += [] if fits else textwrap.wrap(f"  {differs}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(text)


def print_tables(by: str, every_commit: bool) -> None:
    """One table a commit, this one last; experiments of others are counted if they are not shown."""
    here, found = head(), finished()
    others = [commit for commit in found if commit != here]
    for commit in [*(others if every_commit else ()), here]:
        baseline = params_at(commit)
        own = {commit[:7]: commit} | found.get(commit, {})
        rows = [row(name, revision, baseline) for name, revision in own.items()]
        print(f"on {git('show', '-s', '--format=%h %s', commit).strip()}\n\n{table(rows, by)}\n")
    print("Brackets: intervals over prompts and seeds. Place: by exact, in its own run; equal is a tie.")
    hidden = sum(len(found[commit]) for commit in others)
    if hidden and not every_commit:
        print(f"{hidden} experiments start from other commits: --all shows them.")
