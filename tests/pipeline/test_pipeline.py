"""The graph itself: what dvc.yaml promises, and the whole of it run on the `smoke` profile with the network blocked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.support.clones import MODELS, ROOT, clone, dvc, run, set_param, stages_run


@pytest.fixture(scope="module")
def graph() -> dict[str, dict[str, object]]:
    stages: dict[str, dict[str, object]] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))[
        "stages"
    ]
    return stages


def test_the_stages_are_those_of_the_design(graph: dict[str, dict[str, object]]) -> None:
    assert list(graph) == [
        "prepare",
        "base",
        "contract",
        "reference",
        "train",
        "evaluate",
        "benchmark",
        "compare",
        "select",
        "report",
    ]


def test_expensive_stages_have_cached_outputs_only(graph: dict[str, dict[str, object]]) -> None:
    """One uncached output would switch off the run cache of its stage, and a reverted β would train again."""
    for name in ("prepare", "base", "contract", "reference", "train", "evaluate"):
        body = graph[name].get("do", graph[name])
        assert all(isinstance(out, str) for out in body["outs"]), name  # type: ignore[index]


def test_every_stage_has_a_description_and_depends_on_its_own_code(graph: dict[str, dict[str, object]]) -> None:
    for name, stage in graph.items():
        body = stage.get("do", stage)
        assert body["desc"], name  # type: ignore[index]
        assert f"stages/{name}.py" in body["deps"], name  # type: ignore[index]


def test_the_lock_holds_exactly_the_stages_of_the_graph() -> None:
    lock = set(YAML(typ="safe").load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"])
    fixed = {"prepare", "base", "contract", "reference", "compare", "select", "report"}
    many = {f"{stage}@{model}" for stage in ("evaluate", "benchmark") for model in MODELS}
    assert lock == fixed | many | {f"train@{model}" for model in MODELS[1:]}


def test_the_whole_graph_runs_offline_and_ends_with_a_report_and_seven_adapters(smoke: Path) -> None:
    assert (smoke / "metrics/report/report.md").stat().st_size > 5000
    for model in MODELS[1:]:
        assert (smoke / "models" / model / "adapter_model.safetensors").exists()
    methods = json.loads((smoke / "metrics/methods.json").read_text())
    assert list(methods) == sorted(MODELS)
    assert {plot.suffix for plot in (smoke / "metrics/report/plots").iterdir()} == {".png"}


def test_a_second_repro_has_nothing_to_do(smoke: Path) -> None:
    assert "Data and pipelines are up to date." in dvc(smoke, "repro").stdout


def test_changing_one_beta_reruns_one_method_and_changing_it_back_trains_nothing(smoke: Path) -> None:
    set_param(smoke, "train.dpo.beta", 0.2)
    changed = dvc(smoke, "repro")
    assert stages_run(changed.stdout) == {"train@dpo", "evaluate@dpo", "benchmark@dpo", "compare", "select", "report"}
    set_param(smoke, "train.dpo.beta", 0.1)
    back = dvc(smoke, "repro")
    assert "Stage 'train@dpo' is cached - skipping run" in back.stdout
    assert "Stage 'evaluate@dpo' is cached - skipping run" in back.stdout
    # What DVC does not cache, since it is small or belongs to the machine, is made again from what it does.
    assert stages_run(back.stdout) == {"benchmark@dpo", "compare", "select", "report"}


def test_a_forced_rerun_of_training_and_evaluation_has_the_same_hashes(smoke: Path) -> None:
    before = YAML(typ="safe").load((smoke / "dvc.lock").read_text())["stages"]
    for stage in ("prepare", "base", "contract", "reference", "train@kto", "evaluate@kto"):
        assert dvc(smoke, "repro", "-f", "-s", stage).returncode == 0
        after = YAML(typ="safe").load((smoke / "dvc.lock").read_text())["stages"][stage]
        for old, new in zip(before[stage]["outs"], after["outs"], strict=True):
            if "timing" not in old["path"]:
                assert new["md5"] == old["md5"], old["path"]


def test_a_training_that_took_other_seconds_is_selected_and_reported_again(smoke: Path) -> None:
    """`dvc repro -f -s train@dpo` on another machine: the same adapter, and other timings."""
    assert dvc(smoke, "repro", "-f", "-s", "train@dpo").returncode == 0
    assert stages_run(dvc(smoke, "repro", "--dry").stdout) == {"select", "report"}
    assert dvc(smoke, "repro").returncode == 0
    seconds = [seed["train_seconds"] for seed in json.loads((smoke / "metrics/timing/dpo.json").read_text())["seeds"]]
    shown = json.loads((smoke / "metrics/selected_speed.json").read_text())["train_s"]
    assert shown == pytest.approx(sum(seconds) / len(seconds), abs=1e-3)


@pytest.mark.parametrize(
    ("stage", "dotted", "value", "words"),
    [
        (["stages.train", "dpo"], "train.dpo.betta", 0.1, "unknown key 'train.dpo.betta'"),
        (
            ["stages.train", "dpo"],
            "train.dpo.steps",
            600,
            "set profiles.<profile>.sft, profiles.<profile>.preference",
        ),
        (["stages.train", "dpo"], "train.dpo.beta", "high", "train.dpo.beta must be a float, found 'high'"),
        (["stages.train", "dop"], "method", "dpo", "'dop' is not a key of train"),
        (["stages.base"], "profile", "local", "neither a .gguf file nor a Transformers folder"),
        (["stages.base"], "profile", "qwen3_06b", "cannot be had"),
        (["stages.evaluate", "dpo"], "profile", "smoke", "dvc pull"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence_and_no_traceback(
    tmp_path: Path, stage: list[str], dotted: str, value: object, words: str
) -> None:
    folder = clone(tmp_path / "clone")
    set_param(folder, dotted, value)
    result = run(folder, sys.executable, "-m", *stage)
    assert result.returncode == 1, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and words in errors[0]
    assert "Traceback" not in result.stderr


def test_a_broken_raw_line_is_named_and_nothing_made_is_lost(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    assert dvc(folder, "repro", "prepare").returncode == 0
    corpus = (folder / "data/prepared/corpus.txt").read_bytes()
    raw = folder / "data/raw/instructions/recipes.jsonl"
    good = raw.read_text(encoding="utf-8")
    raw.write_text(good.replace("\n", "\n{broken\n", 1), encoding="utf-8")
    failed = dvc(folder, "repro", "prepare")
    assert failed.returncode != 0
    assert "error: data/raw/instructions/recipes.jsonl:2: not valid JSON" in failed.stderr
    raw.write_text(good, encoding="utf-8")
    assert dvc(folder, "repro", "prepare").returncode == 0
    assert (folder / "data/prepared/corpus.txt").read_bytes() == corpus
