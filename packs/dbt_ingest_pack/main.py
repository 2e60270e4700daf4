"""What a QALITA worker runs: qalita-ingest on the worker's dbt project, into the files that the worker
uploads.

The worker puts pack_conf.json and source_conf.json beside this file, and afterwards uploads metrics.json,
recommendations.json, schemas.json and figures.json from here. Must not publish anything by itself, and must
leave no file behind that another run made.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

UPLOADED = ("metrics.json", "recommendations.json", "schemas.json", "figures.json")
SETTINGS = ("target_path", "project", "env", "suite", "max_age")
NOT_FOR_RUN = ("target_path", "max_age")
Json = dict[str, Any]


def main(here: Path) -> int:
    """The exit code of qalita-ingest, or 2 for a configuration that cannot work."""
    for name in UPLOADED:
        (here / name).unlink(missing_ok=True)
    job = _read(here / "pack_conf.json").get("job") or {}
    project = here / (job.get("project_dir") or ".")
    if job.get("project_dir") in (None, "", "."):
        project = Path(_source_path(_read(here / "source_conf.json")) or here)
    with tempfile.TemporaryDirectory(prefix="dbt-ingest-") as made:
        done = subprocess.run(arguments(job, project, made), cwd=here, check=False)
        if done.returncode:
            return done.returncode
        folder = Path(made)
        if not (folder / "metrics.json").is_file():
            names = ", ".join(sorted(p.name for p in folder.iterdir() if p.is_dir()))
            print(f"Several documents ({names}), and a job of a worker uploads one:", file=sys.stderr)
            print("name one project in project_dir, and keep meta.qalita.source to CI.", file=sys.stderr)
            return 2
        files = {name: json.loads((folder / name).read_text("utf-8")) for name in UPLOADED}
    if job.get("dimension"):
        files = of_dimension(files, str(job["dimension"]))
    for name, value in files.items():
        (here / name).write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 0


def arguments(job: Json, project: Path, made: str) -> list[str]:
    """Ours, and after `--` dbt's. The gate is CI's: a worker's red tests are a low score, no failed job."""
    ours = [sys.executable, "-m", "qalita_action"]
    said = ["--api", "folder", "--report-dir", made, "--fail-on", "never"]
    command = job.get("command")
    words = command.split() if isinstance(command, str) else [str(word) for word in command or ()]
    for name in SETTINGS:
        if job.get(name) and not (words and name in NOT_FOR_RUN):
            said += [f"--{name.replace('_', '-')}", str(job[name])]
    if not words:
        return [*ours, "dbt", str(project), *said]
    if not any(word.split("=")[0] == "--project-dir" for word in words):
        words += ["--project-dir", str(project)]
    if job.get("target_path") and not any(word.split("=")[0] == "--target-path" for word in words):
        words += ["--target-path", str(job["target_path"])]
    return [*ours, "run", *said, "--", *words]


def of_dimension(files: dict[str, Any], dimension: str) -> dict[str, Any]:
    """One dimension's score, for a pack of that type. Everything else belongs to the pack dbt_ingest."""
    scores = [
        {**metric, "key": "score"}
        for metric in files["metrics.json"]
        if metric["key"] == f"score_{dimension}"
    ]
    scopes = [row for row in files["schemas.json"] if row["key"] == "dataset"]
    nothing: list[Json] = []
    figures = {**files["figures.json"], "figures": nothing}
    return {
        "metrics.json": scores,
        "recommendations.json": nothing,
        "schemas.json": scopes if scores else nothing,
        "figures.json": figures,
    }


def _source_path(source: Json) -> str | None:
    """Where a source of the type folder says that its files are."""
    path = (source.get("config") or {}).get("path")
    return path if isinstance(path, str) else None


def _read(path: Path) -> Json:
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return value if isinstance(value, dict) else {}


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent))
