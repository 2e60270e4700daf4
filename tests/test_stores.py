"""Addresses of object stores and web servers, without a store: how they are read, what is shown of them, and
what is said when nobody answers. Servers on loopback; tests/stores has the stores themselves.
"""

from __future__ import annotations

import gzip
import io
import json
import socket
import ssl
import threading
import time
import zipfile
from contextlib import ExitStack, contextmanager
from urllib.parse import parse_qsl, urlsplit

import pytest
import trustme

from qalita_action.dbt.found import Places, Reach
from qalita_action.dbt.sources import store_address, stores
from qalita_action.dbt.sources.store_client import config, seen
from qalita_action.errors import IngestError
from tests.artifact_sets import BASE
from tests.command import run
from tests.loopback import Reply, serving

ARTIFACTS = BASE / "made" / "1.11" / "build"
AWS = {"AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST", "AWS_SECRET_ACCESS_KEY": "Zs01AwsSecretXvZs01AwsSecretXv"}
FILES = {
    "manifest.json": gzip.decompress((ARTIFACTS / "manifest.json.gz").read_bytes()),
    "run_results.json": gzip.decompress((ARTIFACTS / "run_results.json.gz").read_bytes()),
}
SIGNED = "X-Amz-Credential=AKIATESTTESTTESTTEST%2Fus&X-Amz-Signature=Zs06SignatureXv0123456789"


def places(**env: str) -> Places:
    return Places(reach=Reach(env=env))


def refused(address: str, **env: str) -> IngestError:
    with pytest.raises(IngestError) as told:
        stores.found_at(address, places(**env))
    return told.value


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def ca(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def here(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def ingest(here, *args: str, **env: str):
    return run("dbt", *args, "--publish", "never", "--fail-on", "never", cwd=here, env=env)


def keys_of(folder) -> list[str]:
    lines = (folder / "qalita-report" / "ingest.json").read_text().splitlines()
    return [json.loads(line)["run"]["key"] for line in lines]


def of_files(seen) -> Reply:
    path = seen.path.partition("?")[0]
    data = FILES.get(path.rpartition("/")[2])
    if seen.method != "GET":
        return Reply(405, b"")
    return Reply(200, data, {}) if data else Reply(404, b"")


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("said", "root", "path", "is_folder", "is_pattern", "literal"),
    [
        ("s3://bucket", "s3://bucket", "", True, False, ""),
        ("s3://bucket/", "s3://bucket", "", True, False, ""),
        ("S3://bucket/target", "s3://bucket", "target", True, False, "target/"),
        ("s3://bucket/target/", "s3://bucket", "target/", True, False, "target/"),
        ("gs://b/a/run_results.json", "gs://b", "a/run_results.json", False, False, "a/"),
        ("az://c/a/target.tar.zst", "az://c", "a/target.tar.zst", False, False, "a/"),
        ("s3://b/nightly/*/target/", "s3://b", "nightly/*/target/", True, True, "nightly/"),
        ("s3://b/a/**", "s3://b", "a/**", True, True, "a/"),
        ("s3://b/a?/x.json", "s3://b", "a?/x.json", False, True, ""),
        ("https://h/a/b", "https://h", "a/b", False, False, "a/"),
        ("https://h:8443/a/?sig=x*y", "https://h:8443", "a/", True, False, "a/"),
        ("https://h", "https://h", "", True, False, ""),
        ("http://127.0.0.1:9/a/", "http://127.0.0.1:9", "a/", True, False, "a/"),
        ("http://[::1]:9/a/", "http://[::1]:9", "a/", True, False, "a/"),
    ],
)
def test_an_address_is_taken_apart(said, root, path, is_folder, is_pattern, literal):
    at = store_address.parse(said)
    assert (at.root, at.path, at.is_folder, at.is_pattern, at.literal) == (
        root,
        path,
        is_folder,
        is_pattern,
        literal,
    )
    assert "sig=" not in str(at)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("ftp://host/target/", "no address that can be read"),
        ("s3:///target/", "names no bucket"),
        ("s3://buck*/target/", "names no bucket"),
        ("az:///x", "names no container"),
        ("https:///x", "no address that can be read"),
        ("https://h:port/x", "no address that can be read"),
        ("http://example.com/target/", "is not encrypted"),
        ("http://127.0.0.1.example.com/target/", "is not encrypted"),
        ("https://ann:Zs07PasswordXv@example.com/target/", "holds a user or a password"),
    ],
)
def test_an_address_that_cannot_be_read(here, said, why):
    told = ingest(here, said)
    assert told.returncode == 2
    assert why in told.stderr
    assert "[address-unknown]" in told.stderr
    assert "Zs07PasswordXv" not in told.stderr + told.stdout


@pytest.mark.parametrize(
    ("pattern", "path", "does"),
    [
        ("a/*/c", "a/b/c", True),
        ("a/*/c", "a/b/b/c", False),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/c", True),
        ("**", "a/b", True),
        ("**/c", "c", True),
        ("a/**", "b/a", False),
        ("a/[0-9]*", "a/7x", True),
        ("a/*.json", "a/A.JSON", False),
        ("a", "a/b", False),
    ],
)
def test_patterns(pattern, path, does):
    assert store_address.matches(path, pattern) is does


def test_no_pattern_is_slow():
    began = time.monotonic()
    assert not store_address.matches("/".join("a" * 2000), "/".join(["**", "a"] * 200 + ["b"]))
    assert time.monotonic() - began < 5


def test_what_the_variables_say():
    said = config(
        "s3", {**AWS, "AWS_DEFAULT_REGION": "eu-west-3", "AWS_ENDPOINT_URL": "a", "AWS_ENDPOINT_URL_S3": "b"}
    )
    assert (said["region"], said["endpoint"]) == ("eu-west-3", "b")
    assert seen("s3", {**AWS, "AWS_PROFILE": "p", "AWS_REGION": "r"}) == [*AWS, "AWS_PROFILE"]
    text = (
        "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=a2V5==;EndpointSuffix=core.chinacloudapi.cn"
    )
    assert config("az", {"AZURE_STORAGE_CONNECTION_STRING": text}) == {
        "account_name": "me",
        "account_key": "a2V5==",
        "endpoint": "https://me.blob.core.chinacloudapi.cn",
    }
    assert config("gs", {"STORAGE_EMULATOR_HOST": "localhost:9023"}) == {
        "base_url": "http://localhost:9023",
        "skip_signature": "true",
    }
    assert "skip_signature" not in config("gs", {"STORAGE_EMULATOR_HOST": "x", "GOOGLE_BEARER_TOKEN": "t"})


# ---------------------------------------------------------------- nobody answers


@contextmanager
def silent_port():
    """A machine's identity service that refuses: nothing listens there any more."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("s3://b/t/", "AWS_ENDPOINT_URL"),
        ("az://c/t/", "AZURE_STORAGE_ENDPOINT"),
        ("gs://b/t/", "STORAGE_EMULATOR_HOST"),
    ],
)
def test_a_store_that_is_away_is_told_within_seconds(address, name):
    began = time.monotonic()
    with silent_port() as port:
        told = refused(
            address,
            **AWS,
            AZURE_STORAGE_ACCOUNT="me",
            AZURE_STORAGE_ACCOUNT_KEY="a2V5",
            **{name: f"http://127.0.0.1:{port}"},
        )
    assert (told.code, told.exit_code) == ("store-unreachable", 3)
    assert "connection refused" in told.what
    assert time.monotonic() - began < 15


def test_no_credentials_at_all_are_told_within_seconds():
    """Outside of the cloud nothing answers for the machine."""
    began = time.monotonic()
    with silent_port() as port:
        told = refused(
            "s3://b/t/", AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://127.0.0.1:{port}", AWS_PROFILE="dev"
        )
    assert (told.code, told.exit_code) == ("store-credentials-missing", 2)
    assert "AWS_PROFILE" in str(told)
    assert "profiles of ~/.aws are not read" in str(told)
    assert time.monotonic() - began < 15


def test_a_network_that_swallows_the_question_who_this_machine_is():
    """As a laptop's or a CI runner's does: nobody says no. A full queue of connections is as silent."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            caller = waiting.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        began = time.monotonic()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        told = refused("s3://b/t/", AWS_EC2_METADATA_SERVICE_ENDPOINT=url)
    assert told.code == "store-credentials-missing"
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("address", "env", "why"),
    [
        ("s3://b/t/", {"AWS_EC2_METADATA_DISABLED": "true"}, "AWS_EC2_METADATA_DISABLED"),
        ("s3://b/t/", {"AWS_ACCESS_KEY_ID": "AKIATEST"}, "AWS_SECRET_ACCESS_KEY is not"),
        ("az://c/t/", {}, "AZURE_STORAGE_ACCOUNT_NAME is not set"),
        (
            "az://c/t/",
            {"AZURE_STORAGE_ACCOUNT": "me", "AZURE_STORAGE_SAS_TOKEN": "x"},
            "the SAS token is not one",
        ),
        ("az://c/t/", {"AZURE_STORAGE_ACCOUNT": "me", "AZURE_STORAGE_ACCOUNT_KEY": "%%%"}, "is not base64"),
        ("gs://b/t/", {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere.json"}, "cannot be opened"),
        (
            "s3://b/t/",
            {"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere", "AWS_ROLE_ARN": "arn:aws:iam::1:role/x"},
            "is not there",
        ),
    ],
)
def test_credentials_that_cannot_be_used(address, env, why):
    told = refused(address, **env)
    assert (told.code, told.exit_code) == ("store-credentials-missing", 2)
    assert why in told.what


def test_google_s_workload_identity_federation_is_told_what_to_do(tmp_path):
    path = tmp_path / "federated.json"
    path.write_text(json.dumps({"type": "external_account", "audience": "//iam"}))
    told = refused("gs://b/t/", GOOGLE_APPLICATION_CREDENTIALS=str(path))
    assert told.code == "store-credentials-missing"
    assert "external_account" in told.what
    assert "token_format: access_token" in str(told)


def test_a_store_is_asked_through_the_proxy_of_the_environment(here):
    with serving(lambda seen: Reply(404, b"<Error><Code>NoSuchBucket</Code></Error>")) as proxy:
        env = {**AWS, "AWS_ENDPOINT_URL": "http://store.example.com", "HTTP_PROXY": proxy.url}
        told = ingest(here, "s3://b/t/", **env)
    assert "the bucket b does not exist [store-not-found]" in told.stderr
    assert [s.path.partition("?")[0] for s in proxy.seen] == ["http://store.example.com/b"]


def test_a_bucket_of_another_region():
    with serving(lambda seen: Reply(301, b"", {"x-amz-bucket-region": "eu-west-3"})) as server:
        told = refused("s3://b/t/", **AWS, AWS_ENDPOINT_URL=server.url)
    assert told.code == "store-unreachable"
    assert "in another region than AWS_REGION says" in told.what


# ---------------------------------------------------------------- https


def test_files_of_a_web_server_with_their_signatures(here, tls, ca):
    """Each of them signed for itself, as S3, Google and Azure sign: the query goes along, and is never shown."""
    with serving(of_files, tls=tls) as server:
        args = [f"--{flag}={server.url}/x/{name}?{SIGNED}" for flag, name in (("manifest", "manifest.json"), ("results", "run_results.json"))]  # fmt: skip
        told = ingest(here, *args, "--ca-bundle", str(ca), **AWS)
    assert told.returncode == 0, told.stderr
    assert {s.path for s in server.seen} == {f"/x/{name}?{SIGNED}" for name in FILES}
    for s in server.seen:
        assert "authorization" not in s.headers
        assert not any("AKIA" in value for value in s.headers.values())
    written = [p.read_text("utf-8", "replace") for p in here.rglob("*") if p.is_file()]
    for text in (told.stdout, told.stderr, *written):
        assert "Zs06SignatureXv" not in text
    assert keys_of(here) == keys_of_local(here)


def keys_of_local(here) -> list[str]:
    folder = here / "local"
    folder.mkdir()
    ingest(folder, str(ARTIFACTS))
    return keys_of(folder)


def test_a_signature_that_ran_out_is_not_shown(here, tls, ca):
    page = f"<Error><Code>AccessDenied</Code><Message>Request has expired</Message><X>{SIGNED}</X></Error>".encode()
    with serving(lambda seen: Reply(403, page, {}), tls=tls) as server:
        told = ingest(here, f"{server.url}/x/run_results.json?{SIGNED}", "--ca-bundle", str(ca))
    assert told.returncode == 3
    assert "[store-denied]" in told.stderr
    assert "403 AccessDenied" in told.stderr
    assert "Zs06SignatureXv" not in told.stdout + told.stderr


def test_a_redirect_elsewhere_is_followed_without_anything_of_ours(here, tls, ca):
    """As GitHub's release assets and GitLab's artifacts lead on to a signed address of a store."""
    with serving(of_files, tls=tls) as store:

        def lead_on(seen):
            return Reply(302, b"", {"Location": f"{store.url}{seen.path}?{SIGNED}"})

        with serving(lead_on, tls=tls) as server:
            args = (
                "--manifest",
                f"{server.url}/manifest.json",
                "--results",
                f"{server.url}/run_results.json",
            )
            env = {"QALITA_TOKEN": "Zs08QalitaTokenXv", **AWS}
            told = ingest(here, *args, "--ca-bundle", str(ca), **env)  # fmt: skip
    assert told.returncode == 0, told.stderr
    for s in (*server.seen, *store.seen):
        assert {"authorization", "cookie", "x-amz-security-token"}.isdisjoint(s.headers)
        assert "Zs08QalitaTokenXv" not in str(s)


def test_a_redirect_that_is_not_encrypted_is_not_followed(here, tls, ca):
    with serving(of_files) as plain, serving(lambda s: Reply(302, b"", {"Location": f"{plain.url}{s.path}"}), tls=tls) as server:  # fmt: skip
        told = ingest(here, f"{server.url}/run_results.json", "--ca-bundle", str(ca))
    assert told.returncode == 3
    assert "it leads on to an address that is not encrypted" in told.stderr
    assert not plain.seen


def test_a_folder_of_a_web_server_that_lists_nothing(here):
    """A page for people in place of what is not there is no artifact."""

    def answer(seen):
        got = of_files(seen)
        return Reply(200, b"<!doctype html>", {"Content-Type": "text/html"}) if got.status == 404 else got

    with serving(answer) as server:
        told = ingest(here, f"{server.url}/x/")
    assert told.returncode == 0, told.stderr
    assert keys_of(here) == keys_of_local(here)


def test_a_download_without_a_suffix_is_what_it_holds(here):
    """GitLab and GitHub serve the zip of a job's artifacts under such an address."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in FILES.items():
            file.writestr(f"target/{name}", data)

    with serving(lambda seen: Reply(200, packed.getvalue(), {})) as server:
        told = ingest(here, f"{server.url}/jobs/1/artifacts?job=dbt")
    assert told.returncode == 0, told.stderr
    assert keys_of(here) == keys_of_local(here)


def test_a_listing_that_is_none_is_told():
    with serving(lambda seen: Reply(200, b'{"not": "a listing"}', {})) as server:
        told = refused("s3://b/t/", **AWS, AWS_ENDPOINT_URL=server.url)
    assert told.code == "store-unreachable"
    assert "cannot be understood" in told.what


def test_a_server_without_ranges_is_read_in_one_piece(here):
    large = FILES["manifest.json"] + b" " * (9 << 20)

    def answer(seen):
        return Reply(200, large, {}) if "manifest" in seen.path and seen.method == "GET" else of_files(seen)

    with serving(answer) as server:
        told = ingest(here, f"{server.url}/x/run_results.json")
    assert told.returncode == 0, told.stderr
    assert keys_of(here) == keys_of_local(here)


# ---------------------------------------------------------------- servers that lie


@contextmanager
def raw(answer):
    """A server of bytes: answer(connection, path) writes what it likes. Yields its address and what it sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def serve(connection):
        with connection:
            asked = connection.recv(65536).split(b" ")
            try:
                answer(connection, asked[1].decode())
            except OSError:
                return  # the other side has had enough

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join()


def chunked(connection, data: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    connection.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))


def flags_of(url: str) -> tuple[str, ...]:
    return ("--manifest", f"{url}/manifest.json", "--results", f"{url}/run_results.json")


def test_a_server_that_does_not_say_how_long_its_answer_is(here):
    with raw(lambda c, path: chunked(c, FILES[path.rpartition("/")[2]])) as url:
        told = ingest(here, *flags_of(url))
    assert told.returncode == 0, told.stderr
    assert keys_of(here) == keys_of_local(here)


def test_an_answer_that_never_ends_is_read_up_to_the_limit(here):
    sent = 0

    def answer(connection, path):
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        while sent < 1 << 30:
            connection.sendall(chunk)
            sent += len(chunk)

    with raw(answer) as url:
        told = ingest(here, *flags_of(url), "--max-artifact-size", "1MiB")
    assert told.returncode == 3
    assert "goes on after 1,048,576 bytes [artifact-too-large]" in told.stderr
    assert sent < 64 << 20  # what the sockets between hold, several times over


def test_an_answer_that_is_shorter_than_it_said(here):
    def answer(connection, path):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b" " * 100)

    with raw(answer) as url:
        told = ingest(here, *flags_of(url))
    assert told.returncode == 3
    assert "ended before its end [artifact-truncated]" in told.stderr


def test_a_listing_of_a_history_is_read_page_by_page():
    """8,760 nights, of which the first is there before the last page was asked for."""
    pages, size = 88, 100

    def answer(seen):
        page = int(dict(parse_qsl(urlsplit(seen.path).query)).get("continuation-token", 0))
        keys = "".join(
            f"<Contents><Key>n/{page * size + i:05}/run_results.json</Key><Size>2</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for i in range(size)
        )
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{page + 1}</NextContinuationToken>"
        text = f"<ListBucketResult>{keys}{more if page + 1 < pages else '<IsTruncated>false</IsTruncated>'}</ListBucketResult>"
        return Reply(200, text.encode(), {"Content-Type": "application/xml"})

    with serving(answer) as server:
        entries = stores.entries("s3://b/n/", places(**AWS, AWS_ENDPOINT_URL=server.url))
        path, blob = next(entries)
        assert len(server.seen) < 15
        assert (path, blob.where) == ("00000/run_results.json", "s3://b/n/00000/run_results.json")
        assert 1 + sum(1 for _ in entries) == pages * size


def test_a_head_is_read_without_the_rest():
    large = FILES["manifest.json"] + b" " * (4 << 20)

    def answer(seen):
        first, _, last = seen.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = large[int(first) : int(last) + 1 if last else None]
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(large)}"
        return Reply(206, part, {"Content-Range": span}) if "range" in seen.headers else Reply(200, large, {})

    with serving(answer) as server:
        (blob,) = stores.blobs_at(f"{server.url}/manifest.json", Places())
        assert not server.seen
        assert blob.head_of(1000) == large[:1000]
        assert [s.headers["range"] for s in server.seen] == ["bytes=0-999"]
        assert blob.load() == large
