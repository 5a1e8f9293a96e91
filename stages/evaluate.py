"""Stage `evaluate@<model>`: score one model on the held-out rows, all seeds, with the scorer that all models share.

Reads `data/prepared/{generation,mcq,pairs/test}.jsonl`, `models/base` and `models/<model>`. Writes
`metrics/eval/<model>/rows.jsonl` (one object per row and seed, so that models can be compared pair by pair) and
`summary.json` (means with bootstrap intervals). No timing and no date: a rerun gives the same bytes.

In the rows `*_nats` is the natural log-probability of an answer, stop token included, 0 or less; `chosen_tokens` and
`rejected_tokens` count that stop token, `tokens` of a generated answer does not. A metric without a row to score
(no checks among the prompts taken) has `n` 0 and the mean null.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages import paths, statistics
from stages.errors import PipelineError, run_stage
from stages.files import Row, read_jsonl, replaced_folder, write_json, write_jsonl
from stages.models import configure_torch, load_model, load_tokenizer
from stages.params import Evaluate, EvaluateBudget, load_params
from stages.scoring import text as metrics
from stages.scoring.generation import generate
from stages.scoring.logprobs import completion_logprobs
from stages.tokens import encode, encode_prompt, generation_stop_ids

ORDER_SEED = 4_096


@dataclass(frozen=True)
class HeldOut:
    """The rows every model is scored on."""

    generation: list[Row]
    mcq: list[Row]
    pairs: list[Row]


def read_held_out(budget: EvaluateBudget) -> HeldOut:
    """The first rows of each file after a seeded shuffle; raises PipelineError for an empty file."""
    return HeldOut(
        generation=_first(paths.GENERATION, budget.generation_prompts),
        mcq=_first(paths.MCQ, budget.mcq_questions),
        pairs=_first(paths.prepared_split("pairs", "test"), budget.pairs),
    )


def _first(path: Path, limit: int) -> list[Row]:
    rows = sorted(read_jsonl(path), key=lambda row: str(row["id"]))
    if not rows or limit < 1:
        raise PipelineError(f"{path}: no row to evaluate: add held-out rows, or raise profiles.<profile>.evaluate")
    random.Random(ORDER_SEED).shuffle(rows)
    return rows[:limit]


@dataclass(frozen=True)
class Scorer:
    """One loaded model, ready to score the held-out rows as seed ``seed`` of the model ``label``."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    budget: EvaluateBudget
    seed: int | None
    label: str

    def score(self, held_out: HeldOut) -> list[Row]:
        rows = self.generation(held_out.generation) + self.mcq(held_out.mcq) + self.pairs(held_out.pairs)
        return [row | {"seed": self.seed} for row in rows]

    def generation(self, rows: Sequence[Row]) -> list[Row]:
        """Greedy answers with their text metrics, and the log-probability of each row's first reference."""
        prompts = [encode_prompt(self.tokenizer, row["prompt"]) for row in rows]
        answers = generate(
            self.model,
            self.tokenizer,
            prompts,
            generation_stop_ids(self.tokenizer),
            self.budget.max_new_tokens,
            self.budget.sequences_per_batch,
            show=f"{self.label}: answers",
        )
        references = [_assistant(row["references"][0]) for row in rows]
        nats = self._logprobs([(row["prompt"], answer) for row, answer in zip(rows, references, strict=True)])
        return [
            {
                "kind": "generation",
                "id": row["id"],
                "task": row["task"],
                "wording": row["wording"],
                "text": answer.text,
                "tokens": answer.tokens,
                "stopped": answer.stopped,
                "reference_nats": reference_nats,
                "reference_characters": len(row["references"][0]),
            }
            | text_scores(answer.text, row)
            for row, answer, reference_nats in zip(rows, answers, nats, strict=True)
        ]

    def mcq(self, rows: Sequence[Row]) -> list[Row]:
        """The choice with the highest log-probability per character, each choice being a whole answer.

        Per character, because a sum favours the short choice and a mean per token depends on the tokenizer.
        """
        answers = [[_sentence(choice) for choice in row["choices"]] for row in rows]
        asked = [[{"role": "user", "content": row["question"]}] for row in rows]
        pairs = zip(asked, answers, strict=True)
        nats = iter(self._logprobs([(prompt, _assistant(answer)) for prompt, given in pairs for answer in given]))
        result = []
        for row, given in zip(rows, answers, strict=True):
            scores = [next(nats) / len(answer) for answer in given]
            predicted = scores.index(max(scores))
            result.append(
                {
                    "kind": "mcq",
                    "id": row["id"],
                    "subject": row["subject"],
                    "level": row["level"],
                    "answer": row["answer"],
                    "predicted": predicted,
                    "correct": predicted == row["answer"],
                    "choice_logprobs": scores,
                }
            )
        return result

    def pairs(self, rows: Sequence[Row]) -> list[Row]:
        """Whether the preferred answer is the more probable one: by its sum, and by its mean per token."""
        sides = [encode(self.tokenizer, row["prompt"], row[side]) for row in rows for side in ("chosen", "rejected")]
        nats = completion_logprobs(self.model, sides, show=f"{self.label}: pairs")
        result = []
        for index, row in enumerate(rows):
            chosen, rejected = nats[2 * index : 2 * index + 2]
            chosen_tokens, rejected_tokens = (len(side.completion_ids) for side in sides[2 * index : 2 * index + 2])
            result.append(
                {
                    "kind": "pair",
                    "id": row["id"],
                    "axis": row["axis"],
                    "chosen_nats": chosen,
                    "rejected_nats": rejected,
                    "chosen_tokens": chosen_tokens,
                    "rejected_tokens": rejected_tokens,
                    "sum_correct": _wins(chosen, rejected),
                    "token_correct": _wins(chosen / chosen_tokens, rejected / rejected_tokens),
                }
            )
        return result

    def _logprobs(self, turns: Sequence[tuple[Any, Any]]) -> list[float]:
        examples = [encode(self.tokenizer, prompt, answer) for prompt, answer in turns]
        return completion_logprobs(self.model, examples, show=f"{self.label}: log-probabilities")


def text_scores(text: str, row: Row) -> Row:
    """What `stages.scoring.text` says of one answer to a generation row."""
    hedged, repeated = metrics.hedged(text), metrics.repeated(text)
    return {
        "exact": metrics.exact_match(text, row["references"]),
        "contains": metrics.passes(text, row["checks"]),
        "chrf": metrics.chrf(text, row["references"]),
        "hedged": hedged,
        "repeated": repeated,
        "clean": not hedged and not repeated,
        "arabic_ratio": metrics.arabic_ratio(text),
    }


def _assistant(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _sentence(choice: str) -> str:
    return choice if choice.endswith(".") else choice + "."


def _wins(chosen: float, rejected: float) -> float:
    return 0.5 if chosen == rejected else float(chosen > rejected)


METRICS: dict[str, tuple[str, str]] = {  # name: (kind, field); exact match and containment need a row with checks
    "exact_match": ("checked", "exact"),
    "containment": ("checked", "contains"),
    "chrf": ("generation", "chrf"),
    "mcq_accuracy": ("mcq", "correct"),
    "preference_accuracy_sum": ("pair", "sum_correct"),
    "preference_accuracy_token": ("pair", "token_correct"),
    "natural_stop_rate": ("generation", "stopped"),
    "arabic_script_ratio": ("generation", "arabic_ratio"),
    "behaviour_rate": ("generation", "clean"),
    "answer_tokens": ("generation", "tokens"),
}


def summarise(rows: Sequence[Row], seeds: Sequence[int | None], settings: Evaluate) -> Row:
    """Means with intervals, by task and by axis; ``rows`` must be sorted by (kind, id, seed)."""
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in ("generation", "mcq", "pair")}
    checked = [row for row in kinds["generation"] if row["contains"] is not None]
    kinds["checked"] = checked

    def matrix(kind: str, value: Callable[[Row], float]) -> Any:
        """(seeds, prompts)"""
        return np.array([value(row) for row in kinds[kind]], dtype=np.float64).reshape(-1, len(seeds)).T

    found = {}
    for name, (kind, field) in METRICS.items():
        if kinds[kind]:
            values = matrix(kind, lambda row, field=field: float(row[field]))  # type: ignore[misc]
            found[name] = statistics.bootstrap(values, settings.bootstrap_samples, settings.confidence).as_row()
        else:
            found[name] = {"mean": None, "low": None, "high": None, "n": 0, "per_seed": []}
    found["bits_per_character"] = statistics.bootstrap_ratio(
        matrix("generation", lambda row: -row["reference_nats"] / math.log(2)),
        matrix("generation", lambda row: float(row["reference_characters"])),
        settings.bootstrap_samples,
        settings.confidence,
    ).as_row()
    axes = {"sum": "sum_correct", "token": "token_correct"}
    return {
        "n": {name: len(kinds[name.removesuffix("s")]) // len(seeds) for name in ("generation", "mcq", "pairs")},
        "seeds": [seed for seed in seeds if seed is not None],
        "metrics": found,
        "by_task": _by(kinds["generation"], "task", {"exact": "exact", "contains": "contains"}, len(seeds)),
        "by_axis": _by(kinds["pair"], "axis", axes, len(seeds)),
        "signatures": signatures(settings),
    }


def _by(rows: Sequence[Row], key: str, fields: dict[str, str], seeds: int) -> Row:
    """Means of ``fields`` over prompts and seeds for each value of ``key``; null where a row has none to give."""
    result: Row = {}
    for value in sorted({row[key] for row in rows}):
        group = [row for row in rows if row[key] == value]
        result[value] = {"n": len(group) // seeds}
        for name, field in fields.items():
            numbers = [float(row[field]) for row in group if row[field] is not None]
            result[value][name] = sum(numbers) / len(numbers) if numbers else None
    return result


def signatures(settings: Evaluate) -> Row:
    """What has to be equal for two numbers to be comparable."""
    return {
        "exact_match": "any reference|normalisation:folded|rows:with checks|version:1",
        "containment": "whole words|normalisation:folded|version:1",
        "chrf": metrics.chrf_signature(),
        "mcq_accuracy": "whole answers with a full stop|log-probability per character|version:1",
        "bits_per_character": "first reference and stop token|characters of the reference|version:1",
        "generation": "greedy|no penalty|version:1",
        "interval": f"percentile bootstrap over prompts, seeds averaged|samples:{settings.bootstrap_samples}"
        f"|confidence:{settings.confidence}|seed:{statistics.RESAMPLING_SEED}|version:1",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Score one model on the held-out rows.")
    parser.add_argument("model", help="a name of params.yaml: models")
    name = parser.parse_args().model
    params = load_params()
    if name not in params.models:
        raise PipelineError(f"{name!r} is not one of params.yaml: models ({', '.join(params.models)})")
    profile = params.active
    configure_torch(profile)
    tokenizer = load_tokenizer()
    held_out = read_held_out(profile.evaluate)
    seeds: list[int | None] = [None] if name == "base" else list(profile.seeds)
    rows: list[Row] = []
    for seed in seeds:
        model = load_model(profile, name, profile.seeds[0] if seed is None else seed)
        label = name if seed is None else f"{name} (seed {seed})"
        rows += Scorer(model, tokenizer, profile.evaluate, seed, label).score(held_out)
    rows.sort(key=lambda row: (row["kind"], row["id"], -1 if row["seed"] is None else row["seed"]))
    summary = {"model": name, "profile": params.profile} | summarise(rows, seeds, params.evaluate)
    with replaced_folder(paths.eval_metrics(name)) as folder:
        write_jsonl(folder / "rows.jsonl", rows)
        write_json(folder / "summary.json", summary)
    for metric, value in summary["metrics"].items():
        if value["n"]:
            interval = f"[{value['low']:.4g}, {value['high']:.4g}]"
            print(f"{name}: {metric} {value['mean']:.4g} {interval}, {value['n']} prompts x {len(seeds)} seeds")


if __name__ == "__main__":
    run_stage(main)
