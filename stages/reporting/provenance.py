"""Where each printed figure comes from: the file and key behind a column, and the hash of the file that was read.

The hashes are computed here from the files themselves, in the way in which DVC computes them, so that
`grep <hash> dvc.lock` finds the stage that wrote the file. dvc.lock is not read: while `dvc repro` runs, DVC rewrites
it after every stage, and it need not speak of the files that this report was made of.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path

from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.metrics import QUALITY, TABLES, in_table
from stages.reporting.tables import table

METHODS, SUMMARY, ROWS = "metrics/methods.json", "metrics/eval/<model>/summary.json", "metrics/eval/<model>/rows.jsonl"
TRAIN, TIMING, BENCH = "metrics/train/<model>/summary.json", "metrics/timing/<model>.json", "metrics/bench/<model>.json"
DATA = "metrics/data.json"
SWEPT = "metrics/sweep.json"
AUDIT = "stages/reporting/seed_report/audit.py"
INTERVAL = "[_low, _high]"


def _metric_columns(title: str) -> list[tuple[str, str, str, str]]:
    """Where the figures of one of the registry's tables come from."""
    return [
        (title, re.escape(column.heading), METHODS, f"<model>.{one.name}{INTERVAL}") for column, one in in_table(title)
    ]


def columns() -> tuple[tuple[str, str, str, str], ...]:
    """(heading, column, file, key) of every printed column of figures.

    The column is a regular expression that must match in full, and the first line that matches counts. A column of
    names, such as `model`, has no source. No heading: the tables of the opening.
    """
    return (
        ("", r"behaviour minus .*", ROWS, "clean, minus sft's on the same prompts"),
        ("", r"rule \d", "the columns beside it", "by the rules below the table"),
        ("", r"knowledge retention", METHODS, f"<model>.knowledge_retention{INTERVAL}"),
        ("What was compared", r"rows there", TRAIN, "rows_available"),
        ("What was compared", r"learning rate", "params.yaml", "profiles.<profile>.learning_rate.<model>"),
        ("What was compared", r"beta", "params.yaml", "train.<model>.beta"),
        (
            "What was compared",
            r"steps x rows",
            "params.yaml",
            "profiles.<profile>.<budget>.steps, .rows_per_step, .pairs_per_step",
        ),
        *_metric_columns(QUALITY),
        ("Differences", r"minus .*", "metrics/differences.json", "<metric>.<model>.<other>.mean, .low, .high"),
        ("Differences", r"against .*", "metrics/differences.json", "<metric>.<model>.<other>.win, .tie, .loss"),
        *(line for title in TABLES if title != QUALITY for line in _metric_columns(title)),
        ("Robustness over learning rate and beta", r"workable points|no number", SWEPT, "methods.<model>"),
        (
            "Robustness over learning rate and beta",
            r"best learning rate|its beta|exact match|behaviour rate",
            SWEPT,
            "methods.<model>.best",
        ),
        (
            "Robustness over learning rate and beta",
            r"learning rate .*",
            SWEPT,
            "points[].behaviour_rate, .knowledge_retention, .exact_match",
        ),
        ("Overlap with the references", r"(chrF\+\+|BLEU), .*", SUMMARY, "corpus.chrf, .bleu: <level>.mean"),
        ("Overlap with the references", r"ROUGE-L, .*", SUMMARY, "metrics.rouge_l.mean, .rouge_l_raw.mean"),
        ("Your own test files", r".*", SUMMARY, "own.<set>.metrics.<column>"),
        ("Seed by seed", r"containment|behaviour_rate|exact_match", SUMMARY, "metrics.<column>.per_seed, or mean"),
        ("Training", r"loss of", "params.yaml", "train.<model>.method"),
        ("Training", r"training time, s", TIMING, "seeds[].train_seconds"),
        ("Training", r"in all, s", TIMING, "seeds[].total_seconds"),
        ("Training", r"first loss", TRAIN, "loss_first"),
        ("Training", r"final loss", TRAIN, "loss_final"),
        ("Training", r"samples", TRAIN, "rows_available"),
        ("Training", r"epochs", TRAIN, "epochs"),
        ("Training", r"steps", TRAIN, "steps"),
        ("Training", r"rows seen", TRAIN, "rows_seen"),
        ("Training", r"tokens seen", TRAIN, "tokens_seen"),
        ("Training", r"efficiency", f"{TRAIN}, {TIMING}", "rows_available x epochs / seeds[].train_seconds"),
        ("Monitors", r"chosen, .*|rejected, .*|margin, nats|reward accuracy", TRAIN, "displacement"),
        ("Monitors", r"length over .*|repeats, .*|hedges, .*|stops .*", ROWS, "tokens, repeated, hedged, stopped"),
        ("Inference", r"(mean|median|p95), ms", BENCH, "latency_ms.mean, .p50, .p95"),
        ("Inference", r"inferences/s", BENCH, "inferences_per_second"),
        ("Inference", r"times as long", BENCH, "adapter_slowdown.median [.p25, .p75]"),
        ("Inference", r"tokens/s, \d+ at once", BENCH, "generation.<batch size>.tokens_per_second"),
        ("Inference", r"device", BENCH, "host.device"),
        ("Rankings", r"behaviour", ROWS, "clean"),
        ("Rankings", r"containment", ROWS, "contains"),
        ("Rankings", r"exact match", ROWS, "exact"),
        ("Rankings", r"training time|efficiency", TIMING, "seeds[].train_seconds"),
        ("Rankings", r"inference", BENCH, "adapter_slowdown.median"),
        ("Resources", r"peak memory training, MiB", TIMING, "seeds[].peak_memory_mib, the largest"),
        ("Resources", r"training time", TIMING, "seeds[].train_seconds, the mean"),
        ("Resources", r"tokens/s training", TIMING, "seeds[].tokens_per_second"),
        ("Resources", r"trainable parameters", TRAIN, "trainable_parameters"),
        ("Resources", r"peak memory inference, MiB", BENCH, "peak_memory_mib"),
        ("Resources", r"load", BENCH, "load_seconds"),
        ("Cost", r"tokens", TRAIN, "tokens_seen"),
        ("Cost", r"reference tokens", TRAIN, "reference_tokens"),
        ("Cost", r"6PT, TFLOP", f"{TRAIN}, {BENCH}", "6 x parameters x tokens_seen"),
        ("Cost", r"with LoRA, TFLOP", f"{TRAIN}, {BENCH}", "(4 x frozen + 6 x trainable) x tokens_seen"),
        ("Cost", r"GFLOP/s", f"{TRAIN}, {TIMING}, {BENCH}", "with LoRA x seeds[].tokens_per_second / tokens_seen"),
        ("Cost", r"measured peak, GFLOP/s", BENCH, "matmul_gflops"),
        ("Cost", r"share of peak", f"{TRAIN}, {TIMING}, {BENCH}", "GFLOP/s / matmul_gflops"),
        ("Cost", r"J/inference", BENCH, "joules_per_inference"),
        ("Cost", r"J/token, \d+ at once", BENCH, "generation.<batch size>.joules_per_token"),
        ("Data", r"train|validation|test", DATA, "prepared.<kind>.<split>, axes.<split>.<axis>"),
        ("Data", r"rows", DATA, "flaws, by_topic, raw.<file>.rows"),
        (
            "By task",
            r".* \(n=\d+\)",
            f"{SUMMARY}, {ROWS}",
            "by_task.<task>.exact, .contains; rows: contains by wording",
        ),
        ("By preference axis", r".* \(n=\d+\)", SUMMARY, "by_axis.<axis>.sum, .token"),
        ("The seed report, audited", r"time measured here", TIMING, "seeds[].train_seconds, the mean"),
        ("The seed report, audited", r"efficiency measured here", TIMING, "as under Training"),
        ("The seed report, audited", r"parameters", BENCH, "parameters"),
        ("The seed report, audited", r"prompt tokens", BENCH, "prompt_tokens"),
        ("The seed report, audited", r"GFLOP a pass", BENCH, "forward_gflop"),
        ("The seed report, audited", r"inferences/s", BENCH, "inferences_per_second"),
        ("The seed report, audited", r"peak GFLOP/s", BENCH, "matmul_gflops"),
        ("The seed report, audited", r"share of peak", BENCH, "share_of_peak"),
        (
            "The seed report, audited",
            r"time claimed|time behind.*|floor.*|claim is|arithmetic.*",
            AUDIT,
            "CLAIMS, RTX_3060",
        ),
    )


def column_source(headings: Sequence[str], column: str) -> str:
    """`file: key` of a column under the nearest of ``headings`` that knows it, or nothing for a column of names."""
    for heading in headings:
        for known, pattern, file, key in columns():
            if known == heading and re.fullmatch(pattern, column):
                return f"{file}: {key}"
    return ""


def columns_table() -> str:
    """Every mapping, for the page's last section; patterns are printed as they read."""
    rows = [
        [section or "the opening", shown(pattern), f"`{file}`", f"`{key}`"] for section, pattern, file, key in columns()
    ]
    return table(["section", "column", "file", "key"], rows, left=4)


def shown(pattern: str) -> str:
    """A pattern as words: alternatives with commas, placeholders as an ellipsis."""
    return re.sub(r"\.\*|\\d\+?", "…", pattern).replace("|", ", ").replace("\\", "")


def hashes_table(files: Sequence[Path]) -> str:
    """Raises PipelineError naming a file that is not there."""
    rows = [[f"`{file.as_posix()}`", written_by(file), f"`{md5(file)}`"] for file in files]
    return table(["read", "written by stage", "md5, as in dvc.lock"], rows, left=3)


STAGES = {"eval": "evaluate", "train": "train", "timing": "train", "bench": "benchmark"}  # by folder under metrics/


def written_by(file: Path) -> str:
    """The stage of dvc.yaml, one for each model in most folders."""
    if file.parent.name in STAGES:
        return "`reference`" if file == paths.timing("reference") else f"`{STAGES[file.parent.name]}@{file.stem}`"
    if file == paths.SWEEP:
        return "none: `arabic-qwen sweep`"
    return "`compare`" if file in (paths.METHODS_JSON, paths.DIFFERENCES) else "`prepare`"


def signatures_table(signatures: Mapping[str, str]) -> str:
    """What has to be equal for two figures to be comparable, metric by metric."""
    return table(["metric", "signature"], [[f"`{name}`", f"`{text}`"] for name, text in signatures.items()], left=2)


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
