"""Mirrors of the curves: off by default, one sentence where one cannot be had, and no trace in what is trained."""

from __future__ import annotations

import csv
import os
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.params import load_params
from stages.training import trackers
from tests.support.clones import ROOT, set_param
from tests.support.trainings import digest, run_train

TOOLS = ("tensorboard", "wandb", "mlflow")


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """The tools' variables unset, and what stay_local sets taken back."""
    before = os.environ.copy()
    for name in before:
        if name.startswith(("WANDB_", "MLFLOW_", "TENSORBOARD_", "DVC_EXP")):
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


def test_nothing_is_mirrored_unless_asked_for_and_no_stage_depends_on_it() -> None:
    assert load_params(ROOT / paths.PARAMS).report_to == ()
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert not any("report_to" in stage.get("do", stage).get("params", []) for stage in stages.values())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (["tensorbord"], "report_to[0] is 'tensorbord': write one of tensorboard, wandb, mlflow"),
        ("wandb", "report_to must be a list, found 'wandb'"),
        (["mlflow", "mlflow"], "report_to names a tool twice"),
    ],
)
def test_a_name_that_is_not_known_is_one_sentence(project: Path, value: object, words: str) -> None:
    set_param(project, "report_to", value)
    with pytest.raises(PipelineError) as caught:
        load_params()
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_that_is_not_installed_is_one_sentence_before_anything_is_trained(
    trainable: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    if find_spec(tool):
        pytest.skip(f"{tool} is installed")
    set_param(trainable, "report_to", [tool])
    with pytest.raises(
        PipelineError, match=f"report_to names {tool}, which is not installed: run `pip install {tool}`"
    ):
        run_train(monkeypatch, "sft")
    assert not paths.model("sft").exists() and not Path(".scratch").exists()


def test_an_experiment_writes_to_the_repository_and_not_to_its_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / ".dvc/tmp/exps/tmp1234"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert trackers.runs_folder() == tmp_path / "runs"
    monkeypatch.chdir(tmp_path)
    assert trackers.runs_folder() == tmp_path / "runs"


def test_nothing_leaves_the_machine_unless_the_user_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    trackers.stay_local(tmp_path)
    assert os.environ["WANDB_MODE"] == "offline"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"


def trained_with(project: Path, monkeypatch: pytest.MonkeyPatch, tools: list[str]) -> dict[str, str]:
    set_param(project, "report_to", tools)
    run_train(monkeypatch, "sft")
    return digest(paths.model("sft")) | digest(paths.train_metrics("sft"))


def losses(seed: int) -> list[float]:
    folder = paths.train_metrics("sft") / ("" if seed == 11 else f"seeds/{seed}")
    with (folder / "loss.tsv").open(encoding="utf-8", newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file, delimiter="\t")]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_mirror_has_every_seeds_curve_and_leaves_the_adapters_as_they_are(
    trainable: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    pytest.importorskip(tool)
    plain = trained_with(trainable, monkeypatch, [])
    assert not Path("runs").exists()
    assert trained_with(trainable, monkeypatch, [tool]) == plain
    curves = {"tensorboard": tensorboard_curves, "wandb": wandb_curves, "mlflow": mlflow_curves}[tool]()
    assert len(curves) == 2
    for seed in (11, 12):
        (curve,) = [curve for name, curve in curves.items() if name.startswith(f"sft-{seed}-")]
        assert curve == pytest.approx(losses(seed), rel=1e-5)


def tensorboard_curves() -> dict[str, list[float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = {}
    for folder in Path("runs/tensorboard").iterdir():
        events = EventAccumulator(str(folder)).Reload()
        curves[folder.name] = [event.value for event in events.Scalars("train/loss")]
    return curves


def wandb_curves() -> dict[str, list[float]]:
    """From W&B's own files of offline runs: 7 bytes, then records of checksum, length and type; one block is enough."""
    from wandb.proto.wandb_internal_pb2 import Record

    curves: dict[str, list[float]] = {}
    for file in Path("runs/wandb").glob("offline-run-*/*.wandb"):
        data, name, curve = file.read_bytes()[7:], "", []
        assert len(data) < 2**15
        while data:
            _, length, _ = struct.unpack("<IHB", data[:7])
            record, data = Record.FromString(data[7 : 7 + length]), data[7 + length :]
            name = record.run.display_name or name
            curve += [float(item.value_json) for item in record.history.item if item.nested_key == ["train/loss"]]
        curves[name] = curve
    return curves


def mlflow_curves() -> dict[str, list[float]]:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{Path('runs/mlflow.db').resolve()}")
    runs = client.search_runs([client.get_experiment_by_name("arabic-qwen").experiment_id])
    return {
        run.info.run_name: [point.value for point in client.get_metric_history(run.info.run_id, "loss")] for run in runs
    }
