"""Seconds per step of our trainings against plain TRL scripts of the same method, alternately, on a base of yours.

    python -m tests.speed_against_trl /models/qwen --pairs-of-runs 3 --steps 4

Both sides start on the base with a fresh LoRA adapter and train the same rows in the same order, in micro-batches of
the same size and the same dtype, and run in a process of their own. TRL's side is what its documentation shows
(trainer, config, PEFT config, text columns) with its own defaults, activation checkpointing and reference passes
among them; only the order of rows is fixed, so that the losses can be compared. Ours is what `train` does; its
reference pass is timed beside it. Not a test: it takes minutes, and its result belongs to a machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

METHODS = ("sft", "dpo", "ipo", "cpo", "kto")
MICROBATCH = {"kto": 4}  # of the others 2; KTO estimates its KL term over the micro-batch
BETAS = {"dpo": 0.1, "ipo": 0.5, "cpo": 0.1, "kto": 0.1}
TOPICS = [
    "القهوة",
    "النخيل",
    "البحر",
    "المدرسة",
    "السوق",
    "الخط",
    "الصحراء",
    "المطر",
    "الكتاب",
    "الجار",
    "السفر",
    "الخبز",
]


def example(number: int) -> dict[str, str]:
    """One pair of answers of the length that the shipped rows have (25 to 60 words)."""
    topic = TOPICS[number % len(TOPICS)]
    sentence = f"ترتبط {topic} في ذاكرة الناس بأيام الطفولة وبحكايات الكبار، وفي كل بيت قصة عنها تروى في المساء."
    good = " ".join([f"هذا جواب رقم {number} عن {topic}.", *[sentence] * (1 + number % 2)])
    return {"prompt": f"حدثني عن {topic} في حياة الناس.", "chosen": good, "rejected": f"لا أعرف، وربما {good}"}


def arguments(method: str, steps: int, rows_per_step: int) -> dict[str, Any]:
    micro = MICROBATCH.get(method, 2)
    return {
        "max_steps": steps,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": rows_per_step // micro,
        "learning_rate": 1e-4,
        "lr_scheduler_type": "constant",
        "seed": 1,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": True,
    }


def rendered(base: str, method: str, count: int) -> list[dict[str, Any]]:
    """Text rows: the chat template's prompt, and answers to which TRL appends the end token, Qwen's stop token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        row = example(number)
        turns = [{"role": "user", "content": row["prompt"]}]
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, enable_thinking=False)
        if method == "sft":
            rows.append({"prompt": prompt, "completion": row["chosen"]})
        elif method == "kto":
            good = number % 2 == 0
            rows.append({"prompt": prompt, "completion": row["chosen" if good else "rejected"], "label": good})
        else:
            rows.append({"prompt": prompt, "chosen": row["chosen"], "rejected": row["rejected"]})
    return rows


def lora() -> Any:
    from peft import LoraConfig

    from stages.methods.run import LORA_TARGETS

    return LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=LORA_TARGETS, task_type="CAUSAL_LM")


def plain_trl(base: str, method: str, steps: int, rows_per_step: int, folder: str, _lean: bool) -> dict[str, Any]:
    """As documented; activation checkpointing is TRL's default, so that there is nothing to ask for."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    from datasets import Dataset
    from transformers import AutoTokenizer

    given = arguments(method, steps, rows_per_step) | {"output_dir": folder}
    init = {"model_init_kwargs": {"dtype": "bfloat16"}}
    if method == "cpo":
        from trl.experimental.cpo import CPOConfig as Config
        from trl.experimental.cpo import CPOTrainer as Trainer
    elif method == "sft":
        from trl import SFTConfig as Config
        from trl import SFTTrainer as Trainer
    elif method == "kto":
        from trl import KTOConfig as Config
        from trl import KTOTrainer as Trainer
    else:
        from trl import DPOConfig as Config
        from trl import DPOTrainer as Trainer
    if method in BETAS:
        given["beta"] = BETAS[method]
    if method == "ipo":
        given["loss_type"] = ["ipo"]
    if method != "kto":
        given["train_sampling_strategy"] = "sequential"
    trainer = Trainer(
        model=base,
        args=Config(**given, **init),
        train_dataset=Dataset.from_list(rendered(base, method, steps * rows_per_step)),
        processing_class=AutoTokenizer.from_pretrained(base, local_files_only=True),
        peft_config=lora(),
    )
    return timed(trainer) | {"reference_seconds": 0.0}


def ours(base: str, method: str, steps: int, rows_per_step: int, folder: str, lean: bool) -> dict[str, Any]:
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM, PreTrainedModel, set_seed

    from stages.methods.head import project_trained_positions
    from stages.methods.run import Run
    from stages.models import configure_torch, load_tokenizer
    from stages.params import Budget, load_params
    from stages.scoring.logprobs import completion_logprobs
    from stages.tokens import Encoded

    params = load_params()
    profile = replace(params.profiles["local"], activation_checkpointing=lean)
    configure_torch(profile)
    tokenizer = load_tokenizer(Path(base))
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16, local_files_only=True)
    set_seed(1)
    peft_model: Any = get_peft_model(model, lora())

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def encoded(prompt: str, answer: str) -> Encoded:
        return Encoded(ids(prompt), [*ids(answer), tokenizer.eos_token_id])

    rows = rendered(base, method, steps * rows_per_step)
    answers = [
        {side: encoded(row["prompt"], row[side]) for side in ("completion", "chosen", "rejected") if side in row}
        for row in rows
    ]
    spent = 0.0

    def reference(asked: Any) -> list[float]:
        nonlocal spent
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            nats = completion_logprobs(PreTrainedModel.eval(peft_model), asked)
        spent += time.perf_counter() - began
        return nats

    run = Run(
        model=peft_model,
        tokenizer=tokenizer,
        method=replace(params.train[method], **({"beta": BETAS[method]} if method in BETAS else {})),
        budget=Budget(1e-4, steps, rows_per_step, MICROBATCH.get(method, 2), 512),
        profile=profile,
        seed=1,
        rows=answers,
        labels=[row["label"] for row in rows if "label" in row],
        reference=reference,
        scratch=Path(folder),
    )
    trainer = importlib.import_module(f"stages.methods.{method}").build_trainer(run)
    trainer.args.lr_scheduler_type = "constant"
    trainer.args.warmup_steps = 0
    project_trained_positions(peft_model)
    return timed(trainer) | {"reference_seconds": spent}


def timed(trainer: Any) -> dict[str, Any]:
    """Train; seconds of the steps after the first, which pays for lazy set-up, and every step's loss."""
    from stages.checkpoints import StepClock

    class EachStep(StepClock):
        def __init__(self) -> None:
            super().__init__(None)
            self.steps: list[float] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            before = self.seconds
            super().on_step_end(args, state, control, **more)
            self.steps.append(self.seconds - before)

    clock = EachStep()
    trainer.add_callback(clock)
    trainer.train()
    return {
        "seconds_per_step": statistics.mean(clock.steps[1:]),
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def run_apart(side: str, base: str, method: str, steps: int, rows_per_step: int, lean: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        command = [sys.executable, "-m", "tests.speed_against_trl", base, "--methods", method, "--steps", str(steps)]
        command += ["--rows-per-step", str(rows_per_step), "--side", side, "--out", str(out)]
        command += ["--activation-checkpointing"] if lean else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # each step's log
        result: dict[str, Any] = json.loads(out.read_text())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="a Transformers folder")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--pairs-of-runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="the first of them is not counted")
    parser.add_argument("--rows-per-step", type=int, default=8, help="or pairs; a multiple of 4")
    parser.add_argument("--activation-checkpointing", action="store_true", help="for ours too: less memory, slower")
    parser.add_argument("--side", choices=("trl", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        side = ours if given.side == "ours" else plain_trl
        with tempfile.TemporaryDirectory() as folder:
            given.out.write_text(
                json.dumps(
                    side(
                        given.base,
                        given.methods[0],
                        given.steps,
                        given.rows_per_step,
                        folder,
                        given.activation_checkpointing,
                    )
                )
            )
        return
    print("method  TRL s/step  ours s/step  ratio  reference s  TRL GiB  ours GiB  largest loss difference")
    for method in given.methods:
        ratios = []
        for _ in range(given.pairs_of_runs):
            theirs, own = (
                run_apart(side, given.base, method, given.steps, given.rows_per_step, given.activation_checkpointing)
                for side in ("trl", "ours")
            )
            ratios.append(theirs["seconds_per_step"] / own["seconds_per_step"])
            apart = max(abs(a - b) for a, b in zip(theirs["losses"], own["losses"], strict=True))
            print(
                f"{method:6}  {theirs['seconds_per_step']:10.2f}  {own['seconds_per_step']:11.2f}  {ratios[-1]:5.2f}  "
                f"{own['reference_seconds']:11.1f}  {theirs['peak_gib']:7.2f}  {own['peak_gib']:8.2f}  {apart:.4f}",
                flush=True,
            )
        low, high = min(ratios), max(ratios)
        print(f"{method}: median ratio {statistics.median(ratios):.2f} [{low:.2f}, {high:.2f}]", flush=True)


if __name__ == "__main__":
    main()
