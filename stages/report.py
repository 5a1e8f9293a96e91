"""Report: what was measured, in one page that a reader can check; a leaf, nothing depends on it.

Reads metrics/methods.json, metrics/eval/, metrics/train/, metrics/timing/, metrics/bench/, metrics/data.json and
data/prepared/generation.jsonl (the questions behind the answers shown).
Writes metrics/report/report.md, metrics/report/report.html (the same text, with every answer to search in),
metrics/report/plots/*.png, metrics/report/tables/*.csv (what `dvc plots show` draws of them) and
metrics/report/cards/<model>.md.

Every figure comes from those files; the sentences at the top follow from them by the rules printed below them. The
constants of the audit, with their sources, stand in stages/reporting/seed_report/audit.py, and what the seed report
says beside its timings in stages/reporting/seed_report/claims.py.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.comparison import measured, side_effects
from stages.comparison.measured import Bench, ReferencePass, Training
from stages.comparison.paired_scores import REFERENCE, Scores, places, read_scores
from stages.comparison.side_effects import Watched, read_watched
from stages.core import paths
from stages.core.errors import run_stage
from stages.core.files import Row, read_jsonl, replaced_folder, write_text
from stages.core.metrics import QUALITY, TABLES
from stages.core.params import Params, load_params
from stages.reporting import (
    cost,
    opening,
    page,
    plot_data,
    plot_tables,
    provenance,
    quality,
    recipes,
    rules,
    sections,
    tables,
)
from stages.reporting.answers import answers_section
from stages.reporting.cards import card
from stages.reporting.figures import FIGURES
from stages.reporting.monitors import monitors_table
from stages.reporting.page.explorer import explorer
from stages.reporting.plots import Material, drawings
from stages.reporting.seed_report.claims import seed_report
from stages.reporting.tables import Table
from stages.reporting.templates import Renderer


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


def compose(params: Params, found: Measured, drawn: Collection[str]) -> tuple[str, list[Table]]:
    """The whole text and the tables in it; ``drawn`` names the plots that there are."""
    renderer = Renderer()
    answer = opening.answer(renderer, params, found.scores, found.methods, found.training)
    exact = places(found.scores, "exact_match", params.evaluate)
    facts = {
        "params": params,
        "methods": found.methods,
        "confidence": f"{params.evaluate.confidence * 100:g} %",
        "reference": REFERENCE,
        "drawn": drawn,
        "figures": FIGURES,
        "answer": answer,
        "seed_report": seed_report(renderer, params, found.data, found.training, found.benches, answer, exact),
        **opening.evidence(params, found.scores, found.methods, found.training, found.benches, found.sweep),
        **quality_facts(params, found),
        **training_facts(params, found),
        **measured_facts(params, found),
        **{name: value for name, value in vars(tables).items() if name.isupper()},
    }
    return renderer.render("report.md", **facts) + "\n", renderer.tables


def quality_facts(params: Params, found: Measured) -> dict[str, Any]:
    """What was compared, and how good each model is."""
    return {
        "benches": found.benches,
        "scored_prompts": len(next(iter(found.scores.values())).prompts["behaviour_rate"]),
        "trained_parameters": sorted({one.trainable_parameters for one in found.training.values()}),
        "trainings": sum(len(one.seconds) for one in found.training.values()),
        "recipes_table": recipes.recipes_table(params, found.training),
        "metric_words": recipes.metric_words(),
        "headline": quality.metrics_table(QUALITY, found.methods, decimals=1),
        "constant_answerers": quality.constant_answerers(found.methods),
        "differences": quality.differences_tables(found.differences, params.models),
        "duels": quality.duels_tables(found.differences, params.models),
        "sweep": found.sweep,
        "sweep_table": quality.sweep_table(found.sweep, params.models) if found.sweep else "",
        "same_rates": quality.same_rates(found.sweep),
        "further": {title: quality.metrics_table(title, found.methods) for title in TABLES if title != QUALITY},
        "overlap": quality.overlap_table(found.summaries),
        "own_sets": quality.own_sets(found.summaries),
        "seeds_table": sections.seeds_table(found.summaries),
        "by_task": sections.by_group(found.summaries, "by_task", ("exact", "contains"), sections.BY_TASK),
        "by_axis": sections.by_group(found.summaries, "by_axis", ("sum", "token"), sections.BY_AXIS),
        "by_wording": sections.by_wording(found.scores),
    }


def training_facts(params: Params, found: Measured) -> dict[str, Any]:
    """What each training did and cost."""
    effects = side_effects.effects(params, found.scores)
    return {
        "training": found.training,
        "training_table": sections.training_table(params, found.training),
        "training_seconds": sum(sum(one.seconds) for one in found.training.values()),
        "references": found.references,
        "watched": found.watched,
        "effects": effects,
        "monitors_table": monitors_table(params, found.watched, effects),
        "monitor_rules": rules.printed(rules.MONITORS),
        "cost_table": cost.cost_table(found.training, found.benches, found.trained),
        "DENSE": cost.DENSE,
        "FROZEN": cost.FROZEN,
    }


def measured_facts(params: Params, found: Measured) -> dict[str, Any]:
    """Speed, machines, data, answers, and where all of it comes from."""
    benches = found.benches
    return {
        "inference_table": sections.inference_table(benches),
        "rankings_table": sections.rankings_table(params, found.scores, found.training, benches),
        "resources_table": sections.resources_table(params, found.training, benches),
        "machines": sections.machines(found.training, benches),
        "devices": sorted({str(bench.host.get("device", "an unnamed device")) for bench in benches.values()}),
        "processors": cost.processors(benches),
        "energy_table": cost.energy_table(benches),
        "data": sections.data_overview(found.data),
        "answers": answers_section(found.scores, found.prompts),
        "hashes": provenance.hashes_table(read_files(params)),
        "columns": provenance.columns_table(),
        "signatures": provenance.signatures_table(next(iter(found.summaries.values())).get("signatures", {})),
    }


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


def material(params: Params, found: Measured) -> Material:
    return Material(
        params=params,
        methods=found.methods,
        summaries=found.summaries,
        training=found.training,
        benches=found.benches,
        references=found.references,
        curves=found.curves,
        margins=plot_data.margin_curves(found.training),
        positions=plot_data.accuracy_by_position(params.models),
        sweep=plot_data.sweep_grid(found.sweep),
    )


def long_tables(found: Material) -> dict[str, str]:
    """{file name: CSV} of what `dvc plots show` draws; each is there, if with its header alone."""
    seconds = {
        name: plot_data.seconds_to(name, found.params, found.training, found.references) for name in found.training
    }
    return {
        "cost.csv": plot_tables.costs(found.training, found.benches),
        "cost_quality.csv": plot_tables.cost_quality(seconds, found.methods),
        "axes.csv": plot_tables.axes(found.summaries),
        "positions.csv": plot_tables.positions(found.positions),
    }


def main() -> None:
    params = load_params()
    found = read_measured(params)
    drawn = material(params, found)
    plots = drawings(drawn)
    text, printed = compose(params, found, plots)
    answers = explorer(found.scores, found.prompts)
    with replaced_folder(paths.REPORT) as folder:
        for name, draw in plots.items():
            draw(folder / "plots" / name)
        for name, table in long_tables(drawn).items():
            write_text(folder / "tables" / name, table)
        write_text(folder / "report.md", text)
        write_text(folder / "report.html", page.build(text, folder / "plots", answers, printed))
        for model in params.models:
            write_text(folder / "cards" / f"{model}.md", card(model, params, found.methods, found.training))
    print(f"report: {paths.REPORT}/report.md, report.html, {len(plots)} plots and {len(params.models)} model cards")


if __name__ == "__main__":
    run_stage(main, __doc__)
