"""Stage `benchmark@<model>`: how fast one model is on this machine, and whether this machine can be that fast.

Reads `models/base`, `models/<model>` (the first seed) and the first prompts of `data/prepared/generation.jsonl`.
Writes `metrics/bench/<model>.json`, which DVC does not cache: timings belong to a machine. A share of the measured
arithmetic peak above 1 means that the clock was read wrongly, and fails the stage.

An inference is one forward pass of one prompt, all of whose logits are computed. A machine's speed drifts: the same
model took 4.4 ms a pass and 6.2 a few seconds later. What an adapter costs is therefore measured by pairs of passes,
with it and with it switched off, one after the other. Generation is greedy, the stop token
forbidden, so that every model decodes the same number of tokens. Joules are what `energy_counters` say of the same
passes, idle power and other processes included; null where the machine has none that this user may read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages.bases.adapters import load_model, unwrapped, without_adapter
from stages.bases.loading import configure_torch, load_tokenizer
from stages.bases.tokens import encode_prompt, generation_stop_ids
from stages.core import paths
from stages.core.errors import PipelineError, run_stage
from stages.core.files import Row, read_jsonl, write_json
from stages.core.host import EnergyCounter, describe_host, energy_counters, metered, peak_memory_mib
from stages.core.params import BenchmarkBudget, load_params
from stages.scoring.generation import new_tokens

MATMUL_SIZE = {"cpu": 1024, "cuda": 8192}  # large enough for full speed, small enough for a second
MATMUL_REPEATS = 10


def seconds(action: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call; on a GPU until its queue is empty."""
    _synchronise()
    start = time.perf_counter()
    action()
    _synchronise()
    return time.perf_counter() - start


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@torch.no_grad()
def forward_times(
    model: PreTrainedModel, prompt: list[int], budget: BenchmarkBudget, counters: list[EnergyCounter]
) -> tuple[float, list[float], float | None]:
    """Seconds of the very first forward pass of one prompt (token ids), of each repeat after the warm-up, and joules
    of one repeat."""
    input_ids = torch.tensor([prompt], device=model.device)  # (1, tokens)

    def forward() -> None:
        model(input_ids=input_ids, use_cache=False)

    first = seconds(forward)
    for _ in range(budget.warmup):
        forward()
    taken, joules = metered(counters, lambda: [seconds(forward) for _ in range(budget.repeats)])
    return first, taken, per(joules, budget.repeats)


def per(joules: float | None, count: int) -> float | None:
    return None if joules is None else joules / count


def adapter_slowdown(model: PreTrainedModel, prompt: list[int], pairs: int) -> Row | None:
    """How many times as long a pass takes with the adapter as without it: {median, p25, p75}; None for the base."""
    input_ids = torch.tensor([prompt], device=model.device)
    ratios = []
    for _ in range(pairs):
        with torch.no_grad():
            adapted = seconds(lambda: model(input_ids=input_ids, use_cache=False))
            with without_adapter(model) as removed:
                if not removed:
                    return None
                ratios.append(adapted / seconds(lambda: model(input_ids=input_ids, use_cache=False)))
    low, median, high = (float(value) for value in np.quantile(ratios, [0.25, 0.5, 0.75]))
    return {"median": median, "p25": low, "p75": high}


def generation_speed(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[list[int]],
    budget: BenchmarkBudget,
    counters: list[EnergyCounter],
) -> Row:
    """Tokens per second, seconds and joules per token by batch size; few prompts are used again to fill a batch."""
    stop_ids = generation_stop_ids(tokenizer)
    result: Row = {}
    for size in budget.batch_sizes:
        batch = [prompts[i % len(prompts)] for i in range(size)]
        new_tokens(model, tokenizer, batch, stop_ids, 1, min_new_tokens=1)  # warm-up
        count = budget.new_tokens
        decode = partial(new_tokens, model, tokenizer, batch, stop_ids, count, count)
        taken, joules = metered(counters, partial(seconds, decode))
        result[str(size)] = {
            "seconds": taken,
            "tokens_per_second": size * count / taken,
            "joules_per_token": per(joules, size * count),
        }
    return result


def matmul_gflops(dtype: torch.dtype, device: torch.device) -> float:
    """The arithmetic peak as measured: 2 n^3 operations of a square product, over its fastest run, in GFLOP/s."""
    size = MATMUL_SIZE.get(device.type, MATMUL_SIZE["cpu"])
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, size, generator=generator).to(device, dtype) for _ in range(2))
    torch.matmul(left, right)
    fastest = min(seconds(lambda: torch.matmul(left, right)) for _ in range(MATMUL_REPEATS))
    return float(2 * size**3 / fastest / 1e9)


def forward_gflop(model: PreTrainedModel, tokens: int) -> float:
    """2 operations per parameter and token; an input embedding that is not the output matrix too only looks up."""
    base: Any = unwrapped(model)
    table, head = base.get_input_embeddings().weight, base.get_output_embeddings().weight
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return float(2 * (parameters - (0 if table is head else table.numel())) * tokens / 1e9)


def share_of_peak(gflop: float, pass_seconds: float, peak_gflops: float) -> float:
    """Achieved over measured arithmetic speed; raises PipelineError above 1."""
    share = gflop / pass_seconds / peak_gflops
    if share > 1:
        raise PipelineError(
            f"a forward pass of {gflop:.3g} GFLOP in {pass_seconds * 1000:.3g} ms would be {share:.2f} times the peak "
            f"of {peak_gflops:.3g} GFLOP/s measured here: the timing is wrong; run the stage again on an idle machine"
        )
    return share


def main() -> None:
    parser = argparse.ArgumentParser(description="Time one model on this machine.")
    parser.add_argument("model", help="a name of params.yaml: models")
    name = parser.parse_args().model
    params = load_params()
    if name not in params.models:
        raise PipelineError(f"{name!r} is not one of params.yaml: models ({', '.join(params.models)})")
    profile, budget = params.active, params.active.benchmark
    configure_torch(profile, params.gpu)
    tokenizer = load_tokenizer()
    rows = read_jsonl(paths.GENERATION)[: max(budget.batch_sizes)]
    if not rows:
        raise PipelineError(f"{paths.GENERATION} holds no prompt to time: run `dvc repro prepare`")
    prompts = [encode_prompt(tokenizer, row["prompt"]) for row in rows]
    loaded: list[PreTrainedModel] = []
    load_seconds = seconds(lambda: loaded.append(load_model(profile, name, profile.seeds[0])))
    model = loaded[0]
    counters = energy_counters()
    first, repeats, joules = forward_times(model, prompts[0], budget, counters)
    slowdown = adapter_slowdown(model, prompts[0], budget.repeats)
    generation = generation_speed(model, tokenizer, prompts, budget, counters)
    memory = peak_memory_mib()  # before the matrices of the peak add theirs
    peak, gflop, mean = matmul_gflops(model.dtype, model.device), forward_gflop(model, len(prompts[0])), fmean(repeats)
    p50, p95 = (float(value) * 1000 for value in np.quantile(repeats, [0.5, 0.95]))
    result = {
        "model": name,
        "host": describe_host(),
        "dtype": str(model.dtype).removeprefix("torch."),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "load_seconds": load_seconds,
        "first_forward_ms": first * 1000,
        "latency_ms": {"p50": p50, "p95": p95, "mean": mean * 1000},
        "inferences_per_second": 1 / mean,
        "adapter_slowdown": slowdown,
        "prompt_tokens": len(prompts[0]),
        "joules_per_inference": joules,
        "energy_counters": [counter.name for counter in counters],
        "generation": generation,
        "peak_memory_mib": memory,
        "matmul_gflops": peak,
        "forward_gflop": gflop,
        "share_of_peak": share_of_peak(gflop, mean, peak),
    }
    write_json(paths.bench(name), result)
    print(f"{name}: {result['inferences_per_second']:.4g} inferences/s of {len(prompts[0])} tokens, p50 {p50:.3g} ms")
    for size, speed in generation.items():
        print(f"{name}: {speed['tokens_per_second']:.4g} tokens/s generated, {size} at a time")


if __name__ == "__main__":
    run_stage(main)
