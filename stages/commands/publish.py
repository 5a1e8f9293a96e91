"""Command `arabic-qwen publish <model> <folder>`: an adapter as a folder that the Hugging Face hub understands.

Writes the adapter of the first seed, its tokenizer and chat template, `adapter_config.json` with the base's id and
pinned revision, and a model card with the figures of metrics/methods.json. A base that was trained here is on no hub,
so it goes along as `base/`. The card names the licence of every source and the strictest of them. The text of
Apache-2.0 goes along only where nothing stricter applies. Nothing is uploaded: `hf upload <account>/<name> <folder>`
does that.

The card speaks of the adapter beside it, and a training without the evaluation after it, or an edit of params.yaml,
would part the two. So the adapter's own `run.json` is held against the params, the base and the figures first.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from stages.comparison.measured import need, read_methods, read_object, read_training, train_summary
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_json, replaced_folder, rounded, sha256, write_json, write_text
from stages.core.licences import Verdict
from stages.core.params import HubBase, Lora, Params, PretrainBase, load_params
from stages.core.schema import Trained
from stages.core.typed_files import read_typed
from stages.reporting.cards import card
from stages.reporting.trained_on import Taught, licence, taught
from stages.training.definition import recorded

CONFIG = "adapter_config.json"
RUN = "run.json"
AS_THEY_ARE = ("adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
# In methods.json too, and no two trainings of different rows, settings or code agree in all of them.
FIGURES_OF_TRAINING: Final = ("loss_first", "loss_final", "tokens_seen")


def check(model: str, folder: Path, params: Params) -> None:
    """Raises PipelineError for what cannot be published, before anything is written."""
    adapters = [name for name in params.models if name != "base"]
    if model not in adapters:
        raise PipelineError(f"{model} is not an adapter: name one of {', '.join(adapters)}")
    needed = [paths.model(model) / name for name in (CONFIG, RUN, *AS_THEY_ARE)]
    if isinstance(params.active.base, PretrainBase):
        needed.append(paths.BASE_PIN)
    for path in needed:
        if not path.is_file():
            raise PipelineError(f"{path} is missing: run `dvc pull {path.parent}`, or `dvc repro` to train it")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PipelineError(f"{folder} exists and is not an empty folder: name another")


def asked_of_lora(lora: Lora) -> Row:
    """What params.yaml sets; run.json has the names that `auto` stands for."""
    own = {"rank": lora.rank, "alpha": lora.alpha}
    return own if lora.targets == "auto" else own | {"targets": sorted(lora.targets)}


def check_one_run(model: str, params: Params) -> None:
    """Raises PipelineError unless params, base and figures are those of the run that made the adapter."""
    path, profile = paths.model(model) / RUN, params.active
    run = read_object(path)
    settings = {"method": recorded(params.train[model]), "budget": vars(params.budget(model)), "seed": profile.seeds[0]}
    summary_path, summary = paths.train_metrics(model) / "summary.json", train_summary(model)
    row = read_methods(params.models)[model]
    fits = {
        paths.PARAMS: {key: need(run, path, key) for key in settings} == rounded(settings)
        and need(run, path, "lora") == need(run, path, "lora") | asked_of_lora(params.lora),
        summary_path: need(run, path, "result") == summary["per_seed"][0],
        paths.METHODS_JSON: all(row.get(key) == summary[key] for key in FIGURES_OF_TRAINING),
    }
    if isinstance(profile.base, PretrainBase):
        fits[paths.BASE_PIN] = need(run, path, "inputs_sha256", "base") == sha256(paths.BASE_PIN)
    for other, same in fits.items():
        if not same:
            raise PipelineError(
                f"{other} is not of the run that made {path.parent}: run `dvc repro`, or restore what is committed "
                "(`git checkout .`, then `dvc checkout`)"
            )


def licence_lines(terms: Verdict, rows: list[Taught]) -> list[str]:
    """What a publisher has to know of the licences, a source a line where the model is not Apache-2.0."""
    if terms.is_ours:
        return ["licence: Apache-2.0; nothing that was trained on asks for more"]
    found = [f"  {one.rows:,} rows of {one.source} ({one.kind}): {one.licence}" for one in rows]
    why = "no one licence covers what applies" if terms.identifier == "other" else "the strictest that applies"
    return [f"licence: {terms.name} ({why}), not Apache-2.0; no LICENSE file is written. Trained on:", *found]


def publish(model: str, folder: Path, params: Params) -> Verdict:
    """Write the folder; returns the licence under which it may go out."""
    check(model, folder, params)
    check_one_run(model, params)
    base, source = params.active.base, paths.model(model)
    methods, training, data = read_methods(params.models), read_training(model), read_typed(paths.DATA_METRICS, Trained)
    text = card(model, params, methods, {model: training}, data, published=folder.name)
    terms = licence(params, taught(model, params, data))
    config = read_json(source / CONFIG)
    config["base_model_name_or_path"] = base.id if isinstance(base, HubBase) else None
    config["revision"] = base.revision if isinstance(base, HubBase) else None
    with replaced_folder(folder) as new:
        for name in AS_THEY_ARE:
            shutil.copyfile(source / name, new / name)
        write_json(new / CONFIG, config)
        write_text(new / "README.md", text)
        if terms.is_ours:
            shutil.copyfile("LICENSE", new / "LICENSE")
        if isinstance(base, PretrainBase):
            shutil.copytree(paths.BASE, new / "base")
    return terms


def main(model: str, folder: Path) -> None:
    params = load_params()
    terms = publish(model, folder.resolve(), params)
    print("\n".join(licence_lines(terms, taught(model, params, read_typed(paths.DATA_METRICS, Trained)))))
    print(f"{folder}: ready; nothing was uploaded")
