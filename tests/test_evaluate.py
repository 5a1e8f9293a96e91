"""One scorer for every model: complete rows, the same rows for all, the same bytes at every run."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import generation_rows

from stages import evaluate, paths
from stages.errors import PipelineError
from stages.files import Row, read_json, read_jsonl, write_jsonl
from stages.models import load_model, load_tokenizer
from stages.params import Evaluate, load_params
from stages.scoring.logprobs import completion_logprobs
from stages.tokens import encode

TEXT_KEYS = {"exact", "contains", "chrf", "clean", "hedged", "repeated", "arabic_ratio"}
REFERENCE_KEYS = {"reference_nats", "reference_characters"}
KEYS = {
    "generation": {"task", "wording", "text", "tokens", "stopped"} | TEXT_KEYS | REFERENCE_KEYS,
    "mcq": {"subject", "level", "answer", "predicted", "correct", "choice_logprobs"},
    "pair": {"axis", "sum_correct", "token_correct"}
    | {f"{side}_{unit}" for side in ("chosen", "rejected") for unit in ("nats", "tokens")},
}
METRICS = {
    "exact_match",
    "containment",
    "chrf",
    "mcq_accuracy",
    "preference_accuracy_sum",
    "preference_accuracy_token",
    "natural_stop_rate",
    "arabic_script_ratio",
    "bits_per_character",
    "behaviour_rate",
    "answer_tokens",
}


def run(monkeypatch: pytest.MonkeyPatch, model: str) -> tuple[list[Row], Row]:
    monkeypatch.setattr(sys, "argv", ["evaluate", model])
    evaluate.main()
    folder = paths.eval_metrics(model)
    return read_jsonl(folder / "rows.jsonl"), read_json(folder / "summary.json")


def set_params(old: str, new: str) -> None:
    text = paths.PARAMS.read_text(encoding="utf-8")
    assert old in text
    paths.PARAMS.write_text(text.replace(old, new), encoding="utf-8")


def test_the_base_is_scored_once_without_a_seed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, summary = run(monkeypatch, "base")
    assert len(rows) == 6 + 4 + 3
    assert {row["seed"] for row in rows} == {None}
    assert (summary["model"], summary["profile"], summary["seeds"]) == ("base", "smoke", [])
    assert summary["n"] == {"generation": 6, "mcq": 4, "pairs": 3}


def test_an_adapter_is_scored_for_every_seed(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, summary = run(monkeypatch, adapters)
    assert [(row["kind"], row["id"], row["seed"]) for row in rows] == sorted(
        (row["kind"], row["id"], row["seed"]) for row in rows
    )
    assert len(rows) == 2 * (6 + 4 + 3)
    assert all(set(row) == KEYS[row["kind"]] | {"kind", "id", "seed"} for row in rows)
    assert set(summary["metrics"]) == METRICS
    assert summary["seeds"] == [11, 12]
    for value in summary["metrics"].values():
        assert value["low"] <= value["mean"] <= value["high"]
        assert len(value["per_seed"]) == 2
    assert summary["n"] == {"generation": 6, "mcq": 4, "pairs": 3}
    assert summary["metrics"]["chrf"]["n"] == 6
    assert summary["metrics"]["containment"]["n"] == 5  # the open prompt has no fact to find
    assert [row["contains"] for row in rows if row["id"] == "open-0"] == [None, None]
    assert summary["by_task"]["open"] == {"n": 1, "exact": 0.0, "contains": None}
    assert {axis: value["n"] for axis, value in summary["by_axis"].items()} == {
        "hedging": 1,
        "near_miss": 1,
        "latin_punctuation": 1,
    }


def test_the_seeds_are_different_models(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = run(monkeypatch, adapters)
    first, second = ([row["chosen_nats"] for row in rows if row.get("axis") and row["seed"] == s] for s in (11, 12))
    assert first != second
    params = load_params()
    pair = read_jsonl(paths.prepared_split("pairs", "test"))[0]
    example = encode(load_tokenizer(), pair["prompt"], pair["chosen"])
    expected = completion_logprobs(load_model(params.active, adapters, 12), [example])[0]
    found = next(row for row in rows if row["id"] == pair["id"] and row["seed"] == 12)
    assert found["chosen_nats"] == pytest.approx(expected, abs=1e-3)
    assert found["chosen_tokens"] == len(example.completion_ids)


def test_the_means_are_those_of_the_rows(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, summary = run(monkeypatch, adapters)
    pairs = [row for row in rows if row["kind"] == "pair"]
    assert summary["metrics"]["preference_accuracy_sum"]["mean"] == pytest.approx(
        np.mean([row["chosen_nats"] > row["rejected_nats"] for row in pairs]), abs=1e-5
    )
    by_token = [r["chosen_nats"] / r["chosen_tokens"] > r["rejected_nats"] / r["rejected_tokens"] for r in pairs]
    assert summary["metrics"]["preference_accuracy_token"]["mean"] == pytest.approx(np.mean(by_token), abs=1e-5)
    generation = [row for row in rows if row["kind"] == "generation"]
    bits = sum(-row["reference_nats"] / math.log(2) for row in generation)
    characters = sum(row["reference_characters"] for row in generation)
    assert summary["metrics"]["bits_per_character"]["mean"] == pytest.approx(bits / characters, rel=1e-4)
    eleven = [row["tokens"] for row in generation if row["seed"] == 11]
    assert summary["metrics"]["answer_tokens"]["per_seed"][0] == pytest.approx(np.mean(eleven), rel=1e-5)


def test_a_choice_is_scored_as_an_answer_per_character(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = run(monkeypatch, "base")
    question = read_jsonl(paths.MCQ)[1]
    model, tokenizer = load_model(load_params().active, "base", 11), load_tokenizer()
    asked = [{"role": "user", "content": question["question"]}]
    expected = []
    for choice in question["choices"]:
        example = encode(tokenizer, asked, [{"role": "assistant", "content": choice + "."}])
        expected.append(completion_logprobs(model, [example])[0] / len(choice + "."))
    found = next(row for row in rows if row["id"] == question["id"])
    assert found["choice_logprobs"] == pytest.approx(expected, abs=1e-4)
    assert found["predicted"] == int(np.argmax(expected))
    assert found["correct"] == (found["predicted"] == question["answer"])


def test_a_rerun_gives_the_same_bytes(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = paths.eval_metrics(adapters)
    run(monkeypatch, adapters)
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    run(monkeypatch, adapters)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first
    assert set(first) == {"rows.jsonl", "summary.json"}
    assert not [path for path in folder.parent.iterdir() if path != folder]


def test_the_batch_size_moves_no_number(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = run(monkeypatch, "base")
    set_params("sequences_per_batch: 8", "sequences_per_batch: 1")
    again, _ = run(monkeypatch, "base")
    assert [row.get("text") for row in again] == [row.get("text") for row in rows]


def test_a_limit_takes_the_same_rows_whatever_the_file_order(project: Path) -> None:
    budget = load_params().active.evaluate
    full = [row["id"] for row in evaluate.read_held_out(budget).generation]
    write_jsonl(paths.GENERATION, reversed(generation_rows()))
    set_params("generation_prompts: 8", "generation_prompts: 3")
    assert [row["id"] for row in evaluate.read_held_out(load_params().active.evaluate).generation] == full[:3]
    assert full != sorted(full)


def test_prompts_without_checks_give_no_containment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jsonl(paths.GENERATION, [row for row in generation_rows() if row["task"] == "open"])
    _, summary = run(monkeypatch, "base")
    assert summary["metrics"]["containment"] == {"mean": None, "low": None, "high": None, "n": 0, "per_seed": []}


def test_ties_count_half_and_perfection_is_one() -> None:
    pair = {"kind": "pair", "seed": None, "axis": "hedging", "token_correct": 1.0}
    generation = {
        "kind": "generation",
        "seed": None,
        "task": "capital",
        "reference_nats": -4 * math.log(2),
        "reference_characters": 8,
        **dict.fromkeys(["exact", "contains", "stopped", "clean"], True),
        **{"arabic_ratio": 1.0, "chrf": 100.0, "tokens": 5},
    }
    mcq = {"kind": "mcq", "seed": None, "correct": True}
    rows = [generation, mcq, pair | {"sum_correct": evaluate._wins(-1, -1)}, pair | {"sum_correct": 1.0}]
    found = evaluate.summarise(rows, [None], Evaluate(bootstrap_samples=50, confidence=0.95))
    means = {name: value["mean"] for name, value in found["metrics"].items()}
    assert means.pop("preference_accuracy_sum") == 0.75
    assert means.pop("bits_per_character") == pytest.approx(0.5)
    assert means.pop("chrf") == 100
    assert means.pop("answer_tokens") == 5
    assert set(means.values()) == {1.0}
    json.dumps(found, allow_nan=False)


def test_a_failed_scoring_leaves_the_last_good_output(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, adapters)
    before = (paths.eval_metrics(adapters) / "rows.jsonl").read_bytes()
    (paths.replica(adapters, 12, (11, 12)) / "adapter_model.safetensors").unlink()
    with pytest.raises(PipelineError, match="holds no adapter"):
        run(monkeypatch, adapters)
    assert (paths.eval_metrics(adapters) / "rows.jsonl").read_bytes() == before


def test_mistakes_are_one_sentence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError, match="'dpp' is not one of"):
        run(monkeypatch, "dpp")
    write_jsonl(paths.MCQ, [])
    with pytest.raises(PipelineError, match=r"mcq\.jsonl"):
        run(monkeypatch, "base")
