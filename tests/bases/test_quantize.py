"""4-bit bases (QLoRA): one sentence where they cannot be had, before anything is loaded. Without a GPU, no more."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.bases import loading
from stages.core.errors import PipelineError
from stages.core.params import Profile, load_params


@pytest.fixture
def four_bits(project: Path) -> Profile:
    return replace(load_params().active, quantize="4bit", dtype="bfloat16")


def pretend(monkeypatch: pytest.MonkeyPatch, cuda: bool, bitsandbytes: bool) -> None:
    found = importlib.util.find_spec

    def spec(name: str, package: str | None = None) -> Any:
        if name == "bitsandbytes":
            return found("torch") if bitsandbytes else None
        return found(name, package)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(importlib.util, "find_spec", spec)


@pytest.mark.parametrize(
    ("cuda", "bitsandbytes", "words"),
    [(False, True, "needs a CUDA device, and none is visible"), (True, False, "pip install bitsandbytes")],
)
def test_what_4_bits_need_is_one_sentence_before_the_base_is_read(
    cuda: bool, bitsandbytes: bool, words: str, four_bits: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, cuda, bitsandbytes)
    (Path("models/base") / "base.json").unlink()  # so that reading the base would be another error
    with pytest.raises(PipelineError, match=words) as caught:
        loading.load_base(four_bits)
    assert "quantize is 4bit" in str(caught.value) and "\n" not in str(caught.value)


def test_the_base_is_packed_as_nf4_and_computed_in_its_own_dtype(
    four_bits: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, cuda=True, bitsandbytes=True)
    config = loading.quantization(four_bits)
    assert config is not None and config.load_in_4bit and config.bnb_4bit_use_double_quant
    assert (config.bnb_4bit_quant_type, config.bnb_4bit_compute_dtype) == ("nf4", torch.bfloat16)
    assert loading.quantization(replace(four_bits, quantize="none")) is None
