"""Stage `evaluate@<model>`: score one model on the held-out rows, all seeds, with the scorer that all models share.

Reads `data/prepared/{generation,mcq,pairs/test,safety,culture,dialect}.jsonl`, the test sets of `evaluate.own`,
`models/base`, `models/<model>` and the model that it started on. Writes `metrics/eval/<model>/rows.jsonl` (one object
per row and seed, so that models can be compared pair by pair) and `summary.json` (means with bootstrap intervals). No
timing and no date: a rerun gives the same bytes.

A row's `kind` says what was asked: generation, mcq, pair, safety, culture, dialect, text, and own_generation, own_mcq,
own_pair, own_harness for the user's sets. `*_nats` is the natural log-probability of an answer, stop token included,
0 or less; `chosen_tokens` and `rejected_tokens` count that stop token, `tokens` of a generated answer does not. A
metric without a row to score (no checks among the prompts taken) has `n` 0 and the mean null.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import cast

from stages.bases.adapters import load_model, merged_adapter, start_of
from stages.bases.loading import configure_torch, load_tokenizer, read_pin
from stages.core import paths
from stages.core.errors import PipelineError, run_stage
from stages.core.files import Row, replaced_folder, write_json, write_jsonl
from stages.core.params import EvaluateBudget, Limits, load_params
from stages.core.schema import GenerationScore, OwnSummary, ScoreRow, Summary
from stages.scoring.answers import answer, distances, generation_rows, own_answers, references
from stages.scoring.harness import harness_rows
from stages.scoring.held_out import HeldOut, read_held_out
from stages.scoring.language_modelling import prose_rows
from stages.scoring.multiple_choice import question_rows
from stages.scoring.preferences import pair_rows, safety_rows
from stages.scoring.processes import in_processes, workers
from stages.scoring.scored_model import ScoredModel
from stages.scoring.summary import summarise

Score = Callable[[ScoredModel, HeldOut, EvaluateBudget, Limits], Sequence[ScoreRow]]


def score_answers(
    subject: ScoredModel, held_out: HeldOut, budget: EvaluateBudget, limits: Limits
) -> list[GenerationScore]:
    """One row per generation prompt, whatever the batches and the order of the rows."""
    with merged_adapter(subject.model):
        answers = answer(subject, held_out.generation, budget)
        expected = references(subject, held_out.generation)
        given = own_answers(subject, held_out.generation, answers)
        nats = subject.completions([*expected, *given], "references and own answers")  # which share their prompts
    generated = generation_rows(held_out.generation, answers, nats[: len(expected)], limits)
    moved = distances(subject, given, nats[len(expected) :])
    return [{**row, **distance} for row, distance in zip(generated, moved, strict=True)]


def score_choices(subject: ScoredModel, held_out: HeldOut, budget: EvaluateBudget, limits: Limits) -> list[ScoreRow]:
    """One row per held-out row of every other kind, and per row of the user's own sets."""
    with merged_adapter(subject.model):
        return [
            *question_rows(subject, held_out.mcq, "mcq"),
            *question_rows(subject, held_out.culture, "culture"),
            *question_rows(subject, held_out.dialect, "dialect"),
            *pair_rows(subject, held_out.pairs),
            *safety_rows(subject, held_out.safety),
            *prose_rows(subject, held_out.text),
            *score_own(subject, held_out.own, budget, limits),
        ]


def score_own(
    subject: ScoredModel, own: dict[str, list[Row]], budget: EvaluateBudget, limits: Limits
) -> list[ScoreRow]:
    """The user's test sets, by the same functions."""
    if not any(own.values()):
        return []
    answers = answer(subject, own["generation"], budget)
    nats = subject.completions(references(subject, own["generation"]), "own references")
    return [
        *generation_rows(own["generation"], answers, nats, limits, "own_generation"),
        *question_rows(subject, own["mcq"], "own_mcq"),
        *pair_rows(subject, own["pair"], "own_pair"),
        *harness_rows(subject, own["harness"], "own_harness"),
    ]


def own_line(name: str, found: OwnSummary) -> str:
    """One of the user's sets on the console: its first figures, beside what constant answers would get."""
    shown = [
        f"{metric} {value['mean']:.4g} [{value['low']:.4g}, {value['high']:.4g}]"
        for metric, value in list(found["metrics"].items())[:2]
    ]
    questions = found["multiple_choice"]
    if "chance" in questions:
        shown.append(f"chance {questions['chance']:.3g}, the commonest answer {questions['majority_accuracy']:.3g}")
    return f"own set {name}, {found['n']} rows: {', '.join(shown)}"


SCORES: tuple[Score, ...] = (score_choices, score_answers)


def main() -> None:
    parser = argparse.ArgumentParser(description="Score one model on the held-out rows.")
    parser.add_argument("model", help="a name of params.yaml: models")
    name = parser.parse_args().model
    params = load_params()
    if name not in params.models:
        raise PipelineError(f"{name!r} is not one of params.yaml: models ({', '.join(params.models)})")
    profile = params.active
    configure_torch(profile, params.gpu)
    tokenizer = load_tokenizer()
    held_out = read_held_out(profile.evaluate, params.evaluate.own)
    seeds: list[int | None] = [None] if name == "base" else list(profile.seeds)

    def scored(part: tuple[int | None, Sequence[Score]]) -> list[Row]:
        seed, scores = part
        model = load_model(profile, name, profile.seeds[0] if seed is None else seed)
        label = name if seed is None else f"{name} (seed {seed})"
        subject = ScoredModel(model, tokenizer, label, None if seed is None else start_of(name, seed, profile.seeds))
        found = [row for score in scores for row in score(subject, held_out, profile.evaluate, params.data.limits)]
        return [{**row, "seed": seed} for row in found]

    count = workers(read_pin()["parameters"], len(seeds) * len(SCORES))
    halves = [SCORES] if count == 1 else [(score,) for score in SCORES]  # one process loads each seed once
    found = in_processes(scored, [(seed, half) for seed in seeds for half in halves], count)
    rows = [row for part in found for row in part]
    rows.sort(key=lambda row: (row["kind"], row["id"], -1 if row["seed"] is None else row["seed"]))
    summary = cast(
        Summary,
        {"model": name, "profile": params.profile} | summarise(rows, seeds, params.evaluate, held_out.references()),
    )
    with replaced_folder(paths.eval_metrics(name)) as folder:
        write_jsonl(folder / "rows.jsonl", rows)
        write_json(folder / "summary.json", summary)
    for metric, value in summary["metrics"].items():
        if value["n"]:
            interval = f"[{value['low']:.4g}, {value['high']:.4g}]"
            print(f"{name}: {metric} {value['mean']:.4g} {interval}, {value['n']} prompts x {len(seeds)} seeds")
    for own, one in summary["own"].items():
        print(f"{name}: {own_line(own, one)}")


if __name__ == "__main__":
    run_stage(main)
