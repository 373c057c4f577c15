"""The door to monitoring targets: whatever a target does, it ends in time, and with a document, with none, or with a reason."""

from __future__ import annotations

import gzip
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from orchestrator.clients.targets import LARGEST, Targets
from orchestrator.core.addresses import Rules
from orchestrator.core.refs import Json
from orchestrator.errors import TargetUnavailable

from tests.certificates import self_signed
from tests.doubles import FixedTargets

TIMEOUT = 0.6
DOCUMENT: Json = {"id": "x", "version": 1, "values": []}

Script = Callable[[socket.socket], object]


@dataclass
class TargetServer:
    """Plays one script on every connection; *requests* are the heads of what was asked, *closed* counts
    connections that the client has closed."""

    script: Script
    host: str = "127.0.0.1"
    requests: list[str] = field(default_factory=list)
    connections: int = 0
    closed: queue.SimpleQueue[bool] = field(default_factory=queue.SimpleQueue)

    def __enter__(self) -> TargetServer:
        self._listening = socket.create_server((self.host, 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/t?version=1"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while head := _head(connection):
                self.requests.append(head)
                self.script(connection)
        self.closed.put(True)


def _head(connection: socket.socket) -> str:
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(4096)
        if not part:
            return ""
        head += part
    return head.decode()


def answer(
    body: bytes | Json = DOCUMENT,
    status: int = 200,
    headers: Sequence[str] = (),
    *,
    length: bool = True,
) -> Callable[[socket.socket], None]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} X",
        *headers,
        *([f"Content-Length: {len(data)}"] if length else []),
    ]
    whole = "\r\n".join([*lines, "", ""]).encode() + data
    return lambda connection: connection.sendall(whole)


def for_ever(piece: bytes, before: bytes = b"", pause: float = 0.0) -> Script:
    """The same again and again, until the client closes the connection."""

    def send(connection: socket.socket) -> None:
        connection.sendall(before)
        while True:
            connection.sendall(piece)
            if pause:
                time.sleep(pause)  # the target's own rhythm

    return send


def silent(connection: socket.socket) -> None:
    connection.recv(1)


@pytest.fixture
def targets() -> Targets:
    return Targets(TIMEOUT)


# What it says --------------------------------------------------------------------------------------


def test_a_document_and_the_time_at_the_collector(targets: Targets) -> None:
    with TargetServer(answer(headers=["Date: Mon, 01 Jan 2024 12:00:30 GMT"])) as server:
        assert targets.get(server.url) == (DOCUMENT, datetime(2024, 1, 1, 12, 0, 30, tzinfo=UTC))
    assert server.requests[0].startswith("GET /t?version=1 HTTP/1.1\r\n")
    assert "Accept-Encoding: identity" in server.requests[0]


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "Mon, 20 Nov 1995 19:12:08 -0000",
        "Mon, 99 Jan 99999 99:99:99 +9999",
        "((((",
    ],
)
def test_a_collector_without_a_clock_is_taken_to_have_ours(targets: Targets, date: str) -> None:
    with TargetServer(answer(headers=[f"Date: {date}"])) as server:
        found = targets.get(server.url)
    assert found is not None and found[1].tzinfo is not None


@pytest.mark.parametrize("status", [404, 410])
def test_a_target_that_is_gone(targets: Targets, status: int) -> None:
    with TargetServer(answer(b"<html>no", status)) as server:
        assert targets.get(server.url) is None


def test_the_double_answers_as_the_door_does() -> None:
    double = FixedTargets({"http://a/": DOCUMENT, "http://b/": TargetUnavailable("no")})
    assert double.get("http://a/", 1.0) is not None and double.get("http://c/") is None
    with pytest.raises(TargetUnavailable):
        double.get("http://b/")


WRONG: dict[str, tuple[Script, str]] = {
    "500": (answer(status=500), "answers 500"),
    "204": (answer(b"", 204), "answers 204"),
    "a switch of protocols": (answer(b"", 101, length=False), "answers 101"),
    "not JSON": (answer(b"<html>"), "not JSON"),
    "nothing": (answer(b""), "not JSON"),
    "not UTF-8": (answer(b'"\xff\xfe"'), "not JSON"),
    "NaN": (answer(b"[NaN]"), "not JSON"),
    "a hundred thousand brackets": (answer(b"[" * 100_000), "nested too deeply"),
    "a number of ten thousand digits": (answer(b"1" * 10_000), "not JSON"),
    "more than it may be": (answer(b'"' + b"x" * LARGEST + b'"'), "more than 262,144 bytes"),
    "compressed": (
        answer(gzip.compress(b"0" * 10_000_000), headers=["Content-Encoding: gzip"]),
        "compressed",
    ),
    "a coding that nobody knows": (answer(headers=["Content-Encoding: x\x9b31m"]), "compressed"),
    "shorter than it says": (
        answer(b"[", headers=["Content-Length: 9", "Connection: close"], length=False),
        "did not answer",
    ),
    "a length that is none": (
        answer(b"[]", headers=["Content-Length: many", "Connection: close"], length=False),
        "did not answer",
    ),
    "no HTTP": (
        lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        "BadStatusLine",
    ),
    "an endless status line": (for_ever(b"x" * 1000), "does not answer: LineTooLong"),
    "endless headers": (
        for_ever(b"A: b\r\n" * 100, b"HTTP/1.1 200 OK\r\n"),
        "does not answer: HTTPException",
    ),
    "one endless header": (
        for_ever(b"x" * 1000, b"HTTP/1.1 200 OK\r\nA: "),
        "does not answer: LineTooLong",
    ),
    "continue without end": (for_ever(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), "sends more than"),
    "chunks without end": (
        for_ever(b"4\r\n    \r\n" * 100, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "more than",
    ),
    "chunks that are none": (
        for_ever(b"zz\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "does not answer",
    ),
    "trailers without end": (
        for_ever(
            b"A: b\r\n" * 100,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
        ),
        "sends more than",
    ),
    "a document without end": (
        for_ever(b" " * 10_000, b"HTTP/1.1 200 OK\r\n\r\n"),
        "more than 262,144 bytes",
    ),
    "a connection that is closed": (lambda connection: connection.close(), "does not answer"),
    "silence": (silent, "did not answer within"),
    "a byte of the status line now and then": (for_ever(b"H", pause=0.05), "did not answer within"),
    "a byte of a header now and then": (
        for_ever(b"x", b"HTTP/1.1 200 OK\r\nA: ", 0.05),
        "did not answer within",
    ),
    "a header now and then": (
        for_ever(b"A: b\r\n", b"HTTP/1.1 200 OK\r\n", 0.05),
        "did not answer within",
    ),
    "a byte of the document now and then": (
        for_ever(b" ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", 0.05),
        "did not",
    ),
    "a chunk now and then": (
        for_ever(b"1\r\n \r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0.05),
        "did not",
    ),
}


@pytest.mark.parametrize(("script", "why"), WRONG.values(), ids=WRONG)
def test_a_wrong_answer_is_told_in_time_and_the_connection_closed(
    targets: Targets, script: Script, why: str
) -> None:
    """Those that never end would go on for as long as somebody listens."""
    with TargetServer(script) as server:
        with pytest.raises(TargetUnavailable, match=why):
            targets.get(server.url)
        assert server.closed.get(timeout=10), "the socket is closed, so nothing of it is left"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_is_not_followed(targets: Targets, status: int) -> None:
    with (
        TargetServer(answer()) as other,
        TargetServer(answer(b"", status, [f"Location: {other.url}"])) as server,
    ):
        with pytest.raises(TargetUnavailable, match=f"answers {status}"):
            targets.get(server.url)
        assert other.connections == 0


def test_nobody_listens(targets: Targets) -> None:
    with TargetServer(answer()) as server:
        pass
    with pytest.raises(TargetUnavailable, match="does not answer: Connection refused"):
        targets.get(server.url)


def test_there_may_be_less_time_than_the_timeout() -> None:
    with TargetServer(silent) as server, pytest.raises(TargetUnavailable):
        Targets(3600).get(server.url, 0.1)


def test_sixteen_that_drip_leave_no_thread_behind(targets: Targets) -> None:
    with TargetServer(for_ever(b" ", b"HTTP/1.1 200 OK\r\n\r\n", 0.05)) as server:

        def ask() -> None:
            with suppress(TargetUnavailable):
                targets.get(server.url)

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)


# Connections ---------------------------------------------------------------------------------------


def test_a_connection_is_used_again(targets: Targets) -> None:
    with TargetServer(answer()) as server:
        for _ in range(5):
            targets.get(server.url)
        assert (server.connections, len(server.requests)) == (1, 5)


def test_a_connection_that_the_collector_closed_meanwhile_is_made_anew(targets: Targets) -> None:
    def once(connection: socket.socket) -> None:
        answer()(connection)
        connection.shutdown(socket.SHUT_RDWR)

    with TargetServer(once) as server:
        for _ in range(3):
            assert targets.get(server.url)
        assert server.connections == 3


def test_a_connection_is_kept_for_no_other_host(targets: Targets) -> None:
    with TargetServer(answer()) as one, TargetServer(answer({"other": 1})) as other:
        assert targets.get(one.url) != targets.get(other.url)


# Where it leads ------------------------------------------------------------------------------------


class FixedNames:
    """What a name server says, one answer after the other."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        return [(0, 0, 0, "", (address, port)) for address in self._answers.pop(0)]


def test_the_address_that_was_checked_is_the_one_that_is_asked() -> None:
    """A name that leads somewhere else when it is looked up again: it is not looked up again."""
    names = FixedNames(["127.0.0.1"], ["169.254.169.254"])
    with TargetServer(answer()) as server:
        targets = Targets(TIMEOUT, look_up=names)
        assert targets.get(f"http://rebinding.example:{server.port}/")
        assert names.asked == ["rebinding.example"]
        assert f"Host: rebinding.example:{server.port}" in server.requests[0]


@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        (["169.254.169.254"], "link-local"),
        (["::ffff:169.254.169.254"], "link-local"),
        ([], "no address"),
        (["0.0.0.0"], "unspecified"),
    ],
)
def test_a_name_that_leads_where_no_collector_is_is_refused(addresses: list[str], why: str) -> None:
    with pytest.raises(TargetUnavailable, match=f"may not be asked: .*{why}"):
        Targets(TIMEOUT, look_up=FixedNames(addresses)).get("http://metadata.example/")


def test_of_several_addresses_those_that_are_allowed_are_asked() -> None:
    with TargetServer(answer()) as server:
        names = FixedNames(["169.254.169.254", "127.0.0.1"])
        assert Targets(TIMEOUT, look_up=names).get(f"http://both.example:{server.port}/")


def test_an_address_that_answers_goes_before_one_that_does_not() -> None:
    """127.0.0.2 is ours as well, and nobody listens there."""
    with TargetServer(answer()) as server:
        names = FixedNames(["127.0.0.2", "127.0.0.1"])
        assert Targets(TIMEOUT, look_up=names).get(f"http://both.example:{server.port}/")


def test_only_what_is_listed_is_asked() -> None:
    with TargetServer(answer()) as server:
        with pytest.raises(TargetUnavailable, match="ORCHESTRATOR_MONITORING_ALLOW"):
            Targets(TIMEOUT, Rules.parse(["192.0.2.0/24"])).get(server.url)
        assert Targets(TIMEOUT, Rules.parse(["127.0.0.0/8"])).get(server.url)
        assert server.connections == 1


def test_a_name_server_that_does_not_answer_holds_nobody_for_longer_than_the_timeout() -> None:
    never = threading.Event()
    asked: list[str] = []

    def hang(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        never.wait(30)
        return []

    targets = Targets(0.1, look_up=hang)
    for number in range(40):
        with pytest.raises(TargetUnavailable, match=r"looked up|did not answer within"):
            targets.get(f"http://h{number}.example/")
    assert len(asked) <= 16, "no more threads than that are left with it"
    with TargetServer(answer()) as server:
        assert targets.get(server.url), "an address needs no name server"
    never.set()


def test_a_name_that_does_not_exist() -> None:
    def unknown(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(TargetUnavailable, match="leads nowhere: Name or service not known"):
        Targets(TIMEOUT, look_up=unknown).get("http://h.example/")


# Surroundings --------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with TargetServer(answer()) as proxy:
        monkeypatch.setenv("http_proxy", f"http://user:p%40ss@127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert Targets(TIMEOUT).get("http://collector.example/t")
        assert proxy.requests[0].startswith("GET http://collector.example:80/t HTTP/1.1\r\n")
        assert "Proxy-Authorization: Basic dXNlcjpwQHNz" in proxy.requests[0]
        with pytest.raises(TargetUnavailable, match="link-local"):
            Targets(TIMEOUT).get("http://169.254.169.254/")


def test_a_tunnel_through_a_proxy_that_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    with TargetServer(answer(b"", 407)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(TargetUnavailable, match=r"the proxy 127\.0\.0\.1:\d+ answers 407"):
            Targets(TIMEOUT).get("https://collector.example/t")
        assert proxy.requests[0].startswith("CONNECT collector.example:443 HTTP/1.1")


@contextmanager
def over_tls(folder: Path) -> Iterator[tuple[str, Path]]:
    """A collector that speaks TLS, and the certificate that it shows."""
    context, certificate = self_signed(folder, "127.0.0.1")
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):
            while True:
                raw, _ = listening.accept()
                with suppress(OSError), context.wrap_socket(raw, server_side=True) as connection:
                    while _head(connection):
                        answer()(connection)

    threading.Thread(target=accept, daemon=True).start()
    yield f"https://127.0.0.1:{listening.getsockname()[1]}/t", certificate
    listening.close()


def test_a_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with over_tls(tmp_path) as (url, certificate):
        with pytest.raises(TargetUnavailable, match="certificate is not trusted"):
            Targets(5.0).get(url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        targets = Targets(5.0)
        assert targets.get(url) and targets.get(url)


def test_a_handshake_that_never_ends_ends(targets: Targets) -> None:
    with (
        TargetServer(silent) as server,
        pytest.raises(TargetUnavailable, match="did not answer within"),
    ):
        targets.get(server.url.replace("http:", "https:"))
