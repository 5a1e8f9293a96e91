"""The train stage for real, on a tiny base: byte-stable, resumable, and honest about what it trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from transformers import TrainerCallback

from stages import contract, reference
from stages.bases.adapters import load_start
from stages.core import checkpoints, paths
from stages.core.errors import PipelineError
from stages.core.files import read_json, read_jsonl, write_json, write_jsonl
from stages.core.params import load_params
from stages.core.paths import SPLITS
from stages.training import one_run
from stages.training.checks import check_adapter, check_losses
from stages.training.reference_answers import MONITORED
from stages.training.trl_private import train_in_float32
from tests.support.clones import MODELS, set_param
from tests.support.trainings import digest, run_train


def test_all_seven_models_train_and_plain_peft_loads_them(trainable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    spent = {}
    for name in MODELS[1:]:
        run_train(monkeypatch, name)
        for folder in (paths.model(name), paths.model(name) / "seeds" / "12"):
            files = {file.name for file in folder.iterdir() if file.is_file()}
            assert files == {
                "adapter_config.json",
                "adapter_model.safetensors",
                "chat_template.jinja",
                "run.json",
                "tokenizer.json",
                "tokenizer_config.json",
            }
            model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(paths.BASE), str(folder))
            moved = [value.abs().max() for key, value in model.named_parameters() if "lora_B" in key]
            assert max(moved) > 0
        summary = read_json(paths.train_metrics(name) / "summary.json")
        assert summary["adapted_modules"] == 7 * 2
        assert [result["seed"] for result in summary["per_seed"]] == [11, 12]
        watched = paths.train_metrics(name) / "plots/metrics/displacement/chosen_nats_per_token.tsv"
        assert watched.exists() == ("displacement" in summary) == (name in MONITORED)
        if name in MONITORED:
            margins = [result["displacement"]["reward_margin_nats"] for result in summary["per_seed"]]
            assert summary["displacement"]["reward_margin_nats"] == pytest.approx(sum(margins) / 2, rel=1e-4)
            assert len(watched.read_text().splitlines()) == 1 + summary["steps"]
        spent[name] = summary
        timing = read_json(paths.timing(name))
        assert timing["seeds"][0]["train_seconds"] > 0
        curve = (paths.train_metrics(name) / "loss.tsv").read_text().splitlines()
        assert curve[0].split("\t") == ["step", "loss"]
        assert [int(line.split("\t")[0]) for line in curve[1:]] == [1, 2, 3, 4][: summary["steps"]]
    assert not list(paths.scratch_root().iterdir())
    same = {
        json.dumps([spent[m][k] for k in ("rows_seen", "sequences_seen", "tokens_seen")]) for m in ("dpo", "ipo", "cpo")
    }
    assert len(same) == 1
    assert spent["kto"]["tokens_seen"] == spent["dpo"]["tokens_seen"]
    assert spent["kto"]["trained_tokens"] == spent["dpo"]["trained_tokens"]
    assert spent["cpo"]["reference_tokens"] == 0 < spent["dpo"]["reference_tokens"]
    assert {spent[m]["trainable_parameters"] for m in MODELS[1:]} == {spent["sft"]["trainable_parameters"]}


@pytest.mark.parametrize("name", MONITORED)
def test_a_preference_method_starts_straight_from_the_base_by_one_param(
    name: str, trainable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reference is then the base; the known first loss is checked by the stage itself."""
    for model in MONITORED:
        set_param(trainable, f"train.{model}.init", "models/base")
    reference.main()
    run_train(monkeypatch, name)
    summary = read_json(paths.train_metrics(name) / "summary.json")
    assert summary["init"] == "models/base"
    assert summary["displacement"]["reward_accuracy"] >= 0.5
    assert "start" not in read_json(paths.model(name) / "run.json")["inputs_sha256"]


def test_a_second_training_has_the_same_bytes(trainable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_train(monkeypatch, "sft")
    run_train(monkeypatch, "dpo")
    first = digest(paths.model("dpo")), digest(paths.train_metrics("dpo"))
    run_train(monkeypatch, "dpo")
    assert (digest(paths.model("dpo")), digest(paths.train_metrics("dpo"))) == first


class Killed(BaseException):
    """Stands for the process's end: nothing in the stage may catch it."""


class KillAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            raise Killed


@pytest.mark.parametrize("name", ["sft", "dpo", "kto"])
def test_a_killed_training_resumes_to_the_same_bytes(
    name: str, trainable: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)  # a checkpoint after every step
    run_train(monkeypatch, "sft")
    run_train(monkeypatch, name)
    whole = digest(paths.model(name)), digest(paths.train_metrics(name))
    shown = one_run.show_progress

    def doomed(trainer: Any, label: str) -> None:
        shown(trainer, label)
        if label.endswith("seed 12"):  # the first seed is finished, the second is in the middle
            trainer.add_callback(KillAt(3))

    monkeypatch.setattr(one_run, "show_progress", doomed)
    with pytest.raises(Killed):
        run_train(monkeypatch, name)
    monkeypatch.setattr(one_run, "show_progress", shown)
    capsys.readouterr()
    run_train(monkeypatch, name)
    said = capsys.readouterr().out
    assert "seed 11 was finished before the interruption" in said
    assert "seed 12 resumes from checkpoint-2" in said
    assert (digest(paths.model(name)), digest(paths.train_metrics(name))) == whole


def test_a_changed_param_starts_fresh_and_says_so(
    trainable: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_train(monkeypatch, "sft")
    unfinished = paths.scratch_root() / "train-dpo-11-0000000000000000"
    (unfinished / "checkpoint-2").mkdir(parents=True)
    run_train(monkeypatch, "dpo")
    assert "that unfinished work is discarded" in capsys.readouterr().out
    assert not unfinished.exists()


def test_a_dropped_row_is_not_trained_and_is_counted(trainable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = paths.prepared_split("sft", "train")
    rows = read_jsonl(path)
    lengths = read_json(paths.contract_lengths("sft"))
    write_json(paths.contract_lengths("sft"), {key: tokens for key, tokens in lengths.items() if key != rows[0]["id"]})
    run_train(monkeypatch, "sft")
    summary = read_json(paths.train_metrics("sft") / "summary.json")
    assert (summary["rows_available"], summary["rows_dropped"]) == (len(rows) - 1, 1)


def test_accumulated_microbatches_give_the_loss_of_one_batch(trainable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_train(monkeypatch, "sft")
    losses = []
    for microbatch in (4, 1):
        yaml = YAML()
        document = yaml.load(paths.PARAMS.read_text(encoding="utf-8"))
        document["profiles"]["smoke"]["preference"]["pairs_per_microbatch"] = microbatch
        with paths.PARAMS.open("w", encoding="utf-8") as file:
            yaml.dump(document, file)
        run_train(monkeypatch, "dpo")
        losses.append(
            [line.split("\t")[1] for line in (paths.train_metrics("dpo") / "loss.tsv").read_text().splitlines()[1:]]
        )
    for one, accumulated in zip(*losses, strict=True):
        assert float(accumulated) == pytest.approx(float(one), abs=1e-5)


def test_a_bfloat16_base_is_trained_from_sft_with_nothing_but_its_adapter_in_float32(
    trainable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL adds a copy of the start's adapter for DPO, IPO, CPO and KTO, which is none of ours."""
    yaml = YAML()
    document = yaml.load(paths.PARAMS.read_text(encoding="utf-8"))
    document["profiles"]["smoke"] |= {"dtype": "bfloat16", "seeds": [11]}
    with paths.PARAMS.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    for name in ("sft", "dpo", "kto"):
        run_train(monkeypatch, name)
        assert read_json(paths.train_metrics(name) / "summary.json")["dtype"] == "bfloat16"


def test_an_adapter_in_bfloat16_is_trained_in_float32(trainable: Path) -> None:
    """TRL leaves one on a quantised base."""
    params = load_params()
    model = load_start(params.active, params.lora, None, seed=11)
    for value in model.parameters():
        if value.requires_grad:
            value.data = value.data.bfloat16()
    with pytest.raises(PipelineError, match="the adapter float32"):
        check_adapter(model, params.active)
    train_in_float32(model)
    assert check_adapter(model, params.active)["adapter_dtype"] == "float32"


@pytest.mark.parametrize(
    ("losses", "expected", "words"),
    [
        ([0.7, float("nan")], None, "not a number at step 2"),
        ([0.9, 0.8], 0.693147, "on its own reference gives 0.693147"),
    ],
)
def test_an_impossible_loss_stops_the_stage(losses: list[float], expected: float | None, words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        check_losses("dpo", losses, expected, "float32")


def test_an_unknown_model_is_one_sentence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError, match="'dop' is not a key of train"):
        run_train(monkeypatch, "dop")


def test_a_start_that_was_not_trained_is_one_sentence(trainable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError, match="models/sft"):
        run_train(monkeypatch, "dpo")


@pytest.mark.parametrize(("good", "bad"), [(9, 1), (3, 1), (1, 9)])
def test_kto_trains_on_labelled_feedback_alone(
    good: int, bad: int, trainable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No pairs, no row of SFT, and microbatches of one label: the reference asks for what `models` names alone."""
    for split in SPLITS:
        pairs = read_jsonl(paths.prepared_split("pairs", split))
        rows = [
            {key: pair[key] for key in ("id", "topic", "source", "license", "prompt")}
            | {"completion": pair["chosen" if label else "rejected"], "label": label}
            for place, pair in enumerate(pairs * 4)
            for label in [place % (good + bad) < good]
        ]
        rows = [row | {"id": f"own-{place}"} for place, row in enumerate(rows)]
        write_jsonl(paths.prepared_split("unpaired", split), rows)
        if split != "test":
            for kind in ("sft", "pairs"):
                write_jsonl(paths.prepared_split(kind, split), [])
    set_param(trainable, "models", ["base", "kto"])
    set_param(trainable, "method", "kto")
    set_param(trainable, "train.kto.init", "models/base")
    set_param(trainable, "profiles.smoke.preference.pairs_per_microbatch", 2)
    contract.main()
    reference.main()
    assert [file.name for file in paths.REFERENCE.iterdir()] == ["base-11.json", "base-12.json"]
    run_train(monkeypatch, "kto")
    curves = paths.train_metrics("kto") / "plots/metrics/displacement"
    steps = {
        name: len((curves / f"{name}_nats_per_token.tsv").read_text().splitlines()) - 1
        for name in ("chosen", "rejected")
    }
    assert all(1 <= count <= 3 for count in steps.values())


def test_an_adapters_config_holds_what_is_set_and_nothing_else(
    trainable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older PEFT refuses keys that it does not know; every key here is one of PEFT 0.11's LoraConfig."""
    run_train(monkeypatch, "sft")
    config = read_json(paths.model("sft") / "adapter_config.json")
    assert config == {
        "base_model_name_or_path": "models/base",
        "inference_mode": True,
        "lora_alpha": 32,
        "peft_type": "LORA",
        "r": 16,
        "target_modules": ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"],
        "task_type": "CAUSAL_LM",
    }
