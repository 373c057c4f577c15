"""No secret leaves by accident."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from orchestrator.core.masking import (
    LONGEST_TEXT,
    MOST_SECRETS,
    SHORTEST,
    Veil,
    is_secret,
    masked,
    secrets,
    without,
)
from orchestrator.core.refs import Json
from oslo_utils import strutils

NAMES = [
    "password",
    "adminPassword",
    "ADMIN_PASSWORD",
    "client_secret",
    "auth_token",
    "credentials",
    "key",
    "private_key",
]
NAMES += [
    "admin_pass",
    "adminPass",
    "admin-pass",
    "user.pass",
    "pass",
    "psk",
    "ike_psk",
    "PSK",
    "passphrase",
    "passwd",
    "pwd",
]
NAMES += [
    "userPwd",
    "api-key",
    "apiKey",
    "API Key",
    "pass_word",
    "snmp_passphrase",
    "Authorization",
    "bearer_jwt",
    "Set-Cookie",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret(name)


OTHERS = [
    "name",
    "output_key",
    "key_name",
    "ssh_key_name",
    "keyName",
    "id",
    "version",
    "bypass",
    "pass_through",
    "compass",
]
OTHERS += ["passive", "description", "network_id", "tasks", "mtu", "", "---", "cidr", "upwards"]


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_are_shown(name: str) -> None:
    assert not is_secret(name)


def test_every_name_that_openstack_masks_in_its_own_logs_is_secret() -> None:
    names = set(vars(strutils)["_SANITIZE_KEYS"])
    identifiers = {"cephclusterfsid", "swifthashsuffix"}

    assert len(names) > 20
    assert {name for name in names if not is_secret(name)} == identifiers


DOCUMENT: Json = {
    "name": "x",
    "password": "hunter2",
    "empty": {"password": "", "token": None},
    "nested": [{"api_key": {"a": "deep1", "b": ["deep2", 12345, True]}}, "plain"],
}


def test_secrets_are_masked_at_any_depth_and_nothing_else_is() -> None:
    assert masked(DOCUMENT) == {
        "name": "x",
        "password": "***",
        "empty": {"password": "", "token": None},
        "nested": [{"api_key": "***"}, "plain"],
    }
    assert DOCUMENT["password"] == "hunter2"


def test_every_secret_text_and_number_is_found() -> None:
    assert sorted(secrets(DOCUMENT)) == ["", "12345", "deep1", "deep2", "hunter2"]


PAIRS: list[Json] = [
    {"output_key": "admin_password", "output_value": "hunter2"},
    {"param": "password", "value": "hunter2", "resources": []},
    {"name": "admin_pass", "value": "hunter2"},
    {"key": "psk", "value": "hunter2"},
]


@pytest.mark.parametrize(
    "record", PAIRS, ids=["stack output", "job parameter", "named setting", "keyed setting"]
)
def test_a_name_beside_its_value_counts_too(record: dict[str, Json]) -> None:
    assert "hunter2" not in str(masked(record))
    assert "hunter2" in list(secrets(record))


def test_a_document_inside_a_text_counts_too() -> None:
    settings_text = json.dumps({"user": "ann", "password": "hunter2"})
    record = {"config": settings_text}

    assert "hunter2" in list(secrets(record))
    assert "hunter2" not in str(masked(record)) and "ann" in str(masked(record))


@pytest.mark.parametrize(
    ("text", "hidden", "told"),
    [
        pytest.param("bad value hunter2.", ["hunter2"], "bad value ***.", id="anywhere"),
        pytest.param("hunter22", ["hunter2", "hunter22"], "***", id="the longer one first"),
        pytest.param("xabcdefx", ["abcd", "cdef"], "x***x", id="two that overlap"),
        pytest.param("port 1", ["1"], "port 1", id="too short to search for"),
        pytest.param("a.b axb", ["a.b "], "***axb", id="not as a pattern"),
        pytest.param("text", [], "text", id="nothing to hide"),
        pytest.param("network net-1", ["network"], "*** net-1", id="an ordinary word"),
        pytest.param("pad hunter2 pad", ["  hunter2\n"], "pad *** pad", id="trimmed"),
        pytest.param(
            "got: BEGIN...",
            ["BEGIN-RSA-KEY-aaaa"],
            "got: BEGIN...",
            id="a beginning too short to tell",
        ),
        pytest.param(
            "got 'BEGIN-RSA-K...'",
            ["BEGIN-RSA-KEY-aaaa"],
            "got '***...'",
            id="a beginning where the text is cut off",
        ),
        pytest.param(
            "Heat: 'BEGIN-RSA… (cut: 9,000 characters); fix",
            ["BEGIN-RSA-KEY-a"],
            "Heat: '***… (cut: 9,000 characters); fix",
            id="cut off within",
        ),
        pytest.param(
            "line two of it", ["first line\nline two of it\nthird"], "***", id="one line of several"
        ),
    ],
)
def test_a_text_is_told_without_the_secrets(text: str, hidden: list[str], told: str) -> None:
    assert without(text, hidden) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("password='abc'", "password='***'"),
        ('{"adminPass": "a\\"b", "name": "x"}', '{"adminPass": "***", "name": "x"}'),
        ("{'psk': u'abc', 'mtu': '1500'}", "{'psk': u'***', 'mtu': '1500'}"),
        ("GET /t?token=abc&x=1", "GET /t?token=***&x=1"),
        ("key_name='mine'", "key_name='mine'"),
        (
            "resources.r.properties.admin_pass: Value must be a string",
            "resources.r.properties.admin_pass: Value must be a string",
        ),
    ],
)
def test_a_value_behind_a_secret_name_is_hidden_though_nobody_knows_it(
    text: str, told: str
) -> None:
    assert Veil().over(text) == told


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"a": text})),
    "repr": repr,
    "repr of repr": lambda text: repr(repr(text)),
    "repr of bytes": lambda text: repr(text.encode()),
    "ascii": ascii,
    "unicode escape": lambda text: text.encode("unicode_escape").decode(),
    "URL": quote,
    "URL, all of it": lambda text: quote(text, safe=""),
    "URL, small hexadecimal digits": lambda text: "".join(
        part if len(part) == 1 else part.lower()
        for part in (quote(letter, safe="") for letter in text)
    ),
    "form": quote_plus,
    "JSON in a URL": lambda text: quote(json.dumps(text)),
    "HTML": html.escape,
    "HTML, without quotes": lambda text: html.escape(text, quote=False),
    "JSON in HTML": lambda text: html.escape(json.dumps(text)),
    "YAML, single quotes": lambda text: text.replace("'", "''"),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64, in the middle": lambda text: base64.b64encode(
        b"user:" + text.encode() + b":x"
    ).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "wrapped": lambda text: text.replace(" ", "\n   "),
}

SECRETS = st.text(st.characters(codec="utf-8"), min_size=8, max_size=40).filter(
    lambda text: len(text.strip()) >= 8
)


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@settings(max_examples=40, deadline=None)
@given(
    secret=SECRETS, before=st.text("ab <>{}:", max_size=10), after=st.text("ab <>{}:", max_size=10)
)
def test_no_secret_survives_in_any_spelling(
    spelling: Callable[[str], str], secret: str, before: str, after: str
) -> None:
    spelled = spelling(secret)
    told = Veil([secret]).over(f"{before}{spelled}{after}")

    core = secret.strip()
    assume(core not in before + "***" + after)
    assert core not in told
    assert "***" in told
    # Of what was spelled no more is left than what stands around it: quotes, or the ends of a group of base64.
    assert len(told) <= len(before) + len(after) + 30


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text("abcd", min_size=SHORTEST, max_size=8), min_size=1, max_size=4),
    st.text("abcd ", max_size=80),
)
def test_no_secret_of_several_survives(hidden: list[str], text: str) -> None:
    told = Veil(hidden).over(text)

    assert not any(secret in told for secret in hidden)


@given(st.text("abcdef ", max_size=40))
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert Veil(["XYZ-unheard-of"]).over(text) == text


def test_a_long_text_is_cut_and_no_piece_of_a_secret_is_left_at_its_end() -> None:
    secret = "s3cr3t-" * 10
    told = Veil([secret]).over("x" * (LONGEST_TEXT - 100) + secret * 100)

    assert "s3cr3t" not in told
    assert told.endswith(f"***… (cut: {LONGEST_TEXT - 100 + 7000:,} characters)")


def test_with_too_many_secrets_the_text_is_withheld() -> None:
    assert "hunter" not in Veil(f"hunter-{number}" for number in range(MOST_SECRETS + 1)).over(
        "hunter-7 is here"
    )


def test_every_text_and_number_of_a_document_is_told_without_secrets() -> None:
    document: Any = {"a": ["x hunter2", 123456, True], "b": {"c": None}}

    assert Veil(["hunter2", "123456", "True"]).over_all(document) == {
        "a": ["x ***", "***", True],
        "b": {"c": None},
    }
