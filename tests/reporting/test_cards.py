"""Model cards and the cost section: the hub's header, figures of methods.json, and arithmetic by hand."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages import compare
from stages.comparison.measured import read_bench, read_methods, read_training
from stages.core.params import Params, load_params
from stages.reporting.cards import OLDEST_PEFT, card
from stages.reporting.cost import arithmetic, energy_table
from tests.support.clones import MODELS
from tests.support.made_metrics import World
from tests.support.printed_numbers import numbers, unknown, values


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(tmp_path)
    World().write(tmp_path)
    compare.main()
    return load_params()


def header(text: str) -> dict[str, object]:
    found: dict[str, object] = YAML(typ="safe").load(text.split("---\n")[1])
    return found


def made(model: str, params: Params) -> str:
    data = json.loads(Path("metrics/data.json").read_text(encoding="utf-8"))
    return card(model, params, read_methods(MODELS), {name: read_training(name) for name in MODELS[1:]}, data)


def test_a_card_has_the_hubs_header(params: Params) -> None:
    found = header(made("dpo", params))
    assert found == {
        "language": ["ar"],
        "license": "apache-2.0",
        "pipeline_tag": "text-generation",
        "library_name": "peft",
        "tags": ["arabic", "lora", "dpo"],
    }
    assert header(made("base", params))["library_name"] == "transformers"
    hub = dataclasses.replace(params, profile="qwen3_06b")
    named = header(made("dpo", hub))
    assert named["base_model"] == "Qwen/Qwen3-0.6B" and named["base_model_relation"] == "adapter"
    assert 'from_pretrained("Qwen/Qwen3-0.6B", revision="' in made("dpo", hub)


def test_a_card_names_the_sources_behind_a_model_and_its_start(params: Params) -> None:
    data = json.loads(Path("metrics/data.json").read_text(encoding="utf-8"))
    data["trained"]["pairs"].append({"source": "safety", "license": "CC-BY-NC-SA-4.0", "rows": 347})
    data["trained"]["sft"].append({"source": "cidar", "license": "CC-BY-NC-4.0", "rows": 179})
    Path("metrics/data.json").write_text(json.dumps(data), encoding="utf-8")
    dpo, sft, kto = made("dpo", params), made("sft", params), made("kto", params)
    assert "| pairs | safety | CC-BY-NC-SA-4.0 | 347 |" in dpo and "| sft | cidar | CC-BY-NC-4.0 | 179 |" in dpo
    assert "safety" not in sft and "safety" not in kto and "cidar" in sft and "cidar" in kto
    licences = {model: header(text)["license"] for model, text in (("dpo", dpo), ("sft", sft), ("kto", kto))}
    assert licences == {"dpo": "cc-by-nc-sa-4.0", "sft": "cc-by-nc-4.0", "kto": "cc-by-nc-4.0"}
    assert header(made("base", params))["license"] == "apache-2.0"


@pytest.mark.parametrize("model", MODELS)
def test_a_card_prints_only_what_was_measured_or_set(params: Params, model: str) -> None:
    text = made(model, params)
    methods = json.loads(Path("metrics/methods.json").read_text(encoding="utf-8"))[model]
    pool = values(methods) | values(dataclasses.asdict(params.lora)) | {0.0, 100.0, 95.0, float(OLDEST_PEFT)}
    if model != "base":
        pool |= values(dataclasses.asdict(params.train[model])) | values(params.active.seeds)
        pool |= values(dataclasses.asdict(params.budget(model)))
        pool |= values(json.loads(Path(f"metrics/train/{model}/summary.json").read_text(encoding="utf-8")))
        pool |= values(json.loads(Path("metrics/data.json").read_text(encoding="utf-8"))["trained"])
    pool |= values(dataclasses.asdict(params.active.base))
    assert len(numbers(text)) > 15
    assert unknown(text.split("---\n", 2)[2].replace("Qwen3", "").replace("Apache-2.0", ""), pool) == []
    row = methods["exact_match"], methods["exact_match_low"], methods["exact_match_high"]
    assert "{:.1f} % [{:.1f}, {:.1f}]".format(*(100 * value for value in row)) in text


def test_code_of_a_card_is_python(params: Params) -> None:
    for model in MODELS:
        compile(re.findall(r"```python\n(.*?)```", made(model, params), re.S)[0], model, "exec")


def test_frozen_weights_cost_four_operations_a_token(params: Params) -> None:
    training, bench = read_training("dpo"), read_bench("dpo")
    found = arithmetic(training, bench)
    trained, frozen = 155_648, bench.parameters - 155_648
    assert found.dense_flop == pytest.approx(6 * bench.parameters * training.tokens_seen)
    assert found.lora_flop == pytest.approx((4 * frozen + 6 * trained) * training.tokens_seen)
    speed = sum(training.tokens_per_second) / 3
    assert found.gflops == pytest.approx(found.lora_flop / training.tokens_seen * speed / 1e9)
    assert found.share == pytest.approx(found.gflops / bench.matmul_gflops)
    all_trained = dataclasses.replace(training, trainable_parameters=bench.parameters)
    assert arithmetic(all_trained, bench).lora_flop == pytest.approx(found.dense_flop)


def test_energy_has_a_table_where_it_was_read(params: Params) -> None:
    silent = read_bench("dpo")
    assert energy_table({"dpo": silent}) is None
    read = dataclasses.replace(silent, joules_per_inference=0.0625, joules={1: 0.375, 16: None})
    found = energy_table({"base": silent, "dpo": read})
    assert found is not None
    assert found.headings == ("model", "J/inference", "J/token, 1 at once", "J/token, 16 at once")
    assert found.rows == [["dpo", "0.0625", "0.375", "–"]]
