"""The rules behind the report's sentences: their names, in the order in which they are printed, and their words.

A rule's number is its place here. The function that follows the rule stands beside its words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum, auto
from typing import Any

from stages.comparison import choices, side_effects, verdicts
from stages.comparison.paired_scores import REFERENCE
from stages.comparison.side_effects import MOVED_NATS
from stages.comparison.verdicts import FIXED_SHARE, KNOWLEDGE_MARGIN, SAME_SPEED

Rules = Mapping[Any, tuple[Callable[..., Any], str]]


class Rule(IntEnum):
    """Of the opening; a number prints as itself."""

    FIXES_BEHAVIOUR = auto()
    KEEPS_KNOWLEDGE = auto()
    BEST_PREFERENCE = auto()
    BEATS_CONTROL = auto()
    COST = auto()
    USE = auto()
    TIGHT_BUDGET = auto()
    LEARNING_RATES = auto()


OPENING: Rules = {
    Rule.FIXES_BEHAVIOUR: (
        verdicts.behaviour,
        f"*Fixes the behaviour*: of the answers in which `{REFERENCE}` shows a planted flaw, at least half are mended: "
        f"the lower end of behaviour rate minus `{REFERENCE}`'s is at least {FIXED_SHARE} of what `{REFERENCE}` lacks "
        "to 100 %. *Improves* it: that end is above 0; *makes it worse*: the upper end is below 0; otherwise *no clear "
        "change*.",
    ),
    Rule.KEEPS_KNOWLEDGE: (
        verdicts.knowledge,
        f"*Keeps the knowledge*: the lower end of knowledge retention is at least {1 - KNOWLEDGE_MARGIN:.2f}; *loses* "
        f"it: the upper end is below {1 - KNOWLEDGE_MARGIN:.2f}; otherwise *undecided*.",
    ),
    Rule.BEST_PREFERENCE: (
        verdicts.best_preference,
        "*Best preference method*: the highest exact match (a right answer without a planted flaw) among the methods "
        "that train on preferences; every other whose paired difference to it has an interval that contains 0 is a "
        "tie.",
    ),
    Rule.BEATS_CONTROL: (
        verdicts.against_controls,
        "*Beats a control*: the interval of exact match minus the control's lies above 0; *loses to* it: below 0; "
        "otherwise a *tie*. The controls are SFT continued from the same adapter.",
    ),
    Rule.COST: (
        verdicts.speed,
        "*Cost*: seconds in optimizer steps, mean over seeds, and how many times as long a forward pass takes with the "
        "adapter as with it switched off. Models of as many parameters do the same arithmetic and are *equally fast*: "
        "what they are seen to differ by is the error of timing. Others are where they differ by at most "
        f"{100 * SAME_SPEED:g} %.",
    ),
    Rule.USE: (
        choices.choose,
        "*Use X* for a kind of data: among the models that train on it, one is *better* than another where exact match "
        "separates the two (p-values of all pairs, adjusted together by Holm's method). Of those than which none is "
        "better, the one that trains in the fewest seconds is named, with the others as ties; it must also be better "
        f"than where it starts, the base for instructions and a budget and `{REFERENCE}` for feedback, or the data "
        "cannot tell, and a model that uses feedback is compared with the control that had none. Where a control that "
        "imitates the preferred answers alone is among the ties, no preference loss is recommended, since none is "
        "shown to be worth more than plain SFT.",
    ),
    Rule.TIGHT_BUDGET: (
        choices.total_seconds,
        f"*A tight budget* is rule {Rule.USE} over all trained models, a model's seconds counting together with those "
        "of the adapter that it starts on (the reference pass that DPO, IPO and KTO share is left out; it stands under "
        "Training).",
    ),
    Rule.LEARNING_RATES: (
        choices.at_one_rate,
        "*Learning rates*: where models that were compared have different ones, their range is named, and where the "
        "sweep tried all of them at one, the best of its points by exact match over beta are compared at the rate that "
        "most of them use: what a higher rate brings is not the loss's.",
    ),
}


class MonitorRule(IntEnum):
    """Of the monitors."""

    LIKELIER = auto()
    LONGER = auto()
    RISES = auto()


MONITORS: Rules = {
    MonitorRule.LIKELIER: (
        side_effects.moved,
        "*Likelier*, *less likely*: in every seed the answers' mean change of log-probability per token since the "
        f"start, over the last tenth of the steps, lies above {MOVED_NATS}, or below -{MOVED_NATS} nats; otherwise "
        "*about as likely as before*. Chosen answers that became less likely are *likelihood displacement*, however "
        "large the margin.",
    ),
    MonitorRule.LONGER: (
        side_effects.trend,
        f"*Longer*, *shorter*: the interval of tokens per generated answer over `{REFERENCE}`'s lies above 1, or below "
        "it. A hedge or a repetition that is gone makes an answer shorter too.",
    ),
    MonitorRule.RISES: (
        side_effects.trend,
        "*Rises*, *falls* (repetition, hedging, answers that stop by themselves): the interval of the share minus "
        f"`{REFERENCE}`'s lies above 0, or below it.",
    ),
}


def printed(rules: Rules) -> str:
    """The rules as a numbered list."""
    return "\n".join(f"{name}. {words}" for name, (_, words) in rules.items())
