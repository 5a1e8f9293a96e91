"""Other small models: each architecture goes through base, contract, all five methods and evaluation.

The models are tiny and random. Two architectures run in the ordinary suite, the others with `pytest -m drill`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from stages import base, contract, evaluate, reference
from stages.bases.adapters import load_model
from stages.core import paths
from stages.core.files import read_json, read_jsonl
from stages.core.params import load_params
from tests.support.clones import set_param
from tests.support.tiny import tiny_tokenizer
from tests.support.trainings import run_train

SEVEN = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
}
ARCHITECTURES: dict[str, tuple[dict[str, Any], str, list[str]]] = {  # settings, attention, the projections
    "llama": ({}, "sdpa", SEVEN),
    "mistral": ({"sliding_window": 64}, "sdpa", SEVEN),
    "qwen2": ({}, "sdpa", SEVEN),
    "phi3": ({}, "sdpa", ["down_proj", "gate_up_proj", "o_proj", "qkv_proj"]),
    "gemma2": ({"sliding_window": 64, "query_pre_attn_scalar": 16}, "eager", SEVEN),
    "gemma3_text": ({"sliding_window": 64, "query_pre_attn_scalar": 16}, "sdpa", SEVEN),
    "olmo2": ({}, "sdpa", SEVEN),
    "smollm3": ({}, "sdpa", SEVEN),
    "qwen3_5_text": (
        {
            "num_hidden_layers": 4,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
        },
        "sdpa",
        [*SEVEN, "in_proj_a", "in_proj_b", "in_proj_qkv", "in_proj_z", "out_proj"],
    ),
    "gpt_neox": ({}, "sdpa", ["dense", "dense_4h_to_h", "dense_h_to_4h", "query_key_value"]),
    "gpt2": ({"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 256}, "sdpa", ["c_attn", "c_fc", "c_proj"]),
}
IN_THE_ORDINARY_SUITE = ("gpt_neox", "gemma2")


def made(kind: str, folder: Path) -> list[str]:
    """A tiny random model of this architecture with the tests' tokenizer; returns the projections it should have."""
    settings, _, projections = ARCHITECTURES[kind]
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(folder)
    shape = {} if kind == "gpt2" else SHAPE
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), **(shape | settings))
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    return sorted(projections)


@pytest.fixture
def chosen(trainable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place of a base outside the project, to which profile smoke points."""
    folder = tmp_path_factory.mktemp("elsewhere") / "base"
    set_param(trainable, "profiles.smoke.base", {"kind": "local", "path": str(folder)})
    set_param(trainable, "profiles.smoke.seeds", [11])
    shutil.rmtree(paths.BASE)
    return folder


@pytest.mark.parametrize(
    "kind",
    [kind if kind in IN_THE_ORDINARY_SUITE else pytest.param(kind, marks=pytest.mark.drill) for kind in ARCHITECTURES],
)
def test_an_architecture_goes_all_the_way(
    kind: str, chosen: Path, trainable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    projections = made(kind, chosen)
    set_param(trainable, "profiles.smoke.attention", ARCHITECTURES[kind][1])
    base.main()
    assert read_json(paths.BASE_PIN)["lora_targets"] == projections
    contract.main()
    run_train(monkeypatch, "sft")
    reference.main()
    for name in ("dpo", "kto", "ipo", "cpo"):
        run_train(monkeypatch, name)
        assert read_json(paths.train_metrics(name) / "summary.json")["adapted_modules"] > 0
    monkeypatch.setattr("sys.argv", ["evaluate", "dpo"])
    evaluate.main()
    summary = read_json(paths.eval_metrics("dpo") / "summary.json")
    assert summary["n"]["generation"] and summary["n"]["pairs"]
    check_against_plain_transformers(kind)


def check_against_plain_transformers(kind: str) -> None:
    """The scorer's log-probability of an answer is that of a plain forward pass of the loaded model."""
    params = load_params()
    model = load_model(params.active, "dpo", 11).float()
    scored = [row for row in read_jsonl(paths.eval_metrics("dpo") / "rows.jsonl") if row["kind"] == "pair"]
    pairs = {row["id"]: row for row in read_jsonl(paths.prepared_split("pairs", "test"))}
    from stages.bases.loading import load_tokenizer
    from stages.bases.tokens import encode

    tokenizer = load_tokenizer()
    for row in scored[:3]:
        pair = pairs[row["id"]]
        answer = encode(tokenizer, pair["prompt"], pair["chosen"])
        ids = torch.tensor([answer.prompt_ids + answer.completion_ids])
        with torch.no_grad():
            logits = model(ids, use_cache=False).logits[0].float().log_softmax(-1)
        places = range(len(answer.prompt_ids) - 1, ids.shape[1] - 1)
        nats = sum(float(logits[place, ids[0, place + 1]]) for place in places)
        assert row["chosen_nats"] == pytest.approx(nats, abs=2e-3), json.dumps({"kind": kind, "id": row["id"]})
