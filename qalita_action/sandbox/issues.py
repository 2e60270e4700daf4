"""Issues: opened by a cause, resolved by evidence. What an issue is follows from the set of runs, by their
own times, whatever the order in which they arrive. Must not decide whether a run counts: completing does.

A sighting is a counted run that names a cause. It ends with the first run that shows the cause to be gone,
unless the cause is seen again before; the issue is what its sightings say.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, func, insert, or_, select, tuple_, update

from qalita_action.sandbox import tables

SEEN, RUN, CAUSE, ISSUE = tables.sightings.c, tables.runs.c, tables.causes.c, tables.issues.c
RESULT, DATASET = tables.results.c, tables.datasets.c
SHOWN = ("level", "title", "body", "dataset", "checks", "owner")

# Statements are made once: to make one costs more than to run it, and every run makes a dozen. The run's key
# decides between equal times, so that arrival never does.
ORDER = (SEEN.completed_us, SEEN.run_key)
HERE = tuple_(bindparam("us"), bindparam("run"))
MINE = and_(SEEN.source_id == bindparam("source"), SEEN.key == bindparam("key"))


def _first(query: Select[Any]) -> Select[Any]:
    return query.order_by(*ORDER).limit(1)


def _last(query: Select[Any]) -> Select[Any]:
    return query.order_by(*(column.desc() for column in ORDER)).limit(1)


NAMED = select(CAUSE.key).where(CAUSE.run_id == bindparam("id")).order_by(CAUSE.key)
BEFORE = _last(select(tables.sightings).where(MINE, tuple_(*ORDER) < HERE))
AFTER = _first(select(tables.sightings).where(MINE, tuple_(*ORDER) > HERE))
LAST, FIRST = (f(select(tables.sightings).where(MINE)) for f in (_last, _first))
OVER = select(SEEN.completed_us, SEEN.run_key).where(MINE, SEEN.is_over.is_(True), tuple_(*ORDER) < HERE)
LAST_OVER, EPISODES = _last(OVER), select(func.count()).select_from(OVER.subquery())
CAUSE_OF = select(tables.causes).where(CAUSE.run_id == bindparam("id"), CAUSE.key == bindparam("key"))
COMPLETED_AT = select(RUN.completed_at).where(RUN.id == bindparam("id"))
COUNTED = (
    select(RUN.id, RUN.key, RUN.completed_us, RUN.completed_at, RUN.verdict, RUN.extent)
    .where(RUN.source_id == bindparam("source"), RUN.state == "complete")
    .where(RUN.extent != "partial", RUN.is_change.is_(False))
    .where(tuple_(RUN.completed_us, RUN.key) > HERE)
    .order_by(RUN.completed_us, RUN.key)
)
PASSED = select(func.count()).where(
    RESULT.run_id == bindparam("id"),
    RESULT.status == "passed",
    RESULT.check.in_(bindparam("checks", expanding=True)),
)
BUILT = select(DATASET.run).where(DATASET.run_id == bindparam("id"), DATASET.key == bindparam("dataset"))
# Of every issue of a source the sighting before a run.
_NEWEST = (
    select(SEEN.id)
    .where(SEEN.source_id == ISSUE.source_id, SEEN.key == ISSUE.key, tuple_(*ORDER) < HERE)
    .order_by(*(column.desc() for column in ORDER))
    .limit(1)
    .correlate(tables.issues)
    .scalar_subquery()
)
OPEN_THEN = select(tables.sightings).where(
    SEEN.id.in_(select(_NEWEST).where(ISSUE.source_id == bindparam("source"))),
    or_(SEEN.is_over.is_(False), tuple_(SEEN.over_us, SEEN.over_run) > HERE),
)
END = (
    update(tables.sightings)
    .where(SEEN.id == bindparam("sighting"))
    .values({name: bindparam(name) for name in ("is_over", "over_us", "over_run", "over_at")})
)

KNOWN = select(ISSUE.id).where(ISSUE.source_id == bindparam("source"), ISSUE.key == bindparam("key"))
CHANGE = update(tables.issues).where(ISSUE.id == bindparam("of"))


def settle(tx: Connection, run: Row[Any], source_id: int, now: str) -> None:
    """A counted run that has become complete: each cause that it names is seen, and of the others those end
    that it shows to be gone."""
    named = list(tx.execute(NAMED, {"id": run.id}).scalars())
    for key in named:
        _see(tx, run, source_id, key)
    for key in [*named, *_ended_by(tx, run, source_id, set(named))]:
        _write(tx, run.partner, source_id, key, now)


# ---------------------------------------------------------------- sightings


def _see(tx: Connection, run: Row[Any], source_id: int, key: str) -> None:
    here = (run.completed_us, run.key)
    mine = {"source": source_id, "key": key, "us": here[0], "run": here[1]}
    before, after = tx.execute(BEFORE, mine).first(), tx.execute(AFTER, mine).first()
    new = {"source_id": source_id, "key": key, "completed_us": here[0], "run_key": here[1]}
    made = tx.execute(insert(tables.sightings), new | {"run_id": run.id, "is_over": False})
    if before is not None and before.is_over and (before.over_us, before.over_run) > here:
        _end(tx, before.id, None)  # seen again before the run that seemed to end it
    for later in tx.execute(COUNTED, {"source": source_id, "us": here[0], "run": here[1]}):
        if after is not None and (later.completed_us, later.key) >= (after.completed_us, after.run_key):
            return
        if _is_gone(tx, later, run.id, key):
            _end(tx, made.inserted_primary_key[0] if made.inserted_primary_key else 0, later)
            return


def _ended_by(tx: Connection, run: Row[Any], source_id: int, named: set[str]) -> list[str]:
    """Of every other issue the sighting before this run, where nothing ended it earlier."""
    here = {"source": source_id, "us": run.completed_us, "run": run.key}
    ended = []
    for seen in tx.execute(OPEN_THEN, here).all():
        if seen.key not in named and _is_gone(tx, run, seen.run_id, seen.key):
            _end(tx, seen.id, run)
            ended.append(seen.key)
    return ended


def _end(tx: Connection, sighting: int, run: Any) -> None:
    """run: a row of runs; None where it is not over after all."""
    over = {"over_us": None, "over_run": None, "over_at": None}
    if run is not None:
        over = {"over_us": run.completed_us, "over_run": run.key, "over_at": run.completed_at}
    tx.execute(END, over | {"sighting": sighting, "is_over": run is not None})


def _is_gone(tx: Connection, run: Any, seen_by: int, key: str) -> bool:
    """Whether the run shows it: all checks of the cause, as that sighting named them, executed and passed.
    "All of none" shows nothing, so one without checks needs its dataset built; one without either, a complete
    run that does not name it."""
    cause = tx.execute(CAUSE_OF, {"id": seen_by, "key": key}).one()
    if cause.checks:
        passed = tx.execute(PASSED, {"id": run.id, "checks": cause.checks}).scalar()
        return bool(passed == len(set(cause.checks)))
    if cause.dataset is not None:
        built = tx.execute(BUILT, {"id": run.id, "dataset": cause.dataset}).scalar()
        return built is not None and built["status"] == "passed"
    return bool(run.verdict == "executed" and run.extent == "complete")


# ---------------------------------------------------------------- the issue


def _write(tx: Connection, partner: str, source_id: int, key: str, now: str) -> None:
    """The issue as its sightings say: as the last one showed it, open since the first one of its episode."""
    mine = {"source": source_id, "key": key}
    last = tx.execute(LAST, mine).one()
    here = mine | {"us": last.completed_us, "run": last.run_key}
    ended = tx.execute(LAST_OVER, here).first()
    episodes = (tx.execute(EPISODES, here).scalar() or 0) if ended else 0
    begin = {"us": ended.completed_us, "run": ended.run_key} if ended else {}
    first = tx.execute(AFTER if ended else FIRST, mine | begin).one()
    cause = tx.execute(CAUSE_OF, {"id": last.run_id, "key": key}).one()
    values = {name: getattr(cause, name) for name in SHOWN} | {
        "status": "resolved" if last.is_over else "open",
        "times_opened": 1 + episodes,
        "opened_run": first.run_key,
        "opened_at": tx.execute(COMPLETED_AT, {"id": first.run_id}).scalar(),
        "last_seen_run": last.run_key,
        "last_seen_at": tx.execute(COMPLETED_AT, {"id": last.run_id}).scalar(),
        "resolved_run": last.over_run,
        "resolved_at": last.over_at,
        "updated_at": now,
    }
    known = tx.execute(KNOWN, mine).scalar()
    if known is None:
        of = {"partner": partner, "source_id": source_id, "key": key, "created_at": now}
        tx.execute(insert(tables.issues), values | of)
    else:
        tx.execute(CHANGE, values | {"of": known})
