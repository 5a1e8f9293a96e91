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
from stages.reporting.tables import duration, integer, significant, table


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
SOURCES = (
    "memory, cores and clock: NVIDIA's product page of the GeForce RTX 3060 "
    "(<https://www.nvidia.com/en-us/geforce/graphics-cards/30-series/rtx-3060-3060ti/>): 3,584 CUDA cores, boost "
    "1.78 GHz, 12 GB GDDR6 on 192 bit; 15 Gbit/s a pin gives 360 GB/s",
    "tensor cores: NVIDIA Ampere GA102 GPU Architecture whitepaper V2.0 "
    "(<https://www.nvidia.com/content/PDF/nvidia-ampere-ga-102-gpu-architecture-whitepaper-v2.pdf>), third-generation "
    "tensor cores of GA10x: 128 dense FP16 fused multiply-adds per core and clock, half of it on GeForce with FP32 "
    "accumulation, which bfloat16 always uses",
    "compute capability: NVIDIA's list (<https://developer.nvidia.com/cuda-gpus>)",
    "parameters: Qwen/Qwen2.5-0.5B at commit 060db6499f32faf8b98477b0a26969ef7d8b9987, the model that was loaded",
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


def _training_table(measured: Mapping[str, Training]) -> str:
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
    header = [
        "method",
        "time claimed",
        "time behind its efficiency",
        "floor: micro-batches x passes x one read",
        "claim is",
        f"arithmetic at {ASSUMED_ANSWER_TOKENS} tokens an answer",
        "time measured here",
        "efficiency measured here",
    ]
    return table(header, rows)


def _inference_lines(benches: Mapping[str, Bench]) -> list[str]:
    read = weight_read_seconds()
    claimed = 1 / INFERENCES_PER_SECOND
    needed = WEIGHT_BYTES * INFERENCES_PER_SECOND
    tokens = RTX_3060.tensor_flops / INFERENCES_PER_SECOND / (2 * PARAMETERS)
    speeds = [bench.inferences_per_second for model, bench in benches.items() if model != "base"]
    if not speeds:
        speeds = [bench.inferences_per_second for bench in benches.values()]
    return [
        f"- One forward pass reads every weight once: {PARAMETERS:,} x {BYTES_PER_WEIGHT} bytes = "
        f"{WEIGHT_BYTES / 1e9:.3f} GB; {WEIGHT_BYTES / 1e9:.3f} GB / {RTX_3060.bandwidth / 1e9:.0f} GB/s = "
        f"{read * 1e3:.3f} ms, so at most {1 / read:.0f} passes a second, one after another.",
        f"- {INFERENCES_PER_SECOND:,.0f} inferences/s is {claimed * 1e3:.3f} ms each (printed as {INFERENCE_MS} ms) "
        f"and would read {needed / 1e9:,.0f} GB/s, {needed / RTX_3060.bandwidth:.1f} times the card's bandwidth: "
        f"**{verdict(claimed, read)}**. Batched, at {RTX_3060.tensor_flops / 1e12:.1f} TFLOP/s they would "
        f"leave arithmetic for {tokens:.1f} tokens each at most; the report names no batch.",
        f"- Measured here by the same definition (forward passes of one prompt): {significant(min(speeds))} to "
        f"{significant(max(speeds))} inferences/s for the adapters. One shape of adapter does the same arithmetic "
        "whatever loss trained it: a difference in speed cannot come from the method, by which the report ranks it.",
    ]


def _loss_lines(measured: Mapping[str, Training], betas: Mapping[str, float | None]) -> list[str]:
    beta = 0.1
    starts = start_losses(beta)
    margin = -math.log(math.expm1(LOSS_PRINTED_AS_ZERO)) / beta
    steps = max(claim.optimizer_steps for claim in CLAIMS)
    lines = [
        f"- All five final losses are printed as 0.0000, that is below {LOSS_PRINTED_AS_ZERO:g}, after {steps} "
        f"optimizer steps: {CLAIMS[0].samples} rows at most, {ROWS_PER_MICROBATCH} x {ACCUMULATION} rows a step, "
        f"{CLAIMS[0].epochs} epochs.",
        f"- DPO starts at ln 2 = {starts['dpo']:.4f}. With beta {beta} its loss falls below {LOSS_PRINTED_AS_ZERO:g} "
        f"when chosen and rejected have moved {margin:.0f} nats apart: **not credible** in {steps} steps. IPO starts "
        f"at (1/(2 x {beta}))² = {starts['ipo']:.0f}, KTO at {starts['kto']}; SFT and CPO reach it only where every "
        f"token has a probability above {math.exp(-LOSS_PRINTED_AS_ZERO):.5f}.",
    ]
    shown = []
    for claim in CLAIMS:
        if (ours := measured.get(claim.method)) is not None:
            used = betas.get(claim.method)
            note = f" (beta {used:g})" if used is not None else ""
            shown.append(f"{claim.method}{note} {significant(ours.loss_first)} to {significant(ours.loss_final)}")
    return [*lines, f"- Measured here, first step to last: {'; '.join(shown)}."] if shown else lines


def _limits_table(benches: Mapping[str, Bench]) -> str:
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
    header = ["model", "parameters", "prompt tokens", "GFLOP a pass", "inferences/s", "peak GFLOP/s", "share of peak"]
    return table(header, rows)


def audit(measured: Mapping[str, Training], benches: Mapping[str, Bench], betas: Mapping[str, float | None]) -> str:
    """The section's Markdown; ``betas`` are those of our own trainings."""
    total = sum(claim.seconds_printed for claim in CLAIMS)
    exact = sum(claim.seconds for claim in CLAIMS)
    halved = RTX_3060.tensor_flops / 2
    return "\n".join(
        [
            f"Limits of its {RTX_3060.name}: {RTX_3060.bandwidth / 1e9:.0f} GB/s of memory bandwidth, "
            f"{RTX_3060.fp32_flops / 1e12:.1f} TFLOP/s in fp32, and on {RTX_3060.tensor_cores} tensor cores "
            f"{RTX_3060.tensor_cores} x {RTX_3060.tensor_flops_per_core_clock} x {RTX_3060.boost_hz / 1e9:.3f} GHz = "
            f"{RTX_3060.tensor_flops / 1e12:.1f} TFLOP/s of dense 16-bit arithmetic ({halved / 1e12:.1f} in bfloat16, "
            "which accumulates in fp32). The verdicts use the bandwidth alone: it needs no assumption about "
            "the number of tokens, and arithmetic, optimizer and Python come on top.",
            "",
            "### Training times",
            "",
            _training_table(measured),
            "",
            f"A micro-batch of {ROWS_PER_MICROBATCH} rows (the report's setting) reads all weights once forward, once "
            "backward, and once more for the reference of DPO, IPO and KTO; gradient checkpointing, which it also "
            "claims, would add a pass. Efficiency is samples x epochs / seconds, in rows (pairs for DPO, IPO, CPO): it "
            "rewards a short measurement, and three timings that agree to five digits (600.00) look like one clock "
            "reading, not three trainings. Our times are of another model on another machine: they show what the same "
            "definition gives when the work is done, and are no race.",
            "",
            f"The report's total of {TOTAL_SECONDS} s is not the sum of its parts: they add up to {total:.2f} s as "
            f"printed and to {exact:.3f} s by its efficiencies.",
            "",
            "### Inferences per second",
            "",
            *_inference_lines(benches),
            "",
            "### Final losses",
            "",
            *_loss_lines(measured, betas),
            "",
            "### Build flags",
            "",
            f"`TORCH_CUDA_ARCH_LIST={ARCH_LIST}` names Ada Lovelace; an RTX 3060 has compute capability "
            f"{RTX_3060.compute_capability}. Code built for {ARCH_LIST} alone has no kernel that this card can run.",
            "",
            "### Our own figures under the same limits",
            "",
            _limits_table(benches),
            "",
            "GFLOP a pass is 2 x parameters x prompt tokens; the peak is a matrix product measured on this machine in "
            "the model's dtype; a share above 100 % fails the `benchmark` stage.",
            "",
            "### Sources",
            "",
            *(f"- {source}" for source in SOURCES),
        ]
    )
