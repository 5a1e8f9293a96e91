"""Bases that exist already: a hub repository, a local Transformers folder, a GGUF file."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedTokenizerBase

from stages.bases.pretraining import CHAT_TEMPLATE
from stages.core.errors import PipelineError
from stages.core.files import Row, sha256
from stages.core.hub import hub_answers
from stages.core.params import HubBase, LocalBase

HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt"]  # no pickles, no code
TIED_COSINE = 0.99  # two quantisations of one matrix agree to more than this; two matrices do not


def pin_hub(base: HubBase, folder: Path) -> Row:
    """Fetch the pinned revision (only if ``base.download``) and save its tokenizer; weights stay in the hub cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    online = base.download and hub_answers()
    print(f"base: {base.id} at {base.revision} ({'downloading what is not cached' if online else 'cache only'})")
    try:
        snapshot = snapshot_download(
            base.id, revision=base.revision, allow_patterns=HUB_FILES, local_files_only=not online
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        if not base.download:
            reason, remedy = "not in the hub cache", "set download: true for this profile in params.yaml"
        else:
            reason = type(error).__name__ if online else "the hub does not answer, and the cache does not hold it"
            remedy = "check the network and the id, or choose a base on this disk with `-S profile=local`"
        raise PipelineError(f"{base.id} at revision {base.revision[:12]} cannot be had ({reason}): {remedy}") from None
    source = Path(snapshot)
    _save_tokenizer(_tokenizer(source), folder)
    return {"kind": "hub", "id": base.id, "revision": base.revision, **_describe(source)}


def pin_local(base: LocalBase, folder: Path) -> Row:
    """Pin a Transformers folder by the hashes of its files; the weights stay where they are."""
    source = Path(base.path)
    if not (source / "config.json").exists():
        raise PipelineError(
            f"profiles.local.base.path is {base.path}, which is neither a .gguf file nor a Transformers folder with "
            "config.json: name one, for example `dvc exp run -S profile=local -S profiles.local.base.path=/models/qwen`"
        )
    if not list(source.glob("*.safetensors")):
        raise PipelineError(f"{source} holds no .safetensors file: pickled weights are not read; convert them first")
    _save_tokenizer(_tokenizer(source), folder)
    return {"kind": "local", "path": base.path, **_describe(source)}


def convert_gguf(base: LocalBase, dtype: str, folder: Path) -> Row:
    """Dequantise a GGUF file into ``folder`` as ordinary weights; a tied output matrix stays tied."""
    file = Path(base.path)
    if not file.exists():
        raise PipelineError(f"{file} is missing: set profiles.local.base.path to a .gguf file or a Transformers folder")
    print(f"base: dequantising {file} to {dtype}")
    try:
        model = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            dtype=getattr(torch, dtype),
            # Without it transformers 5 keeps the weights quantised, and such a model is neither saved nor trained.
            quantization_config=GgufConfig(dequantize=True),
        )
    except (ValueError, OSError) as error:
        raise PipelineError(f"{file} cannot be read as GGUF ({str(error).splitlines()[0]}): check the file") from None
    except RuntimeError:  # weights of other shapes: of Qwen3, transformers reads heads of 128 and no other width
        raise PipelineError(
            f"{file}: its weights do not fit the model that transformers makes of it: name the Transformers folder "
            "that the file was converted from"
        ) from None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config.tie_word_embeddings = output_is_tied(model)
    if model.config.tie_word_embeddings:
        model.tie_weights()
    model.save_pretrained(folder)
    _save_tokenizer(AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name), folder)
    return {
        "kind": "gguf",
        "path": base.path,
        "files": {file.name: sha256(file)},
        "architecture": type(model).__name__,
        "tied_output": bool(model.config.tie_word_embeddings),
        "parameters": int(model.num_parameters()),
    }


def output_is_tied(model: torch.nn.Module) -> bool:
    """True where the output matrix is the embedding: GGUF may store it twice, in two quantisations."""
    embedding = model.get_input_embeddings().weight  # type: ignore[operator]
    output = model.get_output_embeddings().weight  # type: ignore[operator]
    if embedding.shape != output.shape:
        return False
    cosine = torch.nn.functional.cosine_similarity(embedding[:4096].float(), output[:4096].float(), dim=1)
    return bool(cosine.median() > TIED_COSINE)


def _tokenizer(source: Path) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source, local_files_only=True)
    return tokenizer


def _save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    if tokenizer.chat_template is None:
        print("base: its tokenizer has no chat template; using ChatML")
        tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)


def _describe(source: Path) -> Row:
    """Hashes of the weights and configuration, and the size, without loading the weights."""
    config = AutoConfig.from_pretrained(source, local_files_only=True)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    files = sorted([*source.glob("*.safetensors"), *source.glob("*.safetensors.index.json"), source / "config.json"])
    return {
        "files": {file.name: sha256(file) for file in files},
        "architecture": type(model).__name__,
        "tied_output": bool(config.tie_word_embeddings),
        "parameters": int(model.num_parameters()),
    }
