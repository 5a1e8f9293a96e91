"""What was compared, before any figure: each model's recipe, and what the registry's metrics mean."""

from __future__ import annotations

from collections.abc import Mapping

from stages.comparison.measured import Training
from stages.core.metrics import as_in_report
from stages.core.params import Params, SftMethod, TrainMethod
from stages.reporting.tables import NONE, TRAIN, Column, Table, integer, rate

LOSSES = {
    "sft": "imitates the answers",
    "dpo": "direct preference optimisation: moves the chosen answer above the rejected one, relative to its start",
    "ipo": "identity preference optimisation: as DPO, towards a fixed margin between the two",
    "kto": "Kahneman-Tversky optimisation: single answers marked good or bad, relative to its start",
    "cpo": "contrastive preference optimisation: the chosen above the rejected, and imitates the chosen",
}
DATA = {
    "sft": "instructions with answers, some with a planted flaw",
    "pairs": "pairs of a chosen and a rejected answer",
    "unpaired": "single answers, marked good or bad",
}


def purpose(model: str, method: TrainMethod) -> str:
    """In words; a control is SFT that starts from an adapter."""
    if not isinstance(method, SftMethod):
        return LOSSES[method.method]
    if method.init == "models/base":
        return f"supervised fine-tuning: {LOSSES['sft']}"
    if method.data == "sft":
        return "control: SFT continued on the same rows, without any feedback"
    return "control: SFT on the chosen answers alone, without a preference loss"


ROWS_THERE = Column("rows there", TRAIN, "rows_available")
RATE = Column("learning rate", "params.yaml", "profiles.<profile>.learning_rate.<model>")
BETA = Column("beta", "params.yaml", "train.<model>.beta")
BUDGET = Column("steps x rows", "params.yaml", "profiles.<profile>.<budget>.steps, .rows_per_step, .pairs_per_step")
RECIPES = (ROWS_THERE, RATE, BETA, BUDGET)


def recipes_table(params: Params, training: Mapping[str, Training]) -> Table:
    rows = [["base", "the start of `sft`", NONE, "prose", NONE, NONE, NONE, NONE]]
    for model, one in training.items():
        method, budget = params.train[model], params.budget(model)
        rows.append(
            [
                model,
                purpose(model, method),
                method.init.removeprefix("models/"),
                DATA[method.data],
                integer(one.samples),
                rate(budget.learning_rate),
                NONE if isinstance(method, SftMethod) else f"{method.beta:g}",
                f"{budget.steps} x {budget.rows_per_step}",
            ]
        )
    return Table(["model", "what it does", "starts on", "trains on", *RECIPES], rows)


def metric_words() -> dict[str, str]:
    """{heading: meaning} of the metrics that the registry explains among the words of the page."""
    return dict(sorted((place.heading, one.glossary) for place, one in as_in_report() if one.glossary))
