"""Who fixes the behaviour, who keeps the knowledge, which preference method is best, and what each costs, as data.

No word of the report stands here: `stages.reporting.rules` prints the rules, and the templates say what follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from stages.comparison.measured import Bench, Training, controls, preference_methods
from stages.comparison.paired_scores import REFERENCE, Place, Scores, difference, shared_places
from stages.core.files import Row
from stages.core.intervals import Difference
from stages.core.params import Params

JOINT: Final = "exact_match"  # right and clean at once, so it judges behaviour and knowledge together
FIXED_SHARE = 0.5  # share of sft's flawed answers that must be gone
KNOWLEDGE_MARGIN = 0.05  # share of sft's facts that a method may lose and still count as keeping them
SAME_SPEED = 0.1  # seven adapters of one shape took 1.23 to 1.36 times as long as without, in runs of two minutes


class Behaviour(Enum):
    """What became of the reference's planted flaws; NO_REFERENCE where the reference was not scored."""

    FIXES = auto()
    IMPROVES = auto()
    NO_CHANGE = auto()
    WORSE = auto()
    NO_REFERENCE = auto()


class Knowledge(Enum):
    """What became of the reference's facts; UNDEFINED where the reference has none."""

    KEEPS = auto()
    LOSES = auto()
    UNDECIDED = auto()
    UNDEFINED = auto()


class Outcome(Enum):
    """A model against a control."""

    BEATS = auto()
    TIES = auto()
    LOSES = auto()


@dataclass(frozen=True)
class Judgement:
    """One model against the reference; ``gain`` is the difference of behaviour rates."""

    behaviour: Behaviour
    gain: Difference | None
    knowledge: Knowledge

    @property
    def wins(self) -> bool:
        """The flaws are fixed and the knowledge is kept."""
        return (self.behaviour, self.knowledge) == (Behaviour.FIXES, Knowledge.KEEPS)


def behaviour(gain: Difference, lacking: float) -> Behaviour:
    """The rule FIXES_BEHAVIOUR; ``lacking`` is what the reference's behaviour rate lacks to 1."""
    if gain.low > 0:
        return Behaviour.FIXES if gain.low >= FIXED_SHARE * lacking else Behaviour.IMPROVES
    return Behaviour.WORSE if gain.high < 0 else Behaviour.NO_CHANGE


def knowledge(low: float | None, high: float | None) -> Knowledge:
    """The rule KEEPS_KNOWLEDGE, on the interval of knowledge retention; None where nothing could be retained."""
    if low is None or high is None:
        return Knowledge.UNDEFINED
    least = 1 - KNOWLEDGE_MARGIN
    return Knowledge.KEEPS if low >= least else Knowledge.LOSES if high < least else Knowledge.UNDECIDED


def judge(model: str, scores: Mapping[str, Scores], row: Row, params: Params) -> Judgement:
    """``row`` is the model's in metrics/methods.json."""
    kept = knowledge(row["knowledge_retention_low"], row["knowledge_retention_high"])
    gain = None
    if REFERENCE in scores:
        gain = difference(scores[model], scores[REFERENCE], "behaviour_rate", params.evaluate)
    if gain is None:
        return Judgement(Behaviour.NO_REFERENCE, None, kept)
    lacking = 1 - float(scores[REFERENCE].values["behaviour_rate"].mean())
    return Judgement(behaviour(gain, lacking), gain, kept)


def judgements(params: Params, scores: Mapping[str, Scores], methods: Mapping[str, Row]) -> dict[str, Judgement]:
    """Everything trained after the reference; the base and the reference itself are not judged."""
    judged = [model for model in params.models[1:] if model != REFERENCE]
    return {model: judge(model, scores, methods[model], params) for model in judged}


def shortfalls(found: Mapping[str, Judgement]) -> dict[tuple[Behaviour, Knowledge], list[str]]:
    """The models that do not win, by what each of the two judgements says of them."""
    groups: dict[tuple[Behaviour, Knowledge], list[str]] = {}
    for model, one in found.items():
        if not one.wins:
            groups.setdefault((one.behaviour, one.knowledge), []).append(model)
    return groups


@dataclass(frozen=True)
class Best:
    """The preference method of the highest exact match, those that tie with it, and how many there are in all."""

    model: str
    ties: tuple[str, ...]
    methods: int


def best_preference(params: Params, scores: Mapping[str, Scores]) -> Best | None:
    """The rule BEST_PREFERENCE; None without a preference method or a prompt with a fact to check."""
    names = preference_methods(params)
    if not names or not scores[names[0]].prompts[JOINT]:
        return None
    best = max(names, key=lambda name: float(scores[name].values[JOINT].mean()))
    gaps = {name: difference(scores[best], scores[name], JOINT, params.evaluate) for name in names if name != best}
    return Best(best, tuple(name for name, gap in gaps.items() if gap is not None and gap.tie), len(names))


@dataclass(frozen=True)
class Contest:
    """A model's exact match minus a control's."""

    control: str
    outcome: Outcome
    gap: Difference


def against_controls(model: str, scores: Mapping[str, Scores], params: Params) -> list[Contest]:
    """The rule BEATS_CONTROL, for each control that shares a prompt with the model."""
    found = []
    for control in controls(params):
        gap = difference(scores[model], scores[control], JOINT, params.evaluate)
        if gap is not None:
            outcome = Outcome.BEATS if gap.low > 0 else Outcome.LOSES if gap.high < 0 else Outcome.TIES
            found.append(Contest(control, outcome, gap))
    return found


@dataclass(frozen=True)
class TrainingCost:
    """The quickest and the slowest training after the reference's, in seconds of optimizer steps."""

    least: str
    least_seconds: float
    most: str
    most_seconds: float


def training_cost(training: Mapping[str, Training]) -> TrainingCost | None:
    """The rule COST, of trainings; None where only the reference was trained."""
    later = {model: one.mean_seconds for model, one in training.items() if model != REFERENCE}
    if not later:
        return None
    least, most = (end(later, key=later.__getitem__) for end in (min, max))
    return TrainingCost(least, later[least], most, later[most])


@dataclass(frozen=True)
class Speed:
    """Adapters in use: the fastest, those that are slower, and how many times as long a pass takes with one."""

    fastest: str
    slower: tuple[str, ...]
    times_as_long: tuple[float, float]


def speed(benches: Mapping[str, Bench]) -> Speed | None:
    """The rule COST, of adapters in use; None without an adapter."""
    times = {model: bench.times_as_long for model, bench in benches.items() if model != "base"}
    if not times:
        return None
    fastest = min(times, key=times.__getitem__)
    slower = tuple(model for model in times if not as_fast_as(benches[model], benches[fastest]))
    return Speed(fastest, slower, (min(times.values()), max(times.values())))


def as_fast_as(one: Bench, fastest: Bench) -> bool:
    """The same arithmetic, or nearly the same times."""
    return one.parameters == fastest.parameters or one.times_as_long <= fastest.times_as_long * (1 + SAME_SPEED)


def places_in_use(benches: Mapping[str, Bench]) -> dict[str, Place]:
    """Places by speed, the fastest first; models that the rule COST calls equally fast share one."""
    order = sorted(benches, key=lambda model: benches[model].times_as_long)
    return shared_places(order, lambda best, other: as_fast_as(benches[other], benches[best]))


def places_by_range(values: Mapping[str, Sequence[float]], higher: bool) -> dict[str, Place]:
    """Places by the mean over seeds; models whose ranges over seeds overlap share one."""

    def mean(name: str) -> float:
        return sum(values[name]) / len(values[name])

    def overlap(best: str, other: str) -> bool:
        return min(values[best]) <= max(values[other]) and min(values[other]) <= max(values[best])

    return shared_places(sorted(values, key=mean, reverse=higher), overlap)
