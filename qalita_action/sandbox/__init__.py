"""A stand-in for a QALITA platform, for a laptop and for tests: the ingestion API as the contract says it,
the results API as its clients know it, and pages to look at. It stores what clients compute, and is not
QALITA. Needs the extra `sandbox`."""

from __future__ import annotations

from qalita_action.sandbox.app import create_app
from qalita_action.sandbox.quirks import FACTS, Fact, Quirks
from qalita_action.sandbox.server import Running, development_token, running, serve, stored_document
from qalita_action.sandbox.tokens import ACCOUNTS, Account, make_token

__all__ = [
    "ACCOUNTS",
    "FACTS",
    "Account",
    "Fact",
    "Quirks",
    "Running",
    "create_app",
    "development_token",
    "make_token",
    "running",
    "serve",
    "stored_document",
]
