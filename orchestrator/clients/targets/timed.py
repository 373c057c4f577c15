"""Sockets on which nothing lasts longer than a request's deadline, and that give so many bytes."""

from __future__ import annotations

import io
import socket
import time
from typing import Any, Protocol

from ...errors import TargetUnavailable

LARGEST = 256 * 1024
"""Bytes of a target's document that are read."""
LARGEST_HEAD = 128 * 1024
"""Bytes besides, of headers and of what frames the document."""


class Deadline:
    """A moment by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then.

        :raises TimeoutError: it has passed.
        """
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


class HasDeadline(Protocol):
    """Whoever makes one request after the other, each with its deadline."""

    deadline: Deadline


class Timed:
    """A socket as ``http.client`` uses one, on which nothing lasts longer than the request's
    deadline."""

    def __init__(self, wrapped: socket.socket, owner: HasDeadline) -> None:
        self._wrapped, self._owner = wrapped, owner

    def sendall(self, data: bytes) -> None:
        self._wrapped.settimeout(self._owner.deadline.left())
        self._wrapped.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._wrapped, self._owner))

    def close(self) -> None:
        self._wrapped.close()


class _Reader(io.RawIOBase):
    """What comes from a socket, up to so many bytes and until the deadline: one that sends a byte
    now and then, or headers without an end, is left."""

    def __init__(self, wrapped: socket.socket, owner: HasDeadline) -> None:
        # Python closes a socket when the last file made of it is closed.
        self._raw = wrapped.makefile("rb", buffering=0)
        self._wrapped, self._owner = wrapped, owner
        self._left = LARGEST + LARGEST_HEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._left <= 0:
            raise TargetUnavailable(
                f"the target sends more than {LARGEST + LARGEST_HEAD:,} bytes"
            )
        self._wrapped.settimeout(self._owner.deadline.left())
        count = self._raw.readinto(buffer)
        if count is None:
            return None
        self._left -= count
        return int(count)

    def close(self) -> None:
        self._raw.close()
        super().close()
