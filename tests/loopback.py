"""Real servers on loopback for tests: one that answers by a function, and one that stands before another server
and breaks what a test wants broken."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

DROP = "drop"
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Seen(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})


class Server:
    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[Seen] = []

    def count(self, method: str, part: str) -> int:
        return sum(1 for s in self.seen if s.method == method and part in s.path)


def reply(status=200, value=None, **headers) -> Reply:
    fields = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return Reply(status, b"" if value is None else json.dumps(value).encode(), fields)


@contextmanager
def serving(answer, *, tls=None):
    """answer(seen) -> Reply, or DROP to reset the connection without a word."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or every answer waits 40 ms for an acknowledgement
        wbufsize = -1

        def __getattr__(self, name):
            if name.startswith("do_"):
                return self._any
            raise AttributeError(name)

        def _any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen = Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            server.seen.append(seen)
            made = answer(seen)
            if made is DROP:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            if made.status == 204:
                self.send_response_only(204)
                self.end_headers()
                return
            self.send_response_only(made.status)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

        def log_message(self, *_):
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            pass

    httpd = Quiet(("127.0.0.1", 0), Handler)
    if tls is not None:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
    scheme = "https" if tls else "http"
    server = Server(f"{scheme}://127.0.0.1:{httpd.server_address[1]}")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def before(upstream: str, *, instead=lambda seen, n: None, after=lambda seen, n: None):
    """An answer function that forwards to upstream. n counts requests of the same method and path from 1.
    instead: a Reply or DROP without forwarding; after: the same, once upstream has done its work."""
    counts: dict[tuple[str, str], int] = {}
    lock = threading.Lock()
    address = urlsplit(upstream).netloc

    def answer(seen: Seen):
        with lock:
            key = (seen.method, seen.path.split("?")[0])
            counts[key] = n = counts.get(key, 0) + 1
        made = instead(seen, n)
        if made is not None:
            return made
        connection = http.client.HTTPConnection(address, timeout=10)
        try:
            headers = {k: v for k, v in seen.headers.items() if k not in HOP}
            connection.request(seen.method, seen.path, seen.body, headers)
            response = connection.getresponse()
            body = response.read()
            kept = {k: v for k, v in response.getheaders() if k.lower() not in HOP}
        finally:
            connection.close()
        made = after(seen, n)
        return made if made is not None else Reply(response.status, body, kept)

    return answer


def jwt(**claims) -> str:
    """A token that looks like one; nobody signed it."""

    def part(value) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'HS256'})}.{part(claims)}.c2lnbmF0dXJl"
