"""The seed report's claims against the physical limits of the hardware that it names.

The claims are transcribed from "Arabic Qwen Base Fine-tuning: Comprehensive Training Report" (2025-01-21). Every bound
below is a floor that favours the claim: it counts the time to read the weights from memory and nothing else, as if
arithmetic, activations, optimizer, Python and data loading were free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from stages.comparison.measured import Bench, Training
from stages.reporting.tables import BENCH, TIMING, Column, Table, duration, integer, significant


@dataclass(frozen=True)
class Gpu:
    """Published limits; ``tensor_flops`` are dense 16-bit operations at the rate most generous to a claim."""

    name: str
    bandwidth: float  # bytes a second
    fp32_flops: float
    tensor_cores: int
    boost_hz: float
    tensor_flops_per_core_clock: int
    compute_capability: str

    @property
    def tensor_flops(self) -> float:
        return self.tensor_cores * self.tensor_flops_per_core_clock * self.boost_hz


RTX_3060 = Gpu(
    name="GeForce RTX 3060 12 GB",
    bandwidth=360e9,  # 192 bit x 15 Gbit/s / 8
    fp32_flops=12.7e12,  # 3,584 cores x 2 operations x 1.777 GHz
    tensor_cores=112,
    boost_hz=1.777e9,
    tensor_flops_per_core_clock=256,  # 128 fused multiply-adds; half of that when GeForce accumulates in fp32
    compute_capability="8.6",
)

PARAMETERS = 494_032_768
BYTES_PER_WEIGHT = 2  # bfloat16, as the report says
WEIGHT_BYTES = PARAMETERS * BYTES_PER_WEIGHT
ROWS_PER_MICROBATCH = 2  # "batch size: 2 per device with 4 gradient accumulation steps"
ACCUMULATION = 4
ASSUMED_ANSWER_TOKENS = 100  # for the arithmetic beside the bound; the verdicts do not use it
INFERENCES_PER_SECOND = 6362.0
INFERENCE_MS = 0.16
TOTAL_SECONDS = 1.78
ARCH_LIST = "8.9"
CLAIMED_BETA = 0.1
LOSS_PRINTED_AS_ZERO = 5e-5  # the largest loss that four decimals print as 0.0000


@dataclass(frozen=True)
class Claim:
    """One training of the seed report; ``passes`` are the times that a micro-batch must read all weights."""

    method: str
    seconds_printed: float
    efficiency: float
    samples: int
    epochs: int
    passes: int  # forward, backward through the frozen weights, and the reference's forward where there is one
    answers_per_row: int

    @property
    def seconds(self) -> float:
        """What the report measured, to more digits than it prints: samples x epochs / efficiency."""
        return self.samples * self.epochs / self.efficiency

    @property
    def microbatches(self) -> int:
        return math.ceil(self.samples / ROWS_PER_MICROBATCH) * self.epochs

    @property
    def optimizer_steps(self) -> int:
        return math.ceil(self.samples / (ROWS_PER_MICROBATCH * ACCUMULATION)) * self.epochs


CLAIMS = (
    Claim("sft", 1.76, 5.68, samples=5, epochs=2, passes=2, answers_per_row=1),
    Claim("dpo", 0.01, 600.00, samples=3, epochs=2, passes=3, answers_per_row=2),
    Claim("kto", 0.00, 1926.98, samples=4, epochs=2, passes=3, answers_per_row=1),
    Claim("ipo", 0.01, 600.00, samples=3, epochs=2, passes=3, answers_per_row=2),
    Claim("cpo", 0.01, 600.00, samples=3, epochs=2, passes=2, answers_per_row=2),
)


def weight_read_seconds(gpu: Gpu = RTX_3060) -> float:
    """The least time of one pass over the model: every weight once through the memory bus (L2 holds 3 MB of 988)."""
    return WEIGHT_BYTES / gpu.bandwidth


def training_floor(claim: Claim, gpu: Gpu = RTX_3060) -> float:
    """Seconds that no training of this shape can undercut on this memory."""
    return claim.microbatches * claim.passes * weight_read_seconds(gpu)


def training_flop(claim: Claim) -> float:
    """Arithmetic of the passes over the answers alone, 2 operations per weight and token in each."""
    tokens = claim.samples * claim.epochs * claim.answers_per_row * ASSUMED_ANSWER_TOKENS
    return 2.0 * PARAMETERS * tokens * claim.passes


def verdict(claimed: float, floor: float) -> str:
    return "impossible" if claimed < floor else "possible"


def start_losses(beta: float) -> dict[str, float]:
    """Where each loss starts when the policy equals its reference."""
    return {"dpo": math.log(2), "ipo": (1 / (2 * beta)) ** 2, "kto": 0.5}


CLAIMED = tuple(
    Column(
        heading,
        "stages/reporting/seed_report/audit.py",
        "CLAIMS, RTX_3060",
        listed="time claimed, time behind…, floor…, claim is, arithmetic…",
    )
    for heading in (
        "time claimed",
        "time behind its efficiency",
        "floor: micro-batches x passes x one read",
        "claim is",
        f"arithmetic at {ASSUMED_ANSWER_TOKENS} tokens an answer",
    )
)
OURS = (
    Column("time measured here", TIMING, "seeds[].train_seconds, the mean"),
    Column("efficiency measured here", TIMING, "as under Training"),
)
LIMITS = (
    Column("parameters", BENCH, "parameters"),
    Column("prompt tokens", BENCH, "prompt_tokens"),
    Column("GFLOP a pass", BENCH, "forward_gflop"),
    Column("inferences/s", BENCH, "inferences_per_second"),
    Column("peak GFLOP/s", BENCH, "matmul_gflops"),
    Column("share of peak", BENCH, "share_of_peak"),
)


def training_table(measured: Mapping[str, Training]) -> Table:
    """Each claimed time beside its floor, and ours."""
    rows = []
    for claim in CLAIMS:
        floor = training_floor(claim)
        ours = measured.get(claim.method)
        rows.append(
            [
                claim.method,
                f"{claim.seconds_printed:.2f} s",
                f"{claim.samples} x {claim.epochs} / {claim.efficiency:.2f} = {claim.seconds * 1e3:.2f} ms",
                f"{claim.microbatches} x {claim.passes} x {weight_read_seconds() * 1e3:.3f} = {floor * 1e3:.1f} ms",
                f"**{verdict(claim.seconds, floor)}**",
                f"{training_flop(claim) / 1e12:.2f} TFLOP, {training_flop(claim) / RTX_3060.tensor_flops * 1e3:.0f} ms",
                duration(ours.mean_seconds) if ours else "not compared",
                significant(ours.efficiency) if ours else "not compared",
            ]
        )
    return Table(["method", *CLAIMED, *OURS], rows)


def limits_table(benches: Mapping[str, Bench]) -> Table:
    """Our own figures under the same kind of limit; `benchmark` fails on a share above 1."""
    rows = [
        [
            model,
            integer(bench.parameters),
            str(bench.prompt_tokens),
            significant(bench.forward_gflop),
            significant(bench.inferences_per_second),
            significant(bench.matmul_gflops),
            f"{bench.share_of_peak * 100:.1f} %",
        ]
        for model, bench in benches.items()
    ]
    return Table(["model", *LIMITS], rows)
