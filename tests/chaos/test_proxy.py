"""The proxy does to a connection what its mode says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from .proxy import Link, Loop, Mode


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that answers what it was told; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1024):
                    connection.sendall(data)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


@pytest.fixture
def link(echo: int) -> Iterator[Link]:
    loop = Loop()
    yield Link(loop, "test", echo)
    loop.close()


def ask(link: Link, timeout: float = 3.0) -> bytes:
    with socket.create_connection(("127.0.0.1", link.port), timeout) as connection:
        connection.sendall(b"hello")
        return connection.recv(1024)


def test_open_passes_everything(link: Link) -> None:
    assert ask(link) == b"hello"


def test_cut_resets_what_is_there_and_what_comes(link: Link) -> None:
    with socket.create_connection(("127.0.0.1", link.port), 3) as connection:
        connection.sendall(b"hello")
        assert connection.recv(1024) == b"hello"
        link.set(Mode.CUT)
        with pytest.raises(ConnectionResetError):
            connection.recv(1024)
    with pytest.raises(OSError):
        ask(link)


def test_hold_passes_what_was_held_once_it_ends(link: Link) -> None:
    link.set(Mode.HOLD)
    with socket.create_connection(("127.0.0.1", link.port), 3) as connection:
        connection.sendall(b"hello")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1024)
        link.set(Mode.OPEN)
        connection.settimeout(3)
        assert connection.recv(1024) == b"hello"


def test_delay_is_late(link: Link) -> None:
    link.set(Mode.DELAY, 0.2)
    started = time.monotonic()
    assert ask(link) == b"hello"
    assert time.monotonic() - started >= 0.4


def test_deaf_loses_the_answer(link: Link) -> None:
    link.set(Mode.DEAF)
    with pytest.raises(ConnectionResetError):
        ask(link)
    assert link.lost_answers == 1
