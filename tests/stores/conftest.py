"""One store after another, each started once; and the command, told where to look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.stores import backends

# A process starts with the memory of the one that made it: a small one stands in between.
MEASURED = """
import pathlib, resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
pathlib.Path(sys.argv[1]).write_text(str(peak))
sys.exit(code)
"""
NAMES = ("s3", "azure", "google", "web")


@pytest.fixture(scope="session")
def web(tmp_path_factory):
    with backends.web(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    with backends.s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def azure(tmp_path_factory):
    with backends.azure(tmp_path_factory.mktemp("azure")) as running:
        yield running


@pytest.fixture(scope="session")
def google(tmp_path_factory):
    with backends.google(tmp_path_factory.mktemp("google")) as running:
        yield running


class Told(NamedTuple):
    """documents: of ingest.json; peak: the process's memory at its highest, in bytes."""

    code: int
    text: str
    documents: list[dict]
    peak: int


@pytest.fixture
def ingest(tmp_path) -> Callable[..., Told]:
    """Runs the command and checks that it wrote nothing but its report."""
    count = 0

    def ingest(*args: str, **env: str) -> Told:
        nonlocal count
        count += 1
        folder = tmp_path / f"run{count}"
        for name in ("here", "home", "temporary"):
            (folder / name).mkdir(parents=True)
        base = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error", "LC_ALL": "C.UTF-8"}
        base |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary")}
        command = [sys.executable, "-m", "qalita_action", "dbt", *args, "--publish", "never"]
        out = folder / "out.txt"
        with out.open("wb") as file:
            process = subprocess.run(
                [sys.executable, "-c", MEASURED, str(folder / "peak.txt"), *command, "--fail-on", "never"],
                cwd=folder / "here",
                env={**base, **env},
                stdout=file,
                stderr=file,
                timeout=120,
                check=False,
            )
        peak = folder / "peak.txt"
        written = {
            p.relative_to(folder).parts for p in folder.rglob("*") if p.is_file() and p not in {out, peak}
        }
        assert all(parts[:2] == ("here", "qalita-report") for parts in written), written
        document = folder / "here" / "qalita-report" / "ingest.json"
        lines = document.read_text().splitlines() if document.exists() else []
        text = out.read_text()
        assert "Traceback" not in text
        for secret in (*backends.AWS.values(), backends.KEY, backends.OTHER_KEY, "Zs03BearerTokenXv"):
            assert secret not in text
            assert not any(secret in line for line in lines)
        documents = [json.loads(line) for line in lines]
        return Told(process.returncode, text, documents, int(peak.read_text()) * 1024)

    return ingest


HERE: dict[tuple[str, ...], Told] = {}


@pytest.fixture
def local(ingest) -> Callable[..., Told]:
    """The same of files of this machine, each asked for once."""

    def local(*args: str) -> Told:
        if args not in HERE:
            HERE[args] = ingest(*args)
        return HERE[args]

    return local


@pytest.fixture(params=NAMES)
def store(request) -> backends.Store:
    running = request.getfixturevalue(request.param)
    return running.store if request.param == "web" else running


@pytest.fixture
def at(store, request) -> Callable[[str], str]:
    """A folder of this test's own in the store: the address of a path there."""
    folder = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return lambda path="": f"{store.root}/{folder}/{path}"


@pytest.fixture
def put(store, at) -> Callable[[str, bytes], None]:
    return lambda path, data: store.put(at(path).removeprefix(f"{store.root}/"), data)


@pytest.fixture
def put_folder(put) -> Callable[[Path, str], None]:
    """Every artifact of a folder, as it lies there."""

    def put_folder(folder: Path, where: str) -> None:
        for path in sorted(folder.iterdir()):
            if ".json" in path.name:
                put(f"{where}{path.name}", path.read_bytes())

    return put_folder
