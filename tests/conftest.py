"""Shared fixtures: a tiny Qwen that needs no network, and a project folder around it in which stages can run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from ruamel.yaml import YAML
from transformers import AutoModelForCausalLM

from stages import contract
from stages.bases.projections import decoder_projections
from stages.core import paths
from stages.core.files import write_json, write_jsonl
from stages.core.paths import SPLITS
from stages.rows.prepared_rows import unpaired_rows
from tests.support.clones import ROOT, clone, commit, dvc, store_at
from tests.support.tiny import (
    generation_rows,
    mcq_rows,
    pair_rows,
    question_rows,
    safety_rows,
    tiny_model,
    tiny_tokenizer,
    turn,
)

if TYPE_CHECKING:
    from tests.support.remotes import Remote


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker builds the finished clone and runs what needs it; of the others each takes whole files."""
    for item in items:
        built = "smoke" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("smoke" if built else item.path.stem))


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Transformers folder: random Qwen3 of 2 layers and width 32, byte-level BPE, ChatML, and its pin."""
    folder = tmp_path_factory.mktemp("tiny") / "base"
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(folder)
    model = tiny_model(len(tokenizer))
    # A base's own settings, as Qwen's instruct models have them: scoring must not follow them.
    model.generation_config.update(do_sample=True, temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=5.0)
    model.save_pretrained(folder)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    pin = {
        "kind": "pretrain",
        "files": {},
        "dtype": "float32",
        "parameters": parameters,
        "tied_output": True,
        "lora_targets": decoder_projections(model),
    }
    write_json(folder / "base.json", pin)
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_qwen: Path) -> Path:
    """The working folder, with params.yaml (profile smoke, seeds 11 and 12), models/base and prepared test rows."""
    monkeypatch.chdir(tmp_path)
    yaml = YAML()
    document = yaml.load((ROOT / paths.PARAMS).read_text(encoding="utf-8"))
    document["profile"] = "smoke"
    document["profiles"]["smoke"]["seeds"] = [11, 12]
    document["evaluate"]["bootstrap_samples"] = 200
    with paths.PARAMS.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    shutil.copytree(tiny_qwen, paths.BASE)
    write_jsonl(paths.GENERATION, generation_rows())
    write_jsonl(paths.MCQ, mcq_rows())
    write_jsonl(paths.OWN_TESTS, [])
    write_jsonl(paths.prepared_split("pairs", "test"), pair_rows())
    write_jsonl(paths.prepared_evaluation("safety"), safety_rows())
    write_jsonl(paths.prepared_evaluation("culture"), question_rows("region", "gulf"))
    write_jsonl(paths.prepared_evaluation("dialect"), question_rows("dialect", "egyptian"))
    return tmp_path


@pytest.fixture
def adapters(project: Path) -> str:
    """``models/dpo``, started on ``models/sft``, with random adapters for each of the two seeds; returns its name."""
    for seed in (11, 12):
        torch.manual_seed(seed)
        for name, start in (("dpo", "models/sft"), ("sft", "models/base")):
            base = AutoModelForCausalLM.from_pretrained(paths.BASE)
            config = LoraConfig(
                r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
            )
            folder = paths.replica(name, seed, (11, 12))
            get_peft_model(base, config).save_pretrained(folder)
            write_json(folder / "run.json", {"method": {"init": start}})
    return "dpo"


@pytest.fixture
def start(tiny_qwen: Path) -> PeftModel:
    """The tiny base with a fresh LoRA adapter, as a training starts."""
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(tiny_qwen, dtype=torch.float32)
    return get_peft_model(
        base, LoraConfig(r=4, lora_alpha=8, target_modules=decoder_projections(base), task_type="CAUSAL_LM")
    )


@pytest.fixture
def trainable(project: Path) -> Path:
    """`project` with training rows, checked by the real contract stage."""
    for split in SPLITS:
        shared = {"topic": "numbers", "source": "test", "license": "Apache-2.0"}
        numbers = range(
            {"train": 10, "validation": 40, "test": 50}[split], {"train": 34, "validation": 44, "test": 54}[split]
        )
        sft = [
            shared
            | {
                "id": f"n{n}",
                "prompt": turn("user", f"اكتب العدد {n}."),
                "completion": turn("assistant", f"العدد {n}."),
                "flaw": None,
            }
            for n in numbers
        ]
        pairs = [
            shared
            | {
                "id": f"p{n}",
                "prompt": turn("user", f"اكتب العدد {n}."),
                "chosen": turn("assistant", f"العدد {n}."),
                "rejected": turn("assistant", f"لا أعرف، ربما العدد {n}."),
                "axis": "hedging",
            }
            for n in numbers
        ]
        write_jsonl(paths.prepared_split("sft", split), sft)
        write_jsonl(paths.prepared_split("pairs", split), pairs)
        write_jsonl(paths.prepared_split("unpaired", split), unpaired_rows(pairs))
    contract.main()
    return project


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which `dvc repro` has run once, offline."""
    folder = clone(tmp_path_factory.mktemp("smoke") / "clone")
    result = dvc(folder, "repro")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder


@pytest.fixture(scope="session")
def published(smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A git repository with the lock of a finished run, and a folder to which its outputs were pushed."""
    folder = tmp_path_factory.mktemp("published")
    repository, store = folder / "repository", folder / "store"
    shutil.copytree(smoke, repository, symlinks=True)
    commit(repository, "run")
    store_at(repository, str(store))
    pushed = dvc(repository, "push")
    assert pushed.returncode == 0, pushed.stderr
    return repository, store


@pytest.fixture
def remote(
    published: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Remote]:
    """The remote that a test asks for by its row of README's table, empty, with the finished run as its repository."""
    from tests.support.remotes import served  # brings servers, which few tests need

    with served(request.param, published[0], tmp_path, monkeypatch) as found:
        yield found
