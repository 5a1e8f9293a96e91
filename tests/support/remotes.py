"""Remote storage as README's tables set it up: real servers on this machine, and repositories that name them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.support import readme, servers
from tests.support.clones import commit, dvc

S3 = pytest.param("S3", marks=pytest.mark.servers)
SERVERS = {"a folder": servers.folder, "SFTP, SSH": servers.sftp, "WebDAV": servers.webdav, "S3": servers.s3}
ROWS = {row[0]: row[1:] for row in readme.table(readme.section("Share adapters"), "remote")}


@dataclass(frozen=True)
class Remote:
    """A repository whose tracked config names a running, empty server, with the credentials in its own config."""

    kind: str
    server: servers.Server
    repository: Path

    def elsewhere(self, folder: Path) -> Path:
        """A fresh clone with an empty cache and the same credentials."""
        subprocess.run(["git", "clone", "-q", self.repository, folder], check=True)
        if (self.repository / ".dvc/config.local").exists():
            shutil.copy(self.repository / ".dvc/config.local", folder / ".dvc/config.local")
        return folder

    def objects(self) -> dict[str, int]:
        """What the server holds: bytes by name, unfinished files left out."""
        if self.kind == "S3":
            found = servers.bucket(self.server).find(servers.BUCKET, detail=True)
            return {name: entry["size"] for name, entry in found.items()}
        root = self.server.folder / "files/md5"
        return {
            str(path): path.stat().st_size
            for path in root.glob("??/*")
            if re.fullmatch(r"[0-9a-f]+(\.dir)?", path.name)
        }

    def change(self, name: str, changed: Callable[[bytes], bytes]) -> None:
        if self.kind == "S3":
            objects = servers.bucket(self.server)
            objects.pipe_file(name, changed(objects.cat_file(name)))
        else:
            Path(name).chmod(0o644)
            Path(name).write_bytes(changed(Path(name).read_bytes()))


@contextmanager
def served(kind: str, original: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    """The remote of one row of README's table, set up for a copy of a repository by the options that the row names."""
    repository, at = folder / "repository", folder / "server"
    shutil.copytree(original, repository, symlinks=True)
    (repository / ".dvc/config.local").unlink()
    at.mkdir()
    _, tracked, private = ROWS[kind]
    with SERVERS[kind](at) as server:
        values = {
            "url": server.url,
            "endpointurl": server.endpoint,
            "user": servers.USER,
            "password": servers.SECRET,
            "AWS_ACCESS_KEY_ID": servers.USER,
            "AWS_SECRET_ACCESS_KEY": servers.SECRET,
        }
        for option in (text.split()[0] for text in readme.quoted(tracked)):
            assert dvc(repository, "remote", "modify", "storage", option, values[option]).returncode == 0
        commit(repository, "where the outputs are")
        for option in (text.split()[0] for text in readme.quoted(private)):
            if option.isupper():
                monkeypatch.setenv(option, values[option])
            elif option in values:
                assert dvc(repository, "remote", "modify", "--local", "storage", option, values[option]).returncode == 0
        yield Remote(kind, server, repository)


def logits(adapter: Path, base: Path) -> torch.Tensor:
    tokens = AutoTokenizer.from_pretrained(adapter)("ما عاصمة مصر؟", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        found: torch.Tensor = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)(
            tokens
        ).logits
    return found
