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
from stages.core.metrics import Metric, as_in_report
from stages.core.params import HubBase, LocalBase, Params, PretrainBase, SftMethod
from stages.reporting.quality import shown
from stages.reporting.tables import integer, significant, table


def on_card() -> list[Metric]:
    """The metrics of the card: shares first, each in the order of the report."""
    found = [one for _, one in as_in_report() if one.on_card]
    return sorted(found, key=lambda one: one.unit != "share")


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


def header(model: str, params: Params, index: Row | None = None) -> str:
    """The YAML between the dashes."""
    base = params.active.base
    method = None if model == "base" else params.train[model].method
    own = "other" if isinstance(base, LocalBase) else "apache-2.0"
    fields: Row = {"language": ["ar"], "license": own, "pipeline_tag": "text-generation"}
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
    return f"---\n{text.getvalue()}---"


def described_base(params: Params) -> str:
    base = params.active.base
    if isinstance(base, HubBase):
        return f"[{base.id}](https://huggingface.co/{base.id}/tree/{base.revision}) at commit `{base.revision}`"
    if isinstance(base, LocalBase):
        return f"a model on the disk of whoever trained it, `{Path(base.path).name}`"
    assert isinstance(base, PretrainBase)
    return (
        "the small Arabic base of this project (Qwen3 architecture, "
        f"{base.layers} layers of width {base.hidden}, {base.vocabulary:,} tokens), trained from scratch on its corpus"
    )


def training_lines(model: str, params: Params, training: Training) -> str:
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
    return table(["setting", "value"], [[name, value] for name, value in settings.items()], left=2)


def figures(row: Row) -> str:
    rows = []
    for metric in on_card():
        name = metric.name
        value = shown(metric, row[name], row.get(f"{name}_low"), row.get(f"{name}_high"))
        rows.append([metric.definition, value, f"`{name}`"])
    return table(["measured", "value", "key"], rows)


def usage(model: str, params: Params, published: str = "") -> str:
    base = params.active.base
    folder = published or paths.model(model).as_posix()
    source, revision = paths.BASE.as_posix(), ""
    if isinstance(base, HubBase):
        source, revision = base.id, f', revision="{base.revision}"'
    elif published and isinstance(base, LocalBase):
        source = Path(base.path).name
    elif published:
        source, revision = published, ', subfolder="base"'
    lines = ["from transformers import AutoModelForCausalLM, AutoTokenizer"]
    if model != "base":
        lines.append("from peft import PeftModel")
    tokenizer = paths.BASE.as_posix() if model == "base" else folder
    lines += [
        "",
        f'tokenizer = AutoTokenizer.from_pretrained("{tokenizer}")',
        f'model = AutoModelForCausalLM.from_pretrained("{source}"{revision})',
    ]
    if model != "base":
        lines.append(f'model = PeftModel.from_pretrained(model, "{folder}")')
    return "```python\n" + "\n".join(lines) + "\n```"


def card(
    model: str, params: Params, methods: Mapping[str, Row], training: Mapping[str, Training], published: str = ""
) -> str:
    """One card; the base has no training section. ``published``: the name of the folder that leaves this repository."""
    what = "The base" if model == "base" else f"A LoRA adapter, trained with {params.train[model].method.upper()},"
    confidence = f"{params.evaluate.confidence * 100:g} %"
    parts = [
        header(model, params, results(model, params, methods[model]) if published else None),
        f"# arabic-qwen, `{model}` (profile `{params.profile}`)",
        f"{what} of {described_base(params)}."
        if model != "base"
        else f"The start of every method compared here: {described_base(params)}.",
        "## Use",
        usage(model, params, published),
    ]
    if model != "base":
        parts += ["## Training", training_lines(model, params, training[model])]
    parts += [
        "## Results",
        f"From `{paths.METHODS_JSON}`, row `{model}`; in brackets {confidence} bootstrap intervals over prompts and "
        "seeds. The questions are this project's own, and `metrics/report/report.md` compares all models on them.",
        figures(methods[model]),
        "## Limits",
        "The figures hold for this base, this data and this budget. Answers can be wrong, and nothing here measured "
        "human judgement. Text of the model is not to be taken for fact without checking."
        + (" The base's licence is its owner's." if isinstance(params.active.base, LocalBase) else ""),
    ]
    return "\n\n".join(parts) + "\n"
