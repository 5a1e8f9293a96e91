"""The section on the seed report: its timings, what it claims beside them, recommends and asks for next, and ours.

The words stand in `templates/seed_report.md.j2`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from stages.comparison.measured import Bench, Training
from stages.comparison.paired_scores import Place
from stages.core.params import Params, SftMethod
from stages.core.schema import DataCounts
from stages.reporting.seed_report import audit
from stages.reporting.templates import Renderer

MEMORY_GB, CARD_GB = 3, 12  # "~2-3GB during training", "GeForce RTX 3060 (12GB)"


def seed_report(
    renderer: Renderer,
    params: Params,
    data: DataCounts,
    training: Mapping[str, Training],
    benches: Mapping[str, Bench],
    answer: Sequence[str],
    exact: Mapping[str, Place],
) -> str:
    """The section; ``answer`` are the first sentences of the page, ``exact`` places by exact match."""
    adapters = [bench.inferences_per_second for model, bench in benches.items() if model != "base"]
    methods = {model: params.train[model] for model in training}
    return renderer.render(
        "seed_report.md",
        seed=audit,
        MEMORY_GB=MEMORY_GB,
        CARD_GB=CARD_GB,
        training_table=audit.training_table(training),
        limits_table=audit.limits_table(benches),
        bandwidth_needed=audit.WEIGHT_BYTES * audit.INFERENCES_PER_SECOND,
        tokens_at_most=audit.RTX_3060.tensor_flops / audit.INFERENCES_PER_SECOND / (2 * audit.PARAMETERS),
        adapter_speeds=adapters,
        speeds=adapters or [bench.inferences_per_second for bench in benches.values()],
        steps=max(claim.optimizer_steps for claim in audit.CLAIMS),
        starts=audit.start_losses(audit.CLAIMED_BETA),
        margin_nats=-math.log(math.expm1(audit.LOSS_PRINTED_AS_ZERO)) / audit.CLAIMED_BETA,
        token_probability=math.exp(-audit.LOSS_PRINTED_AS_ZERO),
        trained={claim.method: training[claim.method] for claim in audit.CLAIMS if claim.method in training},
        betas={name: None if isinstance(one, SftMethod) else one.beta for name, one in methods.items()},
        memory=[one.peak_memory_mib for one in training.values()],
        prepared=data["prepared"],
        answer=answer,
        exact=exact,
        profile=params.profile,
    )
