"""The repository as a user has it: copies of its tracked files in which commands run, with the network blocked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from stages.core import paths

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("base", "sft", "sft_more", "sft_chosen", "dpo", "kto", "ipo", "cpo")
# Any connection that leaves the machine raises inside the stage, which then fails.
NO_NETWORK = """
import socket
_connect, _resolve = socket.socket.connect, socket.getaddrinfo
LOCAL = ("127.", "::1", "localhost")
def connect(self, address, *rest):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOCAL):
        raise PermissionError(f"network access to {address} is blocked by the test")
    return _connect(self, address, *rest)
socket.socket.connect = connect
def resolve(host, *rest, **more):
    if not str(host).startswith(LOCAL):
        raise PermissionError(f"looking up {host} is blocked by the test")
    return _resolve(host, *rest, **more)
socket.getaddrinfo = resolve
"""


def environment(folder: Path) -> dict[str, str]:
    """What a command of ``folder`` sees: its own `arabic-qwen` and this Python first, one thread, and no network."""
    found = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
    found["PATH"] = os.pathsep.join([str(folder / ".blocked"), str(Path(sys.executable).parent), found["PATH"]])
    found["PYTHONPATH"] = str(folder / ".blocked")
    found["OMP_NUM_THREADS"] = "1"
    return found


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)


def dvc(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-m", "dvc", *arguments)


def set_param(folder: Path, dotted: str, value: object) -> None:
    yaml = YAML()
    document = yaml.load((folder / "params.yaml").read_text(encoding="utf-8"))
    *parents, last = dotted.split(".")
    section = document
    for parent in parents:
        section = section[parent]
    section[last] = value
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(document, file)


def replace_in_params(old: str, new: str) -> None:
    """In the params.yaml of the working folder, as text."""
    text = paths.PARAMS.read_text(encoding="utf-8")
    assert old in text
    paths.PARAMS.write_text(text.replace(old, new), encoding="utf-8")


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


def copy_tracked(folder: Path, results: bool) -> None:
    """The files of this working tree that git tracks or would; ``results`` are the lock and what the graph writes."""
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    for name in filter(None, files):
        written = (".gitignore", "sweep.json", "dvc.yaml")  # by hand, or by a command
        made = name == "dvc.lock" or (name.startswith("metrics/") and not name.endswith(written))
        if (results or not made) and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)


def clone(folder: Path) -> Path:
    """The tracked files as a repository of its own, on the smoke profile, without a lock or what the graph writes."""
    copy_tracked(folder, results=False)
    (folder / ".blocked").mkdir()
    (folder / ".blocked" / "sitecustomize.py").write_text(NO_NETWORK)
    # As after `pip install -e .` in the clone; the one of this Python runs the code of this repository.
    command = folder / ".blocked" / "arabic-qwen"
    command.write_text('#!/bin/sh\nexec python -m stages.commands "$@"\n')
    command.chmod(0o755)
    set_param(folder, "profile", "smoke")
    commit(folder, "start")
    return folder


def make_tree(folder: Path) -> Path:
    """The raw rows and params of this repository in a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / paths.RAW, folder / paths.RAW, ignore=shutil.ignore_patterns("pairs"))
    shutil.copy(ROOT / paths.PARAMS, folder / paths.PARAMS)
    return folder


def store_at(folder: Path, url: str, **options: str) -> None:
    """Set where this clone alone has its remote storage."""
    for option, value in ({"url": url} | options).items():
        done = dvc(folder, "remote", "modify", "--local", "storage", option, value)
        assert done.returncode == 0, done.stderr


def commit(folder: Path, message: str) -> None:
    author = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["git", "add", "."], ["git", *author, "commit", "--allow-empty", "-qm", message]):
        subprocess.run(command, cwd=folder, check=True)
