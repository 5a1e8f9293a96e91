"""Every model's answer to every prompt, for the page's search; bounded in size, by a rule that is printed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from stages.comparison.paired_scores import Scores
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.schema import GenerationRow, GenerationScore
from stages.reporting.answers import first_answers, verdict

ANSWERS_BYTES = 1_200_000  # of the page's three million; the pictures need most of the rest


@dataclass(frozen=True)
class Explorer:
    """``payload`` is what the page's script reads; ``left_out`` of ``total`` prompts found no room."""

    payload: dict[str, Any]
    left_out: int
    total: int


def explorer(scores: Mapping[str, Scores], prompts: Sequence[GenerationRow], limit: int = ANSWERS_BYTES) -> Explorer:
    """All prompts that fit into ``limit`` bytes, one of each task in turn, in the order of their ids.

    Raises PipelineError when a scored prompt is not among ``prompts``.
    """
    known = {row["id"]: row for row in prompts}
    answered = sorted({row["id"] for row in next(iter(scores.values())).rows})
    if missing := [name for name in answered if name not in known]:
        raise PipelineError(
            f"{paths.GENERATION} has no prompt {missing[0]!r} that was scored: run `dvc repro evaluate`"
        )
    shown, used = [], 0
    order = in_turn([known[name] for name in answered])
    for prompt in order:
        entry = one_prompt(prompt, first_answers(scores, prompt["id"]))
        used += len(json.dumps(entry, ensure_ascii=False).encode("utf-8"))
        if used > limit:
            break
        shown.append(entry)
    tasks = sorted({entry["task"] for entry in shown})
    payload = {"models": list(scores), "tasks": tasks, "prompts": sorted(shown, key=lambda entry: str(entry["id"]))}
    left_out = len(order) - len(shown)
    return Explorer(payload | {"left_out": left_out, "total": len(order)}, left_out, len(order))


def in_turn(rows: Sequence[GenerationRow]) -> list[GenerationRow]:
    """The first row of each task, then the second of each, ...: what is cut off at the end is cut off fairly."""
    by_task: dict[str, list[GenerationRow]] = {}
    for row in rows:
        by_task.setdefault(str(row["task"]), []).append(row)
    return [row for turn in zip_longest(*by_task.values()) for row in turn if row is not None]


def one_prompt(prompt: GenerationRow, answers: Mapping[str, GenerationScore]) -> dict[str, Any]:
    """``right`` is 1 or 0 where a fact is checked and null where none is; ``flaw`` marks a planted flaw."""
    return {
        "id": prompt["id"],
        "task": prompt["task"],
        "wording": next(iter(answers.values()))["wording"],
        "turns": [[turn["role"], turn["content"]] for turn in prompt["prompt"]],
        "reference": prompt["references"][0],
        "answers": [
            {
                "text": row["text"].strip(),
                "right": None if row["contains"] is None else int(row["contains"]),
                "flaw": int(not row["clean"]),
                "verdict": verdict(row),
            }
            for row in answers.values()
        ],
    }


def embedded_json(value: object) -> str:
    """JSON for a script element: no `<`, so that no answer can close the element or open a comment."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")
