"""Everything that decides the bytes of one adapter: params, inputs, versions and the kind of machine."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

import torch

from stages import launch
from stages.bases import loading
from stages.bases.adapters import LORA_TARGETS, start_adapter
from stages.core import paths, ranks
from stages.core.files import sha256
from stages.core.params import Params, TrainMethod
from stages.training.reference_answers import MONITORED, reference_file

PINNED = ("torch", "transformers", "trl", "peft", "accelerate")


def recorded(method: TrainMethod) -> dict[str, Any]:
    """The settings of a method as run.json has them, with what its answers are watched against (models/base: nothing).

    The budget is recorded as what it comes to, beside them.
    """
    reference = str(paths.REFERENCE if method.method in MONITORED else paths.BASE)
    return {key: value for key, value in vars(method).items() if key != "budget"} | {"reference": reference}


def definition(name: str, params: Params, seed: int) -> dict[str, Any]:
    """Everything that decides the bytes of one adapter; its hash names the scratch folder, and run.json records it."""
    method, profile = params.train[name], params.active
    inputs = {
        "data": sha256(paths.prepared_split(method.data, "train")),
        "lengths": sha256(paths.contract_lengths(method.data)),
        "base": sha256(paths.BASE_PIN),
        "tokenizer": sha256(paths.BASE / "tokenizer.json"),
    }
    beyond_one_cpu: dict[str, Any] = {}
    if torch.cuda.is_available():
        beyond_one_cpu |= {"gpu": vars(params.gpu) | {"name": torch.cuda.get_device_name()}}
    if ranks.processes() > 1:
        beyond_one_cpu |= {"launch": vars(params.launch)}
        if (file := launch.configuration(params.launch)) is not None:
            inputs["launch"] = sha256(file)
    if (file := reference_file(method, seed)) is not None:
        inputs["reference"] = sha256(file)
    if (start := start_adapter(method.init, seed, profile.seeds)) is not None:
        inputs["start"] = sha256(start / "adapter_model.safetensors")
    return {
        "model": name,
        "seed": seed,
        "method": recorded(method),
        "budget": vars(params.budget(name)),
        "lora": vars(params.lora) | {"targets": LORA_TARGETS},
        "dtype": profile.dtype,
        "quantize": profile.quantize,
        "attention": loading.attention_implementation(profile.attention),
        "inputs_sha256": inputs,
        "versions": {package: importlib.metadata.version(package).split("+")[0] for package in PINNED},
        "fingerprint": {"machine": platform.machine(), "cpu_capability": torch.backends.cpu.get_cpu_capability()},
    } | beyond_one_cpu
