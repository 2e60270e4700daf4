"""The stand-in as a process: it tells its address, ends when told to, and keeps what it was given."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from qalita_action import sandbox

SCRIPT = "import sys, pathlib; from qalita_action import sandbox; "
SCRIPT += "sandbox.serve('127.0.0.1', int(sys.argv[1]), pathlib.Path(sys.argv[2]))"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_tells_its_address_and_token_and_ends_quietly(tmp_path, number):
    command = [sys.executable, "-W", "error", "-c", SCRIPT, "0", str(tmp_path / "new" / "sandbox.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            told = [process.stdout.readline() for _ in range(3)]
            assert "not QALITA" in told[0]
            endpoint = re.fullmatch(r"export QALITA_WORKER_ENDPOINT=(http://127\.0\.0\.1:\d+)\n", told[1])[1]
            token = re.fullmatch(r"export QALITA_WORKER_TOKEN=(\S+)\n", told[2])[1]
            headers = {"Authorization": f"Bearer {token}"}
            assert httpx.get(f"{endpoint}/api/v2/users/1", headers=headers).status_code == 200
            process.send_signal(number)
            rest, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_taken_port_is_an_error_that_names_it(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            sandbox.serve("127.0.0.1", taken.getsockname()[1], tmp_path / "sandbox.db", ready=print)


def test_a_file_that_is_no_database_is_an_error_at_the_start(tmp_path, caplog):
    file = tmp_path / "sandbox.db"
    file.write_text("not a database " * 100)
    with pytest.raises(RuntimeError, match="did not start"), sandbox.running(file):
        raise AssertionError("it started")
    assert "file is not a database" in caplog.text


def test_two_at_once_and_one_after_the_other(tmp_path):
    with sandbox.running(tmp_path / "a.db") as one, sandbox.running(tmp_path / "b.db") as two:
        assert one.url != two.url
        headers = {"Authorization": f"Bearer {one.token}"}
        assert httpx.get(f"{one.url}/api/v1/version", headers=headers).status_code == 200
        assert httpx.get(f"{two.url}/api/v1/version", headers=headers).status_code == 401
    with sandbox.running(tmp_path / "a.db") as again:
        assert httpx.get(f"{again.url}/api/v1/version", headers=headers).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(one.url)


def test_everything_it_needs_is_beside_its_code():
    folder = Path(sandbox.__file__).parent / "templates"
    assert {"base.html", "style.css"} <= {f.name for f in folder.iterdir()}
