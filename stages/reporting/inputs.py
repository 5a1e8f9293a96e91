"""What the report is made of, read at once and strictly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stages.comparison import measured
from stages.comparison.measured import Bench, Training
from stages.comparison.paired_scores import Scores, read_scores
from stages.comparison.side_effects import Watched, read_watched
from stages.core import paths
from stages.core.files import Row
from stages.core.params import Params
from stages.core.schema import DataCounts, Differences, GenerationRow, Summary, Sweep, TimedPass
from stages.core.typed_files import read_typed, read_typed_lines
from stages.reporting import plot_data


@dataclass(frozen=True)
class Measured:
    """Everything that the report prints; ``training`` has no base, which is not trained with an adapter."""

    methods: dict[str, Row]
    summaries: dict[str, Summary]
    scores: dict[str, Scores]
    training: dict[str, Training]
    curves: dict[str, list[tuple[int, float]]]
    watched: dict[str, Watched]
    references: list[TimedPass]
    benches: dict[str, Bench]
    data: DataCounts
    differences: Differences
    sweep: Sweep | None
    prompts: list[GenerationRow]

    def grouped(self, by: Literal["by_task", "by_axis"]) -> dict[str, dict[str, dict[str, float | None]]]:
        """{model: {task or axis: {name: value}}}."""
        return {model: summary[by] for model, summary in self.summaries.items()}


def read_measured(params: Params) -> Measured:
    """Raises PipelineError naming the first file or key that is missing."""
    trained = params.models[1:]
    return Measured(
        methods=measured.read_methods(params.models),
        summaries={model: measured.eval_summary(model) for model in params.models},
        scores=read_scores(params.models),
        training={model: measured.read_training(model) for model in trained},
        curves={model: measured.loss_curve(model) for model in trained},
        watched=read_watched(params),
        references=measured.read_reference_passes(),
        benches={model: measured.read_bench(model) for model in params.models},
        data=read_typed(paths.DATA_METRICS, DataCounts),
        differences=read_typed(paths.DIFFERENCES, Differences),
        sweep=plot_data.read_sweep(params.profile),
        prompts=read_typed_lines(paths.GENERATION, GenerationRow),
    )


def read_files(params: Params) -> list[Path]:
    """What the report is made of, as dvc.yaml names it."""
    trained = params.models[1:]
    return [
        paths.METHODS_JSON,
        paths.DIFFERENCES,
        paths.DATA_METRICS,
        paths.GENERATION,
        *(paths.eval_metrics(model) for model in params.models),
        *(paths.train_metrics(model) for model in trained),
        *(paths.timing(model) for model in ("reference", *trained)),
        *(paths.bench(model) for model in params.models),
        *([paths.SWEEP] if paths.SWEEP.exists() else []),
    ]
