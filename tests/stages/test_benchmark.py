"""Timings are of what they say, and a figure above the machine's own peak fails."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM

from stages import benchmark
from stages.bases.adapters import load_model
from stages.bases.loading import load_tokenizer
from stages.bases.tokens import encode_prompt
from stages.core import host, paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_json, read_jsonl
from stages.core.params import load_params

KEYS = {"model", "host", "dtype", "parameters", "prompt_tokens"} | {
    "load_seconds",
    "first_forward_ms",
    "latency_ms",
    "inferences_per_second",
    "adapter_slowdown",
    "joules_per_inference",
    "energy_counters",
    "generation",
    "peak_memory_mib",
    "matmul_gflops",
    "forward_gflop",
    "share_of_peak",
}


@pytest.fixture
def small_matmul(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(benchmark.MATMUL_SIZE, "cpu", 256)


def run(monkeypatch: pytest.MonkeyPatch, model: str) -> Row:
    monkeypatch.setattr(sys, "argv", ["benchmark", model])
    benchmark.main()
    found: Row = read_json(paths.bench(model))
    return found


@pytest.mark.usefixtures("small_matmul")
def test_one_file_with_every_figure(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(monkeypatch, adapters)
    assert set(found) == KEYS
    assert set(found["host"]) == {"cpu", "cores", "threads", "torch", "device", "os"}
    assert (found["model"], found["dtype"]) == (adapters, "float32")
    latency = found["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"]
    slowdown = found["adapter_slowdown"]
    assert 0 < slowdown["p25"] <= slowdown["median"] <= slowdown["p75"]
    assert found["inferences_per_second"] == pytest.approx(1000 / latency["mean"], rel=1e-4)
    assert set(found["generation"]) == {"1", "2"}  # the smoke profile decodes 4 tokens
    for size, speed in found["generation"].items():
        assert speed["tokens_per_second"] == pytest.approx(int(size) * 4 / speed["seconds"], rel=1e-4)
    prompt = encode_prompt(load_tokenizer(), read_jsonl(paths.GENERATION)[0]["prompt"])
    assert found["prompt_tokens"] == len(prompt)
    assert 0 < found["share_of_peak"] <= 1
    assert found["share_of_peak"] == pytest.approx(
        found["forward_gflop"] * found["inferences_per_second"] / found["matmul_gflops"], rel=1e-3
    )
    assert found["peak_memory_mib"] > 50
    readable = bool(host.energy_counters())
    joules = [found["joules_per_inference"], *(speed["joules_per_token"] for speed in found["generation"].values())]
    assert [value is not None for value in joules] == [readable] * 3
    assert bool(found["energy_counters"]) == readable


@pytest.mark.usefixtures("small_matmul")
def test_the_adapter_counts_among_the_parameters(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    base, adapted = run(monkeypatch, "base"), run(monkeypatch, adapters)
    assert base["adapter_slowdown"] is None
    assert base["parameters"] == read_json(paths.BASE_PIN)["parameters"]
    assert adapted["parameters"] - base["parameters"] == 2 * 4 * ((32 + 32) + (32 + 16))  # layers, rank, q and v


def test_what_an_adapter_costs_is_the_median_of_pairs(adapters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = load_model(load_params().active, adapters, 11)
    adapted, plain = iter([3.0, 8.0, 5.0]), iter([2.0, 4.0, 2.0])
    layer = next(module for module in model.modules() if isinstance(module, LoraLayer))
    monkeypatch.setattr(benchmark, "seconds", lambda _: next(plain if layer.disable_adapters else adapted))
    assert benchmark.adapter_slowdown(model, [5, 6], 3) == {"median": 2.0, "p25": 1.75, "p75": 2.25}
    assert not layer.disable_adapters


def test_work_is_two_operations_per_parameter_and_token(tiny_qwen: Path) -> None:
    tied: Any = AutoModelForCausalLM.from_pretrained(tiny_qwen)
    parameters = sum(parameter.numel() for parameter in tied.parameters())
    assert benchmark.forward_gflop(tied, 10) == pytest.approx(2 * parameters * 10 / 1e9)
    config = tied.config
    config.tie_word_embeddings = False
    untied = AutoModelForCausalLM.from_config(config)
    assert benchmark.forward_gflop(untied, 10) == pytest.approx(benchmark.forward_gflop(tied, 10))


def test_faster_than_the_machine_fails() -> None:
    assert benchmark.share_of_peak(1.0, 0.1, 100.0) == pytest.approx(0.1)
    with pytest.raises(PipelineError, match="times the peak"):
        benchmark.share_of_peak(1.0, 0.001, 100.0)


def test_seconds_are_seconds() -> None:
    assert 0.02 <= benchmark.seconds(lambda: time.sleep(0.02)) < 10


@pytest.mark.usefixtures("small_matmul")
def test_the_peak_is_plausible() -> None:
    assert 0.1 < benchmark.matmul_gflops(torch.float32, torch.device("cpu")) < 1e6


@pytest.mark.usefixtures("small_matmul")
def test_an_impossible_timing_writes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "matmul_gflops", lambda dtype, device: 1e-6)
    with pytest.raises(PipelineError, match="the timing is wrong"):
        run(monkeypatch, "base")
    assert not paths.bench("base").exists()


def test_an_unknown_model_is_one_sentence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError, match="'dpp' is not one of"):
        run(monkeypatch, "dpp")


def sysfs(root: Path, name: str, label: str, energy: int) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    for file, value in (("name", label), ("energy_uj", energy), ("max_energy_range_uj", 262_143_328_850)):
        (folder / file).write_text(f"{value}\n", encoding="ascii")
    return folder


def test_energy_is_summed_over_packages_and_counted_once(tmp_path: Path) -> None:
    """The parts of a package, and psys, which holds the packages, would count the same joules again."""
    packages = [sysfs(tmp_path, f"intel-rapl:{place}", f"package-{place}", 1_000_000) for place in (0, 1)]
    sysfs(tmp_path, "intel-rapl:0:0", "core", 1)
    sysfs(tmp_path, "intel-rapl:2", "psys", 1)
    sysfs(tmp_path, "intel-rapl-mmio:0", "package-0", 1)
    (tmp_path / "intel-rapl").mkdir()
    counters = host.energy_counters(tmp_path)
    assert [counter.name for counter in counters] == ["package-0", "package-1"]

    def work() -> str:
        for folder, reading in zip(packages, (4_000_000, 1_500_000), strict=True):
            (folder / "energy_uj").write_text(f"{reading}\n", encoding="ascii")
        return "done"

    assert host.metered(counters, work) == ("done", pytest.approx(3.5))


def test_a_counter_that_started_again_is_not_negative(tmp_path: Path) -> None:
    folder = sysfs(tmp_path, "intel-rapl:0", "package-0", 262_143_000_000)
    joules = host.metered(host.energy_counters(tmp_path), lambda: (folder / "energy_uj").write_text("1671150"))[1]
    assert joules == pytest.approx(2.0)


def test_no_reading_is_none_and_not_nothing(tmp_path: Path) -> None:
    assert host.metered(host.energy_counters(tmp_path), lambda: 7) == (7, None)
    folder = sysfs(tmp_path, "intel-rapl:0", "package-0", 1)
    (folder / "energy_uj").unlink()  # root may read every file, so that a mode would not refuse the test
    assert host.energy_counters(tmp_path) == []
    assert benchmark.per(None, 4) is None
    assert benchmark.per(2.0, 4) == 0.5
