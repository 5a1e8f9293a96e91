"""The kinds of prepared rows, each a pure function of one split's raw rows: sft, pairs, unpaired, mcq, generation."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

from stages.arabic.flaws import hedge, latin_punctuation, mix_languages, repeat, truncate
from stages.core.draws import unit_interval
from stages.core.params import Flaws
from stages.core.schema import (
    Check,
    GenerationRow,
    Messages,
    Origin,
    PairRow,
    QuestionRow,
    RawAnswerRow,
    RawQuestionRow,
    RawSafetyRow,
    RawSkillRow,
    SafetyRow,
    Screened,
    SftRow,
    UnpairedRow,
    Wrong,
)
from stages.rows.conventions import SHORT_ANSWER, assistant, user
from stages.rows.raw import Raw, answers, is_skill, pairs

R = TypeVar("R", SftRow, PairRow)

# How often each axis is chosen where it applies: the two flaws that the SFT rows carry come first.
AXIS_WEIGHTS = {
    "hedging": 0.35,
    "repetition": 0.25,
    "near_miss": 0.2,
    "broken_agreement": 0.2,
    "ignored_constraint": 0.2,
    "language_mixing": 0.1,
    "latin_punctuation": 0.1,
    "truncation": 0.1,
}
# What is wrong in a skill's wrong answers, where it is something else than the fact.
WRONG_AXES = {"agreement": "broken_agreement", "formatting": "ignored_constraint"}


def named(row: Origin, identity: str) -> Screened:
    """What a row says of its origin that is made of this one; no flag was looked for yet."""
    return {"id": identity, "topic": row["topic"], "source": row["source"], "license": row["license"]}


def sft_rows(raws: Sequence[Raw[RawAnswerRow]], flaws: Flaws, seed: int) -> list[SftRow]:
    """Prompt and answer; a share of the answers carries a flaw, named in ``flaw``, as collected data does."""
    rows: list[SftRow] = []
    for raw in raws:
        identity, answer = raw.row["id"], raw.row["completion"]
        point = unit_interval(seed, "flaw", identity)
        flaw = None
        if point < flaws.hedging:
            flaw, answer = "hedging", hedge(answer, _pick(seed, "hedge", identity))
        elif point < flaws.hedging + flaws.repetition:
            flaw, answer = "repetition", repeat(answer, _pick(seed, "repeat", identity))
        rows.append(
            {
                **named(raw.row, identity),
                "prompt": user(raw.row["prompt"]),
                "completion": assistant(answer),
                "flaw": flaw,
            }
        )
    return _shuffled(rows, seed, "sft")


def pair_rows(
    raws: Sequence[Raw[Origin]], per_row: int, seed: int, allowed_wrong: Callable[[Wrong], bool] = lambda wrong: True
) -> list[PairRow]:
    """The clean answer against the same answer with one named factor changed (``axis``).

    ``allowed_wrong`` refuses near misses that may not be shown here (a held-out name or number).
    """
    rows: list[PairRow] = []
    for written in (raw.row for raw in pairs(raws)):
        rows.append(
            _pair(written, written["id"], written["prompt"], written["chosen"], written["rejected"], written["axis"])
        )
    for row in (raw.row for raw in answers(raws)):
        rejected = _corruptions(row, seed, allowed_wrong)
        weighted = {axis: unit_interval(seed, axis, row["id"]) ** (1 / AXIS_WEIGHTS[axis]) for axis in rejected}
        order = sorted(weighted, key=weighted.__getitem__, reverse=True)
        # weighted sampling without replacement (Efraimidis and Spirakis 2006, A-Res)
        for axis in order[:per_row]:
            rows.append(_pair(row, f"{row['id']}-{axis}", row["prompt"], row["completion"], rejected[axis], axis))
    return _shuffled(rows, seed, "pairs")


def unpaired_rows(pairs: Sequence[PairRow], bad_share: float = 1.0, seed: int = 0) -> list[UnpairedRow]:
    """Each pair as two labelled rows: good and bad mixed in every window of four, the halves of a pair far apart.

    ``bad_share`` keeps so many of the bad halves: below 1 the feedback is unbalanced. KTO estimates its KL term from
    mismatched rows of a batch and TRL never reshuffles them, so the order is data.
    """
    halves = [singles(row, bad_share, seed) for row in pairs]
    half = len(pairs) // 2
    turned = [bad for _, bad in [*halves[half:], *halves[:half]]]
    rows: list[UnpairedRow] = []
    for position in range(0, len(pairs), 2):
        good = [one for one, _ in halves[position : position + 2]]
        window = [*good, *(bad for bad in turned[position : position + 2] if bad is not None)]
        random.Random(f"unpaired:{position}").shuffle(window)
        rows.extend(window)
    return rows


def singles(pair: PairRow, bad_share: float, seed: int) -> tuple[UnpairedRow, UnpairedRow | None]:
    """The halves of a pair as labelled rows; the bad one is None for a share of the pairs."""
    kept = unit_interval(seed, "bad", pair["id"]) < bad_share
    bad = _single(pair, "rejected", pair["rejected"], label=False) if kept else None
    return _single(pair, "chosen", pair["chosen"], label=True), bad


def mcq_rows(raws: Sequence[Raw[RawSkillRow]], limit: int, seed: int) -> list[QuestionRow]:
    """Four options per fact; one question per fact, the answer's position balanced to within one question."""
    facts: dict[tuple[str, ...], Raw[RawSkillRow]] = {}
    for raw in sorted(raws, key=lambda raw: unit_interval(seed, "mcq", raw.row["id"])):
        relation = raw.row["wording"].split("-")[0]
        facts.setdefault((raw.row["task"], relation, *sorted(raw.row["entities"])), raw)
    rows: list[QuestionRow] = []
    for number, raw in enumerate(_spread(list(facts.values()))[:limit]):
        row = raw.row
        wrong = [item["answer"] for item in row["wrong"]]
        random.Random(f"{seed}:{row['id']}").shuffle(wrong)
        position = (number + number // 4) % 4  # each block of four starts elsewhere, or a task would own a position
        # Where checks decide, the options are whole texts, and no short answer is asked for.
        bare = "checks" in row or SHORT_ANSWER in row["prompt"]
        question = row["prompt"] if bare else f"{row['prompt']} {SHORT_ANSWER}"
        rows.append(
            {
                "id": f"mcq-{row['id']}",
                "topic": row["topic"],
                "source": row["source"],
                "license": row["license"],
                "question": question,
                "choices": [*wrong[:position], row["answer"], *wrong[position:]],
                "answer": position,
                "subject": row["task"],
                "level": row["level"],
            }
        )
    return rows


def generation_rows(
    skills: Sequence[Raw[RawSkillRow]], open_ended: Sequence[Raw[RawAnswerRow]], limit: int, seed: int
) -> list[GenerationRow]:
    """Prompts with references: at most a quarter open-ended, the others a random draw of the verifiable rows.

    A draw holds the tasks in the shares in which they train, so the mean over it is the share of such questions that
    a model answers; an even spread would weigh a task of 30 rows like one of 300.
    """
    open_ended = sorted(open_ended, key=lambda raw: unit_interval(seed, "open", raw.row["id"]))[: limit // 4]
    chosen = sorted(skills, key=lambda raw: unit_interval(seed, "generation", raw.row["id"]))
    return [_prompt(raw.row) for raw in [*chosen[: max(0, limit - len(open_ended))], *open_ended]]


def _prompt(row: RawAnswerRow) -> GenerationRow:
    return {
        **named(row, f"gen-{row['id']}"),
        "prompt": user(row["prompt"]),
        "references": [row["completion"]],
        "checks": _checks(row) if is_skill(row) else [],
        "task": row["task"] if is_skill(row) else "open",
        "wording": "unseen" if is_skill(row) and row["held_out_wording"] else "seen",
    }


def safety_rows(raws: Sequence[Raw[RawSafetyRow]]) -> list[SafetyRow]:
    """A request with the answer that should be preferred: a refusal of a harmful one, help with its benign twin."""
    return [
        {
            **named(row, row["id"]),
            "prompt": user(row["prompt"]),
            "chosen": assistant(row["chosen"]),
            "rejected": assistant(row["rejected"]),
            "category": row["category"],
            "benign": row["benign"],
            "twin": row["twin"],
        }
        for row in (raw.row for raw in raws)
    ]


def question_rows(raws: Sequence[Raw[RawQuestionRow]]) -> list[QuestionRow]:
    """Hand-written multiple-choice questions as they stand; ``region`` or ``dialect`` says whose they are."""
    return [_question(raw.row) for raw in raws]


def _question(row: RawQuestionRow) -> QuestionRow:
    kept: QuestionRow = {
        "id": row["id"],
        "topic": row["topic"],
        "source": row["source"],
        "license": row["license"],
        "question": row["question"],
        "choices": row["choices"],
        "answer": row["answer"],
        "subject": row["subject"],
        "level": row["level"],
    }
    if "region" in row:
        kept["region"] = row["region"]
    if "dialect" in row:
        kept["dialect"] = row["dialect"]
    return kept


def _checks(row: RawSkillRow) -> list[Check]:
    """The checks that a skill row brings, or else that its answer stands in the text."""
    return list(row.get("checks") or [{"name": "contains", "value": row["answer"]}])


def _corruptions(row: RawAnswerRow, seed: int, allowed_wrong: Callable[[Wrong], bool]) -> dict[str, str]:
    """The rejected answer on every axis that applies to this row."""
    identity, answer = row["id"], row["completion"]
    wrong, task = (row["wrong"], row["task"]) if is_skill(row) else ([], "")
    near_misses = [item["completion"] for item in wrong if allowed_wrong(item)]
    candidates = {
        "hedging": hedge(answer, _pick(seed, "hedge-pair", identity)),
        "repetition": repeat(answer, _pick(seed, "repeat-pair", identity)),
        WRONG_AXES.get(task, "near_miss"): near_misses[_pick(seed, "miss", identity) % len(near_misses)]
        if near_misses
        else None,
        "language_mixing": mix_languages(answer),
        "latin_punctuation": latin_punctuation(answer),
        "truncation": truncate(answer, _pick(seed, "truncate", identity)),
    }
    return {axis: text for axis, text in candidates.items() if text is not None}


def _pair(row: Origin, identity: str, prompt: str, chosen: str, rejected: str, axis: str) -> PairRow:
    return {
        **named(row, identity),
        "prompt": user(prompt),
        "chosen": assistant(chosen),
        "rejected": assistant(rejected),
        "axis": axis,
    }


def _single(pair: PairRow, side: str, answer: Messages, *, label: bool) -> UnpairedRow:
    return {
        **named(pair, f"{pair['id']}-{side}"),
        "pair": pair["id"],
        "prompt": pair["prompt"],
        "completion": answer,
        "label": label,
    }


def _spread(raws: list[Raw[RawSkillRow]]) -> list[Raw[RawSkillRow]]:
    """Interleave the tasks, so that any prefix holds them in equal numbers as long as they last."""
    by_task: dict[str, list[Raw[RawSkillRow]]] = defaultdict(list)
    for raw in raws:
        by_task[raw.row["task"]].append(raw)
    ranked = [(rank, task, raw) for task, rows in by_task.items() for rank, raw in enumerate(rows)]
    return [raw for _, _, raw in sorted(ranked, key=lambda item: item[:2])]


def _pick(*parts: object) -> int:
    return int(unit_interval(*parts) * 1_000_003)


def _shuffled(rows: list[R], seed: int, name: str) -> list[R]:
    return sorted(rows, key=lambda row: unit_interval(seed, name, row["id"]))
