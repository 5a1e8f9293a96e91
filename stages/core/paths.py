"""Every path of dvc.yaml that code needs, written once; all are relative to the repository root."""

from __future__ import annotations

import os
from pathlib import Path

PARAMS = Path("params.yaml")

RAW = Path("data/raw")
COUNTRIES = RAW / "countries.jsonl"
INSTRUCTIONS = RAW / "instructions"
SKILLS = RAW / "skills"
RAW_PAIRS = RAW / "pairs"
RAW_EVALUATION = RAW / "evaluation"

PREPARED = Path("data/prepared")
CORPUS = PREPARED / "corpus.txt"
MCQ = PREPARED / "mcq.jsonl"
GENERATION = PREPARED / "generation.jsonl"
TUNING = PREPARED / "tuning.jsonl"
OWN_TESTS = PREPARED / "own.jsonl"
DATA_METRICS = Path("metrics/data.json")
DATA_PAGE = Path("metrics/data.md")

BASE = Path("models/base")
BASE_PIN = BASE / "base.json"

REFERENCE = Path("models/reference")

CONTRACT = Path("metrics/contract")
CONTRACT_SUMMARY = CONTRACT / "summary.json"
CONTRACT_DROPPED = CONTRACT / "dropped.jsonl"

METHODS_JSON = Path("metrics/methods.json")
METHODS_CSV = Path("metrics/methods.csv")
DIFFERENCES = Path("metrics/differences.json")
SELECTED = Path("metrics/selected.json")
SELECTED_SPEED = Path("metrics/selected_speed.json")
SWEEP = Path("metrics/sweep.json")
REPORT = Path("metrics/report")


SPLITS = ("train", "validation", "test")


def prepared_split(kind: str, split: str) -> Path:
    """``data/prepared/<kind>/<split>.jsonl`` for kind sft, pairs or unpaired and split train, validation or test."""
    return PREPARED / kind / f"{split}.jsonl"


def prepared_evaluation(name: str) -> Path:
    """The hand-written set ``safety``, ``culture`` or ``dialect``, which nothing trains on."""
    return PREPARED / f"{name}.jsonl"


def contract_lengths(kind: str) -> Path:
    """Tokens of each training row that fits, by id, for kind sft, pairs or unpaired."""
    return CONTRACT / "lengths" / f"{kind}.json"


def model(name: str) -> Path:
    """The folder of one trained model; ``model("base")`` is the base itself."""
    return Path("models") / name


def reference(start: str, seed: int) -> Path:
    """Log-probabilities of answers under one start (``models/base`` or ``models/<model>``), by answer."""
    return REFERENCE / f"{Path(start).name}-{seed}.json"


def replica(name: str, seed: int, seeds: tuple[int, ...]) -> Path:
    """The adapter of one seed: the first seed is the model's own folder, the others lie under ``seeds/``."""
    return model(name) if name == "base" or seed == seeds[0] else model(name) / "seeds" / str(seed)


def train_metrics(name: str) -> Path:
    return Path("metrics/train") / name


def timing(name: str) -> Path:
    return Path("metrics/timing") / f"{name}.json"


def eval_metrics(name: str) -> Path:
    return Path("metrics/eval") / name


def bench(name: str) -> Path:
    return Path("metrics/bench") / f"{name}.json"


def scratch_root() -> Path:
    """Checkpoints of unfinished work. ``ARABIC_QWEN_SCRATCH`` moves it, for queued experiments run in a copy."""
    return Path(os.environ.get("ARABIC_QWEN_SCRATCH", ".scratch"))
