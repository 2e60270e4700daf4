"""The OpenAPI 3.1 document, completed: models that only problem answers and raw bodies use, and headers that
the contract requires. Must not describe what the routes do not do."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from qalita_action.sandbox.documents import (
    Batch,
    CauseIn,
    CheckIn,
    DatasetIn,
    Opening,
    ResultIn,
)
from qalita_action.sandbox.intake import KEY_FORM
from qalita_action.sandbox.problems import INGEST, ProblemDocument

_MODELS = (Opening, Batch, DatasetIn, CheckIn, ResultIn, CauseIn, ProblemDocument)


def install(app: FastAPI) -> None:
    generate = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(generate())
        return app.openapi_schema

    setattr(app, "openapi", complete)  # noqa: B010 - FastAPI's documented way, which its types do not allow


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    _, extra = models_json_schema(
        [(model, "validation") for model in _MODELS], ref_template="#/components/schemas/{model}"
    )
    document["components"]["schemas"].update(extra["$defs"])
    rows = [{"$ref": f"#/components/schemas/{m.__name__}"} for m in (DatasetIn, CheckIn, ResultIn, CauseIn)]
    document["components"]["schemas"]["Batch"]["properties"]["rows"]["items"] = {"anyOf": rows}
    for path, item in document["paths"].items():
        if not path.startswith(INGEST):
            continue
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "Idempotency-Key":
                    parameter["required"] = True
                    parameter["schema"] = {"type": "string", "pattern": f"^{KEY_FORM}$"}
    return document
