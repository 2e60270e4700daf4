"""Where artifacts are and may be, as values: what the user said, what was found, bytes that lie elsewhere.
Must not look for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import msgspec

from qalita_action.redact import Secret

MAX_BYTES = 1 << 30


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact that is no file of this machine.

    where  for people and for errors, without credentials: s3://bucket/target/manifest.json,
           target.zip: target/manifest.json
    name   its file name, as dbt wrote it
    load   its bytes, packed as they lie there; reads on each call and keeps nothing. Errors: ArtifactError
    head   the first bytes alone, where that is cheaper: at least as many as asked for, or all
    """

    where: str
    name: str
    load: Callable[[], bytes]
    head: Callable[[int], bytes] | None = None

    def __str__(self) -> str:
        return self.where

    def head_of(self, count: int) -> bytes:
        return self.head(count) if self.head else self.load()


Artifact: TypeAlias = Path | Blob


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to reach artifacts elsewhere. Never from a file inside the workspace.

    env            the clouds' own variables hold their credentials
    max_bytes      of one artifact, packed and unpacked: read no further
    cloud_host     dbt Cloud's access URL: cloud.getdbt.com, emea.dbt.com, ...
    wait_s         how long to wait for a run that has not finished; 0: not at all
    first_wait_s   before the second look at such a run; it doubles each time
    patience_s     how long one call is repeated where the service is in trouble
    ca, verify_tls  as for QALITA: a CA bundle to trust as well
    """

    env: Mapping[str, str] = {}
    max_bytes: int = MAX_BYTES
    cloud_host: str | None = None
    cloud_token: Secret | None = None
    wait_s: float = 0.0
    first_wait_s: float = 5.0
    patience_s: float = 90.0
    ca: str | None = None
    verify_tls: bool = True


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """What the user said about where to look. Everything may be unset; each may be an address."""

    path: str | None = None
    manifest: str | None = None
    results: tuple[str, ...] = ()
    sources: str | None = None
    catalog: str | None = None
    target_path: str | None = None
    needs_results: bool = True  # dbt as our child may crash before it writes any: that is recorded too
    reach: Reach = Reach()


class RanBy(msgspec.Struct, frozen=True, kw_only=True):
    """What the service that ran dbt says of the run. It outranks the CI, which merely fetches.

    run_id     what the run's key is made of: dbtcloud/<account>/<run>
    event      what started it, in the service's words
    is_change  it ran for a change request
    is_red     the service says that a command of it failed
    """

    run_id: str
    run: str
    job: str | None = None
    job_name: str | None = None
    url: str | None = None
    sha: str | None = None
    branch: str | None = None
    repository: str | None = None
    environment: str | None = None
    event: str | None = None
    change_id: str | None = None
    is_change: bool = False
    is_red: bool = False
    attempt: int | None = None
    started_at: datetime | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The artifacts of one run. named: the user pointed at them: their age is not judged by the pipeline's.
    is_elsewhere: they were fetched, so that no checkout or pipeline here says anything about them.
    unfinished: what part of the run left nothing, where somebody says so.
    notes: (code, text) for people, on how they were found.
    """

    directory: Path | str
    manifest: Artifact
    results: tuple[Artifact, ...]
    sources: Artifact | None
    catalog: Artifact | None = None
    named: bool
    is_elsewhere: bool = False
    project_file: Path | None = None
    project_name: str | None = None  # of dbt_project.yml, where there is one
    ran_by: RanBy | None = None
    unfinished: str | None = None
    notes: tuple[tuple[str, str], ...] = ()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a history, none of whose artifacts was read in whole.

    where    for people, without credentials
    at       when it completed, which histories are sorted by; None where nothing tells before it is read
    run_ids  what its key will be made of (Evidence.run_ids); () where only reading tells
    ran_by   what the service that ran it says of it, where one did
    open     its artifacts
    copies   the same run at other places, for where this one cannot be read
    """

    where: str
    at: datetime | None
    run_ids: tuple[str, ...] = ()
    ran_by: RanBy | None = None
    open: Callable[[], Found]
    copies: tuple[Candidate, ...] = ()
