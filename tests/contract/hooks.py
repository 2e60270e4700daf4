"""What a schema cannot say of a valid write, for schemathesis: its idempotency key names its own path and the
digest of its own body, and a body is in the encoding that its header claims. Loaded by SCHEMATHESIS_HOOKS.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re

import schemathesis
from schemathesis.core import NOT_SET

WRITE = re.compile(r"/api/v2/ingest/runs/(?P<run>[^/]+)(?:/(?P<call>[^/]+)(?:/(?P<n>[^/]+))?)?$")


@schemathesis.hook
def before_call(context, case, kwargs):
    """Of the cases that are meant to be valid; whatever breaks the schema is sent as it is."""
    meta = case.meta
    if (
        meta is None
        or not meta.generation.mode.is_positive
        or case.operation.method.upper() not in ("PUT", "POST")
    ):
        return
    if not case.operation.path.startswith("/api/v2/ingest/"):
        return
    found = WRITE.search(case.formatted_path)
    if found is None:
        return
    body = b"" if case.body is NOT_SET else json.dumps(case.body).encode()
    call, n = found["call"] or "run", found["n"] or "0"
    case.headers["Idempotency-Key"] = f"{found['run']}/{call}/{n}/{hashlib.sha256(body).hexdigest()[:16]}"
    if case.headers.get("Content-Encoding") == "gzip":
        body = gzip.compress(body)
    if case.body is not NOT_SET:
        case.body = body
