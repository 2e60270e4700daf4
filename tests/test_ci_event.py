"""The event file, whatever it is, never stops a run."""

import json
import os
from pathlib import Path

import pytest

from qalita_action import ci

FIXTURE = Path(__file__).parent / "fixtures" / "ci" / "github" / "pull-request.json"


def detect(tmp_path: Path, path: str):
    env = json.loads(FIXTURE.read_text(encoding="utf-8"))["env"] | {"GITHUB_EVENT_PATH": path}
    (workspace := tmp_path / "workspace").mkdir()
    return ci.detect(env, workspace)


def unread(context) -> str:
    (text,) = [warning.text for warning in context.warnings if warning.code == "event-unreadable"]
    # What the variables say is still there, and the merge commit does not pass for the head.
    assert context.git.branch == "feat"
    assert context.ci.change_id == "12"
    assert context.git.sha is None
    assert context.is_change
    return text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe{}",
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=["empty", "cut", "array", "text", "null", "utf-16", "not-utf-8", "deep-array", "deep-object"],
)
def test_malformed(content, tmp_path):
    (tmp_path / "event.json").write_bytes(content)
    assert "JSON" in unread(detect(tmp_path, str(tmp_path / "event.json")))


def test_missing(tmp_path):
    text = unread(detect(tmp_path, "/github/workflow/event-that-is-not-mounted.json"))
    assert "docker run" in text


def test_a_directory(tmp_path):
    assert "not a file" in unread(detect(tmp_path, str(tmp_path)))


def test_a_pipe_that_nobody_writes(tmp_path):
    os.mkfifo(tmp_path / "event.json")
    assert "not a file" in unread(detect(tmp_path, str(tmp_path / "event.json")))


def test_a_device_without_end(tmp_path):
    assert "not a file" in unread(detect(tmp_path, "/dev/zero"))


def test_larger_than_the_limit(tmp_path):
    with (tmp_path / "event.json").open("wb") as file:
        file.truncate(25 * 1024 * 1024 + 1)
    assert "larger" in unread(detect(tmp_path, str(tmp_path / "event.json")))


def test_as_large_as_github_writes_them_is_read(tmp_path):
    case = json.loads(FIXTURE.read_text(encoding="utf-8"))
    payload = json.dumps(case["event"] | {"padding": "x" * (20 * 1024 * 1024)})
    (tmp_path / "event.json").write_text(payload, encoding="utf-8")
    context = detect(tmp_path, str(tmp_path / "event.json"))
    assert context.git.sha == case["expected"]["fields"]["sha"]


def test_a_name_with_a_null_byte(tmp_path):
    unread(detect(tmp_path, "event\0.json"))
