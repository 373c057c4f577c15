"""The door to schema lists, on servers that answer as API servers and Keystones do, and as others do."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from orchestrator.clients import catalogue, schema_list
from orchestrator.clients.schema_list import KEYSTONE, SchemaAccess
from orchestrator.errors import InvalidInput, SchemasDenied, TemporaryError

from tests.doubles import MemoryStore
from tests.gohan.server import Gohan, as_json
from tests.gohan.types import entry, own_entries
from tests.scripted.serving import LocalServer, QuietHandler

ENTRIES = [*own_entries(), entry("network", template_path="Cnetwork")]
CATALOGUE = catalogue.load()


def read(source: str, **access: Any) -> Any:
    return schema_list.source(SchemaAccess(source, **access), CATALOGUE).read()


@pytest.fixture
def gohan() -> Iterator[Gohan]:
    with Gohan(MemoryStore(), list(ENTRIES)) as server:
        yield server


def address(gohan: Gohan) -> str:
    return f"{gohan.url}/gohan/v0.1/schemas"


# With a token --------------------------------------------------------------------------------------


def test_the_token_goes_with_the_request_and_the_list_comes_back(gohan: Gohan) -> None:
    listed = read(address(gohan), token="admin_token")

    assert [kind.id for kind in listed.schemas() if kind.is_resource] == ["network"]
    assert listed.source == address(gohan)
    assert gohan.asked == ["admin_token"]


def test_a_token_from_a_file_is_read_for_every_request(gohan: Gohan, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    source = schema_list.source(SchemaAccess(address(gohan), token_file=str(file)), CATALOGUE)
    with pytest.raises(
        SchemasDenied, match=r"refuses the token of ORCHESTRATOR_SCHEMAS_TOKEN_FILE \(401\)"
    ):
        source.read()
    file.write_text("admin_token\n")

    assert source.read().digest

    file.unlink()
    with pytest.raises(InvalidInput, match="ORCHESTRATOR_SCHEMAS_TOKEN_FILE"):
        source.read()


def test_a_server_that_is_down_or_busy_is_asked_again_later(gohan: Gohan) -> None:
    gohan.odd = lambda: as_json(503, {})
    with pytest.raises(TemporaryError, match="answers 503"):
        read(address(gohan))
    gohan.stop()
    with pytest.raises(TemporaryError, match=r"does not answer: .*refused"):
        read(address(gohan))


def test_no_error_tells_a_password_of_the_address(gohan: Gohan) -> None:
    with_password = address(gohan).replace("http://", "http://reader:s3cret@") + "?token=s3cret"
    gohan.odd = lambda: (200, {}, b"<html>")
    with pytest.raises(InvalidInput, match="a page") as odd:
        read(with_password)
    gohan.stop()
    with pytest.raises(TemporaryError, match="does not answer") as down:
        read(with_password)

    assert "s3cret" not in str(odd.value) + str(down.value)


def test_titles_and_order_make_no_other_list_and_a_template_does(gohan: Gohan) -> None:
    before = read(address(gohan), token="admin_token")
    gohan.entries = [
        {**listed, "title": "New", "description": "New"} for listed in reversed(ENTRIES)
    ]
    same = read(address(gohan), token="admin_token")
    gohan.entries[0] = entry("network", template_path="Cother")
    other = read(address(gohan), token="admin_token")

    assert before.digest == same.digest != other.digest


# With TLS ------------------------------------------------------------------------------------------


def test_the_certificate_is_verified_against_the_ca_that_is_named(tmp_path: Path) -> None:
    ca, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(ca)], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    with serving(lambda handler: answer(handler, 200, {"schemas": ENTRIES}), context) as port:
        url = f"https://127.0.0.1:{port}/gohan/v0.1/schemas"
        assert read(url, ca=str(ca)).entries
        with pytest.raises(InvalidInput, match="name its CA in ORCHESTRATOR_SCHEMAS_CA"):
            read(url)


# With Keystone -------------------------------------------------------------------------------------


@dataclass
class FakeKeystone:
    """As much of a Keystone as a login with a password needs. Every login makes another token."""

    password: str = "right"
    tokens: list[str] = field(default_factory=list)

    def __call__(self, handler: QuietHandler) -> None:
        server: Any = handler.server
        port = server.server_address[1]
        if handler.command == "GET":
            version = {
                "id": "v3.14",
                "status": "stable",
                "links": [{"rel": "self", "href": f"http://127.0.0.1:{port}/v3"}],
            }
            answer(handler, 200, {"version": version})
            return
        asked = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        if asked["auth"]["identity"]["password"]["user"]["password"] != self.password:
            answer(
                handler,
                401,
                {
                    "error": {
                        "code": 401,
                        "message": "The request you have made requires authentication.",
                    }
                },
            )
            return
        self.tokens.append(f"token-{len(self.tokens)}")
        token = {
            "expires_at": "2999-01-01T00:00:00.000000Z",
            "issued_at": "2020-01-01T00:00:00.000000Z",
            "methods": ["password"],
        }
        answer(
            handler, 201, {"token": {**token, "catalog": []}}, {"X-Subject-Token": self.tokens[-1]}
        )


@pytest.fixture
def keystone(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKeystone]:
    """One that the ``OS_*`` variables of this process lead to."""
    server = FakeKeystone()
    with serving(server) as port:
        credentials = {"USERNAME": "reader", "PASSWORD": "right", "PROJECT_NAME": "admin"}
        domains = {"USER_DOMAIN_NAME": "Default", "PROJECT_DOMAIN_NAME": "Default"}
        for name, value in {
            "AUTH_URL": f"http://127.0.0.1:{port}/v3",
            **credentials,
            **domains,
        }.items():
            monkeypatch.setenv(f"OS_{name}", value)
        yield server


def test_keystone_makes_the_token_and_a_new_one_when_the_server_refuses_it(
    gohan: Gohan, keystone: FakeKeystone
) -> None:
    gohan.tokens = {"token-0": None}
    source = schema_list.source(SchemaAccess(address(gohan), authentication=KEYSTONE), CATALOGUE)
    assert source.read().entries
    assert source.read().entries
    gohan.tokens = {"token-1": None}
    assert source.read().entries

    assert gohan.asked == ["token-0", "token-0", "token-0", "token-1"]


def test_what_keystone_refuses_and_what_the_server_refuses_are_told_apart(
    gohan: Gohan, keystone: FakeKeystone
) -> None:
    source = SchemaAccess(address(gohan), authentication=KEYSTONE)
    with pytest.raises(
        SchemasDenied, match=r"does not let the user of the OS_\* variables read the list \(401\)"
    ):
        schema_list.source(source, CATALOGUE).read()
    keystone.password = "another"
    with pytest.raises(
        SchemasDenied, match=r"the OS_\* variables: Keystone refuses the credentials"
    ):
        schema_list.source(source, CATALOGUE).read()


def test_a_cloud_that_is_not_there_is_told_by_name(
    gohan: Gohan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    access = SchemaAccess(address(gohan), authentication=KEYSTONE, cloud="nowhere")
    with pytest.raises(InvalidInput, match="ORCHESTRATOR_SCHEMAS_OS_CLOUD nowhere"):
        schema_list.source(access, CATALOGUE).read()


# Servers -------------------------------------------------------------------------------------------


@contextmanager
def serving(
    handle: Callable[[QuietHandler], None], tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """A server on a free port, whose every request *handle* answers."""

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:  # noqa: N802
            handle(self)

        def do_POST(self) -> None:  # noqa: N802
            handle(self)

    server = LocalServer(Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with server:
        yield server.port


def answer(
    handler: QuietHandler,
    status: int,
    document: Any,
    headers: dict[str, str] | None = None,
) -> None:
    handler.send_document((status, document, headers or {}))
