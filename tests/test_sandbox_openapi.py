"""The OpenAPI document of the stand-in tells the truth: what really answers is what it declares."""

from __future__ import annotations

import json

import httpx
import pytest
from jsonschema import Draft202012Validator
from sandbox_samples import BASE, ZERO, Client, document, opening, run_key

from qalita_action import sandbox


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with sandbox.running(tmp_path_factory.mktemp("openapi") / "sandbox.db") as running:
        yield running


@pytest.fixture(scope="module")
def spec(server):
    return httpx.get(f"{server.url}/openapi.json").json()


def template_of(spec, path):
    """The declared path that a real one belongs to; literal segments win over parameters."""

    def fits(template):
        pairs = list(zip(template.split("/"), path.split("/"), strict=False))
        same_length = template.count("/") == path.count("/")
        return same_length and all(a == b or a.startswith("{") for a, b in pairs)

    return min(filter(fits, spec["paths"]), key=lambda t: t.count("{"))


def judge(spec, response):
    """Holds one real answer to the declaration of its route."""
    request = response.request
    template = template_of(spec, request.url.path)
    declared = spec["paths"][template][request.method.lower()]["responses"]
    assert str(response.status_code) in declared, (template, response.status_code, response.text)
    entry = declared[str(response.status_code)]
    media = response.headers["content-type"]
    assert media in entry["content"], (template, response.status_code, media, list(entry["content"]))
    schema = {**entry["content"][media]["schema"], "components": spec["components"]}
    Draft202012Validator(schema).validate(response.json())
    for name in ("retry-after", "idempotency-replayed", "www-authenticate", "link"):
        if name in response.headers:
            assert name in {h.lower() for h in entry.get("headers", {})}, (template, name)


def test_it_is_3_1_and_every_reference_leads_somewhere(spec):
    assert spec["openapi"].startswith("3.1")
    Draft202012Validator.check_schema(spec["components"]["schemas"])

    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                assert node["$ref"].rpartition("/")[2] in spec["components"]["schemas"], node["$ref"]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(spec)


def test_writes_declare_their_key_body_and_refusals(spec):
    writes = [
        operation
        for path, item in spec["paths"].items()
        if path.startswith(BASE)
        for method, operation in item.items()
        if method != "get"
    ]
    assert len(writes) == 3
    for operation in writes:
        (key,) = [p for p in operation["parameters"] if p["name"] == "Idempotency-Key"]
        assert key["required"] and key["in"] == "header"
        assert "application/json" in operation["requestBody"]["content"]
        assert {"400", "401", "409", "413", "422"} <= set(operation["responses"])
        assert "Retry-After" in operation["responses"]["409"]["headers"]
        assert operation["security"] == [{"HTTPBearer": []}]


def test_a_document_of_the_contract_is_valid(spec):
    d = document("valid", {"test.acme.a": "failed"})
    for name, value in (
        ("Opening", opening(d)),
        ("Batch", {"rows": d["checks"] + d["results"] + d["causes"]}),
    ):
        schema = {"$ref": f"#/components/schemas/{name}", "components": spec["components"]}
        Draft202012Validator(schema).validate(json.loads(json.dumps(value)))
    assert set(ZERO) == set(spec["components"]["schemas"]["LedgerRowIn"]["required"])


def test_what_answers_is_what_is_declared(server, spec):
    seen = []
    with httpx.Client(
        base_url=server.url, event_hooks={"response": [lambda r: (r.read(), seen.append(r))]}
    ) as http:
        client = Client(http, server.token)
        for n in range(3):
            d = document(
                f"spec{n}",
                {"test.acme.a": "failed", "test.acme.b": "passed"},
                completed_at=f"2026-11-2{n}T00:00:00Z",
            )
            client.open(d)
            client.complete(d)  # batches-missing
            client.send(d)
            client.send(d)
        client.open(document("spec2", {"test.acme.a": "passed"}))  # run-differs
        client.batch(d, "checks", 0, [])  # run-complete
        client.batch(document("no", {}), "checks", 0, [])  # run-unknown
        client.batch(d, "checks", 0, [1], **{"Content-Encoding": "br"})
        client.write("PUT", f"/runs/{run_key('x')}", "run", 0, run_key("x"), {"schemaVersion": "9"})
        key, source = d["run"]["key"], client.get("/sources").json()["items"][0]["id"]
        for path in ("", "/runs", f"/runs/{key}", f"/runs/{key}/results", "/sources", f"/sources/{source}"):
            client.get(path)
        for path in ("/datasets", "/issues", "/checks/test.acme.a/history"):
            client.get(path)
            client.get(path, limit=0)
        client.get("/runs", limit=1)
        client.get(f"/runs/{run_key('never')}")
        client.get("/sources/99")
        Client(http, "nonsense").get("/runs")
        Client(http, "nonsense").open(d)
    for response in seen:
        judge(spec, response)
    statuses = {r.status_code for r in seen}
    assert statuses == {200, 201, 202, 401, 404, 409, 415, 422}
