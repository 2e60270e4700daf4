#!/usr/bin/env python3
"""Makes the artifacts under tests/fixtures/dbt/made by running real dbt on scripts/dbt_fixture_project.

    python scripts/make_dbt_fixtures.py 1.11                       every case of one version
    python scripts/make_dbt_fixtures.py 1.7 1.9 --cases build run  some cases of two
    python scripts/make_dbt_fixtures.py 1.3 --python /path/to/python3.10
    python scripts/make_dbt_fixtures.py newest --out /tmp/newest   the newest dbt-core, not for the fixtures

Each version gets a virtual environment of its own (kept under .venv-dbt) and each case a fresh copy of the
project. What stands in target/ afterwards is kept with gzip, next to the commands and the exit code of the
last one. Only paths are changed, to /builds/demo and /builds/venv; a path that survives stops the script.
"""

from __future__ import annotations

import argparse
import gzip
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "scripts" / "dbt_fixture_project"
OUT = ROOT / "tests" / "fixtures" / "dbt" / "made"
ARTIFACTS = ("manifest", "run_results", "sources", "catalog")


class Release(NamedTuple):
    """Versions that were seen to work together, and the Python that has wheels for all of them; an empty
    version is the newest.
    """

    core: str
    adapter: str
    duckdb: str
    python: str


RELEASES = {
    "1.3": Release("1.3.8", "1.3.4", "0.6.1", "3.10"),
    "1.4": Release("1.4.10", "1.4.2", "0.7.1", "3.10"),
    "1.5": Release("1.5.12", "1.5.2", "0.8.1", "3.11"),
    "1.6": Release("1.6.19", "1.6.2", "0.9.2", "3.11"),
    "1.7": Release("1.7.20", "1.7.5", "0.10.3", "3.11"),
    "1.8": Release("1.8.10", "1.8.4", "1.0.0", "3.11"),
    "1.9": Release("1.9.11", "1.9.6", "1.2.2", "3.12"),
    "1.10": Release("1.10.23", "1.10.1", "1.3.2", "3.12"),
    "1.11": Release("1.11.16", "1.11.1", "1.4.5", "3.12"),
    "newest": Release("", "", "", "3.12"),
}


class Write(NamedTuple):
    """A step that changes the project, as a careless commit would."""

    path: str
    text: str


class Case(NamedTuple):
    """steps are run one after the other; a string is a dbt command line.

    built  start from a database in which `seed`, `run` and `snapshot` went through; else from nothing
    since  first dbt that knows the command
    env    one dict per step, or none: what the step's environment has on top
    """

    steps: tuple[str | Write, ...]
    built: bool = False
    since: str = "1.3"
    env: tuple[dict[str, str], ...] = ()


SECRET = "not-a-real-secret"
CASES = {
    "seed": Case(("seed",)),
    "run": Case(("seed", "run")),
    "snapshot": Case(("snapshot",), built=True),
    "test": Case(("test",), built=True),
    "build": Case(("build",)),
    "compile": Case(("compile",), built=True),
    "docs_generate": Case(("docs generate",), built=True),
    "list": Case(("list",), built=True),
    "source_freshness": Case(("source freshness",), built=True),
    "build_empty": Case(("build --empty",), since="1.8"),
    "build_empty_green": Case(("build --empty --exclude tag:broken",), since="1.8"),
    "build_exclude_broken": Case(("build --exclude tag:broken no_order_without_customer",)),
    "build_fail_fast": Case(("build --fail-fast",)),
    "build_select": Case(("build --select stg_customers",), built=True),
    "build_then_compile": Case(("build", "compile")),
    "build_then_freshness": Case(("build", "source freshness")),
    "build_then_list": Case(("build", "list")),
    "build_warn_error": Case(("--warn-error build",)),
    "nothing_selected": Case(("build --select tag:nobody",)),
    "parse_error_stale": Case(
        ("build", Write("models/careless.sql", "select * from {{ ref('no_such_model') }}\n"), "build"),
    ),
    "retry": Case(("build", "retry"), since="1.6"),
    "run_then_test": Case(("run", "test"), built=True),
    "stale_env": Case(
        ("build --exclude tag:broken", "build --exclude tag:broken"),
        env=({"DBT_ENV_CUSTOM_ENV_GIT_SHA": "a" * 40}, {"DBT_ENV_CUSTOM_ENV_GIT_SHA": "b" * 40}),
    ),
    "store_failures": Case(("test --store-failures",), built=True),
    "test_empty_tables": Case(("run --empty", "test"), since="1.8", built=True),
    "vars_secret": Case((f"build --vars '{{api_token: {SECRET}}}'",)),
}


def number(version: str) -> tuple[int, ...]:
    return (9999,) if version == "newest" else tuple(int(part) for part in version.split("."))


def environment(version: str, venvs: Path, python: str | None) -> Path:
    """The virtual environment of one dbt version, made if it is not there."""
    release, folder = RELEASES[version], venvs / version
    if not (folder / "bin" / "dbt").exists():
        found = python or shutil.which(f"python{release.python}")
        if not found:
            raise SystemExit(f"dbt {version} needs Python {release.python}: give it with --python")
        subprocess.run([found, "-m", "venv", str(folder)], check=True)
        versions = {"dbt-core": release.core, "dbt-duckdb": release.adapter, "duckdb": release.duckdb}
        pins = [f"{name}=={version}" if version else name for name, version in versions.items()]
        subprocess.run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *pins], check=True)
    return folder


class Bench:
    """One dbt version and a scratch folder with the project, before anything ran and once it is built."""

    def __init__(self, version: str, venv: Path, scratch: Path, out: Path) -> None:
        self.version, self.venv, self.scratch, self.out = version, venv, scratch, out
        self.work = scratch / "demo"
        self.fresh = scratch / "fresh"
        self.built = scratch / "built"

    def prepare(self) -> None:
        """Lay the project's layers over each other, fetch its local package, build its tables once."""
        for layer, since in (("base", "1.3"), ("from_1_5", "1.5"), ("from_1_8", "1.8")):
            if number(self.version) >= number(since):
                shutil.copytree(PROJECT / layer, self.work, dirs_exist_ok=True)
        if self.dbt("deps") != 0:
            raise SystemExit(f"dbt {self.version} deps failed; see {self.work / 'logs'}")
        shutil.rmtree(self.work / "target", ignore_errors=True)
        shutil.copytree(self.work, self.fresh, symlinks=True)
        for command in ("seed", "run", "snapshot"):
            self.dbt(command)
        shutil.rmtree(self.work / "target")
        shutil.copytree(self.work, self.built, symlinks=True)

    def dbt(self, command: str, env: dict[str, str] | None = None) -> int:
        """Run one dbt command in the work folder; its environment holds nothing of this machine's."""
        clean = {
            "PATH": f"{self.venv / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.scratch),
            "LANG": "C.UTF-8",
            "DBT_PROFILES_DIR": str(self.work),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        argv = [str(self.venv / "bin" / "dbt"), *shlex.split(command)]
        done = subprocess.run(
            argv, cwd=self.work, env={**clean, **(env or {})}, check=False, capture_output=True, text=True
        )
        return done.returncode

    def run(self, name: str, case: Case) -> None:
        shutil.rmtree(self.work)
        shutil.copytree(self.built if case.built else self.fresh, self.work, symlinks=True)
        kept, told, code = {}, [], 0
        for i, step in enumerate(case.steps):
            if isinstance(step, Write):
                (self.work / step.path).write_text(step.text, encoding="utf-8")
                told.append(f"# {step.path} is written: {step.text.strip()}")
                continue
            if i:
                kept = self.artifacts()
            env = case.env[i] if case.env else {}
            code = self.dbt(step, env)
            told.append(" ".join([*(f"{k}={v}" for k, v in env.items()), "dbt", step]))
        self.keep(self.out / self.version / name, kept, told, code)

    def artifacts(self) -> dict[str, bytes]:
        files = ((name, self.work / "target" / f"{name}.json") for name in ARTIFACTS)
        return {name: self.scrub(path.read_bytes()) for name, path in files if path.exists()}

    def scrub(self, content: bytes) -> bytes:
        for path, neutral in ((self.work, "/builds/demo"), (self.venv, "/builds/venv")):
            for form in {str(path.resolve()), str(path)}:
                content = content.replace(form.encode(), neutral.encode())
        for left in (str(self.scratch), str(self.venv), str(Path.home())):
            if left.encode() in content:
                raise SystemExit(f"{left} would stand in the fixtures")
        return content

    def keep(self, folder: Path, first: dict[str, bytes], told: list[str], code: int) -> None:
        """Write one case. `run_results.first` is the file before the last command replaced it."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        last = self.artifacts()
        before = first.get("run_results")
        if before is not None and before != last.get("run_results"):
            last["run_results.first"] = before
        for name, content in last.items():
            (folder / f"{name}.json.gz").write_bytes(gzip.compress(content, 9, mtime=0))
        (folder / "exit_code.txt").write_text(f"{code}\n", encoding="utf-8")
        (folder / "commands.txt").write_text("\n".join(told) + "\n", encoding="utf-8")
        print(f"{self.version} {folder.name}: exit {code}, {', '.join(sorted(last)) or 'no artifact'}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make test fixtures with real dbt.")
    parser.add_argument("versions", nargs="+", choices=RELEASES, metavar="VERSION", help=", ".join(RELEASES))
    parser.add_argument("--cases", nargs="+", choices=CASES, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--python", help="the Python for new virtual environments")
    parser.add_argument("--venvs", type=Path, default=ROOT / ".venv-dbt", help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=OUT, help="default: %(default)s")
    args = parser.parse_args()
    if "newest" in args.versions and args.out == OUT:
        parser.error("newest is another dbt every month: give it a folder of its own with --out")
    for version in args.versions:
        venv = environment(version, Path.cwd() / args.venvs, args.python)
        with tempfile.TemporaryDirectory(prefix="dbt-fixtures-") as scratch:
            bench = Bench(version, venv, Path(scratch).resolve(), args.out)
            bench.prepare()
            for name in args.cases or CASES:
                if number(version) >= number(CASES[name].since):
                    bench.run(name, CASES[name])


if __name__ == "__main__":
    main()
