"""Every example of data/README.md on sources and test sets is read, offline, from files of the shapes that it names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from ruamel.yaml import YAML

from stages.core import paths
from stages.core.params import Source, load_params
from stages.rows.reading.layouts import LAYOUTS, PRESETS
from stages.rows.reading.sources import read_source
from stages.scoring.held_out import read_own
from tests.support.clones import ROOT

TEXT = (ROOT / "data/README.md").read_text(encoding="utf-8").split("\n## Your own data\n")[1].split("\n## ")[0]
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
REVISION = "d3f103fd6d3199299f6758735e2fdc62cf05b0f2"

CHAT = [{"role": "user", "content": "ما عاصمة مصر؟"}, {"role": "assistant", "content": "القاهرة."}]
MMLU = {"Question": "ما عاصمة مصر؟", "Option 1": "الرياض", "Option 2": "القاهرة", "Answer Key": "B", "Level": "High"}
MMLU |= {
    "Option 3": None,
    "Option 4": None,
    "Option 5": None,
    "Context": None,
    "Country": "Egypt",
    "Subject": "Geography",
}


def jsonl(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


# What lies at the paths that the examples name.
FILES = {
    "data/own/a.jsonl": jsonl({"messages": CHAT}),
    "data/own/qa.csv": "السؤال;الجواب;ملاحظات\nما عاصمة مصر؟;القاهرة.;راجعه فلان\n",
    "data/own/tweets.csv": "tweet,class\nيا سلام,تهكم\n",
    "data/own/exam.csv": "ما عاصمة مصر؟,الرياض,القاهرة,بغداد,مسقط,B\n",
    "data/tests/exam.csv": "ما عاصمة مصر؟,الرياض,القاهرة,بغداد,مسقط,B\n",
}


def documents() -> list[dict[str, Any]]:
    return [YAML(typ="safe").load(text.replace("<40 hex digits>", REVISION)) for text in EXAMPLES]


@pytest.fixture
def files(project: Path) -> Path:
    for name, text in FILES.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    return project


def hub(folder: Path, *rows: dict[str, Any], split: str = "train") -> str:
    (folder / "data").mkdir(parents=True)
    parquet.write_table(pa.Table.from_pylist(list(rows)), folder / f"data/{split}-00000-of-00001.parquet")
    return str(folder)


def test_there_is_an_example_of_every_setting() -> None:
    sources = [source for document in documents() for source in document.get("data", {}).get("sources", [])]
    used = {key for source in sources for key in source}
    assert {"path", "preset", "columns", "ignore", "on_bad_row", "turns", "reasoning"} <= used


def test_the_examples_of_sources_are_read_as_they_stand(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(files / "cache"))
    text = paths.PARAMS.read_text(encoding="utf-8")
    read = 0
    for document in documents():
        if "data" not in document:
            continue
        listed = json.dumps(document["data"]["sources"], ensure_ascii=False)
        paths.PARAMS.write_text(text.replace("  sources: []", f"  sources: {listed}  #", 1), encoding="utf-8")
        for source in load_params().data.sources:
            if source.preset:
                rows = [{"instruction": "ما عاصمة مصر؟", "output": "القاهرة.", "index": 7}]
                source = Source(**{**vars(source), "path": "", "hub": hub(files / source.name, *rows), "revision": ""})
            found = list(read_source(source))
            assert found and not any(kind == "skipped" for kind, _, _ in found), source.name
            read += 1
    assert read >= 5


def test_the_examples_of_test_sets_are_read_as_they_stand(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(files / "cache"))
    text = paths.PARAMS.read_text(encoding="utf-8")
    for document in documents():
        for test in document.get("evaluate", {}).get("own", []):
            if "hub" in test:
                assert test["revision"] == REVISION
                test = {key: value for key, value in test.items() if key not in ("config", "revision", "download")}
                test["hub"] = hub(files / test["name"], MMLU, split="test")
            listed = json.dumps([test], ensure_ascii=False)
            paths.PARAMS.write_text(text.replace("\n  own: []", f"\n  own: {listed}  #", 1), encoding="utf-8")
            found = read_own(load_params().evaluate.own)
            assert sum(map(len, found.values())) == 1, test["name"]


def test_presets_are_named_as_the_code_knows_them_and_by_their_ids_on_the_hub(tmp_path: Path) -> None:
    for name, preset in PRESETS.items():
        assert f"`{name}`" in TEXT and f"`{preset['hub']}`" in TEXT
    rows = [{"instruction": "ما عاصمة مصر؟", "output": "القاهرة.", "index": 7}]
    folder = hub(tmp_path / "cidar", *rows)
    for preset in ("cidar", "arbml/CIDAR", "ARBML/cidar"):
        (found,) = read_source(Source("mine", hub=folder, preset=preset))
        assert (found[1]["id"], found[1]["license"]) == ("mine-7", "CC-BY-NC-4.0")


def test_every_layout_is_documented() -> None:
    assert not [name for name in LAYOUTS if f"`{name}`" not in TEXT]
