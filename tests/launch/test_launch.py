"""Trainings of several processes: two of them, started as the stage starts them, against one that accumulates."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from ruamel.yaml import YAML
from safetensors.torch import load_file

from stages import launch, reference, train
from stages.bases.loading import load_tokenizer
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import read_json
from stages.core.params import Launch, load_params
from stages.training.reference_answers import answer_key
from stages.training.seen_rows import read_rows, seen_rows
from tests.support.clones import ROOT, clone, dvc, set_param, stages_run
from tests.support.trainings import digest

METHODS = ("sft", "dpo", "ipo", "cpo", "kto")
TWO = Launch("torchrun", 2)
# The same rows and sums in another order: the rounding of float32, which the steps carry on.
LOSS_TOLERANCE = 1e-5
WEIGHT_TOLERANCE = 1e-5


def set_params(by: str, processes: int) -> None:
    """Steps of 8 rows or pairs, in 4 microbatches of 2 (of KTO 16 rows, 4 in each), for one seed. KTO takes large
    steps, in which its KL term weighs."""
    yaml = YAML()
    document = yaml.load(paths.PARAMS.read_text(encoding="utf-8"))
    document["launch"] = {"by": by, "processes": processes}
    smoke = document["profiles"]["smoke"]
    smoke["seeds"] = [11]
    smoke["sft"] = {"steps": 4, "rows_per_step": 8, "rows_per_microbatch": 2}
    smoke["preference"] = {"steps": 4, "pairs_per_step": 8, "pairs_per_microbatch": 2}
    smoke["learning_rate"]["kto"] = 5e-3
    with paths.PARAMS.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)


def train_here(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train", name])
    train.main()


def keep(name: str, place: Path) -> None:
    shutil.copytree(paths.model(name), place / "model")
    shutil.copytree(paths.train_metrics(name), place / "metrics")


def curve(file: Path) -> list[float]:
    return [float(line.split("\t")[1]) for line in file.read_text(encoding="utf-8").splitlines()[1:]]


@pytest.fixture
def started(trainable: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`trainable` with an SFT adapter and its reference, made by one process; children find this repository."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    set_params("python", 1)
    train_here("sft", monkeypatch)
    reference.main()
    part_from_the_reference()
    return trainable


def part_from_the_reference() -> None:
    """Make KTO's KL term large, and another in each microbatch, by saying something else of the mismatched answers."""
    params = load_params()
    own = set()
    for name in ("dpo", "kto"):
        rows, lengths, _ = read_rows(name, params.train[name])
        seen = seen_rows(load_tokenizer(), rows, lengths, params.budget(name), seed=11)
        own |= {answer_key(answer) for row in seen.rows for answer in row.values()}
    file = paths.reference("models/sft", 11)
    nats = {key: value - (0 if key in own else int(key[:4], 16) % 8) for key, value in read_json(file).items()}
    file.write_text(json.dumps(nats), encoding="utf-8")


def test_two_processes_train_as_one_that_accumulates_and_the_first_alone_writes(
    started: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    keep("sft", Path("one/sft"))
    for name in METHODS[1:]:
        train_here(name, monkeypatch)
        keep(name, Path("one") / name)
    set_params("torchrun", 2)
    capfd.readouterr()
    order = (*METHODS[1:], METHODS[-1], "sft")
    launch.start(TWO, "tests.support.several_processes", *order)
    said = capfd.readouterr()
    assert said.out.count("seed 11, loss") == len(order)  # by one process each
    assert "Traceback" not in said.err

    for place, name in enumerate(order):
        one, two = Path("one") / name, Path("several") / f"{place}-{name}"
        assert {file.relative_to(one) for file in one.rglob("*")} == {file.relative_to(two) for file in two.rglob("*")}
        for file in one.rglob("*.tsv"):
            ours = curve(two / file.relative_to(one))
            assert ours == pytest.approx(curve(file), abs=LOSS_TOLERANCE, rel=LOSS_TOLERANCE), (name, file.name)
        single, shared = (load_file(folder / "model/adapter_model.safetensors") for folder in (one, two))
        for key, value in single.items():
            torch.testing.assert_close(shared[key], value, atol=WEIGHT_TOLERANCE, rtol=0, msg=f"{name} {key}")
        counted = ("rows_seen", "sequences_seen", "tokens_seen", "trained_tokens", "steps")
        summaries = [read_json(folder / "metrics/summary.json") for folder in (one, two)]
        assert [summaries[1][key] for key in counted] == [summaries[0][key] for key in counted]
        assert read_json(two / "model/run.json")["launch"] == {"by": "torchrun", "processes": 2}
        assert "launch" not in read_json(one / "model/run.json")
    assert max(curve(Path("one/kto/metrics/plots/metrics/kl.tsv"))) > 1  # so that an average of it would show
    first, again = sorted(Path("several").glob("*-kto"))
    assert digest(first) == digest(again)
    assert not list(paths.scratch_root().iterdir())


@pytest.mark.parametrize("by", ["accelerate_ddp", "accelerate_fsdp", "accelerate_deepspeed"])
def test_each_configuration_is_read_in_full_by_accelerate(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would start, field by field, as far as a machine without a GPU can tell."""
    file = launch.configuration(Launch(by, 2))  # type: ignore[arg-type]
    assert file is not None
    arguments = launch_command_parser().parse_args([f"--config_file={file}", "--num_processes=2", "-m", "stages.train"])
    settings = load_config_from_file(str(file))
    for section in (settings.fsdp_config, settings.deepspeed_config):
        assert set(section) <= set(vars(arguments))  # each is an argument of `accelerate launch` too
    resolved, _, _ = _validate_launch_command(arguments)
    assert (resolved.num_processes, resolved.mixed_precision, resolved.use_cpu) == (2, "no", False)
    kinds = {"accelerate_ddp": "multi_gpu", "accelerate_fsdp": "use_fsdp", "accelerate_deepspeed": "use_deepspeed"}
    assert [kind for kind in kinds.values() if getattr(resolved, kind)] == [kinds[by]]
    if by == "accelerate_deepspeed":
        resolved.deepspeed_fields_from_accelerate_config = ""
        environment = prepare_deepspeed_cmd_env(resolved)[1]
        assert environment["ACCELERATE_DEEPSPEED_ZERO_STAGE"] == "2"
        return
    environment = prepare_multi_gpu_env(resolved)
    assert ("ACCELERATE_USE_FSDP" in environment) == (by == "accelerate_fsdp")
    if by == "accelerate_fsdp":
        wanted = {
            "FSDP_VERSION": "2",
            "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
            "FSDP_RESHARD_AFTER_FORWARD": "true",
            "FSDP_OFFLOAD_PARAMS": "false",
            "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
            "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
            "FSDP_ACTIVATION_CHECKPOINTING": "false",
        }
        assert {key: environment[key] for key in wanted} == wanted


@pytest.mark.parametrize("by", ["accelerate_fsdp", "accelerate_deepspeed"])
def test_what_shards_is_refused_without_a_gpu_where_accelerate_would_quietly_not_shard(
    by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(PipelineError, match=f"launch.by is {by}, which needs GPUs"):
        launch.start(Launch(by, 2), "stages.train", "sft")  # type: ignore[arg-type]


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    launch.check_machine(TWO)
    with pytest.raises(PipelineError, match="this machine shows 2 GPUs"):
        launch.check_machine(Launch("torchrun", 4))


@pytest.mark.parametrize(("started_as", "said"), [("1", 2), ("2", 1)])
def test_another_number_of_processes_than_params_say_is_refused(
    started_as: str, said: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`accelerate launch --cpu` starts one whatever it is told, and a `torchrun` by hand is not in params."""
    monkeypatch.setenv("WORLD_SIZE", started_as)
    with pytest.raises(PipelineError, match=f"was started as {started_as}"):
        launch.join(Launch("torchrun" if said > 1 else "python", said))


@pytest.mark.drill
@pytest.mark.parametrize("process", [0, 1])
def test_a_process_that_dies_ends_the_stage_and_the_next_start_resumes_to_the_same_bytes(
    process: int, started: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    set_params("torchrun", 2)
    launch.start(TWO, "tests.support.several_processes", "kto")
    whole = digest(Path("several/0-kto"))
    shutil.rmtree("several")
    with pytest.raises(PipelineError, match=f"process {process} of 2 ended with exit code -9"):
        launch.start(TWO, "tests.support.several_processes", f"kto:{process}:3")
    assert digest(paths.model("kto")) == {key[6:]: value for key, value in whole.items() if key.startswith("model/")}
    assert not Path("several").exists()
    capfd.readouterr()
    launch.start(TWO, "tests.support.several_processes", "kto")
    assert "seed 11 resumes from checkpoint-2" in capfd.readouterr().out
    assert digest(Path("several/0-kto")) == whole


@pytest.mark.drill
def test_killing_the_stages_process_group_leaves_no_process_behind(started: Path) -> None:
    """torchrun gives each process a session of its own; they end by themselves when their parent is gone."""
    set_params("torchrun", 2)
    stage = subprocess.Popen([sys.executable, "-m", "stages.train", "dpo"], start_new_session=True)
    scratch = wait_for(lambda: list(paths.scratch_root().glob("train-dpo-*")))
    children = psutil.Process(stage.pid).children(recursive=True)
    assert scratch and len(children) == 2
    os.killpg(stage.pid, signal.SIGKILL)
    stage.wait()
    wait_for(lambda: not any(child.is_running() for child in children))
    assert not paths.model("dpo").exists()
    again = subprocess.run([sys.executable, "-m", "stages.train", "dpo"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert (paths.model("dpo") / "adapter_model.safetensors").exists()


def wait_for(condition: Callable[[], object]) -> object:
    end = time.monotonic() + 60
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    assert found
    return found


@pytest.mark.drill
def test_accelerate_starts_the_same_training(started: Path) -> None:
    set_params("torchrun", 2)
    launch.start(TWO, "tests.support.several_processes", "cpo")
    shutil.move("several", "torchrun")
    set_params("accelerate_ddp", 2)
    launch.start(Launch("accelerate_ddp", 2), "tests.support.several_processes", "cpo")
    weights = "0-cpo/model/adapter_model.safetensors"
    assert (Path("several") / weights).read_bytes() == (Path("torchrun") / weights).read_bytes()


@pytest.mark.drill
def test_a_sharded_base_trains_the_same_adapter_and_resumes(
    started: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """FSDP as stages/launch/fsdp.yaml sets it, on CPUs: only accelerate's refusal of them is gone around."""
    set_params("torchrun", 2)
    launch.start(TWO, "tests.support.several_processes", "dpo", "kto")
    shutil.move("several", "whole")
    arguments = [f"--config_file={launch.configuration(Launch('accelerate_fsdp', 2))}", "--num_processes=2", "-m", "x"]
    resolved, _, _ = _validate_launch_command(launch_command_parser().parse_args(arguments))
    for key, value in prepare_multi_gpu_env(resolved).items():
        if "FSDP" in key:
            monkeypatch.setenv(key, value)
    launch.start(TWO, "tests.support.several_processes", "dpo", "kto")
    for model in ("0-dpo", "1-kto"):
        file = Path(model) / "model/adapter_model.safetensors"
        torch.testing.assert_close(
            load_file("several" / file), load_file("whole" / file), atol=WEIGHT_TOLERANCE, rtol=0
        )
    once = digest(Path("several/0-dpo"))
    shutil.rmtree("several")
    with pytest.raises(PipelineError, match="process 1 of 2 ended"):
        launch.start(TWO, "tests.support.several_processes", "dpo:1:3")
    capfd.readouterr()
    launch.start(TWO, "tests.support.several_processes", "dpo")
    assert "resumes from checkpoint-2" in capfd.readouterr().out
    assert digest(Path("several/0-dpo")) == once


@pytest.mark.drill
def test_activation_checkpointing_changes_nothing_among_several_processes(started: Path) -> None:
    """DDP must not look for unused parameters then, which transformers decides by the kind of model."""
    set_params("torchrun", 2)
    launch.start(TWO, "tests.support.several_processes", "dpo")
    shutil.move("several", "plain")
    yaml = YAML()
    document = yaml.load(paths.PARAMS.read_text(encoding="utf-8"))
    document["profiles"]["smoke"]["activation_checkpointing"] = True
    with paths.PARAMS.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    launch.start(TWO, "tests.support.several_processes", "dpo")
    weights = "0-dpo/model/adapter_model.safetensors"
    assert (Path("several") / weights).read_bytes() == (Path("plain") / weights).read_bytes()


@pytest.mark.drill
def test_dvc_trains_again_with_two_processes_offline_and_finds_the_one_process_cached(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    for microbatch in ("sft.rows_per_microbatch", "preference.pairs_per_microbatch"):
        set_param(folder, f"profiles.smoke.{microbatch}", 2)
    assert dvc(folder, "repro", "train@sft").returncode == 0
    set_param(folder, "launch", {"by": "torchrun", "processes": 2})
    shared = dvc(folder, "repro", "train@sft")
    assert shared.returncode == 0, shared.stderr
    assert stages_run(shared.stdout) == {"train@sft"}
    assert read_json(folder / "models/sft/run.json")["launch"] == {"by": "torchrun", "processes": 2}
    set_param(folder, "launch", {"by": "python", "processes": 1})
    assert "Stage 'train@sft' is cached - skipping run" in dvc(folder, "repro", "train@sft").stdout
