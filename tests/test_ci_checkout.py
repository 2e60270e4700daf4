"""Real repositories, made by git, read without it: PATH is empty unless a test says so."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from qalita_action import ci

PATH = os.environ.get("PATH", "")
REFTABLE = Path(__file__).parent / "fixtures" / "ci" / "repositories" / "reftable"
GIT_ENV = {
    "PATH": PATH,
    "LC_ALL": "C",
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_ALLOW_PROTOCOL": "file",
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=GIT_ENV, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def make(folder: Path, *options: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main", *options)
    return folder


def commit(folder: Path, name: str = "a.txt") -> str:
    (folder / name).write_text(name, encoding="utf-8")
    git(folder, "add", name)
    git(folder, "commit", "--quiet", "--message", name)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path):
    return make(tmp_path / "repo")


def codes(context) -> set[str]:
    return {warning.code for warning in context.warnings} - {"change-unknown"}


def test_a_plain_checkout(repo):
    sha = commit(repo)
    git(repo, "remote", "add", "upstream", "https://example.com/upstream/dbt.git")
    git(repo, "remote", "add", "origin", "git@example.com:acme/group/dbt.git")
    (deep := repo / "models" / "staging").mkdir(parents=True)

    context = ci.detect({}, deep)

    assert (context.git.sha, context.git.checkout_sha, context.git.branch) == (sha, sha, "main")
    assert context.git.repository_url == "https://example.com/acme/group/dbt"
    assert (context.git.shallow, context.git.dirty, context.git.tag) == (False, None, None)
    assert context.sources["sha"] == "git:HEAD"
    assert context.sources["repository_url"] == "git:config"
    assert context.ci.provider is None
    assert codes(context) == set()


def test_no_repository_at_all(tmp_path):
    context = ci.detect({"PATH": PATH}, tmp_path)
    assert all(value is None for value in context.sources.values())
    assert codes(context) == {"sha-unknown"}


def test_a_workspace_that_does_not_exist(tmp_path):
    assert ci.detect({"PATH": PATH}, tmp_path / "no" / "where").git.sha is None
    assert ci.detect({"PATH": PATH}, Path("nul\0byte")).git.sha is None


def test_an_unborn_branch(repo):
    context = ci.detect({"PATH": PATH}, repo)
    assert (context.git.sha, context.git.branch, context.git.dirty) == (None, "main", None)
    assert codes(context) == {"sha-unknown"}


def test_packed_refs_only(repo):
    sha = commit(repo)
    git(repo, "pack-refs", "--all")
    git(repo, "gc", "--quiet")
    assert not (repo / ".git" / "refs" / "heads" / "main").exists()
    assert ci.detect({}, repo).git.sha == sha


def test_detached(repo):
    sha = commit(repo)
    commit(repo, "b.txt")
    git(repo, "checkout", "--quiet", "--detach", sha)
    context = ci.detect({}, repo)
    assert (context.git.sha, context.git.branch) == (sha, None)


def test_default_branch_of_a_clone_and_a_branch_that_is_not_it(repo, tmp_path):
    commit(repo)
    git(tmp_path, "clone", "--quiet", str(repo), "clone")
    clone = tmp_path / "clone"
    context = ci.detect({}, clone)
    assert (context.git.default_branch, context.git.branch, context.is_change) == ("main", "main", False)
    assert context.sources["default_branch"] == "git:refs/remotes/origin/HEAD"
    assert context.git.repository_url is None  # a path of this machine tells nobody anything
    git(clone, "switch", "--quiet", "--create", "feature/x")
    assert ci.detect({}, clone).is_change


def test_a_shallow_clone(repo, tmp_path):
    commit(repo)
    sha = commit(repo, "b.txt")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repo}", "clone")
    context = ci.detect({"PATH": PATH}, tmp_path / "clone")
    assert (context.git.sha, context.git.shallow, context.git.dirty) == (sha, True, False)


def test_a_worktree_and_one_whose_other_half_is_not_mounted(repo, tmp_path):
    commit(repo)
    git(repo, "remote", "add", "origin", "https://example.com/acme/dbt")
    tree = tmp_path / "tree"
    git(repo, "worktree", "add", "--quiet", "-b", "topic", str(tree))
    sha = commit(tree, "c.txt")
    context = ci.detect({}, tree)
    assert (context.git.sha, context.git.branch) == (sha, "topic")
    assert context.git.repository_url == "https://example.com/acme/dbt"

    (repo / ".git").rename(tmp_path / "elsewhere")
    context = ci.detect({"PATH": PATH}, tree)
    assert context.git.sha is None
    assert codes(context) == {"git-unreadable", "sha-unknown"}


def test_a_submodule(repo, tmp_path):
    sha = commit(repo)
    outer = make(tmp_path / "outer")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repo), "dbt")
    assert (outer / "dbt" / ".git").is_file()
    assert ci.detect({}, outer / "dbt").git.sha == sha


def test_a_bare_repository(repo, tmp_path):
    sha = commit(repo)
    git(tmp_path, "clone", "--quiet", "--bare", str(repo), "bare.git")
    context = ci.detect({"PATH": PATH}, tmp_path / "bare.git")
    assert (context.git.sha, context.git.dirty) == (sha, None)


def test_sha_256_is_read_by_a_git_that_knows_it_and_is_null_without(tmp_path):
    repo = make(tmp_path / "repo", "--object-format=sha256")
    sha = commit(repo)
    assert len(sha) == 64
    assert ci.detect({"PATH": PATH}, repo).git.sha == sha
    context = ci.detect({}, repo)
    assert context.git.sha is None
    assert codes(context) == {"git-unreadable", "sha-unknown"}


def test_reftable_is_null_with_a_warning(tmp_path):
    shutil.copytree(REFTABLE, tmp_path / "repo" / ".git")
    context = ci.detect({}, tmp_path / "repo")
    assert (context.git.sha, context.git.branch) == (None, None)
    assert context.git.repository_url == "https://example.com/acme/dbt"
    assert codes(context) == {"git-unreadable", "sha-unknown"}


def test_a_git_that_knows_reftable_is_asked(tmp_path):
    shutil.copytree(REFTABLE, tmp_path / "repo" / ".git")
    answers = 'case "$*" in *symbolic-ref*HEAD) echo main;; *rev-parse*) echo 2e68c824d83a855894f85e9aa7e9336328b79062;; esac'
    context = ci.detect({"PATH": wrapper(tmp_path / "bin", answers)}, tmp_path / "repo")
    assert context.git.sha == "2e68c824d83a855894f85e9aa7e9336328b79062"
    assert context.git.branch == "main"


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"ref: ../../etc/passwd\n", b"ref: refs/heads/main\0\n"]
)
def test_a_damaged_head(content, repo):
    commit(repo)
    (repo / ".git" / "HEAD").write_bytes(content)
    context = ci.detect({"PATH": PATH}, repo)
    assert context.git.sha is None
    assert "git-unreadable" in codes(context)


def test_a_damaged_config(repo):
    sha = commit(repo)
    (repo / ".git" / "config").write_bytes(b"[core\n= = =\xff\n")
    context = ci.detect({}, repo)
    assert context.git.sha == sha
    assert codes(context) == {"git-unreadable"}


def test_credentials_of_a_remote_and_insteadof(repo):
    commit(repo)
    git(repo, "remote", "add", "origin", "https://x-access-token:ghs_0123456789@example.com/acme/dbt.git")
    git(repo, "config", "url.https://oauth2:glpat-secret@example.com/.insteadOf", "https://example.com/")
    git(repo, "config", "http.https://example.com/.extraheader", "AUTHORIZATION: basic c2VjcmV0")
    context = ci.detect({"PATH": PATH}, repo)
    assert context.git.repository_url == "https://example.com/acme/dbt"
    for secret in ("ghs_", "glpat", "c2VjcmV0", "x-access-token", "oauth2"):
        assert secret not in repr(context)


# ---------------------------------------------------------------- git as a child


def wrapper(folder: Path, body: str) -> str:
    """A PATH with a git of our own in front."""
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    (folder / "git").chmod(0o755)
    return f"{folder}:{PATH}"


def test_dirty_counts_tracked_files_only(repo):
    commit(repo)
    (repo / "target").mkdir()
    (repo / "target" / "manifest.json").write_text("{}", encoding="utf-8")
    context = ci.detect({"PATH": PATH}, repo)
    assert (context.git.dirty, context.sources["dirty"]) == (False, "git:index")
    (repo / "a.txt").write_text("changed", encoding="utf-8")
    assert ci.detect({"PATH": PATH}, repo).git.dirty is True


def test_dubious_ownership_does_not_matter(repo, tmp_path):
    sha = commit(repo)
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    path = wrapper(tmp_path / "bin", f'GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {real} "$@"')
    # The switch works: git itself refuses.
    refused = subprocess.run(["git", "-C", repo, "status"], env=GIT_ENV | {"PATH": path}, capture_output=True)
    assert refused.returncode == 128
    context = ci.detect({"PATH": path}, repo)
    assert (context.git.sha, context.git.dirty) == (sha, False)


def test_a_git_child_gets_none_of_our_environment(repo, tmp_path, monkeypatch):
    commit(repo)
    log = tmp_path / "env.txt"
    path = wrapper(tmp_path / "bin", f"env >> {log}; exit 0")
    monkeypatch.setenv("QALITA_TOKEN", "very-secret")
    monkeypatch.setenv("PATH", path)
    ci.detect({"PATH": path, "QALITA_TOKEN": "very-secret", "GIT_DIR": "/elsewhere"}, repo)
    names = {line.partition("=")[0] for line in log.read_text(encoding="utf-8").splitlines()}
    assert "GIT_TERMINAL_PROMPT" in names
    assert not {name for name in names if name.startswith("QALITA")}
    assert "very-secret" not in log.read_text(encoding="utf-8")


def test_importing_gitpython_starts_no_git_and_leaves_the_environment_alone(repo, tmp_path):
    commit(repo)
    log = tmp_path / "called.txt"
    path = wrapper(tmp_path / "bin", f"echo called >> {log}; exit 1")
    code = (
        "import os, sys; from pathlib import Path; from qalita_action import ci; before = dict(os.environ);"
        f"context = ci.detect({{}}, Path({str(repo)!r}));"
        "assert 'git' in sys.modules and context.git.sha; assert dict(os.environ) == before"
    )
    import sys

    env = {"PATH": path, "QALITA_TOKEN": "very-secret", "GIT_PYTHON_REFRESH": "raise"}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert not log.exists()


def test_a_git_in_the_workspace_is_not_run(repo, tmp_path, monkeypatch):
    commit(repo)
    wrapper(repo / "bin", f"touch {tmp_path / 'ran'}")
    monkeypatch.chdir(repo)
    ci.detect({"PATH": "bin:."}, repo)
    assert not (tmp_path / "ran").exists()


def test_a_git_that_fails_is_a_warning(repo, tmp_path):
    commit(repo)
    context = ci.detect({"PATH": wrapper(tmp_path / "bin", "exit 3")}, repo)
    assert context.git.dirty is None
    assert codes(context) == {"git-failed"}


def test_an_abbreviated_commit_is_completed(repo):
    first = commit(repo)
    second = commit(repo, "b.txt")
    third = commit(repo, "c.txt")
    assert ci.detect({}, repo, {"sha": (third[:12], "flag")}).git.sha == third
    assert ci.detect({}, repo, {"sha": (second[:12], "flag")}).git.sha == second  # HEAD names its parent
    assert ci.detect({"PATH": PATH}, repo, {"sha": (first[:12], "flag")}).git.sha == first
    context = ci.detect({}, repo, {"sha": (first[:12], "flag")})
    assert context.git.sha == first[:12]
    assert "sha-short" in codes(context)


# ---------------------------------------------------------------- GitHub's merge commit, without the payload


def pull_request(sha: str, **more: str) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_RUN_ID": "1",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_SHA": sha,
        "GITHUB_REF": "refs/pull/12/merge",
        "GITHUB_HEAD_REF": "feat",
        "GITHUB_BASE_REF": "main",
        **more,
    }


@pytest.fixture
def merged(repo):
    """(repository, commit of main, head of the pull request, GitHub's merge of the two)"""
    commit(repo)
    git(repo, "checkout", "--quiet", "-b", "feat")
    head = commit(repo, "b.txt")
    git(repo, "checkout", "--quiet", "main")
    base = commit(repo, "c.txt")
    git(repo, "checkout", "--quiet", "--detach")
    git(repo, "merge", "--quiet", "--no-ff", "--message", "merge", "feat")
    return repo, base, head, git(repo, "rev-parse", "HEAD")


def test_the_head_is_the_second_parent_also_in_a_clone_of_depth_one(merged, tmp_path):
    repo, _, head, merge = merged
    git(repo, "branch", "merged", merge)
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=merged", f"file://{repo}", "clone")
    git(tmp_path / "clone", "checkout", "--quiet", "--detach")
    context = ci.detect(pull_request(merge), tmp_path / "clone")
    assert (context.git.sha, context.git.checkout_sha) == (head, merge)
    assert context.sources["sha"] == "git:HEAD"
    assert codes(context) == set()


def test_from_loose_and_from_packed_objects(merged):
    repo, _, head, merge = merged
    assert ci.detect(pull_request(merge), repo).git.sha == head
    git(repo, "gc", "--quiet")
    assert ci.detect(pull_request(merge), repo).git.sha == head


def test_the_user_checked_out_the_head_which_is_itself_a_merge_of_main(merged):
    repo, base, _, merge = merged
    git(repo, "checkout", "--quiet", "feat")
    git(repo, "merge", "--quiet", "--message", "update", base)
    updated = git(repo, "rev-parse", "HEAD")
    context = ci.detect(pull_request(merge), repo)
    assert (context.git.sha, context.git.checkout_sha) == (updated, merge)
    assert context.git.branch == "feat"


@pytest.mark.parametrize(
    "more", [{"GITHUB_REF": "refs/heads/main"}, {"GITHUB_EVENT_NAME": "pull_request_target"}]
)
def test_a_merge_is_not_taken_apart_elsewhere(merged, more):
    repo, _, _, merge = merged
    context = ci.detect(pull_request(merge, **more), repo)
    assert context.git.sha is None
    assert context.is_change
    assert "sha-unknown" in codes(context)


def push(sha: str) -> dict[str, str]:
    return pull_request(
        sha, GITHUB_EVENT_NAME="push", GITHUB_REF="refs/heads/main", GITHUB_HEAD_REF="", GITHUB_BASE_REF=""
    )


def test_a_checkout_of_something_else_is_doubted(merged):
    repo, base, head, _ = merged
    git(repo, "checkout", "--quiet", "main")
    assert codes(ci.detect(push(base), repo)) == set()
    context = ci.detect(push(head), repo)
    assert codes(context) == {"checkout-differs"}
    assert context.git.sha == head


def test_a_merge_that_holds_the_commit_is_not_doubted(merged):
    repo, base, _, _ = merged
    assert codes(ci.detect(push(base), repo)) == set()


def test_a_tag_run_takes_no_branch_from_the_checkout(repo):
    sha = commit(repo)
    env = push(sha) | {"GITHUB_REF": "refs/tags/v1"}
    context = ci.detect(env, repo)
    assert (context.git.tag, context.git.branch, context.is_change) == ("v1", None, False)


def test_a_comment_on_a_pull_request_takes_the_head_from_what_was_checked_out(merged, tmp_path):
    repo, base, head, _ = merged
    event = tmp_path / "event.json"
    event.write_text('{"issue": {"number": 12, "pull_request": {}}}', encoding="utf-8")
    env = push(base) | {"GITHUB_EVENT_NAME": "issue_comment", "GITHUB_EVENT_PATH": str(event)}
    git(repo, "checkout", "--quiet", "main")
    assert (ci.detect(env, repo).git.sha, ci.detect(env, repo).git.branch) == (None, None)
    git(repo, "checkout", "--quiet", "feat")
    context = ci.detect(env, repo)
    assert (context.git.sha, context.git.branch, context.is_change) == (head, "feat", True)


# ---------------------------------------------------------------- merges that a CI makes on the spot


def jenkins(sha: str, **more: str) -> dict[str, str]:
    return {
        "JENKINS_URL": "https://jenkins.example.com/",
        "BUILD_NUMBER": "17",
        "BRANCH_NAME": "PR-24",
        "CHANGE_ID": "24",
        "CHANGE_BRANCH": "feat",
        "CHANGE_TARGET": "main",
        "GIT_COMMIT": sha,
        **more,
    }


def local_merge(folder: Path, target: str, *options: str) -> str:
    """What Jenkins and Bitbucket do: the change is checked out without a branch, the target merged into it."""
    git(folder, "checkout", "--quiet", "--detach", "feat")
    git(folder, *options, "merge", "--quiet", "--no-ff", "--no-edit", target)
    return git(folder, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    "options",
    [("-c", "committer.name=Jenkins", "-c", "committer.email=nobody@nowhere"), ()],
    ids=["its-name", "other"],
)
def test_jenkins_merges_the_target_into_the_change_so_the_head_is_the_first_parent(
    merged, options, monkeypatch
):
    repo, base, head, _ = merged
    if options:
        monkeypatch.delitem(GIT_ENV, "GIT_COMMITTER_NAME")
        monkeypatch.delitem(GIT_ENV, "GIT_COMMITTER_EMAIL")
    merge = local_merge(repo, base, *options)
    context = ci.detect(jenkins(merge), repo)
    assert (context.git.sha, context.git.checkout_sha, context.git.branch) == (head, merge, "feat")
    assert codes(context) == set()


def test_jenkins_without_a_merge_has_checked_out_the_head(merged):
    repo, _, head, _ = merged
    git(repo, "checkout", "--quiet", "--detach", "feat")
    assert ci.detect(jenkins(head), repo).git.sha == head


def test_a_merge_that_somebody_made_is_the_head_itself_on_jenkins(merged):
    repo, base, _, _ = merged
    git(repo, "checkout", "--quiet", "feat")
    git(repo, "merge", "--quiet", "--message", "Merge branch 'main' into feat", base)
    mine = git(repo, "rev-parse", "HEAD")
    git(repo, "checkout", "--quiet", "--detach", mine)
    assert ci.detect(jenkins(mine), repo).git.sha == mine


def test_bitbucket_names_twelve_digits_and_the_merge_on_the_spot_the_rest(merged):
    repo, base, head, _ = merged
    merge = local_merge(repo, base)
    env = {
        "BITBUCKET_BUILD_NUMBER": "4",
        "BITBUCKET_COMMIT": head[:12],
        "BITBUCKET_PR_ID": "2",
        "BITBUCKET_PR_DESTINATION_COMMIT": base[:12],
        "BITBUCKET_BRANCH": "feat",
    }
    context = ci.detect(env, repo)
    assert (context.git.sha, context.git.checkout_sha, context.git.base_sha) == (head, merge, base)
    assert codes(context) == set()


def test_travis_and_azure_check_out_the_forges_test_merge(merged):
    repo, _, head, merge = merged
    travis = {"TRAVIS": "true", "TRAVIS_BUILD_ID": "1", "TRAVIS_PULL_REQUEST": "12", "TRAVIS_COMMIT": merge}
    azure = {
        "TF_BUILD": "True",
        "BUILD_BUILDID": "4",
        "BUILD_REASON": "PullRequest",
        "BUILD_SOURCEBRANCH": "refs/pull/12/merge",
        "BUILD_SOURCEVERSION": merge,
    }
    for env in (travis, azure):
        context = ci.detect(env, repo)
        assert (context.git.sha, context.git.checkout_sha) == (head, merge)


@pytest.mark.parametrize("variable", ["BUILDKITE", "SEMAPHORE"])
def test_a_commit_called_head_is_what_was_checked_out(variable, repo):
    sha = commit(repo)
    env = {
        "BUILDKITE": {"BUILDKITE": "true", "BUILDKITE_BUILD_ID": "1", "BUILDKITE_COMMIT": "HEAD"},
        "SEMAPHORE": {"SEMAPHORE": "true", "SEMAPHORE_JOB_ID": "1", "SEMAPHORE_GIT_SHA": "HEAD"},
    }[variable]
    context = ci.detect(env, repo)
    assert (context.git.sha, context.git.checkout_sha) == (sha, sha)
    assert context.sources["sha"] == "git:HEAD"


def test_a_hint_of_a_pull_request_is_not_believed_on_the_default_branch(repo, tmp_path):
    sha = commit(repo)
    git(tmp_path, "clone", "--quiet", str(repo), "clone")
    env = {
        "CIRCLECI": "true",
        "CIRCLE_BUILD_NUM": "1",
        "CIRCLE_SHA1": sha,
        "CIRCLE_BRANCH": "main",
        "CIRCLE_PULL_REQUEST": "https://github.com/acme/dbt/pull/88",
    }
    context = ci.detect(env, tmp_path / "clone")
    assert (context.ci.change_id, context.is_change, context.git.default_branch) == (None, False, "main")
    feature = ci.detect(env | {"CIRCLE_BRANCH": "feat"}, tmp_path / "clone")
    assert (feature.ci.change_id, feature.is_change) == ("88", True)
