"""Whom the client trusts and who it is: real certificates, real TLS."""

from __future__ import annotations

import ssl
import subprocess
from datetime import datetime, timedelta, timezone

import certifi
import pytest
import trustme
from loopback import reply, serving
from test_http import call, failure, options

from qalita_action.errors import DeliveryError, SettingsError
from qalita_action.http import Budget, Client, ci_options, tls_context, trusted_by
from qalita_action.redact import Secret

NOW = datetime.now(timezone.utc)


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


# ---------------------------------------------------------------- PEM as people paste it


def one_line(pem: str) -> str:
    return pem.strip().replace("\n", "\\n")


def without_line_ends(pem: str) -> str:
    return pem.strip().replace("\n", " ")


def among_words(pem: str) -> str:
    return f"# Autorité d'exemple, Türkçe\r\nsubject=/CN=example\r\n{pem}\n# end"


@pytest.mark.parametrize("written", [one_line, without_line_ends, among_words])
def test_pem_text_as_a_variable_holds_it(secure, certificate, written):
    cert, key = (path.read_text() for path in certificate)
    assert call(secure.url, changes={"ca": written(cert)}).status == 200
    tls_context(options(secure.url, client_cert=written(cert), client_key=written(key)))


def test_der_as_windows_exports_it(secure, certificate, tmp_path):
    der = ssl.PEM_cert_to_DER_cert(certificate[0].read_text())
    (tmp_path / "company.cer").write_bytes(der)
    for ca in (tmp_path, tmp_path / "company.cer"):
        assert call(secure.url, changes={"ca": str(ca)}).status == 200


def test_a_folder_made_by_rehash(secure, certificate, tmp_path):
    (tmp_path / "company").write_bytes(certificate[0].read_bytes())
    hashed = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", certificate[0]], check=True, capture_output=True
    ).stdout.decode()
    (tmp_path / f"{hashed.strip()}.0").symlink_to("company")
    assert call(secure.url, changes={"ca": str(tmp_path)}).status == 200


def test_the_bad_file_of_a_folder_is_named(certificate, tmp_path):
    (tmp_path / "a.pem").write_bytes(certificate[0].read_bytes())
    (tmp_path / "b.pem").write_text("nothing")
    with pytest.raises(SettingsError, match=r"b\.pem: it holds no certificate"):
        tls_context(options("https://api.example.com", ca=str(tmp_path)))
    (tmp_path / "b.pem").unlink()
    (tmp_path / "a.pem").rename(tmp_path / "a.txt")
    with pytest.raises(SettingsError, match=r"no \.pem, \.crt or \.cer file"):
        tls_context(options("https://api.example.com", ca=str(tmp_path)))


def test_a_client_certificate_as_text(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.load_verify_locations(certificate[0])
    context.verify_mode = ssl.CERT_REQUIRED
    cert, key = (path.read_text() for path in certificate)
    with serving(lambda seen: reply(200), tls=context) as server:
        for both in ({"client_cert": cert, "client_key": key}, {"client_cert": cert + key}):
            assert call(server.url, changes={"ca": cert, **both}).status == 200


def test_a_key_that_is_encrypted_or_another_s_is_an_error_that_shows_neither(certificate, tmp_path):
    cert, key = certificate
    locked, other = tmp_path / "locked.pem", tmp_path / "other.pem"
    make = {"check": True, "capture_output": True}
    subprocess.run(["openssl", "ec", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked], **make)
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", other], **make)
    for given, why in (
        (locked.read_text(), "encrypted"),
        (str(locked), "encrypted"),
        (other.read_text(), ""),
    ):
        with pytest.raises(SettingsError) as caught:
            tls_context(options("https://api.example.com", client_cert=str(cert), client_key=given))
        assert caught.value.code == "client-cert-unreadable" and why in caught.value.what
        assert "-----" not in str(caught.value)


# ---------------------------------------------------------------- whom


def test_openssl_s_own_variable_is_obeyed(secure, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert call(secure.url).status == 200
    assert str(certificate[0]) in trusted_by(options(secure.url))
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    error = failure(secure.url)
    assert f"trusted: the CAs of SSL_CERT_FILE={certifi.where()}" in error.looked


def test_a_bundle_that_is_named_replaces_the_system_s(certificate, monkeypatch):
    subjects = [c["subject"] for c in tls_context(options("", ca=str(certificate[0]))).get_ca_certs()]
    assert subjects == [((("commonName", "localhost"),),)]
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    assert len(tls_context(options("")).get_ca_certs()) > 50


def test_the_ci_s_api_trusts_its_own_ca_besides_the_system_s(secure, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    make = {"service": "GitLab", "token_name": "QALITA_GITLAB_TOKEN"}
    token = Secret("glpat-not-a-real-token-at-all")
    told = ci_options(f"{secure.url}/", token, cas=[str(certificate[0]), None, ""], **make)
    public = len(tls_context(options("")).get_ca_certs())
    assert len(tls_context(told).get_ca_certs()) == public + 1
    assert (told.base_url, told.client_cert) == (secure.url, None)
    with Client(told) as client:
        assert client.request("POST", "/notes", budget=Budget(5)).status == 200
    assert secure.seen[0].headers["authorization"] == f"Bearer {token.reveal()}"
    with Client(ci_options(secure.url, token, **make)) as client, pytest.raises(DeliveryError) as caught:
        client.request("GET", "/notes", budget=Budget(5))
    assert caught.value.code == "tls-failed" and "GitLab" in caught.value.what
    assert "CI_SERVER_TLS_CA_FILE" in "".join(caught.value.todo)


def test_a_refusal_by_the_ci_s_api_speaks_of_its_token_and_not_of_qalita_s():
    with serving(lambda seen: reply(401)) as server:
        told = ci_options(server.url, Secret("ghs_x"), service="GitHub", token_name="github-token")
        with Client(told) as client, pytest.raises(SettingsError) as caught:
            client.request("POST", "/comments", budget=Budget(5))
    assert "GitHub" in caught.value.what and "QALITA" not in str(caught.value).upper().replace("QALITA/", "")
    assert "github-token" in "".join(caught.value.todo)


@pytest.mark.parametrize(
    ("host", "since", "until", "says", "way_out"),
    [
        ("other.example.com", -1, 1, ("mismatch", "not valid for"), "name the endpoint by a host"),
        ("127.0.0.1", -3, -2, ("expired",), "renewed"),
        ("127.0.0.1", 2, 3, ("not yet valid",), "clock"),
    ],
)
def test_each_reason_not_to_trust_has_its_way_out(host, since, until, says, way_out):
    ca = trustme.CA()
    days = {"not_before": NOW + timedelta(since), "not_after": NOW + timedelta(until)}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(host, **days).configure_cert(context)
    with serving(lambda seen: reply(200), tls=context) as server:
        error = failure(server.url, changes={"ca": ca.cert_pem.bytes().decode()})
        assert error.code == "tls-failed" and any(word in error.what for word in says)
        assert way_out in error.todo[0] and server.seen == []


def test_an_intermediate_that_was_named_is_trust_enough():
    root = trustme.CA()
    middle = root.create_child_ca()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    middle.issue_cert("127.0.0.1").configure_cert(context)
    with serving(lambda seen: reply(200), tls=context) as server:
        assert call(server.url, changes={"ca": middle.cert_pem.bytes().decode()}).status == 200
