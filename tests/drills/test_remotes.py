"""Adapters through remote storage: pushed, pulled by a fresh clone elsewhere, and loaded with plain PEFT.

The remotes are real servers on this machine, set up by what README's tables say.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support import readme, servers
from tests.support.clones import ROOT, dvc, environment, run, store_at
from tests.support.kills import started
from tests.support.remotes import ROWS, S3, Remote, logits

SECRETS = {
    "an AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{30,}\b",
    "a password of a remote": r"(?m)^\s*(?:password|secret_access_key|access_key_id|sas_token|account_key)\s*=\s*\S",
    "a password in an address": r"\b[a-z0-9+]{2,10}://[^\s/:@<>{}]+:[^\s/:@<>{}]+@",
}
LOST = "an object of the remote is lost or damaged"
NOTHING = "nothing is there: mend `url`"
REMEDIES = dict(readme.table(readme.section("Share adapters"), "DVC says"))


def asked(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """DVC with no terminal on which it could ask for a password."""
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        timeout=120,
    )


def elsewhere(repository: Path, folder: Path, url: str) -> Path:
    """A fresh clone with an empty cache, whose remote is ``url``."""
    subprocess.run(["git", "clone", "-q", repository, folder], check=True)
    store_at(folder, url)
    return folder


def check_lean_pull(clone: Path, trained: Path, kind: str) -> None:
    """Pull one adapter and the base: they answer as in ``trained``, and nothing else has come."""
    began = time.perf_counter()
    pulled = dvc(clone, "pull", "models/dpo", "models/base")
    files = [path for path in (clone / "models").rglob("*") if path.is_file() and path.name != ".gitignore"]
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{kind}: pull {len(files)} files, {size:.1f} MB, {time.perf_counter() - began:.1f} s")
    assert pulled.returncode == 0, pulled.stderr
    answers = [logits(folder / "models/dpo", folder / "models/base") for folder in (clone, trained)]
    assert torch.equal(*answers)
    assert {folder.name for folder in (clone / "models").iterdir() if folder.is_dir()} == {"base", "dpo"}
    assert not (clone / "data/prepared").exists()


@pytest.mark.parametrize("remote", ["a folder", "SFTP, SSH", "WebDAV", S3], indirect=True)
def test_a_pulled_adapter_answers_as_the_trained_one_comes_alone_and_no_credential_is_tracked(
    remote: Remote, tmp_path: Path
) -> None:
    began = time.perf_counter()
    pushed = dvc(remote.repository, "push")
    seconds = time.perf_counter() - began
    assert pushed.returncode == 0, pushed.stderr
    sizes = remote.objects()
    print(f"{remote.kind}: push {len(sizes)} files, {sum(sizes.values()) / 1e6:.1f} MB, {seconds:.1f} s")
    assert f"{len(sizes)} files pushed" in pushed.stdout

    clone = remote.elsewhere(tmp_path / "elsewhere")
    check_lean_pull(clone, remote.repository, remote.kind)
    for folder in (remote.repository, clone):
        assert run(folder, "git", "status", "--porcelain").stdout == ""
    history = run(remote.repository, "git", "log", "-p").stdout
    assert servers.SECRET not in history and secrets(history) == []


def test_an_adapter_comes_from_a_read_only_web_server(published: tuple[Path, Path], tmp_path: Path) -> None:
    repository, store = published
    with servers.http(store) as server:
        check_lean_pull(elsewhere(repository, tmp_path / "elsewhere", server.url), repository, "the web")


def test_a_key_opens_an_ssh_remote(published: tuple[Path, Path], tmp_path: Path) -> None:
    repository, store = published
    assert "`keyfile" in ROWS["SFTP, SSH"][2]
    with servers.sftp(store) as server:
        clone = elsewhere(repository, tmp_path / "elsewhere", server.url)
        for option, value in {"user": servers.USER, "keyfile": str(servers.client_key(tmp_path))}.items():
            assert dvc(clone, "remote", "modify", "--local", "storage", option, value).returncode == 0
        pulled = asked(clone, "pull", "models/dpo")
        assert pulled.returncode == 0, pulled.stderr


@pytest.mark.parametrize("remote", ["a folder", S3], indirect=True)
def test_a_tampered_adapter_is_refused_before_anything_can_load_it(remote: Remote, tmp_path: Path) -> None:
    assert dvc(remote.repository, "push", "models/dpo").returncode == 0
    weights = remote.repository / "models/dpo/adapter_model.safetensors"
    md5 = hashlib.md5(weights.read_bytes()).hexdigest()
    [name] = [name for name in remote.objects() if name.replace("/", "").endswith(md5)]
    remote.change(name, lambda content: content[:-1] + bytes([content[-1] ^ 1]))

    clone = remote.elsewhere(tmp_path / "elsewhere")
    pulled = dvc(clone, "pull", "-v", "models/dpo")
    assert pulled.returncode != 0 and remedy(pulled).startswith(LOST)
    assert not (clone / "models/dpo/adapter_model.safetensors").exists()

    [place] = re.findall(r"corrupted cache file '.*/(files/md5/\S+)'", pulled.stdout + pulled.stderr)
    assert name.endswith(place)
    remote.change(name, lambda _: (remote.repository / ".dvc/cache" / place).read_bytes())
    assert dvc(clone, "pull", "models/dpo").returncode == 0
    assert (clone / "models/dpo/adapter_model.safetensors").read_bytes() == weights.read_bytes()


def killed_when(folder: Path, begun: Callable[[], bool], *arguments: str) -> None:
    """End DVC by SIGKILL once ``begun``."""
    process = started(folder, *arguments)
    while not begun():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def cached(folder: Path) -> list[Path]:
    return list((folder / ".dvc/cache/files/md5").glob("??/*"))


@pytest.mark.parametrize("remote", [pytest.param("SFTP, SSH", marks=pytest.mark.drill), S3], indirect=True)
def test_a_push_and_a_pull_that_were_killed_go_on(remote: Remote, tmp_path: Path) -> None:
    killed_when(remote.repository, lambda: len(remote.objects()) >= 10, "push", "--jobs", "1")
    sent = set(remote.objects())
    pushed = dvc(remote.repository, "push")
    assert pushed.returncode == 0, pushed.stderr
    assert len(sent) >= 10 and f"{len(set(remote.objects()) - sent)} files pushed" in pushed.stdout
    assert "Everything is up to date." in dvc(remote.repository, "push").stdout

    clone = remote.elsewhere(tmp_path / "elsewhere")
    killed_when(clone, lambda: len(cached(clone)) >= 10, "pull", "--jobs", "1")
    assert len(cached(clone)) < len(remote.objects())
    pulled = dvc(clone, "pull")
    assert pulled.returncode == 0, pulled.stderr
    assert "up to date" in dvc(clone, "status").stdout


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


def remedy(result: subprocess.CompletedProcess[str]) -> str:
    """What README's table advises for DVC's message; "" where no row fits."""
    said = result.stdout + result.stderr
    fitting = [advice for message, advice in REMEDIES.items() if any(part in said for part in readme.quoted(message))]
    return fitting[0] if fitting else ""


@pytest.mark.parametrize(
    ("remote", "failures"),
    [
        ("SFTP, SSH", [({}, "SSH: set `password`"), ({"user": servers.USER, "password": "x"}, "SSH: set `password`")]),
        (
            "WebDAV",
            [
                ({}, "WebDAV: set `user` and `password`"),
                ({"user": servers.USER, "password": "x"}, "WebDAV: set `user` and `password`"),
                ({"user": servers.USER}, "WebDAV: there is a `user`"),
                ({"user": servers.USER, "password": servers.SECRET, "url": "{url}/none"}, "WebDAV: make the folder"),
            ],
        ),
        pytest.param(
            "S3",
            [
                ({}, "S3: set the two variables"),
                ({"access_key_id": servers.USER, "secret_access_key": "x"}, "S3: the keys are wrong"),
                (
                    {"access_key_id": servers.USER, "secret_access_key": servers.SECRET, "url": "s3://none/store"},
                    "S3: make the bucket",
                ),
            ],
            marks=pytest.mark.servers,
        ),
    ],
    indirect=["remote"],
)
def test_a_refused_push_has_its_remedy_in_readme_and_loses_nothing(
    remote: Remote, failures: list[tuple[dict[str, str], str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = remote.repository / ".dvc/config.local"
    right = own.read_text() if own.exists() else ""
    with monkeypatch.context() as environ:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environ.delenv(name, raising=False)
        environ.setenv("AWS_EC2_METADATA_DISABLED", "true")
        (tmp_path / "empty").touch()  # of the device that is always empty, botocore says that it is no file
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            environ.setenv(name, str(tmp_path / "empty"))
        for options, advice in failures:
            lines = [
                f"    {name} = {value.format(url=remote.server.url.rstrip('/'))}\n" for name, value in options.items()
            ]
            own.write_text("['remote \"storage\"']\n" + "".join(lines))
            refused = asked(remote.repository, "push", "models/dpo")
            assert refused.returncode != 0 and remedy(refused).startswith(advice), (options, refused.stderr)
    own.write_text(right)
    pushed = asked(remote.repository, "push", "models/dpo")
    assert pushed.returncode == 0 and f"{len(remote.objects())} files pushed" in pushed.stdout, pushed.stderr


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("{folder}", NOTHING),
        ("webdav://127.0.0.1:{port}/store", NOTHING),
        ("ssh://127.0.0.1:{port}/store", "SSH: the server is down"),
        pytest.param("s3://adapters/store", "S3: the server is down", marks=pytest.mark.servers),
    ],
)
def test_a_pull_from_where_nothing_answers_has_its_remedy_in_readme(
    published: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, advice: str
) -> None:
    (tmp_path / "empty").mkdir()
    port = servers.free_port()
    clone = elsewhere(published[0], tmp_path / "elsewhere", url.format(folder=tmp_path / "empty", port=port))
    if url.startswith("s3"):
        store_at(clone, url, endpointurl=f"http://127.0.0.1:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, servers.USER)
    pulled = asked(clone, "pull", "models/dpo")
    assert pulled.returncode != 0 and remedy(pulled).startswith(advice), pulled.stderr
    assert "models/dpo" in pulled.stderr or advice != NOTHING


def test_a_lost_object_has_its_remedy_in_readme(published: tuple[Path, Path], tmp_path: Path) -> None:
    repository, store = published
    damaged = tmp_path / "store"
    shutil.copytree(store, damaged)
    md5 = hashlib.md5((repository / "models/dpo/adapter_model.safetensors").read_bytes()).hexdigest()
    (damaged / "files/md5" / md5[:2] / md5[2:]).unlink()
    pulled = dvc(elsewhere(repository, tmp_path / "elsewhere", str(damaged)), "pull", "models/dpo")
    assert pulled.returncode != 0 and remedy(pulled).startswith(LOST)
    assert f"failed to transfer '{md5}'" in pulled.stderr


def small_disks() -> bool:
    """Whether this user may mount a disk of a few hundred kilobytes that nobody else sees."""
    mounted = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=300k", "none", "/tmp"]
    return shutil.which("unshare") is not None and subprocess.run(mounted, capture_output=True).returncode == 0


@pytest.mark.skipif(not small_disks(), reason="a small disk needs Linux and user namespaces")
@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_full_disk_has_its_remedy_in_readme_and_the_same_command_goes_on_when_there_is_space(
    published: tuple[Path, Path], tmp_path: Path, command: str
) -> None:
    """The remote's disk on a push, the cache's on a pull."""
    repository, store = published
    if command == "push":
        folder, disk = tmp_path / "repository", tmp_path / "store"
        shutil.copytree(repository, folder, symlinks=True)
        store_at(folder, str(disk))
    else:
        folder = elsewhere(repository, tmp_path / "elsewhere", str(store))
        disk = folder / ".dvc/cache"
    disk.mkdir(parents=True)
    again = f"{sys.executable} -m dvc {command} models/dpo models/base"
    script = (
        f"mount -t tmpfs -o size=300k none {disk} && {again}; echo first $?; "
        f"mount -o remount,size=900m {disk} && {again}; echo second $?"
    )
    result = run(folder, "unshare", "-rm", "bash", "-c", script)
    first, second = re.findall(r"(?:first|second) (\d+)", result.stdout)
    assert first != "0" and second == "0", result.stderr
    assert remedy(result).startswith("free some space")


def test_each_message_of_readme_is_provoked_by_a_test() -> None:
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    expected = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    for advice in REMEDIES.values():
        assert any(len(text) > 10 and advice.startswith(text) for text in expected), advice


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
