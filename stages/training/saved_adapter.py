"""A trained adapter on disk: its weights, wherever the processes hold them, and files that are byte-stable."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel
from transformers import PreTrainedTokenizerBase, Trainer

from stages.bases import loading
from stages.core import paths
from stages.core.files import write_json


def whole_weights(trainer: Trainer) -> dict[str, torch.Tensor] | None:
    """All weights by name where the processes hold a part each (FSDP), to which all must come; else None."""
    if not trainer.is_fsdp_enabled:
        return None
    weights: dict[str, torch.Tensor] = trainer.accelerator.get_state_dict(trainer.model)
    return weights


# An older PEFT refuses a key that it does not know, and most keys of a newer one are null or at their default.
ALWAYS_WRITTEN = ("peft_type", "task_type", "r", "lora_alpha", "target_modules", "inference_mode")


def says(key: str, value: object) -> bool:
    """Whether a key of adapter_config.json holds more than its default."""
    return key in ALWAYS_WRITTEN or (value not in (None, False, [], {}) and value != getattr(LoraConfig(), key, None))


def save_adapter(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Adapter, tokenizer and template, byte-stable: PEFT writes sets in hash order and a model card with no content.

    Its weights are taken from ``weights`` where they are given.
    """
    model.save_pretrained(str(folder), selected_adapters=["default"], state_dict=weights)
    (folder / "README.md").unlink(missing_ok=True)
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config = {
        key: sorted(value) if isinstance(value, list) else value for key, value in config.items() if says(key, value)
    }
    pin = loading.read_pin()
    config["base_model_name_or_path"] = pin.get("id") or (pin["path"] if pin["kind"] == "local" else str(paths.BASE))
    if pin.get("revision"):
        config["revision"] = pin["revision"]
    write_json(file, config)
    tokenizer.save_pretrained(str(folder))
