"""What every test stands on: an empty environment, no address but loopback, and --update-golden."""

from __future__ import annotations

import os
import socket

import pytest

# What needs more than Python is asked for by the make target that brings it.
BROUGHT = {
    "QALITA_REAL_DBT": "real_dbt",
    "QALITA_IMAGE": "image",
    "QALITA_NETWORK": "network",
    "QALITA_CONTRACT": "contract",
    "QALITA_LOCAL_CI": "local_ci",
    "QALITA_READERS": "real_readers",
    "QALITA_BACKFILL": "backfill",
    "QALITA_STORES": "stores",
}
collect_ignore = [folder for name, folder in BROUGHT.items() if not os.environ.get(name)]
LOOPBACK = ("127.", "::1", "localhost")
# What a process needs to run at all; everything else of the machine is unknown to the tests.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST")


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


@pytest.fixture
def update_golden(request):
    return request.config.getoption("--update-golden") or bool(os.environ.get("UPDATE_GOLDEN"))


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in list(os.environ):
        if name not in KEPT and not name.startswith(("COV_", "PYTHON")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch):
    """A test that reaches for the network fails at once, with the address in its message."""
    connect = socket.socket.connect

    def guarded(self, address):
        host = address[0] if isinstance(address, tuple) else ""
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(host).startswith(LOOPBACK):
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
