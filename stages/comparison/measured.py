"""What other stages measured, read strictly: a missing file or key is a PipelineError that names the next step."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_json
from stages.core.params import Params
from stages.core.schema import BenchFile, ReferenceTiming, Summary, TimedPass, TrainSummary, TrainTiming
from stages.core.typed_files import read_typed


def need(row: Any, path: Path, *keys: str) -> Any:
    """``row[key][key]...``; raises PipelineError naming the file and the dotted key that is not there."""
    for depth, key in enumerate(keys):
        if not isinstance(row, dict) or key not in row:
            dotted = ".".join(keys[: depth + 1])
            raise PipelineError(f"{path}: the key {dotted!r} is missing: delete the file and run `dvc repro` again")
        row = row[key]
    return row


def read_object(path: Path) -> Row:
    value = read_json(path)
    if not isinstance(value, dict):
        raise PipelineError(f"{path}: a JSON object was expected, found {type(value).__name__}")
    return value


def eval_summary(model: str) -> Summary:
    return read_typed(paths.eval_metrics(model) / "summary.json", Summary)


def train_summary(model: str) -> TrainSummary:
    return read_typed(paths.train_metrics(model) / "summary.json", TrainSummary)


def loss_curve(model: str) -> list[tuple[int, float]]:
    """The (step, loss) points of ``metrics/train/<model>/loss.tsv``, which has at least one."""
    path = paths.train_metrics(model) / "loss.tsv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            points = [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file, delimiter="\t")]
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing: run `dvc repro train@{model}`, or `dvc pull {path.parent}`") from None
    except (KeyError, TypeError, ValueError) as error:
        raise PipelineError(f"{path}: columns 'step' and 'loss' with numbers were expected ({error!r})") from None
    if not points:
        raise PipelineError(f"{path} holds no step: run `dvc repro -f train@{model}`")
    return points


@dataclass(frozen=True)
class Training:
    """One training's cost and loss; ``seconds`` in optimizer steps and in all, for each seed of the timing file."""

    samples: int
    epochs: float
    rows_seen: int
    tokens_seen: int
    reference_tokens: int
    steps: int
    loss_first: float
    loss_final: float
    trainable_parameters: int
    seconds: tuple[float, ...]
    total_seconds: tuple[float, ...]
    tokens_per_second: tuple[float, ...]
    peak_memory_mib: float
    host: Row

    @property
    def mean_seconds(self) -> float:
        return sum(self.seconds) / len(self.seconds)

    @property
    def efficiencies(self) -> tuple[float, ...]:
        """The seed report's own definition, samples x epochs / seconds, for every seed."""
        return tuple(self.samples * self.epochs / seconds for seconds in self.seconds)

    @property
    def efficiency(self) -> float:
        return self.samples * self.epochs / self.mean_seconds


def train_timing(model: str) -> TrainTiming:
    """Raises PipelineError unless every seed took some time, and there is one."""
    path = paths.timing(model)
    timing = read_typed(path, TrainTiming)
    seconds = [seed["train_seconds"] for seed in timing["seeds"]]
    if not seconds:
        raise PipelineError(f"{path} holds no seed: run `dvc repro -f train@{model}`")
    if min(seconds) <= 0:
        raise PipelineError(f"{path}: a training of {min(seconds)} seconds: run `dvc repro -f train@{model}`")
    return timing


def read_training(model: str) -> Training:
    summary, timing = train_summary(model), train_timing(model)
    seeds = timing["seeds"]
    return Training(
        samples=summary["rows_available"],
        epochs=summary["epochs"],
        rows_seen=summary["rows_seen"],
        tokens_seen=summary["tokens_seen"],
        reference_tokens=summary["reference_tokens"],
        steps=summary["steps"],
        loss_first=summary["loss_first"],
        loss_final=summary["loss_final"],
        trainable_parameters=summary["trainable_parameters"],
        seconds=tuple(seed["train_seconds"] for seed in seeds),
        total_seconds=tuple(seed["total_seconds"] for seed in seeds),
        tokens_per_second=tuple(seed["tokens_per_second"] for seed in seeds),
        peak_memory_mib=max(seed["peak_memory_mib"] for seed in seeds),
        host=timing["host"],
    )


def read_reference_passes() -> list[TimedPass]:
    return read_typed(paths.timing("reference"), ReferenceTiming)["passes"]


@dataclass(frozen=True)
class Bench:
    """One model's speed on one machine; ``decoding`` is in tokens per second and ``joules`` per token, by batch size.

    ``slowdown`` is how many times as long a pass takes as with the adapter off: median, lower and upper quartile of
    pairs; None for the base. Energy is None where the machine shows no counter.
    """

    p50_ms: float
    p95_ms: float
    mean_ms: float
    inferences_per_second: float
    slowdown: tuple[float, float, float] | None
    decoding: dict[int, float]
    joules: dict[int, float | None]
    joules_per_inference: float | None
    load_seconds: float
    peak_memory_mib: float
    parameters: int
    prompt_tokens: int
    dtype: str
    matmul_gflops: float
    forward_gflop: float
    share_of_peak: float
    host: Row

    @property
    def times_as_long(self) -> float:
        """The median slowdown; 1 for the base."""
        return self.slowdown[0] if self.slowdown else 1.0


def read_bench(model: str) -> Bench:
    row = read_typed(paths.bench(model), BenchFile)
    slowdown, generation = row["adapter_slowdown"], row["generation"]
    return Bench(
        p50_ms=row["latency_ms"]["p50"],
        p95_ms=row["latency_ms"]["p95"],
        mean_ms=row["latency_ms"]["mean"],
        inferences_per_second=row["inferences_per_second"],
        slowdown=slowdown and (slowdown["median"], slowdown["p25"], slowdown["p75"]),
        decoding={int(size): speed["tokens_per_second"] for size, speed in generation.items()},
        joules={int(size): speed.get("joules_per_token") for size, speed in generation.items()},
        joules_per_inference=row.get("joules_per_inference"),
        load_seconds=row["load_seconds"],
        peak_memory_mib=row["peak_memory_mib"],
        parameters=row["parameters"],
        prompt_tokens=row["prompt_tokens"],
        dtype=row["dtype"],
        matmul_gflops=row["matmul_gflops"],
        forward_gflop=row["forward_gflop"],
        share_of_peak=row["share_of_peak"],
        host=row["host"],
    )


def read_methods(models: tuple[str, ...]) -> dict[str, Row]:
    """``metrics/methods.json`` for the models of params.yaml; raises PipelineError when one has no row."""
    table = read_object(paths.METHODS_JSON)
    for model in models:
        if model not in table:
            raise PipelineError(f"{paths.METHODS_JSON} has no row for {model!r}: run `dvc repro compare`")
    return {model: table[model] for model in models}


def controls(params: Params) -> list[str]:
    """SFT continued from an adapter: what a preference method has to beat."""
    return [m for m in params.models[1:] if params.train[m].method == "sft" and params.train[m].init != "models/base"]


def preference_methods(params: Params) -> list[str]:
    return [m for m in params.models[1:] if params.train[m].method != "sft"]
