"""What the seed report recommends, claims beside its timings, and asks for next, each set against what is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stages.comparison.measured import Bench, Training, need
from stages.comparison.paired_scores import Place
from stages.core import paths
from stages.core.files import Row
from stages.core.params import Params
from stages.reporting.seed_report.audit import CLAIMS, INFERENCES_PER_SECOND, TOTAL_SECONDS, WEIGHT_BYTES
from stages.reporting.tables import integer, significant, table

MEMORY_GB, CARD_GB = 3, 12  # "~2-3GB during training", "GeForce RTX 3060 (12GB)"


def recommendations(answer: Sequence[str], throughput: str, exact: Mapping[str, Place]) -> str:
    """Its four use cases; ``answer`` are the first sentences of this page, ``exact`` places by exact match."""
    kto = next(claim for claim in CLAIMS if claim.method == "kto")
    general = f"`dpo` has place {exact['dpo']} of {len(exact)} in exact match" if "dpo" in exact else "not compared"
    rows = [
        ["instruction following", "SFT", "most stable and reliable", answer[0]],
        [
            "high throughput",
            "IPO",
            f"{INFERENCES_PER_SECOND:,.0f} inferences/s, which is impossible",
            throughput,
        ],
        [
            "preference learning",
            "KTO",
            f"an efficiency of {kto.efficiency:.2f}, which is a short clock reading",
            answer[1],
        ],
        ["general purpose", "DPO", "balanced across metrics, without a figure", f"{general} (`=`: shared)."],
    ]
    return table(["use case", "it recommends", "because of", "measured here"], rows, left=4)


def throughput(benches: Mapping[str, Bench]) -> str:
    speeds = [bench.inferences_per_second for model, bench in benches.items() if model != "base"]
    if not speeds:
        return "nothing was timed."
    return (
        f"all adapters within {significant(min(speeds))} to {significant(max(speeds))} inferences/s: one shape, one "
        "speed, whatever the method."
    )


def other_claims(training: Mapping[str, Training]) -> str:
    """What stands in its text beside the timings, with what can be said of it."""
    mean = TOTAL_SECONDS / len(CLAIMS)
    memory = [one.peak_memory_mib for one in training.values()]
    ours = f"; here {significant(min(memory))} to {significant(max(memory))} MiB, for another model" if memory else ""
    rows = [
        [
            "peak memory of about 2 to 3 GB, 75 % headroom",
            "possible",
            f"the weights are {WEIGHT_BYTES / 1e9:.3f} GB, and {MEMORY_GB} of {CARD_GB} GB leave "
            f"{100 * (1 - MEMORY_GB / CARD_GB):.0f} %{ours}",
        ],
        ["60 % of memory saved by LoRA and checkpointing", "cannot be checked", "no run without them is reported"],
        ["10 to 15 times as fast as a CPU", "cannot be checked", "no run on a CPU is reported"],
        [
            "0.36 s a method on average",
            "says nothing",
            f"{TOTAL_SECONDS} s / {len(CLAIMS)} = {mean:.3f} s, of which SFT alone has {CLAIMS[0].seconds_printed} s",
        ],
        [
            "success rate of 100 %, perfect convergence",
            "not credible",
            "a training that ends is not one that learns; see the losses above",
        ],
        ["production readiness of 9 out of 10", "cannot be checked", "no answer of any model was scored"],
        [
            f"datasets of {min(c.samples for c in CLAIMS)} to {max(c.samples for c in CLAIMS)} rows a method",
            "too few",
            "no difference between methods could be separated on so few, were the timings real",
        ],
    ]
    return table(["claim", "it is", "why"], rows, left=3)


def asked_for(data: Row, params: Params) -> str:
    """Its "Future Recommendations", item by item."""
    prepared, path = need(data, paths.DATA_METRICS, "prepared"), paths.DATA_METRICS
    train = [integer(need(prepared, path, kind, "train")) for kind in ("sft", "pairs", "unpaired")]
    documents = integer(need(prepared, path, "corpus", "documents"))
    rows = [
        [
            "1K to 10K rows a method",
            "done",
            f"{train[0]} instructions, {train[1]} pairs and {train[2]} single answers train (Data)",
        ],
        [
            "more epochs, to see convergence",
            "done",
            "learning curves of every method (Training), nine settings of each (Robustness)",
        ],
        [
            "larger Arabic corpora",
            "in part",
            f"{documents} documents of this project's own; files or sets of the hub by name in `params.yaml`",
        ],
        [
            "BLEU, ROUGE and Arabic metrics",
            "done",
            "chrF++, BLEU and ROUGE-L raw and normalised, script, digits, dialect",
        ],
        [
            "serving by FastAPI or TorchServe",
            "not done",
            "adapters load with PEFT; `arabic-qwen publish` writes a hub folder",
        ],
        ["WandB or TensorBoard", "done", "`report_to` in `params.yaml`; curves come with `dvc plots show` anyway"],
        ["A/B tests on real users", "in part", "all models on the same prompts, paired (Differences); no people"],
        [
            "safety filters",
            "in part",
            "safe choices and over-refusal are measured, flagged rows dropped; nothing filters answers",
        ],
        [
            "other Arabic dialects",
            "in part",
            "questions in dialect and pairs that prefer the standard; no training in dialect",
        ],
        ["domain adaptation", "in part", "scores by task; your own rows and test files by name in `params.yaml`"],
        [
            "larger models",
            "not measured",
            f"`profile: qwen3_06b` is configured for a GPU; this page is `{params.profile}`",
        ],
        ["cultural alignment", "in part", "questions on Arab culture are scored; nothing was trained for it"],
    ]
    return table(["it asked for", "here", "how"], rows, left=3)
