"""Stage `reference`: what each start says of the answers that preference methods will compare it with.

Reads the starts of those of DPO, IPO, KTO and CPO that params.yaml: models asks for (`models/base` or a trained
adapter, every seed) and the rows they will see.
Writes `models/reference/<start>-<seed>.json`: the log-probability (nats, summed over the answer) of each answer,
by the SHA-256 of its token ids; and `metrics/timing/reference.json`. Computed once, it serves every method that has
this start, and every beta and learning rate of a sweep; neither is an input here. CPO asks for its monitor alone.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from stages.bases import loading
from stages.bases.adapters import load_model
from stages.bases.tokens import Encoded
from stages.core import paths
from stages.core.errors import run_stage
from stages.core.files import replaced_folder, write_json, write_text
from stages.core.host import describe_host
from stages.core.params import Params, Profile, load_params
from stages.scoring.log_probabilities import completion_logprobs
from stages.training.reference_answers import MONITORED, answer_key, asked_of_reference
from stages.training.seen_rows import read_rows, seen_rows


def answers_seen(params: Params, start: str, tokenizer: PreTrainedTokenizerBase, seed: int) -> dict[str, Encoded]:
    """The answers, by key, that methods with this start ask about; each once, however many methods ask."""
    answers: dict[str, Encoded] = {}
    for name in params.trained():
        method = params.train[name]
        if method.method not in MONITORED or method.init != start:
            continue
        budget = params.budget(name)
        rows, lengths, _ = read_rows(name, method)
        seen = seen_rows(tokenizer, rows, lengths, budget, seed)
        answers |= {answer_key(answer): answer for answer in asked_of_reference(method, seen.rows, budget)}
    return answers


def log_probabilities(profile: Profile, start: str, seed: int, answers: dict[str, Encoded]) -> dict[str, float]:
    """Under the start in training precision: a bfloat16 base is compared with itself under autocast."""
    model = load_model(profile, Path(start).name, seed)
    with torch.autocast(loading.device().type, torch.bfloat16, enabled=profile.dtype == "bfloat16"):
        nats = completion_logprobs(model, list(answers.values()), show=f"reference {start} (seed {seed})")
    return dict(zip(answers, nats, strict=True))


def main() -> None:
    params = load_params()
    profile = params.active
    loading.configure_torch(profile, params.gpu)
    tokenizer = loading.load_tokenizer()
    trained = [params.train[name] for name in params.trained()]
    starts = sorted({method.init for method in trained if method.method in MONITORED})
    timings = []
    with replaced_folder(paths.REFERENCE) as folder:
        for start in starts:
            for seed in profile.seeds:
                began = time.perf_counter()
                answers = answers_seen(params, start, tokenizer, seed)
                nats = log_probabilities(profile, start, seed, answers)
                write_text(
                    folder / paths.reference(start, seed).name, json.dumps(nats, indent=0, sort_keys=True) + "\n"
                )
                seconds = time.perf_counter() - began
                tokens = sum(answer.length for answer in answers.values())
                timings.append(
                    {"start": start, "seed": seed, "seconds": seconds, "answers": len(nats), "tokens": tokens}
                )
                print(f"reference: {len(nats)} answers under {start} (seed {seed}) in {seconds:.1f} s")
    write_json(paths.timing("reference"), {"host": describe_host(), "passes": timings})


if __name__ == "__main__":
    run_stage(main, __doc__)
