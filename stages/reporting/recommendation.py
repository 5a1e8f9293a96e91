"""The answer in three sentences: rules 6 to 8 of `opening`, which prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mode

from stages.comparison.measured import Training, controls
from stages.comparison.paired_scores import REFERENCE, Scores, better_than
from stages.core.files import Row
from stages.core.params import Params
from stages.reporting.quality import best_at
from stages.reporting.tables import duration, percent, percent_interval, rate, words

JOINT = "exact_match"  # right and clean at once, so it judges behaviour and knowledge together


@dataclass(frozen=True)
class Choice:
    """Rule 6: the models than which none is better, cheapest first, and which of these are ahead of their start."""

    unbeaten: list[str]
    ahead: list[str]
    beaten: list[str]

    @property
    def model(self) -> str:
        return self.ahead[0]

    @property
    def ties(self) -> list[str]:
        return [name for name in self.unbeaten if name != self.model]


def choose(
    names: Sequence[str], start: str, scores: Mapping[str, Scores], seconds: Mapping[str, float], params: Params
) -> Choice | str:
    """What to use, or in words why the scores name nothing."""
    if not names or not scores[names[0]].prompts[JOINT]:
        return "nothing was trained or scored"
    better = better_than(scores, [start, *names], JOINT, params.evaluate)
    learnt = [name for name in names if name in better[start]]
    unbeaten = sorted((name for name in names if not better[name] - {start}), key=lambda name: seconds[name])
    ahead = [name for name in unbeaten if name in learnt]
    if ahead:
        return Choice(unbeaten, ahead, [name for name in names if name not in unbeaten])
    are = "are" if len(names) > 1 else "is"
    if learnt:
        return f"the data cannot tell: {words(learnt)} are ahead of `{start}`, and yet beaten"
    if all(start in better[name] for name in names):
        return f"use `{start}` as it is: {words(names)} {are} behind it"
    return f"the data cannot tell: {words(names)} {are} not separated from `{start}`"


def beside_controls(
    names: Sequence[str], instructed: Sequence[str], scores: Mapping[str, Scores], params: Params
) -> str:
    """Whether feedback is worth more than further SFT on the rows that were there already, for all names alike."""
    plain = [name for name in controls(params) if name in instructed]
    better = better_than(scores, [*names, *plain], JOINT, params.evaluate)
    ahead = [control for control in plain if better[control].issuperset(names)]
    tied = [control for control in plain if control not in ahead and not any(control in better[name] for name in names)]
    parts = [f"ahead of {words(ahead)}"] if ahead else []
    parts += [f"not separated from the control {words(tied)}"] if tied else []
    return f", {' and '.join(parts)}" if parts else ""


def total_seconds(params: Params, training: Mapping[str, Training]) -> dict[str, float]:
    """Seconds in optimizer steps of a model and of the adapters that it starts on, mean over seeds."""
    found: dict[str, float] = {}
    for model, one in training.items():
        found[model], start = one.mean_seconds, params.train[model].init.removeprefix("models/")
        while start in training:
            found[model] += training[start].mean_seconds
            start = params.train[start].init.removeprefix("models/")
    return found


def rates(params: Params, names: Sequence[str]) -> dict[float, list[str]]:
    """The models by learning rate."""
    found: dict[float, list[str]] = {}
    for name in names:
        found.setdefault(params.active.learning_rate[name], []).append(name)
    return found


def at_rates(params: Params, choice: Choice) -> str:
    """Rule 8: the rates of models that were compared at several; SFT on the base is no such model."""
    compared = [name for name in (*choice.unbeaten, *choice.beaten) if params.train[name].init != "models/base"]
    found = rates(params, compared)
    return f", at learning rates of {rate(min(found))} to {rate(max(found))}" if len(found) > 1 else ""


def between(values: Sequence[float]) -> str:
    low, high = percent(min(values)), percent(max(values))
    return low if low == high else f"{low} to {high}"


def at_one_rate(params: Params, sweep: Row) -> str:
    """Rule 8: what the sweep found at the rate that most methods use, or nothing where all use it."""
    later = [model for model in params.models[1:] if model != REFERENCE and model in sweep.get("methods", {})]
    by_rate = rates(params, later)
    if len(by_rate) < 2:
        return ""
    usual = mode(params.active.learning_rate[model] for model in later)
    best = best_at(sweep, usual)
    apart = [model for value, names in by_rate.items() if value != usual for model in names]
    others = by_rate[usual]
    if not all(model in best for model in later):
        return ""
    own = "; ".join(f"{words(names)} {rate(value)}" for value, names in by_rate.items())
    tuned = all(
        sweep["methods"][model]["best"]["learning_rate"] == params.active.learning_rate[model] for model in later
    )
    each = "Each has the rate that the sweep found best for it" if tuned else "Not all have the best rate of the sweep"
    return (
        f"{each} ({own}). At {rate(usual)} for all, clean are "
        f"{between([best[model]['behaviour_rate'] for model in apart])} of the answers of {words(apart)} and "
        f"{between([best[model]['behaviour_rate'] for model in others])} of those of {words(others)}, exact "
        f"{between([best[model][JOINT] for model in apart])} and {between([best[model][JOINT] for model in others])} "
        f"(validation prompts, one seed): read a difference between {words(apart)} and the others with that in mind."
    )


def uses(
    params: Params, scores: Mapping[str, Scores], methods: Mapping[str, Row], training: Mapping[str, Training]
) -> list[str]:
    """The answer in three sentences: instructions, preferences in pairs or as single labels, a tight budget."""
    seconds = total_seconds(params, training)
    by_data: dict[str, list[str]] = {"sft": [], "pairs": [], "unpaired": []}
    for model in training:
        by_data[params.train[model].data].append(model)

    def exact(model: str) -> str:
        row = methods[model]
        return percent_interval(row[JOINT], row[f"{JOINT}_low"], row[f"{JOINT}_high"])

    def use(choice: Choice, only: str = "") -> str:
        ties = f", tied with {words(choice.ties)}" if choice.ties else ""
        return f"use `{choice.model}`{only} (exact match {exact(choice.model)}{ties}{at_rates(params, choice)})"

    def feedback(names: Sequence[str]) -> str:
        choice = choose(names, REFERENCE, scores, seconds, params)
        if isinstance(choice, str):
            return choice
        beside = beside_controls(choice.ahead, by_data["sft"], scores, params)
        imitators = [name for name in choice.unbeaten if params.train[name].method == "sft"]
        if not imitators:
            only = ", the only one that trains on it" if len(names) == 1 else ""
            return use(choice, only) + beside
        losses = [name for name in choice.unbeaten if name not in imitators]
        if not losses:
            return use(choice, ", plain SFT on the preferred answers") + beside
        return (
            f"the data cannot tell a preference loss from plain SFT on the preferred answers: "
            f"{words(losses)} {'tie' if len(losses) > 1 else 'ties'} with the control {words(imitators)} (exact match "
            f"{between([methods[name][JOINT] for name in losses])} and {exact(imitators[0])}"
            f"{at_rates(params, choice)}), "
            f"{'all' if choice.ahead == choice.unbeaten else words(choice.ahead)} ahead of "
            f"`{REFERENCE}`{beside.replace(', ahead of ', ' and ')}, and of the ties `{choice.model}` takes the fewest "
            f"seconds"
        )

    def instructions(choice: Choice | str) -> str:
        said = choice if isinstance(choice, str) else use(choice)
        return f"{said}, where the base has {exact('base')}" if methods["base"][JOINT] is not None else said

    def budget(choice: Choice | str) -> str:
        if isinstance(choice, str):
            return choice
        said = f"{use(choice)}, {duration(seconds[choice.model])} of training a seed with its start"
        if choice.ties:
            dearer = [seconds[name] for name in choice.ties]
            said += f" where the ties take {duration(min(dearer))} to {duration(max(dearer))}"
        return said + (f"; at least one of these is ahead of {words(choice.beaten)}" if choice.beaten else "")

    return [
        f"For instruction following {instructions(choose(by_data['sft'], 'base', scores, seconds, params))}.",
        f"For preferences in pairs {feedback(by_data['pairs'])}; for binary feedback {feedback(by_data['unpaired'])}.",
        f"For a tight budget {budget(choose(list(training), 'base', scores, seconds, params))}.",
    ]
