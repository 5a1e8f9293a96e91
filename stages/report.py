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

from stages.comparison import measured
from stages.comparison.measured import Bench, ReferencePass, Training
from stages.comparison.paired_scores import Scores, places, read_scores
from stages.core import paths
from stages.core.errors import run_stage
from stages.core.files import Row, read_jsonl, replaced_folder, write_text
from stages.core.params import Params, SftMethod, load_params
from stages.reporting import page, plot_data, plot_tables, provenance, quality, recipes, sections
from stages.reporting.answers import answers_section
from stages.reporting.cards import card
from stages.reporting.cost import cost
from stages.reporting.figures import FIGURES
from stages.reporting.monitors import Watched, monitors, read_watched
from stages.reporting.page.explorer import explorer
from stages.reporting.plots import Material, drawings
from stages.reporting.recommendation import uses
from stages.reporting.seed_report import claims
from stages.reporting.seed_report.audit import audit
from stages.reporting.tables import folded
from stages.reporting.verdict import opening

TRAINING_PLOTS = ("training_time.png", "final_loss.png", "efficiency.png")


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


def picture(name: str, drawn: Collection[str]) -> str:
    """A plot by its file name, or nothing where there was nothing to draw."""
    return f"![{FIGURES[name].title}](plots/{name})" if name in drawn else ""


def shown_section(heading: str, name: str, drawn: Collection[str], *files: str) -> list[str]:
    """A heading, its source and one plot, or nothing at all."""
    return [heading, source(*files), picture(name, drawn)] if name in drawn else []


def source(*files: str) -> str:
    """Provenance, printed under every section's heading."""
    return "<sub>from " + ", ".join(f"`{file}`" for file in files) + "</sub>"


EVAL, ROWS = "metrics/eval/<model>/summary.json", "metrics/eval/<model>/rows.jsonl"
TRAIN, TIMING, BENCH = "metrics/train/<model>/summary.json", "metrics/timing/<model>.json", "metrics/bench/<model>.json"


def not_measured(params: Params, found: Measured) -> str:
    """The limits of the evidence; what depends on the run is read from it."""
    devices = sorted({str(bench.host.get("device", "an unnamed device")) for bench in found.benches.values()})
    count = len(params.active.seeds)
    seeds = (
        "one seed: the spread of training is unknown"
        if count == 1
        else f"{count} seeds: intervals count their spread, but so few show no tails"
    )
    learning = "one learning rate, one beta and one budget for each method"
    learning += "; the sweep tried others on validation prompts, with one seed" if found.sweep else ""
    energy = any(bench.joules_per_inference is not None for bench in found.benches.values())
    return "\n".join(
        f"- {line}"
        for line in (
            f"Timings on anything but: {', '.join(devices)}. {'Energy of training' if energy else 'Energy'}, cost in "
            "money and several users at once.",
            f"The variance of training beyond {seeds}.",
            f"Other settings: {learning}.",
            "Other bases: the figures are those of the profile "
            f"`{params.profile}`; effect sizes need not carry over to a larger model.",
            "Human judgement of the answers: fluency, tone and usefulness are only approached by chrF++ and the axes.",
            "Long conversations, and public Arabic benchmarks; the questions, safety and dialect sets are this "
            "project's own, and safety is judged by which of two given answers is more probable.",
            "Flaws other than the planted: a *clean* answer has no hedge and no repetition, and may still be poor.",
        )
    )


def compose(params: Params, found: Measured, drawn: Collection[str]) -> str:
    """The whole text; ``drawn`` names the plots that there are."""
    methods = {model: params.train[model] for model in found.training}
    betas = {model: None if isinstance(method, SftMethod) else method.beta for model, method in methods.items()}
    scored = len(next(iter(found.scores.values())).prompts["behaviour_rate"])
    answer = uses(params, found.scores, found.methods, found.training)
    exact = places(found.scores, "exact_match", params.evaluate)
    duels = quality.duels_table(found.differences, params.models)
    signatures = next(iter(found.summaries.values())).get("signatures", {})
    own, overlap = quality.own_sets(found.summaries), quality.overlap_table(found.summaries)
    confidence = f"{params.evaluate.confidence * 100:g} %"
    parts = [
        f"# Five ways to teach Arabic, compared (profile `{params.profile}`)",
        opening(params, found.scores, found.methods, found.training, found.benches, found.sweep),
        "## What was compared",
        source("params.yaml", TRAIN, BENCH),
        recipes.machinery(params, found.training, found.benches, scored),
        recipes.recipes(params, found.training),
        "### Words of this page",
        recipes.words_used(),
        "## Quality",
        source("metrics/methods.json"),
        f"In brackets: {confidence} bootstrap intervals over prompts and seeds.",
        quality.headline(found.methods),
        picture("quality.png", drawn),
        *shown_section("### Quality against training cost", "cost_quality.png", drawn, str(paths.METHODS_JSON), TIMING),
        *shown_section("### Accuracy by position", "positions.png", drawn, ROWS),
        "### Differences",
        source(str(paths.DIFFERENCES)),
        quality.differences_tables(found.differences, params.models),
        *([folded("Answer against answer", duels)] if duels else []),
        *shown_section("### Robustness over learning rate and beta", "robustness.png", drawn, str(paths.SWEEP)),
        quality.sweep_table(found.sweep, params.models) if found.sweep else "",
        quality.same_rates(found.sweep),
        quality.further(found.methods),
        *(["### Overlap with the references", source(EVAL), overlap] if overlap else []),
        "### Seed by seed",
        source(EVAL),
        sections.seeds(params, found.summaries),
        "## Training",
        source(TRAIN, TIMING),
        sections.training_table(params, found.training),
        f"Efficiency is samples x epochs / seconds, the seed report's definition; a pair counts as one sample. "
        "Training time is spent in optimizer steps; *in all* adds loading and saving. "
        f"In brackets: the range over seeds. {sections.LOSS_NOTE}",
        sections.reference_cost(found.references),
        *(picture(name, drawn) for name in TRAINING_PLOTS),
        *shown_section("### Learning curves", "learning_curves.png", drawn, "metrics/train/<model>/loss.tsv"),
        "## Monitors",
        source(TRAIN, ROWS),
        monitors(params, found.scores, found.watched),
        *shown_section("### Margins and displacement", "margins.png", drawn, "metrics/train/<model>/plots/metrics"),
        "## Inference",
        source(BENCH),
        sections.inference_table(found.benches),
        picture("inference_throughput.png", drawn),
        "## Rankings",
        source(ROWS, TIMING, BENCH),
        sections.rankings(params, found.scores, found.training, found.benches),
        "## Resources",
        source(TRAIN, TIMING, BENCH),
        sections.resources(params, found.training, found.benches),
        "## Cost",
        source(TRAIN, TIMING, BENCH),
        cost(found.training, found.benches, found.trained) if found.training else "",
        "## Data",
        source(str(paths.DATA_METRICS)),
        sections.data_overview(found.data),
        "## Answers side by side",
        source(str(paths.GENERATION), ROWS),
        answers_section(found.scores, found.prompts),
        "## By task",
        source(EVAL),
        "Exact match / containment, in percent; open prompts have no fact to check.",
        sections.by_group(found.summaries, "by_task", ("exact", "contains")),
        source(ROWS),
        "Containment by the question's wording:",
        sections.by_wording(found.scores),
        "## By preference axis",
        source(EVAL),
        "Share of pairs whose preferred answer is the more probable, by its sum / by its mean per token, in percent.",
        picture("preference_axes.png", drawn),
        sections.by_group(found.summaries, "by_axis", ("sum", "token")),
        *(["## Your own test files", source(EVAL), own] if own else []),
        "## The seed report, audited",
        source(
            "stages/reporting/seed_report/audit.py",
            "stages/reporting/seed_report/claims.py",
            TRAIN,
            TIMING,
            BENCH,
            str(paths.DATA_METRICS),
        ),
        audit(found.training, found.benches, betas),
        "### Its other claims",
        claims.other_claims(found.training),
        "### Its recommendations by use case",
        claims.recommendations(answer, claims.throughput(found.benches), exact),
        "### What it asked for next",
        claims.asked_for(found.data, params),
        "## What was not measured",
        not_measured(params, found),
        "## Where the figures come from",
        "Each section names its files under its heading. `dvc repro report` makes this page again from them, and "
        "`dvc dag` shows what made the files. Quality is the same on every run; timings belong to the machine named "
        "under Resources.",
        "### Files",
        "The hash is that of what was read, computed as DVC does: `grep <hash> dvc.lock` finds the stage that wrote "
        "it. `dvc.lock` itself is not read, since DVC rewrites it after every stage while this one waits for its turn.",
        folded("Hashes", provenance.hashes_table(read_files(params))),
        "### Columns",
        folded("File and key of every column", provenance.columns_table()),
        "### Signatures",
        folded("Signature of every metric", provenance.signatures_table(signatures)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


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
    plots, tables = drawings(drawn), long_tables(drawn)
    text = compose(params, found, plots)
    with replaced_folder(paths.REPORT) as folder:
        for name, draw in plots.items():
            draw(folder / "plots" / name)
        for name, table in tables.items():
            write_text(folder / "tables" / name, table)
        write_text(folder / "report.md", text)
        write_text(folder / "report.html", page.build(text, folder / "plots", explorer(found.scores, found.prompts)))
        for model in params.models:
            write_text(folder / "cards" / f"{model}.md", card(model, params, found.methods, found.training))
    print(f"report: {paths.REPORT}/report.md, report.html, {len(plots)} plots and {len(params.models)} model cards")


if __name__ == "__main__":
    run_stage(main, __doc__)
