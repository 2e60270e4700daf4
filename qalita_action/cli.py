"""The commands. The only place that catches, prints an error, reads os.environ and chooses the exit code.

Imports stay inside the commands: `--help` must not pay for what it does not use. Flags come from knobs.py;
their values are judged by settings.py, together with inputs, environment and qalita.yml, all at once.
"""

from __future__ import annotations

import gc
import inspect
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qalita_action import __version__
from qalita_action.errors import ExitCode, IngestError
from qalita_action.knobs import KNOBS, LISTS, SWITCHES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from qalita_action.model import CIContext
    from qalita_action.pipeline import World
    from qalita_action.settings import Resolved

app = typer.Typer(
    name="qalita-ingest",
    help="The step after `dbt build`: what dbt's tests really found, published to QALITA once.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

CONTEXT_FLAGS = ("output", "sha", "branch", "default_branch", "change_id", "job_id")
DOCKER_ARGS = Annotated[
    bool,
    typer.Option(
        "--docker-args",
        help="Print what `docker run` must be given to know the same: names and mounts, no value.",
        show_default=False,
    ),
]
# `run` knows these from dbt itself.
NOT_FOR_RUN = frozenset(
    {
        "path",
        "manifest",
        "results",
        "sources",
        "catalog",
        "target_path",
        "dry_run",
        "artifacts_since",
        "max_age",
    }
    | {"dbt_outcome", "dbt_exit_code"}
)
DBT_COULD_NOT_RUN = 2  # dbt's own exit codes: 0 good, 1 something failed, 2 and above it could not run


class Terminated(BaseException):
    """SIGTERM, raised where the program stands, so that every open job is closed on the way out."""


def _flags(
    *names: str, rest: str | None = None
) -> Callable[[Callable[[dict[str, Any]], None]], Callable[..., None]]:
    """Gives a command one parameter per setting: PATH as an argument, the others as --flags. rest: the name
    under which the remaining words come.
    """

    def decorate(command: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
        def wrapper(**flags: Any) -> None:
            command(flags)

        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [inspect.Parameter(n, kind, default=_unset(n), annotation=_annotation(n)) for n in names]
        if rest:
            words = Annotated[list[str], typer.Argument(help="dbt and its arguments.", metavar="-- dbt ...")]
            parameters.append(inspect.Parameter(rest, kind, annotation=words))
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        wrapper.__name__ = command.__name__
        wrapper.__doc__ = command.__doc__
        return wrapper

    return decorate


def _also(name: str, annotation: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """One more flag that is no setting: it stands on this command line alone."""

    def decorate(wrapper: Callable[..., None]) -> Callable[..., None]:
        flags = inspect.signature(wrapper)
        more = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        wrapper.__signature__ = flags.replace(parameters=[*flags.parameters.values(), more])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {**wrapper.__annotations__, name: annotation}
        return wrapper

    return decorate


def _unset(name: str) -> Any:
    return False if name in SWITCHES else None


def _annotation(name: str) -> Any:
    knob = KNOBS[name]
    text = f"{knob.help} [default: {knob.default}]" if knob.default else knob.help
    if name == "path":
        return Annotated[str | None, typer.Argument(help=text, show_default=False)]
    flag = "--" + name.replace("_", "-")
    if name in SWITCHES:
        return Annotated[bool, typer.Option(flag, help=text, show_default=False)]
    kind: Any = list[str] | None if name in LISTS else str | None
    return Annotated[kind, typer.Option(flag, help=text, metavar=knob.shown, show_default=False)]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"qalita-dbt-ingest {__version__}")
        raise typer.Exit


@app.command("dbt")
@_flags(*KNOBS)
def dbt_command(flags: dict[str, Any]) -> None:
    """Find dbt's artifacts, vet them, judge them, publish them once, and tell what broke."""
    with _answering(flags) as (resolved, world):
        from qalita_action import pipeline

        context = pipeline.detect(resolved, world)
        if resolved.settings.dry_run:
            _dry_run(resolved, context, world)
            return
        outcome = pipeline.run(resolved, context, world)
        _report(outcome, resolved, world)
        raise typer.Exit(outcome.exit_code)


@app.command("run", context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
@_flags(*(name for name in KNOBS if name not in NOT_FOR_RUN), rest="command")
def run_command(flags: dict[str, Any]) -> None:
    """Run dbt and publish what it did: qalita-ingest run -- dbt build. Nothing stale can slip in."""
    command = flags.pop("command") or []
    with _answering(flags) as (given, outside):
        from qalita_action import pipeline

        dbts, resolved, world = pipeline.run_dbt(given, command, outside)
        try:
            outcome = pipeline.run(resolved, pipeline.detect(resolved, world), world)
        except IngestError as e:
            _complain(e.lines(), dict(world.env), _secrets(flags, dict(world.env)))
            raise typer.Exit(dbts if dbts >= DBT_COULD_NOT_RUN else e.exit_code) from None
        _report(outcome, resolved, world)
        raise typer.Exit(dbts if dbts >= DBT_COULD_NOT_RUN else outcome.exit_code)


@app.command("context")
@_also("docker_args", DOCKER_ARGS)
@_flags(*CONTEXT_FLAGS)
def context_command(flags: dict[str, Any]) -> None:
    """Show what is known of the commit, branch, change, job and run, and where each fact came from."""
    docker_args = flags.pop("docker_args")
    if docker_args:
        flags["output"] = "json"  # stdout goes onto a command line: masks belong to stderr
    with _answering(flags) as (resolved, world):
        from qalita_action import ci, pipeline

        context = pipeline.detect(resolved, world)
        if docker_args:
            ours = [name for name in world.env if name.startswith("QALITA_")]
            typer.echo(ci.docker_args(world.env, world.workspace, ours))
            for line in _not_forwarded(context):
                typer.echo(line, err=True)
            return
        if resolved.settings.output == "json":
            import json

            _print(json.dumps(ci.to_document(context), ensure_ascii=False))
            return
        _table([(name, value or "-", source) for name, value, source in ci.rows(context)])
        for warning in context.warnings:
            _print(f"! {warning.text}")
        if context.ci.provider is None:
            _print(f"! {' '.join(_not_forwarded(context))}")


def _not_forwarded(context: CIContext) -> list[str]:
    """For who sees no CI where one is: said by this command alone, a run on a laptop need not hear it."""
    from qalita_action import ci

    if context.ci.provider is None:
        text = "No CI is recognised. On a laptop that is so; a container was not handed the CI's variables"
        return [f"{text}: {ci.HAND_ON}."]
    return [w.text for w in context.warnings if w.code == "ci-unread"]


@app.command("check")
@_flags(*(name for name in KNOBS if name not in ("dry_run", "output")))
def check_command(flags: dict[str, Any]) -> None:
    """Try everything that `dbt` needs, write nothing, and say what is missing."""
    with _answering(flags) as (resolved, world):
        from qalita_action import pipeline

        findings = pipeline.check(resolved, pipeline.detect(resolved, world), world)
        sign = {True: "ok", False: "NO", None: "-"}
        rows = []
        for finding in findings:
            rows.append((sign[finding.ok], finding.subject, finding.text))
            if finding.todo:
                rows.append(("", "", f"next: {finding.todo}"))
        _table(rows)
        if any(f.ok is False for f in findings):
            raise typer.Exit(ExitCode.SETTINGS)


@app.command("sandbox")
def sandbox_command(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 3080,
    database: Annotated[Path, typer.Option(help="SQLite file.")] = Path("qalita-sandbox.db"),
) -> None:
    """Serve a stand-in for QALITA on this machine. It is not QALITA: it is for trying and for tests."""
    try:
        from qalita_action import sandbox
    except ModuleNotFoundError as e:
        typer.echo(
            f"The sandbox needs its extra: pip install 'qalita-dbt-ingest[sandbox]' ({e.name} is missing)",
            err=True,
        )
        raise typer.Exit(ExitCode.SETTINGS) from None
    gc.enable()  # a server lives on
    sandbox.serve("127.0.0.1", port, database)


def main() -> None:
    """Console script. Turns SIGTERM into an unwinding, and anything unforeseen into exit 70."""
    # One run, whose rows are trees that live until its end: looking for cycles doubles a large one's time.
    gc.disable()
    signal.signal(signal.SIGTERM, _terminate)
    app()


def qalita() -> None:
    """`qalita ingest dbt ...`, as QALITA's integration page writes it. Made a command in the image alone, so
    that it never hides QALITA's own CLI.
    """
    if sys.argv[1:2] == ["ingest"]:
        del sys.argv[1]
    main()


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


@contextmanager
def _answering(flags: dict[str, Any]) -> Iterator[tuple[Resolved, World]]:
    """Settings in, exit code out. Every error is told once, without secrets, with its way out."""
    env = dict(os.environ)
    secrets = _secrets(flags, env)
    try:
        yield _resolve(flags, env)
    except IngestError as e:
        _complain(e.lines(), env, secrets)
        raise typer.Exit(e.exit_code) from None
    except KeyboardInterrupt:
        _complain(["interrupted"], env, secrets)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except Terminated:
        _complain(["terminated: what was not delivered is in the spool folder"], env, secrets)
        raise typer.Exit(ExitCode.TERMINATED) from None
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except Exception as e:  # noqa: BLE001  (the reason stands below)
        # The last net: a traceback tells nobody at night what to do, and may hold what must not be shown.
        import traceback

        where = traceback.extract_tb(e.__traceback__)[-1]
        lines = [
            f"a bug of qalita-ingest {__version__}: {type(e).__name__}: {e}",
            f"  at {Path(where.filename).name}:{where.lineno} in {where.name}",
            "  next: please report it with these lines: https://github.com/qalita/dbt-ingest/issues",
        ]
        _complain(lines, env, secrets)
        raise typer.Exit(ExitCode.BUG) from None


def _resolve(flags: dict[str, Any], env: dict[str, str]) -> tuple[Resolved, World]:
    from datetime import datetime, timezone

    from qalita_action import settings
    from qalita_action.pipeline import World

    given = {
        k: tuple(v) if isinstance(v, list) else v for k, v in flags.items() if v not in (None, False, [])
    }
    workspace = Path.cwd()
    resolved = settings.resolve(given, env, settings.read_file(given, env, workspace))
    token = resolved.settings.token
    if token and env.get("GITHUB_ACTIONS"):
        # First of all: from here on the runner hides it wherever it appears.
        typer.echo(f"::add-mask::{token.get_secret_value()}", err=resolved.settings.output == "json")
    return resolved, World(env=env, workspace=workspace, now=lambda: datetime.now(timezone.utc))


def _secrets(flags: dict[str, Any], env: dict[str, str]) -> list[str]:
    return [str(flags.get("token") or ""), *(v for k, v in env.items() if _is_secret(k))]


def _is_secret(name: str) -> bool:
    return name.startswith(("QALITA_", "INPUT_", "DBT_CLOUD_")) and any(
        word in name.upper() for word in ("TOKEN", "PASSWORD", "SECRET", "KEY")
    )


def _dry_run(resolved: Resolved, context: CIContext, world: World) -> None:
    from qalita_action import pipeline
    from qalita_action.model import to_json

    ingests = pipeline.plan(resolved.settings, context, world).ingests
    if resolved.settings.output == "json":
        for ingest in ingests:
            sys.stdout.buffer.write(to_json(ingest) + b"\n")
        sys.stdout.buffer.flush()
        return
    for ingest, requests in zip(ingests, pipeline.planned(resolved, ingests, world), strict=True):
        run = ingest.run
        _print(f"{ingest.source.name}: run {run.key}, {run.verdict}, {run.extent}")
        _table([(f"  {r.method}", f"{r.size:>12,} B", r.path, r.note) for r in requests])
    _print("nothing was sent")


def _report(outcome: Any, resolved: Resolved, world: World) -> None:
    from qalita_action import pipeline, report

    color = sys.stdout.isatty() and "NO_COLOR" not in world.env
    options = pipeline.report_options(resolved.settings, outcome, world, color=color)
    rendered = report.render(outcome.ingests, outcome.verdict, outcome.receipts, options)
    report.write(rendered, options, sys.stdout, sys.stderr)


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns side by side; each cell is cleaned, so that no value of a CI can draw on the terminal."""
    cells = [[_harmless(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]) - 1)] if cells else []
    for row in cells:
        typer.echo("  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip())


def _print(text: str) -> None:
    typer.echo(_harmless(text))


def _harmless(line: str) -> str:
    """A line that no untrusted text in it can draw with. Its indentation is ours, and tells what belongs
    together.
    """
    from qalita_action import redact

    text = line.lstrip(" ")
    return " " * (len(line) - len(text)) + redact.for_console(text)


def _complain(lines: list[str], env: dict[str, str], secrets: list[str]) -> None:
    from qalita_action import redact

    clean = [_harmless(redact.mask_tokens(redact.scrub(line, secrets))) for line in lines]
    for line in clean:
        typer.echo(line, err=True)
    if env.get("GITHUB_ACTIONS"):
        message = redact.for_workflow_command("\n".join(clean))
        typer.echo(f"::error title=qalita-ingest::{message}", err=True)


if __name__ == "__main__":
    main()
