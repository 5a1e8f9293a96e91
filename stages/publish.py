"""Command `python -m stages.publish <model> <folder>`: an adapter as a folder that the Hugging Face hub understands.

Writes the adapter of the first seed, its tokenizer and chat template, `adapter_config.json` with the base's id and
pinned revision, the licence, and a model card with the figures of metrics/methods.json. A base that was trained here is
on no hub, so it goes along as `base/`. Nothing is uploaded: `hf upload <account>/<name> <folder>` does that.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from stages import paths
from stages.errors import PipelineError, run_stage
from stages.files import read_json, replaced_folder, write_json, write_text
from stages.params import HubBase, LocalBase, Params, PretrainBase, load_params
from stages.reporting.cards import card
from stages.reporting.inputs import read_methods, read_training

CONFIG = "adapter_config.json"
AS_THEY_ARE = ("adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def check(model: str, folder: Path, params: Params) -> None:
    """Raises PipelineError for what cannot be published, before anything is written."""
    adapters = [name for name in params.models if name != "base"]
    if model not in adapters:
        raise PipelineError(f"{model} is not an adapter: name one of {', '.join(adapters)}")
    needed = [paths.model(model) / name for name in (CONFIG, *AS_THEY_ARE)]
    if isinstance(params.active.base, PretrainBase):
        needed.append(paths.BASE_PIN)
    for path in needed:
        if not path.is_file():
            raise PipelineError(f"{path} is missing: run `dvc pull {path.parent}`, or `dvc repro` to train it")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PipelineError(f"{folder} exists and is not an empty folder: name another")


def publish(model: str, folder: Path, params: Params) -> None:
    check(model, folder, params)
    base, source = params.active.base, paths.model(model)
    text = card(model, params, read_methods(params.models), {model: read_training(model)}, published=folder.name)
    config = read_json(source / CONFIG)
    config["base_model_name_or_path"] = base.id if isinstance(base, HubBase) else None
    config["revision"] = base.revision if isinstance(base, HubBase) else None
    with replaced_folder(folder) as new:
        for name in AS_THEY_ARE:
            shutil.copyfile(source / name, new / name)
        write_json(new / CONFIG, config)
        write_text(new / "README.md", text)
        if not isinstance(base, LocalBase):
            shutil.copyfile("LICENSE", new / "LICENSE")
        if isinstance(base, PretrainBase):
            shutil.copytree(paths.BASE, new / "base")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    publish(arguments.model, arguments.folder.resolve(), load_params())
    print(f"{arguments.folder}: ready; nothing was uploaded")


if __name__ == "__main__":
    run_stage(main)
