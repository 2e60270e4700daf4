"""The one client over HTTP: TLS, proxies, retries, budgets, and failures told as errors. The only importer of
httpx. Must not know the domain, nor any platform's paths.

Retries sit above the client, because a transport of our own would drop the proxy settings of the environment;
every attempt sends the same bytes.
"""

from __future__ import annotations

from qalita_action.http.body import Body, json_body, multipart
from qalita_action.http.budget import Budget
from qalita_action.http.client import Answer, Client
from qalita_action.http.download import download
from qalita_action.http.failures import AnswerTooLarge, LostAnswer, not_the_api
from qalita_action.http.hosts import is_loopback
from qalita_action.http.options import Options, ci_options
from qalita_action.http.tls import tls_context, trusted_by

__all__ = [
    "Answer",
    "AnswerTooLarge",
    "Body",
    "Budget",
    "Client",
    "LostAnswer",
    "Options",
    "ci_options",
    "download",
    "is_loopback",
    "json_body",
    "multipart",
    "not_the_api",
    "tls_context",
    "trusted_by",
]
