"""Where this program runs, and for which commit and change. Each field takes the first that knows it: the
user's own word, the event file, the provider's variables, the checkout.

Must not fail a run, whatever it is given: what is not known is None, and worth a warning where it matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from qalita_action.ci import checkout, event
from qalita_action.ci.choose import choose
from qalita_action.ci.fields import Cell, Found, Scope, nothing
from qalita_action.ci.orchestrators import ORCHESTRATORS
from qalita_action.ci.providers import NO_CI, PROVIDERS
from qalita_action.ci.row import Provider
from qalita_action.ci.urls import clean_url, slug
from qalita_action.ci.values import Worth, count_of, short_sha, text_of, worth
from qalita_action.model import CI, CIContext, Git, Orchestrator, RunWarning

GIT_FIELDS: tuple[str, ...] = Git.__struct_fields__
CI_FIELDS: tuple[str, ...] = CI.__struct_fields__
FIELDS = GIT_FIELDS + CI_FIELDS
SHAS = frozenset({"sha", "checkout_sha", "base_sha"})
DEPENDABOT = "dependabot[bot]"

USER, EVENT, PROVIDER, CHECKOUT = range(4)  # strength, the strongest first

_NO_OVERRIDES: Mapping[str, tuple[str, str]] = MappingProxyType({})


class Known(NamedTuple):
    """A field's value; rank is one of USER, EVENT, PROVIDER, CHECKOUT."""

    value: Worth
    source: str
    rank: int


def detect(
    env: Mapping[str, str],
    workspace: Path,
    overrides: Mapping[str, tuple[str, str]] = _NO_OVERRIDES,
    table: tuple[Provider, ...] = PROVIDERS,
) -> CIContext:
    """The context of this run.

    env        the environment of the process
    workspace  a folder in the checkout; the repository is looked for there and above
    overrides  field name of run.git or run.ci -> (value, `flag`, `input`, `config` or `env:NAME`)
    table      the providers that are known, in the order of detection
    """
    warnings: list[RunWarning] = []
    user = _users_words(overrides, warnings)
    bare = Scope(env=env, user=user)
    row, mark = choose(bare, table, warnings)
    scope = Scope(env=env, event=_event(bare, row, warnings), user=user)
    tree = checkout.read(workspace, env)
    warnings += tree.warnings

    known = _resolve(scope, row, mark, tree, warnings)
    _add_checkout(known, scope, row, tree)
    _branch_or_tag(known)
    _drop_hint(known, row)
    warnings += [RunWarning(code=code, text=text) for test, code, text in row.notes if test(scope)]
    warnings += _doubts(known, row, tree)

    values = {field: answer.value for field, answer in known.items()}
    environment = row.environment(scope)
    actors = [found.value for name in row.actors if (found := scope.look(name))]
    return CIContext(
        git=msgspec.convert({k: v for k, v in values.items() if k in GIT_FIELDS}, Git),
        ci=msgspec.convert({k: v for k, v in values.items() if k in CI_FIELDS}, CI),
        orchestrator=_orchestrator(scope),
        environment=text_of(environment.value) if environment else None,
        is_change=_is_change(values, scope, row, warnings),
        is_dependabot=DEPENDABOT in actors,
        warnings=tuple(warnings),
        sources={field: known[field].source if field in known else None for field in FIELDS},
    )


def _users_words(overrides: Mapping[str, tuple[str, str]], warnings: list[RunWarning]) -> dict[str, Found]:
    for field in sorted(overrides.keys() - set(FIELDS)):
        text = f"There is no field {text_of(field)!r} of the run's context; it was not used."
        warnings.append(RunWarning(code="override-unknown", text=text))
    return {
        field: Found(value.strip(), source)
        for field, (value, source) in overrides.items()
        if field in FIELDS and value.strip()
    }


def _event(scope: Scope, row: Provider, warnings: list[RunWarning]) -> object:
    path = scope.look(row.event_path) if row.event_path else None
    if path is None:
        return None
    payload, warning = event.read(path.value)
    warnings += [warning] if warning else []
    return payload


# ---------------------------------------------------------------- field by field


def _resolve(
    scope: Scope, row: Provider, mark: Found | None, tree: checkout.Checkout, warnings: list[RunWarning]
) -> dict[str, Known]:
    """What the user, the event file and the variables say, in this order."""
    name = row.event_name(scope)
    said: Mapping[str, Cell] = {}
    if scope.event is not None:
        said = {**row.common, **row.events.get(name.value if name else "", {})}
    known: dict[str, Known] = {}
    for field in FIELDS:
        found = [
            scope.user.get(field),
            said.get(field, nothing)(scope),
            row.fields.get(field, nothing)(scope),
        ]
        for rank, answer in enumerate(found):
            value = _value(field, answer, tree) if answer else None
            if answer and value is not None:
                known[field] = Known(value, answer.source, rank)
                break
            if answer and rank == USER:
                known |= _kept_short(field, answer, warnings)
                if field in known:
                    break
    if mark and "provider" not in known:
        known["provider"] = Known(row.name, mark.source, PROVIDER)
    return known


def _value(field: str, found: Found, tree: checkout.Checkout) -> Worth | None:
    value = worth(field, found.value)
    short = short_sha(found.value) if value is None and field in SHAS else None
    return checkout.complete(tree, short) if short else value


def _kept_short(field: str, found: Found, warnings: list[RunWarning]) -> dict[str, Known]:
    """The user's word where it is no whole value: an abbreviated commit is kept as it is, nonsense is not."""
    short = short_sha(found.value) if field in SHAS else None
    if short:
        text = f"{field} from {found.source} is abbreviated, and the checkout does not tell the rest of it."
        warnings.append(RunWarning(code="sha-short", text=text))
        return {field: Known(short, found.source, USER)}
    text = f"{field} from {found.source} cannot be a value of that kind; it was not used."
    warnings.append(RunWarning(code="override-unusable", text=text))
    return {}


def _add_checkout(known: dict[str, Known], scope: Scope, row: Provider, tree: checkout.Checkout) -> None:
    """What nobody said, from git's files. HEAD is the change's head unless the CI is known to have checked
    out something else; then it is, if the user has checked out yet another commit."""
    here = {
        field: Known(value, found.source, CHECKOUT)
        for field, found in tree.fields.items()
        if (value := worth("sha" if field == "head" else field, found.value)) is not None
    }
    head, branch = here.pop("head", None), here.pop("branch", None)
    checked_out = known.get("checkout_sha")
    moved = head and checked_out and head.value != checked_out.value
    trusted = not row.head_unsaid(scope) or bool(moved)
    if head and trusted:
        known.setdefault("sha", head)
    elif head and "sha" not in known and (commit := checkout.commit_of(tree, str(head.value))):
        # A merge that the CI made names the change's head, also in a clone of depth one.
        told = row.head_of(scope, commit)
        if told:
            known["sha"] = Known(told, head.source, CHECKOUT)
    if head:
        known.setdefault("checkout_sha", head)
    same = head is None or ("sha" in known and known["sha"].value == head.value)
    if branch and trusted and same and "tag" not in known:
        known.setdefault("branch", branch)
    for field, answer in here.items():
        known.setdefault(field, answer)


def _branch_or_tag(known: dict[str, Known]) -> None:
    """A run is on a branch or on a tag; the stronger source decides, and a tag before a branch."""
    if "branch" in known and "tag" in known:
        del known["branch" if known["tag"].rank <= known["branch"].rank else "tag"]


def _drop_hint(known: dict[str, Known], row: Provider) -> None:
    """A pull request from the default branch into a release branch does not make a run of the default branch
    a change."""
    branch, default, change = (known.get(name) for name in ("branch", "default_branch", "change_id"))
    if row.hints and branch and default and change and change.rank != USER and branch.value == default.value:
        del known["change_id"]


# ---------------------------------------------------------------- what follows


def _is_change(values: Mapping[str, Worth], scope: Scope, row: Provider, warnings: list[RunWarning]) -> bool:
    """A change request, a merge queue, or a branch that is not the default branch; tags are none."""
    here, head = row.repository(scope), values.get("head_repository")
    base = here.value if here else slug(str(values.get("repository_url", "")))
    other = slug(str(head)) if head and "://" in str(head) else head
    is_fork = bool(base and other and base.lower() != str(other).lower())
    if row.is_change(scope) or "change_id" in values or is_fork:
        return True
    if "tag" in values:
        return False
    missing = [name for name in ("branch", "default_branch") if name not in values]
    if missing:
        text = (
            f"Whether this is a change run cannot be told: {' and '.join(missing)} unknown. It is taken for "
            "a run of the main line. Say `default-branch` in qalita.yml, and --branch where the CI does not "
            "tell, or hand on the CI's variables and event file."
        )
        if row is not NO_CI:  # a laptop has no variables to hand on
            warnings.append(RunWarning(code="change-unknown", text=text))
        return False
    return values["branch"] != values["default_branch"]


def _doubts(known: Mapping[str, Known], row: Provider, tree: checkout.Checkout) -> list[RunWarning]:
    sha, checked_out = known.get("sha"), known.get("checkout_sha")
    if sha is None:
        text = (
            "The commit of this run is unknown. Hand on the CI's variables, mount the checkout with .git, or "
            "say --sha."
        )
        return [RunWarning(code="sha-unknown", text=text)]
    said = {sha.value} | ({checked_out.value} if checked_out else set())
    if tree.head is None or tree.head in said or said & set(checkout.parents(tree, tree.head)):
        return []
    text = (
        f"The checkout is at {tree.head[:12]}, but this run is about {str(sha.value)[:12]} by {sha.source}"
        f"{f' ({row.title})' if row.name else ''}. Results may belong to another commit than the one named."
    )
    return [RunWarning(code="checkout-differs", text=text)]


def _orchestrator(scope: Scope) -> Orchestrator | None:
    for row in ORCHESTRATORS:
        if any(scope.look(name) for name in row.marks):
            found = {name: cell(scope) for name, cell in row.fields.items()}
            texts = {name: text_of(answer.value) for name, answer in found.items() if answer}
            attempt = texts.pop("attempt", None)
            url = found.get("url")
            return Orchestrator(
                name=row.name,
                job=texts.get("job"),
                task=texts.get("task"),
                run_id=texts.get("run_id"),
                attempt=count_of(attempt) if attempt else None,
                url=clean_url(url.value) if url else None,
            )
    return None
