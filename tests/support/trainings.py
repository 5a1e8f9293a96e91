"""Trainings on a tiny base: the stage as DVC runs it, and one run of each method with rows of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from stages import reference, train
from stages.bases.loading import load_tokenizer
from stages.bases.tokens import Encoded, encode
from stages.core import paths
from stages.core.params import Budget, CpoMethod, KtoMethod, PairMethod, SftMethod, TrainMethod, load_params
from stages.scoring.log_probabilities import completion_logprobs
from stages.training.arguments import Run
from stages.training.reference_answers import MONITORED
from tests.support.tiny import turn

QUESTIONS = ["ما عاصمة مصر؟", "اكتب العدد ٤٥ بالحروف.", "أين تقع المغرب؟", "ما لغة عمان؟"]
GOOD = ["عاصمة مصر هي القاهرة.", "خمسة وأربعون.", "في أفريقيا.", "العربية."]
BAD = ["لا أعرف، ربما القاهرة.", "أربعة وخمسون.", "في آسيا، في آسيا.", "لغة عمان هي لغة أخرى."]
METHODS: dict[str, TrainMethod] = {
    "sft": SftMethod("sft", "models/base", "sft", "sft"),
    "dpo": PairMethod("dpo", "models/base", "pairs", "preference", beta=0.3),
    "ipo": PairMethod("ipo", "models/base", "pairs", "preference", beta=0.7),
    "cpo": CpoMethod("cpo", "models/base", "pairs", "preference", beta=0.2, nll_weight=0.5),
    "kto": KtoMethod(
        "kto", "models/base", "unpaired", "preference", beta=0.4, desirable_weight=1.0, undesirable_weight=0.8
    ),
}


def run_train(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    if name in MONITORED and (paths.model("sft") / "run.json").exists():
        reference.main()
    monkeypatch.setattr("sys.argv", ["train", name])
    train.main()


def digest(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def make_run(name: str, model: PeftModel, folder: Path, scratch: Path) -> Run:
    tokenizer = load_tokenizer(folder)
    pairs = [
        {
            "chosen": encode(tokenizer, turn("user", question), turn("assistant", good)),
            "rejected": encode(tokenizer, turn("user", question), turn("assistant", bad)),
        }
        for question, good, bad in zip(QUESTIONS, GOOD, BAD, strict=True)
    ]
    method = METHODS[name]
    rows, labels = pairs, []
    if method.data == "sft":
        rows = [{"completion": pair["chosen"]} for pair in pairs]
    if method.data == "unpaired":
        rows = [
            {"completion": pairs[i]["chosen" if good else "rejected"]} for i, good in ((0, 1), (1, 0), (2, 1), (3, 0))
        ]
        labels = [True, False, True, False]
    return Run(
        model=model,
        tokenizer=tokenizer,
        method=method,
        budget=Budget(learning_rate=1e-3, steps=1, rows_per_step=4, rows_per_microbatch=4, max_tokens=256),
        profile=load_params().profiles["smoke"],
        seed=3,
        rows=rows,
        labels=labels,
        reference=lambda answers: completion_logprobs(model, answers),
        scratch=scratch,
    )


def brute_force(model: PeftModel, answer: Encoded) -> float:
    """Summed log-probability from the full logits of one unpadded sequence."""
    ids = torch.tensor([answer.prompt_ids + answer.completion_ids])
    with torch.no_grad():
        logprobs = model(input_ids=ids).logits.double().log_softmax(-1)
    first = len(answer.prompt_ids)
    return sum(float(logprobs[0, position - 1, ids[0, position]]) for position in range(first, ids.shape[1]))
