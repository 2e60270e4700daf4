"""No address that leaves carries a credential, whatever the input."""

import json
import os
import string
import tempfile
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from qalita_action import ci
from qalita_action.ci.urls import clean_url, repository_url
from qalita_action.model import to_json

SHA = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/acme/dbt.git", "https://github.com/acme/dbt"),
        ("https://github.com/acme/dbt/", "https://github.com/acme/dbt"),
        ("https://github.com:443/acme/dbt", "https://github.com/acme/dbt"),
        ("http://git.example.com:8080/acme/dbt.git", "http://git.example.com:8080/acme/dbt"),
        ("git@github.com:Acme/Dbt.git", "https://github.com/Acme/Dbt"),
        ("github.com:acme/dbt.git", "https://github.com/acme/dbt"),
        ("ghs_token@github.com:acme/dbt.git", "https://github.com/acme/dbt"),
        ("git@gitlab.com:a/b/c/d.git", "https://gitlab.com/a/b/c/d"),
        ("ssh://git@git.example.com:7999/project/repo.git", "https://git.example.com/project/repo"),
        ("git+ssh://git@ssh.github.com:443/acme/dbt.git", "https://github.com/acme/dbt"),
        ("git@ssh.dev.azure.com:v3/org/proj/repo", "https://dev.azure.com/org/proj/_git/repo"),
        ("https://org@dev.azure.com/org/proj/_git/repo", "https://dev.azure.com/org/proj/_git/repo"),
        ("https://gitlab-ci-token:glcbt-1@gitlab.com/a/b.git", "https://gitlab.com/a/b"),
        ("https://x-access-token:ghs_abc@github.com/a/b", "https://github.com/a/b"),
        ("https://TOKEN@github.com/a/b", "https://github.com/a/b"),
        ("https://a:b@c@github.com/a/b", "https://github.com/a/b"),
        ("https://github.com/a/b?private_token=x#frag", "https://github.com/a/b"),
        ("https://[2001:db8::1]:8443/a/b.git", "https://[2001:db8::1]:8443/a/b"),
        ("ssh://git@[2001:db8::1]:22/a/b.git", "https://[2001:db8::1]/a/b"),
        ("git@[2001:db8::1]:a/b.git", "https://[2001:db8::1]/a/b"),
        ("https://example.com/a@b/c", "https://example.com/a@b/c"),
        (
            "https://mirror.example.com/https://u:p@github.com/a/b",
            "https://mirror.example.com/https://github.com/a/b",
        ),
        ("git://example.com/a/b.git", "https://example.com/a/b"),
        ("/srv/git/dbt.git", None),
        ("../dbt.git", None),
        ("file:///srv/git/dbt.git", None),
        ("C:\\git\\dbt", None),
        ("C:/git/dbt", None),
        ("ext::sh -c whoami", None),
        ("javascript://example.com/%0aalert(1)", None),
        ("https://user:p/ss@example.com/a/b", None),
        ("https://user:12/34@example.com/a/b", None),
        ("user:pass@example.com:a/b", None),
        ("u.ser:pass@example.com", None),
        ("https://example.com/glpat-aaaaaaaaaaaaaaaaaaaa/b", None),
        ("https://exa mple.com/a", None),
        ("https:///a/b", None),
        ("https://example.com", None),
        ("https://[::1/a/b", None),
        ("", None),
    ],
)
def test_repository(remote, address):
    assert repository_url(remote) == address


@pytest.mark.parametrize(
    ("raw", "address"),
    [
        ("https://gitlab.com/a/b/-/jobs/1", "https://gitlab.com/a/b/-/jobs/1"),
        ("https://u:p@gitlab.com/a/b/-/jobs/1", "https://gitlab.com/a/b/-/jobs/1"),
        (
            "https://dev.azure.com/o/p/_build/results?buildId=7&view=logs",
            "https://dev.azure.com/o/p/_build/results?buildId=7&view=logs",
        ),
        (
            "https://x.example.com/r?id=1&access_token=s&X-Amz-Signature=t&apiKey=u",
            "https://x.example.com/r?id=1",
        ),
        ("https://x.example.com/r?next=https://u:p@y.example.com/", "https://x.example.com/r"),
        ("https://x.example.com/r?id=glpat-aaaaaaaaaaaaaaaaaaaa", "https://x.example.com/r"),
        ("https://buildkite.com/o/p/builds/1#0190-ab", "https://buildkite.com/o/p/builds/1#0190-ab"),
        ("https://x.example.com/r#access_token=abc", "https://x.example.com/r"),
        ("ssh://git@example.com/a", None),
        ("https://x.example.com/%67lpat-aaaaaaaaaaaaaaaaaaaa", None),
    ],
)
def test_page(raw, address):
    assert clean_url(raw) == address


def assert_harmless(url: str) -> None:
    """Written from the outside: what a browser, a log or a proxy would take for a credential."""
    parts = urlsplit(url)
    assert parts.scheme in {"http", "https"}
    assert "@" not in parts.netloc
    assert parts.username is None
    assert parts.password is None
    assert parts.hostname
    assert not any(c.isspace() or ord(c) < 33 for c in url)
    for name, value in parse_qsl(f"{parts.query}&{parts.fragment}", keep_blank_values=True):
        assert not any(
            word in name.lower() for word in ("token", "secret", "password", "passwd", "apikey", "auth")
        )
        assert not any(mark in value for mark in ("glpat-", "ghp_", "ghs_", "@"))
    assert not any(mark in unquote(url) for mark in ("glpat-", "ghs_", "github_pat_"))


URL_PARTS = [
    "https://",
    "http://",
    "ssh://",
    "git@",
    "user:pw@",
    "x-access-token:ghs_0123@",
    "glpat-abc@",
    "@",
    ":",
    "/",
    "//",
    "?token=a",
    "&private_token=b",
    "?x=glpat-abc",
    "#access_token=c",
    "?a=https://u:p@h.example",
    "?",
    "#",
    "&",
    "=",
    "example.com",
    "host",
    "[::1]",
    ":443",
    "acme/dbt",
    ".git",
    "%40",
    "%3A",
    "%2F",
    "\\",
    "é",
]
parts = st.sampled_from([*URL_PARTS, "\n", " ", "\udc80", "\x00"])
address = st.one_of(st.lists(parts, max_size=9).map("".join), st.text(max_size=60))


@given(address)
@example("https://https://.git.git")
@example("https://example.com/o/.git/.git")
@settings(max_examples=600, deadline=None)
def test_no_credential_survives(raw):
    for clean in (clean_url, repository_url):
        url = clean(raw)
        if url is not None:
            assert_harmless(url)
            assert clean(url) == url, "cleaning is final"


@given(user=st.text(string.ascii_letters + string.digits + "-_.~!$", min_size=8, max_size=20))
@settings(deadline=None)
def test_user_info_is_gone_not_moved(user):
    marked = f"zz{user}zz"
    for raw in (
        f"https://{marked}@example.com/a/b",
        f"https://{marked}:{marked}@example.com/a/b",
        f"{marked}@example.com:a/b",
    ):
        assert repository_url(raw) == "https://example.com/a/b"


# ---------------------------------------------------------------- the whole of detect

ENVIRONMENTS = [
    json.loads(path.read_text(encoding="utf-8"))["env"]
    for path in sorted((Path(__file__).parent / "fixtures" / "ci").glob("*/*.json"))
]
NAMES = sorted(
    {name for env in ENVIRONMENTS for name in env} | {"GITHUB_EVENT_PATH", "PREFECT_UI_URL", "PATH", "HOME"}
)
word = st.one_of(
    address,
    st.sampled_from(
        ["true", "false", "0", SHA, SHA[:8], "0" * 40, "HEAD", "main", "push", "pull_request", "workflow_run"]
    ),
    st.sampled_from(
        [
            "merge_group",
            "issue_comment",
            "refs/heads/main",
            "refs/pull/1/merge",
            "refs/tags/v1",
            "merged_result",
        ]
    ),
    st.sampled_from(
        [
            "$(X)",
            "${X}",
            "9" * 30,
            "-1",
            "99999999999",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "\udcff",
            ".",
        ]
    ),
)


@given(
    env=st.dictionaries(st.sampled_from(NAMES), word, max_size=40),
    base=st.sampled_from([{}, *ENVIRONMENTS]),
    own=st.lists(word, max_size=60),
    said=st.dictionaries(
        st.sampled_from(
            [
                "sha",
                "branch",
                "tag",
                "job_id",
                "job_url",
                "repository_url",
                "attempt",
                "dirty",
                "started_at",
                "x",
            ]
        ),
        st.tuples(word, st.sampled_from(["flag", "input", "config"])),
        max_size=4,
    ),
)
@example(
    env={"GITHUB_EVENT_PATH": "/dev/zero"},
    base={"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1"},
    own=[],
    said={},
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_detect_never_raises_and_emits_no_credential(env, base, own, said):
    """Any words in the place of a known run's: the first of its variables, then strangers'."""
    replaced = dict(zip(sorted(base), own, strict=False))
    with tempfile.TemporaryDirectory() as folder:
        context = ci.detect(base | env | replaced, Path(folder), said)
    document = ci.to_document(context)
    assert len(ci.rows(context)) == len(document["fields"]) + 2
    msgspec.json.decode(to_json(context))
    urls = [document["fields"][name]["value"] for name in ("repository_url", "pipeline_url", "job_url")]
    urls += [context.orchestrator.url] if context.orchestrator else []
    head = document["fields"]["head_repository"]["value"]
    urls += [head] if head and "://" in head else []
    for url in filter(None, urls):
        assert_harmless(url)
    for name, field in document["fields"].items():
        assert (field["value"] is None) == (field["source"] is None), name


MEMBERS = [
    "pull_request",
    "head",
    "sha",
    "ref",
    "repo",
    "full_name",
    "number",
    "workflow_run",
    "check_suite",
    "pull_requests",
    "branches",
    "commit",
    "name",
    "repository",
    "default_branch",
    "pushed_at",
    "deployment",
    "environment",
    "issue",
]


@given(
    payload=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(SHA),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(MEMBERS),
                inner,
                max_size=5,
            )
        ),
        max_leaves=25,
    ),
    event=st.sampled_from(
        [
            "push",
            "pull_request",
            "workflow_run",
            "check_suite",
            "check_run",
            "status",
            "issue_comment",
            "deployment",
            "merge_group",
            "?",
        ]
    ),
)
@settings(max_examples=200, deadline=None)
def test_detect_never_raises_on_any_payload(payload, event):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "event.json"
        path.write_bytes(msgspec.json.encode(payload))
        env = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_RUN_ID": "1",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(path),
        }
        (workspace := Path(folder) / os.path.basename("workspace")).mkdir()
        context = ci.detect(env, workspace)
    to_json(context)
    assert context.ci.provider == "github"
