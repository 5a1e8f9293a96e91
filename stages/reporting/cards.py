"""Model cards in the form of the Hugging Face hub, one a model, with the figures of metrics/methods.json.

The header's keys are the hub's (https://huggingface.co/docs/hub/model-cards#model-card-metadata); `base_model` names a
hub repository, so that a base trained or kept on this disk has none.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML

from stages.comparison.measured import Training
from stages.core import paths
from stages.core.files import Row
from stages.core.licences import Verdict
from stages.core.metrics import Metric, as_in_report
from stages.core.params import HubBase, LocalBase, Params, SftMethod
from stages.core.schema import Trained
from stages.reporting.quality import shown
from stages.reporting.tables import METHODS, Column, Table, integer, significant
from stages.reporting.templates import Renderer
from stages.reporting.trained_on import licence, licence_of, sources_table, taught


def on_card() -> list[Metric]:
    """The metrics of the card: shares first, each in the order of the report."""
    found = [one for _, one in as_in_report() if one.on_card]
    return sorted(found, key=lambda one: one.unit != "share")


OLDEST_PEFT = "0.11"  # whose LoraConfig has read an adapter_config.json of ours


def results(model: str, params: Params, row: Row) -> Row:
    """One entry of the hub's `model-index`, whose values are ours, in our units; what was not measured stays out.

    The hub has no field for an interval, so that it stands in the metric's name, which the hub shows beside the value.
    """
    metrics = [
        {"type": metric.name, "name": named(metric, row, params), "value": row[metric.name]}
        for metric in on_card()
        if row[metric.name] is not None
    ]
    dataset = {"name": f"held-out prompts, profile {params.profile}", "type": "held-out"}
    return {"name": model, "results": [{"task": {"type": "text-generation"}, "dataset": dataset, "metrics": metrics}]}


def named(metric: Metric, row: Row, params: Params) -> str:
    """What a metric means, with the interval of its value where there is one."""
    low, high = row.get(f"{metric.name}_low"), row.get(f"{metric.name}_high")
    if low is None or high is None:
        return metric.definition
    return f"{metric.definition} ({params.evaluate.confidence * 100:g} % interval: {low:g} to {high:g})"


def header(model: str, params: Params, terms: Verdict, index: Row | None = None) -> str:
    """The YAML between the dashes; a licence that is "other" has its name beside it, as the hub asks."""
    base = params.active.base
    method = None if model == "base" else params.train[model].method
    fields: Row = {"language": ["ar"], "license": terms.identifier}
    if terms.identifier == "other":
        fields["license_name"] = terms.name
    fields["pipeline_tag"] = "text-generation"
    if method is not None:
        fields["library_name"] = "peft"
        if isinstance(base, HubBase):
            fields |= {"base_model": base.id, "base_model_relation": "adapter"}
    elif not isinstance(base, HubBase):
        fields["library_name"] = "transformers"
    fields["tags"] = ["arabic", *(["lora", method] if method is not None else ["base"])]
    if index is not None:
        fields["model-index"] = [index]
    text = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(fields, text)
    return text.getvalue().strip()


def training_table(model: str, params: Params, training: Training) -> Table:
    method, budget = params.train[model], params.budget(model)
    settings = {
        "method": method.method.upper(),
        "start": f"`{method.init}`",
        "data": f"`data/prepared/{method.data}/train.jsonl`",
        "beta": "none" if isinstance(method, SftMethod) else f"{method.beta:g}",
        "learning rate": f"{budget.learning_rate:g}",
        "steps x rows": f"{budget.steps} x {budget.rows_per_step}",
        "LoRA rank, alpha": f"{params.lora.rank}, {params.lora.alpha}",
        "trainable parameters": integer(training.trainable_parameters),
        "tokens seen": integer(training.tokens_seen),
        "loss, first and final": f"{significant(training.loss_first)}, {significant(training.loss_final)}",
        "seeds": ", ".join(map(str, params.active.seeds)),
    }
    return Table(["setting", "value"], [[name, value] for name, value in settings.items()])


FIGURES = (Column("value", METHODS, "<model>.<key>"), Column("key", METHODS, "<model>"))


def figures_table(row: Row) -> Table:
    """``row`` is the model's in metrics/methods.json."""
    rows = []
    for metric in on_card():
        name = metric.name
        value = shown(metric, row[name], row.get(f"{name}_low"), row.get(f"{name}_high"))
        rows.append([metric.definition, value, f"`{name}`"])
    return Table(["measured", *FIGURES], rows)


def places(model: str, params: Params, published: str = "") -> dict[str, str]:
    """Where the code of a card loads the tokenizer, the base and the adapter from."""
    base = params.active.base
    folder = published or paths.model(model).as_posix()
    found = {"folder": folder, "tokenizer": paths.BASE.as_posix() if model == "base" else folder}
    found |= {"source": paths.BASE.as_posix(), "revision": "", "subfolder": ""}
    if isinstance(base, HubBase):
        return found | {"source": base.id, "revision": base.revision}
    if published and isinstance(base, LocalBase):
        return found | {"source": Path(base.path).name}
    return found | ({"source": published, "subfolder": "base"} if published else {})


def card(
    model: str,
    params: Params,
    methods: Mapping[str, Row],
    training: Mapping[str, Training],
    data: Trained,
    published: str = "",
) -> str:
    """One card; the base has no training section. ``data`` is metrics/data.json.

    ``published``: the name of the folder that leaves this repository.
    """
    rows = taught(model, params, data)
    terms = licence(params, rows)
    index = results(model, params, methods[model]) if published else None
    text = Renderer().render(
        "card.md",
        model=model,
        params=params,
        OLDEST_PEFT=OLDEST_PEFT,
        confidence=f"{params.evaluate.confidence * 100:g} %",
        header=header(model, params, terms, index),
        sources_table=sources_table(rows) if rows else "",
        terms=terms,
        licence_of_base=licence_of(params.active.base),
        training_table=training_table(model, params, training[model]) if model in training else "",
        figures_table=figures_table(methods[model]),
        **places(model, params, published),
    )
    return text + "\n"
