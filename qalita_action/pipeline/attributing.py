"""Whose run it is: the context of a document. Settled once, here, and used by every later stage.

Where a service ran dbt, the CI merely fetches: its commit, branch, change and environment say nothing about
the run. What is left of it is where this program runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qalita_action.ci import urls, values
from qalita_action.model import Git, Orchestrator

if TYPE_CHECKING:
    from qalita_action.dbt import RanBy
    from qalita_action.model import CIContext

SERVICE = "dbt-cloud"
# What the CI warns of because it does not know the commit or the branch that it stands on.
ABOUT_THE_CHECKOUT = frozenset(
    {"sha-unknown", "sha-short", "change-unknown", "checkout-differs", "git-failed", "git-unreadable"}
)


def context_of(ran_by: RanBy | None, here: CIContext, default_branch: str | None = None) -> CIContext:
    """here: what the CI says. default_branch: the user's own word; the CI's is of another repository perhaps.

    A run is a change's where the service ran it for one, or off the default branch that the user named.
    """
    if ran_by is None:
        return here
    branch = values.ref_of(ran_by.branch or "")
    default = values.ref_of(default_branch or "")
    return msgspec.structs.replace(
        here,
        git=Git(
            sha=values.full_sha(ran_by.sha or ""),
            branch=branch,
            default_branch=default,
            repository_url=urls.repository_url(ran_by.repository or ""),
        ),
        ci=msgspec.structs.replace(
            here.ci,
            event=values.text_of(ran_by.event or ""),
            change_id=values.text_of(ran_by.change_id or ""),
            attempt=ran_by.attempt,
            started_at=values.time_of(ran_by.started_at.isoformat()) if ran_by.started_at else None,
        ),
        orchestrator=Orchestrator(
            name=SERVICE,
            job=values.text_of(ran_by.job_name or ran_by.job or ""),
            run_id=ran_by.run,
            attempt=ran_by.attempt,
            url=urls.clean_url(ran_by.url or ""),
        ),
        warnings=tuple(w for w in here.warnings if w.code not in ABOUT_THE_CHECKOUT),
        environment=values.text_of(ran_by.environment or ""),
        is_change=ran_by.is_change or (None not in (branch, default) and branch != default),
    )
