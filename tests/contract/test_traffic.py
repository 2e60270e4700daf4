"""What the client really sends over the ingestion API, and what it gets, is valid by the OpenAPI document: each
request with its path, parameters, headers and decoded body, and each answer with its status, headers and body.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

sys.path.insert(0, str(Path(__file__).parents[1]))
from artifact_sets import BASE
from command import run
from loopback import Reply, before, reply, serving

from qalita_action import sandbox
from qalita_action.sandbox import Quirks

SETS = (
    "1.10/awkward/secrets",
    "made/1.3/build",
    "made/1.11/build_then_freshness",
    "made/1.11/nothing_selected",
)  # fmt: skip


class Request(NamedTuple):
    """As openapi-core reads one. The body is decoded: the document speaks of JSON, not of its encoding."""

    host_url: str
    path: str
    method: str
    parameters: RequestParameters
    content_type: str
    body: bytes | None


class Response(NamedTuple):
    status_code: int
    headers: Headers
    content_type: str
    data: bytes


def request_of(url: str, seen) -> Request:
    parts = urlsplit(seen.path)
    query = ImmutableMultiDict([(k, v) for k, values in parse_qs(parts.query).items() for v in values])
    parameters = RequestParameters(query=query, header=Headers(list(seen.headers.items())))
    body = gzip.decompress(seen.body) if seen.headers.get("content-encoding") == "gzip" else seen.body
    kind = seen.headers.get("content-type", "")
    return Request(url, parts.path, seen.method.lower(), parameters, kind, body or None)


def response_of(made: Reply) -> Response:
    headers = {name.lower(): value for name, value in made.headers.items()}
    return Response(made.status, Headers(list(headers.items())), headers.get("content-type", ""), made.body)


class Recorded(NamedTuple):
    url: str
    pairs: list


@pytest.fixture
def platform(tmp_path):
    with sandbox.running(tmp_path / "platform.db", quirks=Quirks(max_batch=11)) as running:
        yield running


@pytest.fixture
def recorded(platform):
    forward, pairs = before(platform.url), []

    def answer(seen):
        made = forward(seen)
        pairs.append((seen, made))
        return made

    with serving(answer) as server:
        yield Recorded(server.url, pairs)


@pytest.fixture
def spec(platform):
    import httpx

    document = httpx.get(f"{platform.url}/openapi.json").json()
    problems = {"application/problem+json": json.loads}
    return OpenAPI.from_dict(document, config=Config(extra_media_type_deserializers=problems))


def call_of(path: str) -> str:
    """`run`, a kind, `complete`, or "" for the question what the platform takes."""
    segments = path.removeprefix("/api/v2/ingest").split("/")[2:]
    return "" if not segments else "run" if len(segments) == 1 else segments[1]


def judge(spec: OpenAPI, url: str, pairs) -> set[str]:
    told = set()
    for seen, made in pairs:
        request = request_of(url, seen)
        if not request.path.startswith("/api/v2/ingest"):
            continue
        try:
            spec.validate_request(request)
            spec.validate_response(request, response_of(made))
        except OpenAPIError as error:
            pytest.fail(f"{seen.method} {seen.path} -> {made.status}: {error!r} {error.__cause__!r}")
        told.add(f"{seen.method} {made.status} {call_of(request.path)}")
    return told


@pytest.mark.parametrize("name", SETS)
def test_real_runs(name, recorded, platform, spec, tmp_path):
    env = {
        "QALITA_WORKER_ENDPOINT": recorded.url,
        "QALITA_WORKER_TOKEN": platform.token,
        "QALITA_FAIL_ON": "never",
    }
    flags = ("--api", "ingestion", "--artifacts-since", "any", "--on-empty", "pass")
    for _ in range(2):  # the second time it is there already
        process = run("dbt", str(BASE / name), *flags, cwd=tmp_path, env=env)
        assert process.returncode == 0, process.stdout + process.stderr
    told = judge(spec, recorded.url, recorded.pairs)
    assert {"GET 200 ", "GET 404 run", "PUT 201 run", "POST 202 complete", "GET 200 run"} <= told
    assert any(seen.headers.get("content-encoding") == "gzip" for seen, _ in recorded.pairs)


def test_a_document_that_breaks_the_contract_is_seen(recorded, platform, spec, tmp_path):
    """The judge can say no: the same traffic with one value changed on its way into the record."""
    env = {
        "QALITA_WORKER_ENDPOINT": recorded.url,
        "QALITA_WORKER_TOKEN": platform.token,
        "QALITA_FAIL_ON": "never",
    }
    run("dbt", str(BASE / "made/1.11/build"), "--api", "ingestion", cwd=tmp_path, env=env)
    (seen, made), *_ = [pair for pair in recorded.pairs if pair[0].method == "PUT" and pair[1].status == 201]
    body = json.loads(gzip.decompress(seen.body))
    body["run"]["verdict"] = "certainly"
    headers = {k: v for k, v in seen.headers.items() if k != "content-encoding"}
    for broken, answer in (
        (seen._replace(body=json.dumps(body).encode(), headers=headers), made),
        (seen._replace(headers={**seen.headers, "idempotency-key": "x"}), made),
        (seen._replace(path=seen.path.replace("/runs/", "/runs/X")), made),
        (seen, reply(201, {"state": "ajar"})),
        (seen, reply(418, {})),
    ):
        with pytest.raises(pytest.fail.Exception):
            judge(spec, recorded.url, [(broken, answer)])
