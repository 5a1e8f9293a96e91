"""A base's smaller files, damaged or not fetched, and towers beside the text model."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from torch import nn
from transformers import PreTrainedModel

from stages.bases.checking import check_folder
from stages.bases.projections import decoder_projections, frozen_parts
from stages.core.errors import PipelineError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"
WHOLE = {"config.json": json.dumps({"model_type": "llama"})}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"config.json": '{"model_type":'}, "config.json is damaged or cut off"),
        ({"config.json": "[]"}, "config.json holds a list and no JSON object"),
        ({"adapter_config.json": '{"r":'}, "adapter_config.json is damaged or cut off"),
        ({"config.json": POINTER}, "config.json is a pointer of Git LFS"),
        (WHOLE | {"tokenizer.json": POINTER}, "tokenizer.json is a pointer of Git LFS"),
        (WHOLE | {"tokenizer.model": POINTER}, "tokenizer.model is a pointer of Git LFS"),
        (WHOLE | {"model.safetensors.index.json": '{"w'}, "index.json is damaged or cut off"),
        (WHOLE | {"model.safetensors.index.json": "{}"}, "names no weights"),
    ],
)
def test_a_damaged_file_is_one_sentence_with_its_remedy(files: dict[str, str], said: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(PipelineError, match=said):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    ("tower", "part"),
    [("vision_tower", "vision"), ("visual", "vision"), ("image_encoder", "vision"), ("audio", "audio")],
)
def test_a_tower_as_deep_as_the_text_model_stays_frozen(tower: str, part: str) -> None:
    def blocks() -> nn.ModuleList:
        return nn.ModuleList([nn.ModuleDict({"q_proj": nn.Linear(2, 2)}) for _ in range(2)])

    parts: dict[str, Any] = {tower: nn.ModuleDict({"blocks": blocks()}), "text": nn.ModuleDict({"layers": blocks()})}
    made = nn.ModuleDict(parts)
    text = SimpleNamespace(num_hidden_layers=2)
    made.config = SimpleNamespace(get_text_config=lambda: text)  # type: ignore[assignment]
    model = cast(PreTrainedModel, made)
    assert decoder_projections(model) == ["text.layers.0.q_proj", "text.layers.1.q_proj"]
    assert frozen_parts(model) == [f"its {part} part"]
