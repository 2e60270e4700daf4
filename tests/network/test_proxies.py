"""A real proxy between the command and the platform: CONNECT, with and without a password, and around it."""

from __future__ import annotations

import pytest

from tests.network.conftest import tinyproxy

APIS = ("ingestion", "results")


@pytest.fixture
def proxy(tmp_path):
    with tinyproxy(tmp_path / "proxy") as proxy:
        yield proxy


@pytest.fixture
def locked(tmp_path):
    with tinyproxy(tmp_path / "locked", "BasicAuth ann correct-horse-battery") as proxy:
        yield proxy


def connects(proxy) -> list[str]:
    return [line for line in proxy.lines() if "CONNECT 127.0.0.1:" in line]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_https_goes_through_the_proxy_by_connect(ends, publish, proxy, platform, api, name):
    env = {"QALITA_CA_BUNDLE": str(ends.ca), name: f"http://{proxy.url}"}
    told = publish(ends.url["good"], "--api", api, **env)
    assert (told.code, "PUBLISHED  QALITA" in told.text) == (0, True), told.text
    assert connects(proxy)
    log = "\n".join(proxy.lines())
    assert platform.token not in log and "/api/" not in log, "the proxy sees neither the token nor the calls"


def test_a_proxy_with_a_password(ends, publish, locked):
    ca, secret = {"QALITA_CA_BUNDLE": str(ends.ca)}, "correct-horse-battery"
    good = f"http://ann:{secret}@{locked.url}"
    told = publish(ends.url["good"], secrets=(secret,), HTTPS_PROXY=good, **ca)
    assert (told.code, bool(connects(locked))) == (0, True), told.text
    for proxy, wrong in (
        (f"http://ann:wrong-horse@{locked.url}", "wrong-horse"),
        (f"http://{locked.url}", None),
    ):
        told = publish(ends.url["good"], secrets=(wrong,) if wrong else (), HTTPS_PROXY=proxy, **ca)
        assert told.code == 4 and "[proxy-refused]" in told.text, told.text
        assert "(407)" in told.text or "(401)" in told.text
        assert "docs/errors.md#proxy-refused" in told.text and "next: " in told.text


def test_no_proxy_is_obeyed(ends, publish, proxy):
    env = {"QALITA_CA_BUNDLE": str(ends.ca), "HTTPS_PROXY": f"http://{proxy.url}"}
    told = publish(ends.url["good"], NO_PROXY="localhost,127.0.0.1", **env)
    assert (told.code, connects(proxy)) == (0, []), told.text


def test_a_proxy_that_does_not_let_the_port_through(ends, publish, tmp_path):
    with tinyproxy(tmp_path / "strict", "ConnectPort 443") as proxy:
        env = {"QALITA_CA_BUNDLE": str(ends.ca), "HTTPS_PROXY": f"http://{proxy.url}"}
        told = publish(ends.url["good"], **env)
    assert told.code == 4 and "[proxy-refused]" in told.text and "(403)" in told.text, told.text
    assert f"through the proxy http://{proxy.url} (HTTPS_PROXY)" in told.text


def test_no_proxy_there(ends, publish):
    told = publish(
        ends.url["good"],
        "--publish-timeout",
        "2",
        HTTPS_PROXY="http://ann:hunter2@127.0.0.1:9",
        secrets=("hunter2",),
    )
    assert told.code == 4 and "[unreachable]" in told.text, told.text
    assert "through the proxy http://***@127.0.0.1:9 (HTTPS_PROXY)" in told.text
