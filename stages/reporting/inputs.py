"""What the report is made of, read at once and strictly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.comparison import measured
from stages.comparison.measured import Bench, ReferencePass, Training
from stages.comparison.paired_scores import Scores, read_scores
from stages.comparison.side_effects import Watched, read_watched
from stages.core import paths
from stages.core.files import Row, read_jsonl
from stages.core.params import Params
from stages.reporting import plot_data


@dataclass(frozen=True)
class Measured:
    """Everything that the report prints; ``training`` has no base, which is not trained with an adapter."""

    methods: dict[str, Row]
    summaries: dict[str, Row]
    trained: dict[str, Row]
    scores: dict[str, Scores]
    training: dict[str, Training]
    curves: dict[str, list[tuple[int, float]]]
    watched: dict[str, Watched]
    references: list[ReferencePass]
    benches: dict[str, Bench]
    data: Row
    differences: Row
    sweep: Row
    prompts: list[Row]


def read_measured(params: Params) -> Measured:
    """Raises PipelineError naming the first file or key that is missing."""
    trained = params.models[1:]
    return Measured(
        methods=measured.read_methods(params.models),
        summaries={model: measured.eval_summary(model)[1] for model in params.models},
        scores=read_scores(params.models),
        trained={model: measured.train_summary(model)[1] for model in trained},
        training={model: measured.read_training(model) for model in trained},
        curves={model: measured.loss_curve(model) for model in trained},
        watched=read_watched(params),
        references=measured.read_reference_passes(),
        benches={model: measured.read_bench(model) for model in params.models},
        data=measured.read_object(paths.DATA_METRICS),
        differences=measured.read_object(paths.DIFFERENCES),
        sweep=plot_data.read_sweep(params.profile),
        prompts=read_jsonl(paths.GENERATION),
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
