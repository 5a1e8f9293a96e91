"""Adapters on a base: put on for training or scoring, merged in, exchanged or switched off for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, set_seed

from stages.bases.loading import load_base, read_pin
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_json
from stages.core.params import Lora, Profile


def lora_targets(lora: Lora) -> list[str]:
    """Names of the projections that are adapted: those that `base` found in the decoder blocks, or the user's list."""
    targets: list[str] = read_pin()["lora_targets"] if lora.targets == "auto" else sorted(lora.targets)
    return targets


def load_start(profile: Profile, lora: Lora, start: Path | None, seed: int) -> PeftModel:
    """The base with the adapter ``start``, or with a fresh one (drawn by ``seed``) where that is None, trainable."""
    base = load_base(profile)
    set_seed(seed)
    if start is None:
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=0.0,
            target_modules=lora_targets(lora),
            task_type="CAUSAL_LM",
        )
        return get_peft_model(base, config)
    return PeftModel.from_pretrained(base, str(start), is_trainable=True)


def load_model(profile: Profile, name: str, seed: int) -> PreTrainedModel:
    """The base (for ``name == "base"``), or the base with one trained adapter, ready for scoring."""
    model = load_base(profile)
    if name == "base":
        model.train(False)
        return model
    return with_adapter(model, trained_adapter(name, seed, profile.seeds))


def trained_adapter(name: str, seed: int, seeds: tuple[int, ...]) -> Path:
    """The folder of a model's adapter; raises PipelineError where it holds none."""
    adapter = paths.replica(name, seed, seeds)
    if not (adapter / "adapter_model.safetensors").exists():
        raise PipelineError(f"{adapter} holds no adapter: run `dvc repro train@{name}`, or `dvc pull {adapter}`")
    return adapter


def start_adapter(init: str, seed: int, seeds: tuple[int, ...]) -> Path | None:
    """The adapter on which a training begins, same seed; None where that is the bare base.

    ``init`` is `models/base` or `models/<model>`. Raises PipelineError where that model is not trained yet.
    """
    return None if Path(init) == paths.BASE else trained_adapter(Path(init).name, seed, seeds)


def start_of(name: str, seed: int, seeds: tuple[int, ...]) -> Path | None:
    """The adapter that the training of a model began with; None where that was the bare base.

    The model's own run.json says so, since params may have changed after it was trained.
    """
    run: Row = read_json(paths.replica(name, seed, seeds) / "run.json")
    return start_adapter(run["method"]["init"], seed, seeds)


def with_adapter(base: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """The base with the adapter of a folder, ready for scoring."""
    model: PreTrainedModel = PeftModel.from_pretrained(base, str(adapter))  # type: ignore[assignment]
    model.train(False)
    return model


@contextmanager
def merged_adapter(model: PreTrainedModel) -> Iterator[None]:
    """The adapter added into the base's weights inside the block, where these are float32.

    Two small products a projection are saved, which is what a model of this width spends its time on; answers move by
    less than 1e-4 nats. Merged into bfloat16 the adapter would be rounded away, so there it stays beside the weights.
    """
    if not isinstance(model, PeftModel) or model.dtype != torch.float32:
        yield
        return
    model.merge_adapter()
    try:
        yield
    finally:
        model.unmerge_adapter()


@contextmanager
def with_start(model: PreTrainedModel, start: Path) -> Iterator[None]:
    """The adapter of the folder ``start`` in place of the model's own inside the block."""
    assert isinstance(model, PeftModel)
    own = model.active_adapter
    model.load_adapter(str(start), adapter_name="start")
    model.set_adapter("start")
    try:
        yield
    finally:
        model.set_adapter(own)
        model.delete_adapter("start")


@contextmanager
def without_adapter(model: PreTrainedModel) -> Iterator[bool]:
    """The base alone inside the block; yields False, and changes nothing, for a model that has no adapter."""
    if not isinstance(model, PeftModel):
        yield False
        return
    with model.disable_adapter():
        yield True


def unwrapped(model: PreTrainedModel) -> PreTrainedModel:
    """The transformer itself: a PEFT model's base, whose projections carry the adapter while it is active."""
    if isinstance(model, PeftModel):
        base: PreTrainedModel = model.get_base_model()
        return base
    return model


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Without dropout inside the block; the model's own mode comes back after it."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
