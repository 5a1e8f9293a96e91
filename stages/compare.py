"""Compare: every model's quality side by side, with intervals, and with ties that are named as ties.

Reads metrics/eval/<model>/{summary.json,rows.jsonl} for params.yaml: models, and metrics/train/<model>/summary.json.
Writes metrics/methods.json ({model: {metric: number}}, flat and free of timings, so that the same scores are the same
bytes), metrics/methods.csv (model, metric, value, low, high), which plots and spreadsheets read, and
metrics/differences.json ({metric: {model: {other: difference}}} against base, SFT and the controls, with p-values
adjusted for all pairs of models, the prompts that would separate what is not separated, and the shares of answers that
win, tie and lose by the metric).

Beside the metrics of `evaluate` a row has
  knowledge_retention  containment divided by sft's on the same prompts (exactly 1 for sft; null when sft contains no
                       fact at all, as in the smoke profile, or when sft is not compared);
  rank_behaviour,      places by behaviour_rate, containment and exact_match: one more than the number of models that
  rank_containment,    are better, all pairs being compared and their p-values adjusted together (Holm), so that
  rank_exact_match     models which nothing separates share a rank.
and for multiple choice, as whole answers (mcq_picked) and as letters under rotation (mcq_letters_picked),
  ..._position         the position that it picks most often, counted from 1;
  ..._share            how often it picks that;
  ..._baseline         the accuracy of picking nothing else.
A metric without a measurement is null; the base was not trained here and has no training figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import pandas

from stages.comparison.measured import controls, eval_summary, train_summary
from stages.comparison.paired_scores import (
    REFERENCE,
    RETENTION,
    Scores,
    compared,
    differences,
    places,
    read_scores,
    retention,
)
from stages.core import paths
from stages.core.errors import PipelineError, run_stage
from stages.core.files import Row, rounded, write_json, write_text
from stages.core.metrics import OverReference, as_in_report, in_methods
from stages.core.params import Evaluate, load_params

TRAINING: Final = (
    "loss_first",
    "loss_final",
    "steps",
    "epochs",
    "rows_seen",
    "rows_available",
    "tokens_seen",
    "trainable_parameters",
)
SAME = 1e-4  # a mean recomputed from the rows may differ from the rounded summary by no more, relatively


def evaluated(model: str) -> Row:
    """The metrics of one evaluation: {name: {mean, low, high}}."""
    metrics = eval_summary(model)["metrics"]
    names = [one.name for one in in_methods() if not isinstance(one.value, OverReference)]
    if missing := [name for name in names if name not in metrics]:
        path = paths.eval_metrics(model) / "summary.json"
        raise PipelineError(f"{path}: the key 'metrics.{missing[0]}' is missing: run `dvc repro -f evaluate@{model}`")
    return {name: {part: metrics[name][part] for part in ("mean", "low", "high")} for name in names}


def picks(model: str) -> Row:
    """The position that a model picks most often, so that a constant answerer can be told from one who knows.

    Under rotation the right answer stands at every position equally often, so that always picking one is chance.
    """
    report = eval_summary(model)["multiple_choice"].get("mcq", {})
    letters = report.get("letters_picked_share", [])
    picked: dict[str, tuple[Sequence[float], Sequence[float | None]]] = {
        "mcq_picked": (report.get("cloze_picked_share", []), report.get("constant_answer_accuracy", [])),
        "mcq_letters_picked": (letters, [report.get("chance")] * len(letters)),
    }
    found: Row = {}
    for name, (shares, baseline) in picked.items():
        most = max(range(len(shares)), key=shares.__getitem__) if shares else None
        found[f"{name}_position"] = None if most is None else most + 1
        found[f"{name}_share"] = None if most is None else shares[most]
        found[f"{name}_baseline"] = None if most is None else baseline[most]
    return found


def retained(scores: Mapping[str, Scores], settings: Evaluate) -> dict[str, Row]:
    """Knowledge retention of every model as {mean, low, high}, null where there is nothing to retain."""
    nothing: Row = {"mean": None, "low": None, "high": None}
    if REFERENCE not in scores:
        return dict.fromkeys(scores, nothing)
    found = {model: retention(one, scores[REFERENCE], settings) for model, one in scores.items()}
    return {
        model: nothing if one is None else {"mean": one.mean, "low": one.low, "high": one.high}
        for model, one in found.items()
    }


def check_agreement(model: str, metrics: Row, scores: Scores) -> None:
    """Rows and summary come from one evaluation; raises PipelineError when their means differ."""
    for name, matrix in scores.values.items():
        if not matrix.size or math.isclose(metrics[name]["mean"], matrix.mean(), rel_tol=SAME, abs_tol=SAME):
            continue
        raise PipelineError(
            f"{paths.eval_metrics(model)}: {name} is {metrics[name]['mean']} in summary.json but {matrix.mean():.6g} "
            f"in rows.jsonl: run `dvc repro -f evaluate@{model}`"
        )


def trained(model: str) -> Row:
    """The figures of a training that are the same on every run; empty for the base."""
    if model == "base":
        return {}
    summary = train_summary(model)
    return {name: summary[name] for name in TRAINING}


def compare(scores: Mapping[str, Scores], settings: Evaluate) -> dict[str, Row]:
    """{model: {metric: {mean, low, high} or a plain number}} of everything that the two files hold."""
    knowledge = retained(scores, settings)
    ranks = {one.rank: places(scores, one.name, settings) for _, one in as_in_report() if one.rank}
    table: dict[str, Row] = {}
    for model in scores:
        metrics = evaluated(model)
        check_agreement(model, metrics, scores[model])
        metrics[RETENTION] = knowledge[model]
        row: Row = {one.name: metrics[one.name] for one in in_methods()}
        row |= {name: found[model].rank if found else None for name, found in ranks.items()}
        table[model] = row | picks(model) | trained(model)
    return table


def flat(row: Row) -> Row:
    """One row of methods.json: ``name``, and for what has an interval ``name_low`` and ``name_high``."""
    result: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            result |= {name: value["mean"], f"{name}_low": value["low"], f"{name}_high": value["high"]}
        else:
            result[name] = value
    return result


def long_csv(table: Mapping[str, Row]) -> str:
    """One line a number, in the order of models and metrics; an empty cell where nothing was measured."""
    rows = []
    for model, row in table.items():
        for name, value in row.items():
            found = value if isinstance(value, dict) else {"mean": value, "low": None, "high": None}
            rows.append([model, name, *(rounded(found[part]) for part in ("mean", "low", "high"))])
    frame = pandas.DataFrame(rows, columns=["model", "metric", "value", "low", "high"], dtype=object)
    return str(frame.to_csv(index=False, lineterminator="\n"))


def main() -> None:
    params = load_params()
    scores = read_scores(params.models)
    table = compare(scores, params.evaluate)
    against = ["base", REFERENCE, *controls(params)]
    apart = {metric: differences(scores, metric, against, params.evaluate) for metric in (*compared(), RETENTION)}
    write_json(paths.DIFFERENCES, {metric: found for metric, found in apart.items() if found})
    write_json(paths.METHODS_JSON, {model: flat(row) for model, row in table.items()})
    write_text(paths.METHODS_CSV, long_csv(table))
    for model, row in table.items():
        shown = (
            f"{one.name} {row[one.name]['mean']:.4g}"
            for _, one in as_in_report()
            if one.rank and row[one.name]["mean"] is not None
        )
        print(f"{model}: {', '.join(shown)}")


if __name__ == "__main__":
    run_stage(main, __doc__)
