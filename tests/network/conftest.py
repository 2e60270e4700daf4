"""nginx as the TLS end of a stand-in, tinyproxy between it and the command. `make network` brings both."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from qalita_action import sandbox
from tests.artifact_sets import BASE
from tests.command import run

ARTIFACTS = BASE / "made" / "1.11" / "build"
NOW = datetime.now(timezone.utc)
# name -> what its certificate is for, from and until when in days, and whether it asks for the client's
ENDS = {
    "good": ("127.0.0.1", -1, 1, False),
    "mutual": ("127.0.0.1", -1, 1, True),
    "expired": ("127.0.0.1", -3, -2, False),
    "elsewhere": ("other.example.com", -1, 1, False),
}
SERVER = """
server {{
  listen 127.0.0.1:{port} ssl;
  ssl_certificate {name}.pem;
  ssl_certificate_key {name}.pem;
  {client}
  location / {{ proxy_pass {upstream}; proxy_set_header Host $http_host; }}
}}
"""
NGINX = """
{user}
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 64; }}
http {{
  access_log access.log;
  client_max_body_size 64m;
  client_body_temp_path bodies; proxy_temp_path proxied;
  fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  {servers}
}}
"""


class Ends(NamedTuple):
    """url by name; ca: of the servers; client: a certificate and its key in one PEM."""

    url: dict[str, str]
    ca: Path
    other_ca: Path
    client: Path
    other_client: Path
    log: Path


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def await_port(port: int, process: subprocess.Popen, log: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(log.read_text() if log.exists() else "it does not listen")


@contextmanager
def started(command: list[str], port: int, folder: Path) -> Iterator[None]:
    log = folder / "console.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        await_port(port, process, log)
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def platform(tmp_path_factory):
    with sandbox.running(tmp_path_factory.mktemp("platform") / "platform.db") as running:
        yield running


@pytest.fixture(scope="session")
def ends(tmp_path_factory, platform) -> Iterator[Ends]:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "`make network` installs nginx"
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    ca, other = trustme.CA(), trustme.CA()
    paths = {name: folder / f"{name}.pem" for name in ("ca", "other-ca", "client", "other-client")}
    for issuer, ca_name, client in ((ca, "ca", "client"), (other, "other-ca", "other-client")):
        issuer.cert_pem.write_to_path(paths[ca_name])
        issuer.issue_cert("ann@example.com").private_key_and_cert_chain_pem.write_to_path(paths[client])
    servers, urls = [], {}
    for name, (host, since, until, asks) in ENDS.items():
        dates = {"not_before": NOW + timedelta(since), "not_after": NOW + timedelta(until)}
        ca.issue_cert(host, **dates).private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
        port = free_port()
        urls[name] = f"https://127.0.0.1:{port}"
        client = f"ssl_client_certificate {paths['ca']}; ssl_verify_client on;" if asks else ""
        servers.append(SERVER.format(port=port, name=folder / name, client=client, upstream=platform.url))
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX.format(user=user, servers="".join(servers)))
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    command += ["-e", str(folder / "error.log")]
    with started(command, int(urls["good"].rpartition(":")[2]), folder):
        yield Ends(
            urls,
            paths["ca"],
            paths["other-ca"],
            paths["client"],
            paths["other-client"],
            folder / "access.log",
        )


class Proxy(NamedTuple):
    url: str
    log: Path
    folder: Path

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 60
LogFile "{log}"
LogLevel Info
MaxClients 20
{more}
"""


@contextmanager
def tinyproxy(folder: Path, *more: str) -> Iterator[Proxy]:
    program = shutil.which("tinyproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "`make network` installs tinyproxy"
    port, log = free_port(), folder / "proxy.log"
    folder.mkdir(exist_ok=True)
    (folder / "proxy.conf").write_text(TINYPROXY.format(port=port, log=log, more="\n".join(more)))
    with started([program, "-d", "-c", str(folder / "proxy.conf")], port, folder):
        yield Proxy(f"127.0.0.1:{port}", log, folder)


class Told(NamedTuple):
    code: int
    text: str


@pytest.fixture
def publish(tmp_path, platform):
    """Runs the command on real artifacts and gives its exit code and all that it said; no output and no file
    of it may hold the token or one of the secrets. A run id of its own makes each a run of its own."""
    count = 0

    def publish(endpoint: str, *args: str, secrets: tuple[str, ...] = (), **env: str) -> Told:
        nonlocal count
        count += 1
        folder = tmp_path / str(count)
        folder.mkdir()
        account = {"QALITA_WORKER_ENDPOINT": endpoint, "QALITA_WORKER_TOKEN": platform.token}
        flags = ("--run-id", str(folder), "--fail-on", "never", "--publish-timeout", "20", *args)
        process = run("dbt", str(ARTIFACTS), *flags, cwd=folder, env={**account, **env})
        text = process.stdout + process.stderr
        written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        for secret in (platform.token, *secrets):
            assert secret not in text
            assert not any(secret.encode() in data for data in written)
        return Told(process.returncode, text)

    return publish
