"""Seconds per step of our trainings against plain TRL scripts of the same method, alternately, on a base of yours.

    python -m tests.benchmarks.speed_against_trl /models/qwen --pairs-of-runs 3 --steps 4

Both sides start on the base with a fresh LoRA adapter and train the same rows in the same order, in micro-batches of
the same size and the same dtype, and run in a process of their own. TRL's side is what its documentation shows
(trainer, config, PEFT config, text columns) with its own defaults, activation checkpointing and reference passes
among them; only the order of rows is fixed, so that the losses can be compared. Ours is what `train` does; its
reference pass is a process of its own, as the stage `reference` is, timed beside it. In bfloat16 an optimizer step
turns the last bit of a gradient into a whole step of a weight, so that losses part from the second step on: compare
them in float32. Not a test: it takes minutes, and its result belongs to a machine.
"""

from __future__ import annotations

import argparse
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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stages.core.params import Budget, TrainMethod
    from stages.training.seen_rows import Seen

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


def arguments(method: str, steps: int, rows_per_step: int, dtype: str) -> dict[str, Any]:
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
        "bf16": dtype == "bfloat16",
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


QWEN_PROJECTIONS = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


def lora() -> Any:
    from peft import LoraConfig

    return LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=QWEN_PROJECTIONS, task_type="CAUSAL_LM")


def plain_trl(given: argparse.Namespace, folder: str) -> dict[str, Any]:
    """As documented; activation checkpointing is TRL's default, so that there is nothing to ask for."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    from datasets import Dataset
    from transformers import AutoTokenizer

    method = given.methods[0]
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
    settings = arguments(method, given.steps, given.rows_per_step, given.dtype) | {"output_dir": folder}
    if method in BETAS:
        settings["beta"] = BETAS[method]
    if method == "ipo":
        settings["loss_type"] = ["ipo"]
    if method != "kto":
        settings["train_sampling_strategy"] = "sequential"
    tokenizer = AutoTokenizer.from_pretrained(given.base, local_files_only=True)
    tokenizer.bos_token = None  # Qwen's own has none; one from a GGUF file may, and TRL's CPO alone would train with it
    trainer = Trainer(
        model=given.base,
        args=Config(**settings, model_init_kwargs={"dtype": given.dtype}),
        train_dataset=Dataset.from_list(rendered(given.base, method, given.steps * given.rows_per_step)),
        processing_class=tokenizer,
        peft_config=lora(),
    )
    return timed(trainer)


def our_task(given: argparse.Namespace) -> tuple[TrainMethod, Budget, Seen]:
    """What is trained, for how long, on what: the same text as TRL's side reads, as token ids."""
    from stages.bases.loading import load_tokenizer
    from stages.bases.tokens import Encoded
    from stages.core.params import Budget, load_params
    from stages.training.seen_rows import Seen

    name = given.methods[0]
    tokenizer = load_tokenizer(Path(given.base))

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def encoded(prompt: str, answer: str) -> Encoded:
        return Encoded(ids(prompt), [*ids(answer), tokenizer.eos_token_id])

    rows = rendered(given.base, name, given.steps * given.rows_per_step)
    answers = [
        {side: encoded(row["prompt"], row[side]) for side in ("completion", "chosen", "rejected") if side in row}
        for row in rows
    ]
    method = replace(load_params().train[name], **({"beta": BETAS[name]} if name in BETAS else {}))
    budget = Budget(1e-4, given.steps, given.rows_per_step, MICROBATCH.get(name, 2), 512)
    return method, budget, Seen(answers, [row["label"] for row in rows if "label" in row])


def our_model(given: argparse.Namespace) -> Any:
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM, set_seed

    from stages.bases.loading import configure_torch
    from stages.core.params import load_params

    configure_torch(load_params().profiles["local"])
    model = AutoModelForCausalLM.from_pretrained(given.base, dtype=given.dtype, local_files_only=True)
    set_seed(1)
    return get_peft_model(model, lora())


def our_reference(given: argparse.Namespace, _: str) -> dict[str, Any]:
    """As the stage `reference` computes it, which several methods, betas and learning rates share."""
    import torch

    from stages.scoring.log_probabilities import completion_logprobs
    from stages.training.reference_answers import MONITORED, answer_key, asked_of_reference

    if given.methods[0] not in MONITORED:
        return {"seconds": 0.0, "nats": {}}
    method, budget, seen = our_task(given)
    answers = {answer_key(answer): answer for answer in asked_of_reference(method, seen.rows, budget)}
    model = our_model(given).eval()
    began = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=given.dtype == "bfloat16"):
        nats = completion_logprobs(model, list(answers.values()))
    return {"seconds": time.perf_counter() - began, "nats": dict(zip(answers, nats, strict=True))}


def ours(given: argparse.Namespace, folder: str) -> dict[str, Any]:
    from stages.bases.loading import load_tokenizer
    from stages.core.params import load_params
    from stages.training.arguments import Run
    from stages.training.one_run import method_file
    from stages.training.reference_answers import answer_key
    from stages.training.trl_private import project_trained_positions

    profile = replace(
        load_params().profiles["local"], dtype=given.dtype, activation_checkpointing=given.activation_checkpointing
    )
    method, budget, seen = our_task(given)
    nats = json.loads(given.reference.read_text(encoding="utf-8"))["nats"]
    model = our_model(given)
    run = Run(
        model=model,
        tokenizer=load_tokenizer(Path(given.base)),
        method=method,
        budget=budget,
        profile=profile,
        seed=1,
        rows=seen.rows,
        labels=seen.labels,
        reference=lambda answers: [nats[answer_key(answer)] for answer in answers] if nats else [],
        scratch=Path(folder),
    )
    trainer = method_file(method).build_trainer(run)
    trainer.args.lr_scheduler_type = "constant"
    trainer.args.warmup_steps = 0
    project_trained_positions(model)
    return timed(trainer)


SIDES = {"trl": plain_trl, "reference": our_reference, "ours": ours}


def timed(trainer: Any) -> dict[str, Any]:
    """Train; seconds of the steps after the first, which pays for lazy set-up, and every step's loss."""
    from stages.core.checkpoints import StepClock

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


def run_apart(side: str, method: str, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    out = folder / f"{side}.json"
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.speed_against_trl",
        given.base,
        "--methods",
        method,
        "--side",
        side,
    ]
    command += ["--dtype", given.dtype, "--steps", str(given.steps), "--rows-per-step", str(given.rows_per_step)]
    command += ["--out", str(out), "--reference", str(folder / "reference.json")]
    command += ["--activation-checkpointing"] if given.activation_checkpointing else []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # each step's log
    result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return result


def compare(method: str, given: argparse.Namespace) -> float:
    """One pair of runs, printed; the ratio of their seconds."""
    with tempfile.TemporaryDirectory() as folder:
        theirs, reference, own = (run_apart(side, method, given, Path(folder)) for side in SIDES)
    ratio: float = theirs["seconds_per_step"] / own["seconds_per_step"]
    apart = max(abs(a - b) for a, b in zip(theirs["losses"], own["losses"], strict=True))
    print(
        f"{method:6}  {theirs['seconds_per_step']:10.2f}  {own['seconds_per_step']:11.2f}  {ratio:5.2f}  "
        f"{reference['seconds']:11.1f}  {theirs['peak_gib']:7.2f}  {own['peak_gib']:8.2f}  {apart:.5f}",
        flush=True,
    )
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="a Transformers folder")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--pairs-of-runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="the first of them is not counted")
    parser.add_argument("--rows-per-step", type=int, default=8, help="or pairs; a multiple of 4")
    parser.add_argument("--activation-checkpointing", action="store_true", help="for ours too: less memory, slower")
    for hidden in ("--side", "--out", "--reference"):
        parser.add_argument(hidden, type=str if hidden == "--side" else Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        with tempfile.TemporaryDirectory() as folder:
            given.out.write_text(json.dumps(SIDES[given.side](given, folder)), encoding="utf-8")
        return
    print("method  TRL s/step  ours s/step  ratio  reference s  TRL GiB  ours GiB  largest loss difference")
    for method in given.methods:
        ratios = [compare(method, given) for _ in range(given.pairs_of_runs)]
        low, high = min(ratios), max(ratios)
        print(f"{method}: median ratio {statistics.median(ratios):.2f} [{low:.2f}, {high:.2f}]", flush=True)


if __name__ == "__main__":
    main()
