"""Redaction: what is hidden stays hidden, what is harmless stays readable, and 100 kB lines stay quick."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import unicodedata
import xml.etree.ElementTree as ET
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import HOSTILE

from qalita_action import redact

anything = st.text(st.characters(codec=None, categories=None), max_size=300)
quick = settings(deadline=None, max_examples=150)

TOKENS = [
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "11ABCDEFG0" * 4,
    "glpat-" + "xYz123-_" * 3,
    "AKIA" + "ABCDEFGH12345678",
    "xoxb-" + "123456789012-abcdefABCDEF",
    "sk-" + "proj-abc123DEF456ghi789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1g",
    "dbtc_" + "aBcD1234efGH5678ij",
]
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabcdef+/==\n-----END RSA PRIVATE KEY-----"


def controls(text: str) -> list[str]:
    return [
        c
        for c in text
        if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}
        or c in "\u200b\u200e\u200f\u202a\u202e\u2066\u2069\ufeff\u2060"
    ]


# ---------------------------------------------------------------- Secret


def test_a_secret_is_shown_by_nothing():
    secret = redact.Secret("hunter2-hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "hunter2-hunter2"
    assert secret == redact.Secret("hunter2-hunter2") != "hunter2-hunter2"
    assert not redact.Secret("")
    for leak in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(secret)


# ---------------------------------------------------------------- clean


@quick
@given(anything, st.none() | st.integers(0, 120))
def test_a_clean_line_is_one_line_without_controls_and_stays_so(text, limit):
    line = redact.clean_line(text, limit)
    assert controls(line) == []
    assert limit is None or len(line) <= limit
    assert redact.clean_line(line, limit) == line
    line.encode("utf-8")


@quick
@given(anything, st.none() | st.integers(0, 120))
def test_clean_text_keeps_line_feeds_alone(text, limit):
    clean = redact.clean_text(text, limit)
    assert controls(clean.replace("\n", "")) == []
    assert limit is None or len(clean) <= limit
    assert redact.clean_text(clean, limit) == clean


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("plain name_1", "plain name_1"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil.example.com\x07link\x1b]8;;\x07", "link"),
        ("\x1b\x1b[0m[31m", "[31m"),
        ("a\r\nb\rc\td", "a b c d"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("x\u200b\u200d\ufeffy", "xy"),
        ("\ud800", "\ufffd"),
        ("café 日本 😀", "café 日本 😀"),
    ],
)
def test_known_dirt(dirty, clean):
    assert redact.clean_line(dirty) == clean


def test_what_is_cut_says_so():
    assert redact.clean_line("abcdefgh", 5) == "abcd…"
    assert redact.clean_line("abcde", 5) == "abcde"
    assert redact.clean_text("a\r\nb\tc\rd") == "a\nb    c\nd"


# ---------------------------------------------------------------- mask


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("around", ["{}", "a {} b", "key={}&x=1", '"{}"', "({})", "prefix/{}"])
def test_known_tokens_are_masked_anywhere(token, around):
    masked = redact.mask_tokens(around.format(token))
    assert "***" in masked
    assert not any(token[at : at + 12] in masked for at in range(len(token) - 12))
    assert redact.mask_tokens(masked) == masked


def test_a_private_key_is_masked_whole_even_when_it_never_ends():
    assert redact.mask_tokens(f"a {KEY} b") == "a *** b"
    assert redact.mask_tokens("a " + KEY[:60]) == "a ***"
    assert "MIIE" not in redact.mask_tokens(redact.clean_line(KEY))


def test_a_password_in_a_url_inside_a_text_is_masked():
    assert (
        redact.mask_tokens("clone https://x:s3cret@git.example.com/a")
        == "clone https://***@git.example.com/a"
    )


@pytest.mark.parametrize(
    "innocent",
    [
        "not_null_risk-adjusted-returns-by-region_id",
        "models/task-list/very_long_name_of_a_model_in_a_folder.sql",
        "accepted_values_orders_status__placed__shipped",
        "https://github.com/acme/opendata/actions/runs/123/job/456",
        "source.opendata_dbt.raw.shipments.a_long_table_name",
        "1.25.3.4.5.6.7.8.9.10.11.12.13",
    ],
)
def test_names_of_everyday_life_are_left_alone(innocent):
    assert redact.mask_tokens(innocent) == innocent


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://user:pw@example.com/a?x=1", "https://***@example.com/a?x=1"),
        ("https://token@example.com", "https://***@example.com"),
        ("https://user:p/a@ss@example.com/r", "https://***@example.com/r"),
        ("https://example.com:8080/a@b", "https://example.com:8080/a@b"),
        ("https://[::1]:8080/a@b", "https://[::1]:8080/a@b"),
        ("https://[::1]/a@b", "https://[::1]/a@b"),
        (
            "https://example.com/?access_token=abc&x=1&sig=q",
            "https://example.com/?access_token=***&x=1&sig=***",
        ),
        ("https://example.com/#id_token=abc", "https://example.com/#id_token=***"),
        ("https://example.com/?q=orders", "https://example.com/?q=orders"),
        ("git@example.com:acme/x.git", "git@example.com:acme/x.git"),
        ("", ""),
    ],
)
def test_mask_url(url, masked):
    assert redact.mask_url(url) == masked
    assert redact.mask_url(masked) == masked


# ---------------------------------------------------------------- scrub


@quick
@given(
    anything,
    st.lists(st.text(st.characters(codec=None, categories=None), min_size=4, max_size=40), max_size=4),
    anything,
)
def test_no_secret_survives(before, secrets, after):
    out = redact.scrub(before + after.join(secrets) + after, secrets)
    assert not [s for s in secrets if s in out]


@quick
@given(st.binary(max_size=5), st.text(min_size=6, max_size=40), st.binary(max_size=5))
def test_no_encoded_secret_survives(before, secret, after):
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(before + secret.encode() + after).decode()
        assert "***" in redact.scrub(f"Authorization: Basic {encoded}", [secret])
    for form in (
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
    ):
        out = redact.scrub(f"<{form}>", [secret])
        assert form not in out
        assert "***" in out


def test_each_line_of_a_secret_is_a_secret():
    out = redact.scrub("log: MIIEowIBAAKCAQEA and abcdef+/==", [KEY])
    assert out == "log: *** and ***"


def test_short_secrets_do_not_eat_the_text():
    assert redact.scrub("a bc def", ["a", "", "bc", "def"]) == "a bc def"
    assert redact.scrub("nothing", []) == "nothing"


# ---------------------------------------------------------------- dialects

NET_WHITE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


def runner_sees(log: str) -> list[str]:
    """What actions/runner would take for a command, written after its rules: `::` after white space, `##[` anywhere."""
    lines = log.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line for line in lines if line.lstrip(NET_WHITE).startswith("::") or "##[" in line]


@quick
@given(anything | st.text(":#[] \u00a0\u2003\r\nverto\u200b", max_size=40) | st.sampled_from(HOSTILE))
def test_nothing_printed_starts_a_command(text):
    for line in (redact.for_console(text), redact.for_console(f"\u2003::{text}")):
        assert runner_sees(line) == []
        assert "##vso[" not in line
        assert "##teamcity[" not in line
        assert "\n" not in line
    assert runner_sees(redact.defuse("\x1b[31m  ::error::x").replace("\x1b[31m", "")) == []


def decoded(value: str) -> str:
    return (
        value.replace("%3A", ":")
        .replace("%2C", ",")
        .replace("%0A", "\n")
        .replace("%0D", "\r")
        .replace("%25", "%")
    )


@quick
@given(anything | st.sampled_from(HOSTILE))
def test_workflow_commands_are_escaped_as_the_runner_reads_them(text):
    data, value = redact.for_workflow_command(text), redact.for_workflow_command(text, is_property=True)
    assert "\n" not in data + value
    assert ":" not in value
    assert "," not in value
    assert (
        decoded(data) == decoded(value) == redact.clean_text(text).replace("##[", "#\u200b#[") or "##" in text
    )


def test_percent_signs_are_escaped_first():
    assert redact.for_workflow_command("100%0A::error::a,b:c") == "100%250A::error::a,b:c"
    assert redact.for_workflow_command("a,b:c", is_property=True) == "a%2Cb%3Ac"


@quick
@given(anything | st.sampled_from(HOSTILE))
def test_xml_is_well_formed_and_says_the_same(text):
    root = ET.fromstring(f'<a b="{redact.for_xml(redact.clean_line(text))}">{redact.for_xml(text)}</a>')
    assert (root.text or "") == redact.clean_text(text)
    assert root.get("b") == redact.clean_line(text)


NASTY = [
    "eyJ",
    "eyJ.",
    "ghp_",
    "sk-",
    "sk-a",
    "##",
    "::",
    "\x1b[",
    "\x1b]",
    "\x9b0",
    "\x1bP",
    "://a:",
    "?token",
    "?a=",
    "-----BEGIN ",
    "-----BEGIN A PRIVATE KEY-----",
    "bearer ",
    "xoxb-",
    "a.",
    "@",
    " ",
    "\u200b",
    "\r",
    "é",
    "glpat-",
    "AKIA",
]


@pytest.mark.parametrize("piece", NASTY)
def test_100_kb_lines_of_one_nasty_piece_finish(piece):
    text = piece * (100_000 // len(piece))
    for function in (
        redact.clean_line,
        redact.clean_text,
        redact.mask_tokens,
        redact.mask_url,
        redact.for_console,
        redact.for_workflow_command,
        redact.for_markdown,
        redact.markdown_code,
        redact.for_html,
        redact.for_xml,
    ):
        function(text)
    assert "verysecret" not in redact.scrub(text + "verysecret", ["verysecret", "another secret\nwith lines"])
