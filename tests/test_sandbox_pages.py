"""The pages of the stand-in: they render, say what they are, lead with what broke, and trust nothing."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser

import httpx
import pytest
from sandbox_samples import Client, cause, check, dataset, document, result

from qalita_action import sandbox
from qalita_action.sandbox import look

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}"


class Outline(HTMLParser):
    """What a browser would make of a page: its elements, their attributes and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.links, self.attributes, self.words = [], [], set(), []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name == "href" and tag == "a"]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def server(tmp_path):
    with sandbox.running(tmp_path / "sandbox.db") as running:
        yield running


def send(server, d, sub=1):
    with httpx.Client(base_url=server.url) as http:
        answer = Client(http, server.token_for(sub)).send(d)
        assert answer.status_code == 202, answer.text
        return answer.json()["url"]


def page(url, status=200):
    answer = httpx.get(url)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    outline = Outline(answer.text)
    assert "not QALITA" in outline.text
    assert "Stand-in." in outline.text
    assert not {"script", "img", "iframe", "object", "form", "style"} & set(outline.tags)
    assert not {a for a in outline.attributes if a.startswith("on")} | {"style"} & outline.attributes
    return outline


def crawl(server, start="/"):
    seen, waiting = {}, [start]
    while waiting:
        path = waiting.pop()
        url = path if path.startswith("http") else server.url + path
        if url in seen or path == "/openapi.json":
            continue
        assert url.startswith(server.url), f"a page leads elsewhere: {url}"
        seen[url] = page(url)
        base = url.partition("?")[0]
        for link in seen[url].links:
            waiting.append(base + link if link.startswith("?") else link.partition("#")[0])
    return seen


def test_an_empty_stand_in_says_what_to_type(server):
    home = page(server.url)
    assert f"export QALITA_WORKER_ENDPOINT={server.url}" in home.text
    assert "qalita-ingest dbt" in home.text
    for path in ("/issues", "/jobs", "/metrics", "/recommendations"):
        assert re.search(r"No \w+( yet)?\.", page(server.url + path).text), path
    assert len(crawl(server)) >= 6
    assert page(f"{server.url}/runs/1", 404).links
    assert page(f"{server.url}/nowhere", 404).links


def test_every_page_renders_and_every_link_leads_somewhere(server):
    statuses = {f"test.acme.{s}": s for s in look_statuses()}
    url = send(server, document("full", statuses))
    send(server, document("later", statuses, completed_at="2026-11-24T07:15:00Z", run={"extent": "partial"}))
    send(server, document("other", {"test.acme.x": "passed"}), sub=2)
    seen = crawl(server)
    assert url in seen
    run = seen[url]
    assert (
        run.text.index("What broke")
        < run.text.index("Ledger")
        < run.text.index("Checks")
        < run.text.index("Datasets")
    )
    assert "cause-test.acme.failed failed" in run.text
    failed = page(f"{url}?status=failed")
    assert "test.acme" not in failed.text.partition("Checks: failed")[0].partition("Ledger")[2]
    home = seen[server.url + "/"]
    assert "tenant acme" in home.text
    assert "tenant globex" in home.text


def look_statuses():
    return ("passed", "warned", "failed", "errored", "skipped", "reused", "not_run", "unknown")


def test_broken_checks_come_first(server):
    statuses = {"test.acme.a_pass": "passed", "test.acme.z_fail": "failed", "test.acme.m_err": "errored"}
    run = page(send(server, document("order", statuses)))
    checks = run.text.partition("Failures Owner")[2]
    assert checks.index("z_fail") < checks.index("m_err") < checks.index("a_pass")


def test_a_run_that_tested_nothing_does_not_look_green(server):
    url = send(server, document("nothing", {}, datasets=[], run={"verdict": "nothing_selected"}))
    run = page(url)
    assert "no score" in run.text
    assert "shows nothing about the data" in run.text
    assert "%" not in run.text
    assert "nothing selected" in run.text


def test_a_check_without_a_result_is_not_a_pass(server):
    d = document("lost", {"test.acme.a": "passed", "test.acme.b": "passed"})
    d["results"].pop()
    run = page(send(server, d))
    assert "no result came for this check" in run.text
    assert "1 row refused" in run.text


def test_hostile_text_is_text(server):
    d = document("evil", {"test.acme.a": "failed"}, source={"name": HOSTILE, "description": HOSTILE})
    key = f"model.acme.{HOSTILE}/../..?x#y"
    d["datasets"] = [
        dataset(
            key,
            name=HOSTILE,
            description=HOSTILE,
            tags=[HOSTILE],
            relation=HOSTILE,
            columns=[{"name": HOSTILE, "data_type": HOSTILE, "description": HOSTILE, "tags": []}],
        )
    ]
    d["checks"] = [check("test.acme.a", key, name=HOSTILE, column=HOSTILE, type=HOSTILE, owner=HOSTILE)]
    d["results"] = [result("test.acme.a", "failed", message=HOSTILE)]
    d["causes"] = [
        cause(
            "c",
            ["test.acme.a"],
            title=HOSTILE,
            body=HOSTILE,
            dataset=key,
            owner=HOSTILE,
            consequences=[HOSTILE],
        )
    ]
    d["run"]["git"]["branch"] = d["run"]["git"]["default_branch"] = HOSTILE
    d["run"]["ci"]["pipeline_url"] = f"javascript:{HOSTILE}"
    d["run"]["warnings"] = [{"code": HOSTILE, "text": HOSTILE}]
    url = send(server, d)
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.token}"}) as http:
        source = http.get("/api/v2/sources").json()[0]["id"]
        pack = http.get("/api/v2/packs").json()[0]
        ids = {"source_id": source, "pack_id": pack["id"], "pack_version_id": pack["versions"][0]["id"]}
        scope = {"perimeter": HOSTILE, "value": HOSTILE}
        row = {"key": HOSTILE, "value": HOSTILE, "scope": scope}
        advice = {"content": HOSTILE, "type": HOSTILE, "level": HOSTILE, "scope": scope}
        for kind, rows in (("metrics", [row]), ("recommendations", [advice])):
            answer = http.post(f"/api/v1/{kind}/upload", params=ids, files={"file": ("f.json", dumped(rows))})
            assert answer.status_code == 200
        job = {"name": HOSTILE, "status": "failed", **ids}
        http.put(
            f"/api/v2/jobs/{http.post('/api/v2/jobs/create', json=job).json()['id']}",
            json={"error_message": HOSTILE},
        )
    seen = crawl(server)
    assert url in seen
    shown = [outline.text for outline in seen.values() if "alert('x')" in outline.text]
    assert len(shown) >= 8
    assert all("{{ 7*7 }}" in text for text in shown), "a template was made of what a client sent"
    for outline in seen.values():
        assert not [link for link in outline.links if link.startswith("javascript")]


def dumped(rows):
    return json.dumps(rows)


def test_scope_of_any_shape_does_not_break_a_page(server):
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.token}"}) as http:
        source = http.post(
            "/api/v1/sources/publish", json={"name": "s", "type": "dbt", "visibility": "internal"}
        )
        pack = http.get("/api/v2/packs").json()[0]
        ids = {
            "source_id": source.json()["id"],
            "pack_id": pack["id"],
            "pack_version_id": pack["versions"][0]["id"],
        }
        rows = [
            {"key": "k", "value": None, "scope": s} for s in (None, {}, "text", [1], {"perimeter": "table"})
        ]
        answer = http.post("/api/v1/metrics/upload", params=ids, files={"file": ("f.json", dumped(rows))})
        assert answer.status_code == 200
    page(f"{server.url}/metrics")


def test_many_checks_are_cut_into_pages(server):
    url = send(server, document("many", {f"test.acme.t{n:04}": "passed" for n in range(450)}))
    names = [re.findall(r"t\d{4}", page(f"{url}?page={n}").text) for n in (1, 2, 3)]
    assert [len(set(n)) for n in names] == [200, 200, 50]
    assert len({x for n in names for x in n}) == 450


def test_numbers_out_of_range_are_nothing(server):
    for path in ("/runs/", "/sources/", "/jobs/", "/?page=", "/jobs?page=", "/metrics?source_id="):
        assert httpx.get(f"{server.url}{path}{10**30}").status_code in (200, 404), path
    headers = {"Authorization": f"Bearer {server.token}"}
    for path in ("/api/v2/sources/", "/api/v2/jobs/", "/api/v2/metrics?source_id="):
        answer = httpx.get(f"{server.url}{path}{10**30}", headers=headers)
        assert answer.status_code == 422, path
        assert answer.json()["detail"]


def test_percent_is_rounded_down_and_a_gap_is_no_number():
    assert look.percent(None) == "no score"
    assert look.percent(1.0) == "100 %"
    assert look.percent(0.999999) == "99.9 %"
    assert look.percent(0.57) == "57 %"
    assert look.percent(0.0) == "0 %"
    for n in range(1001):
        shown = float(look.percent(n / 1000).rstrip(" %"))
        assert math.isclose(shown, n / 10), n


def test_the_course_breaks_at_a_gap():
    course = look.course([1.0, 0.5, None, 0.75, 1.0])
    assert len(course.points) == 4
    assert course.line.count("M") == 2
    xs = [x for x, _ in course.points]
    assert xs == sorted(xs)
    heights = [y for _, y in course.points]
    assert heights[0] < heights[2] < heights[1]
    assert all(0 <= y <= course.height for y in heights)
    assert look.course([]).last is None
    assert look.course([None]).line == ""
    assert look.course([1.0]).last is not None
