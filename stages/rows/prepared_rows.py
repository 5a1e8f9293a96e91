"""The kinds of prepared rows, each a pure function of one split's raw rows: sft, pairs, unpaired, mcq, generation."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence

from stages.arabic.flaws import hedge, latin_punctuation, mix_languages, repeat, truncate
from stages.core.files import Row
from stages.core.params import Flaws
from stages.rows.conventions import SHORT_ANSWER
from stages.rows.raw import Raw
from stages.rows.split import unit_interval

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


def message(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def common(raw: Raw, identity: str) -> Row:
    row = raw.row
    return {"id": identity, "topic": row["topic"], "source": row["source"], "license": row["license"]}


def sft_rows(raws: Sequence[Raw], flaws: Flaws, seed: int) -> list[Row]:
    """Prompt and answer; a share of the answers carries a flaw, named in ``flaw``, as collected data does."""
    rows = []
    for raw in raws:
        identity, answer = raw.row["id"], raw.row["completion"]
        point = unit_interval(seed, "flaw", identity)
        flaw = None
        if point < flaws.hedging:
            flaw, answer = "hedging", hedge(answer, _pick(seed, "hedge", identity))
        elif point < flaws.hedging + flaws.repetition:
            flaw, answer = "repetition", repeat(answer, _pick(seed, "repeat", identity))
        rows.append(
            common(raw, identity)
            | {"prompt": message("user", raw.row["prompt"]), "completion": message("assistant", answer), "flaw": flaw}
        )
    return _shuffled(rows, seed, "sft")


def pair_rows(
    raws: Sequence[Raw], per_row: int, seed: int, allowed_wrong: Callable[[Row], bool] = lambda wrong: True
) -> list[Row]:
    """The clean answer against the same answer with one named factor changed (``axis``).

    ``allowed_wrong`` refuses near misses that may not be shown here (a held-out name or number).
    """
    rows = []
    for raw in raws:
        if raw.kind == "pairs":
            rows.append(_pair(raw, raw.row["id"], raw.row["chosen"], raw.row["rejected"], raw.row["axis"]))
            continue
        rejected = _corruptions(raw, seed, allowed_wrong)
        order = sorted(
            rejected,
            key=lambda axis: unit_interval(seed, axis, raw.row["id"]) ** (1 / AXIS_WEIGHTS[axis]),
            reverse=True,
        )  # weighted sampling without replacement (Efraimidis and Spirakis 2006, A-Res)
        for axis in order[:per_row]:
            rows.append(_pair(raw, f"{raw.row['id']}-{axis}", raw.row["completion"], rejected[axis], axis))
    return _shuffled(rows, seed, "pairs")


def unpaired_rows(pairs: Sequence[Row], bad_share: float = 1.0, seed: int = 0) -> list[Row]:
    """Each pair as two labelled rows: good and bad mixed in every window of four, the halves of a pair far apart.

    ``bad_share`` keeps so many of the bad halves: below 1 the feedback is unbalanced. KTO estimates its KL term from
    mismatched rows of a batch and TRL never reshuffles them, so the order is data.
    """
    halves = [singles(row, bad_share, seed) for row in pairs]
    half = len(pairs) // 2
    turned = [bad for _, bad in [*halves[half:], *halves[:half]]]
    rows: list[Row] = []
    for position in range(0, len(pairs), 2):
        good = [one for one, _ in halves[position : position + 2]]
        window = [*good, *(bad for bad in turned[position : position + 2] if bad is not None)]
        random.Random(f"unpaired:{position}").shuffle(window)
        rows.extend(window)
    return rows


def singles(pair: Row, bad_share: float, seed: int) -> tuple[Row, Row | None]:
    """The halves of a pair as labelled rows; the bad one is None for a share of the pairs."""
    bad = _single(pair, "rejected", label=False) if unit_interval(seed, "bad", pair["id"]) < bad_share else None
    return _single(pair, "chosen", label=True), bad


def mcq_rows(raws: Sequence[Raw], limit: int, seed: int) -> list[Row]:
    """Four options per fact; one question per fact, the answer's position balanced to within one question."""
    facts: dict[tuple[str, ...], Raw] = {}
    for raw in sorted(raws, key=lambda raw: unit_interval(seed, "mcq", raw.row["id"])):
        relation = raw.row["wording"].split("-")[0]
        facts.setdefault((raw.row["task"], relation, *sorted(raw.row["entities"])), raw)
    rows = []
    for number, raw in enumerate(_spread(list(facts.values()))[:limit]):
        row = raw.row
        wrong = [item["answer"] for item in row["wrong"]]
        random.Random(f"{seed}:{row['id']}").shuffle(wrong)
        position = (number + number // 4) % 4  # each block of four starts elsewhere, or a task would own a position
        # Where checks decide, the options are whole texts, and no short answer is asked for.
        bare = "checks" in row or SHORT_ANSWER in row["prompt"]
        question = row["prompt"] if bare else f"{row['prompt']} {SHORT_ANSWER}"
        rows.append(
            common(raw, f"mcq-{row['id']}")
            | {
                "question": question,
                "choices": [*wrong[:position], row["answer"], *wrong[position:]],
                "answer": position,
                "subject": row["task"],
                "level": row["level"],
            }
        )
    return rows


def generation_rows(skills: Sequence[Raw], open_ended: Sequence[Raw], limit: int, seed: int) -> list[Row]:
    """Prompts with references: at most a quarter open-ended, the others a random draw of the verifiable rows.

    A draw holds the tasks in the shares in which they train, so the mean over it is the share of such questions that
    a model answers; an even spread would weigh a task of 30 rows like one of 300.
    """
    open_ended = sorted(open_ended, key=lambda raw: unit_interval(seed, "open", raw.row["id"]))[: limit // 4]
    chosen = sorted(skills, key=lambda raw: unit_interval(seed, "generation", raw.row["id"]))
    rows = []
    for raw in [*chosen[: max(0, limit - len(open_ended))], *open_ended]:
        verifiable = raw.kind == "skills"
        rows.append(
            common(raw, f"gen-{raw.row['id']}")
            | {
                "prompt": message("user", raw.row["prompt"]),
                "references": [raw.row["completion"]],
                "checks": _checks(raw.row) if verifiable else [],
                "task": raw.row["task"] if verifiable else "open",
                "wording": "unseen" if verifiable and raw.row["held_out_wording"] else "seen",
            }
        )
    return rows


def safety_rows(raws: Sequence[Raw]) -> list[Row]:
    """A request with the answer that should be preferred: a refusal of a harmful one, help with its benign twin."""
    return [
        common(raw, raw.row["id"])
        | {
            "prompt": message("user", raw.row["prompt"]),
            "chosen": message("assistant", raw.row["chosen"]),
            "rejected": message("assistant", raw.row["rejected"]),
        }
        | {field: raw.row[field] for field in ("category", "benign", "twin")}
        for raw in raws
    ]


def question_rows(raws: Sequence[Raw]) -> list[Row]:
    """Hand-written multiple-choice questions as they stand; ``region`` or ``dialect`` says whose they are."""
    fields = ("question", "choices", "answer", "subject", "level", "region", "dialect")
    return [
        common(raw, raw.row["id"]) | {field: raw.row[field] for field in fields if field in raw.row} for raw in raws
    ]


def _checks(row: Row) -> list[Row]:
    """The checks that a skill row brings, or else that its answer stands in the text."""
    return list(row.get("checks") or [{"name": "contains", "value": row["answer"]}])


def _corruptions(raw: Raw, seed: int, allowed_wrong: Callable[[Row], bool]) -> dict[str, str]:
    """The rejected answer on every axis that applies to this row."""
    identity, answer = raw.row["id"], raw.row["completion"]
    near_misses = [item["completion"] for item in raw.row.get("wrong", []) if allowed_wrong(item)]
    candidates = {
        "hedging": hedge(answer, _pick(seed, "hedge-pair", identity)),
        "repetition": repeat(answer, _pick(seed, "repeat-pair", identity)),
        WRONG_AXES.get(raw.row.get("task", ""), "near_miss"): near_misses[
            _pick(seed, "miss", identity) % len(near_misses)
        ]
        if near_misses
        else None,
        "language_mixing": mix_languages(answer),
        "latin_punctuation": latin_punctuation(answer),
        "truncation": truncate(answer, _pick(seed, "truncate", identity)),
    }
    return {axis: text for axis, text in candidates.items() if text is not None}


def _pair(raw: Raw, identity: str, chosen: str, rejected: str, axis: str) -> Row:
    return common(raw, identity) | {
        "prompt": message("user", raw.row["prompt"]),
        "chosen": message("assistant", chosen),
        "rejected": message("assistant", rejected),
        "axis": axis,
    }


def _single(pair: Row, side: str, *, label: bool) -> Row:
    kept = {key: pair[key] for key in ("topic", "source", "license", "prompt")}
    return kept | {"id": f"{pair['id']}-{side}", "pair": pair["id"], "completion": pair[side], "label": label}


def _spread(raws: list[Raw]) -> list[Raw]:
    """Interleave the tasks, so that any prefix holds them in equal numbers as long as they last."""
    by_task: dict[str, list[Raw]] = defaultdict(list)
    for raw in raws:
        by_task[raw.row["task"]].append(raw)
    ranked = [(rank, task, raw) for task, rows in by_task.items() for rank, raw in enumerate(rows)]
    return [raw for _, _, raw in sorted(ranked, key=lambda item: item[:2])]


def _pick(*parts: object) -> int:
    return int(unit_interval(*parts) * 1_000_003)


def _shuffled(rows: list[Row], seed: int, name: str) -> list[Row]:
    return sorted(rows, key=lambda row: unit_interval(seed, name, row["id"]))
