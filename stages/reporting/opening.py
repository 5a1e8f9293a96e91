"""The report's first sentences, derived from the scores by rules that are printed beneath them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stages.files import Row
from stages.params import Params
from stages.reporting.inputs import Bench, Training, controls, preference_methods
from stages.reporting.scores import REFERENCE, Scores, better_than, difference
from stages.reporting.tables import duration, percent_interval, points, significant, table, words
from stages.statistics import Difference

FIXED_SHARE = 0.5  # share of sft's flawed answers that must be gone
KNOWLEDGE_MARGIN = 0.05  # share of sft's facts that a method may lose and still count as keeping them
JOINT = "exact_match"  # right and clean at once, so it judges behaviour and knowledge together

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
5. *Cost*: seconds in optimizer steps, mean over seeds, and the median of one forward pass; a model whose median is at \
most the fastest one's 95th percentile is as fast.
6. *Use X* for a kind of data: among the models that train on it, one is *better* than another where exact match \
separates the two (p-values of all pairs, adjusted together by Holm's method). Of those than which none is better, the \
one that trains in the fewest seconds is named, with the others as ties; a model that uses feedback must also be \
separated from `{REFERENCE}`, or the data cannot tell, and it is compared with the control that had no feedback.
7. *A tight budget* is rule 6 over all trained models, a model's seconds counting together with those of the adapter \
that it starts on (the reference pass that DPO, IPO and KTO share is left out; it stands under Training).

Intervals are paired bootstraps over prompts and seeds; those of rules 1 to 4 are not adjusted for the number of \
comparisons, rules 6 and 7 are."""


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


@dataclass(frozen=True)
class Choice:
    """Rule 6: the cheapest of the models than which none is better, and the others of these."""

    model: str
    ties: list[str]
    beaten: list[str]


def choose(
    names: Sequence[str], scores: Mapping[str, Scores], seconds: Mapping[str, float], params: Params
) -> Choice | None:
    """None without a model, or without a prompt that can be right or wrong."""
    if not names or not scores[names[0]].prompts[JOINT]:
        return None
    better = better_than(scores, names, JOINT, params.evaluate)
    unbeaten = sorted((name for name in names if not better[name]), key=lambda name: seconds[name])
    return Choice(unbeaten[0], unbeaten[1:], [name for name in names if better[name]])


def learnt(names: Sequence[str], scores: Mapping[str, Scores], params: Params) -> list[str]:
    """Those of the names that are separated from, and better than, what they start from."""
    if REFERENCE not in scores:
        return []
    worse = better_than(scores, [REFERENCE, *names], JOINT, params.evaluate)[REFERENCE]
    return [name for name in names if name in worse]


def beside_controls(model: str, instructed: Sequence[str], scores: Mapping[str, Scores], params: Params) -> str:
    """Whether feedback is worth more than further SFT on the rows that were there already."""
    plain = [name for name in controls(params) if name in instructed]
    better = better_than(scores, [model, *plain], JOINT, params.evaluate)
    ahead = [name for name in plain if model in better[name]]
    tied = [name for name in plain if name not in ahead and name not in better[model]]
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

    def use(choice: Choice | None, purpose: str) -> str:
        if choice is None:
            return f"for {purpose} nothing was trained or scored"
        ties = f", tied with {words(choice.ties)}" if choice.ties else ""
        return f"for {purpose} use `{choice.model}` (exact match {exact(choice.model)}{ties})"

    def feedback(names: Sequence[str], purpose: str) -> str:
        found = learnt(names, scores, params)
        if names and not found:
            are = "are" if len(names) > 1 else "is"
            return f"for {purpose} the data cannot tell: {words(names)} {are} not separated from `{REFERENCE}`"
        choice = choose(found, scores, seconds, params)
        beside = "" if choice is None else beside_controls(choice.model, by_data["sft"], scores, params)
        return use(choice, purpose) + beside

    instructions = use(choose(by_data["sft"], scores, seconds, params), "instruction following")
    against_base = f", where the base has {exact('base')}" if methods["base"][JOINT] is not None else ""
    frugal = choose(list(training), scores, seconds, params)
    budget = use(frugal, "a tight budget")
    if frugal is not None:
        rest = f"; it is ahead of {words(frugal.beaten)}" if frugal.beaten else ""
        budget += f", {duration(seconds[frugal.model])} of training a seed with its start{rest}"
    return [
        f"{instructions}{against_base}.",
        f"{feedback(by_data['pairs'], 'preferences in pairs')}; {feedback(by_data['unpaired'], 'binary feedback')}.",
        f"{budget}.",
    ]


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
    return "of the others, " + "; ".join(f"{words(names)} ({reason})" for reason, names in groups.items())


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
        return f"Of the preference methods `{best}` has the highest exact match, {value}{rest}."
    scope = ": a tie of all preference methods" if len(ties) == count - 1 else ""
    return f"Of the preference methods `{best}` has the highest exact match, {value}, tied with {words(ties)}{scope}."


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
    return f"Against the controls, `{best}` {' and '.join(parts)}."


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
        fastest = min(adapters, key=lambda model: benches[model].p50_ms)
        slow = [model for model in adapters if benches[model].p50_ms > benches[fastest].p95_ms]
        one_shape = len({training[model].trainable_parameters for model in adapters}) == 1
        why = ", which the method cannot explain, since all adapters have one shape" if one_shape else ""
        parts.append(
            f"{words(slow)} answered more slowly than `{fastest}`{why}"
            if slow
            else "in use all trained models are equally fast"
        )
    return f"In cost, {'; '.join(parts)}." if parts else "Nothing was trained, so there is no cost to compare."


def opening(
    params: Params,
    scores: Mapping[str, Scores],
    methods: Mapping[str, Row],
    training: Mapping[str, Training],
    benches: Mapping[str, Bench],
) -> str:
    """The answer in three sentences, the evidence behind them and the rules that made them."""
    found = judgements(params, scores, methods)
    answer = [sentence[0].upper() + sentence[1:] for sentence in uses(params, scores, methods, training)]
    sentences = [f"{behaviour_sentence(found)}; {shortfall_sentence(found)}."] if found else []
    if (best := best_preference(params, scores)) is not None:
        name, ties = best
        sentences.append(preference_sentence(name, ties, methods, len(preference_methods(params))))
        sentences.append(control_sentence(name, scores, params))
    sentences.append(cost_sentence(params, training, benches))
    if params.profile == "smoke":
        sentences.append("The profile `smoke` proves mechanics: none of its figures says anything about quality.")
    rows = []
    for model, one in found.items():
        row, name = methods[model], "knowledge_retention"
        gain = points(one.gain.mean, one.gain.low, one.gain.high) if one.gain else NO_REFERENCE
        kept = percent_interval(row[name], row[f"{name}_low"], row[f"{name}_high"])
        rows.append([model, gain, one.behaviour, kept, one.knowledge])
    header = ["model", f"behaviour minus {REFERENCE}, points", "rule 1", "knowledge retention", "rule 2"]
    return "\n\n".join(
        [" ".join(answer), " ".join(sentences), table(header, rows), "The rules behind these sentences:", RULES]
    )
