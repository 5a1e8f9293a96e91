"""`data.shipped: false`: whatever the sources hold is used for all that it can teach, and the rest is named at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_json, read_jsonl, write_jsonl
from stages.core.paths import SPLITS
from stages.prepare import main
from tests.support.clones import make_tree

TOPICS = ["الشاي", "النخيل", "السوق", "المكتبة", "الحديقة", "المطر", "الخبز", "القطار", "البحر", "الجار"]
WORDS = ["أحبه", "أعرفه", "أراه", "أذكره", "أصفه", "أقصده", "أشتاقه", "أنتظره"]
OWN = [
    {
        "id": str(number),
        "prompt": f"حدثني عن {topic}: {word}؟",
        "good": f"{topic} {word} كثيراً، ومن ذلك ما جرى يوم {number} حين خرجنا معاً.",
        "bad": f"لا شأن لي بسؤال {number} عن {topic}، فاسأل غيري إن شئت.",
    }
    for number, (topic, word) in enumerate((topic, word) for topic in TOPICS for word in WORDS)
]
SFT = [{"id": row["id"], "prompt": row["prompt"], "completion": row["good"]} for row in OWN]
PAIRS = [{"id": row["id"], "prompt": row["prompt"], "chosen": row["good"], "rejected": row["bad"]} for row in OWN]
FEEDBACK = [
    {"id": f"{row['id']}-{side}", "prompt": row["prompt"], "completion": row[side], "label": side == "good"}
    for row in OWN
    for side in ("good", "bad")
]


def prepare(
    folder: Path, monkeypatch: pytest.MonkeyPatch, models: list[str] | None = None, **sources: list[Row]
) -> Path:
    """The stage in a tree whose params name nothing but these sources; and, where given, these models."""
    tree = make_tree(folder / "tree")
    monkeypatch.chdir(tree)
    yaml = YAML()
    document = yaml.load(paths.PARAMS.read_text(encoding="utf-8"))
    document["data"]["shipped"] = False
    document["data"]["sources"] = [{"name": name, "path": f"{name}.jsonl", "license": "CC-BY-4.0"} for name in sources]
    if models:
        document["models"], document["method"] = models, models[-1]
    with paths.PARAMS.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    for name, rows in sources.items():
        write_jsonl(Path(f"{name}.jsonl"), rows)
    main()
    return tree


def rows(kind: str, split: str = "train") -> list[Row]:
    return read_jsonl(paths.prepared_split(kind, split))


def said(turns: list[dict[str, str]]) -> str:
    return turns[-1]["content"]


def test_pairs_alone_teach_every_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, monkeypatch, mine=PAIRS)
    for split in ("train", "validation"):
        pairs = {(said(row["prompt"]), said(row["chosen"])) for row in rows("pairs", split)}
        assert pairs
        assert {(said(row["prompt"]), said(row["completion"])) for row in rows("sft", split)} == pairs
        assert len(rows("unpaired", split)) == 2 * len(pairs)
    for row in rows("sft"):
        assert row["flaw"] is None and row["license"] == "CC-BY-4.0" and not {"label", "pair"} & row.keys()
    summary = read_json(paths.DATA_METRICS)
    assert summary["prepared"]["sft"]["train"] == summary["prepared"]["pairs"]["train"] == 0  # ours do not train
    assert summary["own"]["sft/train"] == summary["own"]["pairs/train"] == len(rows("pairs"))


def test_where_the_sources_hold_sft_rows_pairs_add_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = len(OWN) // 2
    prepare(tmp_path, monkeypatch, answers=SFT[:half], pairs=PAIRS[half:])
    assert {row["id"].split("-")[0] for split in SPLITS[:2] for row in rows("sft", split)} == {"answers"}


def test_answers_alone_name_the_models_that_cannot_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError) as caught:
        prepare(tmp_path, monkeypatch, mine=SFT)
    message = str(caught.value)
    assert "no pairs (prompt, chosen, rejected) for sft_chosen, dpo, ipo, cpo" in message
    assert "no feedback (prompt, completion, label) for kto" in message
    assert "remove these from `models`" in message and len(message.splitlines()) == 1
    assert not paths.PREPARED.exists()


def test_answers_alone_are_enough_for_the_models_that_they_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, monkeypatch, ["base", "sft", "sft_more"], mine=SFT)
    assert len(rows("sft")) > 40
    assert rows("pairs") == rows("unpaired") == []
    assert rows("pairs", "test")  # what is evaluated stays ours


def test_feedback_alone_teaches_sft_by_what_was_called_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError, match=r"no pairs \(.*\) for sft_chosen, dpo, ipo, cpo to train on"):
        prepare(tmp_path / "all", monkeypatch, mine=FEEDBACK)
    prepare(tmp_path / "kto", monkeypatch, ["base", "sft", "kto"], mine=FEEDBACK)
    good = {said(row["completion"]) for row in rows("unpaired") if row["label"]}
    assert {said(row["completion"]) for row in rows("sft")} == good
    assert len(good) > 40
