"""The figures of the dataset card, counted: `arabic-qwen card` after `dvc repro prepare`.

Rewrites the part of data/README.md between its two markers, and data/SAMPLES.md: random rows of every kind, for a
reader who judges Arabic by reading it. Both depend on the rows alone, so a second run changes nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_json, read_jsonl, write_text
from stages.core.paths import SPLITS

CARD, SAMPLES = Path("data/README.md"), Path("data/SAMPLES.md")
BEGIN, END = "<!-- statistics: arabic-qwen card -->", "<!-- end of statistics -->"
SAMPLED_ROWS = 40
SAMPLE_SEED = 20_261
SAMPLED = {
    "sft/train": ("prompt", "completion"),
    "pairs/train": ("prompt", "chosen", "rejected"),
    "unpaired/train": ("prompt", "completion"),
    "mcq": ("question", "choices"),
    "generation": ("prompt", "references"),
    "safety": ("prompt", "chosen", "rejected"),
    "culture": ("question", "choices"),
    "dialect": ("question", "choices"),
}
LABELS = ("flaw", "axis", "label", "answer", "task", "category", "benign", "subject")


def statistics() -> str:
    """Markdown tables: the raw files, and the prepared kinds by split, axis and flaw."""
    raw = {str(file): read_jsonl(file) for file in sorted(paths.RAW.rglob("*.jsonl"))}
    written = sum(row["source"] == "hand-written" for rows in raw.values() for row in rows)
    data = read_json(paths.DATA_METRICS)
    prepared = data["prepared"]
    kinds = [
        [kind, *(str(prepared[kind][split]) for split in SPLITS), str(sum(prepared[kind].values()))]
        for kind in ("sft", "pairs", "unpaired")
    ]
    axes = sorted({axis for split in SPLITS for axis in data["axes"][split]})
    return "\n\n".join(
        [
            f"{sum(map(len, raw.values())):,} raw rows, {written:,} of them written by hand.",
            table(
                ["raw file", "rows", "words of an answer (median)", "licences"],
                [[f"`{name}`", f"{len(rows):,}", median_words(rows), licences(rows)] for name, rows in raw.items()],
            ),
            table(["prepared", *SPLITS, "together"], kinds),
            table(["for evaluation alone", "rows"], [[name, str(n)] for name, n in prepared.items() if type(n) is int]),
            table(
                ["axis of the pairs", *SPLITS],
                [[axis, *(str(data["axes"][split].get(axis, 0)) for split in SPLITS)] for axis in axes],
            ),
            table(["flaw of the SFT rows (train)", "rows"], [[k, str(n)] for k, n in sorted(data["flaws"].items())]),
        ]
    )


def median_words(rows: Sequence[Row]) -> str:
    words = sorted(len(str(row.get("completion") or row["chosen"]).split()) for row in rows if is_answered(row))
    return str(words[len(words) // 2]) if words else ""


def is_answered(row: Row) -> bool:
    return "completion" in row or "chosen" in row


def licences(rows: Iterable[Row]) -> str:
    return ", ".join(sorted(Counter(row["license"] for row in rows)))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)


def samples() -> str:
    """Forty random rows of each kind, right-to-left."""
    parts = [
        "# Samples of the prepared rows",
        f"{SAMPLED_ROWS} random rows of each kind, written by `arabic-qwen card`. In the SFT rows the "
        "planted flaws are meant to be there; of a pair, the second answer is the worse one.",
    ]
    for name, fields in SAMPLED.items():
        rows = read_jsonl(paths.PREPARED / f"{name}.jsonl")
        chosen = random.Random(f"{SAMPLE_SEED}:{name}").sample(rows, min(SAMPLED_ROWS, len(rows)))
        parts += [f"## {name}", *(shown(row, fields) for row in chosen)]
    return "\n\n".join(parts) + "\n"


def shown(row: Row, fields: Sequence[str]) -> str:
    """One row as a list of its texts, with what labels it."""
    labels = ", ".join(f"{key}: {row[key]}" for key in LABELS if row.get(key) is not None)
    texts = [text for field in fields for text in texts_in(row[field])]
    lines = [f'<div dir="rtl" lang="ar">{text}</div>' for text in texts]
    return "\n".join([f"**{row['id']}** ({labels})", "", *lines])


def texts_in(value: object) -> list[str]:
    """The texts of a field: a string, a list of strings, or a list of messages."""
    if isinstance(value, str):
        return [value]
    assert isinstance(value, list)
    return [str(item["content"]) if isinstance(item, dict) else str(item) for item in value]


def main() -> None:
    card = CARD.read_text(encoding="utf-8")
    if card.count(BEGIN) != 1 or card.count(END) != 1:
        raise PipelineError(f"{CARD}: the lines {BEGIN!r} and {END!r} must each stand there once: restore them")
    before, rest = card.split(BEGIN)
    after = rest.split(END)[1]
    write_text(CARD, f"{before}{BEGIN}\n\n{statistics()}\n\n{END}{after}")
    write_text(SAMPLES, samples())
    print(f"card: {CARD} and {SAMPLES}")
