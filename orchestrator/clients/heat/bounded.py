"""Connections on which every read is given what is left of the request's time."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_LARGEST = 64 * 1024 * 1024
"""Bytes of one answer. A page of 1,000 stacks is about one megabyte."""


class RequestLimits(threading.local):
    """What the request of each thread has to keep to: *until* by the monotonic clock."""

    until: float = float("inf")
    silence: float = 60.0
    check: Callable[[], None] | None = None

    @property
    def left(self) -> float:
        return self.until - time.monotonic()

    @property
    def next_read(self) -> float:
        """Seconds for the next part of the answer.

        :raises TimeoutError: the time is over.
        """
        left = self.left
        if left <= 0:
            raise TimeoutError("no complete answer in time")
        return min(left, self.silence)


limits = RequestLimits()


class _BoundedReads(io.RawIOBase):
    """The bytes of one answer: every read is given what is left of the request's time."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(limits.next_read)
        count = self._raw.readinto(buffer)
        self._count += count or 0
        if self._count > _LARGEST:
            raise OSError(f"the answer is longer than {_LARGEST} bytes")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """The standard library's response, reading through :class:`_BoundedReads`."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReads(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _BoundedResponse

    def connect(self) -> None:
        super().connect()
        _give_time(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _give_time(self.sock)
        super().request(*args, **kwargs)


class _SecureConnection(HTTPSConnection):
    response_class = _BoundedResponse

    def connect(self) -> None:
        super().connect()
        _give_time(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _give_time(self.sock)
        super().request(*args, **kwargs)


def _give_time(sock: socket.socket | None) -> None:
    """For what is sent now: the time-out is still that of connecting, or of the last read on the
    connection."""
    if sock is not None:
        sock.settimeout(limits.next_read)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class BoundedAdapter(HTTPAdapter):
    """Makes connections that end in time, directly or through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _Pool,
            "https": _SecurePool,
        }

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager
