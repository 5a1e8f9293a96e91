"""What was compared, before any figure: each model's recipe, the base under all of them, and the words of the page."""

from __future__ import annotations

from collections.abc import Mapping

from stages.comparison.measured import Bench, Training
from stages.comparison.paired_scores import REFERENCE
from stages.core.metrics import as_in_report
from stages.core.params import Params, SftMethod, TrainMethod
from stages.reporting.cards import described_base
from stages.reporting.tables import NONE, TRAIN, Column, Table, bullets, integer, rate

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


def machinery(params: Params, training: Mapping[str, Training], benches: Mapping[str, Bench], prompts: int) -> str:
    """The seed report's "model specifications": base, size, precision, attention, adapter."""
    base, lora, active = benches["base"], params.lora, params.active
    trained = sorted({one.trainable_parameters for one in training.values()})
    sizes = f" ({' or '.join(map(integer, trained))} trained parameters)" if trained else ""
    seeds = ", ".join(map(str, active.seeds))
    finished = sum(len(one.seconds) for one in training.values())
    quantized = "" if active.quantize == "none" else f", frozen weights in {active.quantize}"
    return (
        f"All stand on one base: {described_base(params)}; {integer(base.parameters)} parameters in {base.dtype}"
        f"{quantized}, attention {active.attention}. Each is a LoRA adapter of rank {lora.rank} and alpha {lora.alpha}"
        f"{sizes}, trained with the seeds {seeds}: {finished} trainings, all of which finished. Every model answered "
        f"the same {integer(prompts)} held-out prompts."
    )


def words_used() -> str:
    """The report's own words: of the data, of each metric that has an entry, of families of metrics, of statistics."""
    flaw = (
        "a hedge (an answer wrapped in doubt) or a repetition (its sentence said twice), put into part of the rows "
        f"that `{REFERENCE}` trains on, as collected data has them; preferences then prefer answers without"
    )
    explained = {column.heading: one.glossary for column, one in as_in_report() if one.glossary}
    words = {"planted flaw": flaw} | dict(sorted(explained.items())) | WORDS
    return bullets([f"*{word}*: {meaning}." for word, meaning in words.items()])


WORDS = {  # of families of metrics, and of the statistics
    "chrF++, BLEU, ROUGE-L": "overlap with a reference text: in pieces of characters and words, in runs of words, in "
    "the longest common sequence of words",
    "MCQ": "multiple choice: the most probable of the given answers, per character",
    "preference": "share of held-out pairs whose chosen answer is the more probable, by the *sum* over its tokens, "
    "which favours short answers, or by the mean per *token*",
    "nat": "the unit of log-probability in base e",
    "interval": "in brackets: where most of the resampled sets of prompts and seeds lie",
    "tie": "a difference that these prompts and seeds do not tell from none; it is no proof that there is none",
}
