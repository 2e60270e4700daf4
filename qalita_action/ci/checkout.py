"""What the checkout itself says: commit, branch, remote, read from git's files by GitPython in pure Python.

Works without git on PATH and in a folder of another owner (no ownership check is made, so none can fail).
Must not fetch, write or raise. What needs git itself (a dirty tree, an abbreviated commit, formats that
GitPython does not read) is asked of `git_child`, and is unknown where there is no git.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qalita_action.ci.fields import Found
from qalita_action.ci.git_child import GitProgram, ask, on_path
from qalita_action.ci.row import Commit
from qalita_action.ci.values import full_sha
from qalita_action.model import RunWarning, Value

if TYPE_CHECKING:
    from git import Repo

_LARGEST_COMMIT = 1 << 20  # bytes
_ORIGIN_HEAD = "refs/remotes/origin/HEAD"


class Checkout(Value, frozen=True, kw_only=True):
    """fields are raw values by field name; objects is the folder of git's object database; git the program on
    PATH, if there is one."""

    fields: Mapping[str, Found] = {}
    head: str | None = None
    root: str | None = None
    objects: str | None = None
    git: GitProgram | None = None
    warnings: tuple[RunWarning, ...] = ()


def read(workspace: Path, env: Mapping[str, str]) -> Checkout:
    """The repository that holds workspace; a Checkout without fields where there is none."""
    git = on_path(env)
    if not _has_git_entry(workspace):  # GitPython costs a sixth of a second to import
        return Checkout(git=git)
    try:
        with _open(workspace) as repo:
            return _describe(repo, git)
    except _errors() as error:
        return Checkout(git=git, warnings=(_unreadable(type(error).__name__),))


def commit_of(checkout: Checkout, sha: str) -> Commit | None:
    """A commit as its object tells it; None where it cannot be read. Its parents are known also where a
    shallow clone does not have them."""
    if checkout.objects is None or len(sha) != 40:
        return None
    errors = _errors()
    from git.db import GitDB

    try:
        commit = GitDB(checkout.objects).stream(bytes.fromhex(sha))
        raw = commit.read() if commit.type == b"commit" and commit.size <= _LARGEST_COMMIT else b""
    except errors:
        return None
    header, _, message = raw.decode("utf-8", "replace").partition("\n\n")
    lines = [line.partition(" ") for line in header.split("\n")]
    return Commit(
        sha=sha,
        parents=tuple(parent for word, _, parent in lines if word == "parent" and full_sha(parent)),
        committer=next((who for word, _, who in lines if word == "committer"), ""),
        subject=message.partition("\n")[0],
    )


def parents(checkout: Checkout, sha: str) -> tuple[str, ...]:
    commit = commit_of(checkout, sha)
    return commit.parents if commit else ()


def complete(checkout: Checkout, short: str) -> str | None:
    """The whole id of an abbreviated commit: that of HEAD or of a parent of it if it begins so, else what git
    says, else None."""
    near = (checkout.head, *parents(checkout, checkout.head)) if checkout.head else ()
    found = next((sha for sha in near if sha.startswith(short)), None)
    if found:
        return found
    if checkout.git is None or checkout.root is None:
        return None
    said = ask(checkout.git, checkout.root, "rev-parse", "--verify", "--quiet", f"{short}^{{commit}}")
    return full_sha(said.strip()) if said else None


@contextmanager
def _quiet_import() -> Iterator[None]:
    """GitPython runs `git version` when it is imported, with the whole environment, our token included, and
    fails where there is no git. It takes both switches from the process environment alone, so they stand
    there for the time of the import and are put back."""
    wanted = {"GIT_PYTHON_REFRESH": "quiet", "GIT_PYTHON_GIT_EXECUTABLE": os.devnull}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _errors() -> tuple[type[Exception], ...]:
    """What GitPython and gitdb raise on a repository that is damaged, half mounted or newer than they are.
    The first caller imports them."""
    with _quiet_import():
        from git.exc import GitError, ODBError
    return (
        GitError,
        ODBError,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        AssertionError,
        RecursionError,
        configparser.Error,
    )


def _open(workspace: Path) -> Repo:
    with _quiet_import():
        from git import Repo

    # Without expand_vars=False a folder called `$x` would be looked up in the environment.
    return Repo(workspace.absolute(), search_parent_directories=True, expand_vars=False)


def _describe(repo: Repo, git: GitProgram | None) -> Checkout:
    warnings: list[RunWarning] = []
    root, common = str(repo.working_tree_dir or repo.git_dir), Path(repo.common_dir)
    url, is_sha256 = _config(common / "config", warnings)
    if is_sha256 or (common / "reftable").is_dir():
        head, branch, default = _ask_head(git, root)
        if not (head or branch):
            warnings.append(_unreadable("its format, reftable or SHA-256, needs a git that knows it on PATH"))
    else:
        head, branch = _commit(repo), _target(repo, "HEAD", "refs/heads/")
        default = _target(repo, _ORIGIN_HEAD, "refs/remotes/origin/")
        if not (head or branch):
            warnings.append(_unreadable("HEAD names neither a commit nor a branch"))
    dirty = _dirty(git, root, warnings) if repo.working_tree_dir and head else None
    found = {
        "head": (head, "git:HEAD"),
        "branch": (branch, "git:HEAD"),
        "default_branch": (default, f"git:{_ORIGIN_HEAD}"),
        "repository_url": (url, "git:config"),
        "shallow": (_word(_has_content(common / "shallow")), "git:shallow"),
        "dirty": (_word(dirty), "git:index"),
    }
    return Checkout(
        fields={name: Found(value, source) for name, (value, source) in found.items() if value},
        head=head,
        root=root,
        objects=str(common / "objects"),
        git=git,
        warnings=tuple(warnings),
    )


def _config(path: Path, warnings: list[RunWarning]) -> tuple[str | None, bool]:
    """(address of origin, else of the first remote; whether ids are SHA-256). This file alone, without what
    it includes: `url.insteadOf` of a user's files could bring a token into the address."""
    errors = _errors()
    from git.config import GitConfigParser

    try:
        with GitConfigParser(str(path), read_only=True, merge_includes=False) as config:
            urls = {
                section: str(config.get(section, "url"))
                for section in config.sections()
                if section.startswith('remote "') and config.has_option(section, "url")
            }
            url = urls.get('remote "origin"') or next(iter(urls.values()), None)
            extensions = "extensions"
            is_sha256 = (
                config.has_option(extensions, "objectformat")
                and str(config.get(extensions, "objectformat")).lower() == "sha256"
            )
            return url, is_sha256
    except errors as error:
        warnings.append(_unreadable(f"config: {type(error).__name__}"))
        return None, False


def _commit(repo: Repo) -> str | None:
    """What HEAD resolves to; None on a branch without commits."""
    from git.refs import SymbolicReference

    try:
        return full_sha(SymbolicReference.dereference_recursive(repo, "HEAD"))
    except _errors():
        return None


def _target(repo: Repo, name: str, prefix: str) -> str | None:
    """The short name of what a symbolic ref points to, if that is below prefix."""
    from git.refs import SymbolicReference

    try:
        path = str(SymbolicReference(repo, name).reference.path)
    except _errors():
        return None
    return path[len(prefix) :] if path.startswith(prefix) and path.isprintable() else None


def _ask_head(git: GitProgram | None, root: str) -> tuple[str | None, str | None, str | None]:
    """(commit, branch, default branch) from git itself."""
    if git is None:
        return None, None, None
    sha = ask(git, root, "rev-parse", "--verify", "--quiet", "HEAD")
    branch = ask(git, root, "symbolic-ref", "--quiet", "--short", "HEAD")
    default = ask(git, root, "symbolic-ref", "--quiet", _ORIGIN_HEAD)
    return (
        full_sha(sha.strip()) if sha else None,
        branch.strip() if branch else None,
        default.strip().removeprefix("refs/remotes/origin/") if default else None,
    )


def _dirty(git: GitProgram | None, root: str, warnings: list[RunWarning]) -> bool | None:
    """Whether tracked files differ from the commit. Untracked ones do not count: dbt writes `target/` and
    `logs/` into every checkout. Silent without git: the container image has none by design."""
    if git is None:
        return None
    status = ask(git, root, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
    if status is None:
        text = "git status failed or took too long; whether the tree is dirty is unknown."
        warnings.append(RunWarning(code="git-failed", text=text))
        return None
    return bool(status.strip())


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _word(answer: bool | None) -> str | None:
    return None if answer is None else str(answer).lower()


def _has_git_entry(workspace: Path) -> bool:
    """Whether there is a checkout, or a bare repository, here or above."""
    try:
        start = workspace.absolute()
        return any(
            os.path.lexists(folder / ".git")
            or (os.path.lexists(folder / "HEAD") and (folder / "objects").is_dir())
            for folder in (start, *start.parents)
        )
    except (OSError, ValueError):
        return False


def _unreadable(why: str) -> RunWarning:
    text = f"There is a git checkout, but it was not read ({why}). Mount the whole repository, .git included."
    return RunWarning(code="git-unreadable", text=text)
