"""What the trainings cost: tokens, arithmetic, the share of this machine's measured peak, and energy where readable.

Arithmetic by the usual convention: 2 operations per parameter and token forward and 4 backward, 6PT in all (Kaplan et
al. 2020, https://arxiv.org/abs/2001.08361, section 2.1). LoRA leaves most weights frozen: those need the gradient of
what they read but none of their own, 2 of the 4 backward operations, so that a frozen weight costs 4 and a trained 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stages.comparison.measured import Bench, Training
from stages.reporting.tables import BENCH, TIMING, TRAIN, Column, Table, integer, significant

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


COST = (
    Column("tokens", TRAIN, "tokens_seen"),
    Column("reference tokens", TRAIN, "reference_tokens"),
    Column("6PT, TFLOP", f"{TRAIN}, {BENCH}", "6 x parameters x tokens_seen"),
    Column("with LoRA, TFLOP", f"{TRAIN}, {BENCH}", "(4 x frozen + 6 x trainable) x tokens_seen"),
    Column("GFLOP/s", f"{TRAIN}, {TIMING}, {BENCH}", "with LoRA x seeds[].tokens_per_second / tokens_seen"),
    Column("measured peak, GFLOP/s", BENCH, "matmul_gflops"),
    Column("share of peak", f"{TRAIN}, {TIMING}, {BENCH}", "GFLOP/s / matmul_gflops"),
)
PER_INFERENCE = Column("J/inference", BENCH, "joules_per_inference")
PER_TOKEN = Column("J/token, … at once", BENCH, "generation.<batch size>.joules_per_token")
ENERGY = (PER_INFERENCE, PER_TOKEN)


def cost_table(training: Mapping[str, Training], benches: Mapping[str, Bench]) -> Table:
    rows = []
    for model, one in training.items():
        found = arithmetic(one, benches[model])
        rows.append(
            [
                model,
                integer(one.tokens_seen),
                integer(one.reference_tokens),
                significant(found.dense_flop / 1e12),
                significant(found.lora_flop / 1e12),
                significant(found.gflops),
                significant(benches[model].matmul_gflops),
                f"{found.share * 100:.1f} %",
            ]
        )
    return Table(["model", *COST], rows)


def energy_table(benches: Mapping[str, Bench]) -> Table | None:
    """Joules of an answer; None where the machine that timed the models shows none."""
    read = {model: bench for model, bench in benches.items() if bench.joules_per_inference is not None}
    if not read:
        return None
    sizes = sorted({size for bench in read.values() for size in bench.joules})
    rows = [
        [model, significant(bench.joules_per_inference), *(significant(bench.joules.get(size)) for size in sizes)]
        for model, bench in read.items()
    ]
    return Table(["model", PER_INFERENCE, *(PER_TOKEN.named(size) for size in sizes)], rows)


def processors(benches: Mapping[str, Bench]) -> list[str]:
    """Of the machines that timed the models."""
    return sorted({str(bench.host.get("cpu", "an unnamed processor")) for bench in benches.values()})
