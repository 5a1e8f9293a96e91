"""Items per second of our multiple-choice scoring against lm-evaluation-harness, alternately, on a model of yours.

    pip install lm_eval==0.4.13
    python -m tests.benchmarks.speed_against_lm_eval /models/qwen --items 64 --dtype bfloat16 --pairs-of-runs 3

The items are our hand-written questions on culture and dialect in the layout of ArabicMMLU, whose options are scored by
their letters, or with `--task alghafa` of AlGhafa, by their texts (or a JSONL file of yours with the task's records).
The harness runs its own `arabicmmlu` or `arabic_leaderboard_alghafa` task on them - its prompts, choices and metrics,
over its `hf` backend - at the best of `--batch-sizes`, which is sought first; ours is `harness_rows`. `--task pipeline`
is what the stage `evaluate` asks of a question: whole answers after the chat prompt, and letters under every rotation
of the options, which makes five items of a question with four; the harness is given the same texts. Each run has a
process of its own; what is timed is tokenising and scoring, once each, and neither loading nor metrics. Not a test: it
takes minutes, and its result belongs to a machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.core import paths
from stages.core.files import read_jsonl, write_jsonl

QUESTIONS = ("culture", "dialect")
LEVELS = {"easy": "Primary", "medium": "Middle", "hard": "High"}


def records(count: int, task: str) -> list[dict[str, Any]]:
    """Questions of each hand-written file, evenly taken, as the task's benchmark writes its own."""
    rows = [row for name in QUESTIONS for row in read_jsonl(paths.RAW_EVALUATION / f"{name}.jsonl")]
    taken = [rows[place * len(rows) // count] for place in range(min(count, len(rows)))]
    return [RECORDS[task](number, row) for number, row in enumerate(taken)]


def arabicmmlu(number: int, row: dict[str, Any]) -> dict[str, Any]:
    """By subject and level, with five places for options."""
    return {
        "ID": number,
        "Country": None,
        "Subject": row["topic"].title(),
        "Level": LEVELS[row["level"]],
        "Question": row["question"],
        "Context": None,
        "Answer Key": "ABCDE"[row["answer"]],
    } | {f"Option {place + 1}": (row["choices"] + [None] * 5)[place] for place in range(5)}


def alghafa(number: int, row: dict[str, Any]) -> dict[str, Any]:
    """The harness takes every other column for an option."""
    options = {f"sol{place}": choice for place, choice in enumerate(row["choices"], start=1)}
    return {"query": row["question"]} | options | {"label": str(row["answer"])}


def pipeline(_: int, row: dict[str, Any]) -> dict[str, Any]:
    return {field: row[field] for field in ("question", "choices", "answer")}


RECORDS = {"arabicmmlu": arabicmmlu, "alghafa": alghafa, "pipeline": pipeline}


def documents(model: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The prompts, choices and right answers of the stage `evaluate` as texts: cloze, then one for each rotation."""
    from stages.bases.loading import load_tokenizer
    from stages.rows.conventions import user
    from stages.scoring.multiple_choice import LETTERS, lettered, rotated, sentence

    tokenizer = load_tokenizer(Path(model))

    def document(prompt: Any, choices: Sequence[str], gold: int) -> dict[str, Any]:
        text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        return {"text": text, "options": list(choices), "gold": gold}

    found = []
    for row in rows:
        count, answer = len(row["choices"]), row["answer"]
        whole = [f"{sentence(choice)}{tokenizer.eos_token}" for choice in row["choices"]]
        found.append(document(user(row["question"]), whole, answer))
        for shift in range(count):
            asked = lettered(row["question"], rotated(row["choices"], shift))
            found.append(document(asked, LETTERS[:count], (answer - shift) % count))
    return found


def own_functions(task: str) -> dict[str, Any]:
    """What the harness' configuration of the task names: its prompts, choices and right answers."""
    if task == "pipeline":
        texts = {"doc_to_text": "{{text}}", "doc_to_choice": "options", "doc_to_target": "gold"}
        return texts | {"target_delimiter": ""}
    if task == "alghafa":
        from lm_eval.tasks.arabic_leaderboard_complete.arabic_leaderboard_alghafa import utils

        texts = {"doc_to_text": "{{query}}", "doc_to_choice": "choices", "doc_to_target": "{{gold}}"}
        return texts | {"process_docs": utils.process_docs}
    from lm_eval.tasks.arabicmmlu import utils

    return {
        "doc_to_text": utils.doc_to_text,
        "doc_to_choice": utils.doc_to_choice,
        "doc_to_target": "Answer Key",
    }


def lm_eval_side(model: str, dtype: str, task: str, items: Path, batch_sizes: Sequence[str]) -> list[dict[str, Any]]:
    """One result a batch size, through the harness' own task, model class and metrics."""
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    class Timed(HFLM):  # type: ignore[misc]
        seconds = 0.0

        def _encode_pair(self, context: str, continuation: str) -> Any:
            if task != "pipeline":
                return super()._encode_pair(context, continuation)
            # It would move the newline that ends a chat prompt into every choice, and then no letter is one token.
            return self.tok_encode(context), self.tok_encode(continuation)

        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
            start = time.perf_counter()
            found = super().loglikelihood(requests, disable_tqdm=True)
            self.seconds = time.perf_counter() - start
            return found

    if task == "pipeline":
        write_jsonl(given := items.with_name("documents.jsonl"), documents(model, read_jsonl(items)))
        items = given
    timed = Timed(pretrained=model, dtype=dtype, device="cpu", batch_size=batch_sizes[0])
    results = []
    for size in batch_sizes:
        timed.batch_size_per_gpu = size if size == "auto" else int(size)
        questions = ConfigurableTask(
            config={
                "task": "questions",
                "dataset_path": "json",
                "dataset_kwargs": {"data_files": {"test": str(items)}},
                "test_split": "test",
                "output_type": "multiple_choice",
                "metric_list": [{"metric": name, "aggregation": "mean"} for name in ("acc", "acc_norm")],
            }
            | own_functions(task)
        )
        found = evaluate(lm=timed, task_dict={"questions": questions}, log_samples=True, bootstrap_iters=0)
        samples = sorted(found["samples"]["questions"], key=lambda sample: sample["doc_id"])
        scores = found["results"]["questions"]
        results.append(
            {
                "batch": size,
                "seconds": timed.seconds,
                "acc": scores["acc,none"],
                "acc_norm": scores["acc_norm,none"],
                "nats": [[float(value) for value, _ in sample["filtered_resps"]] for sample in samples],
            }
        )
    return results


def our_side(model: str, dtype: str, task: str, items: Path) -> list[dict[str, Any]]:
    import torch
    from transformers import AutoModelForCausalLM

    from stages.bases.loading import configure_torch, load_tokenizer
    from stages.core.params import load_params
    from stages.scoring.harness import harness_rows, render
    from stages.scoring.multiple_choice import cloze_nats, letter_nats
    from stages.scoring.scored_model import ScoredModel

    configure_torch(load_params().profiles["local"])
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype), local_files_only=True).eval()
    subject = ScoredModel(loaded, load_tokenizer(Path(model)), "ours")
    if task == "pipeline":
        questions = read_jsonl(items)
        start = time.perf_counter()
        cloze, letters = cloze_nats(subject, questions), letter_nats(subject, questions)
        seconds = time.perf_counter() - start
        nats = [given for whole, rotations in zip(cloze, letters, strict=True) for given in (whole, *rotations)]
        asked = documents(model, questions)
        per_character = [
            [value / len(option) for value, option in zip(values, document["options"], strict=True)]
            for values, document in zip(nats, asked, strict=True)
        ]
        accuracies = {
            name: statistics.fmean(
                values.index(max(values)) == document["gold"] for values, document in zip(found, asked, strict=True)
            )
            for name, found in (("acc", nats), ("acc_norm", per_character))
        }
        return [{"batch": "", "seconds": seconds, "nats": nats} | accuracies]
    about = {"set": "s", "subject": "x", "level": "y"}
    rows = [
        about | {"id": str(place), "item": render("lm_eval", task, record)}
        for place, record in enumerate(read_jsonl(items))
    ]
    start = time.perf_counter()
    scored = harness_rows(subject, rows, "own_harness")
    return [
        {
            "batch": "",
            "seconds": time.perf_counter() - start,
            "acc": statistics.fmean(row["correct_raw"] for row in scored),
            "acc_norm": statistics.fmean(row["correct"] for row in scored),
            "nats": [row["choice_nats"] for row in scored],
        }
    ]


def run_apart(side: str, given: argparse.Namespace, items: Path, batch_sizes: Sequence[str]) -> list[dict[str, Any]]:
    out = items.with_name("result.json")
    command = [sys.executable, "-m", "tests.benchmarks.speed_against_lm_eval", given.model, "--dtype", given.dtype]
    command += ["--task", given.task, "--records", str(items), "--side", side, "--out", str(out)]
    command += ["--batch-sizes", *batch_sizes]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))
    return found


def line(name: str, result: dict[str, Any]) -> str:
    speed = len(result["nats"]) / result["seconds"]
    return f"{name:22} {speed:6.2f} items/s  acc {result['acc']:.4f}  acc_norm {result['acc_norm']:.4f}"


def flat(result: dict[str, Any]) -> list[float]:
    return [value for values in result["nats"] for value in values]


def picks(result: dict[str, Any]) -> list[int]:
    """The first of the highest, as both sides pick."""
    return [values.index(max(values)) for values in result["nats"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a Transformers folder")
    parser.add_argument("--task", default="arabicmmlu", choices=tuple(RECORDS))
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--records", type=Path, help="a JSONL file with the task's records, instead of ours")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--batch-sizes", nargs="+", default=["1", "2", "4", "8", "16", "32"], help="numbers, or auto")
    parser.add_argument("--pairs-of-runs", type=int, default=3)
    parser.add_argument("--side", choices=("lm_eval", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        side = our_side if given.side == "ours" else lm_eval_side
        sizes = [] if given.side == "ours" else [given.batch_sizes]
        found = side(given.model, given.dtype, given.task, given.records, *sizes)
        given.out.write_text(json.dumps(found), encoding="utf-8")
        return
    rows = read_jsonl(given.records) if given.records else records(given.items, given.task)
    if given.task == "alghafa" and len({frozenset(row) for row in rows}) > 1:
        parser.error("the records need the same columns: datasets would fill the others with null, options to lm_eval")
    with tempfile.TemporaryDirectory() as folder:
        items = Path(folder) / "items.jsonl"
        write_jsonl(items, rows)
        sought = run_apart("lm_eval", given, items, given.batch_sizes)
        for result in sought:
            print(line(f"lm_eval, batch {result['batch']}", result), flush=True)
        best = min(sought, key=lambda result: result["seconds"])["batch"]
        ratios = []
        for _ in range(given.pairs_of_runs):
            (theirs,), (own,) = run_apart("lm_eval", given, items, [best]), run_apart("ours", given, items, ["1"])
            ratios.append(theirs["seconds"] / own["seconds"])
            print(line(f"lm_eval, batch {best}", theirs))
            print(line("ours", own))
            other = sum(one != two for one, two in zip(picks(theirs), picks(own), strict=True))
            apart = max(abs(one - two) for one, two in zip(*map(flat, (theirs, own)), strict=True))
            print(f"  ratio {ratios[-1]:.2f}; {other} other picks; largest difference {apart:.2g} nats", flush=True)
    low, high = min(ratios), max(ratios)
    print(f"{len(theirs['nats'])} items, {given.dtype}: median {statistics.median(ratios):.2f} [{low:.2f}, {high:.2f}]")


if __name__ == "__main__":
    main()
