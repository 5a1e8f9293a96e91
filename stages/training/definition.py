"""What one training is: its settings and inputs, read from params once, and all that decides its adapter's bytes."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stages import launch
from stages.bases import loading
from stages.bases.adapters import lora_targets, start_adapter
from stages.core import paths, ranks
from stages.core.files import sha256
from stages.core.params import Budget, Gpu, Launch, Lora, Params, Profile, TrainMethod
from stages.training.reference_answers import MONITORED, reference_file

PINNED = ("torch", "transformers", "trl", "peft", "accelerate")


@dataclass(frozen=True)
class Training:
    """One seed of one model. ``start`` is the adapter that it continues, None for a fresh one on the base, and
    ``reference`` the file of log-probabilities that it reads, None for a method that asks no reference."""

    name: str
    seed: int
    method: TrainMethod
    budget: Budget
    profile: Profile
    lora: Lora
    gpu: Gpu
    launch: Launch
    start: Path | None
    reference: Path | None


def training(name: str, params: Params, seed: int) -> Training:
    """A training as params set it; raises PipelineError where the model that it starts on is not trained yet."""
    method, profile = params.train[name], params.active
    return Training(
        name=name,
        seed=seed,
        method=method,
        budget=params.budget(name),
        profile=profile,
        lora=params.lora,
        gpu=params.gpu,
        launch=params.launch,
        start=start_adapter(method.init, seed, profile.seeds),
        reference=reference_file(method, seed),
    )


def recorded(method: TrainMethod) -> dict[str, Any]:
    """The settings of a method as run.json has them, with what its answers are watched against (models/base: nothing).

    The budget is recorded as what it comes to, beside them.
    """
    reference = str(paths.REFERENCE if method.method in MONITORED else paths.BASE)
    return {key: value for key, value in vars(method).items() if key != "budget"} | {"reference": reference}


def definition(one: Training) -> dict[str, Any]:
    """Everything that decides the bytes of one adapter; its hash names the scratch folder, and run.json records it."""
    several = ranks.processes() > 1
    inputs = {
        "data": paths.prepared_split(one.method.data, "train"),
        "lengths": paths.contract_lengths(one.method.data),
        "base": paths.BASE_PIN,
        "tokenizer": paths.BASE / "tokenizer.json",
        "launch": launch.configuration(one.launch) if several else None,
        "reference": one.reference,
        "start": one.start and one.start / "adapter_model.safetensors",
    }
    beyond_one_cpu: dict[str, Any] = {}
    if torch.cuda.is_available():
        beyond_one_cpu |= {"gpu": vars(one.gpu) | {"name": torch.cuda.get_device_name()}}
    if several:
        beyond_one_cpu |= {"launch": vars(one.launch)}
    return {
        "model": one.name,
        "seed": one.seed,
        "method": recorded(one.method),
        "budget": vars(one.budget),
        "lora": vars(one.lora) | {"targets": lora_targets(one.lora)},
        "dtype": one.profile.dtype,
        "quantize": one.profile.quantize,
        "attention": loading.attention_implementation(one.profile.attention),
        "inputs_sha256": {name: sha256(file) for name, file in inputs.items() if file is not None},
        "versions": {package: importlib.metadata.version(package).split("+")[0] for package in PINNED},
        "fingerprint": {"machine": platform.machine(), "cpu_capability": torch.backends.cpu.get_cpu_capability()},
    } | beyond_one_cpu
