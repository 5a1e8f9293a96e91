"""The user's own test sets, and prose without a chat template: read by the readers of data.sources, scored as ours."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from stages import evaluate
from stages.bases.loading import load_tokenizer
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_json, read_jsonl, write_jsonl
from stages.core.params import OwnTest, load_params
from stages.scoring.held_out import read_own
from stages.scoring.language_modelling import prose_rows
from stages.scoring.scored_model import ScoredModel

GOLDEN = json.loads((Path(__file__).parent / "golden/harness_prompts.json").read_text(encoding="utf-8"))
FILES: dict[str, list[Row]] = {
    "prompts": [
        {"prompt": "ما عاصمة قطر؟", "completion": "الدوحة."},
        {"prompt": "من أنت؟", "completion": "أنا مساعد."},
    ],
    "pairs": [{"prompt": "ما عاصمة قطر؟", "chosen": "الدوحة.", "rejected": "الرياض."}],
    "questions": [{"question": "ما عاصمة قطر؟", "choices": ["الرياض", "الدوحة"], "answer": 1, "subject": "capitals"}],
    "mmlu": [case["record"] for case in GOLDEN if (case["prompts"], case["layout"]) == ("lm_eval", "arabicmmlu")],
}
KINDS = {"prompts": "own_generation", "pairs": "own_pair", "questions": "own_mcq", "mmlu": "own_harness"}


def name_in_params(prompts: dict[str, str]) -> None:
    lines = [f"  - {{name: {name}, path: own/{name}.jsonl, prompts: {prompts.get(name, 'ours')}}}" for name in FILES]
    text = paths.PARAMS.read_text(encoding="utf-8")
    assert "\n  own: []" in text
    paths.PARAMS.write_text(text.replace("\n  own: []", "\n  own:\n" + "\n".join(lines), 1), encoding="utf-8")


def test_a_named_file_is_scored_beside_ours(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rows in FILES.items():
        write_jsonl(Path("own") / f"{name}.jsonl", rows)
    name_in_params({"mmlu": "lm_eval"})
    monkeypatch.setattr(sys, "argv", ["evaluate", adapters])
    evaluate.main()
    folder = paths.eval_metrics(adapters)
    rows, own = read_jsonl(folder / "rows.jsonl"), read_json(folder / "summary.json")["own"]
    assert {name: value["n"] for name, value in own.items()} == {name: len(given) for name, given in FILES.items()}
    for name, kind in KINDS.items():
        mine = [row for row in rows if row.get("set") == name]
        assert {row["kind"] for row in mine} == {kind}
        assert len(mine) == 2 * len(FILES[name])
        assert all(value["n"] == len(FILES[name]) for value in own[name]["metrics"].values())
    assert {"chrf", "rouge_l"} < set(own["prompts"]["metrics"])
    assert {"preference_accuracy_sum", "preference_margin_nats"} < set(own["pairs"]["metrics"])
    assert "mcq_letters_accuracy" in own["questions"]["metrics"]
    assert set(own["mmlu"]["metrics"]) == {"mcq_accuracy", "mcq_accuracy_raw", "mcq_accuracy_byte"}
    assert set(own["questions"]["by_subject"]) == {"capitals"}
    assert not [row for row in rows if row["kind"] in KINDS.values() and "set" not in row]
    summary = read_json(folder / "summary.json")
    assert summary["metrics"]["chrf"]["n"] == 6  # ours alone


@pytest.mark.parametrize(
    ("rows", "test", "words"),
    [
        (FILES["questions"], {"prompts": "oall"}, "oall has no prompt for the layout choices"),
        (FILES["mmlu"], {"prompts": "oall", "layout": "exams"}, "not a record of exams"),
        (FILES["pairs"], {"name": "My set"}, "rename it"),
    ],
)
def test_a_set_that_cannot_be_scored_is_one_sentence(
    tmp_path: Path, rows: list[Row], test: dict[str, Any], words: str
) -> None:
    write_jsonl(tmp_path / "own.jsonl", rows)
    with pytest.raises(PipelineError, match=words):
        read_own([OwnTest(**({"name": "mine", "path": str(tmp_path / "own.jsonl")} | test))])


def test_a_data_set_of_the_hub_is_scored_as_its_files_are(tmp_path: Path) -> None:
    """A folder laid out as the hub's; test_sources.py has the cache and the network."""
    cases = [case for case in GOLDEN if (case["prompts"], case["layout"]) == ("lm_eval", "arabicmmlu")]
    write_jsonl(tmp_path / "hub/test.jsonl", FILES["mmlu"])
    write_jsonl(tmp_path / "hub/train.jsonl", FILES["mmlu"])
    rows = read_own([OwnTest("mmlu", hub=str(tmp_path / "hub"), prompts="lm_eval")])["harness"]
    assert [row["item"].prompt for row in rows] == [case["prompt"] for case in cases]
    assert len({row["id"] for row in rows}) == len(rows) > 1
    assert all(row["id"].startswith("mmlu-test-") for row in rows)


def test_a_row_of_the_hub_that_cannot_be_asked_is_left_out_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = FILES["questions"][0] | {"answer": 7}
    write_jsonl(tmp_path / "hub/test.jsonl", [FILES["questions"][0], broken])
    assert len(read_own([OwnTest("exam", hub=str(tmp_path / "hub"))])["mcq"]) == 1
    assert "evaluate.own: exam: " in (said := capsys.readouterr().out) and "row 2 is left out: " in said


def test_a_hub_id_is_pinned_and_a_set_has_one_place() -> None:
    with pytest.raises(PipelineError, match="pin OALL/ACVA by its full commit hash"):
        read_own([OwnTest("acva", hub="OALL/ACVA", prompts="oall")])
    with pytest.raises(ValueError, match="exactly one of path and hub, found neither"):
        OwnTest("nowhere")


def test_labelled_answers_are_no_test_set(tmp_path: Path) -> None:
    rows = [{"prompt": "س؟", "completion": f"ج {label}", "label": label} for label in (True, False)]
    write_jsonl(tmp_path / "own.jsonl", rows)
    with pytest.raises(PipelineError, match="prompts with references, pairs or questions, found unpaired"):
        read_own([OwnTest("mine", str(tmp_path / "own.jsonl"))])


def test_two_sets_of_one_name_are_an_error(project: Path) -> None:
    text = paths.PARAMS.read_text(encoding="utf-8")
    twice = "\n  own:\n  - {name: a, path: x}\n  - {name: a, path: y}"
    paths.PARAMS.write_text(text.replace("\n  own: []", twice, 1), encoding="utf-8")
    with pytest.raises(PipelineError, match="names of own must differ"):
        load_params()


@torch.no_grad()
def test_bits_of_prose_count_every_token_from_the_first(tiny_qwen: Path) -> None:
    """By hand: the stop token, then the text token by token, each by the full distribution."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_qwen), load_tokenizer(tiny_qwen)
    text = "تقع جدة على البحر الأحمر."
    ids = [tokenizer.convert_tokens_to_ids("<|im_end|>"), *tokenizer(text, add_special_tokens=False)["input_ids"]]
    table = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    nats = sum(float(table[place - 1, ids[place]]) for place in range(1, len(ids)))
    row = prose_rows(ScoredModel(model, tokenizer, "tiny"), [{"id": "text-1", "text": text}])[0]
    assert row["nats"] == pytest.approx(nats, abs=1e-4)
    assert (row["characters"], row["bytes"], row["tokens"]) == (len(text), len(text.encode()), len(ids) - 1)
    assert -row["nats"] / math.log(2) / row["characters"] > 0
