"""Runs that wait on disk, sent: oldest first, each once, with a receipt for each. Must not change a
document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qalita_action import publish
from qalita_action.errors import ArtifactError, ExitCode, IngestError
from qalita_action.model import Receipt
from qalita_action.pipeline import handover, keeping
from qalita_action.pipeline.running import delivery_code
from qalita_action.pipeline.world import TOOL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from qalita_action.model import CIContext
    from qalita_action.pipeline.world import World
    from qalita_action.publish.spool import Spooled
    from qalita_action.settings import Resolved, Settings

NEVER = "--publish never"


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt for each run that was read, in the order of sending, and an error for each file that was
    not."""

    receipts: tuple[Receipt, ...]
    errors: tuple[IngestError, ...]
    exit_code: ExitCode


def replay(
    resolved: Resolved, context: CIContext, world: World, paths: Sequence[str], *, trust: bool
) -> Replayed:
    """Send spool files, and those of folders. A file that cannot be sent costs the others nothing.

    trust  take runs of another project or environment than the settings name; never those of a hand-over

    Raises SettingsError, or all of them in a ManyErrors, where nothing can be sent at all.
    """
    settings = resolved.settings
    handover.check_settings(settings, context)
    connection = publish.connect(
        settings.target(TOOL), now=world.now(), need_account=settings.publish != "never"
    )
    waiting: list[tuple[Path, Spooled]] = []
    errors: list[IngestError] = []
    for path in _files(paths, world, errors):
        try:
            spooled = publish.spool.load(path)
            handover.hold_document(spooled.ingest, settings, context, path)
            if not trust and not handover.is_handed_over(context):
                _hold(spooled, settings, path)
            waiting.append((path, spooled))
        except IngestError as e:
            errors.append(e)
    waiting.sort(key=lambda found: (found[1].ingest.run.completed_at or "", found[0].name))
    receipts: list[Receipt] = []
    codes = [int(e.exit_code) for e in errors]
    for path, spooled in waiting:
        is_change = spooled.is_change or context.is_change
        receipt = _sent(connection, path, spooled, world, is_change=is_change)
        receipts.append(keeping.told(receipt, context.ci.provider, world.workspace, world.env))
        codes.append(delivery_code(receipt, settings, is_change=is_change))
    return Replayed(
        receipts=tuple(receipts),
        errors=tuple(errors),
        exit_code=ExitCode(min((code for code in codes if code), default=0)),
    )


def _sent(
    connection: publish.Connection, path: Path, spooled: Spooled, world: World, *, is_change: bool
) -> Receipt:
    ingest = spooled.ingest
    if connection.target.publish == "never":
        return Receipt(
            run_key=ingest.run.key,
            api="none",
            status="skipped",
            reason=NEVER,
            source=ingest.source.name,
            spool=str(path),
        )
    (receipt,) = publish.send_each(
        connection, [ingest], [spooled.page], [path], is_change=is_change, now=world.now
    )
    # Somebody keeps a file that was skipped: it stays, and its receipt says where.
    return msgspec.structs.replace(receipt, spool=str(path)) if receipt.status == "skipped" else receipt


def _files(paths: Sequence[str], world: World, errors: list[IngestError]) -> list[Path]:
    """Each file once, however often it is named. A folder that is not there is one in which nothing waits:
    the last run that was sent took it away."""
    found: dict[Path, None] = {}
    for name in paths:
        path = world.workspace / name
        if path.is_dir():
            found |= dict.fromkeys(
                p.resolve() for p in sorted(path.rglob(f"*{publish.spool.SUFFIX}")) if _waits(p)
            )
        elif path.is_file() or path.name.endswith(publish.spool.SUFFIX):
            found[path.resolve()] = None
        elif path.exists():
            errors.append(_no_spool(path))
    return list(found)


def _waits(path: Path) -> bool:
    return not path.name.startswith(".") and path.is_file()


def _no_spool(path: Path) -> ArtifactError:
    return ArtifactError(
        "spool-unreadable",
        "A spool file cannot be read: it is neither a file nor a folder.",
        expected="a file that this program wrote, or a folder of them",
        looked=[str(path)],
    )


def _hold(spooled: Spooled, settings: Settings, path: Path) -> None:
    """Held to what the settings name: a file that came along with an artifact says of itself what it
    likes."""
    source = spooled.ingest.source
    environments = {settings.env, settings.change_env} if spooled.is_change else {settings.env}
    wrong = []
    if settings.project and source.project != settings.project:
        wrong.append(f"project {source.project}, and the settings say {settings.project}")
    if settings.env and source.environment not in environments:
        wrong.append(f"environment {source.environment}, and the settings say {settings.env}")
    if settings.suite and source.suite != settings.suite:
        wrong.append(f"suite {source.suite or 'none'}, and the settings say {settings.suite}")
    if wrong:
        raise ArtifactError(
            "spool-foreign",
            "A waiting run is not one of this project and environment.",
            expected="what --project, --env and --suite name",
            looked=[str(path), *wrong],
            todo=["leave it out, or send it with --trust-spool, if you know where the file comes from"],
        )
