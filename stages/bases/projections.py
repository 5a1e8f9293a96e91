"""The projections that LoRA adapts: the linear layers of the text model's decoder blocks.

All linear layers of the blocks, as QLoRA has it (Dettmers et al. 2023, arXiv 2305.14314, section 4). PEFT's own
`all-linear` would take a vision tower and the experts of a mixture as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from stages.core.errors import PipelineError

MIXTURE = ("expert", "router")  # parts of a mixture-of-experts block, which stay as they are
TOWERS = {  # parts of the name of a tower that reads something else than text
    "its vision part": ("vision", "visual", "image", "video"),
    "its audio part": ("audio", "speech"),
}
GATES = ("gate",)  # a router under the name that Qwen and Mixtral give it


def decoder_projections(model: PreTrainedModel) -> list[str]:
    """The target modules for PEFT, sorted: names such as ``q_proj``.

    Whole names stand where a short name would also adapt a layer elsewhere: in a vision tower, or an expert. Raises
    PipelineError for a model in which no decoder blocks or no linear layers are found.
    """
    place, blocks = decoder_blocks(model)
    inside = {f"{place}.{name}" for name in linear_layers(blocks) if not is_mixture(name)}
    if not inside:
        raise PipelineError(f"{type(model).__name__} has no linear layers in {place}: list lora.targets in params.yaml")
    outside = {name for name in linear_layers(model) if name not in inside}
    ambiguous = {last(name) for name in outside}
    return sorted({name if last(name) in ambiguous else last(name) for name in inside})


def frozen_parts(model: PreTrainedModel) -> list[str]:
    """In words, what the adapters leave as it is beside embedding and output projection."""
    _, blocks = decoder_blocks(model)
    found = []
    if any(is_mixture(name) for name, _ in blocks.named_modules()):
        found.append("the experts and routers of its mixture")
    layers = linear_layers(model)
    return found + [part for part, words in TOWERS.items() if any(word in name for name in layers for word in words)]


def decoder_blocks(model: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """The name and the list of the text model's blocks; raises PipelineError where no list has as many as the config
    says."""
    wanted = model.config.get_text_config().num_hidden_layers
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == wanted and not is_tower(name):
            return name, module
    raise PipelineError(
        f"{type(model).__name__} has no list of {wanted} decoder blocks: list lora.targets in params.yaml"
    )


def linear_layers(module: nn.Module) -> list[str]:
    """Names of `nn.Linear` and of GPT-2's transposed kind, 4-bit ones included."""
    return [name for name, part in module.named_modules() if isinstance(part, nn.Linear | Conv1D)]


def is_tower(name: str) -> bool:
    return any(word in name for words in TOWERS.values() for word in words)


def is_mixture(name: str) -> bool:
    parts = name.split(".")
    return parts[-1] in GATES or any(word in part for part in parts for word in MIXTURE)


def last(name: str) -> str:
    return name.rpartition(".")[2]


def check_targets(targets: Collection[str], adapted: Iterable[str]) -> None:
    """Raise PipelineError for targets that adapted nothing; ``adapted`` are whole names of modules."""
    names = list(adapted)
    unused = [one for one in targets if not any(name == one or name.endswith(f".{one}") for name in names)]
    if unused:
        raise PipelineError(
            f"lora.targets in params.yaml names {', '.join(unused)}, which the base has not: write `auto`, or names of "
            "its linear layers"
        )
