"""The client against real servers that misbehave."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import pairwise

import pytest
from loopback import DROP, Reply, reply, serving

from qalita_action.errors import DeliveryError, IngestError, SettingsError
from qalita_action.http import Body, Budget, Client, LostAnswer, Options, json_body, multipart
from qalita_action.redact import Secret

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2VjcmV0c2VjcmV0"
HTML = Reply(200, b"<!doctype html><title>QALITA</title>", {"Content-Type": "text/html; charset=utf-8"})


def options(url: str, **changes) -> Options:
    quick = {"wait_initial_s": 0.001, "wait_max_s": 0.002, "wait_jitter_s": 0, "read_timeout_s": 5}
    return Options(
        base_url=url, token=Secret(TOKEN), user_agent="qalita-dbt-ingest/0.1.0", **{**quick, **changes}
    )


def call(url: str, method="GET", path="/x", *, seconds=20.0, changes=None, **arguments):
    with Client(options(url, **(changes or {}))) as client:
        return client.request(method, path, budget=Budget(seconds), **arguments)


def failure(url: str, *arguments, **named) -> IngestError:
    with pytest.raises(IngestError) as caught:
        call(url, *arguments, **named)
    assert TOKEN not in str(caught.value)
    assert caught.value.expected and caught.value.looked and caught.value.todo
    return caught.value


def script(*replies):
    """Answers in order, the last one for ever."""
    left = list(replies)
    return lambda seen: left.pop(0) if len(left) > 1 else left[0]


def test_what_every_request_carries():
    with serving(lambda seen: reply(200, {"a": 1})) as server:
        answer = call(server.url, "PUT", body=json_body({"b": 2}), headers={"Idempotency-Key": "k"})
    (seen,) = server.seen
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["user-agent"] == "qalita-dbt-ingest/0.1.0"
    assert seen.headers["idempotency-key"] == "k"
    assert seen.headers["content-type"] == "application/json"
    assert seen.body == b'{"b":2}'
    assert (answer.status, answer.body) == (200, b'{"a": 1}')


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_bad_moment_is_repeated_with_the_same_bytes(status):
    with serving(script(reply(status), reply(status), reply(200))) as server:
        call(
            server.url,
            "PUT",
            body=Body(data=b"x" * 5000, may_compress=True),
            headers={"Idempotency-Key": "k"},
        )
    assert len(server.seen) == 3
    assert len({(s.body, s.headers["idempotency-key"]) for s in server.seen}) == 1
    assert gzip.decompress(server.seen[0].body) == b"x" * 5000


@pytest.mark.parametrize(
    ("size", "may", "encoding"), [(1024, True, None), (1025, True, "gzip"), (9000, False, None)]
)
def test_gzip_only_where_it_is_taken_and_worth_it(size, may, encoding):
    with serving(lambda seen: reply(200)) as server:
        call(server.url, "PUT", body=Body(data=b"x" * size, may_compress=may))
    assert server.seen[0].headers.get("content-encoding") == encoding


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, DeliveryError, "request-refused"),
        (401, SettingsError, "token-refused"),
        (403, SettingsError, "forbidden"),
        (404, DeliveryError, "request-refused"),
        (409, DeliveryError, "request-refused"),
        (413, DeliveryError, "request-refused"),
        (422, DeliveryError, "request-refused"),
        (501, DeliveryError, "server-error"),
    ],
)
def test_a_refusal_is_not_repeated(status, kind, code):
    with serving(lambda seen: reply(status, {"detail": "no way"})) as server:
        error = failure(server.url)
    assert isinstance(error, kind) and error.code == code
    assert "no way" in error.what
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "server-error"), (503, "server-error"), (429, "throttled"), (408, "server-error")],
)
def test_a_bad_day_ends_with_its_own_error(status, code):
    with serving(lambda seen: reply(status)) as server:
        error = failure(server.url, changes={"attempts": 4})
    assert isinstance(error, DeliveryError) and error.code == code
    assert len(server.seen) == 4


def test_the_one_conflict_that_is_repeated():
    busy = reply(409, {"code": "in-progress"}, Retry_After="0")
    with serving(script(busy, busy, reply(200))) as server:
        assert call(server.url, "PUT", passes={409}).status == 200
    assert len(server.seen) == 3
    with serving(lambda seen: reply(409, {"code": "run-differs"})) as server:
        assert call(server.url, "PUT", passes={409}).status == 409
    assert len(server.seen) == 1
    with serving(lambda seen: busy) as server:
        assert failure(server.url, passes={409}, changes={"attempts": 2}).code == "in-progress"


@pytest.mark.parametrize(
    "fields",
    [
        {"Retry_After": "1"},
        {"Retry_After": "Wed, 04 Mar 2026 07:00:01 GMT", "Date": "Wed, 04 Mar 2026 07:00:00 GMT"},
    ],
)
def test_retry_after_in_both_forms(fields):
    with serving(script(reply(503, **fields), reply(200))) as server:
        before = time.monotonic()
        call(server.url)
    assert time.monotonic() - before >= 0.95


def test_retry_after_a_date_from_a_server_without_a_clock():
    until = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=3), usegmt=True)
    with serving(script(reply(503, Retry_After=until), reply(200))) as server:
        before = time.monotonic()
        call(server.url)
    assert 1.5 <= time.monotonic() - before < 10


@pytest.mark.parametrize("said", ["soon", "-5", "1.5", "²", "Wed, 99 Foo 2026"])
def test_a_retry_after_that_says_nothing_is_no_reason_to_wait(said):
    with serving(script(Reply(503, b"", {"Retry-After": said}), reply(200))) as server:
        assert call(server.url).status == 200


@pytest.mark.parametrize("said", ["3600", "Fri, 31 Dec 2100 00:00:00 GMT"])
def test_nobody_waits_for_longer_than_the_budget(said):
    with serving(lambda seen: reply(429, Retry_After=said, Date="Wed, 04 Mar 2026 07:00:00 GMT")) as server:
        assert failure(server.url, seconds=5).code == "throttled"
    assert len(server.seen) == 1


def test_an_outage_is_waited_for_as_long_as_the_budget_and_no_longer():
    with serving(lambda seen: reply(503)) as server:
        before = time.monotonic()
        error = failure(server.url, seconds=1.5, changes={"wait_initial_s": 0.05, "wait_max_s": 0.1})
        took = time.monotonic() - before
    assert error.code == "server-error"
    assert took < 2.5
    assert len(server.seen) > 9, "more often than any fixed number of attempts that fits an outage of seconds"


def test_each_wait_is_twice_the_one_before_and_none_is_the_same():
    moments = []

    def answer(seen):
        moments.append(time.monotonic())
        return reply(503) if len(moments) < 5 else reply(200)

    with serving(answer) as server:
        call(server.url, changes={"wait_initial_s": 0.1, "wait_max_s": 0.3, "wait_jitter_s": 0.05})
    waits = [after - before for before, after in pairwise(moments)]
    for wait, least in zip(waits, (0.1, 0.2, 0.3, 0.3), strict=True):
        assert wait >= least
    assert len({round(wait - 0.3, 4) for wait in waits[2:]}) == 2, "the random part"


def test_an_answer_that_trickles_ends_with_the_budget():
    """A timeout for each read alone would let a byte a second go on for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def trickle():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                for _ in range(100):
                    connection.sendall(b" ")
                    time.sleep(0.05)

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        before = time.monotonic()
        error = failure(f"http://127.0.0.1:{listener.getsockname()[1]}", seconds=1)
        assert (error.code, time.monotonic() - before < 3) == ("timeout", True)
        thread.join()


def test_a_server_that_never_accepts_is_given_up_by_the_connecting_timeout():
    """Reading has a minute, connecting seconds: a full queue answers to neither."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        with contextlib.ExitStack() as held:
            for _ in range(4):  # fill the queue: the kernel then drops what comes
                waiting = held.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(address)
            before = time.monotonic()
            error = failure(
                f"http://127.0.0.1:{address[1]}", changes={"attempts": 1, "connect_timeout_s": 0.3}
            )
    assert error.code == "timeout" and "accept a connection" in error.what
    assert time.monotonic() - before < 3


def test_a_spent_budget_asks_nothing():
    with serving(lambda seen: reply(200)) as server:
        assert failure(server.url, seconds=0).code == "timeout"
    assert server.seen == []


def test_a_page_is_not_the_api():
    with serving(lambda seen: HTML) as server:
        error = failure(server.url)
    assert isinstance(error, SettingsError) and error.code == "endpoint-not-api"
    plain = HTML._replace(headers={"Content-Type": "text/plain"})
    with serving(lambda seen: plain) as server:
        assert failure(server.url).code == "endpoint-not-api"
    with serving(lambda seen: HTML._replace(status=404)) as server:
        assert failure(server.url).code == "endpoint-not-api"
    with serving(lambda seen: HTML._replace(status=502)) as server:
        assert failure(server.url, changes={"attempts": 1}).code == "server-error"


def test_not_json_is_not_the_api():
    pong = Reply(200, b"pong", {"Content-Type": "text/plain"})
    with serving(lambda seen: pong) as server, Client(options(server.url)) as client:
        answer = client.request("GET", "/x", budget=Budget(5))
        with pytest.raises(SettingsError) as caught:
            client.json(answer)
    assert caught.value.code == "endpoint-not-api"


def test_redirects_of_reads_stay_at_home():
    def answer(seen):
        return reply(307, Location="/y?z=1") if seen.path == "/x" else reply(200, {"at": seen.path})

    with serving(answer) as server:
        assert call(server.url).body == b'{"at": "/y?z=1"}'
        error = failure(server.url, "PUT")
        assert error.code == "endpoint-not-api"


def test_no_redirect_leaves_and_no_token_goes_along():
    with serving(lambda seen: reply(200)) as other:
        with serving(lambda seen: reply(302, Location=f"{other.url}/login?session=abcdef")) as server:
            error = failure(server.url)
        assert error.code == "endpoint-not-api" and f"{other.url}/login" in error.what
        assert "abcdef" not in str(error)
    assert other.seen == []


def test_a_circle_of_redirects_ends():
    with serving(lambda seen: reply(302, Location="/x")) as server:
        assert failure(server.url).code == "endpoint-not-api"
    assert len(server.seen) == 4


def test_a_host_that_nobody_knows():
    error = failure("http://nothing.invalid")
    assert isinstance(error, DeliveryError) and error.code == "name-not-resolved"
    assert "http://nothing.invalid/x" in "\n".join(error.looked)


def test_a_port_where_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = failure(f"http://127.0.0.1:{taken.getsockname()[1]}", changes={"attempts": 2})
    assert isinstance(error, DeliveryError) and error.code == "unreachable"


def test_a_server_that_says_nothing():
    def slow(seen):
        time.sleep(0.5)
        return reply(200)

    with serving(slow) as server:
        error = failure(server.url, changes={"attempts": 1, "read_timeout_s": 0.1})
    assert isinstance(error, DeliveryError) and error.code == "timeout"


def test_a_connection_that_breaks_is_repeated():
    with serving(script(DROP, reply(200))) as server:
        assert call(server.url, "PUT", body=json_body({})).status == 200
    with serving(lambda seen: DROP) as server:
        assert failure(server.url, changes={"attempts": 2}).code == "unreachable"


@pytest.mark.parametrize("made", [DROP, reply(500), reply(503)])
def test_what_may_have_been_done_is_not_repeated_blindly(made):
    with serving(lambda seen: made) as server:
        error = failure(server.url, "POST", is_repeatable=False)
    assert isinstance(error, LostAnswer) and len(server.seen) == 1


def test_what_was_surely_not_done_is_repeated():
    with serving(script(reply(429), reply(425), reply(201))) as server:
        assert call(server.url, "POST", is_repeatable=False).status == 201
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        error = failure(url, "POST", is_repeatable=False, changes={"attempts": 2})
    assert type(error) is DeliveryError


def test_an_answer_without_end():
    with serving(lambda seen: reply(200, "x" * 5000)) as server:
        assert failure(server.url, changes={"max_answer": 1000}).code == "endpoint-not-api"


def test_a_platform_that_repeats_our_token_does_not_get_it_printed():
    detail = f"token {TOKEN} is bad\n::error::boo"
    for status in (400, 401, 403, 429, 500):
        with serving(lambda seen, status=status: reply(status, {"detail": detail})) as server:
            error = failure(server.url, changes={"attempts": 1})
        assert "\n" not in error.what and "is bad" in error.what


def test_the_proxy_of_the_environment(monkeypatch):
    with serving(lambda seen: reply(200, {"via": "proxy"})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert call("http://api.example.com", changes={"attempts": 1}).body == b'{"via": "proxy"}'
        assert proxy.seen[0].path == "http://api.example.com/x"
        with serving(lambda seen: reply(200, {"via": "no proxy"})) as server:
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            assert call(server.url).body == b'{"via": "no proxy"}'


def test_what_goes_through_a_proxy_says_so_when_it_fails(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://ann:hunter2@proxy.invalid:3128")
    error = failure("https://api.example.com", changes={"attempts": 1})
    assert error.code == "name-not-resolved" and "proxy" in error.what
    assert "through the proxy http://***@proxy.invalid:3128 (HTTPS_PROXY)" in error.looked
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(("status", "times"), [(503, 3), (502, 3), (403, 1), (407, 1)])
def test_a_proxy_in_trouble_is_asked_again_and_one_that_refuses_is_not(monkeypatch, status, times):
    with serving(lambda seen: reply(status)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = failure("https://api.example.com", changes={"attempts": 3})
        assert (error.code, len(proxy.seen)) == ("proxy-refused", times)


def test_a_proxy_s_refusal_of_plain_http(monkeypatch):
    with serving(lambda seen: reply(407)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert failure("http://api.example.com").code == "proxy-refused"


def test_a_proxy_that_refuses_and_one_that_is_none(monkeypatch):
    with serving(lambda seen: reply(407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("://", "://ann:hunter2@"))
        error = failure("https://api.example.com", changes={"attempts": 1})
    assert error.code == "proxy-refused" and "(407)" in error.what and "hunter2" not in str(error)
    assert any(f"***@{proxy.url.partition('://')[2]}" in line for line in error.looked)
    monkeypatch.setenv("HTTPS_PROXY", "ftp://ann:hunter2@proxy.example.com")
    error = failure("https://api.example.com")
    assert isinstance(error, SettingsError) and error.code == "proxy-invalid" and "hunter2" not in str(error)


# ---------------------------------------------------------------- bodies


def test_multipart_is_what_servers_read():
    from email.parser import BytesParser

    body = multipart("metrics.json", b'[{"key": "score"}]\r\n--x', "application/json")
    message = BytesParser().parsebytes(
        b"Content-Type: " + body.content_type.encode() + b"\r\n\r\n" + body.data
    )
    (part,) = message.get_payload()
    assert part.get_param("name", header="content-disposition") == "file"
    assert part.get_filename() == "metrics.json"
    assert part.get_payload(decode=True) == b'[{"key": "score"}]\r\n--x'
    assert body == multipart("metrics.json", b'[{"key": "score"}]\r\n--x', "application/json")


def test_the_server_s_clock():
    with serving(lambda seen: reply(200, Date="Wed, 04 Mar 2026 07:15:30 GMT")) as server:
        assert call(server.url).date() == datetime(2026, 3, 4, 7, 15, 30, tzinfo=timezone.utc)
    with serving(lambda seen: reply(200)) as server:
        assert call(server.url).date() is None
