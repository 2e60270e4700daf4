"""Where a change's comment goes and with whose token, from the settings and the CI's variables; then it is
put there. Must not fail a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from qalita_action import report
from qalita_action.errors import IngestError
from qalita_action.http import Budget, Client, ci_options
from qalita_action.redact import Secret

if TYPE_CHECKING:
    from qalita_action.http import Options
    from qalita_action.pipeline.world import Outcome, World
    from qalita_action.report import Commented, CommentMode, Rendered
    from qalita_action.settings import Settings

SECONDS = 30.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def comment(settings: Settings, outcome: Outcome, rendered: Rendered, world: World) -> Commented | None:
    """None where nobody asked for one: not a change, not a forge that is known, or no token by default."""
    context, env = outcome.context, world.env
    provider, change = context.ci.provider, context.ci.change_id
    is_asked = settings.comment != "auto"
    if settings.comment == "off" or rendered.comment is None or not (context.is_change and change):
        return None
    if not _is_of_this_change(outcome):
        return _refused("the run is not of the change that this job belongs to") if is_asked else None
    if provider not in ("github", "gitlab"):
        return _refused("comments are written on GitHub and GitLab") if is_asked else None
    is_github = provider == "github"
    token = settings.github_token if is_github else settings.gitlab_token
    name = "QALITA_GITHUB_TOKEN or the input github-token" if is_github else "QALITA_GITLAB_TOKEN"
    if token is None:
        return _refused(f"there is no token: set {name}") if is_asked else None
    api = env.get("GITHUB_API_URL") or "https://api.github.com" if is_github else env.get("CI_API_V4_URL")
    project = (
        env.get("GITHUB_REPOSITORY")
        if is_github
        else env.get("CI_MERGE_REQUEST_PROJECT_ID") or env.get("CI_PROJECT_ID")
    )
    if not api or not project or env.get("CI_EXTERNAL_PULL_REQUEST_IID"):
        return _refused("the CI does not tell which project the request belongs to") if is_asked else None
    if not _is_safe(api):
        return _refused("the API's address is not https, and the token would travel in the open")
    options = ci_options(
        api,
        Secret(token.get_secret_value()),
        service="GitHub" if is_github else "GitLab",
        token_name=name,
        cas=(env.get("CI_SERVER_TLS_CA_FILE"), settings.ca_bundle),
    )
    mode: CommentMode = "changes" if settings.comment == "auto" else settings.comment
    return _put(options, provider, project, change, rendered.comment, mode)


def _is_of_this_change(outcome: Outcome) -> bool:
    """What was fetched may be another change's, and a number another repository's."""
    own, here = outcome.context, outcome.here
    repositories = {own.git.repository_url, here.git.repository_url} - {None}
    return own.ci.change_id == here.ci.change_id and len(repositories) < 2


def _put(
    options: Options,
    provider: str,
    project: str,
    change: str,
    words: report.Comment,
    mode: CommentMode,
) -> Commented:
    try:
        with Client(options) as client:
            thread = report.Thread(provider, project, change, client, Budget(SECONDS))
            return report.put_comment(words, thread, mode)
    except IngestError as error:
        return _refused(error.what)


def _refused(why: str) -> Commented:
    return report.Commented(text=f"no comment: {why}", is_problem=True)


def _is_safe(api: str) -> bool:
    try:
        parts = urlsplit(api)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
