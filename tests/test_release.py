"""A release: what it is made of, checked before anything is pushed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DIGEST = "sha256:" + "0a" * 32
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text("utf-8"))


@pytest.fixture
def copy(tmp_path):
    """A checkout whose version is 1.2.3, with a changelog of three versions."""
    for name in ("scripts/release.py", "action.yml", "qalita_action/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    init = tmp_path / "qalita_action/__init__.py"
    init.write_text(re.sub(r'__version__ = ".*"', '__version__ = "1.2.3"', init.read_text("utf-8")), "utf-8")
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n- later\n\n## [1.2.3] - 2026-01-31\n\n### Added\n\n- this\n\n## 1.2.30\n\n- no\n"
    )
    return tmp_path


def release(folder: Path, *words: str):
    return subprocess.run(
        [sys.executable, str(folder / "scripts/release.py"), *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_version_that_is_ready(copy):
    done = release(copy, "check", "1.2.3")
    assert (done.returncode, done.stdout) == (0, "1.2.3 can be released\n")


def test_everything_that_is_not_ready_is_told_at_once(copy):
    done = release(copy, "check", "v1.2")
    assert done.returncode == 1
    assert [
        part in done.stdout for part in ("no semantic version", "the package says '1.2.3'", "no section")
    ] == [
        True,
        True,
        True,
    ]


def test_the_notes_are_that_versions_own(copy):
    assert release(copy, "notes", "1.2.3").stdout == "### Added\n\n- this\n"


def test_the_action_of_a_release_runs_the_published_image(copy):
    assert release(copy, "pin", DIGEST).returncode == 0
    before, after = (yaml.safe_load((p / "action.yml").read_text("utf-8")) for p in (ROOT, copy))
    assert after["runs"] == {"using": "docker", "image": f"docker://ghcr.io/qalita/dbt-ingest@{DIGEST}"}
    assert {**after, "runs": None} == {**before, "runs": None}
    again = release(copy, "pin", DIGEST)
    assert again.returncode == 1
    assert "pinned already" in again.stderr


def test_what_is_no_digest_is_not_written(copy):
    before = (copy / "action.yml").read_bytes()
    assert release(copy, "pin", "latest").returncode == 1
    assert (copy / "action.yml").read_bytes() == before


@pytest.mark.parametrize(
    ("version", "tags"), [("1.2.3", "v1\nv1.2\n"), ("2.0.0", "v2\nv2.0\n"), ("2.0.0-rc.1", "\n")]
)
def test_the_tags_that_move(version, tags, copy):
    assert release(copy, "tags", version).stdout == tags


# ---------------------------------------------------------------- the workflow


def test_a_release_is_started_by_hand_with_a_version():
    assert WORKFLOW[True].keys() == {"workflow_dispatch"}  # YAML 1.1 reads `on` as a truth
    assert WORKFLOW[True]["workflow_dispatch"]["inputs"]["version"]["required"] is True


def test_nothing_is_pushed_before_the_tests_have_passed():
    jobs = WORKFLOW["jobs"]

    def before(name: str) -> set[str]:
        needs = jobs[name].get("needs", [])
        direct = {needs} if isinstance(needs, str) else set(needs)
        return direct.union(*(before(n) for n in direct)) if direct else set()

    writers = {n for n, j in jobs.items() if "write" in j["permissions"].values()}
    assert writers
    for name in writers:
        assert "test" in before(name), name
    for name in ("tag", "pypi"):
        assert "smoke" in before(name), name


def test_the_smoke_run_is_of_the_digest_that_the_action_gets():
    text = (ROOT / ".github/workflows/release.yml").read_text("utf-8")
    assert text.count("needs.build.outputs.digest") >= 2
    smoke = "\n".join(s.get("run", "") for s in WORKFLOW["jobs"]["smoke"]["steps"])
    assert '"$IMAGE@$DIGEST"' in smoke


def test_only_the_job_that_needs_it_may_write():
    allowed = {
        "build": {"contents", "packages", "id-token"},
        "tag": {"contents", "packages", "id-token"},
        "pypi": {"id-token"},
    }
    for name, job in WORKFLOW["jobs"].items():
        writes = {scope for scope, right in job["permissions"].items() if right == "write"}
        assert writes <= allowed.get(name, set()), name
