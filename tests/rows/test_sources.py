"""A source gives canonical rows with their places; the user's own mistakes stop it, and those of others are counted."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from stages.core.errors import PipelineError
from stages.core.params import Source
from stages.rows.reading.layouts import PRESETS
from stages.rows.reading.sources import read_source
from tests.support.clones import ROOT

REVISION = "0123456789abcdef0123456789abcdef01234567"
NAMED = {"name": "mine", "license": "CC0-1.0"}


def settings(**given: Any) -> Source:
    return Source(**NAMED | given)


def read(**given: Any) -> list[tuple[str, dict[str, Any], str]]:
    return list(read_source(settings(**given)))


def refusal(**settings: Any) -> str:
    with pytest.raises(PipelineError) as caught:
        read(**settings)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def turns(*contents: str, roles: tuple[str, str] = ("user", "assistant")) -> list[dict[str, str]]:
    return [{"role": roles[index % 2], "content": content} for index, content in enumerate(contents)]


def write_jsonl(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_parquet(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the datasets library converts stays out of the user's cache."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


SFT = {"prompt": "ما عاصمة مصر؟", "completion": "القاهرة."}
PAIR = {"prompt": "ما عاصمة مصر؟", "chosen": "القاهرة.", "rejected": "الرياض."}


# ---------------------------------------------------------------- files of the user's own


def test_a_canonical_row_has_its_id_source_topic_and_license(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", SFT, SFT | {"id": "x-9", "topic": "geography", "license": "MIT"})
    first = {
        "id": "mine-1",
        "topic": "own",
        "source": "rows.jsonl",
        "license": "CC0-1.0",
        "prompt": turns("ما عاصمة مصر؟"),
        "completion": turns("", "القاهرة.")[1:],
    }
    second = first | {"id": "mine-x-9", "topic": "geography", "license": "MIT"}
    assert read(path=str(path)) == [("sft", first, f"{path}:1"), ("sft", second, f"{path}:2")]


def test_the_files_of_a_folder_may_differ_in_format_and_layout(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl.gz", SFT)
    write_jsonl(tmp_path / "b.json", PAIR, PAIR)
    (tmp_path / "c.csv").write_text("question,choices,answer\nس,\"['أ', 'ب']\",1\n", encoding="utf-8")
    write_parquet(tmp_path / "d/e.parquet", SFT | {"label": True}, SFT | {"label": False})
    rows = read(path=str(tmp_path))
    assert [kind for kind, _, _ in rows] == ["sft", "pairs", "pairs", "mcq", "unpaired", "unpaired"]
    assert [row["id"] for _, row, _ in rows] == [f"mine-{number}" for number in range(1, 7)]
    assert [row["source"] for _, row, _ in rows] == [
        "a.jsonl.gz",
        "b.json",
        "b.json",
        "c.csv",
        "e.parquet",
        "e.parquet",
    ]
    places = ["a.jsonl.gz:1", "b.json:row 1", "b.json:row 2", "c.csv:2", "d/e.parquet:row 1", "d/e.parquet:row 2"]
    assert [place for _, _, place in rows] == [f"{tmp_path}/{place}" for place in places]
    assert len(read(path=f"{tmp_path}/**/*.parquet")) == 2


def test_ratings_become_labels_by_the_sources_threshold(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", *(SFT | {"rating": rating} for rating in (1, 3, 5)))
    assert [row["label"] for _, row, _ in read(path=str(path), threshold=3.0)] == [False, True, True]


def test_a_named_layout_wins_over_the_columns(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", SFT | {"label": True})
    assert [kind for kind, _, _ in read(path=str(path), layout="prompt-completion")] == ["sft"]


def test_rows_come_one_by_one(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", SFT, "broken")
    assert next(iter(read_source(settings(path=str(path)))))[1]["id"] == "mine-1"


BAD_ROWS: dict[str, tuple[list[Any], dict[str, Any], str, str]] = {
    "missing column": ([SFT, {"prompt": "س", "answer": "ج"}], {}, ":2: field 'completion' is missing", "in every row"),
    "unknown columns": ([{"text": "س"}], {}, ":1: no layout has the columns text", "rename them"),
    "mixed schemas": (
        [SFT, PAIR],
        {},
        ":2: field 'completion' is missing, the row has prompt, chosen",
        "set by the file's first row",
    ),
    "wrong type": (
        [SFT, SFT | {"prompt": 7}],
        {},
        ":2: field 'prompt' must be a text or a list of turns, found int 7",
        "mend the row",
    ),
    "swapped roles": (
        [{"messages": turns("س", "ج")}, {"messages": turns("س", "ج", roles=("assistant", "user"))}],
        {},
        ":2: field 'messages': turn 1 is assistant",
        "the roles look swapped",
    ),
    "empty turn": ([SFT | {"completion": " "}], {}, ":1: field 'completion' is empty", "write the text"),
    "no license": ([SFT | {"license": "MIT"}, SFT], {"license": ""}, ":2: no license", "set the source's license"),
    "duplicate id": (
        [SFT | {"id": "a"}, SFT | {"id": "b"}, SFT | {"id": "a"}],
        {},
        ":3: id 'mine-a' stands twice in this source",
        "rename one of the two rows",
    ),
    "own id that is another row's number": ([SFT, SFT | {"id": "1"}], {}, ":2: id 'mine-1' stands twice", "rename"),
    "id of a wrong type": ([SFT | {"id": [1]}], {}, ":1: field 'id' must be a text or an integer", "mend the row"),
    "one-class feedback": (
        [SFT | {"label": True}] * 3,
        {},
        ":3: here the source 'mine' ends, and all of its 3 labels are true",
        "add rows with the other label",
    ),
    "one-class ratings": (
        [SFT | {"rating": 1}, SFT | {"rating": 5}],
        {},
        ":2: here the source 'mine' ends, and all of its 2 labels are true",
        "set the source's threshold (now 0.5) between its ratings",
    ),
    "broken JSON": ([SFT, []], {}, ":2: a JSON object was expected, found list", "write one object a line"),
}


@pytest.mark.parametrize(("rows", "settings", "found", "remedy"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_of_the_users_own_stops_the_source_with_its_place(
    tmp_path: Path, rows: list[Any], settings: dict[str, Any], found: str, remedy: str
) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", *rows)
    message = refusal(path=str(path), **settings)
    assert message.startswith(f"{path}{found}")
    assert remedy in message


# ---------------------------------------------------------------- settings

BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"name": "My rows", "path": "x"}, "the name may hold a-z, 0-9 and - only"),
    "neither path nor hub": ({}, "set exactly one of path and hub, found neither"),
    "path and hub": ({"path": "x", "hub": "a/b", "revision": REVISION}, "set exactly one of path and hub, found both"),
    "preset": ({"preset": "cidr"}, "unknown preset 'cidr': write one of cidar, aya"),
    "layout": ({"path": "x", "layout": "chatml"}, "unknown layout 'chatml': write auto, or one of pairs, binary"),
    "no revision": ({"hub": "owner/rows"}, "revision is '': pin owner/rows by its full commit hash, 40 hex digits"),
    "revision that moves": ({"hub": "owner/rows", "revision": "main"}, "revision is 'main': pin owner/rows"),
    "preset without revision": ({"preset": "cidar"}, "revision is '': pin arbml/CIDAR"),
    "hub that is no id": ({"hub": "no/such/folder"}, "hub is 'no/such/folder', neither a folder nor an id"),
    "packaged builder": ({"hub": "json"}, "hub is 'json', neither a folder nor an id"),
}


@pytest.mark.parametrize(("settings", "found"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_contradictory_settings_are_refused_by_the_sources_name(settings: dict[str, Any], found: str) -> None:
    message = refusal(**settings)
    assert message.startswith(f"source {settings.get('name', 'mine')!r}: {found}")


# ---------------------------------------------------------------- presets, on folders as the hub has them

HUMAN = ("human", "gpt")


def sharegpt(*contents: str) -> list[dict[str, str]]:
    return [{"from": HUMAN[index % 2], "value": content} for index, content in enumerate(contents)]


def translated(*contents: str) -> str:
    roles = ("مستخدم", "مساعد")
    return json.dumps([{"content": text, "role": roles[i % 2]} for i, text in enumerate(contents)], ensure_ascii=False)


def aya(code: str) -> dict[str, str]:
    texts = {"inputs": "ما عاصمة مصر؟", "targets": "القاهرة.", "language": "Standard Arabic", "language_code": code}
    return texts | {"annotation_type": "original-annotations", "user_id": "f0ff69570af705b7"}


def argilla(chosen: str, rejected: str) -> dict[str, Any]:
    return {
        "dataset": "argilla/distilabel-capybara-dpo-9k-binarized",
        "chosen": chosen,
        "chosen_rating": 5.0,
        "rejected": rejected,
        "rejected_rating": 4.0,
    }


SAUDI = {
    "prompt": [{"role": "system", "content": "رد باللهجة النجدية."}, *turns("وش عاصمة مصر؟")],
    "chosen": turns("", "القاهرة يا طويل العمر.")[1:],
    "rejected": turns("", "عاصمة مصر هي القاهرة.")[1:],
    "dialect": "najdi",
    "topic": "travel",
}

# Preset: (file on the hub, rows, what comes out: id and last answer, or the reason to skip).
HUB_FILES: dict[str, tuple[str, list[dict[str, Any]], list[tuple[str, str]]]] = {
    "cidar": (
        "data/train-00000-of-00001-b2881e1b9f14c3b1.parquet",
        [{"output": "القاهرة.", "instruction": "ما عاصمة مصر؟", "index": index} for index in (10030, 10031)],
        [("cidar-10030", "القاهرة."), ("cidar-10031", "القاهرة.")],
    ),
    "aya": (
        "data/train-00000-of-00001.parquet",
        [aya("arb"), aya("eng"), aya("knc"), aya("arz")],
        [("aya-1", "القاهرة."), *[("skipped", "the language is not Arabic")] * 2, ("aya-4", "القاهرة.")],
    ),
    "alpaca-gpt4-arabic": (
        "alpaca-gpt4-arabic.json",
        [
            {"id": "0", "conversations": sharegpt("ما عاصمة مصر؟", "القاهرة.")},
            {"id": "1", "conversations": sharegpt("اكتب دالة.", "```\nطباعة('س')\n```")},
            {"id": "2", "conversations": sharegpt("ما عاصمة مصر؟", "")},
        ],
        [
            ("alpaca-gpt4-arabic-0", "القاهرة."),
            ("skipped", "code that was translated"),
            ("skipped", "empty turn"),
        ],
    ),
    "quora-arabic-gpt4": (
        "data/train-00000-of-00001-e3a3d1ca57c21f8c.parquet",
        [
            {"id": 0, "conversations": sharegpt("ما عاصمة مصر؟", "القاهرة.")},
            {"id": 1, "conversations": sharegpt("س", "ج", "ما عاصمة مصر؟", "القاهرة.")},
            {"id": 1, "conversations": sharegpt("ما عاصمة قطر؟", "الدوحة.")},
        ],
        [
            ("quora-arabic-gpt4-0", "القاهرة."),
            ("quora-arabic-gpt4-1-turn1", "ج"),
            ("quora-arabic-gpt4-1-turn2", "القاهرة."),
            ("skipped", "duplicate id"),
        ],
    ),
    "argilla-dpo-mix-7k-arabic": (
        "data/train-00000-of-00001-5a319dc21149064b.parquet",
        [
            argilla(translated("ما عاصمة مصر؟", "القاهرة."), translated("ما عاصمة مصر؟", "الرياض.")),
            argilla(str(json.loads(translated("س", "ج", "ص", "ع"))), translated("س", "ج", "ص", "غ")),
            argilla(translated("س", "ج").replace('"', "«"), translated("س", "غ")),
            argilla(translated("س", "ج").replace("مساعد", "معاون"), translated("س", "غ")),
            argilla(translated("س", "ج"), translated("ص", "غ")),
        ],
        [
            ("argilla-dpo-mix-7k-arabic-1", "الرياض."),
            ("argilla-dpo-mix-7k-arabic-2", "غ"),
            ("skipped", "unreadable turns"),
            ("skipped", "unknown role"),
            ("skipped", "different prompts"),
        ],
    ),
    "arabic-preference-data-rlhf": (
        "llama-pretrained-v5.2_quora_40K_sft_classification_bing_reward.jsonl",
        [{"instruction": "ما عاصمة مصر؟", "chosen": "القاهرة.", "rejected": "الرياض."}],
        [("arabic-preference-data-rlhf-1", "الرياض.")],
    ),
    "saudi-dialect-dpo": ("data/train.jsonl", [SAUDI], [("saudi-dialect-dpo-1", "عاصمة مصر هي القاهرة.")]),
}


def write_hub_file(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        write_parquet(path, *rows)
    elif path.suffix == ".jsonl":
        write_jsonl(path, *rows)
    else:
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=2), encoding="utf-8")


def outcome(kind: str, row: dict[str, Any]) -> tuple[str, str]:
    if kind == "skipped":
        return kind, row["reason"]
    return row["id"], (row.get("completion") or row["rejected"])[0]["content"]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_reads_the_hubs_files_from_a_folder_as_a_hub_or_as_files(tmp_path: Path, preset: str) -> None:
    name, rows, expected = HUB_FILES[preset]
    (tmp_path / "data").mkdir()
    (tmp_path / "README.md").write_text("# card\n")
    write_hub_file(tmp_path / name, rows)
    known = PRESETS[preset]
    license = known["license"] or "unknown"
    for key in ("hub", "path"):
        found = read(name=preset, preset=preset, license="" if known["license"] else license, **{key: str(tmp_path)})
        assert [outcome(kind, row) for kind, row, _ in found] == expected
        kept = [(kind, row) for kind, row, _ in found if kind != "skipped"]
        assert {kind for kind, _ in kept} == {known["kind"]}
        assert {row["license"] for _, row in kept} == {license}
        assert {row["source"] for _, row in kept} == {str(tmp_path) if key == "hub" else Path(name).name}
        assert [row["message"] for kind, row, _ in found if kind == "skipped" and not row["message"]] == []


def test_a_preset_keeps_the_systems_turn_and_the_topic(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "data/train.jsonl", SAUDI)
    row = read(preset="saudi-dialect-dpo", license="", hub=str(tmp_path))[0][1]
    assert (row["prompt"], row["topic"], row["axis"]) == (SAUDI["prompt"], "travel", "own")


def test_a_preset_on_other_files_is_refused_at_the_first_row(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", SFT)
    message = refusal(path=str(path), preset="aya")
    assert message.startswith("source 'mine': no row could be used; the first was left out at")
    message = refusal(path=str(path), preset="cidar")
    assert message.startswith(f"{path}:1: field 'instruction' is missing, the row has prompt, completion")


def test_a_data_set_without_a_stated_license_needs_one(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", *HUB_FILES["arabic-preference-data-rlhf"][1])
    assert f"{path}:1: no license" in refusal(path=str(path), preset="arabic-preference-data-rlhf", license="")


# ---------------------------------------------------------------- benchmarks, on folders as the hub has them

CARD = "---\nconfigs:\n- config_name: {config}\n  data_files:\n  - split: {split}\n    path: {path}\n---\n"
ARABICMMLU = {
    "ID": [1, 2],
    "Source": ["https://example.org"] * 2,
    "Country": ["Jordan", None],
    "Group": ["STEM"] * 2,
    "Subject": ["Biology"] * 2,
    "Level": ["High", None],
    "Question": ["ما عاصمة مصر؟", "ما عاصمة قطر؟"],
    "Context": [None, "اقرأ:"],
    "Answer Key": ["B", "A"],
    "Option 1": ["الرياض", "الدوحة"],
    "Option 2": ["القاهرة", "بغداد"],
    "Option 3": ["بغداد", None],
    "Option 4": ["مسقط", None],
    "Option 5": [None, None],
}
LETTERED = {"question": "ما عاصمة مصر؟", "A": "الرياض", "B": "القاهرة", "C": "بغداد", "D": "مسقط"}
# Benchmark: (config, split, file on the hub, rows, answers).
BENCHMARKS: dict[str, tuple[str, str, str, list[dict[str, Any]], list[str]]] = {
    "ArabicMMLU": (
        "Biology (High School)",
        "test",
        "Biology (High School)/test.csv",
        pa.table(ARABICMMLU).to_pylist(),
        ["القاهرة", "الدوحة"],
    ),
    "EXAMS": (
        "default",
        "test",
        "data/test-00000-of-00001.parquet",
        [LETTERED | {"id": "e-1", "answer": "B", "subject": "Social"}],
        ["القاهرة"],
    ),
    "ACVA": (
        "Oman",
        "test",
        "Oman/test-00000-of-00001.parquet",
        [
            {"id": "1", "question": "مسقط في عمان", "answer": "صح"},
            {"id": "2", "question": "مسقط في قطر", "answer": "خطأ"},
        ],
        ["صح", "خطأ"],
    ),
    "AlGhafa": (
        "mcq_exams_test_ar",
        "test",
        "mcq_exams_test_ar/test-00000-of-00001.parquet",
        [
            {
                "query": "ما عاصمة مصر؟",
                "sol1": "بغداد",
                "sol2": "مسقط",
                "sol3": "القاهرة",
                "sol4": "الدوحة",
                "label": "2",
            }
        ],
        ["القاهرة"],
    ),
    "AraTrust": (
        "Privacy",
        "train",
        "Privacy/train-00000-of-00001.parquet",
        [{"Question": "هل أشارك كلمة المرور؟", "A": "أ) نعم", "B": " ب) لا", "C": " ج) ربما", "Answer": "ب"}],
        ["لا"],
    ),
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_is_read_from_the_hubs_files_by_config_and_split(tmp_path: Path, name: str) -> None:
    config, split, file, rows, answers = BENCHMARKS[name]
    (tmp_path / file).parent.mkdir()
    (tmp_path / "README.md").write_text(CARD.format(config=config, split=split, path=file))
    if file.endswith(".csv"):
        csv.write_csv(pa.Table.from_pylist(rows), tmp_path / file)
    else:
        write_parquet(tmp_path / file, *rows)
    for settings in ({"hub": str(tmp_path), "config": config, "split": split}, {"path": str(tmp_path / file)}):
        found = read(**settings)
        assert [row["choices"][row["answer"]] for _, row, _ in found] == answers
        assert {kind for kind, _, _ in found} == {"mcq"}
        assert set(found[0][1]) == {
            *("id", "topic", "source", "license"),
            *("question", "choices", "answer", "subject", "level"),
        }


# ---------------------------------------------------------------- a folder as a hub


def test_rows_of_a_folder_as_a_hub_are_named_by_split_and_row(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data/train-00000-of-00002.parquet", SFT)
    write_parquet(tmp_path / "data/train-00001-of-00002.parquet", SFT)
    write_parquet(tmp_path / "data/test-00000-of-00001.parquet", SFT)
    assert [place for _, _, place in read(hub=str(tmp_path))] == [f"{tmp_path}:train:row 1", f"{tmp_path}:train:row 2"]
    assert [place for _, _, place in read(hub=str(tmp_path), split="test")] == [f"{tmp_path}:test:row 1"]


def test_a_bad_row_of_a_hub_is_skipped_with_its_reason_and_place(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", SFT, SFT | {"completion": " "}, SFT | {"completion": None})
    found = read(hub=str(tmp_path))
    assert Counter(row["reason"] for kind, row, _ in found if kind == "skipped") == {"empty turn": 1, "wrong type": 1}
    assert found[1][2] == f"{tmp_path}:train:row 2"
    assert found[1][1]["message"] == "field 'completion' is empty: write the text, or remove the row"


@pytest.mark.parametrize(
    ("settings", "found", "remedy"),
    [
        ({"config": "nope"}, "BuilderConfig 'nope' not found. Available: ['default']", "set the source's config"),
        ({"split": "dev"}, "Unknown split \"dev\". Should be one of ['train']", "set the source's split"),
    ],
)
def test_an_unknown_config_or_split_is_refused_with_those_there_are(
    tmp_path: Path, settings: dict[str, str], found: str, remedy: str
) -> None:
    write_parquet(tmp_path / "data/train-00000-of-00001.parquet", SFT)
    message = refusal(hub=str(tmp_path), **settings)
    assert message.startswith(f"source 'mine': {tmp_path} cannot be read (ValueError: {found})")
    assert f"{remedy} to one of those" in message


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    assert "mend the folder, which must hold data files as the hub has them" in refusal(hub=str(tmp_path))
    (tmp_path / "train.parquet").write_bytes(b"no Parquet")
    assert "mend the folder, which must hold data files as the hub has them" in refusal(hub=str(tmp_path))


# ---------------------------------------------------------------- the hub itself, played by a server on this machine


def hub_server(root: Path) -> ThreadingHTTPServer:
    """As much of the hub's interface as the datasets library asks for: one public data set, at one revision."""

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def answer(self, code: int, body: bytes, **headers: str) -> None:
            self.send_response(code)
            for key, value in (headers | {"Content_Length": str(len(body))}).items():
                self.send_header(key.replace("_", "-"), value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            files = {str(file.relative_to(root)): file for file in root.rglob("*")}
            if path == "/":
                self.answer(200, b"")
            elif path.startswith("/datasets/owner/gated/"):
                self.answer(401, b"", X_Error_Code="GatedRepo")
            elif path == f"/api/datasets/owner/rows/revision/{REVISION}":
                self.answer(200, json.dumps({"id": "owner/rows", "sha": REVISION}).encode())
            elif path.startswith(f"/api/datasets/owner/rows/tree/{REVISION}"):
                folder = root / path.partition(REVISION)[2].strip("/")
                self.answer(200, json.dumps([entry(file, root) for file in folder.glob("*")]).encode())
            elif (name := path.removeprefix(f"/datasets/owner/rows/resolve/{REVISION}/")) in files:
                data = files[name].read_bytes()
                self.answer(200, data, ETag=f'"{hashlib.sha1(data).hexdigest()}"', X_Repo_Commit=REVISION)
            elif path.startswith(f"/datasets/owner/rows/resolve/{REVISION}/"):
                self.answer(404, b"", X_Error_Code="EntryNotFound")
            else:
                self.answer(404, b"", X_Error_Code="RevisionNotFound" if "owner/rows" in path else "RepoNotFound")

        do_HEAD = do_GET

    return ThreadingHTTPServer(("127.0.0.1", 0), Hub)


def entry(file: Path, root: Path) -> dict[str, Any]:
    common = {"path": str(file.relative_to(root)), "oid": hashlib.sha1(str(file).encode()).hexdigest()}
    return common | ({"type": "directory"} if file.is_dir() else {"type": "file", "size": file.stat().st_size})


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("hub")
    (root / "README.md").write_text("---\nlicense: mit\n---\n")
    write_parquet(root / "data/train-00000-of-00001.parquet", SFT, SFT | {"completion": ""})
    server = hub_server(root)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


SCRIPT = """
import json, sys
from stages.core.errors import PipelineError
from stages.core.params import Source
from stages.rows.reading.sources import read_source
for settings in json.loads(sys.argv[1]):
    try:
        print(json.dumps(list(read_source(Source(**settings)))))
    except PipelineError as error:
        print(json.dumps(str(error)))
"""


def read_apart(endpoint: str, home: Path, *settings: dict[str, Any]) -> list[Any]:
    """Read sources in another process, since the hub's libraries take their endpoint and cache when imported."""
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "PYTHONPATH": str(ROOT)}
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_DATASETS_CACHE"):
        environment.pop(proxy, None)
    command = [sys.executable, "-c", SCRIPT, json.dumps([NAMED | one for one in settings])]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_hub_data_set_is_downloaded_once_where_allowed_and_then_read_offline(endpoint: str, tmp_path: Path) -> None:
    rows = {"hub": "owner/rows", "revision": REVISION}
    asked, loaded, cached, moved, split, config = read_apart(
        endpoint,
        tmp_path,
        rows,
        rows | {"download": True},
        rows,
        rows | {"revision": "f" * 40},
        rows | {"split": "dev"},
        rows | {"config": "nope"},
    )
    assert asked == (
        "source 'mine': owner/rows at revision 0123456789ab: not in the hub cache: set the source's download: true, "
        "or name files by its path"
    )
    assert [kind for kind, _, _ in loaded] == ["sft", "skipped"]
    assert loaded[0][1]["source"] == f"owner/rows@{REVISION}"
    assert loaded[0][2] == "owner/rows:train:row 1"
    assert cached == loaded
    assert moved == (
        f"source 'mine': the cache holds owner/rows at revision {REVISION} and not at {'f' * 40}: "
        "set the source's download: true"
    )
    assert "Should be one of ['train']): set the source's split to one of those" in split
    assert "set the source's config to one of those" in config


def test_what_the_hub_refuses_and_a_hub_that_does_not_answer_are_one_sentence_each(
    endpoint: str, tmp_path: Path
) -> None:
    asked = {"revision": REVISION, "download": True}
    unknown, gated, revision = read_apart(
        endpoint,
        tmp_path,
        asked | {"hub": "owner/none"},
        asked | {"hub": "owner/gated"},
        asked | {"hub": "owner/rows", "revision": "e" * 40},
    )
    for message in (unknown, gated, revision):
        assert message.endswith("check the id, the revision and your access to it")
        assert len(message.splitlines()) == 1
    assert "gated" in gated
    (silent,) = read_apart("http://127.0.0.1:9", tmp_path, asked | {"hub": "owner/rows"})
    assert silent == (
        "source 'mine': owner/rows at revision 0123456789ab: the hub does not answer, and the cache does not hold it: "
        "check the network"
    )
