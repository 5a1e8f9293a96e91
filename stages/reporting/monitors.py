"""What each preference training did beside lowering its loss: displacement, length, repetition; and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stages.comparison.measured import need, preference_methods, train_summary
from stages.comparison.paired_scores import REFERENCE, Floats, Scores
from stages.core import paths
from stages.core.intervals import Difference, Interval, bootstrap_ratio, paired_difference
from stages.core.params import Evaluate, Params
from stages.reporting.tables import NONE, points, spread, table

MOVED_NATS = 0.01  # per token: about 1 % of each token's probability

LIKELIER, LESS_LIKELY, SAME = "likelier", "less likely", "about as likely as before"
DISPLACEMENT = "likelihood displacement (Razin et al. 2024, arXiv 2410.08847)"

RULES = f"""1. *Likelier*, *less likely*: in every seed the answers' mean change of log-probability per token since \
the start, over the last tenth of the steps, lies above {MOVED_NATS}, or below -{MOVED_NATS} nats; otherwise *about as \
likely as before*. Chosen answers that became less likely are *likelihood displacement*, however large the margin.
2. *Longer*, *shorter*: the interval of tokens per generated answer over `{REFERENCE}`'s lies above 1, or below it. A \
hedge or a repetition that is gone makes an answer shorter too.
3. *Rises*, *falls* (repetition, hedging, answers that stop by themselves): the interval of the share minus \
`{REFERENCE}`'s lies above 0, or below it."""


@dataclass(frozen=True)
class Watched:
    """One preference training at its end, a value per seed: changes and margin against its start, in nats."""

    chosen_nats_per_token: tuple[float, ...]
    rejected_nats_per_token: tuple[float, ...]
    reward_margin_nats: tuple[float, ...]
    reward_accuracy: tuple[float, ...]


@dataclass(frozen=True)
class Effect:
    """A model's generated answers against the reference's, on the same prompts; ``length`` is a ratio of tokens."""

    length: Interval | None
    repeated: Difference
    hedged: Difference
    stopped: Difference


def read_watched(params: Params) -> dict[str, Watched]:
    """From ``metrics/train/<model>/summary.json``; raises PipelineError naming the key that is missing."""
    found = {}
    for model in preference_methods(params):
        path, summary = train_summary(model)
        seeds = [need(seed, path, "displacement") for seed in need(summary, path, "per_seed")]
        names = Watched.__dataclass_fields__
        found[model] = Watched(**{name: tuple(float(need(seed, path, name)) for seed in seeds) for name in names})
    return found


def _matrix(model: str, scores: Scores, field: str) -> Floats:
    """(seeds, prompts); the rows come sorted by prompt and seed, and every prompt has every seed."""
    path = paths.eval_metrics(model) / "rows.jsonl"
    seeds = len({row["seed"] for row in scores.rows})
    return np.array([float(need(row, path, field)) for row in scores.rows]).reshape(-1, seeds).T


def effect(model: str, scores: Mapping[str, Scores], settings: Evaluate) -> Effect:
    """The model against the reference; ``length`` is None where the reference says nothing at all."""
    samples, confidence = settings.bootstrap_samples, settings.confidence

    def sides(field: str) -> tuple[Floats, Floats]:
        return _matrix(model, scores[model], field), _matrix(REFERENCE, scores[REFERENCE], field)

    own, start = sides("tokens")
    return Effect(
        length=bootstrap_ratio(own, start, samples, confidence) if start.any() else None,
        repeated=paired_difference(*sides("repeated"), samples, confidence),
        hedged=paired_difference(*sides("hedged"), samples, confidence),
        stopped=paired_difference(*sides("stopped"), samples, confidence),
    )


def moved(nats_per_token: tuple[float, ...]) -> str:
    """Rule 1."""
    if min(nats_per_token) > MOVED_NATS:
        return LIKELIER
    return LESS_LIKELY if max(nats_per_token) < -MOVED_NATS else SAME


def displacement_clause(one: Watched) -> str:
    chosen, rejected = moved(one.chosen_nats_per_token), moved(one.rejected_nats_per_token)
    if chosen == LESS_LIKELY:
        too = " too" if rejected == LESS_LIKELY else f", and the rejected ones {rejected}"
        return f"the chosen answers became less likely{too}: **{DISPLACEMENT}**"
    if (chosen, rejected) == (LIKELIER, LESS_LIKELY):
        return "the chosen answers became likelier and the rejected ones less likely, as intended"
    if chosen == rejected:
        return f"chosen and rejected answers alike are {chosen}"
    return f"the chosen answers are {chosen}, the rejected ones {rejected}"


def _risen(one: Interval, none: float = 0.0) -> str:
    return "rises" if one.low > none else "falls" if one.high < none else ""


def length_clause(ratio: Interval | None) -> str:
    """Rule 2."""
    if ratio is None:
        return f"`{REFERENCE}` says nothing that its answers could be measured against"
    if not (direction := _risen(ratio, none=1.0)):
        return f"its answers are as long as `{REFERENCE}`'s, within the interval"
    longer = "longer" if direction == "rises" else "shorter"
    low, high = sorted(abs(end - 1) * 100 for end in (ratio.low, ratio.high))
    return f"its answers are {abs(ratio.mean - 1) * 100:.0f} % [{low:.0f}, {high:.0f}] {longer} than `{REFERENCE}`'s"


def effect_clauses(one: Effect) -> list[str]:
    """Rules 2 and 3; of hedges and of answers that stop by themselves only a clear change is said."""
    clauses = [length_clause(one.length), f"repetition {_risen(one.repeated) or 'does not clearly change'}"]
    others = (("hedging", one.hedged), ("the share that stops by itself", one.stopped))
    return clauses + [f"{name} {change}" for name, difference in others if (change := _risen(difference))]


def _row(model: str, watched: Watched | None, found: Effect | None) -> list[str]:
    values = [NONE] * 4
    if watched is not None:
        values = [spread(getattr(watched, name)) for name in Watched.__dataclass_fields__]
    effects = [NONE] * 4
    if found is not None:
        length = found.length
        changes = (found.repeated, found.hedged, found.stopped)
        effects = [
            points(length.mean - 1, length.low - 1, length.high - 1) if length else NONE,
            *(points(one.mean, one.low, one.high) for one in changes),
        ]
    return [model, *values, *effects]


def monitors(params: Params, scores: Mapping[str, Scores], watched: Mapping[str, Watched]) -> str:
    """The section: a sentence for each preference method, the table behind it with the controls, and the rules."""
    effects: dict[str, Effect] = {}
    if REFERENCE in scores:
        trained = [model for model in params.models[1:] if model != REFERENCE]
        effects = {model: effect(model, scores, params.evaluate) for model in trained}
    sentences = []
    for model, one in watched.items():
        clauses = [displacement_clause(one), *(effect_clauses(effects[model]) if model in effects else [])]
        sentences.append(f"- `{model}`: {'; '.join(clauses)}.")
    header = ["model", "chosen, nats per token", "rejected, nats per token", "margin, nats", "reward accuracy"]
    header += [f"length over `{REFERENCE}`, %", "repeats, points", "hedges, points", "stops by itself, points"]
    models = [model for model in params.models[1:] if model in watched or model in effects]
    if not models:
        return ""
    parts = [
        "\n".join(sentences),
        table(header, [_row(model, watched.get(model), effects.get(model)) for model in models]),
        "The first four columns come from the training rows, each as it stood before the step that trained on it, "
        "against the start of that training; ties count one half, and for single answers (KTO) each good answer of a "
        "step is set against each bad one. In brackets: the range over seeds. The others come from generated answers, "
        f"minus `{REFERENCE}`'s, with {params.evaluate.confidence * 100:g} % bootstrap intervals over prompts and "
        "seeds.",
        "The rules behind these sentences:",
        RULES,
    ]
    return "\n\n".join(part for part in parts if part)
