"""Command `arabic-qwen sweep`: how each method bears other learning rates and betas, judged on validation prompts.

Trains the first seed of every method that starts on an adapter, and of SFT, at each point of `sweep` in params.yaml,
the same number of points a method, and scores greedy answers to `data/prepared/tuning.jsonl`; the test prompts are
not looked at. Writes `metrics/sweep.json` (in git): every point, the region in which the behaviour is fixed and the
knowledge kept, and each method's best point with the `-S` options that set it.

Not a stage: forty trainings are no part of `dvc repro`. One process instead of forty experiments, since each would
spend more on starting than on training; a single point is tried with `dvc exp run -S`. Killed, it goes on at the
point it was at: finished ones lie in the scratch folder.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from stages.bases import loading
from stages.bases.adapters import load_model, merged_adapter, with_adapter
from stages.core import intervals, paths
from stages.core.checkpoints import scratch_folder
from stages.core.errors import PipelineError
from stages.core.files import Row, fingerprint, read_json, read_jsonl, sha256, write_json
from stages.core.params import Params, SftMethod, TrainMethod, load_params
from stages.core.schema import TextScore
from stages.scoring.answers import answer, text_scores
from stages.scoring.scored_model import ScoredModel
from stages.training.one_run import train_one
from stages.training.seen_rows import read_rows

FIXED_SHARE = 0.5  # of the start's flawed answers must be gone
KEPT_SHARE = 0.95  # of the start's contained facts must be there


def grid(params: Params) -> Iterator[tuple[str, Params]]:
    """Every point as the params that it trains with: learning rate and beta around the ones that are set.

    A method without beta takes as many learning rates as the others take pairs of the two.
    """
    sweep = params.sweep
    pairs = [(rate, beta) for rate in sweep.learning_rate_factors for beta in sweep.beta_factors]
    for name in sweep.models:
        method = params.train[name]
        if isinstance(method, SftMethod):
            for rate in sweep.learning_rate_factors_without_beta:
                yield name, changed(params, name, rate, method)
        else:
            for rate, beta in pairs:
                yield name, changed(params, name, rate, replace(method, beta=rounded(method.beta * beta)))


def changed(params: Params, name: str, rate: float, method: TrainMethod) -> Params:
    """The params with another method of one model, and its learning rate times ``rate``."""
    rates = params.active.learning_rate
    profile = replace(params.active, learning_rate=rates | {name: rounded(rates[name] * rate)})
    return replace(params, train=params.train | {name: method}, profiles=params.profiles | {params.profile: profile})


def rounded(value: float) -> float:
    """Three significant digits, so that a product of factors reads as a person would write it."""
    return float(f"{value:.3g}")


def score(subject: ScoredModel, prompts: Sequence[Row], params: Params) -> list[TextScore]:
    """``clean``, ``contains`` and ``exact`` of the greedy answer to each prompt."""
    with merged_adapter(subject.model):
        answers = answer(subject, prompts, params.active.evaluate)
    return [text_scores(given.text, row) for row, given in zip(prompts, answers, strict=True)]


def measure(name: str, point: Params, prompts: Sequence[Row], tokenizer: PreTrainedTokenizerBase) -> Row:
    """Train one point and score it. A training that ends in no number is a point too: nothing is fixed or kept."""
    method, seed = point.train[name], point.active.seeds[0]
    about: Row = {
        "method": name,
        "learning_rate": point.active.learning_rate[name],
        "beta": getattr(method, "beta", None),
        "seed": seed,
    }
    rows, lengths, _ = read_rows(name, method)
    try:
        final = train_one(name, point, rows, lengths, tokenizer, seed)
    except PipelineError as error:
        if "not a number" not in str(error):
            raise
        return about | {"diverged": True, "behaviour_rate": 0.0, "containment": 0.0, "exact_match": 0.0}
    model = with_adapter(loading.load_base(point.active), final / "adapter")
    scored = score(ScoredModel(model, tokenizer, name), prompts, point)
    loss = read_json(final / "result.json")["loss_final"]
    shutil.rmtree(final.parent)
    return about | {"diverged": False, "loss_final": loss} | shares(scored, point)


def shares(scored: Sequence[TextScore], params: Params) -> Row:
    """Behaviour rate over all answers; containment and exact match, with its interval, over those with checks."""
    checked = [row for row in scored if row["contains"] is not None]
    settings = params.evaluate
    exact = intervals.bootstrap(
        [float(row["exact"]) for row in checked], settings.bootstrap_samples, settings.confidence
    )
    return {
        "behaviour_rate": sum(row["clean"] for row in scored) / len(scored),
        "containment": sum(row["contains"] is True for row in checked) / len(checked),
        "exact_match": exact.mean,
        "exact_match_low": exact.low,
        "exact_match_high": exact.high,
    }


def judged(points: Sequence[Row], start: Row) -> list[Row]:
    """Each point with its knowledge retention and whether it lies in the workable region.

    For SFT, which has no start to keep, both shares are those of the adapter that the methods start on, too: its
    points show how much of that adapter's knowledge another learning rate reaches.
    """
    fixed = start["behaviour_rate"] + FIXED_SHARE * (1 - start["behaviour_rate"])
    result = []
    for point in points:
        retention = point["containment"] / start["containment"] if start["containment"] else 0.0
        workable = point["behaviour_rate"] >= fixed and retention >= KEPT_SHARE
        result.append(point | {"knowledge_retention": retention, "workable": workable})
    return result


def summary(points: Sequence[Row], params: Params) -> Row:
    """Per method: how many points are workable, and the best one, by exact match (right and without a flaw).

    Of equals it is the one of the lowest learning rate, and then of the beta nearest to the one that is set.
    """
    result: Row = {}
    for name in params.sweep.models:
        own = [point for point in points if point["method"] == name]
        best = max(own, key=lambda point: merit(point, getattr(params.train[point["method"]], "beta", None)))
        options = [f"profiles.{params.profile}.learning_rate.{name}={best['learning_rate']}"]
        options += [f"train.{name}.beta={best['beta']}"] if best["beta"] is not None else []
        result[name] = {
            "points": len(own),
            "workable": sum(point["workable"] for point in own),
            "diverged": sum(point["diverged"] for point in own),
            "best": {key: best[key] for key in ("learning_rate", "beta", "exact_match", "behaviour_rate")},
            "set_it_with": " ".join(f"-S {option}" for option in options),
        }
    return result


def merit(point: Row, beta: float | None) -> tuple[float, float, float]:
    return point["exact_match"], -point["learning_rate"], -abs(math.log(point["beta"] / beta)) if beta else 0.0


def main() -> None:
    params = load_params()
    loading.configure_torch(params.active, params.gpu)
    tokenizer = loading.load_tokenizer()
    prompts = read_jsonl(paths.TUNING)
    inputs = {
        "base": sha256(paths.BASE_PIN),
        "start": sha256(paths.model("sft") / "adapter_model.safetensors"),
        "prompts": sha256(paths.TUNING),
    }
    scratch = scratch_folder("sweep", {"profile": params.profile, "inputs": inputs})
    seed = params.active.seeds[0]
    start = ScoredModel(load_model(params.active, "sft", seed), tokenizer, "sft")
    reached = shares(score(start, prompts, params), params)
    points = []
    for name, point in tqdm(list(grid(params)), desc="sweep", unit="point"):
        settings = [vars(point.train[name]), vars(point.budget(name))]
        file = scratch / f"{name}-{fingerprint(settings)[:16]}.json"
        if not file.exists():
            write_json(file, measure(name, point, prompts, tokenizer))
        points.append(read_json(file))
    points = judged(points, reached)
    found: Row = {
        "profile": params.profile,
        "prompts": len(prompts),
        "split": "validation",
        "seed": seed,
        "start": reached,
        "rules": {"fixed_share": FIXED_SHARE, "kept_share": KEPT_SHARE},
        "methods": summary(points, params),
        "points": points,
        "inputs_sha256": inputs,
    }
    write_json(paths.SWEEP, found)
    shutil.rmtree(scratch)
    for name, row in found["methods"].items():
        best = f"best exact match {row['best']['exact_match']:.3f}: {row['set_it_with']}"
        print(f"sweep: {name}: {row['workable']} of {row['points']} points workable; {best}")
