"""The tables of training, inference, resources, data and single groups of prompts: what other stages measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stages.comparison.measured import Bench, Training
from stages.comparison.paired_scores import Place, Scores, places
from stages.comparison.verdicts import places_by_range, places_in_use
from stages.core import paths
from stages.core.params import Params
from stages.core.schema import DataCounts, PreparedCounts, Summary
from stages.reporting.tables import (
    BENCH,
    NONE,
    ROWS,
    SUMMARY,
    TIMING,
    TRAIN,
    Column,
    Table,
    duration,
    integer,
    number_interval,
    percent,
    significant,
    spread,
)

DATA = "metrics/data.json"

SEEDS = tuple(
    Column(
        metric,
        SUMMARY,
        "metrics.<column>.per_seed, or mean",
        listed="containment, behaviour_rate, exact_match",
    )
    for metric in ("behaviour_rate", "containment", "exact_match")
)


def seeds_table(summaries: Mapping[str, Summary]) -> Table:
    """The spread over seeds, which the intervals do not contain."""
    rows = []
    for model, summary in summaries.items():
        found = [summary["metrics"][column.heading]["per_seed"] for column in SEEDS]
        rows.append([model, *(" / ".join(f"{value * 100:.1f}" for value in values) or NONE for values in found)])
    return Table(["model", *SEEDS], rows)


TRAINING = (
    Column("loss of", "params.yaml", "train.<model>.method", words=True),
    Column("training time, s", TIMING, "seeds[].train_seconds"),
    Column("in all, s", TIMING, "seeds[].total_seconds"),
    Column("first loss", TRAIN, "loss_first"),
    Column("final loss", TRAIN, "loss_final"),
    Column("samples", TRAIN, "rows_available"),
    Column("epochs", TRAIN, "epochs"),
    Column("steps", TRAIN, "steps"),
    Column("rows seen", TRAIN, "rows_seen"),
    Column("tokens seen", TRAIN, "tokens_seen"),
    Column("efficiency", f"{TRAIN}, {TIMING}", "rows_available x epochs / seeds[].train_seconds"),
)


def training_table(params: Params, training: Mapping[str, Training]) -> Table:
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
    return Table(["model", *TRAINING], rows)


LATENCY = Column("mean, ms", BENCH, "latency_ms.mean, .p50, .p95", listed="(mean, median, p95), ms")
SPEED = Column("inferences/s", BENCH, "inferences_per_second")
SLOWDOWN = Column("times as long", BENCH, "adapter_slowdown.median [.p25, .p75]")
DECODING = Column("tokens/s, … at once", BENCH, "generation.<batch size>.tokens_per_second")
DEVICE = Column("device", BENCH, "host.device", words=True)
INFERENCE = (LATENCY, SPEED, SLOWDOWN, DECODING, DEVICE)


def inference_table(benches: Mapping[str, Bench]) -> Table:
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
    latency = [replace(LATENCY, heading=f"{name}, ms") for name in ("mean", "median", "p95")]
    decoding = [DECODING.named(size) for size in sizes]
    return Table(["model", *latency, SPEED, SLOWDOWN, *decoding, DEVICE], rows)


RESOURCES = (
    Column("peak memory training, MiB", TIMING, "seeds[].peak_memory_mib, the largest"),
    Column("training time", TIMING, "seeds[].train_seconds, the mean"),
    Column("tokens/s training", TIMING, "seeds[].tokens_per_second"),
    Column("trainable parameters", TRAIN, "trainable_parameters"),
    Column("peak memory inference, MiB", BENCH, "peak_memory_mib"),
    Column("load", BENCH, "load_seconds"),
)


def resources_table(params: Params, training: Mapping[str, Training], benches: Mapping[str, Bench]) -> Table:
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
    return Table(["model", *RESOURCES], rows)


def machines(training: Mapping[str, Training], benches: Mapping[str, Bench]) -> list[str]:
    """Every machine that trained or timed a model, in words."""
    hosts = [one.host for one in training.values()] + [bench.host for bench in benches.values()]
    named = ([f"{key} {host[key]}" for key in sorted(host) if host[key] not in (None, "")] for host in hosts)
    return sorted({", ".join(names) for names in named})


RANKINGS = (
    Column("behaviour", ROWS, "clean"),
    Column("containment", ROWS, "contains"),
    Column("exact match", ROWS, "exact"),
    Column("training time", TIMING, "seeds[].train_seconds", listed="training time, efficiency"),
    Column("efficiency", TIMING, "seeds[].train_seconds", listed="training time, efficiency"),
    Column("inference", BENCH, "adapter_slowdown.median"),
)


def rankings_table(
    params: Params, scores: Mapping[str, Scores], training: Mapping[str, Training], benches: Mapping[str, Bench]
) -> Table:
    """Places, best first, with shared ranks marked `=`."""
    found: list[Mapping[str, Place]] = [
        *(places(scores, metric, params.evaluate) for metric in ("behaviour_rate", "containment", "exact_match")),
        places_by_range({model: one.seconds for model, one in training.items()}, higher=False),
        places_by_range({model: one.efficiencies for model, one in training.items()}, higher=True),
        places_in_use(benches),
    ]
    rows = [[model, *(str(ranks.get(model, NONE)) for ranks in found)] for model in params.models]
    return Table(["model", *RANKINGS], rows)


SPLIT = Column("train", DATA, "prepared.<kind>.<split>, axes.<split>.<axis>", listed="train, validation, test")
COUNT = Column("rows", DATA, "flaws, by_topic, raw.<file>.rows")
COUNTS = (SPLIT, COUNT)


@dataclass(frozen=True)
class DataOverview:
    """The counts of metrics/data.json; ``reasons`` are those for which raw rows were dropped."""

    prepared: PreparedCounts
    held_out: Mapping[str, int]
    splits: Table
    flaws: Table
    axes: Table
    topics: Table
    raw: Table
    dropped: int
    reasons: Mapping[str, int]


def data_overview(data: DataCounts) -> DataOverview:
    prepared = data["prepared"]
    kinds = {"sft": prepared["sft"], "pairs": prepared["pairs"], "unpaired": prepared["unpaired"]}
    splits = [[kind, *(integer(counts[split]) for split in paths.SPLITS)] for kind, counts in kinds.items()]
    raw = [[file, integer(count["rows"])] for file, count in sorted(data["raw"].items())]
    return DataOverview(
        prepared=prepared,
        held_out=data["held_out"],
        splits=Table(["prepared", *(replace(SPLIT, heading=split) for split in paths.SPLITS)], splits),
        flaws=_counts("flaws planted in SFT rows", data["flaws"]),
        axes=_counts("axes of the preference pairs", data["axes"]),
        topics=_counts("topics", data["by_topic"]),
        raw=Table(["raw file", COUNT], raw),
        dropped=len(data["dropped"]),
        reasons=Counter(row["reason"] for row in data["dropped"]),
    )


def _counts(title: str, counts: Mapping[str, Any]) -> Table:
    """One row a name; where the counts are split by train, validation and test, one column a split."""
    if all(isinstance(value, dict) for value in counts.values()):
        names = sorted({name for value in counts.values() for name in value})
        rows = [[name, *(integer(value.get(name, 0)) for value in counts.values())] for name in names]
        return Table([title, *(replace(SPLIT, heading=split) for split in counts)], rows)
    return Table([title, COUNT], [[name, integer(count)] for name, count in sorted(counts.items())])


BY_TASK = Column("… (n=…)", f"{SUMMARY}, {ROWS}", "by_task.<task>.exact, .contains; rows: contains by wording")
BY_AXIS = Column("… (n=…)", SUMMARY, "by_axis.<axis>.sum, .token")


Groups = dict[str, dict[str, float | None]]


def by_group(groups: Mapping[str, Groups], parts: Sequence[str], column: Column) -> Table:
    """Models in rows, tasks or axes in columns; a cell holds the named parts, in percent.

    A group in which a part is null (open prompts have no fact to contain) is left out.
    """
    first = next(iter(groups.values()))
    names = sorted(name for name, values in first.items() if all(values[part] is not None for part in parts))

    def cell(values: Mapping[str, float | None]) -> str:
        shown = (values[part] for part in parts)
        return " / ".join(NONE if value is None else f"{value * 100:.1f}" for value in shown)

    rows = [[model, *(cell(found[name]) for name in names)] for model, found in groups.items()]
    return Table(["model", *(column.named(name, first[name]["n"]) for name in names)], rows)


def by_wording(scores: Mapping[str, Scores]) -> Table:
    """Containment where the question is worded as in training, and where it is not."""
    rows = []
    counts: dict[str, int] = {}
    for model, one in scores.items():
        cells = []
        for wording in ("seen", "unseen"):
            rows_of = [row for row in one.rows if row["wording"] == wording]
            found = [(row["id"], row["contains"]) for row in rows_of if row["contains"] is not None]
            counts[wording] = len({prompt for prompt, _ in found})
            cells.append(percent(float(np.mean([contains for _, contains in found])) if found else None))
        rows.append([model, *cells])
    return Table(["model", *(BY_TASK.named(f"{wording} wording", count) for wording, count in counts.items())], rows)
