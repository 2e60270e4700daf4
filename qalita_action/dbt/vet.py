"""Did it run? Is it stale? Do the files belong together? The guard against greens that never ran.

Judges what `read` decoded; decides nothing about statuses. Sources: which command writes what, measured with
dbt 1.3 to 2.0 (docs/compatibility.md), and `args.which` of run_results.json.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

import msgspec

from qalita_action.dbt.found import MAX_BYTES
from qalita_action.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from qalita_action.dbt.found import Artifact
    from qalita_action.dbt.shapes import Args, Manifest, Row, RunResults

FileVerdict = Literal["executed", "empty", "compile_only", "stale", "phantom", "nothing_selected"]

# args.which by what the command does to tests. Anything else is judged by its rows.
RUNS_TESTS = frozenset({"build", "test"})
RUNS_NODES = frozenset({"run", "seed", "snapshot", "retry"})
RUNS_NOTHING = frozenset(
    {"compile", "generate", "docs", "run-operation", "show", "clone", "list", "ls", "parse", "freshness"}
)
TEST_WORDS = frozenset({"pass", "fail", "warn", "error"})
# Rows of these are nowhere in a manifest, or say nothing about data.
NOT_IN_MANIFEST = ("operation.", "sql_operation.", "sql operation.", "macro.", "analysis.", "noop")
PHANTOM = "compilation error"
ON_EMPTY = Literal["pass", "fail"]


class Vetting(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence is judged against.

    started_at     a moment that is certainly not after the pipeline's start, or None
    not_before     the oldest that any file may be, named ones too
    checked_out_at when the checkout was made: older files are suspected, no more
    is_ours        dbt ran as our child: what is left after the time's check is what it wrote
    dbt_exit_code  dbt's own exit code, where the caller knows it
    max_bytes      of one artifact, unpacked
    is_borrowed    the manifest is a later run's: rows that it does not know are left out, not refused
    """

    started_at: datetime | None = None
    not_before: datetime | None = None
    checked_out_at: datetime | None = None
    is_ours: bool = False
    dbt_exit_code: int | None = None
    on_empty: ON_EMPTY = "fail"
    max_bytes: int = MAX_BYTES
    is_borrowed: bool = False


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One run_results.json and what it is evidence of."""

    path: Artifact
    sha256: str
    results: RunResults
    verdict: FileVerdict = "executed"

    @property
    def args(self) -> Args | None:
        return self.results.args

    @property
    def command(self) -> str | None:
        return command_of(self.results.args)

    @property
    def generated_at(self) -> datetime | None:
        return moment(self.results.metadata.generated_at if self.results.metadata else None)


def command_of(args: Args | None) -> str | None:
    """The dbt command, `retry` included (its `which` is that of the first run)."""
    if args is None:
        return None
    words = (args.invocation_command or "").split()
    if len(words) > 1 and words[1] == "retry":
        return "retry"
    return args.which or args.command


def judge(results: RunResults) -> FileVerdict:
    """What one file of results is evidence of, by its rows and its command alone."""
    rows, args = results.results, results.args
    if rows and all((r.status, (r.message or "").strip().lower()) == ("error", PHANTOM) for r in rows):
        return "phantom"
    which = (args.which or args.command) if args else None
    if which in RUNS_NOTHING:
        return "compile_only"
    if args and args.empty not in (None, False):
        return "empty"
    if which not in RUNS_TESTS | RUNS_NODES and not any(
        r.unique_id.startswith(("test.", "unit_test.")) and (r.status or "").lower() in TEST_WORDS
        for r in rows
    ):
        return "compile_only"
    if not any(not r.unique_id.startswith(NOT_IN_MANIFEST) for r in rows):
        return "nothing_selected"
    return "executed"


REFUSALS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "compile_only": (
        "nothing-executed",
        "the results are those of a command that runs no tests: they say nothing about the data",
        (
            "publish before `dbt docs generate` or `dbt compile`, since these overwrite run_results.json",
            "or give them a folder of their own: `dbt docs generate --target-path target-docs`",
        ),
    ),
    "empty": (
        "nothing-executed",
        "dbt ran with --empty: its tests saw no data",
        ("publish the results of a run without --empty",),
    ),
    "phantom": (
        "dbt-did-not-run",
        "every row of the results says `Compilation Error`: dbt stopped before it ran anything",
        ("look at dbt's log for the error, mend it, and run dbt again",),
    ),
    "nothing_selected": (
        "nothing-selected",
        "dbt ran and its selection matched nothing: no check was executed",
        (
            "check --select and --exclude of the dbt step",
            "if that is normal here, --on-empty pass",
        ),
    ),
    "stale": (
        "artifacts-stale",
        "the results are older than this pipeline: they are another run's",
        (
            "look at the dbt step: it may have failed before it wrote anything",
            "a cache may have restored target/: delete target/*.json before dbt runs",
            "if these are the files that you mean, name them: --manifest FILE --results FILE",
        ),
    ),
}


def refuse(verdict: str, files: list[File], extra: str = "") -> ArtifactError:
    code, what, todo = REFUSALS[verdict]
    looked = [
        f"{f.path.name}: dbt {f.command or 'command unknown'}, {len(f.results.results)} rows, "
        f"written {f.results.metadata.generated_at if f.results.metadata else 'at an unknown time'}"
        for f in files
    ]
    return ArtifactError(
        code,
        what,
        expected="results of dbt build, test, run, seed or snapshot, of this run",
        looked=looked + ([extra] if extra else []),
        todo=todo,
    )


def _unknown(manifest: Manifest, ids: Iterable[str]) -> set[str]:
    unknown = {key for key in ids if key not in manifest.nodes}
    return unknown.difference(
        manifest.sources,
        manifest.unit_tests,
        manifest.exposures,
        manifest.saved_queries,
        manifest.functions,
        manifest.disabled,
    )


def known_rows(manifest: Manifest, rows: dict[str, Row]) -> dict[str, Row]:
    """All of them where none is known: that is another project, and `check_known` says so."""
    unknown = _unknown(manifest, rows)
    return {key: row for key, row in rows.items() if key not in unknown} or rows


def check_known(manifest: Manifest, ids: Collection[str], names: str) -> None:
    """Rows that the manifest does not know belong to another state of the project, or another project."""
    foreign = sorted(i for i in _unknown(manifest, ids) if i and not i.startswith(NOT_IN_MANIFEST))
    if foreign:
        raise ArtifactError(
            "artifacts-foreign",
            f"the results and the manifest do not belong together: {len(foreign)} of {len(ids)} rows are"
            " not in the manifest",
            expected="manifest.json and run_results.json of the same project, in the same state",
            looked=[names, *foreign[:5], *([f"and {len(foreign) - 5} more"] if len(foreign) > 5 else [])],
            todo=["publish both files of one dbt command, before the next dbt command rewrites one of them"],
        )


def moment(text: str | None) -> datetime | None:
    """Dbt's UTC times: `Z` or an offset, 6 decimals in 1.x, 9 in 2.x. None where it is no time."""
    if not text:
        return None
    body = text.strip().replace("Z", "+00:00")
    head, dot, tail = body.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        body = f"{head}.{tail[:digits][:6].ljust(6, '0')}{tail[digits:]}"
    try:
        found = datetime.fromisoformat(body)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
