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

from stages.core import paths
from stages.core.errors import run_stage
from stages.core.files import replaced_folder, write_text
from stages.core.params import Params, load_params
from stages.reporting import page, plot_data, plot_tables
from stages.reporting.cards import card
from stages.reporting.composition import compose
from stages.reporting.inputs import Measured, read_measured
from stages.reporting.page.explorer import explorer
from stages.reporting.plots import Material, drawings


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
            write_text(folder / "cards" / f"{model}.md", card(model, params, found.methods, found.training, found.data))
    print(f"report: {paths.REPORT}/report.md, report.html, {len(plots)} plots and {len(params.models)} model cards")


if __name__ == "__main__":
    run_stage(main, __doc__)
