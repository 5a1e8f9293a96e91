"""Real storage servers on loopback: each takes a free port, keeps its files in a folder, and ends with its block."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncssh
from cheroot.wsgi import Server as CherootServer
from wsgidav.wsgidav_app import WsgiDAVApp

USER, SECRET = "arabic", secrets.token_hex(8)  # drawn anew, so that no file can hold it
BUCKET = "adapters"
# Runs a server as a child and kills it, by its own id, as soon as the pipe of the test closes, however that test ends.
KEEPER = "import subprocess, sys; c = subprocess.Popen(sys.argv[1:]); sys.stdin.read(); c.kill(); c.wait()"


@dataclass(frozen=True)
class Server:
    """``folder`` is where it keeps what it serves, as plain files unless it is S3."""

    url: str
    folder: Path
    endpoint: str = ""


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def folder(at: Path) -> Iterator[Server]:
    yield Server(str(at), at)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def http(at: Path) -> Iterator[Server]:
    """Read-only: whatever ``at`` holds already."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(at)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Server(f"http://127.0.0.1:{server.server_port}", at)
    server.shutdown()
    thread.join()
    server.server_close()


# One pair of keys for this run of the tests: the server knows its public half.
CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")


def client_key(folder: Path) -> Path:
    path = folder / "key"
    CLIENT_KEY.write_private_key(path)
    path.chmod(0o600)
    return path


class OneUser(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.public_data == CLIENT_KEY.public_data

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, SECRET)


@contextmanager
def sftp(at: Path) -> Iterator[Server]:
    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            OneUser,
            "127.0.0.1",
            0,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(at)),
        )

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield Server(f"ssh://127.0.0.1:{server.get_port()}/", at)

    async def end() -> None:
        server.close()
        await server.wait_closed()

    asyncio.run_coroutine_threadsafe(end(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@contextmanager
def webdav(at: Path) -> Iterator[Server]:
    app = WsgiDAVApp(
        {
            "provider_mapping": {"/": str(at)},
            "simple_dc": {"user_mapping": {"*": {USER: {"password": SECRET}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "verbose": 0,
            "logging": {"enable": False},
        }
    )
    server = CherootServer(("127.0.0.1", 0), app)
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield Server(f"webdav://127.0.0.1:{server.bind_addr[1]}/", at)
    server.stop()
    thread.join()


@contextmanager
def s3(at: Path) -> Iterator[Server]:
    """SeaweedFS with one user and one empty bucket; it does not make buckets by itself, as others do not."""
    identity = {"name": USER, "credentials": [{"accessKey": USER, "secretKey": SECRET}], "actions": ["Admin"]}
    (at / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    command = ["weed", "server", f"-dir={at}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
    command += [f"-s3.config={at / 's3.json'}", "-s3.autoCreateBucket=false", "-master.telemetry=false"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=20"]
    for name, port in ports.items():
        command += [f"-{name}.port={port}", f"-{name}.port.grpc={free_port()}"]
    url = f"http://127.0.0.1:{ports['s3']}"
    with (at / "log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-c", KEEPER, *command], stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=at
        )
    assert keeper.stdin
    try:
        server = Server(f"s3://{BUCKET}/store", at, url)
        until_up(server)
        yield server
    finally:
        keeper.stdin.close()
        keeper.wait(30)


def until_up(server: Server) -> None:
    """Make the bucket as soon as the server can."""
    until = time.monotonic() + 60
    while True:
        try:
            bucket(server).mkdir(BUCKET)
            return
        except OSError:
            assert time.monotonic() < until, (server.folder / "log").read_text(errors="replace")[-3000:]
            time.sleep(0.3)


def bucket(server: Server) -> Any:
    """The server's objects, for looking at and for tampering."""
    import s3fs

    return s3fs.S3FileSystem(
        key=USER, secret=SECRET, endpoint_url=server.endpoint, use_listings_cache=False, skip_instance_cache=True
    )
