"""TLS and proxies: what lies between a worker and Heat."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from orchestrator.clients.heat import Heat
from orchestrator.core.refs import StackName
from orchestrator.core.rendering import StackRequest
from orchestrator.errors import HeatUnavailable

from tests.certificates import certificate
from tests.scripted import odd_answers
from tests.scripted.heat import ScriptedHeat

REQUEST = StackRequest(StackName("network_n1"), "t1", "heat_template_version: 2018-08-31\n", {}, 5)
TAG = "orchestrator-1-aaaaa"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials and no proxies, but for those of the test."""
    for name in list(os.environ):
        if name.startswith("OS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OS_AUTH_TYPE", "none")


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[ScriptedHeat]:
    """A Heat behind TLS; the certificate of its CA is ``ca.pem`` in the test's folder."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    key = certificate(tmp_path, "ca", None)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    certificate(tmp_path, "server", (issuer, key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    heat = ScriptedHeat()
    heat._server.socket = context.wrap_socket(heat._server.socket, server_side=True)
    with heat:
        yield heat


def test_a_certificate_that_nobody_vouches_for_says_what_to_set(
    secure: ScriptedHeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_ENDPOINT", f"https://127.0.0.1:{secure.port}/v1")

    with pytest.raises(
        HeatUnavailable, match=r"no TLS connection to https://127\.0\.0\.1.*OS_CACERT"
    ):
        Heat(timeout=5).create(REQUEST, TAG)


def test_with_its_ca_a_heat_behind_tls_is_heard_and_its_answers_end_in_time(
    secure: ScriptedHeat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OS_ENDPOINT", f"https://127.0.0.1:{secure.port}/v1")
    monkeypatch.setenv("OS_CACERT", str(tmp_path / "ca.pem"))
    door = Heat(timeout=5)
    door.create(REQUEST, TAG)
    secure.odd = lambda method, tenant, name: odd_answers.DRIPPING
    started = time.monotonic()

    with door.within(0.5), pytest.raises(HeatUnavailable, match="does not answer"):
        list(door.in_progress("t1"))

    assert time.monotonic() - started < 10  # the answer would take 1,000 s
    assert [taken.stack for taken in secure.requests] == ["network_n1"]


def test_a_proxy_is_used_and_its_answers_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted Heat stands for the proxy: it looks at the path of the address only."""
    with ScriptedHeat() as proxy:
        monkeypatch.setenv("OS_ENDPOINT", "http://heat.invalid:8004/v1")
        monkeypatch.setenv("http_proxy", proxy.url)
        door = Heat(timeout=5)
        door.create(REQUEST, TAG)
        proxy.odd = lambda method, tenant, name: odd_answers.DRIPPING
        started = time.monotonic()

        with door.within(0.5), pytest.raises(HeatUnavailable, match="does not answer"):
            list(door.in_progress("t1"))

    assert time.monotonic() - started < 10
    assert [taken.stack for taken in proxy.requests] == ["network_n1"]


def test_a_proxy_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_ENDPOINT", "http://heat.invalid:8004/v1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    with pytest.raises(
        HeatUnavailable, match=r"proxy before http://heat\.invalid:8004.*http_proxy"
    ):
        Heat(timeout=5).create(REQUEST, TAG)
