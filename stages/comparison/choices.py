"""Which model to use for which data, or why nothing is named, and what the learning rates have to do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from statistics import mode
from typing import ClassVar

from stages.comparison.measured import Training, controls
from stages.comparison.paired_scores import REFERENCE, Scores, better_than
from stages.comparison.verdicts import JOINT
from stages.core.params import Params
from stages.core.schema import Sweep, SweepPoint


class Reason(Enum):
    """Why nothing is named."""

    NOTHING_SCORED = auto()
    ALL_BEATEN = auto()
    BEHIND_START = auto()
    NOT_SEPARATED = auto()


@dataclass(frozen=True)
class Unnamed:
    """No choice, and the models of which the reason speaks."""

    reason: Reason
    start: str
    names: tuple[str, ...] = ()
    named: ClassVar[bool] = False


@dataclass(frozen=True)
class Choice:
    """What to use: ``ahead[0]``, the cheapest of those that nothing beats and that are ahead of their start.

    ``unbeaten`` and ``ahead`` come cheapest first. ``imitators`` are the unbeaten that train without a preference loss.
    ``rates`` are the learning rates of the models that were compared and start on an adapter. ``beaten_controls`` and
    ``tied_controls`` had no feedback, for choices of models that had.
    """

    start: str
    names: tuple[str, ...]
    unbeaten: tuple[str, ...]
    ahead: tuple[str, ...]
    imitators: tuple[str, ...]
    rates: tuple[float, ...]
    beaten_controls: tuple[str, ...] = ()
    tied_controls: tuple[str, ...] = ()
    named: ClassVar[bool] = True

    @property
    def model(self) -> str:
        return self.ahead[0]

    @property
    def ties(self) -> tuple[str, ...]:
        return tuple(name for name in self.unbeaten if name != self.model)

    @property
    def beaten(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name not in self.unbeaten)

    @property
    def losses(self) -> tuple[str, ...]:
        """The unbeaten that train with a preference loss."""
        return tuple(name for name in self.unbeaten if name not in self.imitators)


def choose(
    names: Sequence[str], start: str, scores: Mapping[str, Scores], seconds: Mapping[str, float], params: Params
) -> Choice | Unnamed:
    """The rule USE."""
    if not names or not scores[names[0]].prompts[JOINT]:
        return Unnamed(Reason.NOTHING_SCORED, start)
    better = better_than(scores, [start, *names], JOINT, params.evaluate)
    learnt = [name for name in names if name in better[start]]
    unbeaten = sorted((name for name in names if not better[name] - {start}), key=lambda name: seconds[name])
    ahead = tuple(name for name in unbeaten if name in learnt)
    if ahead:
        imitators = tuple(name for name in unbeaten if params.train[name].method == "sft")
        later = [name for name in names if params.train[name].init != "models/base"]
        return Choice(start, tuple(names), tuple(unbeaten), ahead, imitators, tuple(by_rate(params, later)))
    if learnt:
        return Unnamed(Reason.ALL_BEATEN, start, tuple(learnt))
    behind = all(start in better[name] for name in names)
    return Unnamed(Reason.BEHIND_START if behind else Reason.NOT_SEPARATED, start, tuple(names))


def beside_controls(
    choice: Choice | Unnamed, instructed: Sequence[str], scores: Mapping[str, Scores], params: Params
) -> Choice | Unnamed:
    """Whether feedback is worth more than further SFT on the rows that were there already, for all ahead alike."""
    if isinstance(choice, Unnamed):
        return choice
    plain = [name for name in controls(params) if name in instructed]
    better = better_than(scores, [*choice.ahead, *plain], JOINT, params.evaluate)
    beaten = tuple(control for control in plain if better[control].issuperset(choice.ahead))
    tied = (name for name in plain if name not in beaten and not any(name in better[model] for model in choice.ahead))
    return replace(choice, beaten_controls=beaten, tied_controls=tuple(tied))


def total_seconds(params: Params, training: Mapping[str, Training]) -> dict[str, float]:
    """The rule TIGHT_BUDGET: seconds in optimizer steps of a model and of the adapters that it starts on."""
    found: dict[str, float] = {}
    for model, one in training.items():
        found[model], start = one.mean_seconds, params.train[model].init.removeprefix("models/")
        while start in training:
            found[model] += training[start].mean_seconds
            start = params.train[start].init.removeprefix("models/")
    return found


@dataclass(frozen=True)
class Uses:
    """What to use for instructions, for preferences in pairs or as single labels, and on a tight budget."""

    instructions: Choice | Unnamed
    pairs: Choice | Unnamed
    unpaired: Choice | Unnamed
    budget: Choice | Unnamed
    seconds: Mapping[str, float]

    @property
    def ties_seconds(self) -> list[float]:
        """Of those that tie on a tight budget."""
        return [self.seconds[name] for name in self.budget.ties] if isinstance(self.budget, Choice) else []


def uses(params: Params, scores: Mapping[str, Scores], training: Mapping[str, Training]) -> Uses:
    seconds = total_seconds(params, training)
    by_data: dict[str, list[str]] = {"sft": [], "pairs": [], "unpaired": []}
    for model in training:
        by_data[params.train[model].data].append(model)

    def feedback(names: Sequence[str]) -> Choice | Unnamed:
        return beside_controls(choose(names, REFERENCE, scores, seconds, params), by_data["sft"], scores, params)

    return Uses(
        instructions=choose(by_data["sft"], "base", scores, seconds, params),
        pairs=feedback(by_data["pairs"]),
        unpaired=feedback(by_data["unpaired"]),
        budget=choose(list(training), "base", scores, seconds, params),
        seconds=seconds,
    )


def by_rate(params: Params, names: Sequence[str]) -> dict[float, list[str]]:
    """The models by learning rate."""
    found: dict[float, list[str]] = {}
    for name in names:
        found.setdefault(params.active.learning_rate[name], []).append(name)
    return found


def best_at(sweep: Sweep, learning_rate: float) -> dict[str, SweepPoint]:
    """{method: its point of the highest exact match at one learning rate}; a method that was not tried there is not."""
    tried = [point for point in sweep["points"] if point["learning_rate"] == learning_rate]
    found: dict[str, tuple[float, SweepPoint]] = {}
    for point in tried:
        method, value = point["method"], point[JOINT]
        if value is not None and (method not in found or value > found[method][0]):
            found[method] = value, point
    return {method: point for method, (_, point) in found.items()}


@dataclass(frozen=True)
class OneRate:
    """What the sweep found at the learning rate that most methods use.

    ``tuned``: every method has the rate that the sweep found best for it. ``best``: each method's best point there.
    """

    own: Mapping[float, Sequence[str]]
    usual: float
    tuned: bool
    best: Mapping[str, SweepPoint]

    @property
    def others(self) -> list[str]:
        """The methods that use this rate."""
        return list(self.own[self.usual])

    @property
    def apart(self) -> list[str]:
        """The methods that use another."""
        return [model for value, names in self.own.items() if value != self.usual for model in names]


def at_one_rate(params: Params, sweep: Sweep | None) -> OneRate | None:
    """The rule LEARNING_RATES; None where all methods use one rate, or where some were not tried at the usual one."""
    if sweep is None:
        return None
    later = [model for model in params.models[1:] if model != REFERENCE and model in sweep["methods"]]
    own = by_rate(params, later)
    if len(own) < 2:
        return None
    rates = {model: params.active.learning_rate[model] for model in later}
    usual = mode(rates.values())
    best = best_at(sweep, usual)
    if not all(model in best for model in later):
        return None
    tuned = all(sweep["methods"][model]["best"]["learning_rate"] == rates[model] for model in later)
    return OneRate(own, usual, tuned, best)
