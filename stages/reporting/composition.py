"""The text of report.md: facts and tables, section by section, for the words of `templates/report.md.j2`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from stages.comparison import side_effects
from stages.comparison.paired_scores import REFERENCE, places
from stages.core.metrics import QUALITY, TABLES
from stages.core.params import Params
from stages.reporting import cost, opening, own_sets, provenance, quality, recipes, rules, sections, tables
from stages.reporting.answers import answers_section
from stages.reporting.figures import FIGURES
from stages.reporting.inputs import Measured, read_files
from stages.reporting.monitors import monitors_table
from stages.reporting.seed_report.claims import seed_report
from stages.reporting.tables import Table
from stages.reporting.templates import Renderer


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
        "own_sets": own_sets.own_sets(found.summaries),
        "seeds_table": sections.seeds_table(found.summaries),
        "by_task": sections.by_group(found.grouped("by_task"), ("exact", "contains"), sections.BY_TASK),
        "by_axis": sections.by_group(found.grouped("by_axis"), ("sum", "token"), sections.BY_AXIS),
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
        "cost_table": cost.cost_table(found.training, found.benches),
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
        "signatures": provenance.signatures_table(next(iter(found.summaries.values()))["signatures"]),
    }
