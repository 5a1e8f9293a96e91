"""What the trainings cost: tokens, arithmetic, the share of this machine's measured peak, and energy where readable.

Arithmetic by the usual convention: 2 operations per parameter and token forward and 4 backward, 6PT in all (Kaplan et
al. 2020, https://arxiv.org/abs/2001.08361, section 2.1). LoRA leaves most weights frozen: those need the gradient of
what they read but none of their own, 2 of the 4 backward operations, so that a frozen weight costs 4 and a trained 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stages.comparison.measured import Bench, Training, need
from stages.core import paths
from stages.core.files import Row
from stages.reporting.tables import integer, significant, table

DENSE, FROZEN = 6, 4  # operations per parameter and trained token


@dataclass(frozen=True)
class Arithmetic:
    """One training's operations, mean over seeds where speed is concerned; ``share`` is of the measured peak."""

    dense_flop: float
    lora_flop: float
    gflops: float
    share: float


def arithmetic(training: Training, bench: Bench) -> Arithmetic:
    """``bench`` gives the parameters, adapter included, and the machine's peak in the model's dtype."""
    trained = training.trainable_parameters
    frozen = bench.parameters - trained
    per_token = FROZEN * frozen + DENSE * trained
    speed = sum(training.tokens_per_second) / len(training.tokens_per_second)
    gflops = per_token * speed / 1e9
    return Arithmetic(
        dense_flop=float(DENSE * bench.parameters * training.tokens_seen),
        lora_flop=float(per_token * training.tokens_seen),
        gflops=gflops,
        share=gflops / bench.matmul_gflops,
    )


def energy(benches: Mapping[str, Bench]) -> str:
    """Joules of an answer where the machine that timed the models shows them."""
    read = {model: bench for model, bench in benches.items() if bench.joules_per_inference is not None}
    if not read:
        machines = sorted({str(bench.host.get("cpu", "an unnamed processor")) for bench in benches.values()})
        return (
            "Energy: no reading. The machine that timed the models (" + "; ".join(machines) + ") shows no counter that "
            "the `benchmark` stage may read; on one that does (RAPL of the processor, or an NVIDIA GPU), joules of an "
            "inference and of a token stand here."
        )
    sizes = sorted({size for bench in read.values() for size in bench.joules})
    rows = [
        [model, significant(bench.joules_per_inference), *(significant(bench.joules.get(size)) for size in sizes)]
        for model, bench in read.items()
    ]
    header = ["model", "J/inference", *(f"J/token, {size} at once" for size in sizes)]
    note = "Energy by the counters that `benchmark` could read while it timed a model; other processes count too."
    return "\n\n".join([table(header, rows), note])


def cost(training: Mapping[str, Training], benches: Mapping[str, Bench], summaries: Mapping[str, Row]) -> str:
    """``summaries`` are metrics/train/<model>/summary.json, for the reference's tokens."""
    rows = []
    for model, one in training.items():
        found = arithmetic(one, benches[model])
        rows.append(
            [
                model,
                integer(one.tokens_seen),
                integer(need(summaries[model], paths.train_metrics(model) / "summary.json", "reference_tokens")),
                significant(found.dense_flop / 1e12),
                significant(found.lora_flop / 1e12),
                significant(found.gflops),
                significant(benches[model].matmul_gflops),
                f"{found.share * 100:.1f} %",
            ]
        )
    header = ["model", "tokens", "reference tokens", "6PT, TFLOP", "with LoRA, TFLOP", "GFLOP/s"]
    return "\n\n".join(
        [
            table([*header, "measured peak, GFLOP/s", "share of peak"], rows),
            f"6PT is {DENSE} x parameters x tokens, the convention for training every weight: 2 operations forward and "
            f"4 backward. A LoRA training needs no gradient of the frozen weights, {FROZEN} operations instead of "
            f"{DENSE}; *GFLOP/s* and *share of peak* count those. Both conventions send every token through every "
            "weight: the vocabulary is projected here at trained positions only, so that the true work, and the true "
            "share, is smaller. Attention over earlier tokens, the optimizer and the reference's passes are left out. "
            "The peak is a matrix product of the machine that timed the model. Tokens are those of the first seed.",
            energy(benches),
        ]
    )
