"""Settings in, exit code out: the one place that catches, tells an error, and reads os.environ."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from qalita_action import __version__
from qalita_action.cli.printing import complain
from qalita_action.cli.secrets import mask, secrets_of
from qalita_action.errors import ExitCode, IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qalita_action.pipeline import World
    from qalita_action.settings import Resolved


class Terminated(BaseException):
    """SIGTERM, raised where the program stands, so that every open job is closed on the way out."""


@contextmanager
def answering(flags: dict[str, Any]) -> Iterator[tuple[Resolved, World]]:
    """Settings in, exit code out. Every error is told once, without secrets, with its way out."""
    env = dict(os.environ)
    mask(flags, env)
    secrets = secrets_of(flags, env)
    try:
        yield _resolve(flags, env)
    except IngestError as e:
        complain(e.lines(), env, secrets)
        raise typer.Exit(e.exit_code) from None
    except KeyboardInterrupt:
        complain(["interrupted"], env, secrets)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except Terminated:
        complain(["terminated: what was not delivered is in the spool folder"], env, secrets)
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
        complain(lines, env, secrets)
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
    return resolved, World(env=env, workspace=workspace, now=lambda: datetime.now(timezone.utc))
