"""A published folder: what the hub and PEFT read of it, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from stages.bases.pinning import pin_local
from stages.commands import publish
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import read_json, replaced_folder, write_json
from stages.core.params import LocalBase, load_params
from stages.reporting.cards import on_card
from tests.support.clones import ROOT, set_param
from tests.support.made_metrics import trained as counted
from tests.support.trainings import run_train


def train_and_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real SFT adapter of the tiny project; its scores are made up, one of them not measured."""
    run_train(monkeypatch, "sft")
    row = dict.fromkeys([one.name for one in on_card()], 0.25) | {"chrf": None}
    row |= {"exact_match_low": 0.2, "exact_match_high": 0.3125}
    summary = read_json(paths.train_metrics("sft") / "summary.json")
    row |= {key: summary[key] for key in publish.FIGURES_OF_TRAINING}
    write_json(paths.METHODS_JSON, dict.fromkeys(load_params().models, row))
    write_json(paths.DATA_METRICS, {"trained": counted("Apache-2.0")})


@pytest.fixture
def trained(trainable: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    train_and_score(monkeypatch)
    shutil.copyfile(ROOT / "LICENSE", "LICENSE")
    return trainable


def test_the_folder_answers_as_the_adapter_does_and_its_card_is_the_hubs(trained: Path) -> None:
    folder = trained / "out" / "arabic-sft"
    publish.main("sft", Path("out/arabic-sft"))

    tokens = AutoTokenizer.from_pretrained(folder)("اكتب العدد", return_tensors="pt")["input_ids"]
    logits = []
    for base, adapter in ((folder / "base", folder), (paths.BASE, paths.model("sft"))):
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
        with torch.no_grad():
            logits.append(model(tokens).logits)
    assert torch.equal(*logits)

    card = ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.library_name, card.data.language) == ("apache-2.0", "peft", ["ar"])
    found = {result.metric_type: result.metric_value for result in card.data.eval_results or ()}
    assert found["exact_match"] == 0.25 and "chrf" not in found
    names = {result.metric_type: result.metric_name for result in card.data.eval_results or ()}
    assert names["exact_match"] == "answers equal to a reference, folded (95 % interval: 0.2 to 0.3125)"
    assert names["mcq_accuracy"] == "multiple choice"
    assert 'from_pretrained("arabic-sft", subfolder="base")' in card.text
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    texts = [file for file in folder.rglob("*") if file.suffix in {".json", ".md", ".jinja"}]
    assert [file for file in texts if str(trained) in file.read_text(encoding="utf-8")] == []


def test_rows_under_stricter_terms_are_not_published_as_apache(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = counted("Apache-2.0")
    rows["sft"].append({"source": "cidar", "license": "CC-BY-NC-4.0", "rows": 179})
    write_json(paths.DATA_METRICS, {"trained": rows})
    publish.main("sft", Path("nc"))
    assert ModelCard.load(trained / "nc/README.md").data.license == "cc-by-nc-4.0"
    assert not (trained / "nc/LICENSE").exists()
    said = capsys.readouterr().out
    assert "licence: CC-BY-NC-4.0" in said and "179 rows of cidar (sft): CC-BY-NC-4.0" in said

    rows["sft"].append({"source": "madar", "license": "MADAR research only", "rows": 2102})
    write_json(paths.DATA_METRICS, {"trained": rows})
    publish.main("sft", Path("research"))
    card = ModelCard.load(trained / "research/README.md")
    assert (card.data.license, card.data.license_name) == ("other", "CC-BY-NC-4.0 AND MADAR research only")
    assert "| sft | madar | MADAR research only | 2,102 |" in card.text
    assert not (trained / "research/LICENSE").exists()


def test_without_counted_licences_nothing_is_published(trained: Path) -> None:
    write_json(paths.DATA_METRICS, {})
    with pytest.raises(PipelineError, match=r"data\.json: the key 'trained' is missing.*run `dvc repro`"):
        publish.publish("sft", trained / "out", load_params())
    assert not (trained / "out").exists()


def test_a_hub_base_is_pinned_and_stays_on_the_hub(trained: Path) -> None:
    params = load_params()
    hub = dataclasses.replace(params.active, base=params.profiles["qwen3_06b"].base)
    params = dataclasses.replace(params, profiles=params.profiles | {"smoke": hub})
    publish.publish("sft", trained / "out", params)
    config = json.loads((trained / "out/adapter_config.json").read_text(encoding="utf-8"))
    base = params.active.base
    assert (config["base_model_name_or_path"], config["revision"]) == (base.id, base.revision)  # type: ignore[union-attr]
    assert not (trained / "out/base").exists()


def test_a_base_on_this_disk_is_named_without_its_place(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = LocalBase("local", str(trained / "my-qwen"))
    shutil.move(paths.BASE, base.path)
    set_param(trained, "profile", "local")
    set_param(trained, "profiles.local.base.path", base.path)
    with replaced_folder(paths.BASE) as folder:
        write_json(folder / "base.json", pin_local(base, load_params().active, folder))
    train_and_score(monkeypatch)
    publish.publish("sft", trained / "out", load_params())
    files = [file for file in (trained / "out").rglob("*") if file.is_file()]
    assert [file.name for file in files if str(trained).encode() in file.read_bytes()] == []
    assert "`my-qwen`" in (trained / "out/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("model", "folder", "remedy"),
    [
        ("base", "out", "name one of sft"),
        ("dpo", "out", "run `dvc pull models/dpo`"),
        ("sft", "models", "name another"),
        ("sft", "LICENSE", "name another"),
    ],
)
def test_what_cannot_be_published_is_refused_before_anything_is_written(
    trained: Path, model: str, folder: str, remedy: str
) -> None:
    before = sorted(trained.rglob("*"))
    with pytest.raises(PipelineError, match=remedy):
        publish.publish(model, trained / folder, load_params())
    assert sorted(trained.rglob("*")) == before


def set_json(path: Path, key: str, value: object) -> None:
    write_json(path, read_json(path) | {key: value})


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("params.yaml", lambda folder: set_param(folder, "profiles.smoke.learning_rate.sft", 0.123)),
        ("params.yaml", lambda folder: set_param(folder, "lora.alpha", 64)),
        (
            "metrics/train/sft",
            lambda _: set_json(paths.train_metrics("sft") / "summary.json", "per_seed", [{"seed": 5}]),
        ),
        ("metrics/methods.json", lambda _: set_json(paths.train_metrics("sft") / "summary.json", "loss_final", 9.0)),
        ("models/base", lambda _: set_json(paths.BASE_PIN, "parameters", 1)),
    ],
)
def test_parts_of_two_runs_are_not_published_together(trained: Path, part: str, change: Callable[[Path], None]) -> None:
    change(trained)
    with pytest.raises(PipelineError, match=f"{part}.* is not of the run that made models/sft"):
        publish.publish("sft", trained / "out", load_params())
    assert not (trained / "out").exists()
