"""Stage `train@<model>`: train one model of the comparison, for every seed.

Reads its start (`models/base` or the adapter of another model, same seed), its rows of `data/prepared` without those
that `contract` dropped, and its params. Writes `models/<model>/` (the first seed's adapter, the others under
`seeds/`), `metrics/train/<model>/` (curves and what was spent) and `metrics/timing/<model>.json`.

LoRA on all seven projections; a preference method continues the SFT adapter, and its reference is that same start.
Killed at any moment, `dvc repro` resumes from the last minute's checkpoint and ends in the same bytes.

With several processes (`launch` in params.yaml) each runs this file and takes its turn at the microbatches of a step;
the first alone writes and prints, and the others wait for it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import math
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, Trainer

from stages import launch
from stages.bases import loading
from stages.bases.adapters import LORA_TARGETS, load_start
from stages.bases.tokens import Encoded
from stages.core import paths, ranks
from stages.core.checkpoints import CLOCK, SaveEveryMinute, StepClock, newest_checkpoint, scratch_folder
from stages.core.errors import PipelineError, run_stage
from stages.core.files import Row, read_json, replaced_folder, sha256, write_json
from stages.core.host import describe_host, peak_memory_mib
from stages.core.params import Budget, Params, Profile, TrainMethod, load_params
from stages.core.progress import show_progress
from stages.training.answer_projection import project_trained_positions
from stages.training.curves import write_curves
from stages.training.monitor import closing_values, mean_values
from stages.training.row_order import (
    MONITORED,
    REFERENCED,
    Seen,
    answer_key,
    asked_of_reference,
    read_rows,
    recorded,
    seen_rows,
)
from stages.training.run import Run
from stages.training.trackers import check_installed, mirrored

PINNED = ("torch", "transformers", "trl", "peft", "accelerate")
# The first loss of a method that starts on its reference is known; bfloat16 keeps 8 bits of each log-probability.
FIRST_LOSS_TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1}


def read_reference(method: TrainMethod, seed: int) -> Callable[[Sequence[Encoded]], list[float]]:
    """Log-probabilities of answers under this training's start, as the stage `reference` computed them."""
    if method.method not in MONITORED:
        return lambda answers: []
    path = paths.reference(method.init, seed)
    nats = read_json(path)

    def of(answers: Sequence[Encoded]) -> list[float]:
        try:
            return [nats[answer_key(answer)] for answer in answers]
        except KeyError:
            raise PipelineError(f"{path} does not know an answer of this training: run `dvc repro reference`") from None

    return of


def reference_tokens(method: TrainMethod, seen: Seen, budget: Budget) -> int:
    """Tokens of the forward passes that this method's loss costs the reference; a shared pass counts for each."""
    if method.method not in REFERENCED:
        return 0
    asked = {answer_key(answer): answer.length for answer in asked_of_reference(method, seen, budget)}
    return sum(asked.values())


def train_in_float32(model: PeftModel) -> None:
    """TRL turns the adapter of a quantised base into bfloat16; every other adapter is trained in float32."""
    for value in model.parameters():
        if value.requires_grad:
            value.data = value.data.float()


def check_adapter(model: PeftModel, profile: Profile) -> Row:
    """What is trained, counted after loading; raises PipelineError where it is not what params promise."""
    adapted = {name.split(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A." in name}
    trained = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    layers = model.config.get_text_config().num_hidden_layers
    if len(adapted) != len(LORA_TARGETS) * layers:
        raise PipelineError(
            f"LoRA found {len(adapted)} projections, expected {len(LORA_TARGETS)} in each of {layers} layers: "
            f"the base names its projections otherwise than {', '.join(LORA_TARGETS)}"
        )
    frozen = {str(value.dtype) for _, value in model.named_parameters() if not value.requires_grad}
    packed = {"torch.uint8"} if profile.quantize == "4bit" else set()  # two weights in a byte
    if frozen != {f"torch.{profile.dtype}"} | packed or {value.dtype for _, value in trained} != {torch.float32}:
        raise PipelineError(f"the base must be {profile.dtype} and the adapter float32, found {frozen}")
    return {
        "adapted_modules": len(adapted),
        "trainable_parameters": sum(value.numel() for _, value in trained),
        "dtype": profile.dtype,
        "quantize": profile.quantize,
        "adapter_dtype": "float32",
    }


def definition(name: str, params: Params, seed: int) -> dict[str, Any]:
    """Everything that decides the bytes of one adapter; its hash names the scratch folder, and run.json records it."""
    method, profile = params.train[name], params.active
    init = Path(method.init).name
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
    if method.method in MONITORED:
        inputs["reference"] = sha256(paths.reference(method.init, seed))
    if init != "base":
        inputs["start"] = sha256(paths.replica(init, seed, profile.seeds) / "adapter_model.safetensors")
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


def train_one(
    name: str,
    params: Params,
    rows: Sequence[Row],
    lengths: Sequence[int],
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
) -> Path:
    """Train one seed in its scratch folder; returns the folder `final` with adapter, run.json, result.json, history,
    which the first process writes while the others go on."""
    check_installed(params.report_to)
    method, profile = params.train[name], params.active
    what = definition(name, params, seed)
    scratch = scratch_folder(f"train-{name}-{seed}", what)
    final = scratch / "final"
    if final.exists():
        print(f"{name}: seed {seed} was finished before the interruption")
        return final
    began = time.perf_counter()
    budget = params.budget(name)
    seen = seen_rows(tokenizer, rows, lengths, budget, seed)
    model = load_start(profile, method, params.lora, seed)
    run = Run(
        model=model,
        tokenizer=tokenizer,
        method=method,
        budget=budget,
        profile=profile,
        seed=seed,
        rows=seen.rows,
        labels=seen.labels,
        reference=read_reference(method, seed),
        scratch=scratch,
        processes=ranks.processes(),
        gpu=params.gpu,
    )
    builder = importlib.import_module(f"stages.training.methods.{method.method}")
    trainer = builder.build_trainer(run)
    if "ref" in model.peft_config:  # TRL's float32 copy of the start, as a reference: ours is computed already
        model.delete_adapter("ref")
    train_in_float32(model)
    adapter = check_adapter(model, profile)
    project_trained_positions(model)
    checkpoint = newest_checkpoint(scratch, CLOCK)
    if checkpoint:
        print(f"{name}: seed {seed} resumes from {Path(checkpoint).name}")
    clock = StepClock(checkpoint)
    trainer.add_callback(clock)
    trainer.add_callback(SaveEveryMinute())
    show_progress(trainer, f"{name} seed {seed}")
    with mirrored(trainer, params.report_to if ranks.is_first() else (), scratch.name.removeprefix("train-")):
        trainer.train(resume_from_checkpoint=checkpoint)
    weights = whole_weights(trainer)
    if not ranks.is_first():
        return final
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    check_losses(name, losses, builder.first_loss(run), profile.dtype)

    tail = losses[-max(1, len(losses) // 10) :]
    trained = [answer for row in seen.rows for answer in trained_answers(row, method)]
    result = adapter | {
        "seed": seed,
        "loss_first": losses[0],
        "loss_final": sum(tail) / len(tail),
        "loss_final_steps": len(tail),
        "steps": len(losses),
        "rows_seen": len(seen.rows),
        "sequences_seen": len(trained),
        "tokens_seen": sum(answer.length for answer in trained),
        "trained_tokens": sum(len(answer.completion_ids) for answer in trained),
        "reference_tokens": reference_tokens(method, seen, run.budget),
    }
    if method.method in MONITORED:
        result["displacement"] = closing_values(trainer.state.log_history)
    timing = {
        "seed": seed,
        "train_seconds": clock.seconds,
        "total_seconds": time.perf_counter() - began,
        "seconds_per_step": clock.seconds / len(losses),
        "tokens_per_second": result["tokens_seen"] / clock.seconds,
        "peak_memory_mib": peak_memory_mib(),
    }
    with replaced_folder(final) as folder:
        save_adapter(trainer.accelerator.unwrap_model(trainer.model), tokenizer, folder / "adapter", weights)
        write_json(folder / "adapter" / "run.json", what | {"result": result})
        write_json(folder / "result.json", result)
        write_json(folder / "timing.json", timing)
        write_json(folder / "history.json", trainer.state.log_history)
    print(f"{name}: seed {seed}, loss {losses[0]:.4f} -> {result['loss_final']:.4f} in {clock.seconds:.1f} s")
    return final


def trained_answers(row: dict[str, Encoded], method: TrainMethod) -> list[Encoded]:
    """The sequences of one row that carry gradients: both sides of a pair, or the chosen one for SFT."""
    return [row["chosen"]] if method.method == "sft" and "chosen" in row else list(row.values())


def check_losses(name: str, losses: list[float], expected_first: float | None, dtype: str) -> None:
    """Raise PipelineError for a loss that is not a number, or a first loss that contradicts the reference."""
    bad = [step for step, loss in enumerate(losses, start=1) if not math.isfinite(loss)]
    if bad:
        raise PipelineError(f"{name}: the loss is not a number at step {bad[0]}: lower the learning rate")
    if expected_first is not None and abs(losses[0] - expected_first) > FIRST_LOSS_TOLERANCE[dtype] * expected_first:
        raise PipelineError(
            f"{name}: the first loss is {losses[0]:.6f}, but a model on its own reference gives {expected_first:.6f}: "
            "start and reference differ; please report this with models/<model>/run.json"
        )


def whole_weights(trainer: Trainer) -> dict[str, torch.Tensor] | None:
    """All weights by name where the processes hold a part each (FSDP), to which all must come; else None."""
    if not trainer.is_fsdp_enabled:
        return None
    weights: dict[str, torch.Tensor] = trainer.accelerator.get_state_dict(trainer.model)
    return weights


def save_adapter(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Adapter, tokenizer and template, byte-stable: PEFT writes sets in hash order and a model card with no content.

    Its weights are taken from ``weights`` where they are given.
    """
    model.save_pretrained(str(folder), selected_adapters=["default"], state_dict=weights)
    (folder / "README.md").unlink(missing_ok=True)
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config = {key: sorted(value) if isinstance(value, list) else value for key, value in config.items()}
    pin = loading.read_pin()
    config["base_model_name_or_path"] = pin.get("id") or (pin["path"] if pin["kind"] == "local" else str(paths.BASE))
    config["revision"] = pin.get("revision")
    write_json(file, config)
    tokenizer.save_pretrained(str(folder))


def write_outputs(name: str, params: Params, finals: Sequence[Path], rows: int, dropped: int) -> None:
    """The stage's outputs, made of what `train_one` left for each seed; then its scratch folders go."""
    method, profile = params.train[name], params.active
    results = [read_json(final / "result.json") for final in finals]
    with replaced_folder(paths.model(name)) as model_folder, replaced_folder(paths.train_metrics(name)) as curves:
        for seed, final in zip(profile.seeds, finals, strict=True):
            place = Path() if seed == profile.seeds[0] else Path("seeds") / str(seed)
            shutil.copytree(final / "adapter", model_folder / place, dirs_exist_ok=True)
            write_curves(read_json(final / "history.json"), curves / place)
        first = results[0]
        summary = {key: value for key, value in first.items() if key not in ("seed", "loss_first", "loss_final")}
        if "displacement" in first:
            summary["displacement"] = mean_values([result["displacement"] for result in results])
        write_json(
            curves / "summary.json",
            summary
            | {
                "model": name,
                "method": method.method,
                "init": method.init,
                "data": method.data,
                "loss_first": sum(result["loss_first"] for result in results) / len(results),
                "loss_final": sum(result["loss_final"] for result in results) / len(results),
                "rows_available": rows,
                "rows_dropped": dropped,
                "epochs": first["rows_seen"] / rows,
                "per_seed": results,
            },
        )
    timings = [read_json(final / "timing.json") for final in finals]
    write_json(paths.timing(name), {"model": name, "host": describe_host(), "seeds": timings})
    for seed in profile.seeds:
        for folder in paths.scratch_root().glob(f"train-{name}-{seed}-*"):
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a key of params.yaml: train")
    name = parser.parse_args().model
    params = load_params()
    if name not in params.train:
        raise PipelineError(f"{name!r} is not a key of train in {paths.PARAMS}: known are {', '.join(params.train)}")
    method, profile = params.train[name], params.active
    if method.init != str(paths.BASE) and not (Path(method.init) / "adapter_model.safetensors").exists():
        raise PipelineError(
            f"{method.init} holds no adapter to start from: run `dvc repro train@{Path(method.init).name}`"
        )
    rows, lengths, dropped = read_rows(name, method)
    tokenizer = loading.load_tokenizer()
    if params.launch.by != "python" and not ranks.is_process_of_several():
        launch.start(params.launch, "stages.train", name)
        return
    loading.configure_torch(profile, params.gpu)
    launch.join(params.launch)
    print(
        f"{name}: {method.method} on {len(rows)} rows of {method.data}, from {method.init}, {len(profile.seeds)} seeds"
    )
    print(f"{name}: {ranks.processes()} x {loading.describe_choices(profile, params.gpu)}")
    finals = [train_one(name, params, rows, lengths, tokenizer, seed) for seed in profile.seeds]
    if ranks.is_first():
        write_outputs(name, params, finals, len(rows), dropped)
    launch.leave()


if __name__ == "__main__":
    run_stage(main)
