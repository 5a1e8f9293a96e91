"""The report's first sentences, derived from the scores by rules that are printed beneath them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stages.comparison.measured import SAME_SPEED, Bench, Training, controls, preference_methods
from stages.comparison.paired_scores import REFERENCE, Scores, difference
from stages.core.files import Row
from stages.core.intervals import Difference
from stages.core.params import Params
from stages.reporting.recommendation import JOINT, at_one_rate, uses
from stages.reporting.tables import bullets, duration, percent_interval, points, significant, table, words

FIXED_SHARE = 0.5  # share of sft's flawed answers that must be gone
KNOWLEDGE_MARGIN = 0.05  # share of sft's facts that a method may lose and still count as keeping them

FIXES, IMPROVES, NO_CHANGE, WORSE = "fixes", "improves", "no clear change", "makes it worse"
NO_REFERENCE = "no reference"
KEEPS, LOSES, UNDECIDED, UNDEFINED = "keeps", "loses", "undecided", "undefined"

RULES = f"""1. *Fixes the behaviour*: of the answers in which `{REFERENCE}` shows a planted flaw, at least half are \
mended: the lower end of behaviour rate minus `{REFERENCE}`'s is at least {FIXED_SHARE} of what `{REFERENCE}` lacks to \
100 %. *Improves* it: that end is above 0; *makes it worse*: the upper end is below 0; otherwise *no clear change*.
2. *Keeps the knowledge*: the lower end of knowledge retention is at least {1 - KNOWLEDGE_MARGIN:.2f}; *loses* it: the \
upper end is below {1 - KNOWLEDGE_MARGIN:.2f}; otherwise *undecided*.
3. *Best preference method*: the highest exact match (a right answer without a planted flaw) among the methods that \
train on preferences; every other whose paired difference to it has an interval that contains 0 is a tie.
4. *Beats a control*: the interval of exact match minus the control's lies above 0; *loses to* it: below 0; otherwise \
a *tie*. The controls are SFT continued from the same adapter.
5. *Cost*: seconds in optimizer steps, mean over seeds, and how many times as long a forward pass takes with the \
adapter as with it switched off. Models of as many parameters do the same arithmetic and are *equally fast*: what they \
are seen to differ by is the error of timing. Others are where they differ by at most {100 * SAME_SPEED:g} %.
6. *Use X* for a kind of data: among the models that train on it, one is *better* than another where exact match \
separates the two (p-values of all pairs, adjusted together by Holm's method). Of those than which none is better, the \
one that trains in the fewest seconds is named, with the others as ties; it must also be better than where it \
starts, the base for instructions and a budget and `{REFERENCE}` for feedback, or the data cannot tell, and a model \
that uses feedback is compared with the control that had none. Where a control that imitates the preferred answers \
alone is among the ties, no preference loss is recommended, since none is shown to be worth more than plain SFT.
7. *A tight budget* is rule 6 over all trained models, a model's seconds counting together with those of the adapter \
that it starts on (the reference pass that DPO, IPO and KTO share is left out; it stands under Training).
8. *Learning rates*: where models that were compared have different ones, their range is named, and where the sweep \
tried all of them at one, the best of its points by exact match over beta are compared at the rate that most of them \
use: what a higher rate brings is not the loss's.

Intervals are paired bootstraps over prompts and seeds; those of rules 1 to 4 are not adjusted for the number of \
comparisons, rules 6 and 7 are; rule 8 has one seed and no interval."""


@dataclass(frozen=True)
class Judgement:
    """Rules 1 and 2 for one model."""

    behaviour: str
    gain: Difference | None
    knowledge: str


def judge(model: str, scores: Mapping[str, Scores], row: Row, params: Params) -> Judgement:
    gain = None
    behaviour = NO_REFERENCE
    if REFERENCE in scores:
        gain = difference(scores[model], scores[REFERENCE], "behaviour_rate", params.evaluate)
    if gain is not None:
        lacking = 1 - float(scores[REFERENCE].values["behaviour_rate"].mean())
        behaviour = _behaviour(gain, lacking)
    low, high = row["knowledge_retention_low"], row["knowledge_retention_high"]
    if low is None:
        return Judgement(behaviour, gain, UNDEFINED)
    least = 1 - KNOWLEDGE_MARGIN
    return Judgement(behaviour, gain, KEEPS if low >= least else LOSES if high < least else UNDECIDED)


def _behaviour(gain: Difference, lacking: float) -> str:
    if gain.low > 0:
        return FIXES if gain.low >= FIXED_SHARE * lacking else IMPROVES
    return WORSE if gain.high < 0 else NO_CHANGE


def judgements(params: Params, scores: Mapping[str, Scores], methods: Mapping[str, Row]) -> dict[str, Judgement]:
    """Everything trained after the reference; the base and the reference itself are not judged."""
    judged = [model for model in params.models[1:] if model != REFERENCE]
    return {model: judge(model, scores, methods[model], params) for model in judged}


def behaviour_sentence(found: Mapping[str, Judgement]) -> str:
    won = [model for model, one in found.items() if (one.behaviour, one.knowledge) == (FIXES, KEEPS)]
    if not won:
        return "**No method both fixes the planted flaws and demonstrably keeps the knowledge**"
    fix, keep = ("fix", "keep") if len(won) > 1 else ("fixes", "keeps")
    return f"**{words(won)} {fix} the planted flaws and {keep} the knowledge**"


def shortfall_sentence(found: Mapping[str, Judgement]) -> str:
    """Everyone who did not win, by what is missing."""
    groups: dict[str, list[str]] = {}
    for model, one in found.items():
        if (one.behaviour, one.knowledge) != (FIXES, KEEPS):
            groups.setdefault(f"behaviour: {one.behaviour}, knowledge: {one.knowledge}", []).append(model)
    if not groups:
        return "none falls short"
    others = "" if sum(map(len, groups.values())) == len(found) else "of the others, "
    return others + "; ".join(f"{words(names)} ({reason})" for reason, names in groups.items())


def best_preference(params: Params, scores: Mapping[str, Scores]) -> tuple[str, list[str]] | None:
    """The preference method of the highest exact match, and those that tie with it; None without a checkable prompt."""
    names = preference_methods(params)
    if not names or not scores[names[0]].prompts[JOINT]:
        return None
    best = max(names, key=lambda name: float(scores[name].values[JOINT].mean()))
    ties = []
    for name in names:
        found = difference(scores[best], scores[name], JOINT, params.evaluate)
        if name != best and found is not None and found.tie:
            ties.append(name)
    return best, ties


def preference_sentence(best: str, ties: Sequence[str], methods: Mapping[str, Row], count: int) -> str:
    row = methods[best]
    value = percent_interval(row[JOINT], row[f"{JOINT}_low"], row[f"{JOINT}_high"])
    if not ties:
        rest = ", clearly ahead of the other preference methods" if count > 1 else ""
        return f"`{best}` has the highest exact match, {value}{rest}."
    scope = ": a tie of all preference methods" if len(ties) == count - 1 else ""
    return f"`{best}` has the highest exact match, {value}, tied with {words(ties)}{scope}."


def control_sentence(best: str, scores: Mapping[str, Scores], params: Params) -> str:
    parts = []
    for control in controls(params):
        found = difference(scores[best], scores[control], JOINT, params.evaluate)
        if found is not None:
            shown = points(found.mean, found.low, found.high)
            outcome = "beats" if found.low > 0 else "loses to" if found.high < 0 else "ties with"
            parts.append(f"{outcome} `{control}` ({shown} points)")
    if not parts:
        return "No control was trained, so nothing says whether preferences are worth more than further SFT."
    return f"`{best}` {' and '.join(parts)}."


def cost_sentence(params: Params, training: Mapping[str, Training], benches: Mapping[str, Bench]) -> str:
    parts = []
    later = {model: one.mean_seconds for model, one in training.items() if model != REFERENCE}
    if later:
        least, most = min(later, key=lambda model: later[model]), max(later, key=lambda model: later[model])
        parts.append(
            f"after SFT, training took from {duration(later[least])} (`{least}`) to {duration(later[most])} "
            f"(`{most}`, {significant(later[most] / later[least])} times as long)"
        )
    adapters = [model for model in params.models if model != "base"]
    if adapters:
        fastest = min(adapters, key=lambda model: benches[model].times_as_long)
        slow = [model for model in adapters if not benches[model].as_fast_as(benches[fastest])]
        taken = [significant(end(benches[model].times_as_long for model in adapters)) for end in (min, max)]
        parts.append(
            f"{words(slow)} answered more slowly than `{fastest}`"
            if slow
            else "in use all trained models are equally fast, a pass taking "
            f"{' to '.join(dict.fromkeys(taken))} times as long as with the adapter switched off"
        )
    shown = "; ".join(parts)
    return f"{shown[0].upper()}{shown[1:]}." if parts else "Nothing was trained, so there is no cost to compare."


def opening(
    params: Params,
    scores: Mapping[str, Scores],
    methods: Mapping[str, Row],
    training: Mapping[str, Training],
    benches: Mapping[str, Bench],
    sweep: Row,
) -> str:
    """The answer in three sentences, the evidence behind them and the rules that made them."""
    found = judgements(params, scores, methods)
    evidence = {}
    if found:
        evidence["Behaviour and knowledge"] = f"{behaviour_sentence(found)}; {shortfall_sentence(found)}."
    if (best := best_preference(params, scores)) is not None:
        name, ties = best
        evidence["Preference methods"] = preference_sentence(name, ties, methods, len(preference_methods(params)))
        evidence["Controls"] = control_sentence(name, scores, params)
    if rates := at_one_rate(params, sweep):
        evidence["Learning rates"] = rates
    evidence["Cost"] = cost_sentence(params, training, benches)
    if params.profile == "smoke":
        evidence["Profile"] = "`smoke` proves mechanics: none of its figures says anything about quality."
    rows = []
    for model, one in found.items():
        row, name = methods[model], "knowledge_retention"
        gain = points(one.gain.mean, one.gain.low, one.gain.high) if one.gain else NO_REFERENCE
        kept = percent_interval(row[name], row[f"{name}_low"], row[f"{name}_high"])
        rows.append([model, gain, one.behaviour, kept, one.knowledge])
    header = ["model", f"behaviour minus {REFERENCE}, points", "rule 1", "knowledge retention", "rule 2"]
    parts = [
        bullets(uses(params, scores, methods, training)),
        "The evidence behind this answer:",
        bullets([f"*{title}.* {sentence}" for title, sentence in evidence.items()]),
        table(header, rows, words=("rule 1", "rule 2")),
        "### The rules behind these sentences",
        RULES,
    ]
    return "\n\n".join(parts)
