"""The report's tables: every function takes what other stages measured and returns Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stages.comparison.measured import Bench, ReferencePass, Training, need
from stages.comparison.paired_scores import Place, Scores, places, shared_places
from stages.core import paths
from stages.core.files import Row
from stages.core.params import Params
from stages.reporting.tables import (
    NONE,
    duration,
    folded,
    integer,
    number_interval,
    percent,
    significant,
    spread,
    table,
)

LOSS_NOTE = (
    "The losses of different methods are different quantities (a negative log-likelihood for SFT, the logistic loss "
    "of a margin for DPO, a squared distance for IPO, a saturating value for KTO, the sum of two terms for CPO) and "
    "cannot be ranked across methods. The first loss is that of one step, whose rows may be easy, the final loss the "
    "mean over the last tenth of the steps; both are means over seeds, and a loss that rises from one to the other "
    "need not mean that anything was unlearnt."
)


def seeds(params: Params, summaries: Mapping[str, Row]) -> str:
    """The spread over seeds, which the intervals do not contain."""
    metrics = ("behaviour_rate", "containment", "exact_match")
    rows = []
    for model, summary in summaries.items():
        path = paths.eval_metrics(model) / "summary.json"
        found = [need(summary, path, "metrics", metric, "per_seed") for metric in metrics]
        rows.append([model, *(" / ".join(f"{value * 100:.1f}" for value in values) or NONE for values in found)])
    names = ", ".join(map(str, params.active.seeds))
    return f"In percent, for the seeds {names}; the base has none.\n\n" + table(["model", *metrics], rows)


def training_table(params: Params, training: Mapping[str, Training]) -> str:
    rows = [
        [
            model,
            params.train[model].method,
            spread(one.seconds),
            significant(sum(one.total_seconds) / len(one.total_seconds)),
            significant(one.loss_first),
            significant(one.loss_final),
            integer(one.samples),
            significant(one.epochs),
            integer(one.steps),
            integer(one.rows_seen),
            integer(one.tokens_seen),
            f"{significant(one.efficiency)} [{', '.join(significant(f(one.efficiencies)) for f in (min, max))}]",
        ]
        for model, one in training.items()
    ]
    header = ["model", "loss of", "training time, s", "in all, s", "first loss", "final loss", "samples"]
    return table([*header, "epochs", "steps", "rows seen", "tokens seen", "efficiency"], rows, left=2)


def reference_cost(passes: Sequence[ReferencePass]) -> str:
    """What the shared reference cost, beside the trainings that no longer pay for it."""
    starts = sorted({one.start for one in passes})
    return " ".join(
        f"The reference's log-probabilities under `{start}`, which DPO, IPO and KTO share, took "
        f"{spread([one.seconds for one in passes if one.start == start])} seconds a seed for "
        f"{integer(max(one.answers for one in passes if one.start == start))} answers, once; they are in no row above."
        for start in starts
    )


def inference_table(benches: Mapping[str, Bench]) -> str:
    sizes = sorted({size for bench in benches.values() for size in bench.decoding})
    rows = [
        [
            model,
            significant(bench.mean_ms),
            significant(bench.p50_ms),
            significant(bench.p95_ms),
            significant(bench.inferences_per_second),
            number_interval(*bench.slowdown, 2) if bench.slowdown else NONE,
            *(significant(bench.decoding.get(size)) for size in sizes),
            bench.host.get("device", NONE),
        ]
        for model, bench in benches.items()
    ]
    decoding = [f"tokens/s, {size} at once" for size in sizes]
    header = ["model", "mean, ms", "median, ms", "p95, ms", "inferences/s", "times as long", *decoding, "device"]
    return (
        table(header, rows, words=("device",))
        + "\n\n*Times as long* is a pass with the adapter over the same pass with it switched off, the two "
        "alternating: the median of the pairs and their quartiles. Adapters of one shape do the same arithmetic, so "
        "that what they differ by is the error of timing: one model is timed after the other, and the machine does not "
        "stand still meanwhile. Added into the weights (`merge_and_unload` of PEFT), an adapter takes no time."
    )


def resources(params: Params, training: Mapping[str, Training], benches: Mapping[str, Bench]) -> str:
    rows = []
    for model in params.models:
        one, bench = training.get(model), benches[model]
        rows.append(
            [
                model,
                significant(one.peak_memory_mib) if one else NONE,
                duration(one.mean_seconds) if one else NONE,
                spread(one.tokens_per_second) if one else NONE,
                integer(one.trainable_parameters) if one else NONE,
                significant(bench.peak_memory_mib),
                f"{bench.load_seconds:.2f} s",
            ]
        )
    header = ["model", "peak memory training, MiB", "training time", "tokens/s training", "trainable parameters"]
    hosts = {describe_host(one.host) for one in training.values()} | {
        describe_host(one.host) for one in benches.values()
    }
    total = sum(sum(one.seconds) for one in training.values())
    return "\n\n".join(
        [
            table([*header, "peak memory inference, MiB", "load"], rows),
            f"All trainings and seeds together: {duration(total)} of optimizer steps. Memory is the process's resident "
            "peak on a CPU and the allocator's peak on a GPU.",
            "Machines: " + "; ".join(sorted(hosts)) + ".",
        ]
    )


def describe_host(host: Row) -> str:
    return ", ".join(f"{key} {host[key]}" for key in sorted(host) if host[key] not in (None, ""))


def rankings(
    params: Params, scores: Mapping[str, Scores], training: Mapping[str, Training], benches: Mapping[str, Bench]
) -> str:
    """Places, best first, with shared ranks marked `=`; each column's rule for a tie stands below the table."""
    columns: dict[str, Mapping[str, Place]] = {
        "behaviour": places(scores, "behaviour_rate", params.evaluate),
        "containment": places(scores, "containment", params.evaluate),
        "exact match": places(scores, "exact_match", params.evaluate),
        "training time": _by_range({model: one.seconds for model, one in training.items()}, higher=False),
        "efficiency": _by_range({model: one.efficiencies for model, one in training.items()}, higher=True),
        "inference": shared_places(
            sorted(benches, key=lambda model: benches[model].times_as_long),
            lambda best, other: benches[other].as_fast_as(benches[best]),
        ),
    }
    rows = [[model, *(str(found.get(model, NONE)) for found in columns.values())] for model in params.models]
    return (
        table(["model", *columns], rows)
        + "\n\n`=` marks a shared rank. Quality: one more than the number of models that are better, by p-values of "
        "all pairs adjusted together (Holm). Training time and efficiency: the range over seeds overlaps with that of "
        "the best of the group (with one seed nothing can tie). Inference: rule 5. Training time and efficiency say "
        "what a method costs, and nothing about its answers."
    )


def _by_range(values: Mapping[str, Sequence[float]], higher: bool) -> dict[str, Place]:
    def mean(name: str) -> float:
        return sum(values[name]) / len(values[name])

    def overlap(best: str, other: str) -> bool:
        return min(values[best]) <= max(values[other]) and min(values[other]) <= max(values[best])

    return shared_places(sorted(values, key=mean, reverse=higher), overlap)


def data_overview(data: Row) -> str:
    """The counts of metrics/data.json."""
    path = paths.DATA_METRICS
    prepared = need(data, path, "prepared")
    splits = [
        [
            kind,
            *(integer(need(prepared, path, kind, split)) for split in ("train", "validation", "test")),
        ]
        for kind in ("sft", "pairs", "unpaired")
    ]
    held = need(data, path, "held_out")
    dropped = need(data, path, "dropped")
    corpus = need(prepared, path, "corpus")
    raw = [[file, integer(need(count, path, "rows"))] for file, count in sorted(need(data, path, "raw").items())]
    reasons: dict[str, int] = {}
    for row in dropped:
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + 1
    return "\n\n".join(
        [
            table(["prepared", "train", "validation", "test"], splits),
            f"Test questions: {integer(need(prepared, path, 'generation'))} generation prompts and "
            f"{integer(need(prepared, path, 'mcq'))} multiple-choice questions. Pretraining corpus: "
            f"{integer(need(corpus, path, 'documents'))} documents, {integer(need(corpus, path, 'bytes'))} bytes. "
            f"Held out of training: {', '.join(f'{integer(count)} {name}' for name, count in sorted(held.items()))}.",
            _counts("flaws planted in SFT rows", need(data, path, "flaws")),
            _counts("axes of the preference pairs", need(data, path, "axes")),
            folded("Rows by topic", _counts("topics", need(data, path, "by_topic"))),
            folded("Rows by raw file", table(["raw file", "rows"], raw)),
            f"{len(dropped)} raw rows were dropped"
            + (": " + "; ".join(f"{count} as {reason}" for reason, count in sorted(reasons.items())) if reasons else "")
            + f". `{path}` names each with its file and line.",
        ]
    )


def _counts(title: str, counts: Mapping[str, Any]) -> str:
    """One row a name; where the counts are split by train, validation and test, one column a split."""
    if all(isinstance(value, dict) for value in counts.values()):
        names = sorted({name for value in counts.values() for name in value})
        rows = [[name, *(integer(value.get(name, 0)) for value in counts.values())] for name in names]
        return table([title, *counts], rows)
    return table([title, "rows"], [[name, integer(count)] for name, count in sorted(counts.items())])


def by_group(summaries: Mapping[str, Row], group: str, parts: Sequence[str]) -> str:
    """Models in rows, tasks or axes in columns; a cell holds the named parts, in percent.

    A group in which a part is null everywhere (open prompts have no fact to contain) is left out.
    """
    first = next(iter(summaries))
    path = paths.eval_metrics(first) / "summary.json"
    groups = need(summaries[first], path, group)
    names = sorted(name for name in groups if all(need(groups, path, name, part) is not None for part in parts))
    rows = []
    for model, summary in summaries.items():
        path = paths.eval_metrics(model) / "summary.json"
        cells = []
        for name in names:
            values = [need(summary, path, group, name, part) for part in parts]
            cells.append(" / ".join(NONE if value is None else f"{value * 100:.1f}" for value in values))
        rows.append([model, *cells])
    counts = [f"{name} (n={need(summaries[first], paths.eval_metrics(first), group, name, 'n')})" for name in names]
    return table(["model", *counts], rows)


def by_wording(scores: Mapping[str, Scores]) -> str:
    """Containment where the question is worded as in training, and where it is not."""
    rows = []
    counts: dict[str, int] = {}
    for model, one in scores.items():
        cells = []
        for wording in ("seen", "unseen"):
            found = [row for row in one.rows if row["contains"] is not None and row["wording"] == wording]
            counts[wording] = len({row["id"] for row in found})
            cells.append(percent(float(np.mean([float(row["contains"]) for row in found])) if found else None))
        rows.append([model, *cells])
    return table(["model", *(f"{wording} wording (n={count})" for wording, count in counts.items())], rows)
