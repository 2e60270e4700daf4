"""nginx with certificates of a private CA in front of a stand-in, as self-hosted platforms have it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

APIS = ("ingestion", "results")


def folder_of(ca: Path, folder: Path) -> str:
    folder.mkdir()
    (folder / "company.crt").write_bytes(ca.read_bytes())
    return str(folder)


@pytest.mark.parametrize("api", APIS)
def test_a_private_ca_as_file_folder_and_text(ends, publish, platform, tmp_path, api):
    forms = {
        "file": {"QALITA_CA_BUNDLE": str(ends.ca)},
        "folder": {"QALITA_CA_BUNDLE": folder_of(ends.ca, tmp_path / "cas")},
        "text, as a Docker action's input": {"INPUT_CA-BUNDLE": ends.ca.read_text()},
    }
    for form, env in forms.items():
        told = publish(ends.url["good"], "--api", api, **env)
        assert told.code == 0, f"{form}: {told.text}"
        assert "PUBLISHED  QALITA" in told.text
    asked = ends.log.read_text()
    assert ("/api/v2/ingest/runs/" if api == "ingestion" else "/api/v1/metrics/upload") in asked


@pytest.mark.parametrize("api", APIS)
def test_a_client_certificate_as_file_and_as_text(ends, publish, api):
    text = ends.client.read_text()
    key, cert = text[: text.index("-----BEGIN CERT")], text[text.index("-----BEGIN CERT") :]
    ca = {"QALITA_CA_BUNDLE": str(ends.ca)}
    for env in (
        {"QALITA_CLIENT_CERT": str(ends.client)},
        {"INPUT_CLIENT-CERT": cert, "INPUT_CLIENT-KEY": key},
        {"INPUT_CLIENT-CERT": cert, "INPUT_CLIENT-KEY": key.replace("\n", "\\n")},
    ):
        told = publish(ends.url["mutual"], "--api", api, secrets=tuple(key.splitlines()[1:-1]), **ca, **env)
        assert (told.code, "PUBLISHED  QALITA" in told.text) == (0, True), told.text


@pytest.mark.parametrize(
    ("end", "ca", "client", "error", "exit_code", "words", "way_out"),
    [
        ("good", "other_ca", None, "tls-failed", 4, ("issuer", "self-signed"), "--ca-bundle"),
        ("good", None, None, "tls-failed", 4, ("issuer", "self-signed"), "--ca-bundle"),
        ("expired", "ca", None, "tls-failed", 4, ("expired",), "renewed"),
        (
            "elsewhere",
            "ca",
            None,
            "tls-failed",
            4,
            ("mismatch", "not valid for"),
            "name the endpoint by a host",
        ),
        ("mutual", "ca", None, "client-cert-refused", 2, ("none was given",), "--client-cert"),
        ("mutual", "ca", "other_client", "client-cert-refused", 2, ("one was given",), "--client-cert"),
    ],
)
def test_each_way_in_which_tls_fails(ends, publish, end, ca, client, error, exit_code, words, way_out):
    env = {}
    if ca:
        env["QALITA_CA_BUNDLE"] = str(getattr(ends, ca))
    if client:
        env["QALITA_CLIENT_CERT"] = str(getattr(ends, client))
    told = publish(ends.url[end], **env)
    assert told.code == exit_code, told.text
    assert f"[{error}]" in told.text and any(word in told.text for word in words), told.text
    (next_step,) = [line for line in told.text.splitlines() if " next: " in line and way_out in line]
    assert f"docs/errors.md#{error}" in told.text and next_step


def test_https_where_nginx_wants_it_and_http_was_said(ends, publish):
    told = publish(ends.url["good"].replace("https:", "http:"))
    assert told.code == 2 and "[endpoint-not-api]" in told.text and "https" in told.text, told.text


WITHOUT_A_STORE = """
mount -t tmpfs none /etc/ssl && for place in /etc/pki /usr/lib/ssl /usr/local/ssl; do
  if [ -d $place ]; then mount -t tmpfs none $place; fi
done && exec "$@"
"""


def test_a_system_without_a_trust_store_trusts_mozilla_s_list():
    """As a slim image without ca-certificates. Needs root, as CI has it: the folders are hidden for one process."""
    code = (
        "from qalita_action.http import Options, tls_context, trusted_by\n"
        "told = Options(base_url='https://api.example.com')\n"
        "print(trusted_by(told), len(tls_context(told).get_ca_certs()))"
    )
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = [*as_root, "unshare", "--mount", "sh", "-c", WITHOUT_A_STORE, "sh", sys.executable, "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    who, _, number = done.stdout.strip().rpartition(" ")
    assert who == "Mozilla's CAs (certifi): this system has none of its own" and int(number) > 50
