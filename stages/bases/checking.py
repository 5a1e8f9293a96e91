"""Check a base that exists already, once, before anything is trained on it.

Whatever would make the trained base differ from the evaluated or the pinned one is refused here, in one sentence: an
adapter that transformers would put on by itself, weights that are missing or lie under other names, quantised or
damaged files, a tokenizer of another model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from stages.bases.loading import attention_implementation
from stages.bases.tokens import stop_token_id
from stages.core.errors import PipelineError
from stages.core.files import Row
from stages.core.params import Profile

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")
POINTER = b"version https://git-lfs"  # what Git LFS leaves where a file was not fetched
INDEX = "model.safetensors.index.json"
SHOWN_NAMES = 3


@dataclass(frozen=True)
class Weights:
    """The files that transformers reads, and others of the kind that lie beside them."""

    read: tuple[Path, ...]
    beside: tuple[Path, ...]


def check_folder(source: Path) -> Weights:
    """Raise PipelineError for what cannot be a base as it lies there; returns its weights."""
    for name in (*TOKENIZER_FILES, *(file.name for file in sorted(source.glob("*.json")))):
        if (source / name).is_file():
            check_fetched(source / name)
    adapter = source / "adapter_config.json"
    if not (source / "config.json").exists():
        if adapter.exists():
            of = read_object(adapter).get("base_model_name_or_path") or "a base"
            raise PipelineError(
                f"{source} is an adapter of {of} and no base: merge it into that base (PeftModel.merge_and_unload, "
                "then save_pretrained) and name the merged folder"
            )
        raise PipelineError(f"{source} holds no config.json, which every Transformers folder has: name another folder")
    if adapter.exists():
        raise PipelineError(
            f"{source} holds an adapter (adapter_config.json) beside a base, which transformers would put on without a "
            "word: move the adapter elsewhere, or merge it and save the merged model"
        )
    config = read_object(source / "config.json")
    quantised = config.get("quantization_config")
    if quantised:
        method = quantised.get("quant_method", "an unnamed method") if isinstance(quantised, dict) else quantised
        raise PipelineError(
            f"{source} is quantised by {method} (quantization_config in config.json): name the folder of the full "
            "weights; `quantize: 4bit` of the profile quantises them on a GPU"
        )
    weights = find_weights(source)
    for file in weights.read:
        check_weights(file)
    if not any((source / name).exists() for name in TOKENIZER_FILES):
        raise PipelineError(
            f"{source} holds no tokenizer ({', '.join(TOKENIZER_FILES[:3])}): copy the base's own there"
        )
    return weights


def find_weights(source: Path) -> Weights:
    """Raises PipelineError where there are none, or where a shard of the index is not there."""
    files = sorted(source.glob("*.safetensors"))
    single, index = source / "model.safetensors", source / INDEX
    if single.exists():
        read = [single]
    elif index.exists():
        read = [source / name for name in sorted(set(_weight_map(index).values()))]
        missing = [file.name for file in read if not file.exists()]
        if missing:
            raise PipelineError(
                f"{source} lacks {len(missing)} of {len(read)} files that {INDEX} names, {missing[0]} first: copy them "
                "again"
            )
    else:
        pickled = [file.name for pattern in ("*.bin", "*.pt", "*.pth") for file in sorted(source.glob(pattern))]
        if pickled:
            raise PipelineError(
                f"{source} holds {pickled[0]} and no .safetensors: pickled weights are not read, so convert them"
            )
        raise PipelineError(f"{source} holds no .safetensors file: copy the weights there")
    return Weights(tuple(read), tuple(file for file in files if file not in read))


def read_object(file: Path) -> Row:
    """The JSON object of a base's file; raises PipelineError where it holds none."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # of UTF-8 as well
        raise PipelineError(f"{file} is damaged or cut off ({error}): download or copy it again") from None
    if not isinstance(value, dict):
        raise PipelineError(f"{file} holds a {type(value).__name__} and no JSON object: download or copy it again")
    return value


def _weight_map(index: Path) -> dict[str, str]:
    found = read_object(index).get("weight_map")
    if not isinstance(found, dict) or not found:
        raise PipelineError(f"{index} names no weights (weight_map): download or copy it again")
    return found


def check_fetched(file: Path) -> None:
    """Raise PipelineError for what Git LFS leaves in the place of a file."""
    with file.open("rb") as opened:
        if opened.read(len(POINTER)) == POINTER:
            what = "weights" if file.suffix == ".safetensors" else "file"
            raise PipelineError(f"{file} is a pointer of Git LFS and not the {what}: run `git lfs pull` in its folder")


def check_weights(file: Path) -> None:
    """Raise PipelineError for a file that is cut off, damaged, or only a pointer of Git LFS."""
    check_fetched(file)
    try:
        with safe_open(file, framework="pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise PipelineError(f"{file} is damaged or cut off ({error}): download or copy it again") from None


def read_config(source: Path) -> PretrainedConfig:
    """Raises PipelineError for a model that this version of transformers does not know, or that is no chat model."""
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(source, local_files_only=True)
        known = type(config) in AutoModelForCausalLM._model_mapping
    except (ValueError, KeyError, OSError, AttributeError) as error:
        raise PipelineError(
            f"{source}: its architecture is not known here ({first_line(error)}): choose another base, or a newer "
            "transformers"
        ) from None
    if config.is_encoder_decoder or not known:
        raise PipelineError(
            f"{source} is a {config.model_type}, which does not continue a text: choose a causal language model"
        )
    return config


def load_whole(source: Path, profile: Profile) -> PreTrainedModel:
    """The model as every later stage loads it; raises PipelineError unless each weight has its place and is there."""
    read_config(source)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=getattr(torch, profile.dtype),
            attn_implementation=attention_implementation(profile.attention),
            local_files_only=True,
            output_loading_info=True,
        )
    except (ValueError, ImportError, OSError, RuntimeError, SafetensorError, KeyError) as error:
        raise PipelineError(_not_loaded(source, profile, error)) from None
    model: PreTrainedModel = loaded[0]
    check_loaded(source, loaded[1])
    check_finite(source, model)
    return model


def check_loaded(source: Path, found: dict[str, Any]) -> None:
    """``found`` is transformers' own account of what it loaded."""
    if found["missing_keys"]:
        raise PipelineError(
            f"{source}: its files lack weights of the model, {_named(found['missing_keys'])}, which would be drawn at "
            f"random{_under_a_prefix(found)}: save the whole model again with save_pretrained"
        )
    if found["unexpected_keys"]:
        raise PipelineError(
            f"{source}: its files hold weights that the model has not, {_named(found['unexpected_keys'])}"
            f"{_under_a_prefix(found)}: save the model again with save_pretrained"
        )
    if found["mismatched_keys"]:
        raise PipelineError(
            f"{source}: weights have other shapes than config.json says, {_named(found['mismatched_keys'])}: restore "
            "the config.json that belongs to them"
        )


def check_finite(source: Path, model: PreTrainedModel) -> None:
    """Weights that are not numbers make every later figure nothing."""
    for name, value in model.named_parameters():
        if not torch.isfinite(value).all():
            raise PipelineError(f"{source}: {name} holds values that are no numbers: copy the weights again")


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, where: str, key: str) -> int:
    """Its tokens have rows in the embedding, and a turn ends with one of them; returns the stop token's id."""
    rows = embedding_rows(model)
    highest = max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise PipelineError(
            f"{where}: its tokenizer has {len(tokenizer)} tokens and its embedding {rows} rows: call "
            f"model.resize_token_embeddings({len(tokenizer)}) and save the model, or use the base's own tokenizer"
        )
    try:
        stop = stop_token_id(tokenizer)
    except PipelineError as error:
        raise PipelineError(f"{where}: {error}: set {key} in params.yaml to plain or chatml, or to a file") from None
    matrices: dict[str, Any] = {"embedding": model.get_input_embeddings(), "output": model.get_output_embeddings()}
    for part, matrix in matrices.items():
        if not bool(matrix.weight[stop].any()):
            raise PipelineError(
                f"{where}: the row of the stop token {tokenizer.convert_ids_to_tokens(stop)!r} in the {part} is all "
                f"zeros, so that no adapter can learn to stop: set {key} in params.yaml to plain"
            )
    return stop


def embedding_rows(model: PreTrainedModel) -> int:
    embedding: Any = model.get_input_embeddings()
    return int(embedding.weight.shape[0])


def has_system_role(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the chat template writes a system turn; Gemma's refuses it, and others leave it out."""
    turns = [{"role": "system", "content": "كن موجزا"}, {"role": "user", "content": "س"}]
    try:
        return "كن موجزا" in str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except Exception:  # jinja's errors, and whatever a template raises
        return False


def output_is_embedding(model: PreTrainedModel) -> bool:
    """Whether the output matrix is the embedding, as it was loaded; config.json may say otherwise."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    return bool(head.weight is embedding.weight)


def _named(keys: Any) -> str:
    names = sorted(str(key) for key in keys)
    return ", ".join(names[:SHOWN_NAMES]) + (
        f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    )


def _under_a_prefix(found: dict[str, Any]) -> str:
    """Where the missing weights lie under a longer or a shorter name."""
    for missing in sorted(map(str, found["missing_keys"])):
        for other in sorted(map(str, found["unexpected_keys"])):
            if other.endswith(f".{missing}") or missing.endswith(f".{other}"):
                return f" (its files have {other} for {missing})"
    return ""


def _not_loaded(source: Path, profile: Profile, error: Exception) -> str:
    said = first_line(error)
    if "attention" in said.lower() and profile.attention != "eager":
        return (
            f"{source}: its architecture has no {profile.attention} attention here: set attention: eager for this "
            "profile in params.yaml"
        )
    return f"{source} cannot be loaded ({type(error).__name__}: {said}): check its files against where you got them"


def first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
