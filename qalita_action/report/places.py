"""Where things are: a commit's label, and links that a browser may safely follow. Must not fetch anything."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from qalita_action.model import Run
from qalita_action.redact import clean_line


def git_label(run: Run) -> str:
    """`#12 feature@1a2b3c4`, `main@1a2b3c4`, `v1.2@1a2b3c4`, or as much of it as is known."""
    name = clean_line(run.git.branch or run.git.tag or "", 60)
    sha = clean_line(run.git.sha or "", 7).rstrip("…")
    short = (run.git.sha or "")[:7] if sha else ""
    label = f"{name}@{short}" if name and short else name or short
    return f"#{clean_line(run.ci.change_id, 20)} {label}".strip() if run.ci.change_id else label


def web_link(url: str | None) -> str | None:
    """The URL if a browser may safely follow it: http or https, a host, no userinfo, no blank or control."""
    if not url or len(url) > 2000 or clean_line(url) != url or any(c in url for c in ' "<>\\^`{|}'):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc else None


# repository, sha, path, line: https://docs.github.com/repositories, GitLab, Bitbucket and Forgejo web routes
_FILE_PAGE = {
    "github": ("{repository}/blob/{sha}/{path}", "#L{line}"),
    "gitlab": ("{repository}/-/blob/{sha}/{path}", "#L{line}"),
    "bitbucket": ("{repository}/src/{sha}/{path}", "#lines-{line}"),
    "gitea": ("{repository}/src/commit/{sha}/{path}", "#L{line}"),
    "forgejo": ("{repository}/src/commit/{sha}/{path}", "#L{line}"),
}
_KNOWN_HOSTS = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
    "codeberg.org": "forgejo",
}


def _forge(run: Run, repository: str) -> str | None:
    host = urlsplit(repository).hostname or ""
    return _KNOWN_HOSTS.get(host) or next((f for f in _FILE_PAGE if f == run.ci.provider), None)


def file_link(run: Run, path: str | None, line: int | None) -> str | None:
    """The file at the commit that dbt ran, on the forge's pages; None where any part is unknown."""
    repository = web_link((run.git.repository_url or "").removesuffix("/").removesuffix(".git"))
    if not (repository and run.git.sha and path) or path.startswith(("/", "../")):
        return None
    forge = _forge(run, repository)
    if forge is None:
        return None
    page, at_line = _FILE_PAGE[forge]
    where = path.replace("\\", "/").encode("utf-8", "replace")
    link = page.format(repository=repository, sha=quote(run.git.sha, safe=""), path=quote(where))
    return web_link(link + (at_line.format(line=line) if line else ""))


def commit_link(run: Run) -> str | None:
    repository = web_link((run.git.repository_url or "").removesuffix("/").removesuffix(".git"))
    forge = _forge(run, repository) if repository else None
    if not (repository and forge and run.git.sha):
        return None
    middle = {"gitlab": "/-/commit/", "bitbucket": "/commits/"}.get(forge, "/commit/")
    return web_link(f"{repository}{middle}{quote(run.git.sha, safe='')}")
