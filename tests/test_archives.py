"""Archives of dbt's artifacts: the same run as from the folder, nothing on disk, and no archive fills the memory."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import archive_makers as make
import pytest
from archive_makers import MIB, SAMPLE, a_tar, a_tar_zst, a_tgz, a_zip, sample, zstd
from artifact_sets import BASE
from command import run
from hypothesis import given, settings
from hypothesis import strategies as st

from qalita_action.dbt.decode import read_bytes
from qalita_action.dbt.sources import archives
from qalita_action.errors import ArtifactError

DRY = ("--dry-run", "--output", "json")
OFFLINE = ("--publish", "never")
LIMIT = 1 << 30


def found(data: bytes | Path, limit: int = LIMIT):
    return archives.runs(data, "target.zip", limit=limit, is_elsewhere=False)


def refusal(data: bytes | Path, limit: int = LIMIT) -> ArtifactError:
    """What is said of an archive, or of the first artifact in it that cannot be read."""
    with pytest.raises(ArtifactError) as e:
        for one in found(data, limit):
            for artifact in (one.manifest, *one.results):
                read_bytes(artifact, limit)
    return e.value


def documents(*args: str, cwd: Path, **env) -> str:
    process = run("dbt", *args, *DRY, cwd=cwd, **env)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def of_the_folder(tmp_path_factory) -> str:
    """The document of the folder, which knows nothing of archives."""
    folder = tmp_path_factory.mktemp("folder")
    shutil.copytree(SAMPLE, folder / "target")
    return documents("target", cwd=folder)


# ------------------------------------------------------------------ the same run

GOOD = {
    "target.zip": lambda e: a_zip(e),
    "stored.zip": lambda e: a_zip(e, zipfile.ZIP_STORED),
    "zip64.zip": lambda e: make.zip64(a_zip(e)),
    "self-extracting.zip": lambda e: b"#!/bin/sh\nexec unzip -q $0\n" + a_zip(e),
    "powershell.zip": lambda e: a_zip({k.replace("/", "\\"): v for k, v in e.items()}),
    "workspace.zip": lambda e: a_zip(make.a_workspace(e)),
    "a download without a suffix": lambda e: a_zip(e),
    "target.tar": lambda e: a_tar(e),
    "posix.tar": lambda e: a_tar(e, tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 2000}),
    "ustar.tar": lambda e: a_tar(e, tarfile.USTAR_FORMAT),
    "from here.tar.gz": lambda e: a_tgz({f"./{k}": v for k, v in e.items()}),
    "artifacts.tar.gz": lambda e: a_tgz(e),
    "in pieces.tgz": lambda e: b"".join(
        gzip.compress(a_tar(e)[i : i + MIB // 4]) for i in range(0, MIB, MIB // 4)
    ),
    "workspace.tar.gz": lambda e: a_tgz(make.a_workspace(e)),
    "artifacts.tar.zst": lambda e: a_tar_zst(e),
    "a name that lies.zip": lambda e: a_tgz(e),
    "packed each.zip": lambda e: a_zip({f"{k}.gz": gzip.compress(v) for k, v in e.items()}),
    "packed each.tar": lambda e: a_tar({f"{k}.zst": zstd.compress(v) for k, v in e.items()}),
}


@pytest.mark.parametrize("name", GOOD)
def test_an_archive_is_the_run_of_its_folder(name, tmp_path, of_the_folder):
    (tmp_path / name).write_bytes(GOOD[name](sample()))
    made = documents(name, cwd=tmp_path)
    assert made == of_the_folder, "byte for byte: run key and content digest too"
    assert json.loads(made)["ledger"]["data_test"]["failed"]
    assert [p.name for p in tmp_path.iterdir()] == [name], "nothing is unpacked to disk"


@pytest.mark.parametrize("which", ["1.8/build", "1.10/build", "2.0rc196/build"])
def test_real_artifacts_of_other_versions(which, tmp_path):
    shutil.copytree(BASE / which, tmp_path / "folder")
    (tmp_path / "target.zip").write_bytes(a_zip(sample("target", BASE / which)))
    (tmp_path / "target.tgz").write_bytes(a_tgz(sample("", BASE / which)))
    expected = documents("folder", cwd=tmp_path)
    assert documents("target.zip", cwd=tmp_path) == expected
    assert documents("target.tgz", cwd=tmp_path) == expected


@pytest.mark.parametrize("pack", [a_zip, a_tgz, a_tar_zst])
def test_each_project_of_an_archive_is_a_run_of_its_own(pack, tmp_path, of_the_folder):
    build = BASE / "1.10" / "build"
    entries = {**sample("weather/target"), **sample("shop/target", build)}
    (tmp_path / "workspace").write_bytes(pack(entries))
    shutil.copytree(build, tmp_path / "folder")
    expected = {*of_the_folder.splitlines(), *documents("folder", cwd=tmp_path).splitlines()}
    assert set(documents("workspace", cwd=tmp_path).splitlines()) == expected
    assert len(expected) == 2


@pytest.mark.parametrize("extra", [(), ("--artifacts-since", "2030-01-01T00:00:00Z"), ("--max-age", "1h")])
def test_age_is_judged_as_that_of_a_folder_that_was_named(extra, tmp_path):
    """Named files are meant, whenever they were written; who limits their age is heard."""
    is_refused = "--max-age" in extra
    (tmp_path / "target.tgz").write_bytes(a_tgz(sample()))
    shutil.copytree(SAMPLE, tmp_path / "folder")
    env = {"GITLAB_CI": "true", "CI_PIPELINE_CREATED_AT": "2030-01-01T00:00:00Z"}
    here = run("dbt", "target.tgz", *DRY, *extra, cwd=tmp_path, env=env)
    there = run("dbt", "folder", *DRY, *extra, cwd=tmp_path, env=env)
    assert (here.returncode, here.stdout) == (there.returncode, there.stdout)
    assert here.returncode == (3 if is_refused else 0), here.stderr
    assert ("artifacts-stale" in here.stderr) is is_refused


def test_the_report_of_an_archive_is_written_as_ever(tmp_path):
    (tmp_path / "target.zip").write_bytes(a_zip(sample()))
    process = run("dbt", "target.zip", *OFFLINE, cwd=tmp_path)
    assert process.returncode == 1, "the sample's checks fail"
    assert "no_reading_twice" in process.stdout
    assert (tmp_path / "qalita-report" / "report.html").is_file()


# ------------------------------------------------------------------ what is an archive


def test_told_by_content(tmp_path):
    manifest = sample()["target/manifest.json"]
    contents = {
        "a": (a_zip({"x": b"1"}), True),
        "b": (a_tar({"x": b"1"}), True),
        "c": (a_tgz({"x": b"1"}), True),
        "d": (a_tar_zst({"x": b"1"}), True),
        "e": (lzma.compress(a_tar({"x": b"1"})), True),
        "f.zip": (manifest, False),
        "g.tar.gz": (gzip.compress(manifest), False),
        "h.tar.zst": (zstd.compress(manifest), False),
        "i": (b"", False),
        "j.json": (b'{"sql": "' + a_zip({"x": b"1"}) + b'"}', False),
        "k.gz": (gzip.compress(manifest)[:30], False),
    }
    for name, (data, _) in contents.items():
        (tmp_path / name).write_bytes(data)
    assert {n: archives.holds_archive(tmp_path / n) for n in contents} == {
        n: v for n, (_, v) in contents.items()
    }
    assert not archives.holds_archive(tmp_path / "nothing")
    assert not archives.holds_archive(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in ("a/T.ZIP", "b.tar", "c.tar.gz", "d.tgz", "e.tar.zst")),
        *((name, False) for name in ("manifest.json", "manifest.json.gz", "zip", "target/")),
    ],
)
def test_told_by_suffix(name, expected):
    assert archives.is_archive(name) is expected


def test_a_packed_artifact_is_no_archive(tmp_path, of_the_folder):
    for name, data in sample("").items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
    assert documents("manifest.json.gz", cwd=tmp_path) == of_the_folder


@pytest.mark.parametrize("flag", ["--manifest", "--results", "--sources"])
def test_an_archive_where_one_artifact_is_asked_for(flag, tmp_path):
    (tmp_path / "target.zip").write_bytes(a_zip(sample()))
    process = run("dbt", flag, "target.zip", *OFFLINE, cwd=tmp_path)
    assert process.returncode == 3
    assert "target.zip is an archive, and no artifact [artifact-unreadable]" in process.stderr
    assert (
        "next: give the archive as PATH, and its artifacts are found: qalita-ingest dbt target.zip"
        in process.stderr
    )


# ------------------------------------------------------------------ what cannot be read

UNREADABLE, TOO_LARGE, NOTHING = "archive-unreadable", "archive-too-large", "artifacts-not-found"


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def bad_crc() -> bytes:
    data = a_zip(sample(), zipfile.ZIP_STORED)
    return flipped(data, data.index(b'"dbt_schema_version"') + 30)


def before_second(data: bytes) -> bytes:
    """A plain tar cut where its second member begins: each member that is left is whole."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return data[: archive.getmembers()[1].offset]


def broken_header(data: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return flipped(data, archive.getmembers()[1].offset + 150)


MANIFEST = "target/manifest.json"
BAD = {
    "zip of nothing": (lambda: a_zip({}), NOTHING, "holds no dbt artifacts"),
    "tar of nothing": (lambda: a_tgz({}), NOTHING, "holds no dbt artifacts"),
    "other files": (lambda: a_zip({"a.txt": b"1", "web/manifest.js": b"{}"}), NOTHING, "pack target/*.json"),
    "an archive in it": (lambda: a_zip({"target.tar.gz": a_tgz(sample())}), NOTHING, "are not opened"),
    "no bytes": (lambda: b"", UNREADABLE, "neither a zip nor a tar"),
    "a login page": (lambda: b"<!DOCTYPE html><html></html>", UNREADABLE, "neither a zip nor a tar"),
    "packed, and no tar": (lambda: gzip.compress(sample()[MANIFEST]), UNREADABLE, "cannot be read: "),
    "tar.xz": (lambda: lzma.compress(a_tar(sample())), UNREADABLE, "it is packed with xz"),
    "half a zip": (lambda: a_zip(sample())[:50_000], UNREADABLE, "it ends in the middle"),
    "half a tar": (lambda: a_tar(sample())[:50_000], UNREADABLE, "ends in the middle|unexpected end of data"),
    "half a tar.gz": (lambda: a_tgz(sample())[:50_000], UNREADABLE, "it ends in the middle"),
    "half a tar.zst": (lambda: a_tar_zst(sample())[:30_000], UNREADABLE, "it ends in the middle"),
    "tar without its end": (lambda: before_second(a_tar(sample())), UNREADABLE, "it ends in the middle"),
    "tar.gz without its last bytes": (lambda: a_tgz(sample())[:-4], UNREADABLE, "it ends in the middle"),
    "tar with a broken header": (lambda: broken_header(a_tar(sample())), UNREADABLE, "damaged in the middle"),
    "bad CRC in a zip": (bad_crc, UNREADABLE, "Bad CRC-32"),
    "bad CRC of a tar.gz": (lambda: flipped(a_tgz(sample()), -6), UNREADABLE, "CRC check failed"),
    "encrypted": (
        lambda: make.states(a_zip(sample()), MANIFEST, flags=1),
        UNREADABLE,
        "target/manifest.json cannot be read: it is encrypted",
    ),
    "bzip2 in a zip": (
        lambda: a_zip(sample(), zipfile.ZIP_BZIP2),
        UNREADABLE,
        "target/manifest.json cannot be read: its compression is bzip2, not deflate",
    ),
    "more than it states": (
        lambda: make.states(a_zip(sample()), MANIFEST, size=1000),
        UNREADABLE,
        "target/manifest.json cannot be read: ",
    ),
    "less than it states": (
        lambda: make.states(a_zip(sample()), MANIFEST, size=10 * MIB),
        UNREADABLE,
        "states 10,485,760",
    ),
    "bomb in a zip": (
        lambda: a_zip({**sample(), MANIFEST: b" " * (64 * MIB)}),
        TOO_LARGE,
        "target/manifest.json unpacks to more than 200 times its size",
    ),
    "bomb in a tar.gz": (
        lambda: a_tgz({**sample(), MANIFEST: b" " * (64 * MIB)}),
        TOO_LARGE,
        "target/manifest.json unpacks to more than 200 times its size",
    ),
    "bomb in a tar.zst": (
        lambda: a_tar_zst({**sample(), MANIFEST: b" " * (64 * MIB)}),
        TOO_LARGE,
        "target/manifest.json unpacks to more than 200 times its size",
    ),
    "no results": (lambda: a_zip({MANIFEST: b"{}"}), "results-not-found", "nothing says that a test ran"),
    "no manifest": (lambda: a_tgz({"target/run_results.json": b"{}"}), "manifest-not-found", "no manifest.json"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_archive_is_named_with_the_reason(kind, tmp_path):
    data, code, word = BAD[kind]
    (tmp_path / "target.tar.gz").write_bytes(data())
    process = run("dbt", "target.tar.gz", *OFFLINE, cwd=tmp_path)
    assert process.returncode == 3, process.stderr
    assert process.stderr.startswith("target.tar.gz"), process.stderr
    assert f"[{code}]" in process.stderr
    assert any(w in process.stderr for w in word.split("|")), process.stderr
    assert "next:" in process.stderr
    assert f"docs/errors.md#{code}" in process.stderr
    assert "Traceback" not in process.stderr
    assert process.stdout == ""


def test_bad_artifacts_of_an_archive_are_told_together(tmp_path):
    entries = {**sample(), MANIFEST: b"[1]", "target/run_results.json": b"no json"}
    (tmp_path / "target.zip").write_bytes(a_zip(entries))
    process = run("dbt", "target.zip", *OFFLINE, cwd=tmp_path)
    assert process.returncode == 3
    assert "target.zip: target/manifest.json was not written by dbt" in process.stderr
    assert "[artifact-not-json]" in process.stderr


def test_a_file_that_cannot_be_opened_or_has_gone(tmp_path):
    path = tmp_path / "target.zip"
    path.write_bytes(a_zip(sample()))
    (one,) = found(path)
    path.unlink()
    with pytest.raises(ArtifactError, match=r"target\.zip cannot be read: No such file"):
        one.manifest.load()


def test_a_catalog_that_cannot_be_read_costs_the_types_alone(tmp_path):
    entries = {**sample(), "target/catalog.json": b" " * (64 * MIB)}
    (tmp_path / "target.zip").write_bytes(a_zip(entries))
    made = json.loads(documents("target.zip", cwd=tmp_path))
    assert [w["code"] for w in made["run"]["warnings"]].count("catalog-left-out") == 1


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize("pack", [a_zip, a_tar, a_tgz, a_tar_zst])
def test_one_artifact_over_the_limit(pack, tmp_path):
    (tmp_path / "target.zip").write_bytes(pack(sample()))
    process = run("dbt", "target.zip", "--max-artifact-size", "100KiB", *OFFLINE, cwd=tmp_path)
    assert process.returncode == 3
    assert "target.zip: target/manifest.json has 721,716 bytes [artifact-too-large]" in process.stderr
    assert "--max-artifact-size" in process.stderr
    assert "run_results.json" not in process.stderr


@pytest.mark.parametrize("pack", [a_zip, a_tgz])
def test_an_artifact_that_is_packed_in_the_archive_is_bounded_too(pack):
    bomb = gzip.compress(b" " * (8 * MIB))
    error = refusal(pack({"manifest.json.gz": bomb, "run_results.json": b"{}"}), MIB)
    assert error.code == "artifact-too-large"
    assert error.what == "target.zip: manifest.json.gz unpacks to more than 1,048,576 bytes"


def test_all_artifacts_of_a_zip_together():
    entries = {f"{i}/{name}": b"{}" for i in range(3) for name in ("manifest.json", "run_results.json")}
    data = a_zip(entries)
    for i in range(3):
        data = make.states(data, f"{i}/manifest.json", size=0xF0000000)
    error = refusal(data)
    assert (error.code, error.what) == (
        TOO_LARGE,
        "target.zip holds artifacts of more than 8,589,934,592 bytes",
    )


def test_artifacts_that_hardly_pack_are_not_kept_by_the_hundred():
    """What a tar held is kept packed while it waits: noise would stay as large as it is."""
    noise = random.Random(7).randbytes(20 * MIB)
    entries = {f"{i}/{name}": noise for i in range(2) for name in ("manifest.json", "run_results.json")}
    error = refusal(a_tar(entries), 32 * MIB)
    assert (error.code, error.what) == (TOO_LARGE, "target.zip holds artifacts that hardly pack")


@pytest.mark.parametrize("count", [100_001, 3_000_000])
def test_entries_of_a_zip_are_counted_before_they_are_taken_apart(count):
    start = time.process_time()
    error = refusal(make.zip_of_nothings(count))
    assert (error.code, error.what) == (TOO_LARGE, "target.zip has more than 100,000 entries")
    assert time.process_time() - start < 5


def test_entries_of_a_tar_are_counted():
    error = refusal(gzip.compress(make.tar_header("a", 0) * 100_001, 1))
    assert (error.code, error.what) == (TOO_LARGE, "target.zip has more than 100,000 entries")


def test_many_entries_are_no_reason(tmp_path):
    held = io.BytesIO(a_zip(sample()))
    with zipfile.ZipFile(held, "a") as archive:
        for i in range(5_000):
            archive.writestr(f"target/run/models/{i}.sql", b"")
    assert len(found(held.getvalue())[0].manifest.load()) == 721_716


# A process of its own tells what it took at most; getrusage would tell of pytest, from which it was forked.
CHILD = """
import sys, time
from pathlib import Path
from qalita_action.dbt.decode import read_bytes
from qalita_action.dbt.sources import archives
from qalita_action.errors import ArtifactError
limit, what = int(sys.argv[2]), "fine"
try:
    for one in archives.runs(Path(sys.argv[1]), "it", limit=limit, is_elsewhere=False):
        for artifact in (one.manifest, *one.results):
            read_bytes(artifact, limit)
except ArtifactError as e:
    what = e.code
status = Path("/proc/self/status")
if status.exists():
    peak = next(int(l.split()[1]) for l in status.read_text().splitlines() if l.startswith("VmHWM"))
else:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
print(what, peak / 1024, time.process_time())
"""


def child(path: Path, limit: int = LIMIT) -> tuple[str, float, float]:
    """What it said, the most memory it took in MiB, and its own seconds of a processor."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(limit)],
        capture_output=True,
        text=True,
        check=True,
        cwd=make.ROOT,
    )
    what, peak, seconds = done.stdout.split()
    return what, float(peak), float(seconds)


def test_memory_is_flat_for_a_large_archive_with_small_artifacts(tmp_path):
    """300 MB that are no artifacts, and a manifest of 5 MB: what is not wanted is not held."""
    entries = sample()
    noise = b"".join(zlib.compress(bytes([i]) * 999, 0) for i in range(256)) * 40
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", compresslevel=0) as archive:
        for name, data in [(f"target/run/{i}.bin", noise) for i in range(30)] + list(entries.items()):
            info = tarfile.TarInfo(name)
            info.size = len(data) if name != MANIFEST else 7 * len(data)
            archive.addfile(info, io.BytesIO(data if name != MANIFEST else data * 7))
    assert (tmp_path / "a.tar.gz").stat().st_size > 300_000_000
    what, peak, _ = child(tmp_path / "a.tar.gz")
    assert what == "fine"
    assert peak < 80


def test_a_hundred_gigabytes_are_not_walked(tmp_path):
    """A member that nobody wants costs only the way past it: that way is bounded too."""
    head = gzip.compress(make.tar_header("target/run/zeros.bin", 100 << 30))
    (tmp_path / "a.tar.gz").write_bytes(head + make.zeros_gz(100 << 10))
    what, peak, seconds = child(tmp_path / "a.tar.gz")
    assert what == TOO_LARGE
    assert peak < 80
    assert seconds < 15


def test_all_that_is_unpacked_is_bounded_where_no_ratio_tells(tmp_path):
    """A little noise among zeros: 4 GiB are the end where an artifact may have 1 MiB."""
    piece = zstd.compress(random.Random(7).randbytes(MIB)) + zstd.compress(bytes(64 * MIB))
    head = zstd.compress(make.tar_header("target/run/zeros.bin", 5 << 30))
    (tmp_path / "a.tar.zst").write_bytes(head + piece * (5 << 10 >> 6))
    what, peak, _ = child(tmp_path / "a.tar.zst", MIB)
    assert what == TOO_LARGE
    assert peak < 80


def test_a_plain_tar_is_skipped_through(tmp_path):
    """Nothing unpacks, and nothing need be read to get past it."""
    rest = a_tar(sample())
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(make.tar_header("target/run/zeros.bin", 20 << 30))
        file.seek((20 << 30) + 512)  # a hole: it takes no room on the disk
        file.write(rest)
    what, peak, seconds = child(tmp_path / "a.tar")
    assert what == "fine"
    assert peak < 80
    assert seconds < 5
    with (tmp_path / "a.tar").open("r+b") as file:
        file.truncate(1 << 20)
    assert child(tmp_path / "a.tar")[0] == UNREADABLE


@pytest.mark.parametrize("pack", [a_zip, a_tgz, a_tar_zst])
def test_a_bomb_takes_no_memory(pack, tmp_path):
    (tmp_path / "a").write_bytes(pack({MANIFEST: bytes(256 * MIB), "target/run_results.json": b"{}"}))
    what, peak, _ = child(tmp_path / "a")
    assert what == TOO_LARGE
    assert peak < 120


def test_a_zip_that_states_less_than_it_holds_is_read_no_further(tmp_path):
    data = a_zip({MANIFEST: bytes(256 * MIB), "target/run_results.json": b"{}"})
    (tmp_path / "a.zip").write_bytes(make.states(data, MANIFEST, size=1000))
    what, peak, _ = child(tmp_path / "a.zip")
    assert what == UNREADABLE
    assert peak < 80


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_would_fill_the_memory(kind, tmp_path):
    data = gzip.compress(make.tar_header("x", 900 * MIB, kind)) + gzip.compress(b"1" * (64 * MIB)) * 15
    (tmp_path / "a.tgz").write_bytes(data)
    what, peak, _ = child(tmp_path / "a.tgz")
    assert what == UNREADABLE
    assert peak < 80


def test_a_header_of_digits_costs_no_minutes():
    body = b"1" * 60_000
    start = time.process_time()
    data = make.tar_header("x", len(body), tarfile.XHDTYPE) + body.ljust(60_416, b"\0")
    assert refusal((data + make.tar_header("a", 0)) * 20).code == UNREADABLE
    assert time.process_time() - start < 3


def test_a_header_that_points_back_ends(tmp_path):
    """Some tarfiles of Python go in circles then (CVE-2025-8194)."""
    header = bytearray(make.tar_header("a", 0))
    header[124:136] = b"\xff" * 4 + (-1024).to_bytes(8, "big", signed=True)
    header[148:156] = b"%06o\0 " % (256 + sum(header[:148]) + sum(header[156:512]))
    assert refusal(bytes(header) * 4 + bytes(1024)).code == UNREADABLE


# ------------------------------------------------------------------ names are only names

AWAY = (
    "../../etc/manifest.json", "../run_results.json", "/etc/manifest.json", "a/../../manifest.json", "C:/x/manifest.json",
    "C:\\x\\manifest.json", "..\\..\\manifest.json", "\\\\server\\share\\manifest.json", "//etc/manifest.json",
)  # fmt: skip


@pytest.mark.parametrize("pack", [a_zip, a_tar])
def test_names_that_lead_away_are_ignored(pack, tmp_path, of_the_folder):
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    away = dict.fromkeys(AWAY, b"{}")
    (here / "target.zip").write_bytes(
        pack({**away, **sample(), **{f"{name}/run_results.json": b"" for name in away}})
    )
    assert documents("target.zip", cwd=here) == of_the_folder
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "b", "target.zip"]


@pytest.mark.parametrize("pack", [a_zip, a_tar])
def test_an_archive_of_nothing_but_such_names(pack):
    assert refusal(pack(dict.fromkeys(AWAY, b"{}"))).code == NOTHING


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_of_a_tar_are_no_artifacts(kind):
    results = {"target/run_results.json": b"{}"}
    assert refusal(a_tar({**results, MANIFEST: make.tar_link(MANIFEST, kind)})).code == "manifest-not-found"
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:  # the file first: what is unpacked last is the link
        info = tarfile.TarInfo(MANIFEST)
        info.size = 2
        archive.addfile(info, io.BytesIO(b"{}"))
        archive.addfile(make.tar_link(MANIFEST, kind))
        archive.addfile(tarfile.TarInfo("target/run_results.json"))
    assert refusal(held.getvalue()).code == "manifest-not-found"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_of_a_zip_are_no_artifacts(kind):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("target/run_results.json", b"{}")
        archive.writestr(make.zip_link(MANIFEST, kind | 0o777), b"/etc/passwd")
    assert refusal(held.getvalue()).code == "manifest-not-found"


def test_folders_with_the_names_of_artifacts_are_no_artifacts():
    entries = {"manifest.json/": b"", "run_results.json": b"{}"}
    assert refusal(a_zip(entries)).code == "manifest-not-found"
    folder = make.tar_link("manifest.json", tarfile.DIRTYPE, "")
    assert refusal(a_tar({**entries, "manifest.json/": folder})).code == "manifest-not-found"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_one_name_the_last_counts_as_when_it_is_unpacked():
    pairs = [
        (MANIFEST, b"{}"),
        ("target/run_results.json", b"1"),
        (MANIFEST, b"[2]"),
        ("./target//manifest.json", b"[33]"),
    ]
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive, tarfile.open(fileobj=tarred, mode="w") as tar:
        for name, data in pairs:
            archive.writestr(name, data)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    for data in (zipped.getvalue(), tarred.getvalue(), gzip.compress(tarred.getvalue())):
        (one,) = found(data)
        assert one.manifest.load() == b"[33]"


def test_names_that_are_not_utf8(tmp_path, of_the_folder):
    tar = a_tar({k.replace("target", "caf\xe9"): v for k, v in sample().items()}, encoding="latin-1")
    assert b"caf\xe9/" in tar
    zipped = a_zip(sample("cafX")).replace(b"cafX/", b"caf\x82/")  # as zip wrote before UTF-8
    for data in (tar, zipped):
        (tmp_path / "target.zip").write_bytes(data)
        assert documents("target.zip", cwd=tmp_path) == of_the_folder
    (tmp_path / "target.zip").write_bytes(a_tar({"caf\xe9/manifest.json": b"{}"}, encoding="latin-1"))
    process = run("dbt", "target.zip", *OFFLINE, cwd=tmp_path)
    assert "[results-not-found]" in process.stderr
    assert "target.zip: caf" in process.stderr


def test_a_name_cannot_draw_on_the_terminal(tmp_path):
    name = "\x1b[2J\n::error::x/manifest.json"
    for data in (a_zip({name: b"{}"}), a_tar({name: b"{}"})):
        (tmp_path / "target.zip").write_bytes(data)
        process = run("dbt", "target.zip", *OFFLINE, cwd=tmp_path)
        assert "[results-not-found]" in process.stderr
        assert "\x1b" not in process.stderr
        assert not any(line.startswith("::") for line in process.stderr.splitlines())


# ------------------------------------------------------------------ what is found


@pytest.mark.parametrize("pack", [a_zip, a_tar, a_tgz, a_tar_zst])
def test_artifacts_are_read_when_wanted_and_again(pack, tmp_path):
    path = tmp_path / "target.zip"
    path.write_bytes(pack(sample()))
    for source in (path, path.read_bytes()):
        (one,) = archives.runs(source, "s3://b/target.zip", limit=LIMIT, is_elsewhere=True)
        assert str(one.directory) == "s3://b/target.zip/target"
        assert str(one.manifest) == "s3://b/target.zip: target/manifest.json"
        assert one.manifest.name == "manifest.json"
        assert one.is_elsewhere
        assert one.named
        assert one.manifest.load() == sample()[MANIFEST]
        assert one.manifest.load() == sample()[MANIFEST]
        assert [r.load() for r in one.results] == [sample()["target/run_results.json"]]
        assert one.sources.load() == sample()["target/sources.json"]


SEEDS = [
    a_zip({f"{i}/{n}": b'{"a": 1}' * 50 for i in range(2) for n in ("manifest.json", "run_results.json")}),
    a_tar({"a" * 120 + "/manifest.json": b"{}" * 400, "b/run_results.json": b"{}"}, tarfile.GNU_FORMAT),
    a_tar({"é" * 120 + "/manifest.json": b"{}" * 400, "b/run_results.json": b"{}"}, tarfile.PAX_FORMAT),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(max_size=12)), max_size=4),
    st.integers(0, 4000),
    st.sampled_from([bytes, gzip.compress, zstd.compress]),
)
def test_whatever_the_bytes_are_it_is_an_artifact_error(seed, edits, cut, packing):
    data = bytearray(seed)
    for at, new in edits:
        at %= len(data)
        data[at : at + len(new)] = new
    try:
        for one in found(packing(bytes(data[: len(data) - cut % len(data)])), MIB):
            for artifact in (one.manifest, *one.results):
                artifact.load()
    except ArtifactError:
        return


# ------------------------------------------------------------------ packed artifacts in a folder

PACKINGS = {".gz": gzip.compress, ".zst": zstd.compress}


@pytest.mark.parametrize("suffix", PACKINGS)
def test_artifacts_of_a_folder_may_be_packed_each(suffix, tmp_path, of_the_folder):
    (tmp_path / "target").mkdir()
    for name, data in sample("target").items():
        (tmp_path / f"{name}{suffix}").write_bytes(PACKINGS[suffix](data))
    assert documents("target", cwd=tmp_path) == of_the_folder


@pytest.mark.parametrize("suffix", PACKINGS)
def test_half_a_packed_artifact(suffix, tmp_path):
    for name, data in sample("").items():
        packed = PACKINGS[suffix](data)
        (tmp_path / f"{name}{suffix}").write_bytes(
            packed[: len(packed) // 2] if "manifest" in name else packed
        )
    process = run("dbt", f"manifest.json{suffix}", *OFFLINE, cwd=tmp_path)
    assert process.returncode == 3
    assert f"manifest.json{suffix} is not a whole " in process.stderr
    assert "[artifact-truncated]" in process.stderr


@pytest.mark.parametrize("suffix", PACKINGS)
def test_a_packed_artifact_that_unpacks_to_more_than_the_limit(suffix, tmp_path):
    bomb = tmp_path / f"manifest.json{suffix}"
    bomb.write_bytes(make.zeros_gz(512) if suffix == ".gz" else zstd.compress(bytes(512 * MIB)))
    (tmp_path / "run_results.json").write_bytes(sample("")["run_results.json"])
    process = run("dbt", bomb.name, "--max-artifact-size", "20MiB", *OFFLINE, cwd=tmp_path)
    assert process.returncode == 3
    assert "unpacks to more than 20,971,520 bytes [artifact-too-large]" in process.stderr
    inside = a_zip({bomb.name: bomb.read_bytes(), "run_results.json": b"{}"}, zipfile.ZIP_STORED)
    (tmp_path / "a.zip").write_bytes(inside)
    what, peak, _ = child(tmp_path / "a.zip", 20 * MIB)
    assert what == "artifact-too-large"
    assert peak < 120
