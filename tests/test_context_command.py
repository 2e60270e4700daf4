"""`qalita-ingest context`, as a shell and a pipeline use it: a process of its own, nothing of ours patched."""

import json
import re
import shlex
from pathlib import Path

import pytest
from command import run

from qalita_action import ci

FIXTURES = Path(__file__).parent / "fixtures" / "ci"
CASES = sorted(FIXTURES.glob("*/*.json"))
SHA = "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c"


def environment(provider: str, case: str) -> dict[str, str]:
    return json.loads((FIXTURES / provider / f"{case}.json").read_text(encoding="utf-8"))["env"]


def table(text: str) -> dict[str, tuple[str, str]]:
    found = {}
    for line in text.splitlines():
        if not line.startswith("!"):
            name, value, *source = re.split(r"\s{2,}", line.strip())
            found[name] = (value, source[0] if source else "")
    return found


def test_a_table_for_people(tmp_path):
    done = run("context", cwd=tmp_path, env=environment("azure", "log-of-a-pull-request"))
    assert done.returncode == 0, done.stderr
    shown = table(done.stdout)
    assert shown["sha"] == (
        "db49327fe5e5bfea81fb88cdbbf24e283538c395",
        "env:SYSTEM_PULLREQUEST_SOURCECOMMITID",
    )
    assert shown["change_id"] == ("89", "env:SYSTEM_PULLREQUEST_PULLREQUESTNUMBER")
    assert shown["tag"] == ("-", "")
    assert shown["is_change"] == ("yes", "")


def test_a_document_for_programs(tmp_path):
    done = run("context", "--output", "json", cwd=tmp_path, env=environment("buildkite", "documented-values"))
    assert done.returncode == 0, done.stderr
    fields = json.loads(done.stdout)["fields"]
    assert fields["attempt"] == {"value": 1, "source": "env:BUILDKITE_RETRY_COUNT"}
    assert fields["provider"] == {"value": "buildkite", "source": "env:BUILDKITE"}


def test_the_users_own_word_comes_before_all_others_and_says_where_it_came_from(tmp_path):
    env = environment("buildkite", "documented-values") | {"QALITA_BRANCH": "topic", "INPUT_CHANGE-ID": "12"}
    (tmp_path / "qalita.yml").write_text("default-branch: trunk\n", encoding="utf-8")
    done = run("context", "--sha", SHA, "--output", "json", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    fields = json.loads(done.stdout)["fields"]
    assert fields["sha"] == {"value": SHA, "source": "flag"}
    assert fields["branch"] == {"value": "topic", "source": "env:QALITA_BRANCH"}
    assert fields["change_id"] == {"value": "12", "source": "input"}
    assert fields["default_branch"] == {"value": "trunk", "source": "config"}


def test_a_fact_of_one_run_does_not_come_from_a_file(tmp_path):
    (tmp_path / "qalita.yml").write_text("sha: x\nbranch: x\nchange-id: x\njob-id: x\n", encoding="utf-8")
    done = run("context", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("[setting-not-in-file]") == 4


# ---------------------------------------------------------------- what `docker run` must be given


def parts(line: str) -> tuple[list[str], list[str]]:
    """(names, mounts) of a line, read as a shell reads it in `docker run $(...)`: split at blanks alone."""
    words = line.split()
    assert words == shlex.split(line)
    pairs = list(zip(words[::2], words[1::2], strict=True))
    names = [value for flag, value in pairs if flag == "-e"]
    mounts = [value for flag, value in pairs if flag == "-v"]
    assert len(names) + len(mounts) == len(pairs)
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in names), "names, no values"
    return names, mounts


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_container_given_these_knows_what_the_job_knows(path, tmp_path):
    case = json.loads(path.read_text(encoding="utf-8"))
    env = dict(case["env"])
    if "event" in case:
        env["GITHUB_EVENT_PATH"] = str(tmp_path / "event.json")
        (tmp_path / "event.json").write_text(json.dumps(case["event"]), encoding="utf-8")
    (workspace := tmp_path / "workspace").mkdir()
    names, _ = parts(ci.docker_args(env, workspace))
    inside = {name: env[name] for name in names}
    assert all(value.strip() for value in inside.values())
    job, container = (ci.to_document(ci.detect(e, workspace)) for e in (env, inside))
    assert container == job


def test_the_event_file_and_the_runners_files_are_mounted_where_they_are(tmp_path):
    event, summary = tmp_path / "event.json", tmp_path / "summary.md"
    event.write_text("{}", encoding="utf-8")
    summary.write_text("", encoding="utf-8")
    env = environment("github", "push-default-branch") | {
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_OUTPUT": str(tmp_path / "is-not-there"),
    }
    names, mounts = parts(ci.docker_args(env, tmp_path))
    assert mounts == [f"{event}:{event}:ro", f"{summary}:{summary}:rw"]
    assert {"GITHUB_EVENT_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_SHA", "GITHUB_ACTIONS"} <= set(names)
    assert "GITHUB_OUTPUT" not in names, "what is not mounted would name a file that is not there"


SECRETS = {
    "QALITA_WORKER_TOKEN": "qal-very-secret-token",
    "GITHUB_TOKEN": "ghs_0123456789abcdefghij",
    "CI_JOB_TOKEN": "glcbt-64_abcdefghijklmnop",
    "CI_REPOSITORY_URL": "https://gitlab-ci-token:glcbt-64_abcdefghijklmnop@gitlab.example.com/a/b.git",
    "SYSTEM_ACCESSTOKEN": "azure-secret-token",
    "BUILDKITE_AGENT_ACCESS_TOKEN": "83d544ccc223c157",
    "DRONE_NETRC_PASSWORD": "drone-secret",
    "CIRCLE_OIDC_TOKEN": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
}


@pytest.mark.parametrize("provider", sorted({path.parent.name for path in CASES} - {"other"}))
def test_never_a_value_and_no_name_of_the_ci_s_secrets(provider, tmp_path):
    path = next(path for path in CASES if path.parent.name == provider)
    names, _ = parts(
        ci.docker_args(environment(provider, path.stem) | SECRETS, tmp_path, ["QALITA_WORKER_TOKEN"])
    )
    assert set(names) & SECRETS.keys() == {"QALITA_WORKER_TOKEN"}


def test_the_command_prints_one_line_and_of_our_token_only_the_name(tmp_path):
    done = run("context", "--docker-args", cwd=tmp_path, env=environment("github", "log-of-a-push") | SECRETS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert "QALITA_WORKER_TOKEN" in parts(done.stdout)[0]
    masks = [line for line in done.stderr.splitlines() if line.startswith("::add-mask::")]
    assert len(masks) == 1, "the runner is told what to hide, where no command line picks it up"
    said = done.stdout + done.stderr.replace(masks[0], "")
    assert not [value for value in SECRETS.values() if value in said]


def test_a_ci_that_nobody_recognises_is_told_once_and_how(tmp_path):
    done = run("context", "--docker-args", cwd=tmp_path, env={"CI": "true"})
    assert (done.returncode, done.stdout) == (0, "-e CI\n")
    assert done.stderr.count("--docker-args") == 1
    shown = run("context", cwd=tmp_path, env={"CI": "true"})
    assert shown.stdout.count("--docker-args") == 1


def test_no_ci_at_all_is_told_once_and_how(tmp_path):
    done = run("context", "--docker-args", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "\n")
    assert done.stderr.count("--docker-args") == 1
    assert run("context", cwd=tmp_path).stdout.count("--docker-args") == 1


@pytest.mark.parametrize(
    "name", ["with a blank.json", "a:b.json", "$(id).json", "not-there.json", "a-folder"]
)
def test_a_file_that_cannot_be_mounted_is_left_out_with_its_variable(name, tmp_path):
    path = tmp_path / name
    if name == "a-folder":
        path.mkdir()
    elif name != "not-there.json":
        path.write_text("{}", encoding="utf-8")
    env = environment("github", "log-of-a-push") | {"GITHUB_EVENT_PATH": str(path)}
    names, mounts = parts(ci.docker_args(env, tmp_path))
    assert mounts == []
    assert "GITHUB_EVENT_PATH" not in names


def test_a_relative_path_is_of_the_job_alone(tmp_path, monkeypatch):
    (tmp_path / "event.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    env = environment("github", "log-of-a-push") | {"GITHUB_EVENT_PATH": "event.json"}
    assert parts(ci.docker_args(env, tmp_path))[1] == []
