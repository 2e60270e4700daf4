"""Whom the client trusts and who it is: real certificates, real TLS."""

from __future__ import annotations

import ssl
import subprocess

import pytest
from loopback import reply, serving
from test_http import call, failure, options

from qalita_action.errors import DeliveryError, SettingsError
from qalita_action.http import tls_context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


@pytest.fixture
def secure(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with serving(lambda seen: reply(200, {"tls": True}), tls=context) as server:
        yield server


def test_a_certificate_that_nobody_vouches_for(secure):
    error = failure(secure.url)
    assert isinstance(error, DeliveryError) and error.code == "tls-failed"
    assert "self-signed" in error.what.replace("self signed", "self-signed")
    assert secure.seen == []


def test_a_ca_as_file_folder_and_text(secure, certificate, tmp_path):
    cert, _ = certificate
    folder = tmp_path / "cas"
    folder.mkdir()
    (folder / "acme.crt").write_bytes(cert.read_bytes())
    for ca in (str(cert), str(folder), cert.read_text()):
        assert call(secure.url, changes={"ca": ca}).body == b'{"tls": true}'


def test_tls_without_verification(secure):
    assert call(secure.url, changes={"verify_tls": False}).status == 200


def test_https_where_plain_http_speaks():
    with serving(lambda seen: reply(200)) as server:
        assert failure(server.url.replace("http:", "https:"), changes={"attempts": 1}).code == "tls-failed"


def test_client_certificates_are_shown(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.load_verify_locations(certificate[0])
    context.verify_mode = ssl.CERT_REQUIRED
    cert, key = map(str, certificate)
    with serving(lambda seen: reply(200), tls=context) as server:
        changes = {"ca": cert, "client_cert": cert, "client_key": key}
        assert call(server.url, changes=changes).status == 200
        error = failure(server.url, changes={"ca": cert})
        assert isinstance(error, SettingsError) and error.code == "client-cert-refused"
        assert "none was given" in error.what


@pytest.mark.parametrize(
    "ca", ["/nowhere/ca.pem", "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----"]
)
def test_a_ca_that_is_none(ca):
    with pytest.raises(SettingsError) as caught:
        tls_context(options("https://api.example.com", ca=ca))
    assert caught.value.code == "ca-unreadable"


def test_an_empty_folder_of_cas_trusts_nobody_by_mistake(tmp_path):
    with pytest.raises(SettingsError):
        tls_context(options("https://api.example.com", ca=str(tmp_path)))


def test_a_client_certificate_that_is_none(certificate):
    with pytest.raises(SettingsError) as caught:
        tls_context(
            options("https://api.example.com", client_cert=str(certificate[0]), client_key="/nowhere")
        )
    assert caught.value.code == "client-cert-unreadable"
