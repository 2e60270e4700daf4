"""One comment a change, against stand-ins of GitHub's and GitLab's APIs on real sockets."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import report_samples as samples
from loopback import DROP, reply, serving

from qalita_action import report
from qalita_action.http import Budget, Client, ci_options
from qalita_action.model import Comparison, Difference
from qalita_action.redact import Secret
from qalita_action.report.build import build
from qalita_action.report.comment import comment

BOT = "github-actions[bot]"
TOKEN = "ghs_exampleexampleexample"
STYLES = {
    "github": (
        "/repos/acme/opendata/issues/7/comments",
        "/repos/acme/opendata/issues/comments/",
        "PATCH",
        "user",
        "login",
    ),
    "gitlab": (
        "/projects/42/merge_requests/7/notes",
        "/projects/42/merge_requests/7/notes/",
        "PUT",
        "author",
        "username",
    ),
}


class Forge:
    """Comments in memory, answered as the forge documents it. hook(seen, forge): a Reply or DROP instead."""

    def __init__(self, style: str, *, me: str | None = None, page: int = 100) -> None:
        self.many, self.one, self.update, self.author, self.login = STYLES[style]
        self.me, self.page = me, page
        self.writes_as = me or BOT
        self.comments: dict[int, dict] = {}
        self.hook = lambda seen, forge: None
        self.lock = threading.RLock()
        self.next = 1

    def add(self, body: str, author: str | None = None) -> int:
        with self.lock:
            number, self.next = self.next, self.next + 1
            self.comments[number] = {
                "id": number,
                "body": body,
                self.author: {self.login: author or self.writes_as},
            }
            return number

    @property
    def bodies(self) -> list[str]:
        return [self.comments[number]["body"] for number in sorted(self.comments)]

    def answer(self, seen):
        with self.lock:
            return self.hook(seen, self) or self._answer(seen)

    def _answer(self, seen):
        assert seen.headers["authorization"] == f"Bearer {TOKEN}"
        url = urlsplit(seen.path)
        if url.path == "/user":
            return (
                reply(200, {self.login: self.me})
                if self.me
                else reply(403, {"message": "Resource not accessible by integration"})
            )
        if url.path == self.many and seen.method == "GET":
            query = parse_qs(url.query)
            at, size = int(query.get("page", ["1"])[0]), min(int(query["per_page"][0]), self.page)
            found = [self.comments[n] for n in sorted(self.comments)]
            more = at * size < len(found)
            link = (
                {
                    "Link": f'<http://elsewhere.invalid{url.path}?per_page={size}&page={at + 1}>; rel="next", <x>; rel="last"'
                }
                if more
                else {}
            )
            return reply(200, found[(at - 1) * size : at * size], **link)
        if url.path == self.many and seen.method == "POST":
            return reply(201, self.comments[self.add(json.loads(seen.body)["body"])])
        number = int(url.path.removeprefix(self.one))
        if number not in self.comments:
            return reply(404, {"message": "Not Found"})
        match seen.method:
            case "GET":
                return reply(200, self.comments[number])
            case "DELETE":
                del self.comments[number]
                return reply(204)
            case self.update:
                self.comments[number]["body"] = json.loads(seen.body)["body"]
                return reply(200, self.comments[number])
        return reply(405)


def words(document=None, *, at=None, attempt=None, comparison=None):
    document = document or samples.failing()
    run = document.run
    ci = msgspec.structs.replace(run.ci, attempt=attempt or run.ci.attempt)
    run = msgspec.structs.replace(run, completed_at=at or run.completed_at, ci=ci)
    document = msgspec.structs.replace(document, run=run)
    verdict = samples.gate(document)
    compared = {run.key: comparison} if comparison else {}
    return comment([document], build([document], verdict, comparisons=compared))


@contextmanager
def thread_of(forge: Forge, style: str = "github", seconds: float = 20):
    with serving(forge.answer) as server:
        options = ci_options(server.url, Secret(TOKEN), service=style, token_name="token")
        options = msgspec.structs.replace(options, wait_initial_s=0.01, wait_max_s=0.02, wait_jitter_s=0.0)
        project = "acme/opendata" if style == "github" else "42"
        with Client(options) as client:
            yield report.Thread(style, project, "7", client, Budget(seconds)), server


def put(forge, made, mode="changes", style="github"):
    with thread_of(forge, style) as (thread, server):
        return report.put_comment(made, thread, mode), server


@pytest.mark.parametrize("style", STYLES)
def test_the_first_is_written_and_the_next_ones_bring_it_up_to_date(style):
    forge = Forge(style, me=None if style == "github" else "project_42_bot")
    first, second = words(at="2026-11-23T07:00:00Z"), words(at="2026-11-23T08:00:00Z")
    clear = words(samples.passing(), at="2026-11-23T09:00:00Z")
    clear = msgspec.structs.replace(
        clear,
        body=clear.body.replace(clear.marker.identity, first.marker.identity),
        marker=msgspec.structs.replace(clear.marker, identity=first.marker.identity),
    )
    assert put(forge, first, style=style)[0].text == "comment created"
    assert put(forge, second, style=style)[0].text == "comment updated"
    assert forge.bodies == [second.body]
    assert put(forge, clear, style=style)[0].text == "comment updated", "to all clear, too"
    assert forge.bodies == [clear.body]


def test_the_same_words_are_not_written_twice():
    forge, made = Forge("github"), words()
    put(forge, made)
    told, server = put(forge, made)
    assert told.text == "comment updated"
    assert server.count("PATCH", "") == 0


FIXED = Comparison(
    state="compared", differences={"test.p.x": Difference(key="test.p.x", novelty="fixed", definition="same")}
)
NEW_WARNING = Comparison(
    state="compared", differences={"test.p.x": Difference(key="test.p.x", novelty="new", definition="same")}
)
KNOWN_WARNING = Comparison(
    state="compared", differences={"test.p.x": Difference(key="test.p.x", novelty="known", definition="same")}
)


@pytest.mark.parametrize(
    ("made", "modes"),
    [
        (words(), {"changes", "failures", "always"}),
        (words(samples.passing()), {"always"}),
        (words(samples.passing(), comparison=FIXED), {"changes", "always"}),
        (words(samples.passing(), comparison=NEW_WARNING), {"changes", "always"}),
        (words(samples.passing(), comparison=KNOWN_WARNING), {"always"}),
    ],
    ids=["failing", "clear", "fixed", "new warning", "known warning"],
)
def test_a_first_comment_needs_its_modes_reason(made, modes):
    for mode in ("off", "changes", "failures", "always"):
        forge = Forge("github")
        told, _ = put(forge, made, mode)
        assert bool(forge.bodies) == (mode in modes), mode
        assert told.text == ("comment created" if mode in modes else "no comment: nothing to tell")
        assert not told.is_problem


@pytest.mark.parametrize("style", STYLES)
def test_ours_is_found_on_any_page(style):
    forge, made = Forge(style, me="us", page=3), words()
    for n in range(8):
        forge.add(f"comment {n}", "somebody")
    number = forge.add(words(at="2026-01-01T00:00:00Z").body)
    forge.add("later", "somebody")
    assert put(forge, made, style=style)[0].text == "comment updated"
    assert forge.comments[number]["body"] == made.body
    assert len(forge.comments) == 10


def test_the_next_page_is_asked_of_the_api_and_never_of_where_a_link_leads():
    forge = Forge("github", page=1)
    for n in range(3):
        forge.add(f"comment {n}", "somebody")
    told, server = put(forge, words())
    assert told.text == "comment created"
    assert [s.path.split("?")[1] for s in server.seen if s.method == "GET" and "?" in s.path][:3] == [
        "per_page=100", "per_page=1&page=2", "per_page=1&page=3",
    ]  # fmt: skip


def test_a_marker_that_somebody_pasted_is_not_ours():
    forge, made = Forge("github"), words()
    pasted = forge.add(made.body, "mallory")
    other_bot = forge.add(made.body, "other-app[bot]")
    quoted = forge.add(f"> quoting\n{made.body}", BOT)
    other_source = forge.add(words(samples.passing()).body, BOT)
    before = dict(forge.comments)
    assert put(forge, made)[0].text == "comment created"
    assert {n: forge.comments[n] for n in (pasted, other_bot, quoted, other_source)} == before
    assert len(forge.comments) == 5


def test_an_older_run_does_not_overwrite_a_newer_ones_words():
    forge = Forge("github")
    newer, older = words(at="2026-11-23T09:00:00.5Z"), words(at="2026-11-23T09:00:00.25Z")
    put(forge, newer)
    told, server = put(forge, older)
    assert told.text == "comment left as it is: a newer run wrote it"
    assert forge.bodies == [newer.body] and server.count("PATCH", "") == 0
    again = words(at="2026-11-23T09:00:00.5Z", attempt=2)
    assert put(forge, again)[0].text == "comment updated"
    assert put(forge, newer)[0].text == "comment left as it is: a newer run wrote it"
    assert forge.bodies == [again.body]


@pytest.mark.parametrize("first", ["older", "newer"])
def test_two_runs_that_write_at_once_leave_one_comment_of_the_newer(first):
    """The other run's comment appears between our look and our writing."""
    older, newer = words(at="2026-11-23T09:00:00Z"), words(at="2026-11-23T10:00:00Z")
    ours, theirs = (older, newer) if first == "newer" else (newer, older)
    forge, done = Forge("github"), []

    def hook(seen, forge):
        if seen.method == "POST" and not done:
            done.append(True)
            forge.add(theirs.body)

    forge.hook = hook
    put(forge, ours)
    assert forge.bodies == [newer.body]
    forge.hook = lambda seen, forge: None
    put(forge, theirs)
    assert forge.bodies == [newer.body]


def test_many_runs_at_once_end_in_one_comment():
    forge = Forge("github")
    runs = [words(at=f"2026-11-23T09:00:0{n}Z") for n in range(4)]
    with serving(forge.answer) as server:
        gate = threading.Barrier(len(runs))

        def one(made):
            options = ci_options(server.url, Secret(TOKEN), service="GitHub", token_name="token")
            with Client(options) as client:
                gate.wait()
                report.put_comment(
                    made, report.Thread("github", "acme/opendata", "7", client, Budget(20)), "changes"
                )

        threads = [threading.Thread(target=one, args=(made,)) for made in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert forge.bodies, "none deletes the last one"
    put(forge, runs[-1])  # whoever came last, the next look settles it
    assert forge.bodies == [runs[-1].body]


def test_a_newer_run_that_writes_between_look_and_write_is_written_again_by_itself():
    """Its own look after writing finds the older words, and puts its own back."""
    older, newer = words(at="2026-11-23T09:00:00Z"), words(at="2026-11-23T10:00:00Z")
    forge, done = Forge("github"), []
    number = forge.add(words(at="2026-11-23T08:00:00Z").body)

    def hook(seen, forge):
        answer = forge._answer(seen)
        if seen.method == "PATCH" and not done:
            done.append(True)
            forge.comments[number]["body"] = older.body
        return answer

    forge.hook = hook
    assert put(forge, newer)[0].text == "comment updated"
    assert forge.bodies == [newer.body]


def test_an_app_that_cannot_ask_its_name_still_keeps_one_comment():
    forge = Forge("github")
    forge.writes_as = "acme-quality[bot]"
    for hour in (7, 8, 9):
        put(forge, words(at=f"2026-11-23T0{hour}:00:00Z"))
    assert forge.bodies == [words(at="2026-11-23T09:00:00Z").body]


def test_an_answer_that_is_lost_doubles_nothing():
    forge, lost = Forge("github"), []

    def hook(seen, forge):
        if seen.method == "POST" and not lost:
            lost.append(True)
            forge._answer(seen)
            return DROP
        return None

    forge.hook = hook
    assert put(forge, words())[0].text == "comment created"
    assert len(forge.bodies) == 1


def test_a_server_that_stumbles_is_asked_again():
    forge, stumbled = Forge("github"), []

    def hook(seen, forge):
        if len(stumbled) < 2:
            stumbled.append(True)
            return reply(502)
        return None

    forge.hook = hook
    assert put(forge, words())[0].text == "comment created"


def test_a_rate_limit_is_waited_for():
    forge, asked = Forge("github"), []

    def hook(seen, forge):
        if not asked:
            asked.append(True)
            return reply(429, None, Retry_After="0")
        return None

    forge.hook = hook
    assert put(forge, words())[0].text == "comment created"


@pytest.mark.parametrize(
    ("style", "method", "answer", "said"),
    [
        (
            "github",
            "POST",
            reply(403, {"message": "Resource not accessible by integration"}),
            "pull-requests: write",
        ),
        ("github", "GET", reply(404, {"message": "Not Found"}), "pull-requests: write"),
        ("github", "GET", reply(401, {"message": "Bad credentials"}), "refused the token (401)"),
        ("github", "POST", reply(403, {}, **{"X-RateLimit-Remaining": "0"}), "slow down"),
        ("github", "POST", reply(422, {"message": "Validation Failed"}), "422"),
        ("gitlab", "POST", reply(403, {"message": "403 Forbidden"}), "scope `api`"),
        ("gitlab", "GET", reply(401, {"message": "401 Unauthorized"}), "refused the token (401)"),
    ],
)
def test_without_rights_it_is_told_and_nothing_raised(style, method, answer, said):
    forge = Forge(style, me="us" if style == "gitlab" else None)
    forge.hook = lambda seen, forge: answer if seen.method == method and "user" not in seen.path else None
    told, _ = put(forge, words(), style=style)
    assert told.is_problem and told.text.startswith("no comment: ") and said in told.text
    assert TOKEN not in told.text


def test_a_job_that_may_not_comment_and_has_nothing_to_tell_says_nothing_of_it():
    forge = Forge("github")
    forge.hook = lambda seen, forge: reply(403, {})
    told, _ = put(forge, words(samples.passing()))
    assert (told.text, told.is_problem) == ("no comment: nothing to tell", False)


def test_a_server_that_is_down_costs_the_budget_at_most_and_fails_nothing():
    forge = Forge("github")
    forge.hook = lambda seen, forge: reply(503)
    told, server = put(forge, words())
    assert told.is_problem and "503" in told.text
    assert len(server.seen) <= 4


def test_a_page_that_is_no_api_is_told():
    forge = Forge("github")
    forge.hook = lambda seen, forge: reply(200, None, Content_Type="text/html")
    told, _ = put(forge, words())
    assert told.is_problem


# ---------------------------------------------------------------- the command

BASE = Path(__file__).parent / "fixtures" / "dbt"


@pytest.fixture
def target(tmp_path):
    import gzip

    folder = tmp_path / "target"
    folder.mkdir()
    for name in ("manifest", "run_results"):
        (folder / f"{name}.json").write_bytes(
            gzip.decompress((BASE / "1.10" / "build" / f"{name}.json.gz").read_bytes())
        )
    (tmp_path / "dbt_project.yml").write_text("name: qalita_demo\n")
    event = {
        "pull_request": {
            "number": 7,
            "head": {"sha": "a" * 40, "ref": "change"},
            "base": {"ref": "main", "sha": "b" * 40},
        }
    }
    (tmp_path / "event.json").write_text(json.dumps(event))
    return tmp_path


def on_github(folder, url, **more):
    return {
        "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/opendata", "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_SHA": "c" * 40, "GITHUB_REF": "refs/pull/7/merge", "GITHUB_HEAD_REF": "change", "GITHUB_BASE_REF": "main",
        "GITHUB_RUN_ID": "1", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_API_URL": url,
        "GITHUB_EVENT_PATH": str(folder / "event.json"), "GITHUB_WORKSPACE": str(folder), "INPUT_GITHUB-TOKEN": TOKEN, **more,
    }  # fmt: skip


def run(folder, env, *flags):
    from command import run

    return run("dbt", "--publish", "never", "--artifacts-since", "any", *flags, cwd=folder, env=env)


def test_a_pull_request_gets_its_comment_by_default(target):
    forge = Forge("github")
    with serving(forge.answer) as server:
        process = run(target, on_github(target, server.url))
        assert process.returncode == 1, process.stderr
        assert "COMMENT    created" in process.stdout
        again = run(target, on_github(target, server.url, GITHUB_RUN_ATTEMPT="2"))
    assert "COMMENT    updated" in again.stdout
    assert len(forge.bodies) == 1 and "not_null_stg_air_quality_country" in forge.bodies[0]
    assert TOKEN not in process.stdout.replace(f"::add-mask::{TOKEN}", "") + process.stderr


def test_a_comment_never_changes_the_exit_code(target):
    forge = Forge("github")
    forge.hook = lambda seen, forge: reply(403, {})
    with serving(forge.answer) as server:
        for flags, code in (((), 1), (("--fail-on", "never"), 0)):
            process = run(target, on_github(target, server.url), *flags)
            assert process.returncode == code
            assert re.search(r"COMMENT +no comment: .*pull-requests: write", process.stdout)
            assert re.search(
                r"^::notice title=comment on the change::no comment: ", process.stdout, re.MULTILINE
            )


def test_stdout_stays_the_document(target):
    forge = Forge("github")
    with serving(forge.answer) as server:
        process = run(target, on_github(target, server.url), "--output", "json")
    assert [json.loads(line)["schemaVersion"] for line in process.stdout.splitlines()] == ["1"]
    assert "COMMENT    created" in process.stderr


@pytest.mark.parametrize(
    ("env", "flags", "told"),
    [
        ({"INPUT_GITHUB-TOKEN": ""}, (), ""),
        ({"INPUT_GITHUB-TOKEN": ""}, ("--comment", "always"), "there is no token"),
        ({}, ("--comment", "off"), ""),
        ({"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main", "GITHUB_HEAD_REF": "", "GITHUB_BASE_REF": "", "GITHUB_EVENT_PATH": ""}, ("--default-branch", "main"), ""),
        ({"GITHUB_API_URL": "http://api.example.com"}, (), "not https"),
        ({"GITHUB_API_URL": "file:///etc"}, (), "not https"),
    ],
    ids=["no token", "no token, asked for", "off", "a push", "plain http", "no address"],
)  # fmt: skip
def test_where_there_is_none_nobody_is_called(target, env, flags, told):
    forge = Forge("github")
    with serving(forge.answer) as server:
        process = run(target, {**on_github(target, server.url), **env}, *flags)
        assert server.seen == []
    assert process.returncode == 1, process.stderr
    assert ("COMMENT" in process.stdout) == bool(told)
    assert told in process.stdout


def test_a_merge_request_gets_one_once_there_is_a_token(target):
    forge = Forge("gitlab", me="project_42_bot")
    with serving(forge.answer) as server:
        env = {
            "GITLAB_CI": "true", "CI": "true", "CI_JOB_ID": "1", "CI_PIPELINE_ID": "2", "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_PROJECT_ID": "42", "CI_PROJECT_ID": "43", "CI_COMMIT_SHA": "a" * 40,
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "change", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_PROJECT_URL": "https://gitlab.example.com/acme/opendata", "CI_API_V4_URL": server.url, "CI_JOB_TOKEN": "job-token-example",
        }  # fmt: skip
        without = run(target, env)
        assert server.seen == [] and "COMMENT" not in without.stdout
        process = run(target, {**env, "QALITA_GITLAB_TOKEN": TOKEN})
    assert "COMMENT    created" in process.stdout
    assert len(forge.bodies) == 1


def test_a_token_in_the_file_is_refused(target):
    (target / "qalita.yml").write_text("github-token: x\ngitlab-token: y\ncomment: always\n")
    process = run(target, on_github(target, "http://127.0.0.1:9"))
    assert process.returncode == 2
    assert process.stderr.count("\nqalita.yml sets ") + process.stderr.startswith("qalita.yml sets ") == 2
