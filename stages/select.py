"""Select: one model's row, under the same short names for every model, so that `dvc exp show` is one readable table.

Reads metrics/methods.json, metrics/timing/<model>.json and metrics/bench/<model>.json.
Writes metrics/selected.json (quality) and metrics/selected_speed.json (cost; the figures of one machine).

The short names of the metrics are in stages/core/metrics.py. The speeds are
    train_s  optimizer steps only, mean over seeds
    tok_s    tokens decoded a second, one sequence
    p50_ms   one prompt, one forward pass, median

The keys never vary. What was not measured is null (the base is not trained here, so it has no train_s), never 0:
DVC leaves a null out of its table and prints "-" in that cell, while a 0 would be sorted as the fastest training.
"""

from __future__ import annotations

import argparse
import sys

from stages.core.process import as_a_module

if __name__ == "select":  # `python stages/<stage>.py` finds this file where it asks for the standard library's `select`
    sys.exit(f"error: {as_a_module(sys.argv[0])}")

from stages.comparison.measured import need, read_bench, read_methods, train_timing
from stages.core import paths
from stages.core.errors import PipelineError, run_stage
from stages.core.files import Row, write_json
from stages.core.metrics import in_methods
from stages.core.params import load_params

DECIMALS = 4  # what a column of 100 characters' share can show, and more than the intervals justify


def short(value: float | None) -> float | None:
    return None if value is None else round(float(value), DECIMALS)


def short_names() -> dict[str, str]:
    """{short name: metric} of the columns of quality."""
    return {one.short: one.name for one in in_methods() if one.short}


def quality(row: Row) -> Row:
    """A row of methods.json under the short names."""
    return {key: short(need(row, paths.METHODS_JSON, name)) for key, name in short_names().items()}


def train_seconds(model: str) -> float | None:
    """Mean over seeds of the seconds spent in optimizer steps; None for the base."""
    if model == "base":
        return None
    seeds = train_timing(model)["seeds"]
    return sum(seed["train_seconds"] for seed in seeds) / len(seeds)


def speed(model: str) -> Row:
    bench = read_bench(model)
    return {
        "train_s": short(train_seconds(model)),
        "tok_s": short(bench.decoding.get(1)),
        "p50_ms": short(bench.p50_ms),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Copy one model's figures to metrics/selected.json.")
    parser.add_argument("model", help="a name of params.yaml: models")
    model = parser.parse_args().model
    models = load_params().models
    if model not in models:
        raise PipelineError(f"{model!r} is not one of params.yaml: models ({', '.join(models)})")
    row = quality(read_methods(models)[model])
    write_json(paths.SELECTED, row)
    write_json(paths.SELECTED_SPEED, speed(model))
    print(f"{model}: " + ", ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    run_stage(main)
