"""The stores themselves: moto for S3, Azurite for Azure, gcp-storage-emulator for Google, nginx for the web.
`make stores` brings them. Files get into them by the vendors' own APIs, without a line of ours.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

import trustme

from tests.loopback import Reply, Seen, serving
from tests.network.conftest import await_port, free_port

BROUGHT = Path(os.environ.get("QALITA_STORES", "."))
AWS = {"AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST", "AWS_SECRET_ACCESS_KEY": "Zs01AwsSecretXvZs01AwsSecretXv"}
ACCOUNT = "devstoreaccount1"  # Azurite's own, with the key that everybody knows
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
OTHER_KEY = base64.b64encode(b"Zs02AnotherKeyXv" * 4).decode()


class Store(NamedTuple):
    """root: the bucket's address, where the command is given env and flags. put: a file into it. missing: an
    address in a bucket that is not there. refused: an address, and variables of somebody whom the store
    itself does not let in."""

    root: str
    env: dict[str, str]
    flags: tuple[str, ...]
    put: Callable[[str, bytes], None]
    missing: str
    refused: tuple[str, dict[str, str]]


@contextmanager
def started(command: list[str], port: int, folder: Path, **env: str) -> Iterator[None]:
    log = folder / "console.log"
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, cwd=folder, env={**kept, "HOME": str(folder), **env}
        )
    try:
        await_port(port, process, log, seconds=120)
        yield
    finally:
        process.kill()  # what they hold is nobody's, and some of them take their time
        process.wait(20)


def send(method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        data = answer.read()
        assert answer.status < 300, (method, url, answer.status, data[:500])
        return data
    finally:
        connection.close()


# ---------------------------------------------------------------- S3


@contextmanager
def s3(folder: Path) -> Iterator[Store]:
    """Two of them: the second one lets nobody in whom it does not know (after the call that makes a bucket)."""
    moto = str(BROUGHT / "venv/bin/moto_server")
    ports = free_port(), free_port()
    with ExitStack() as stack:
        for port, calls in zip(ports, ("1000000", "1"), strict=True):
            own = folder / str(port)
            own.mkdir()
            command = [moto, "-H", "127.0.0.1", "-p", str(port)]
            stack.enter_context(started(command, port, own, INITIAL_NO_AUTH_ACTION_COUNT=calls))
            send("PUT", f"http://127.0.0.1:{port}/bucket")
        url, strict = (f"http://127.0.0.1:{port}" for port in ports)
        env = {**AWS, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": url}
        yield Store(
            "s3://bucket",
            env,
            (),
            lambda key, data: send("PUT", f"{url}/bucket/{quote(key)}", data) and None,
            "s3://no-such-bucket/target/",
            ("s3://bucket/target/", {**env, "AWS_ENDPOINT_URL_S3": strict}),
        )


# ---------------------------------------------------------------- Azure


def azure_send(url: str, method: str, path: str, query: str = "", body: bytes = b"", **more: str) -> None:
    """Signed with the account's key, as Azure's Shared Key wants it."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06", **more}
    length = str(len(body)) if body else ""
    lines = [method, "", "", length, "", "", "", "", "", "", "", ""]
    lines += [f"{name}:{headers[name]}" for name in sorted(headers)]
    lines += [f"/{ACCOUNT}/{ACCOUNT}{path}", *(query.replace("=", ":").split("&") if query else ())]
    digest = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    send(method, f"{url}/{ACCOUNT}{path}" + (f"?{query}" if query else ""), body, headers)


@contextmanager
def azure(folder: Path) -> Iterator[Store]:
    port = free_port()
    command = [str(BROUGHT / "node_modules/.bin/azurite-blob"), "--blobHost", "127.0.0.1"]
    command += ["--blobPort", str(port), "--location", str(folder), "--skipApiVersionCheck", "--silent"]
    with started(command, port, folder):
        url = f"http://127.0.0.1:{port}"
        azure_send(url, "PUT", "/container", "restype=container")
        env = {
            "AZURE_STORAGE_ACCOUNT": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": f"{url}/{ACCOUNT}",
        }

        def put(key: str, data: bytes) -> None:
            azure_send(url, "PUT", f"/container/{quote(key)}", "", data, **{"x-ms-blob-type": "BlockBlob"})

        yield Store(
            "az://container",
            env,
            (),
            put,
            "az://no-such-container/target/",
            ("az://container/target/", {**env, "AZURE_STORAGE_ACCOUNT_KEY": OTHER_KEY}),
        )


# ---------------------------------------------------------------- Google


def xml(status: int, code: str) -> Reply:
    text = (
        f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
    )
    return Reply(status, text.encode(), {"Content-Type": "application/xml; charset=UTF-8"})


def google_xml(emulator: str) -> Callable[[Seen], Reply]:
    """Google's XML API, which object_store speaks, in front of an emulator that speaks the JSON API alone and
    lets everybody in: listings are translated, and a bearer token that is not good is answered as Google does."""

    def asked(path: str, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        request = urllib.request.Request(f"{emulator}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as e:
            return e.code, e.read(), {}

    def answer(seen: Seen) -> Reply:
        if seen.headers.get("authorization", "Bearer good") != "Bearer good":
            return xml(401, "AuthenticationRequired")
        url = urlsplit(seen.path)
        bucket, _, key = url.path.lstrip("/").partition("/")
        if not key:
            return listing(bucket, {name: values[0] for name, values in parse_qs(url.query).items()})
        one = f"/storage/v1/b/{bucket}/o/{quote(unquote(key), safe='')}"
        status, body, _ = asked(one, {})
        if status == 404:
            return xml(404, "NoSuchKey")
        etag = f'"{json.loads(body)["md5Hash"]}"'
        if seen.headers.get("if-match", etag) != etag:
            return xml(412, "PreconditionFailed")
        wanted = {"Range": seen.headers["range"]} if "range" in seen.headers else {}
        status, body, headers = asked(f"/download{one}?alt=media", wanted)
        kept = {name: value for name, value in headers.items() if name.lower() == "content-range"}
        return Reply(status, body, {**kept, "ETag": etag, "Last-Modified": formatdate(usegmt=True)})

    def listing(bucket: str, query: dict[str, str]) -> Reply:
        more = "".join(
            f"&{name}={quote(query[name], safe='')}" for name in ("prefix", "delimiter") if name in query
        )
        status, body, _ = asked(f"/storage/v1/b/{bucket}/o?{more}", {})
        if status == 404:
            return xml(404, "NoSuchBucket")
        found = json.loads(body)
        items = "".join(
            f"<Contents><Key>{escape(o['name'])}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"{o["md5Hash"]}"</ETag><Size>{o["size"]}</Size></Contents>'
            for o in found.get("items", ())
        )
        folders = "".join(
            f"<CommonPrefixes><Prefix>{escape(p)}</Prefix></CommonPrefixes>"
            for p in found.get("prefixes", ())
        )
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{items}{folders}</ListBucketResult>"
        return Reply(200, text.encode(), {"Content-Type": "application/xml"})

    return answer


@contextmanager
def google(folder: Path) -> Iterator[Store]:
    port = free_port()
    emulator = f"http://127.0.0.1:{port}"
    command = [str(BROUGHT / "venv/bin/gcp-storage-emulator"), "start", "--host", "127.0.0.1"]
    with started([*command, "--port", str(port), "--in-memory"], port, folder):
        body = json.dumps({"name": "bucket"}).encode()
        send("POST", f"{emulator}/storage/v1/b?project=p", body, {"Content-Type": "application/json"})

        def put(key: str, data: bytes) -> None:
            address = f"{emulator}/upload/storage/v1/b/bucket/o?uploadType=media&name={quote(key, safe='')}"
            send("POST", address, data, {"Content-Type": "application/octet-stream"})

        with serving(google_xml(emulator)) as front:
            env = {"STORAGE_EMULATOR_HOST": front.url}
            yield Store(
                "gs://bucket",
                env,
                (),
                put,
                "gs://no-such-bucket/target/",
                ("gs://bucket/target/", {**env, "GOOGLE_BEARER_TOKEN": "Zs03BearerTokenXv"}),
            )


# ---------------------------------------------------------------- the web

NGINX = """
load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
{user}
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 128; }}
http {{
  access_log off;
  client_body_temp_path bodies; proxy_temp_path proxied;
  fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  ssl_certificate server.pem;
  ssl_certificate_key server.pem;
  root {files};
  server {{
    listen 127.0.0.1:{dav} ssl;
    location / {{ dav_ext_methods PROPFIND OPTIONS; }}
    location /private/ {{ dav_ext_methods PROPFIND OPTIONS; deny all; }}
  }}
  server {{ listen 127.0.0.1:{plain} ssl; }}
}}
"""


class Web(NamedTuple):
    """store: where nginx lists its folders; plain: the same files, where it does not."""

    store: Store
    plain: str
    files: Path
    ca: Path


@contextmanager
def web(folder: Path) -> Iterator[Web]:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "`make stores` installs nginx"
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    files = folder / "files"
    (files / "private").mkdir(parents=True)
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    dav, plain = free_port(), free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX.format(user=user, files=files, dav=dav, plain=plain))
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]

    def put(key: str, data: bytes) -> None:
        path = files / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    root = f"https://127.0.0.1:{dav}"
    with started([*command, "-e", str(folder / "error.log")], dav, folder):
        store = Store(
            root,
            {},
            ("--ca-bundle", str(folder / "ca.pem")),
            put,
            f"{root}/no-such-folder/target/",
            (f"{root}/private/target/", {}),
        )
        yield Web(store, f"https://127.0.0.1:{plain}", files, folder / "ca.pem")


MAKERS = {"s3": s3, "azure": azure, "google": google}
