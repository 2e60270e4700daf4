"""Stands between clients and a server and breaks what a seed tells it to break. A ticket is one publish: its faults
depend on the seed, the ticket, the attempt, the call and how often it came, never on the order of threads.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import re
import signal
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}

# What happens to one request. `before`: the server never sees it; `after`: it did its work, and the answer is spoilt.
BEFORE = ("reset-before", "error-before", "throttled")
AFTER = ("reset-after", "error-after", "cut-short", "garbage", "not-http", "slow", "twice")
# A proxy that repeats these does what no client can find out.
UNREPEATED = re.compile(r"POST .*/(upload|outputs|publish)$")


class Ticket:
    """One publish. chance: of a fault for each request of this attempt; down: every request of it fails."""

    def __init__(self, seed: str, *, chance: float = 0.0, down: bool = False) -> None:
        self.seed = seed
        self.chance = chance
        self.down = down
        self.attempt = 0
        self.kill_at: int | None = None
        self.kill_after = False
        self.process = None
        self._lock = threading.Lock()
        self._counts: Counter[tuple[int, str]] = Counter()
        self._calls = 0
        self.writes: Counter[str] = Counter()

    def next_attempt(self, *, chance: float, down: bool = False) -> None:
        self.attempt += 1
        self.chance, self.down = chance, down

    def fault(self, call: str) -> str | None:
        with self._lock:
            self._counts[self.attempt, call] += 1
            n = self._counts[self.attempt, call]
        rng = random.Random(f"{self.seed}/{self.attempt}/{call}/{n}")
        if self.down:
            return rng.choice(BEFORE)
        if rng.random() >= self.chance:
            return None
        fault = rng.choice(BEFORE + AFTER)
        return "reset-after" if fault == "twice" and UNREPEATED.match(call) else fault

    def is_killed_now(self) -> bool:
        if self.kill_at is None:
            return False
        with self._lock:
            self._calls += 1
            return self._calls == self.kill_at


class Proxy:
    def __init__(self, url: str) -> None:
        self.url = url
        self.tickets: dict[str, Ticket] = {}
        self.injected: Counter[str] = Counter()
        self.requests = 0
        self.lock = threading.Lock()

    def told(self, fault: str) -> None:
        with self.lock:
            self.injected[fault] += 1


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


@contextmanager
def between(upstream: str):
    """A Proxy; a client of ticket `x` is given the endpoint `<proxy.url>/x`."""
    address = urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1
        timeout = 60

        def __getattr__(self, name):
            if name.startswith("do_"):
                return self.any
            raise AttributeError(name)

        def any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            _, name, rest = self.path.split("/", 2)
            ticket, path = proxy.tickets[name], f"/{rest}"
            call = f"{self.command} {path.split('?', maxsplit=1)[0]}"
            with proxy.lock:
                proxy.requests += 1
            if ticket.is_killed_now():
                if ticket.kill_after:
                    self.forward(path, body)
                proxy.told("kill-after" if ticket.kill_after else "kill-before")
                os.kill(ticket.process.pid, signal.SIGKILL)
                ticket.process.wait()
                return self.reset()
            fault = ticket.fault(call)
            if fault:
                proxy.told(fault)
            match fault:
                case "reset-before":
                    return self.reset()
                case "error-before":
                    return self.say(random.Random(call).choice((500, 502, 503, 504)), b"{}")
                case "throttled":
                    return self.say(429, b"{}", {"Retry-After": "0"})
            status, headers, answer = self.forward(path, body)
            match fault:
                case "reset-after":
                    return self.reset()
                case "error-after":
                    return self.say(504, b"<html>gateway timeout</html>", {"Content-Type": "text/html"})
                case "cut-short":
                    return self.cut_short(status, answer)
                case "garbage":
                    return self.say(status, b"\x00\xff{]" * 5, {"Content-Type": "application/json"})
                case "not-http":
                    self.wfile.write(b"\x16\x03\x01nothing that is HTTP\r\n\r\n")
                    return self.reset()
                case "twice":
                    status, headers, answer = self.forward(path, body)
            return self.say(status, answer, headers, slow=fault == "slow")

        def forward(self, path, body):
            connection = http.client.HTTPConnection(address, timeout=60)
            try:
                headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
                connection.request(self.command, path, body, headers)
                response = connection.getresponse()
                return response.status, dict(response.getheaders()), response.read()
            finally:
                connection.close()

        def say(self, status, body, headers=(), *, slow=False):
            self.send_response_only(status)
            for name, value in dict(headers).items():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if not slow:
                return self.wfile.write(body)
            for start in range(0, len(body), max(len(body) // 8, 1)):
                self.wfile.write(body[start : start + max(len(body) // 8, 1)])
                self.wfile.flush()
                time.sleep(0.01)
            return None

        def cut_short(self, status, body):
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body) + 40))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True

        def reset(self):
            with contextlib.suppress(OSError):
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def log_message(self, *_):
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
