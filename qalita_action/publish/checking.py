"""`qalita-ingest check`: everything that publishing would trip over, found by reading alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qalita_action.errors import IngestError
from qalita_action.http import Budget, trusted_by
from qalita_action.model import DIMENSIONS, Finding
from qalita_action.publish import results_api
from qalita_action.publish.answers import row
from qalita_action.publish.choose import choose
from qalita_action.publish.dimensions import pack_of, setup_flags
from qalita_action.publish.packs import find_pack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from qalita_action.http import Client
    from qalita_action.publish.choose import Chosen
    from qalita_action.publish.connect import Claims, Connection


def check(connection: Connection, names: Sequence[str], *, now: datetime) -> tuple[Finding, ...]:
    """A finding a subject: endpoint, TLS, platform, token, API, pack, and the source of each name. Writes
    nothing and never raises an IngestError: a failure is a finding, and what depends on it is left out."""
    target = connection.target
    if target.api == "folder":
        return (Finding(subject="endpoint", ok=None, text=f"no platform: files go to {target.folder}"),)
    findings = [Finding(subject="endpoint", ok=True, text=connection.options.base_url), _tls(connection)]
    findings += [Finding(subject="caution", ok=None, text=text) for text in connection.cautions]
    if connection.claims:
        findings.append(_token(connection.claims, now))
    try:
        with connection.client() as client:
            findings += _asked(connection, client, names)
    except IngestError as e:
        findings.append(_wrong("platform", e))
    return tuple(findings)


def _asked(connection: Connection, client: Client, names: Sequence[str]) -> list[Finding]:
    target = connection.target
    findings: list[Finding] = []
    budget = Budget(target.timeout_s)
    try:
        chosen = choose(connection, client, budget)
        findings += [
            _platform(client, budget),
            _user(chosen),
            Finding(subject="api", ok=True, text=chosen.why),
        ]
    except IngestError as e:
        return [_wrong("platform", e)]
    if chosen.api == "results":
        findings += _packs(connection, client, budget)
        findings += [_source(connection, client, name, budget) for name in names]
    else:
        findings += [
            Finding(subject="source", ok=True, text=f"{name}: made by the first run, where it is not there")
            for name in names
        ]
    return findings


def _tls(connection: Connection) -> Finding:
    options = connection.options
    if options.base_url.startswith("http:"):
        return Finding(subject="tls", ok=None, text="plain http: nothing is encrypted")
    if not options.verify_tls:
        return Finding(subject="tls", ok=None, text="certificates are not verified")
    return Finding(subject="tls", ok=True, text=f"trusts {trusted_by(options)}")


def _token(claims: Claims, now: datetime) -> Finding:
    who = f"user {claims.subject}" + (f", {claims.role}" if claims.role else "")
    if claims.expires_at is None:
        return Finding(subject="token", ok=True, text=f"{who}, without an expiry")
    days = (claims.expires_at - now).days
    text = f"{who}, expires {claims.expires_at:%Y-%m-%d} (in {days} days)"
    return Finding(subject="token", ok=True, text=text)


def _platform(client: Client, budget: Budget) -> Finding:
    answer = client.request("GET", results_api.VERSION, budget=budget, passes={404})
    version = (row(client, answer) or {}).get("version")
    if isinstance(version, str):
        return Finding(subject="platform", ok=True, text=f"QALITA {version}")
    return Finding(subject="platform", ok=None, text="it answers, and does not tell its version")


def _user(chosen: Chosen) -> Finding:
    name = next((chosen.user[k] for k in ("login", "name", "email", "id") if chosen.user.get(k)), "unknown")
    role = chosen.user.get("role")
    return Finding(
        subject="user",
        ok=True,
        text=f"the platform knows {name}" + (f", {role}" if isinstance(role, str) else ""),
    )


def _packs(connection: Connection, client: Client, budget: Budget) -> list[Finding]:
    target = connection.target
    found = [_pack(client, target.pack, None, budget)]
    if target.pack_per_dimension:
        names = [pack_of(target.pack, dimension) for dimension in DIMENSIONS]
        found += [_pack(client, name, setup_flags(target), budget) for name in names]
    return found


def _pack(client: Client, name: str, setup: str | None, budget: Budget) -> Finding:
    try:
        pack_id, version_id = find_pack(client, name, budget, setup=setup)
    except IngestError as e:
        return _wrong("pack", e)
    return Finding(subject="pack", ok=True, text=f"{name}: pack {pack_id}, newest version {version_id}")


def _source(connection: Connection, client: Client, name: str, budget: Budget) -> Finding:
    try:
        found = results_api.find_source(client, connection.target, name, "dbt", budget)
    except IngestError as e:
        return _wrong("source", e)
    where = f"source {found}" if found else "not there yet: the first run makes it"
    return Finding(subject="source", ok=True, text=f"{name}: {where}")


def _wrong(subject: str, error: IngestError) -> Finding:
    return Finding(
        subject=subject,
        ok=False,
        text=f"{error.what} [{error.code}]",
        todo=error.todo[0] if error.todo else "",
    )
