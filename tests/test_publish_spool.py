"""What is on disk before the first byte goes out, and what a crash leaves."""

from __future__ import annotations

import gzip
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from make_ingest import make_ingest

from qalita_action.errors import ArtifactError, SettingsError
from qalita_action.model import to_json
from qalita_action.publish import spool

PAGE = "<!doctype html><p>é</p>".encode()


def test_what_was_written_is_read(tmp_path):
    ingest = make_ingest(30, 4, warned=2, errored=1, skipped=3)
    path = spool.write(ingest, PAGE, tmp_path / "spool")
    assert path.name == f"{ingest.run.key}.json.gz"
    assert spool.read(path) == ingest
    assert to_json(spool.read(path)) == to_json(ingest)
    assert spool.load(path).page == PAGE
    assert list(spool.waiting(path.parent)) == [path]


def test_nobody_else_reads_it_and_nothing_else_is_left(tmp_path):
    path = spool.write(make_ingest(), PAGE, tmp_path / "spool")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_same_run_gives_the_same_bytes(tmp_path):
    first = spool.write(make_ingest(), PAGE, tmp_path).read_bytes()
    assert spool.write(make_ingest(), PAGE, tmp_path).read_bytes() == first


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError) as caught:
        spool.write(make_ingest(), PAGE, tmp_path / "file" / "spool")
    assert caught.value.code == "spool-unwritable"


def damaged(path: Path, how) -> None:
    path.write_bytes(how(path.read_bytes()))


def changed(raw: bytes, **members) -> bytes:
    return gzip.compress(json.dumps({**json.loads(gzip.decompress(raw)), **members}).encode())


@pytest.mark.parametrize(
    "how",
    [
        lambda raw: b"",
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:],
        lambda raw: b"not gzip",
        lambda raw: gzip.compress(b"not json"),
        lambda raw: gzip.compress(b"[]"),
        lambda raw: changed(raw, spool=2),
        lambda raw: changed(raw, page="PGh0bWw+"),
        lambda raw: changed(raw, page="*"),
        lambda raw: changed(raw, document='{"schemaVersion": "1"}'),
        lambda raw: changed(
            raw, document=json.loads(gzip.decompress(raw))["document"].replace("failed", "passed")
        ),
    ],
)
def test_what_was_damaged_or_changed_is_refused(tmp_path, how):
    path = spool.write(make_ingest(), PAGE, tmp_path)
    damaged(path, how)
    with pytest.raises(ArtifactError) as caught:
        spool.read(path)
    assert caught.value.code == "spool-unreadable"


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ArtifactError):
        spool.read(tmp_path / "nothing.json.gz")


WRITER = """
import sys, os
sys.path.insert(0, {tests!r})
from pathlib import Path
from make_ingest import make_ingest
from qalita_action.publish import spool
for n in range(100000):
    path = spool.write(make_ingest(200, n % 7), b"page " * 1000, Path({folder!r}))
    if n == 3:
        print(path, flush=True)
"""


def test_kill_nine_leaves_a_whole_file(tmp_path):
    code = WRITER.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "spool"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    path = Path(process.stdout.readline().strip())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(spool.read(path).checks) == 200
    assert list(spool.waiting(path.parent)) == [path]
    spool.write(make_ingest(200, 0), b"", path.parent)
    assert spool.read(path) == make_ingest(200, 0)


def test_done_means_gone(tmp_path):
    path = spool.write(make_ingest(), PAGE, tmp_path / "spool")
    spool.Journal(path).add(spool.Entry(call="run/0", digest="d", status=201))
    other = spool.write(make_ingest(project="other"), PAGE, tmp_path / "spool")
    spool.discard(path)
    assert list(path.parent.iterdir()) == [other]
    spool.discard(other)
    assert not path.parent.exists()
    spool.discard(other)


# ---------------------------------------------------------------- the journal


def entry(n: int) -> spool.Entry:
    return spool.Entry(call=f"results/{n}", digest=f"digest-{n}", status=200)


def test_the_journal_outlives_the_process(tmp_path):
    path = spool.write(make_ingest(), PAGE, tmp_path)
    spool.Journal(path).add(entry(1))
    spool.Journal(path).add(entry(2))
    again = spool.Journal(path)
    assert again.entries == (entry(1), entry(2))
    assert again.find("results/1", "digest-1") == entry(1)
    assert again.find("results/1", "another") is None
    journal = spool.journal_path(path)
    assert journal.name == f"{make_ingest().run.key}.journal"
    assert [json.loads(line)["call"] for line in journal.read_text().splitlines()] == [
        "results/1",
        "results/2",
    ]
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600


def test_a_line_that_a_crash_cut_is_no_acknowledgement(tmp_path):
    path = spool.write(make_ingest(), PAGE, tmp_path)
    spool.Journal(path).add(entry(1))
    with spool.journal_path(path).open("ab") as file:
        file.write(b'{"call": "results/2", "dig')
    again = spool.Journal(path)
    assert again.entries == (entry(1),)
    again.add(entry(3))
    assert spool.Journal(path).entries == (entry(1), entry(3))


def test_threads_do_not_tear_lines(tmp_path):
    path = spool.write(make_ingest(), PAGE, tmp_path)
    journal = spool.Journal(path)
    threads = [threading.Thread(target=journal.add, args=(entry(n),)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {e.call for e in spool.Journal(path).entries} == {f"results/{n}" for n in range(40)}


def test_a_journal_that_cannot_be_written_stops_nothing(tmp_path):
    journal = spool.Journal(tmp_path / "nowhere" / "x.json.gz")
    journal.add(entry(1))
    assert journal.find("results/1", "digest-1") == entry(1)
    without = spool.Journal(None)
    without.add(entry(2))
    assert without.entries == (entry(2),)
