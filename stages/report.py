"""Report: what was measured, in one page that a reader can check; a leaf, nothing depends on it.

Reads metrics/methods.json, metrics/eval/, metrics/train/, metrics/timing/, metrics/bench/, metrics/data.json and
data/prepared/generation.jsonl (the questions behind the answers shown).
Writes metrics/report/report.md and metrics/report/plots/*.png.

Every figure comes from those files; the sentences at the top follow from them by the rules printed below them. The
constants of the audit, with their sources, stand in stages/reporting/audit.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages import paths
from stages.errors import run_stage
from stages.files import Row, read_jsonl, replaced_folder, write_text
from stages.params import Params, SftMethod, load_params
from stages.reporting import inputs, sections
from stages.reporting.answers import answers_section
from stages.reporting.audit import audit
from stages.reporting.inputs import Bench, ReferencePass, Training
from stages.reporting.monitors import Watched, monitors, read_watched
from stages.reporting.opening import opening
from stages.reporting.plots import drawings
from stages.reporting.scores import Scores, read_scores

SEED_PLOTS = {
    "Training time": "training_time.png",
    "Final loss": "final_loss.png",
    "Efficiency": "efficiency.png",
    "Inference throughput": "inference_throughput.png",
}


@dataclass(frozen=True)
class Measured:
    """Everything that the report prints; ``training`` has no base, which is not trained with an adapter."""

    methods: dict[str, Row]
    summaries: dict[str, Row]
    scores: dict[str, Scores]
    training: dict[str, Training]
    curves: dict[str, list[tuple[int, float]]]
    watched: dict[str, Watched]
    references: list[ReferencePass]
    benches: dict[str, Bench]
    data: Row
    prompts: list[Row]


def read_measured(params: Params) -> Measured:
    """Raises PipelineError naming the first file or key that is missing."""
    trained = params.models[1:]
    return Measured(
        methods=inputs.read_methods(params.models),
        summaries={model: inputs.eval_summary(model)[1] for model in params.models},
        scores=read_scores(params.models),
        training={model: inputs.read_training(model) for model in trained},
        curves={model: inputs.loss_curve(model) for model in trained},
        watched=read_watched(params),
        references=inputs.read_reference_passes(),
        benches={model: inputs.read_bench(model) for model in params.models},
        data=inputs.read_object(paths.DATA_METRICS),
        prompts=read_jsonl(paths.GENERATION),
    )


def picture(title: str, name: str) -> str:
    return f"![{title}](plots/{name})"


def source(*files: str) -> str:
    """Provenance, printed under every section's heading."""
    return "<sub>from " + ", ".join(f"`{file}`" for file in files) + "</sub>"


EVAL, ROWS = "metrics/eval/<model>/summary.json", "metrics/eval/<model>/rows.jsonl"
TRAIN, TIMING, BENCH = "metrics/train/<model>/summary.json", "metrics/timing/<model>.json", "metrics/bench/<model>.json"


def not_measured(params: Params, found: Measured) -> str:
    """The limits of the evidence; what depends on the run is read from it."""
    devices = sorted({str(bench.host.get("device", "an unnamed device")) for bench in found.benches.values()})
    count = len(params.active.seeds)
    seeds = "one seed: the spread of training is unknown" if count == 1 else f"{count} seeds: a spread, not an interval"
    learning = "one learning rate and one budget for each method, chosen beforehand: a sweep could reorder them"
    return "\n".join(
        f"- {line}"
        for line in (
            f"Timings on anything but: {', '.join(devices)}. Energy, cost in money and several users at once.",
            f"The variance of training beyond {seeds}.",
            f"Other settings: {learning}.",
            "Other bases: the figures are those of the profile "
            f"`{params.profile}`; effect sizes need not carry over to a larger model.",
            "Human judgement of the answers: fluency, tone and usefulness are only approached by chrF++ and the axes.",
            "Dialects, long conversations, safety, and public Arabic benchmarks; the questions are this project's own.",
            "Flaws other than the planted: a *clean* answer has no hedge and no repetition, and may still be poor.",
        )
    )


def compose(params: Params, found: Measured) -> str:
    """The whole page."""
    methods = {model: params.train[model] for model in found.training}
    betas = {model: None if isinstance(method, SftMethod) else method.beta for model, method in methods.items()}
    seed_plots = "\n\n".join(picture(title, name) for title, name in SEED_PLOTS.items() if found.training)
    confidence = f"{params.evaluate.confidence * 100:g} %"
    parts = [
        f"# Five ways to teach Arabic, compared (profile `{params.profile}`)",
        opening(params, found.scores, found.methods, found.training, found.benches),
        "## Quality",
        source("metrics/methods.json"),
        f"In brackets: {confidence} bootstrap intervals over prompts. *Behaviour rate* is the share of answers without "
        "a planted flaw, *knowledge retention* the share of sft's contained facts that is kept.",
        sections.headline(found.methods),
        picture("Quality with intervals", "quality.png"),
        sections.further(found.methods),
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
        "## Monitors",
        source(TRAIN, ROWS),
        monitors(params, found.scores, found.watched),
        "## Inference",
        source(BENCH),
        sections.inference_table(found.benches),
        "## Rankings",
        source(ROWS, TIMING, BENCH),
        sections.rankings(params, found.scores, found.training, found.benches),
        "## Resources",
        source(TIMING, BENCH),
        sections.resources(params, found.training, found.benches),
        "## Data",
        source(str(paths.DATA_METRICS)),
        sections.data_overview(found.data),
        "## Plots",
        source(TRAIN, TIMING, BENCH),
        seed_plots,
        "### Learning curves",
        source("metrics/train/<model>/loss.tsv"),
        picture("Learning curves of the first seed", "learning_curves.png") if found.training else "",
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
        sections.by_group(found.summaries, "by_axis", ("sum", "token")),
        "## The seed report, audited",
        source("stages/reporting/audit.py", TRAIN, TIMING, BENCH),
        audit(found.training, found.benches, betas),
        "## What was not measured",
        not_measured(params, found),
        "## Where the figures come from",
        "Each section names its files under its heading. `dvc repro report` makes this page again from them, and "
        "`dvc dag` shows what made the files. Quality is the same on every run; timings belong to the machine named "
        "under Resources.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def draw_all(folder: Path, params: Params, found: Measured) -> None:
    losses = {model: params.train[model].method for model in found.training}
    plots = drawings(params.models, found.methods, found.training, found.benches, found.curves, losses)
    for name, draw in plots.items():
        draw(folder / name)


def main() -> None:
    params = load_params()
    found = read_measured(params)
    page = compose(params, found)
    with replaced_folder(paths.REPORT) as folder:
        draw_all(folder / "plots", params, found)
        write_text(folder / "report.md", page)
    print(f"report: {paths.REPORT / 'report.md'} and {len(list((paths.REPORT / 'plots').iterdir()))} plots")


if __name__ == "__main__":
    run_stage(main)
