"""From settings to a connection, without a call."""

from __future__ import annotations

import base64
from datetime import datetime, timezone

import pytest
from loopback import jwt
from make_ingest import TOOL

from qalita_action import publish
from qalita_action.errors import IngestError, ManyErrors, SettingsError
from qalita_action.model import Target
from qalita_action.redact import Secret

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=timezone.utc)
SECOND = int(NOW.timestamp())
GOOD = jwt(sub=7, role="dataengineer", scopes=["source.create"], exp=SECOND + 90 * 86_400)
BASE = "https://api.example.com"


def target(endpoint=BASE, token=GOOD, **changes) -> Target:
    return Target(endpoint=endpoint, token=Secret(token) if token else None, tool=TOOL, **changes)


def refused(*arguments, **named) -> IngestError:
    with pytest.raises(SettingsError) as caught:
        publish.connect(target(*arguments, **named), now=NOW)
    error = caught.value
    assert error.expected and error.looked and error.todo and error.exit_code == 2
    return error


@pytest.mark.parametrize(
    "written",
    [
        "https://api.example.com",
        "https://api.example.com/",
        "https://api.example.com///",
        "https://api.example.com/api",
        "https://api.example.com/api/",
        "https://api.example.com/api/v1",
        "https://api.example.com/api/v1/",
        "https://api.example.com/api/v2",
        "  https://api.example.com/api/v2/\n",
        "HTTPS://API.example.com",
    ],
)
def test_every_form_of_the_base_url(written):
    assert publish.connect(target(written), now=NOW).options.base_url == BASE


@pytest.mark.parametrize(
    ("written", "base"),
    [
        ("http://localhost:3080/api/v1", "http://localhost:3080"),
        ("https://example.com/qalita/api/v1/", "https://example.com/qalita"),
        ("https://example.com/apis", "https://example.com/apis"),
        ("https://[::1]:8443/api", "https://[::1]:8443"),
        ("https://example.com/api/v3", "https://example.com/api/v3"),
    ],
)
def test_what_else_stands_in_a_base_url_stays(written, base):
    assert publish.connect(target(written), now=NOW).options.base_url == base


@pytest.mark.parametrize(
    "written",
    [
        "api.example.com",
        "ftp://api.example.com",
        "https://",
        "https:///api",
        "https://api.example.com:port",
        "https://api.example.com:99999",
        "https://api.example.com?tenant=1",
        "https://api.example.com/#/home",
        "https://api example.com",
        "https://[::1",
        "https:api.example.com",
    ],
)
def test_what_is_no_endpoint(written):
    assert refused(written).code == "endpoint-invalid"


def test_a_password_in_the_endpoint_is_refused_and_not_shown():
    error = refused("https://ann:hunter2@api.example.com")
    assert error.code == "endpoint-invalid" and "hunter2" not in str(error)


@pytest.mark.parametrize("written", [None, "", "   "])
def test_no_endpoint(written):
    assert refused(written).code == "endpoint-missing"


def test_claims():
    claims = publish.connect(target(), now=NOW).claims
    assert (claims.subject, claims.role, claims.scopes) == ("7", "dataengineer", ("source.create",))
    assert claims.expires_at.timestamp() == SECOND + 90 * 86_400


def unpadded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        "abc",
        "a.b",
        "a.b.c",
        "..",
        f"{GOOD}.more",
        f"Bearer {GOOD}",
        GOOD.replace(".", ". "),
        f'"{GOOD}"',
        f"{unpadded(b'{}')}.{unpadded(b'[1]')}.sig",
        f"{unpadded(b'{}')}.{unpadded(b'not json')}.sig",
        f"{unpadded(b'{}')}.{unpadded(b'{}')}.sig",
        jwt(sub=None),
        jwt(sub=""),
        jwt(sub=True),
        jwt(sub={"id": 1}),
        jwt(sub="ü") + "é",
        f"{unpadded(b'{}')}.{unpadded(b'[' * 100_000)}.sig",
    ],
)
def test_what_is_no_token(token):
    error = refused(token=token)
    assert error.code == "token-malformed"
    assert not token.strip() or len(token) < 8 or token not in str(error)


@pytest.mark.parametrize("token", [None, "", " \n"])
def test_no_token(token):
    assert refused(token=token).code == "token-missing"


@pytest.mark.parametrize("exp", [SECOND, SECOND - 1, 1, SECOND - 0.5])
def test_an_expired_token(exp):
    error = refused(token=jwt(sub="1", exp=exp))
    assert error.code == "token-expired"


@pytest.mark.parametrize("exp", [SECOND + 1, SECOND + 0.5, None, "soon", True, 1e30, -1, [1]])
def test_a_token_whose_expiry_the_platform_judges(exp):
    assert publish.connect(target(token=jwt(sub="1", exp=exp)), now=NOW).claims.subject == "1"


def test_line_ends_of_a_secret_file_are_no_part_of_a_token():
    connection = publish.connect(target(token=f"{GOOD}\n"), now=NOW)
    assert connection.options.token.reveal() == GOOD


def test_everything_wrong_is_told_together():
    with pytest.raises(ManyErrors) as caught:
        publish.connect(target(None, None), now=NOW)
    assert {e.code for e in caught.value.errors} == {"endpoint-missing", "token-missing"}
    with pytest.raises(ManyErrors) as caught:
        publish.connect(target(token="x", ca="/nowhere.pem"), now=NOW)
    assert {e.code for e in caught.value.errors} == {"token-malformed", "ca-unreadable"}


def test_a_folder_and_a_plan_need_no_account():
    assert publish.connect(target(None, None, api="folder"), now=NOW).claims is None
    assert publish.connect(target(None, None), now=NOW, need_account=False).claims is None
    with pytest.raises(SettingsError):
        publish.connect(target("nonsense", None), now=NOW, need_account=False)


def test_what_is_not_safe_is_said():
    for endpoint, verify, words in (
        ("http://api.example.com", True, "plain http"),
        (BASE, False, "TLS certificates are not verified"),
    ):
        (caution,) = publish.connect(target(endpoint, verify_tls=verify), now=NOW).cautions
        assert words in caution
    assert publish.connect(target("http://127.0.0.1:8000"), now=NOW).cautions == ()


@pytest.mark.parametrize(("days", "said"), [(31, False), (30, False), (29.9, True), (3, True), (0.5, True)])
def test_thirty_days_before_its_end_a_token_is_spoken_of(days, said):
    expiring = jwt(sub=7, exp=int(SECOND + days * 86_400))
    cautions = publish.connect(target(token=expiring), now=NOW).cautions
    assert bool(cautions) is said
    assert not said or ("expires on 2026-0" in cautions[0] and "make a new one" in cautions[0])


def test_no_representation_shows_the_token():
    connection = publish.connect(target(), now=NOW)
    assert GOOD not in repr(connection) and GOOD not in str(connection.options)
