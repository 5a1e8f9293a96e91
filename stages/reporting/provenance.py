"""Where each printed figure comes from: the file and key behind a column, and the hash of the file that was read.

The hashes are computed here from the files themselves, in the way in which DVC computes them, so that
`grep <hash> dvc.lock` finds the stage that wrote the file. dvc.lock is not read: while `dvc repro` runs, DVC rewrites
it after every stage, and it need not speak of the files that this report was made of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path

from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.metrics import QUALITY, TABLES
from stages.reporting import cost, monitors, opening, own_sets, quality, recipes, sections
from stages.reporting.seed_report import audit
from stages.reporting.tables import Column, Table


def listed() -> list[tuple[str, Sequence[Column]]]:
    """(section, columns) of every column of figures that may be printed, in the order of the page's list of them."""
    return [
        ("the opening", opening.OPENING),
        ("What was compared", recipes.RECIPES),
        (QUALITY, quality.metric_columns(QUALITY)),
        ("Differences", (quality.MINUS, quality.AGAINST)),
        *((title, quality.metric_columns(title)) for title in TABLES if title != QUALITY),
        ("Robustness over learning rate and beta", (*quality.GRID, *quality.BEST, quality.AT_RATE)),
        ("Overlap with the references", tuple(column for column, _ in quality.OVERLAP)),
        ("Your own test files", own_sets.COLUMNS),
        ("Seed by seed", sections.SEEDS),
        ("Training", sections.TRAINING),
        ("Monitors", monitors.MONITORS),
        ("Inference", sections.INFERENCE),
        ("Rankings", sections.RANKINGS),
        ("Resources", sections.RESOURCES),
        ("Cost", (*cost.COST, *cost.ENERGY)),
        ("Data", sections.COUNTS),
        ("By task", (sections.BY_TASK,)),
        ("By preference axis", (sections.BY_AXIS,)),
        ("The seed report, audited", (*audit.OURS, *audit.LIMITS, *audit.CLAIMED)),
    ]


def columns_table() -> Table:
    """File and key of every column that a section may print, those of one source together."""
    rows = [
        (section, column.listed or column.heading, f"`{column.file}`", f"`{column.key}`")
        for section, columns in listed()
        for column in columns
    ]
    return Table(["section", "column", "file", "key"], list(dict.fromkeys(rows)))


def hashes_table(files: Sequence[Path]) -> Table:
    """Raises PipelineError naming a file that is not there."""
    rows = [[f"`{file.as_posix()}`", written_by(file), f"`{md5(file)}`"] for file in files]
    return Table(["read", "written by stage", "md5, as in dvc.lock"], rows)


STAGES = {"eval": "evaluate", "train": "train", "timing": "train", "bench": "benchmark"}  # by folder under metrics/


def written_by(file: Path) -> str:
    """The stage of dvc.yaml, one for each model in most folders."""
    if file.parent.name in STAGES:
        return "`reference`" if file == paths.timing("reference") else f"`{STAGES[file.parent.name]}@{file.stem}`"
    if file == paths.SWEEP:
        return "none: `arabic-qwen sweep`"
    return "`compare`" if file in (paths.METHODS_JSON, paths.DIFFERENCES) else "`prepare`"


def signatures_table(signatures: Mapping[str, str]) -> Table:
    """What has to be equal for two figures to be comparable, metric by metric."""
    return Table(["metric", "signature"], [[f"`{name}`", f"`{text}`"] for name, text in signatures.items()])


def md5(path: Path) -> str:
    """DVC's hash of a file or a folder (https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#dvclock-file).

    A folder's is that of the JSON list of its files with their hashes, and ends in `.dir`.
    """
    if path.is_file():
        return _md5(path.read_bytes())
    if not path.is_dir():
        raise PipelineError(f"{path} is missing: run `dvc repro` to make it, or `dvc pull` to fetch it")
    entries = [
        {"md5": _md5(file.read_bytes()), "relpath": file.relative_to(path).as_posix()}
        for file in path.rglob("*")
        if file.is_file()
    ]
    entries.sort(key=itemgetter("relpath"))
    return _md5(json.dumps(entries, sort_keys=True).encode("utf-8")) + ".dir"


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
