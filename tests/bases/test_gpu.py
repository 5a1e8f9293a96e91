"""What is chosen where there is a GPU: said once, and set in params. Here, without one, no more than that."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from stages.bases import loading
from stages.core import paths
from stages.core.params import Gpu, load_params
from stages.training.arguments import shared_arguments
from tests.support.trainings import make_run, run_train


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that says it has a GPU and FlashAttention."""
    found = importlib.util.find_spec
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA Example")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found("torch" if name == "flash_attn" else name))
    loading.attention_implementation.cache_clear()
    yield
    loading.attention_implementation.cache_clear()


CHOICES = [
    ("tf32", False, "TF32"),
    ("fused_optimizer", False, "fused AdamW"),
    ("pinned_memory", False, "pinned memory"),
    ("loader_workers", 0, "2 loader workers"),
    ("expandable_segments", False, "expandable segments"),
]


@pytest.mark.parametrize(("name", "off", "words"), CHOICES)
def test_each_choice_is_said_and_can_be_switched_off(name: str, off: Any, words: str, gpu: None) -> None:
    params = load_params()
    profile = params.profiles["qwen3_06b"]
    said = loading.describe_choices(profile, params.gpu)
    for part in ("NVIDIA Example", "bfloat16", "flash_attention_2", "activation checkpointing", words):
        assert part in said
    assert words not in loading.describe_choices(profile, replace(params.gpu, **{name: off}))


def test_the_trainer_is_told_what_was_chosen(gpu: None, start: Any, tiny_qwen: Path, tmp_path: Path) -> None:
    run = make_run("dpo", start, tiny_qwen, tmp_path)
    names = ("optim", "dataloader_pin_memory", "dataloader_num_workers")
    chosen = shared_arguments(run)
    assert [chosen[name] for name in names] == ["adamw_torch_fused", True, 2]
    others = shared_arguments(replace(run, gpu=Gpu(fused_optimizer=False, pinned_memory=False, loader_workers=0)))
    assert [others[name] for name in names] == ["adamw_torch", False, 0]


@pytest.mark.parametrize("chosen", [True, False])
def test_torch_is_told_what_was_chosen(chosen: bool, gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "")  # so that what is set here is taken back
    monkeypatch.delenv("PYTORCH_ALLOC_CONF")
    switches = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    loading.configure_torch(load_params().active, Gpu(tf32=chosen, expandable_segments=chosen))
    assert [switch.allow_tf32 for switch in switches] == [chosen, chosen]
    for switch, value in zip(switches, before, strict=True):
        switch.allow_tf32 = value
    assert os.environ["PYTORCH_ALLOC_CONF"] == f"expandable_segments:{chosen}"


def test_a_training_says_its_choices_once_however_many_seeds_it_has(
    trainable: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    yaml = YAML()
    document = yaml.load(paths.PARAMS.read_text(encoding="utf-8"))
    document["profiles"]["smoke"]["attention"] = "flash_attention_2"
    with paths.PARAMS.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    loading.attention_implementation.cache_clear()
    run_train(monkeypatch, "sft")
    said = capsys.readouterr().out
    assert said.count("flash_attention_2 was asked for but is not available here; using sdpa") == 1
    assert said.count("CPU with 1 threads, float32, sdpa") == 1
