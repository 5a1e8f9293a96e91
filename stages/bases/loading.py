"""Loading what the pipeline made: the base as `models/base` pins it, and an adapter on top of it."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_json, sha256
from stages.core.params import Gpu, Profile

DEFAULTS = Gpu()


def device() -> torch.device:
    """This process's own: with several, each has set its GPU (`stages.launch.join`)."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def configure_torch(profile: Profile, gpu: Gpu = DEFAULTS) -> None:
    """Threads, memory and TF32, once per process."""
    keep_freed_memory()
    if profile.threads:
        torch.set_num_threads(profile.threads)
    if torch.cuda.is_available():
        os.environ.setdefault("PYTORCH_ALLOC_CONF", f"expandable_segments:{gpu.expandable_segments}")
        torch.backends.cuda.matmul.allow_tf32 = gpu.tf32
        torch.backends.cudnn.allow_tf32 = gpu.tf32


def describe_choices(profile: Profile, gpu: Gpu) -> str:
    """One line for people: what params chose for this machine, as far as it can be had here."""
    attention = attention_implementation(profile.attention)
    said = [profile.dtype if profile.quantize == "none" else f"{profile.dtype} on {profile.quantize}", attention]
    if profile.activation_checkpointing:
        said.append("activation checkpointing")
    if not torch.cuda.is_available():
        return ", ".join([f"CPU with {torch.get_num_threads()} threads", *said])
    choices = {
        "TF32": gpu.tf32,
        "fused AdamW": gpu.fused_optimizer,
        "pinned memory": gpu.pinned_memory,
        f"{gpu.loader_workers} loader workers": gpu.loader_workers > 0,
        "expandable segments": gpu.expandable_segments,
    }
    return ", ".join([torch.cuda.get_device_name(), *said, *(name for name, chosen in choices.items() if chosen)])


def keep_freed_memory() -> None:
    """Tell glibc to keep freed blocks: every step frees and takes the same logits of tens of megabytes.

    Handing them back to the kernel each time cost two thirds of the pretraining speed (1.5 against 5.4 steps a second
    on 2 cores). Elsewhere than on glibc there is no ``mallopt``, and nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3  # parameter numbers of <malloc.h>
        mallopt(mmap_threshold, 1 << 30)
        mallopt(trim_threshold, 1 << 30)


@cache  # said once
def attention_implementation(wanted: str) -> str:
    """FlashAttention 2 where it was asked for, is importable and has a GPU; else PyTorch's SDPA, said aloud."""
    if wanted != "flash_attention_2":
        return wanted
    if torch.cuda.is_available() and importlib.util.find_spec("flash_attn"):
        return wanted
    print("attention: flash_attention_2 was asked for but is not available here; using sdpa")
    return "sdpa"


def quantization(profile: Profile) -> BitsAndBytesConfig | None:
    """NF4 with double quantisation, as QLoRA has it (Dettmers et al. 2023, arXiv 2305.14314); None where not asked for.

    Raises PipelineError where bitsandbytes cannot run. Embeddings, norms and the output projection keep their dtype.
    """
    if profile.quantize == "none":
        return None
    wanted = "profiles.<profile>.quantize is 4bit in params.yaml, which needs"
    if not torch.cuda.is_available():
        raise PipelineError(f"{wanted} a CUDA device, and none is visible here: run on a GPU, or set it to none")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise PipelineError(f"{wanted} bitsandbytes: `pip install bitsandbytes`, or set it to none")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, profile.dtype),
    )


def load_tokenizer(folder: Path = paths.BASE) -> PreTrainedTokenizerBase:
    """The base's tokenizer with its chat template; padding is on the right and never the stop token."""
    if not (folder / "tokenizer_config.json").exists():
        raise PipelineError(f"{folder} holds no tokenizer: run `dvc repro base`, or `dvc pull {folder}`")
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.padding_side = "right"
    return tokenizer


def read_pin() -> Row:
    """`models/base/base.json`: kind, place, revision, sha256 of each file, dtype and number of parameters."""
    pin: Row = read_json(paths.BASE_PIN)
    return pin


def load_base(profile: Profile) -> PreTrainedModel:
    """The base in the profile's dtype, or in 4 bits, on the GPU if there is one.

    Raises PipelineError when the pin does not hold, and where 4 bits cannot be had.
    """
    quantized = quantization(profile)
    pin = read_pin()
    source, revision = _weights(pin)
    arguments: dict[str, Any] = {
        "dtype": getattr(torch, profile.dtype),
        "attn_implementation": attention_implementation(profile.attention),
        "local_files_only": True,
    }
    if revision:
        arguments["revision"] = revision
    if quantized is not None:  # bitsandbytes packs the weights as they reach the GPU
        arguments |= {"quantization_config": quantized, "device_map": {"": device()}}
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(source, **arguments)
    except OSError as error:
        raise PipelineError(
            f"the base {source} cannot be loaded ({str(error).splitlines()[0]}): run `dvc repro -f base`"
        ) from None
    if quantized is None:
        model.to(device())  # type: ignore[arg-type]
    return model


def _weights(pin: Row) -> tuple[str, str | None]:
    """Where the weights lie and, for a hub base, the pinned revision; a local folder is checked against its hashes."""
    if pin["kind"] == "hub":
        return pin["id"], pin["revision"]
    if pin["kind"] != "local":
        return str(paths.BASE), None
    folder = Path(pin["path"])
    for name, digest in pin["files"].items():
        file = folder / name
        if not file.exists() or sha256(file) != digest:
            raise PipelineError(f"{file} is not the file that was pinned: restore it, or run `dvc repro -f base`")
    return str(folder), None
