"""The pictures of the report by file name: their titles, what they show in words, and where their figures come from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """``alternative`` is read aloud in the picture's place; ``source`` names the file and key of what is drawn."""

    title: str
    alternative: str
    source: str


FIGURES = {
    "quality.png": Figure(
        "Quality with intervals",
        "Three panels of points with intervals, one line a model: behaviour rate, knowledge retention, exact match. "
        "The headline table has the same figures.",
        "metrics/methods.json: <model>.{behaviour_rate, knowledge_retention, exact_match}[_low, _high]",
    ),
    "cost_quality.png": Figure(
        "Quality against training cost",
        "Two scatter plots over the seconds that led to each model: exact match, and behaviour rate times knowledge "
        "retention, with whiskers for the interval of exact match. A line joins the models that no other beats in both "
        "cost and quality; the base, which costs nothing here, stands in the titles.",
        "metrics/methods.json: <model>.{exact_match, behaviour_rate, knowledge_retention}; "
        "metrics/timing/<model>.json: seeds[].train_seconds; metrics/timing/reference.json: passes[].seconds",
    ),
    "training_time.png": Figure(
        "Training time",
        "Bars of seconds in optimizer steps, one a model, whiskers from the fastest to the slowest seed. The training "
        "table has the same figures.",
        "metrics/timing/<model>.json: seeds[].train_seconds",
    ),
    "final_loss.png": Figure(
        "Final loss",
        "First and final loss of each model, one panel for each kind of loss, since different losses do not compare. "
        "The training table has the same figures.",
        "metrics/train/<model>/summary.json: loss_first, loss_final",
    ),
    "efficiency.png": Figure(
        "Efficiency",
        "Bars of samples x epochs / seconds, one a model. The training table has the same figures.",
        "metrics/train/<model>/summary.json: rows_available, epochs; "
        "metrics/timing/<model>.json: seeds[].train_seconds",
    ),
    "inference_throughput.png": Figure(
        "Inference throughput",
        "Bars of forward passes a second, one a model. The inference table has the same figures.",
        "metrics/bench/<model>.json: inferences_per_second, latency_ms",
    ),
    "learning_curves.png": Figure(
        "Learning curves of the first seed",
        "The training loss of each model over its steps, one panel a model: thin by step, thick its running mean over "
        "a tenth of the steps.",
        "metrics/train/<model>/loss.tsv: loss",
    ),
    "margins.png": Figure(
        "Margins and displacement of the first seed",
        "The reward margin of each preference method over its steps, and for each method how far the log-probability "
        "of the chosen and of the rejected answers has moved from the start. Where the chosen line falls below zero, "
        "the preferred answers have become less probable too.",
        "metrics/train/<model>/plots/metrics/: reward_margin_nats, displacement/chosen_nats_per_token, "
        "displacement/rejected_nats_per_token",
    ),
    "preference_axes.png": Figure(
        "Preference accuracy by axis",
        "Two heat maps, models by axes: the share of pairs whose preferred answer is the more probable, by its sum and "
        "by its mean per token. The table below has the same figures.",
        "metrics/eval/<model>/summary.json: by_axis.<axis>.{sum, token}",
    ),
    "positions.png": Figure(
        "Multiple-choice accuracy by the position of the right option",
        "Accuracy of each model where the first, second, third or fourth option is right. A model that prefers a "
        "position has a slope; one that knows the answers has none.",
        "metrics/eval/<model>/rows.jsonl: answer, correct of the rows of kind mcq",
    ),
    "robustness.png": Figure(
        "Robustness over learning rate and beta",
        "For each method two heat maps over learning rate and beta: behaviour rate and knowledge retention. A frame "
        "marks the setting that was used.",
        "metrics/sweep.json: points[].{behaviour_rate, knowledge_retention}",
    ),
}
