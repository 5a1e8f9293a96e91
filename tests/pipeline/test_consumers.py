"""The consumer's lines of README, each run outside any clone of this project, up to adapters that PEFT loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support import readme, servers
from tests.support.clones import commit, dvc, environment, run
from tests.support.remotes import S3, Remote, logits

PAGE = readme.section("Share adapters")


def line(word: str) -> str:
    """The one line of README's shell blocks that ``word`` is in."""
    [found] = [text for block in readme.blocks(PAGE, "bash") for text in block.splitlines() if word in text]
    return found


@pytest.fixture
def released(remote: Remote, tmp_path: Path) -> Path:
    """A bare repository, as a host has it, with an adapter in `prod` and a newer commit in which it is another."""
    origin, owner = tmp_path / "origin.git", remote.repository
    assert dvc(owner, "push", "models/dpo", "models/base").returncode == 0
    run(owner, "git", "clone", "-q", "--bare", str(owner), str(origin))
    run(owner, "git", "remote", "add", "origin", str(origin))
    for name, value in (("user.name", "t"), ("user.email", "t@example.org")):
        run(owner, "git", "config", name, value)
    done = run(owner, "bash", "-c", line("gto register"))
    assert done.returncode == 0, done.stderr

    newer = owner / "models/dpo/seeds/newer.txt"
    newer.parent.mkdir(exist_ok=True)
    newer.write_text("another adapter")
    assert dvc(owner, "commit", "-f", "train@dpo").returncode == 0
    assert dvc(owner, "push", "models/dpo").returncode == 0
    commit(owner, "another adapter")
    assert run(owner, "git", "push", "-q", "origin", "HEAD").returncode == 0
    return origin


@pytest.mark.parametrize("remote", [pytest.param("a folder", marks=pytest.mark.drill), S3], indirect=True)
def test_each_line_of_the_consumers_page_brings_the_adapter(remote: Remote, released: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    environ = environment(remote.repository) | {"repository": str(released)}

    def shell(command: str) -> None:
        done = subprocess.run(["bash", "-c", command], cwd=outside, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    shell("git init -q && dvc init -q")
    for word in ("dvc get", "dvc artifacts get", "dvc import"):
        shell(line(word))
    [script] = [block for block in readme.blocks(PAGE, "python") if "dvc.api" in block]
    (outside / "fetch.py").write_text(script, encoding="utf-8")
    shell(f"{sys.executable} fetch.py")

    trained = logits(remote.repository / "models/dpo", remote.repository / "models/base")
    for folder in ("newest", "adapter", "imported", "fetched"):
        assert torch.equal(logits(outside / folder, outside / "base"), trained)
        assert (outside / folder / "seeds/newer.txt").exists() == (folder != "adapter")
    assert "rev_lock" in (outside / "imported.dvc").read_text(encoding="utf-8")
    shell("dvc update imported.dvc")


@pytest.mark.parametrize("remote", ["SFTP, SSH"], indirect=True)
def test_a_consumer_gives_credentials_on_the_command_line(remote: Remote, tmp_path: Path) -> None:
    assert dvc(remote.repository, "push", "models/dpo").returncode == 0
    assert "`--remote-config password=...`" in PAGE
    got = dvc(
        tmp_path,
        *("get", str(remote.repository), "models/dpo", "-o", "adapter"),
        *("--remote-config", f"user={servers.USER}", f"password={servers.SECRET}"),
    )
    assert got.returncode == 0, got.stderr
    weights = "adapter_model.safetensors"
    assert (tmp_path / "adapter" / weights).read_bytes() == (remote.repository / "models/dpo" / weights).read_bytes()
