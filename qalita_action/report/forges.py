"""The comments of one pull or merge request, over GitHub's and GitLab's APIs. Must not decide what is said.

https://docs.github.com/rest/issues/comments and https://docs.gitlab.com/api/notes/.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from qalita_action.http import json_body

if TYPE_CHECKING:
    from qalita_action.http import Answer, Budget, Client

PAGE, MOST_PAGES = 100, 50
# What a person has to change, and what no repetition mends.
_SAID = frozenset({401, 403, 404, 410, 422})


class _Forge(msgspec.Struct, frozen=True, kw_only=True):
    """many, one: paths of the list and of a comment; me: whose token it is, where that can be asked."""

    name: str
    many: str
    one: str
    update: str
    author: str
    login: str
    job_author: str | None
    right: str


FORGES = {
    "github": _Forge(
        name="GitHub",
        many="/repos/{project}/issues/{change}/comments",
        one="/repos/{project}/issues/comments/{comment}",
        update="PATCH",
        author="user",
        login="login",
        job_author="github-actions[bot]",  # a job's token cannot ask who it is
        right="give the job `permissions: pull-requests: write`; on a fork's pull request nothing can",
    ),
    "gitlab": _Forge(
        name="GitLab",
        many="/projects/{project}/merge_requests/{change}/notes",
        one="/projects/{project}/merge_requests/{change}/notes/{comment}",
        update="PUT",
        author="author",
        login="username",
        job_author=None,
        right="give QALITA_GITLAB_TOKEN a project access token with the scope `api`, of a Reporter or above",
    ),
}


class Note(msgspec.Struct, frozen=True):
    """One comment that is there."""

    id: int
    author: str
    body: str


class NotAllowed(Exception):
    """The forge said no. Its text is ours, and says what to do."""


class Gone(Exception):
    """Somebody deleted the comment meanwhile."""


class Thread:
    """One request's comments. project: owner/name, or GitLab's numeric id."""

    def __init__(self, provider: str, project: str, change: str, client: Client, budget: Budget) -> None:
        self.forge = FORGES[provider]
        self._fields = {"project": quote(project, safe="/"), "change": quote(change, safe="")}
        self._client, self._budget = client, budget

    def me(self) -> str | None:
        """Whose comments this token writes; None where nobody tells before the first one is written."""
        answer = self._client.request("GET", "/user", budget=self._budget, passes=_SAID)
        if answer.status >= 300:
            return self.forge.job_author
        value = self._client.json(answer)
        login = value.get(self.forge.login) if isinstance(value, dict) else None
        return login if isinstance(login, str) else None

    def notes(self) -> Iterator[Note]:
        """All of them, page after page. Raises NotAllowed."""
        path = self.forge.many.format(**self._fields)
        query: list[tuple[str, str]] | None = [("per_page", str(PAGE))]
        for _ in range(MOST_PAGES):
            answer = self._asked("GET", path, query)
            for value in self._values(answer):
                if note := self._note(value):
                    yield note
            query = _next(answer.headers.get("link", ""))
            if query is None:
                return
        raise NotAllowed(
            f"this request has more than {MOST_PAGES * PAGE:,} comments: ours was not looked for"
        )

    def note(self, comment: int) -> Note:
        note = self._note(self._client.json(self._asked("GET", self._one(comment))))
        if note is None:
            raise Gone
        return note

    def create(self, body: str) -> Note | None:
        """Raises http.LostAnswer where it may have been written."""
        path = self.forge.many.format(**self._fields)
        return self._note(self._client.json(self._asked("POST", path, body=body)))

    def update(self, comment: int, body: str) -> None:
        self._asked(self.forge.update, self._one(comment), body=body)

    def delete(self, comment: int) -> None:
        self._asked("DELETE", self._one(comment))

    def _one(self, comment: int) -> str:
        return self.forge.one.format(**self._fields, comment=comment)

    def _asked(
        self, method: str, path: str, query: list[tuple[str, str]] | None = None, body: str | None = None
    ) -> Answer:
        answer = self._client.request(
            method,
            path,
            budget=self._budget,
            params=query or (),
            body=None if body is None else json_body({"body": body}),
            passes=_SAID,
            is_repeatable=method != "POST",
        )
        if answer.status < 300:
            return answer
        if answer.status in {404, 410} and path.rpartition("/")[2].isdigit():
            raise Gone
        raise NotAllowed(self._refused(answer))

    def _refused(self, answer: Answer) -> str:
        if answer.status == 403 and (
            answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
        ):
            return f"{self.forge.name} asks to slow down (403): the next run comments again"
        if answer.status == 422:
            return f"{self.forge.name} did not take the comment (422)"
        why = "refused the token" if answer.status == 401 else "does not let this token comment here"
        return f"{self.forge.name} {why} ({answer.status}): {self.forge.right}"

    def _values(self, answer: Answer) -> list[Any]:
        value = self._client.json(answer)
        return value if isinstance(value, list) else []

    def _note(self, value: Any) -> Note | None:
        if not isinstance(value, dict):
            return None
        author = value.get(self.forge.author)
        login = author.get(self.forge.login) if isinstance(author, dict) else None
        number, body = value.get("id"), value.get("body")
        if isinstance(number, int) and isinstance(login, str) and isinstance(body, str):
            return Note(number, login, body)
        return None


def _next(link: str) -> list[tuple[str, str]] | None:
    """The query of the next page (RFC 8288). Its address is not followed: it might lead elsewhere."""
    for part in link.split(","):
        target, _, parameters = part.partition(";")
        if 'rel="next"' in parameters.replace(" ", ""):
            return parse_qsl(urlsplit(target.strip().strip("<>")).query)
    return None
