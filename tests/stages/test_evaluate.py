"""One scorer for every model: complete rows, the same rows for all, the same bytes at every run."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from stages import evaluate
from stages.bases.adapters import load_model, merged_adapter, with_start
from stages.bases.loading import load_tokenizer
from stages.bases.tokens import encode
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_json, read_jsonl, write_jsonl
from stages.core.metrics import measured
from stages.core.params import Evaluate, load_params
from stages.scoring import log_probabilities, prefix_cache, summary, writing_style
from stages.scoring.held_out import read_held_out
from stages.scoring.log_probabilities import completion_logprobs
from stages.scoring.scored_model import ScoredModel, wins
from tests.support.clones import replace_in_params
from tests.support.score_rows import check_equal
from tests.support.tiny import generation_rows

TEXT_KEYS = {"exact", "contains", "chrf", "clean", "hedged", "repeated", "arabic_ratio"}
TEXT_KEYS |= {"chrf_raw", "rouge_l", "rouge_l_raw", "reference_words"}
STYLE_KEYS = {"letters", "diacritics", "digits", "eastern_digits", "marks", "arabic_marks", "words", "dialect_words"}
STYLE_KEYS |= {"dialects", "flags", "log_ratio_to_base_nats_per_token", "log_ratio_to_start_nats_per_token"}
REFERENCE_KEYS = {"reference_nats", "reference_characters"}
SIDES = {f"{side}_{unit}" for side in ("chosen", "rejected") for unit in ("nats", "tokens")}
SIDES |= {"sum_correct", "token_correct", "margin_nats", "margin_nats_per_token"}
QUESTION = {"subject", "level", "answer", "predicted", "correct", "choice_logprobs"}
QUESTION |= {"choice_nats", "correct_raw", "correct_byte", "letter_nats", "letter_picks", "letters_rotated"}
QUESTION |= {"letters_correct", "letters_correct_character", "letters_correct_byte"}
KEYS = {
    "generation": {"task", "wording", "text", "tokens", "stopped"} | TEXT_KEYS | REFERENCE_KEYS | STYLE_KEYS,
    "mcq": QUESTION,
    "culture": QUESTION | {"region"},
    "dialect": QUESTION | {"dialect"},
    "pair": {"axis", "equal_length"} | SIDES,
    "safety": {"category", "benign", "twin", "correct"} | SIDES,
    "text": {"nats", "tokens", "characters", "bytes"},
}
COUNTS = {"generation": 6, "mcq": 4, "pairs": 3, "safety": 2, "culture": 2, "dialect": 2, "text": 1}
MAY_BE_EMPTY = {"arabic_indic_digit_share", "arabic_punctuation_share"}  # random models write no digit
METRICS = {one.name for one in measured()}
# What compare, select and the report have read since before the others were added.
FIRST_METRICS = {
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


def test_the_base_is_scored_once_without_a_seed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, found = run(monkeypatch, "base")
    assert len(rows) == sum(COUNTS.values())
    assert {row["seed"] for row in rows} == {None}
    assert (found["model"], found["profile"], found["seeds"]) == ("base", "smoke", [])
    assert found["n"] == COUNTS
    assert found["metrics"]["log_ratio_to_base_nats_per_token"]["mean"] == 0
    assert found["metrics"]["log_ratio_to_start_nats_per_token"]["n"] == 0


def test_an_adapter_is_scored_for_every_seed(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, found = run(monkeypatch, adapters)
    assert [(row["kind"], row["id"], row["seed"]) for row in rows] == sorted(
        (row["kind"], row["id"], row["seed"]) for row in rows
    )
    assert len(rows) == 2 * sum(COUNTS.values())
    assert all(set(row) == KEYS[row["kind"]] | {"kind", "id", "seed"} for row in rows)
    assert set(found["metrics"]) == METRICS >= FIRST_METRICS
    assert found["seeds"] == [11, 12]
    for name, value in found["metrics"].items():
        if value["n"] or name not in MAY_BE_EMPTY:
            assert value["low"] <= value["mean"] <= value["high"], name
            assert len(value["per_seed"]) == 2
    assert found["n"] == COUNTS
    assert found["metrics"]["chrf"]["n"] == 6
    assert found["metrics"]["containment"]["n"] == 5  # the open prompt has no fact to find
    assert (found["metrics"]["safe_choice_rate"]["n"], found["metrics"]["over_refusal_rate"]["n"]) == (1, 1)
    assert [row["contains"] for row in rows if row["id"] == "open-0"] == [None, None]
    assert found["by_task"]["open"] == {"n": 1, "exact": 0.0, "contains": None}
    assert {axis: value["n"] for axis, value in found["by_axis"].items()} == {
        "hedging": 1,
        "near_miss": 1,
        "latin_punctuation": 1,
    }
    assert set(found["multiple_choice"]) == {"mcq", "culture", "dialect"}
    assert (set(found["by_region"]), set(found["by_dialect"])) == ({"gulf"}, {"egyptian"})
    assert set(found["corpus"]) == {"chrf", "bleu"}
    assert found["own"] == {}


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
    rows, found = run(monkeypatch, adapters)
    pairs = [row for row in rows if row["kind"] == "pair"]
    assert found["metrics"]["preference_accuracy_sum"]["mean"] == pytest.approx(
        np.mean([row["chosen_nats"] > row["rejected_nats"] for row in pairs]), abs=1e-5
    )
    by_token = [r["chosen_nats"] / r["chosen_tokens"] > r["rejected_nats"] / r["rejected_tokens"] for r in pairs]
    assert found["metrics"]["preference_accuracy_token"]["mean"] == pytest.approx(np.mean(by_token), abs=1e-5)
    generation = [row for row in rows if row["kind"] == "generation"]
    bits = sum(-row["reference_nats"] / math.log(2) for row in generation)
    characters = sum(row["reference_characters"] for row in generation)
    assert found["metrics"]["bits_per_character"]["mean"] == pytest.approx(bits / characters, rel=1e-4)
    eleven = [row["tokens"] for row in generation if row["seed"] == 11]
    assert found["metrics"]["answer_tokens"]["per_seed"][0] == pytest.approx(np.mean(eleven), rel=1e-5)


def test_the_distance_is_the_mean_log_ratio_of_own_answers(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = run(monkeypatch, adapters)
    profile, tokenizer, prompts = load_params().active, load_tokenizer(), read_jsonl(paths.GENERATION)
    own = load_model(profile, adapters, 12)
    others = {"base": load_model(profile, "base", 12), "start": load_model(profile, "sft", 12)}
    answer = evaluate.answer(ScoredModel(own, tokenizer, "dpo"), prompts, profile.evaluate)
    given = evaluate.own_answers(ScoredModel(own, tokenizer, "dpo"), prompts, answer)
    for name, other in others.items():
        ratios = np.subtract(completion_logprobs(own, given), completion_logprobs(other, given))
        expected = {
            row["id"]: ratio / len(one.completion_ids) for row, ratio, one in zip(prompts, ratios, given, strict=True)
        }
        found = {
            row["id"]: row[f"log_ratio_to_{name}_nats_per_token"]
            for row in rows
            if row["kind"] == "generation" and row["seed"] == 12
        }
        assert found == pytest.approx(expected, abs=1e-4)
        assert max(map(abs, found.values())) > 0.01


def test_what_started_on_the_base_is_as_far_from_its_start(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, found = run(monkeypatch, "sft")
    answers = [row for row in rows if row["kind"] == "generation"]
    far = [row["log_ratio_to_start_nats_per_token"] for row in answers]
    assert far == [row["log_ratio_to_base_nats_per_token"] for row in answers] and any(far)
    assert found["metrics"]["log_ratio_to_start_nats_per_token"]["n"] == len(answers) // 2


def test_a_start_that_is_not_there_is_one_sentence(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (paths.replica("sft", 12, (11, 12)) / "adapter_model.safetensors").unlink()
    with pytest.raises(PipelineError, match=r"models/sft/seeds/12 holds no adapter: run `dvc repro train@sft`"):
        run(monkeypatch, adapters)


def test_the_start_takes_the_adapters_place_and_gives_it_back(adapters: str) -> None:
    profile, tokenizer = load_params().active, load_tokenizer()
    model, start = load_model(profile, adapters, 12), load_model(profile, "sft", 12)
    examples = [
        encode(tokenizer, row["prompt"], row["chosen"]) for row in read_jsonl(paths.prepared_split("pairs", "test"))
    ]
    before = completion_logprobs(model, examples)
    with with_start(model, paths.replica("sft", 12, (11, 12))), merged_adapter(model):
        inside = completion_logprobs(model, examples)
    assert inside == pytest.approx(completion_logprobs(start, examples), abs=1e-4)
    assert inside != pytest.approx(before, abs=1e-2)
    assert completion_logprobs(model, examples) == pytest.approx(before, abs=1e-4)


def test_a_merged_adapter_scores_as_the_adapter_beside_the_weights(adapters: str) -> None:
    model, tokenizer = load_model(load_params().active, adapters, 11), load_tokenizer()
    examples = [
        encode(tokenizer, row["prompt"], row["chosen"]) for row in read_jsonl(paths.prepared_split("pairs", "test"))
    ]
    beside = completion_logprobs(model, examples)
    with merged_adapter(model):
        assert completion_logprobs(model, examples) == pytest.approx(beside, abs=1e-4)
    assert completion_logprobs(model, examples) == pytest.approx(beside, abs=1e-4)


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


def test_neither_batch_size_nor_row_order_moves_a_score(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = run(monkeypatch, adapters)
    replace_in_params("sequences_per_batch: 8", "sequences_per_batch: 1")
    monkeypatch.setattr(prefix_cache, "MOST_ROWS", 1)  # no two rows share a prefix
    monkeypatch.setattr(log_probabilities, "MAX_LOGITS", 1)  # and each is a batch of its own
    for file in paths.PREPARED.rglob("*.jsonl"):
        write_jsonl(file, reversed(read_jsonl(file)))
    again, _ = run(monkeypatch, adapters)
    check_equal(rows, again, within=1e-3)


def test_a_limit_takes_the_same_rows_whatever_the_file_order(project: Path) -> None:
    budget = load_params().active.evaluate
    full = [row["id"] for row in read_held_out(budget).generation]
    write_jsonl(paths.GENERATION, reversed(generation_rows()))
    replace_in_params("generation_prompts: 8", "generation_prompts: 3")
    assert [row["id"] for row in read_held_out(load_params().active.evaluate).generation] == full[:3]
    assert full != sorted(full)


def test_prompts_without_checks_give_no_containment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jsonl(paths.GENERATION, [row for row in generation_rows() if row["task"] == "open"])
    _, found = run(monkeypatch, "base")
    assert found["metrics"]["containment"] == {"mean": None, "low": None, "high": None, "n": 0, "per_seed": []}


def test_ties_count_half_and_perfection_is_one() -> None:
    pair = {"kind": "pair", "id": "p", "seed": None, "axis": "hedging", "equal_length": True, "token_correct": 1.0}
    pair |= {"margin_nats": 2.0, "margin_nats_per_token": 1.0}
    generation = {
        "kind": "generation",
        "id": "g",
        "seed": None,
        "task": "capital",
        "text": "عاصمة مصر هي القاهرة.",
        "reference_nats": -4 * math.log(2),
        "reference_characters": 8,
        "reference_words": 4,
        **dict.fromkeys(["exact", "contains", "stopped", "clean", "repeated"], True),
        **{"arabic_ratio": 1.0, "chrf": 100.0, "chrf_raw": 100.0, "rouge_l": 1.0, "rouge_l_raw": 1.0, "tokens": 5},
        **writing_style.counts("عاصمة مصر هي القاهرة."),
        **{"flags": ["tatweel"], "log_ratio_to_base_nats_per_token": 0.25, "log_ratio_to_start_nats_per_token": 0.125},
    }
    letters = {"letters_correct", "letters_correct_character", "letters_correct_byte", "letters_rotated"}
    right = dict.fromkeys({"correct", "correct_raw", "correct_byte", *letters}, True)
    mcq = {"kind": "mcq", "seed": None, "answer": 0, "predicted": 0, "letter_picks": [0, 1], "choice_nats": [-1, -2]}
    rows = [generation, mcq | right, pair | {"sum_correct": wins(-1, -1)}, pair | {"sum_correct": 1.0}]
    settings = Evaluate(bootstrap_samples=50, confidence=0.95)
    found = summary.summarise(rows, [None], settings, {"g": ["عاصمة مصر هي القاهرة."]})
    means = {name: value["mean"] for name, value in found["metrics"].items() if value["n"]}
    assert means.pop("preference_accuracy_sum") == means.pop("preference_accuracy_sum_equal_length") == 0.75
    assert means.pop("bits_per_character") == pytest.approx(0.5)
    assert means.pop("chrf") == means.pop("chrf_raw") == 100
    assert means.pop("answer_tokens") == 5
    assert means.pop("preference_margin_nats") == 2
    assert means.pop("log_ratio_to_base_nats_per_token") == 0.25
    assert means.pop("log_ratio_to_start_nats_per_token") == 0.125
    assert means.pop("diacritics_per_100_letters") == means.pop("dialect_markers_per_100_words") == 0
    assert set(means.values()) == {1.0}
    assert found["flags"] == {"tatweel": 1.0}
    assert found["corpus"]["bleu"]["raw"]["mean"] == pytest.approx(100)
    json.dumps(found, allow_nan=False)


def test_every_metric_says_what_it_was_computed_on() -> None:
    found = summary.signatures(Evaluate(bootstrap_samples=50, confidence=0.95))
    for name in METRICS:
        assert any(f"normalisation:{level}" in found[name] for level in ("none", "raw", "light", "folded")), name
        assert "version:" in found[name]


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
