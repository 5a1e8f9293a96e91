"""Bases that exist already: a hub repository, a local Transformers folder, a GGUF file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedModel, PreTrainedTokenizerBase

from stages.bases.checking import (
    INDEX,
    check_folder,
    check_tokenizer,
    embedding_rows,
    first_line,
    has_system_role,
    load_whole,
    output_is_embedding,
)
from stages.bases.padding import settle_padding
from stages.bases.projections import decoder_projections, frozen_parts
from stages.bases.templates import chosen_template, without_thinking
from stages.core.errors import PipelineError
from stages.core.files import Row, sha256
from stages.core.hub import hub_answers
from stages.core.params import HubBase, LocalBase, Profile

HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt"]  # no pickles, no code
TIED_COSINE = 0.99  # two quantisations of one matrix agree to more than this; two matrices do not


def pin_hub(base: HubBase, profile: Profile, folder: Path) -> Row:
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
    return {"kind": "hub", "id": base.id, "revision": base.revision, **_pinned(Path(snapshot), base, profile, folder)}


def pin_local(base: LocalBase, profile: Profile, folder: Path) -> Row:
    """Pin a Transformers folder by the hashes of its files; the weights stay where they are."""
    source = Path(base.path)
    if not source.is_dir():
        raise PipelineError(
            f"profiles.local.base.path is {base.path}, which is neither a .gguf file nor a Transformers folder with "
            "config.json: name one, for example `dvc exp run -S profile=local -S profiles.local.base.path=/models/qwen`"
        )
    return {"kind": "local", "path": base.path, **_pinned(source, base, profile, folder)}


def _pinned(source: Path, base: HubBase | LocalBase, profile: Profile, folder: Path) -> Row:
    """Check the base once, save its tokenizer into ``folder``, and describe it; its weights stay where they are."""
    weights = check_folder(source)
    if weights.beside:
        print(f"base: not read, though they lie beside it: {', '.join(file.name for file in weights.beside)}")
    model = load_whole(source, profile)
    tokenizer = read_tokenizer(source)
    described = describe(model, tokenizer, base, str(source), folder)
    files = [*weights.read, source / "config.json", *(file for file in (source / INDEX,) if file.exists())]
    return {"files": {file.name: sha256(file) for file in sorted(files)}, **described}


def describe(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, base: HubBase | LocalBase, where: str, folder: Path
) -> Row:
    """Settle template and padding, save the tokenizer, and return what base.json says of the model."""
    key = f"{'profiles.local' if isinstance(base, LocalBase) else 'profiles.<profile>'}.base.chat_template"
    original = chosen_template(tokenizer, base.chat_template, where, key)
    tokenizer.chat_template = without_thinking(original)
    stop = check_tokenizer(tokenizer, model, where, key)
    said = settle_padding(tokenizer, stop, embedding_rows(model), where)
    targets = decoder_projections(model)
    notes = [
        said,
        "" if has_system_role(tokenizer) else "its chat template has no system role; `contract` refuses rows with one",
        *(f"{part} stays frozen" for part in frozen_parts(model)),
    ]
    for note in filter(None, notes):
        print(f"base: {note}")
    tokenizer.save_pretrained(folder)
    return {
        "architecture": type(model).__name__,
        "tied_output": output_is_embedding(model),
        "parameters": int(model.num_parameters()),
        "lora_targets": targets,
        "chat_template_sha256": hashlib.sha256(original.encode()).hexdigest(),
    }


def convert_gguf(base: LocalBase, profile: Profile, folder: Path) -> Row:
    """Dequantise a GGUF file into ``folder`` as ordinary weights; a tied output matrix stays tied."""
    file = Path(base.path)
    if not file.exists():
        raise PipelineError(f"{file} is missing: set profiles.local.base.path to a .gguf file or a Transformers folder")
    print(f"base: dequantising {file} to {profile.dtype}")
    try:
        model = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            dtype=getattr(torch, profile.dtype),
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
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    described = describe(model, tokenizer, base, str(file), folder)
    model.save_pretrained(folder)
    return {"kind": "gguf", "path": base.path, "files": {file.name: sha256(file)}, **described}


def output_is_tied(model: torch.nn.Module) -> bool:
    """True where the output matrix is the embedding: GGUF may store it twice, in two quantisations."""
    embedding = model.get_input_embeddings().weight  # type: ignore[operator]
    output = model.get_output_embeddings().weight  # type: ignore[operator]
    if embedding.shape != output.shape:
        return False
    cosine = torch.nn.functional.cosine_similarity(embedding[:4096].float(), output[:4096].float(), dim=1)
    return bool(cosine.median() > TIED_COSINE)


def read_tokenizer(source: Path) -> PreTrainedTokenizerBase:
    """Raises PipelineError for tokenizer files that cannot be read."""
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source, local_files_only=True)
    except (ValueError, OSError, KeyError, ImportError) as error:
        raise PipelineError(
            f"{source}: its tokenizer cannot be read ({first_line(error)}): copy its files again"
        ) from None
    return tokenizer
