"""Two Arabic prompts with every model's answer side by side, in HTML because Markdown cannot set right-to-left."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from stages.comparison.paired_scores import Scores
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.schema import GenerationRow, GenerationScore

ENTITY_TASK = "countries"
OPEN_TASK = "open"


def choose(rows: Sequence[GenerationScore]) -> list[str]:
    """The ids shown: the first prompt about a country and the first open one, in id order.

    Where none is about a country (small profiles score few prompts), the first with a fact to check takes its place.
    """
    ordered = sorted(rows, key=lambda row: str(row["id"]))
    entity = [row["id"] for row in ordered if row["task"] == ENTITY_TASK]
    checked = [row["id"] for row in ordered if row["contains"] is not None]
    free = [row["id"] for row in ordered if row["task"] == OPEN_TASK]
    return [*(entity or checked)[:1], *free[:1]]


def first_answers(scores: Mapping[str, Scores], prompt: str) -> dict[str, GenerationScore]:
    """Every model's row for one prompt, from its first seed; rows are sorted by seed."""
    return {model: next(row for row in one.rows if row["id"] == prompt) for model, one in scores.items()}


def inline(text: str) -> str:
    """Escaped, and on one line: a blank line would end the HTML block."""
    return "<br>".join(html.escape(line) for line in text.strip().splitlines()) or "(empty)"


def verdict(row: GenerationScore) -> str:
    """What the scorer says of the answer, in words."""
    marks = [] if row["contains"] is None else ["fact right" if row["contains"] else "fact missing"]
    marks += [name for name, is_so in (("hedged", row["hedged"]), ("repeated", row["repeated"])) if is_so]
    marks += [] if row["stopped"] else ["cut at the token limit"]
    return ", ".join(marks) or "clean"


def side_by_side(prompt: GenerationRow, answers: Mapping[str, GenerationScore]) -> str:
    question = next(turn["content"] for turn in reversed(prompt["prompt"]) if turn["role"] == "user")
    lines = [
        f'<div dir="rtl" lang="ar"><strong>{inline(question)}</strong></div>',
        "",
        "<table>",
        "<tr><th>model</th><th>answer</th><th>scorer</th></tr>",
        f'<tr><td><em>reference</em></td><td dir="rtl" lang="ar">{inline(prompt["references"][0])}</td><td></td></tr>',
    ]
    for model, row in answers.items():
        cells = (
            f'<td>{html.escape(model)}</td><td dir="rtl" lang="ar">{inline(row["text"])}</td><td>{verdict(row)}</td>'
        )
        lines.append(f"<tr>{cells}</tr>")
    return "\n".join([*lines, "</table>"])


def answers_section(scores: Mapping[str, Scores], prompts: Sequence[GenerationRow]) -> dict[str, str]:
    """{id of a prompt that is shown: its question and answers}; raises PipelineError for one that is unknown."""
    known = {row["id"]: row for row in prompts}
    shown = {}
    for prompt in choose(next(iter(scores.values())).rows):
        if prompt not in known:
            raise PipelineError(
                f"{paths.GENERATION} has no prompt {prompt!r} that was scored: run `dvc repro evaluate`"
            )
        shown[prompt] = side_by_side(known[prompt], first_answers(scores, prompt))
    return shown
