"""Published once, whatever happens: many publishes over both APIs through a network that loses, doubles, delays and
spoils what it carries, and clients that are killed. Afterwards the platform's database is compared with the documents.

The seed is printed; QALITA_FAULT_SEED repeats it, QALITA_FAULT_N says how many publishes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from qalita_action import publish
from qalita_action.model import Receipt, Target, to_json
from qalita_action.publish import spool
from qalita_action.publish.results_files import files
from qalita_action.redact import Secret
from qalita_action.sandbox.server import stored_document
from tests.artifact_sets import BASE
from tests.end_to_end.fault_proxy import Ticket, between
from tests.make_ingest import TOOL, make_ingest

N = int(os.environ.get("QALITA_FAULT_N") or 60)
SEED = os.environ.get("QALITA_FAULT_SEED") or str(random.SystemRandom().randrange(10**9))
WORKERS = 4
PROJECTS = 20
ATTEMPTS = 8  # of one publish; the last ones go through a network that works
PAGE = b"<!doctype html><title>run</title>"
BUILD = BASE / "1.10" / "build"
START = datetime(2026, 3, 1, tzinfo=timezone.utc)
SERVER = """
import sys
from pathlib import Path
from qalita_action import sandbox
sandbox.serve("127.0.0.1", 0, Path(sys.argv[1]), quirks=sandbox.Quirks(max_batch=7))
"""


def now():
    return datetime.now(timezone.utc)


@pytest.fixture
def folder():
    """In memory where there is such a place: a thousand publishes wait for the disk some ten thousand times."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def platform(folder):
    """(url, token, database) of a stand-in in a process of its own."""
    database = folder / "platform.db"
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(database)], stdout=subprocess.PIPE, text=True, cwd=folder
    )
    lines = [process.stdout.readline().strip() for _ in range(3)]
    try:
        yield lines[1].partition("=")[2], lines[2].partition("=")[2], database
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()


class Publish:
    """One run of dbt and all that is done to bring it over. ingest is what must be there in the end."""

    def __init__(self, n: int, proxy, token: str, folder: Path) -> None:
        rng = random.Random(f"{SEED}/{n}")
        self.n, self.proxy, self.token = n, proxy, token
        self.api = rng.choice(("ingestion", "results"))
        self.kind = rng.choices(("flaky", "down", "killed", "again", "clean"), (50, 12, 15, 15, 8))[0]
        self.rng = rng
        self.project = f"p{n % PROJECTS}" if self.kind != "killed" else f"k{n}"
        self.folder = folder / str(n)
        self.folder.mkdir()
        self.ticket = proxy.tickets[str(n)] = Ticket(f"{SEED}/{n}")
        self.receipts: list = []
        self.ingest = make_ingest(
            rng.randrange(1, 16), 1, project=self.project, run_id=f"run-{n}",
            completed_at=(START + timedelta(hours=n)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )  # fmt: skip

    def connection(self):
        target = Target(
            api=self.api,
            endpoint=f"{self.proxy.url}/{self.n}",
            token=Secret(self.token),
            tool=TOOL,
            timeout_s=30.0,
        )
        connection = publish.connect(target, now=now())
        quick = msgspec.structs.replace(
            connection.options, attempts=3, wait_initial_s=0.001, wait_max_s=0.004, wait_jitter_s=0
        )
        return msgspec.structs.replace(connection, options=quick)

    def send(self, path: Path):
        spooled = spool.load(path)
        (receipt,) = publish.send_each(
            self.connection(), [spooled.ingest], [spooled.page], [path], is_change=False, now=now
        )
        assert (receipt.spool is not None) == path.exists(), (
            "a run is on the platform, or in a file that is named"
        )
        self.receipts.append(receipt)
        return receipt

    def until_there(self, path: Path) -> None:
        """Replays until it is there, as people and machines would. The network gets better with time."""
        for attempt in range(ATTEMPTS):
            self.ticket.next_attempt(chance=0.0 if attempt > ATTEMPTS - 3 else 0.2 / (attempt + 1))
            if self.send(path).status in ("recorded", "already-recorded"):
                return
        raise AssertionError(f"publish {self.n} never arrived: {self.receipts[-1].error_text}")

    def run(self) -> None:
        if self.kind == "killed":
            self.killed()
            return
        path = spool.write(self.ingest, PAGE, self.folder)
        self.ticket.next_attempt(chance=0.0 if self.kind == "clean" else 0.15, down=self.kind == "down")
        receipt = self.send(path)
        if self.kind == "down":
            assert receipt.status == "not-delivered" and receipt.exit_code == 4
        if receipt.spool is not None:
            self.until_there(path)
        if self.kind == "again":
            self.again()

    def again(self) -> None:
        """The job is run again, elsewhere, under other ids: the same run."""
        other = msgspec.structs.replace(
            self.ingest, run=msgspec.structs.replace(self.ingest.run, ci=msgspec.structs.replace(
                self.ingest.run.ci, job_id=f"9{self.n}", attempt=2
            ))
        )  # fmt: skip
        self.until_there(spool.write(other, PAGE, self.folder / "elsewhere"))
        assert self.receipts[-1].status == "already-recorded"

    def killed(self) -> None:
        """kill -9 at some call, then `replay` on what is left."""
        env = {
            **{name: value for name, value in os.environ.items() if name == "PYTHONPATH"},
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "QALITA_API": self.api,
            "QALITA_WORKER_ENDPOINT": f"{self.proxy.url}/{self.n}", "QALITA_WORKER_TOKEN": self.token,
        }  # fmt: skip
        self.ticket.kill_after = self.rng.random() < 0.5
        self.ticket.kill_at = self.rng.randrange(1, 19 if self.api == "ingestion" else 16)
        command = [
            "dbt",
            str(BUILD),
            "--project",
            self.project,
            "--run-id",
            str(self.n),
            "--fail-on",
            "never",
        ]
        self.ticket.process = child = subprocess.Popen(
            [sys.executable, "-m", "qalita_action", *command], cwd=self.folder, env=env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert child.wait(60) in (-signal.SIGKILL, 0)
        left = list((self.folder / "qalita-spool").glob("*.json.gz"))
        assert left or child.returncode == 0, "a run that was killed waits in a file"
        if not left:
            self.ingest = None
            return
        self.ingest = spool.read(left[0])
        done = subprocess.run(
            [sys.executable, "-m", "qalita_action", "replay", "qalita-spool", "--output", "json"],
            cwd=self.folder, env=env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self.receipts += [msgspec.json.decode(line, type=Receipt) for line in done.stdout.splitlines()]


def test_every_run_is_there_once(platform, folder):
    url, token, database = platform
    # msgspec learns a type when it is first decoded, and two threads that do it at once wait for each other for ever.
    warm = spool.write(make_ingest(), PAGE, folder / "warm")
    spool.Journal(warm).add(spool.Entry(call="", digest="", status=200))
    assert spool.load(warm) and spool.Journal(warm).entries
    began = time.monotonic()
    print(f"\nQALITA_FAULT_SEED={SEED} QALITA_FAULT_N={N}")
    with between(url) as proxy:
        all_of_them = [Publish(n, proxy, token, folder) for n in range(N)]
        lanes = defaultdict(list)  # one publisher for one source
        for one in all_of_them:
            lanes[one.n % PROJECTS % WORKERS].append(one)
        with ThreadPoolExecutor(WORKERS) as pool:
            for done in [
                pool.submit(lambda lane=lane: [one.run() for one in lane]) for lane in lanes.values()
            ]:
                done.result()
    kinds = Counter(f"{one.kind} over {one.api}" for one in all_of_them)
    print(f"{N} publishes in {time.monotonic() - began:.0f} s, {proxy.requests} requests: {dict(kinds)}")
    print(f"faults: {dict(proxy.injected.most_common())}")
    known = [one for one in all_of_them if one.ingest is not None]
    with sqlite3.connect(database) as db:
        db.row_factory = sqlite3.Row
        compare_ingestion(db, database, [one for one in known if one.api == "ingestion"])
        twice = compare_results(db, [one for one in known if one.api == "results"])
    db.close()
    print(f"stands twice, and is told: {dict(twice)}")


def compare_ingestion(db, database: Path, sent: list[Publish]) -> None:
    """Every run once, complete, equal to its document row for row, and not a row more."""
    states = Counter((row["key"], row["state"]) for row in db.execute("select key, state from runs"))
    assert states == Counter((one.ingest.run.key, "complete") for one in sent)
    for one in sent:
        stored = stored_document(database, one.ingest.run.key)
        expected = json.loads(to_json(one.ingest))
        stored["run"]["ci"] = expected["run"]["ci"]  # of whichever attempt opened it last
        assert {**stored, "state": None} == {**expected, "state": None}, f"publish {one.n}"
    for kind in ("datasets", "checks", "results", "causes"):
        (count,) = db.execute(f"select count(*) from {kind}").fetchone()
        assert count == sum(len(getattr(one.ingest, kind)) for one in sent), kind


def compare_results(db, sent: list[Publish]) -> Counter:
    """Nothing lost, one closed job a run, and what stands twice is what the receipts say may."""
    jobs = defaultdict(list)
    for row in db.execute("select name, status from jobs where kind = 'pack'"):
        jobs[row["name"].rsplit(" ", 1)[1]].append(row["status"])
    for one in sent:
        assert sorted(set(jobs[one.ingest.run.key]) - {"failed"}) == ["succeeded"], one.n
        assert jobs[one.ingest.run.key].count("succeeded") == 1, one.n
    names = Counter(
        row["name"]
        for row in db.execute("select name from sources where id in (select source_id from uploads)")
    )
    assert set(names.values()) <= {1}
    told: Counter = Counter()
    for source, runs in grouped(sent).items():
        notes = Counter(
            kind
            for one in runs
            for note in {note for receipt in one.receipts for note in receipt.notes if "twice" in note}
            for kind in ("metrics", "recommendations", "schemas", "figures", "page")
            if kind in note
        )
        for kind, columns, rows in (
            ("metrics", ("key", "value", "scope"), lambda f: f.metrics),
            ("recommendations", ("content", "level", "scope"), lambda f: f.recommendations),
        ):
            expected = Counter(identity(row, columns) for one in runs for row in rows(files(one.ingest)))
            query = f"select t.* from {kind} t join sources s on s.id = t.source_id where s.name = ?"
            actual = Counter(identity(row, columns) for row in db.execute(query, (source,)))
            assert not expected - actual, f"{kind} of {source} are lost"
            if actual - expected:
                assert notes[kind], f"{kind} of {source} stand twice, and nobody says so"
                told[kind] += 1
        for kind in ("schemas", "figures"):
            query = "select count(*) from uploads u join sources s on s.id = u.source_id where s.name = ? and kind = ?"
            (count,) = db.execute(query, (source, kind)).fetchone()
            assert len(runs) <= count <= len(runs) + (ATTEMPTS * 3 if notes[kind] else 0), (
                kind,
                source,
                notes,
            )
            told[kind] += count - len(runs)
        query = (
            "select count(*) from outputs o join jobs j on j.id = o.job_id join sources s on s.id = j.source_id"
            " where s.name = ? and j.status = 'succeeded'"
        )
        (count,) = db.execute(query, (source,)).fetchone()
        assert len(runs) <= count <= len(runs) + (ATTEMPTS * 3 if notes["page"] else 0), (source, notes)
        told["page"] += count - len(runs)
    return +told


def grouped(sent: list[Publish]) -> dict[str, list[Publish]]:
    found = defaultdict(list)
    for one in sent:
        found[one.ingest.source.name].append(one)
    return found


def identity(row, columns) -> tuple:
    """As text, which is what the platform makes of values."""
    found = []
    for name in columns:
        value = row[name]
        if name == "scope":
            value = json.dumps(json.loads(value) if isinstance(value, str) else value, sort_keys=True)
        found.append(value if isinstance(value, str) else json.dumps(value))
    return tuple(found)
