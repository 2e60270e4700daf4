"""The image as GitHub, GitLab, a cluster and a person at a shell start it: real containers, nothing stubbed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from qalita_action.errors import ExitCode
from tests.image.engine import ROOT, RUNNER, docker

OFFLINE = ("--network", "none")
LOCKED = (
    *OFFLINE,
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--tmpfs",
    "/tmp",
)


def at(folder: Path, *, to: str = "/work", mode: str = "rw") -> tuple[str, ...]:
    return ("--volume", f"{folder}:{to}:{mode}", "--workdir", to)


def owners(folder: Path) -> set[int]:
    return {path.stat().st_uid for path in folder.rglob("*")}


# ---------------------------------------------------------------- what it is


def test_without_a_word_it_shows_the_help(image):
    done = docker("run", "--rm", *LOCKED, image)
    assert done.returncode == 0, done.stderr
    assert "Usage: qalita-ingest" in done.stdout


def test_it_holds_no_tool_that_a_thief_would_want(image):
    script = (
        "for p in pip pip3 git gcc cc curl wget; do command -v $p && exit 9; done; python -c 'import pip'"
    )
    done = docker("run", "--rm", "--entrypoint", "sh", image, "-c", script)
    assert done.returncode == 1, done.stdout
    assert "No module named 'pip'" in done.stderr


def test_all_of_its_code_is_compiled(image):
    """A container that compiles at each start pays for it every time."""
    script = (
        "import pathlib, importlib.util as u\n"
        "places = [pathlib.Path('/app'), *pathlib.Path('/usr/local/lib').glob('python3*/site-packages')]\n"
        "files = [p for place in places for p in place.rglob('*.py')]\n"
        "print(len(files), [str(p) for p in files if not pathlib.Path(u.cache_from_source(str(p))).exists()])"
    )
    done = docker("run", "--rm", "--entrypoint", "python", image, "-c", script)
    count, missing = done.stdout.split(" ", 1)
    assert int(count) > 300, done.stderr
    assert json.loads(missing) == []


def test_its_labels_say_what_it_is(image):
    done = docker("image", "inspect", "--format", "{{json .Config.Labels}}", image)
    labels = json.loads(done.stdout)
    assert labels["org.opencontainers.image.source"] == "https://github.com/qalita/dbt-ingest"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_the_second_tag_adds_no_layer(image, nonroot):
    def layers(tag):
        return json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", tag).stdout)

    assert layers(nonroot) == layers(image)
    config = docker("image", "inspect", "--format", "{{.Config.User}}", nonroot).stdout.strip()
    assert config == "10001:10001"


# ---------------------------------------------------------------- as each system starts it


def test_as_github_starts_an_action(image, runners, tmp_path):
    """https://docs.github.com/en/actions/reference/dockerfile-support, and the runner's own mounts."""
    commands = tmp_path / "commands"
    commands.mkdir()
    for name in ("output", "summary"):
        (commands / name).touch()
    (tmp_path / "event.json").write_text(
        '{"number": 7, "pull_request": {"head": {"sha": "%s"}}}' % ("a" * 40)
    )
    given = {
        "INPUT_PUBLISH": "never",
        "INPUT_FAIL-ON": "never",
        "INPUT_TOKEN": "",
        "GITHUB_ACTIONS": "true",
        "CI": "true",
        "GITHUB_RUN_ID": "1",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_REPOSITORY": "acme/shop-dbt",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_WORKSPACE": "/github/workspace",
        "GITHUB_EVENT_PATH": "/github/workflow/event.json",
        "GITHUB_OUTPUT": "/github/file_commands/output",
        "GITHUB_STEP_SUMMARY": "/github/file_commands/summary",
    }
    environment = [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
    done = docker(
        "run",
        "--rm",
        *environment,
        *at(runners, to="/github/workspace"),
        "--volume",
        f"{commands}:/github/file_commands",
        "--volume",
        f"{tmp_path / 'event.json'}:/github/workflow/event.json:ro",
        image,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = dict(re.findall(r"^([\w-]+)<<(?:\S+)\n(.*)$", (commands / "output").read_text(), re.MULTILINE))
    assert outputs["failed"] == "4"
    assert outputs["report-html"] == "qalita-report/report.html"
    assert "4 of 51 checks failed" in (commands / "summary").read_text()
    assert "::error " in done.stdout
    assert owners(runners) == {RUNNER}, "a self-hosted runner could not clean up"


def test_as_gitlab_runs_a_script(image, runners):
    """GitLab feeds the script to a shell's stdin, with the entrypoint emptied."""
    done = docker(
        "run",
        "--rm",
        "--interactive",
        "--entrypoint",
        "",
        "--env",
        "GITLAB_CI=true",
        "--env",
        "QALITA_PUBLISH=never",
        *at(runners, to="/builds/acme/shop"),
        image,
        "sh",
        "-e",
        stdin="qalita-ingest dbt\n",
    )
    assert done.returncode == ExitCode.GATE, done.stdout + done.stderr
    assert (runners / "qalita-report/report.html").is_file()


@pytest.mark.parametrize("words", [("--dry-run", "--output", "json"), ("--api", "folder")])
def test_locked_down(image, runners, words):
    """Read-only root, no capability, no network."""
    for path in (runners, *runners.rglob("*")):
        os.chown(path, 0, 0)  # without capabilities root is a user like another
    done = docker("run", "--rm", *LOCKED, *at(runners), image, "dbt", *words, "--fail-on", "never")
    assert done.returncode == 0, done.stdout + done.stderr
    made = (runners / "qalita-report").is_dir()
    assert made == ("folder" in words)


@pytest.mark.parametrize("user", ["10001:10001", "1001:0"])
def test_as_a_user_that_no_file_names(image, runners, user):
    """Jenkins and OpenShift start it under a number, with no home."""
    uid = int(user.split(":")[0])
    for path in (runners, *runners.rglob("*")):
        os.chown(path, uid, uid)
    done = docker("run", "--rm", *LOCKED, "--user", user, *at(runners), image, "dbt", "--publish", "never")
    assert done.returncode == ExitCode.GATE, done.stdout + done.stderr
    assert (runners / "qalita-report/ingest.json").stat().st_uid == uid


def test_nonroot_reads_what_it_may_read(nonroot, runners):
    done = docker("run", "--rm", *LOCKED, *at(runners, mode="ro"), nonroot, "dbt", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was sent" in done.stdout


def test_a_workspace_that_cannot_be_written_to_is_told(nonroot, runners):
    done = docker("run", "--rm", *LOCKED, *at(runners, mode="ro"), nonroot, "dbt", "--publish", "never")
    assert done.returncode == ExitCode.GATE, done.stdout + done.stderr
    assert "was not written" in done.stdout


# ---------------------------------------------------------------- to the letter


def test_the_documented_command(image):
    done = docker(
        "run",
        "--rm",
        *LOCKED,
        *at(ROOT / "examples/airquality", mode="ro"),
        "--entrypoint",
        "qalita",
        image,
        *[
            "ingest",
            "dbt",
            "--manifest",
            "sample-target/manifest.json",
            "--results",
            "sample-target/run_results.json",
        ],
        *["--project", "opendata_dbt", "--env", "dev", "--dry-run", "--output", "json"],
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["source"]["name"] == "opendata_dbt-dev"
    assert len(document["checks"]) == len(document["results"]) == 51


def test_the_readmes_first_container(image, tmp_path):
    """A fresh clone on a machine that has nothing but Docker."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True, capture_output=True)
    folder = clone / "examples/airquality"
    words = "dbt --target-path sample-target --publish never"
    done = docker("run", "--rm", "-v", f"{folder}:/dbt", "-w", "/dbt", image, *words.split())
    assert done.returncode == ExitCode.GATE, done.stdout + done.stderr
    assert "4 of 51 checks failed" in done.stdout


# ---------------------------------------------------------------- large


def test_a_manifest_of_110_mb_in_512_mb_of_memory(image, tmp_path):
    words = [sys.executable, str(ROOT / "bench/make_large.py"), str(tmp_path / "large"), "--sql", "2300"]
    subprocess.run(words, check=True, capture_output=True)
    assert (tmp_path / "large/manifest.json").stat().st_size > 100_000_000
    memory = ("--memory", "512m", "--memory-swap", "512m")
    words = [
        "dbt",
        "--manifest",
        "manifest.json",
        "--results",
        "run_results.json",
        "--api",
        "folder",
        "--fail-on",
        "never",
    ]
    done = docker("run", "--rm", *OFFLINE, *memory, *at(tmp_path / "large"), image, *words)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_cron_job_of_the_templates_starts_the_image_as_a_cluster_would(nonroot, tmp_path):
    """Its own command, user and read-only root, on a volume with what dbt left; the cluster itself is not here."""
    manifest = yaml.safe_load((ROOT / "templates/kubernetes/cronjob.yml").read_text("utf-8"))
    pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (ours,) = pod["containers"]
    limits = ours["securityContext"]
    volume = tmp_path / "run"
    shutil.copytree(ROOT / "examples/airquality/sample-target", volume / "target")
    (volume / "exit-code").write_text("1\n")
    shutil.chown(volume, limits["runAsUser"], limits["runAsGroup"])
    program, *arguments = ours["command"]
    assert limits["readOnlyRootFilesystem"]
    done = docker(
        *("run", "--rm", "--network", "none", "--read-only", "--cap-drop", *limits["capabilities"]["drop"]),
        *("--user", f"{limits['runAsUser']}:{limits['runAsGroup']}", "--env", "QALITA_PUBLISH=never"),
        *("--volume", f"{volume}:{ours['workingDir']}", "--workdir", ours["workingDir"]),
        *("--entrypoint", program, nonroot, *arguments),
    )
    assert done.returncode == ExitCode.GATE, done.stdout + done.stderr
    assert "4 of 51 checks failed" in done.stdout
    assert (volume / "qalita-report/report.html").is_file()


@pytest.mark.parametrize(
    "case",
    [
        "gitlab/merge-request-merged-result",
        "azure/log-of-a-pull-request",
        "jenkins/multibranch-default-branch",
    ],
)
def test_docker_run_is_given_what_this_job_knows(case, image, tmp_path):
    """`docker run $(qalita-ingest context --docker-args)`, as the page shows it: the container knows what the job does."""
    env = json.loads((ROOT / f"tests/fixtures/ci/{case}.json").read_text("utf-8"))["env"]
    ours = [sys.executable, "-m", "qalita_action", "context"]
    here = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **env}

    def said(*words: str) -> str:
        done = subprocess.run(
            [*ours, *words], cwd=tmp_path, env=here, capture_output=True, text=True, check=True
        )
        return done.stdout

    known = json.loads(said("--output", "json"))["fields"]
    words = ("run", "--rm", *OFFLINE, *said("--docker-args").split(), *at(tmp_path), image)
    done = docker(*words, "context", "--output", "json", env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fields"] == known
    assert known["sha"]["value"]
