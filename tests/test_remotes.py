"""Adapters through remote storage: pushed, pulled by a fresh clone elsewhere, and loaded with plain PEFT."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from clones import ROOT, commit, dvc, run, store_at
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

SECRETS = {
    "an AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{30,}\b",
    "a password of a remote": r"(?m)^\s*(?:password|secret_access_key|access_key_id|sas_token|account_key)\s*=\s*\S",
    "a password in an address": r"\b[a-z0-9+]{2,10}://[^\s/:@<>{}]+:[^\s/:@<>{}]+@",
}


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
def served(published: tuple[Path, Path]) -> Iterator[str]:
    """The same folder behind a read-only web server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(published[1])))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def elsewhere(repository: Path, folder: Path, url: str) -> Path:
    """A fresh clone with an empty cache, whose remote is ``url``."""
    subprocess.run(["git", "clone", "-q", repository, folder], check=True)
    store_at(folder, url)
    return folder


def logits(folder: Path) -> torch.Tensor:
    tokens = AutoTokenizer.from_pretrained(folder / "models/dpo")("ما عاصمة مصر؟", return_tensors="pt")["input_ids"]
    base = AutoModelForCausalLM.from_pretrained(folder / "models/base")
    with torch.no_grad():
        found: torch.Tensor = PeftModel.from_pretrained(base, folder / "models/dpo")(tokens).logits
    return found


@pytest.mark.parametrize("kind", ["folder", "http"])
def test_a_pulled_adapter_answers_as_the_trained_one_and_comes_alone(
    published: tuple[Path, Path], served: str, tmp_path: Path, kind: str
) -> None:
    repository, store = published
    clone = elsewhere(repository, tmp_path / "elsewhere", served if kind == "http" else str(store))
    pulled = dvc(clone, "pull", "models/dpo", "models/base")
    assert pulled.returncode == 0, pulled.stderr
    assert torch.equal(logits(clone), logits(repository))
    assert {folder.name for folder in (clone / "models").iterdir() if folder.is_dir()} == {"base", "dpo"}
    assert not (clone / "data/prepared").exists()


def test_a_tampered_adapter_is_refused_before_anything_can_load_it(
    published: tuple[Path, Path], tmp_path: Path
) -> None:
    repository, store = published
    damaged = tmp_path / "store"
    shutil.copytree(store, damaged)
    weights = next(
        path
        for path in damaged.rglob("*")
        if path.is_file() and path.read_bytes() == (repository / "models/dpo/adapter_model.safetensors").read_bytes()
    )
    weights.chmod(0o644)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    clone = elsewhere(repository, tmp_path / "elsewhere", str(damaged))
    pulled = dvc(clone, "pull", "models/dpo")
    assert pulled.returncode != 0
    assert not (clone / "models/dpo/adapter_model.safetensors").exists()

    shutil.copyfile(repository / "models/dpo/adapter_model.safetensors", weights)  # mended: nothing else is needed
    assert dvc(clone, "pull", "models/dpo").returncode == 0
    assert (clone / "models/dpo/adapter_model.safetensors").exists()


def test_a_push_that_stopped_half_way_goes_on(published: tuple[Path, Path], tmp_path: Path) -> None:
    repository, store = published
    half = tmp_path / "half"
    shutil.copytree(store, half)
    files = sorted(path for path in half.rglob("*") if path.is_file())
    lists = [path for path in files if path.suffix == ".dir"]  # DVC sends the list of a folder after its files
    missing = {*lists, *files[::2]}
    for path in missing:
        path.unlink()
    clone = tmp_path / "repository"
    shutil.copytree(repository, clone, symlinks=True)
    store_at(clone, str(half))
    shutil.rmtree(clone / ".dvc/tmp", ignore_errors=True)  # DVC's own index of what it believes to be there
    assert f"{len(missing)} files pushed" in dvc(clone, "push").stdout
    assert "Everything is up to date." in dvc(clone, "push").stdout


def test_what_is_not_in_the_remote_is_named(published: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    clone = elsewhere(published[0], tmp_path / "elsewhere", str(tmp_path / "empty"))
    pulled = dvc(clone, "pull", "models/dpo")
    assert pulled.returncode != 0 and "models/dpo" in pulled.stderr


def secrets(text: str) -> list[str]:
    return [name for name, pattern in SECRETS.items() if re.search(pattern, text)]


def test_no_tracked_file_holds_a_secret() -> None:
    tracked = run(ROOT, "git", "ls-files", "-z").stdout.split("\0")
    found = {}
    for name in filter(None, tracked):
        path = ROOT / name
        if path.is_file() and path != Path(__file__):
            found[name] = secrets(path.read_text(encoding="utf-8", errors="replace"))
    assert {name: kinds for name, kinds in found.items() if kinds} == {}
    assert "config.local" in (ROOT / ".dvc/.gitignore").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("AKIA" + "A" * 16, "an AWS key"),
        ("-----BEGIN OPENSSH " + "PRIVATE KEY-----", "a private key"),
        ("hf_" + "a" * 34, "a Hugging Face token"),
        ("ghp_" + "a" * 36, "a GitHub token"),
        ("['remote \"s\"']\n    password = x", "a password of a remote"),
        ("ssh://me:" + "word@host/store", "a password in an address"),
    ],
)
def test_each_kind_of_secret_would_be_found(text: str, kind: str) -> None:
    assert kind in secrets(text)
