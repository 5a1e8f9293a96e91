"""A repository root whose metrics are made up, in the formats that the stages write: for compare, select and report."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from stages import compare
from stages.core.intervals import bootstrap, bootstrap_ratio
from stages.core.metrics import in_methods
from tests.support.clones import MODELS, ROOT

SEEDS = (11, 12, 13)
TASKS = ("countries", "numbers", "open")
SCORES = ("chrf", "bleu")
STYLE = {
    "letters": 20,
    "diacritics": 0,
    "digits": 0,
    "eastern_digits": 0,
    "marks": 1,
    "arabic_marks": 1,
    "words": 4,
    "dialect_words": 0,
    "dialects": {},
}
METRICS = {
    "exact_match": "exact",
    "containment": "contains",
    "chrf": "chrf",
    "natural_stop_rate": "stopped",
    "arabic_script_ratio": "arabic_ratio",
    "behaviour_rate": "clean",
    "answer_tokens": "tokens",
}


@dataclass
class World:
    """``clean`` and ``knows`` are each model's shares; equal shares give equal answers, prompt by prompt."""

    clean: dict[str, float] = field(default_factory=lambda: dict.fromkeys(MODELS, 0.5))
    knows: dict[str, float] = field(default_factory=lambda: dict.fromkeys(MODELS, 0.8))
    prompts: int = 90
    p50_ms: dict[str, float] = field(default_factory=lambda: dict.fromkeys(MODELS, 2.0))
    slowdown: dict[str, float] = field(default_factory=lambda: dict.fromkeys(MODELS, 1.3))
    parameters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MODELS, 1_465_648) | {"base": 1_310_000})
    # nats per token of chosen and rejected answers against the start, in every seed
    displacement: dict[str, tuple[float, float]] = field(
        default_factory=lambda: dict.fromkeys(("dpo", "kto", "ipo", "cpo"), (0.05, -0.1))
    )

    # share of the multiple-choice questions that a model answers with the first option, and with the first letter
    first_option: dict[str, float] = field(default_factory=lambda: dict.fromkeys(MODELS, 0.25))

    def write(self, root: Path) -> None:
        """params.yaml and every file that the three stages read, under ``root``."""
        write_params(root / "params.yaml")
        prompts = [self._prompt(index) for index in range(self.prompts)]
        write_lines(root / "data/prepared/generation.jsonl", prompts)
        write(root / "metrics/data.json", data_counts())
        write(root / "metrics/timing/reference.json", reference_timing())
        for model in MODELS:
            rows = self._rows(model, prompts)
            write_lines(root / f"metrics/eval/{model}/rows.jsonl", rows)
            answers = {"multiple_choice": {"mcq": positions(self.first_option[model])}}
            write(root / f"metrics/eval/{model}/summary.json", summary(model, rows) | answers)
            speed = bench(model, self.p50_ms[model], self.slowdown[model], self.parameters[model])
            write(root / f"metrics/bench/{model}.json", speed)
            if model != "base":
                place = MODELS.index(model)
                watched = displacement(*self.displacement[model]) if model in self.displacement else {}
                write(root / f"metrics/train/{model}/summary.json", training(model, place) | watched)
                write(root / f"metrics/timing/{model}.json", timing(model, place))
                curve = "".join(f"{step}\t{1 / step + 0.1 * place}\n" for step in range(1, 11))
                write_text(root / f"metrics/train/{model}/loss.tsv", "step\tloss\n" + curve)

    def _prompt(self, index: int) -> dict[str, Any]:
        task = TASKS[index % len(TASKS)]
        return {
            "id": f"gen-{index:03d}",
            "task": task,
            "wording": "unseen" if index % 5 == 0 else "seen",
            "topic": "numbers",
            "source": "made up",
            "license": "Apache-2.0",
            "prompt": [{"role": "user", "content": f"ما رقم <{index}> & كم؟"}],
            "references": [f"الجواب {index}."],
            "checks": [] if task == "open" else [{"name": "contains", "value": str(index)}],
        }

    def _rows(self, model: str, prompts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        seeds = [None] if model == "base" else list(SEEDS)
        draws = np.random.default_rng(0).random((len(SEEDS), 2, len(prompts)))
        rows = []
        for index, prompt in enumerate(prompts):
            for place, seed in enumerate(seeds):
                clean = bool(draws[place, 0, index] < self.clean[model])
                knows = bool(draws[place, 1, index] < self.knows[model])
                rows.append(
                    {
                        "kind": "generation",
                        "id": prompt["id"],
                        "seed": seed,
                        "task": prompt["task"],
                        "wording": prompt["wording"],
                        "text": f"جواب {model} <b>\n\nسطر ثان",
                        "tokens": 12,
                        "stopped": True,
                        "exact": clean and knows and bool(prompt["checks"]),
                        "contains": knows if prompt["checks"] else None,
                        "chrf": 60.0 + 10 * knows,
                        "chrf_raw": 58.0 + 10 * knows,
                        "rouge_l": 0.6,
                        "rouge_l_raw": 0.5,
                        "reference_words": 4,
                        "flags": [],
                        "clean": clean,
                        "hedged": not clean,
                        "repeated": False,
                        "arabic_ratio": 1.0,
                        "reference_nats": -8.0 - index % 3,
                        "reference_characters": 20,
                        **STYLE,
                    }
                )
        return rows


def told() -> World:
    """SFT teaches, DPO and the chosen answers fix the behaviour, IPO forgets, more SFT changes nothing."""
    world = World()
    world.knows["base"] = 0.1
    world.clean |= {"sft_chosen": 0.97, "dpo": 0.97, "kto": 0.97, "ipo": 0.97, "cpo": 0.97}
    world.knows["ipo"] = 0.1
    return world


def compared(root: Path, world: World) -> None:
    """A world with what `compare` makes of it, in the current folder."""
    world.write(root)
    compare.main()


def summary(model: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    seeds = sorted({row["seed"] for row in rows}, key=str)
    checked = [row for row in rows if row["contains"] is not None]

    def matrix(chosen: list[dict[str, Any]], name: str) -> Any:
        return np.array([float(row[name]) for row in chosen]).reshape(-1, len(seeds)).T

    metrics = {}
    for name, key in METRICS.items():
        chosen = checked if name in ("exact_match", "containment") else rows
        metrics[name] = bootstrap(matrix(chosen, key), 500, 0.95).as_row()
    for place, name in enumerate(("mcq_accuracy", "preference_accuracy_sum", "preference_accuracy_token")):
        metrics[name] = {"mean": 0.41 + place / 10, "low": 0.4, "high": 0.7, "n": 50, "per_seed": [0.41]}
    for name in (*(one.name for one in in_methods()), "rouge_l_raw"):
        if name != "knowledge_retention":
            metrics.setdefault(name, {"mean": 0.33, "low": 0.31, "high": 0.35, "n": 50, "per_seed": [0.33]})
    nats = matrix(rows, "reference_nats") / -np.log(2)
    metrics["bits_per_character"] = bootstrap_ratio(nats, matrix(rows, "reference_characters"), 500, 0.95).as_row()
    by_task = {}
    for task in TASKS:
        chosen = [row for row in rows if row["task"] == task]
        found = [row["contains"] for row in chosen if row["contains"] is not None]
        exact = float(np.mean([row["exact"] for row in chosen]))
        by_task[task] = {"n": len(chosen), "exact": exact, "contains": float(np.mean(found)) if found else None}
    return {
        "model": model,
        "profile": "embedded",
        "n": {"generation": len(rows), "mcq": 50, "pairs": 50},
        "seeds": [seed for seed in seeds if seed is not None],
        "metrics": metrics,
        "by_task": by_task,
        "by_axis": {
            "hedging": {"n": 30, "sum": 0.61, "token": 0.62},
            "repetition": {"n": 20, "sum": 0.7, "token": 0.8},
        },
        "by_safety_category": {},
        "by_region": {},
        "by_dialect": {},
        "multiple_choice": {},
        "dialect_markers_per_100_words": {},
        "flags": {},
        "own": {},
        "corpus": {
            name: {level: {"mean": 37.123, "per_seed": [37.123]} for level in ("raw", "light")} for name in SCORES
        },
        "signatures": {"corpus_bleu": "BLEU|nrefs:var|tok:intl", "containment": "whole words|normalisation:folded"},
    }


def positions(first: float) -> dict[str, Any]:
    """Picks of four options: the first in its share, the others alike; it is right in 31 % of the questions."""
    picked = [first, *[(1 - first) / 3] * 3]
    return {
        "chance": 0.25,
        "constant_answer_accuracy": [0.31, 0.23, 0.23, 0.23],
        "cloze_picked_share": picked,
        "letters_picked_share": picked,
    }


def training(model: str, place: int) -> dict[str, Any]:
    return {
        "model": model,
        "loss_first": 1.1 + place,
        "loss_final": 0.12 * place,
        "steps": 60,
        "rows_seen": 960,
        "rows_available": 2400,
        "epochs": 0.4,
        "tokens_seen": 50_000 + place,
        "reference_tokens": 20_000 + place if model in ("dpo", "kto", "ipo") else 0,
        "trainable_parameters": 155_648,
        "per_seed": [{"seed": seed} for seed in SEEDS],
    }


def displacement(chosen: float, rejected: float) -> dict[str, Any]:
    one = {
        "chosen_nats_per_token": chosen,
        "rejected_nats_per_token": rejected,
        "reward_margin_nats": 20 * (chosen - rejected),
        "reward_accuracy": 0.875,
    }
    return {"displacement": one, "per_seed": [{"seed": seed, "displacement": one} for seed in SEEDS]}


def timing(model: str, place: int) -> dict[str, Any]:
    seconds = [10.0 + 5 * place, 11.0 + 5 * place, 12.0 + 5 * place]
    return {
        "model": model,
        "host": {"cpu": "made-up", "cores": 2, "device": "cpu"},
        "seeds": [
            {
                "seed": seed,
                "train_seconds": one,
                "total_seconds": one + 1,
                "seconds_per_step": one / 60,
                "tokens_per_second": 50_000 / one,
                "peak_memory_mib": 700.0,
            }
            for seed, one in zip(SEEDS, seconds, strict=True)
        ],
    }


def reference_timing() -> dict[str, Any]:
    passes = [
        {"start": "models/sft", "seed": seed, "seconds": 4.0 + place, "answers": 1_900, "tokens": 90_000}
        for place, seed in enumerate(SEEDS)
    ]
    return {"host": {"cpu": "made-up", "cores": 2, "device": "cpu"}, "passes": passes}


def bench(model: str, p50: float, slowdown: float, parameters: int) -> dict[str, Any]:
    return {
        "model": model,
        "host": {"cpu": "made-up", "cores": 2, "device": "cpu"},
        "dtype": "float32",
        "parameters": parameters,
        "load_seconds": 0.5,
        "first_forward_ms": 9.0,
        "latency_ms": {"p50": p50, "p95": p50 * 1.2, "mean": p50 * 1.05},
        "inferences_per_second": 1000 / (p50 * 1.05),
        "adapter_slowdown": None if model == "base" else {"median": slowdown, "p25": slowdown - 0.02, "p75": slowdown},
        "prompt_tokens": 17,
        "generation": {
            "1": {"tokens_per_second": 321.5, "seconds": 0.2, "joules_per_token": None},
            "16": {"tokens_per_second": 2345.6, "seconds": 0.4, "joules_per_token": None},
        },
        "joules_per_inference": None,
        "energy_counters": [],
        "peak_memory_mib": 512.0,
        "matmul_gflops": 90.0,
        "forward_gflop": 0.0445,
        "share_of_peak": 0.24,
    }


def data_counts() -> dict[str, Any]:
    split = {"train": 2456, "validation": 345, "test": 729}
    return {
        "raw": {"data/raw/skills/numbers.jsonl": {"rows": 900}},
        "prepared": {
            "sft": split,
            "pairs": split,
            "unpaired": split,
            "mcq": 400,
            "generation": 90,
            "corpus": {"documents": 58_000, "bytes": 33_498_800},
        },
        "by_topic": {"numbers": 568},
        "dropped": [{"file": "data/raw/skills/numbers.jsonl", "line": 3, "id": "x", "reason": "a duplicate"}],
        "flaws": {"hedging": 940, "repetition": 608, "none": 908},
        "axes": {"train": {"hedging": 944}, "validation": {"hedging": 145}, "test": {"hedging": 312}},
        "held_out": {"country": 56, "number": 387},
        "trained": trained("Apache-2.0"),
    }


def trained(licence: str, source: str = "shipped") -> dict[str, Any]:
    """What was trained, by kind, as `prepare` counts it."""
    return {kind: [{"source": source, "license": licence, "rows": 2456}] for kind in ("sft", "pairs", "unpaired")}


TUNED = {"sft_chosen": 1e-3, "dpo": 2e-4, "kto": 2e-4, "ipo": 2e-4, "cpo": 2e-4}


def sweep() -> dict[str, Any]:
    """At the rate that most methods use all behave alike, and at five times as much all are better and know less."""
    rates, methods = (2e-4, 1e-3), tuple(TUNED)
    points = [
        {
            "method": method,
            "learning_rate": rate,
            "beta": beta,
            "seed": SEEDS[0],
            "behaviour_rate": 0.801 + place / 100 + (0.15 if rate > 2e-4 else 0),
            "knowledge_retention": 0.911 if rate > 2e-4 else 0.987,
            "exact_match": 0.301 + place / 100 - (0.001 if beta == 0.5 else 0),
        }
        for place, method in enumerate(methods)
        for rate in rates
        for beta in ((None,) if method == "sft_chosen" else (0.1, 0.5))
    ]
    best = {"exact_match": 0.301, "behaviour_rate": 0.801, "beta": 0.1}
    return {
        "profile": "embedded",
        "prompts": 400,
        "seed": SEEDS[0],
        "rules": {"fixed_share": 0.5, "kept_share": 0.95},
        "methods": {
            method: {"points": 4, "workable": 1, "diverged": 0, "best": best | {"learning_rate": rate}}
            for method, rate in TUNED.items()
        },
        "points": points,
    }


def write_params(path: Path) -> None:
    """The project's params with rates and a beta that no sweep of ours moves, the ones of `sweep` above."""
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for method, rate in TUNED.items():
        params["profiles"]["embedded"]["learning_rate"][method] = rate
    for method in ("dpo", "ipo"):
        params["train"][method]["beta"] = 0.1
    for method in ("kto", "cpo"):
        params["train"][method]["beta"] = 0.5
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def write(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False))


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
