"""The answer of the report, what stands behind it, and the rules: facts and a table for the opening's templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.comparison import choices, verdicts
from stages.comparison.measured import Bench, Training
from stages.comparison.paired_scores import REFERENCE, Scores
from stages.comparison.verdicts import Behaviour, Judgement, Knowledge
from stages.core.files import Row
from stages.core.params import Params
from stages.core.schema import Sweep
from stages.reporting import rules
from stages.reporting.rules import Rule
from stages.reporting.tables import METHODS, ROWS, Column, Table, significant
from stages.reporting.templates import Renderer, figure, points

BEHAVIOUR_WORDS = {
    Behaviour.FIXES: "fixes",
    Behaviour.IMPROVES: "improves",
    Behaviour.NO_CHANGE: "no clear change",
    Behaviour.WORSE: "makes it worse",
    Behaviour.NO_REFERENCE: "no reference",
}
KNOWLEDGE_WORDS = {
    Knowledge.KEEPS: "keeps",
    Knowledge.LOSES: "loses",
    Knowledge.UNDECIDED: "undecided",
    Knowledge.UNDEFINED: "undefined",
}

GAIN = Column("behaviour minus …, points", ROWS, "clean, minus sft's on the same prompts", listed="behaviour minus …")
JUDGED = Column("rule …", "the columns beside it", "by the rules below the table", words=True)
RETENTION = Column("knowledge retention", METHODS, "<model>.knowledge_retention[_low, _high]")
OPENING = (GAIN, JUDGED, RETENTION)


def answer(
    renderer: Renderer,
    params: Params,
    scores: Mapping[str, Scores],
    methods: Mapping[str, Row],
    training: Mapping[str, Training],
) -> list[str]:
    """What to use, in three sentences: for instructions, for feedback, and on a tight budget."""
    uses = choices.uses(params, scores, training)
    return renderer.render("answer.md", uses=uses, methods=methods).splitlines()


def evidence(
    params: Params,
    scores: Mapping[str, Scores],
    methods: Mapping[str, Row],
    training: Mapping[str, Training],
    benches: Mapping[str, Bench],
    sweep: Sweep | None,
) -> dict[str, Any]:
    """What `opening.md.j2` speaks of beside the answer."""
    found = verdicts.judgements(params, scores, methods)
    best = verdicts.best_preference(params, scores)
    speed = verdicts.speed(benches)
    return {
        "judgements": found,
        "judgements_table": judgements_table(found, methods),
        "behaviour_words": BEHAVIOUR_WORDS,
        "knowledge_words": KNOWLEDGE_WORDS,
        "winners": [model for model, one in found.items() if one.wins],
        "shortfalls": verdicts.shortfalls(found),
        "best": best,
        "contests": verdicts.against_controls(best.model, scores, params) if best else [],
        "one_rate": choices.at_one_rate(params, sweep),
        "training_cost": verdicts.training_cost(training),
        "speed": speed,
        "times_as_long": " to ".join(dict.fromkeys(map(significant, speed.times_as_long))) if speed else "",
        "Rule": Rule,
        "opening_rules": rules.printed(rules.OPENING),
    }


def judgements_table(found: Mapping[str, Judgement], methods: Mapping[str, Row]) -> Table:
    rows = [
        [
            model,
            points(one.gain) if one.gain else BEHAVIOUR_WORDS[one.behaviour],
            BEHAVIOUR_WORDS[one.behaviour],
            figure(methods[model], "knowledge_retention"),
            KNOWLEDGE_WORDS[one.knowledge],
        ]
        for model, one in found.items()
    ]
    fixes, keeps = JUDGED.named(Rule.FIXES_BEHAVIOUR), JUDGED.named(Rule.KEEPS_KNOWLEDGE)
    return Table(["model", GAIN.named(REFERENCE), fixes, RETENTION, keeps], rows)
