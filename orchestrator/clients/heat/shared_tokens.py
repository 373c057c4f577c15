"""Tokens that all processes of a worker share: Keystone is asked once, and not by each of them.

They lie in memory that the main process makes before it forks and that has no name: no other
program can open it, nothing is left on a disk, and it ends with the last process. Every process
reads and writes it under a lock of the kernel, which also ends with the process that holds it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Protocol

from ...errors import HeatUnavailable
from .token import Token

_POLL = 0.02
"""Seconds between two tries to get a lock that another process holds."""
_ALONE = 1 << 40
"""From this byte on, each byte is a lock: far behind all that is ever stored."""


class SharedTokens(Protocol):
    """Tokens by a key, for several processes. The clock of all of them is the machine's monotonic
    one."""

    def find(self, key: str, now: float) -> Token | None:
        """A token that is still fresh."""

    def keep(self, key: str, token: Token, now: float) -> None:
        """Give a new token to all processes."""

    def drop(self, key: str, token: Token) -> None:
        """Forget this very token; another process may have fetched a new one by now."""

    def alone(self, key: str, seconds: float) -> Any:
        """A block that one process at a time enters for a key.

        :param seconds: how long to wait for another process.
        :raises HeatUnavailable: the other has not left the block by then.
        """


class NotShared:
    """Each process has its own."""

    def find(self, key: str, now: float) -> Token | None:
        return None

    def keep(self, key: str, token: Token, now: float) -> None:
        """Nobody else is there."""

    def drop(self, key: str, token: Token) -> None:
        """Nothing is kept."""

    @contextmanager
    def alone(self, key: str, seconds: float) -> Iterator[None]:
        yield


NOT_SHARED = NotShared()


class TokensInMemory:
    """A file in memory that has no name and that a fork hands on."""

    def __init__(self) -> None:
        self._file: IO[bytes] = os.fdopen(
            os.memfd_create("tokens"), "r+b", buffering=0
        )
        self._thread = threading.Lock()

    def find(self, key: str, now: float) -> Token | None:
        with self._locked():
            found = self._read().get(key)
        if found is None or now >= found["renew"]:
            return None
        return Token(**found)

    def keep(self, key: str, token: Token, now: float) -> None:
        with self._locked():
            fresh = {
                name: kept
                for name, kept in self._read().items()
                if now < kept["renew"]
            }
            self._write({**fresh, key: _document(token)})

    def drop(self, key: str, token: Token) -> None:
        with self._locked():
            kept = self._read()
            if kept.get(key, {}).get("headers") == dict(token.headers):
                del kept[key]
                self._write(kept)

    @contextmanager
    def alone(self, key: str, seconds: float) -> Iterator[None]:
        byte = _ALONE + int(hashlib.sha256(key.encode()).hexdigest()[:8], 16)
        until = time.monotonic() + seconds
        while not self._try(byte):
            if time.monotonic() >= until:
                raise HeatUnavailable(
                    "Keystone has not answered another process of this worker yet"
                )
            time.sleep(_POLL)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)

    def _try(self, byte: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError:
            return False
        return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The kernel's lock is the process's: its threads need one among themselves.
        with self._thread:
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, 0)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, 0)

    def _read(self) -> dict[str, Any]:
        # The processes share the place at which a file is read, so each read names its own.
        number = self._file.fileno()
        data = os.pread(number, os.fstat(number).st_size, 0)
        try:
            return dict(json.loads(data))
        except ValueError:  # nothing yet, or its writer was killed
            return {}

    def _write(self, kept: dict[str, Any]) -> None:
        data = json.dumps(kept).encode()
        os.ftruncate(self._file.fileno(), 0)
        os.pwrite(self._file.fileno(), data, 0)


def for_processes() -> SharedTokens:
    """For a process that is going to fork; each process has its own tokens where the system has no
    memory without a name (Linux has it)."""
    if hasattr(os, "memfd_create"):
        return TokensInMemory()
    return NOT_SHARED


def _document(token: Token) -> dict[str, Any]:
    return {
        "headers": dict(token.headers),
        "project": token.project,
        "catalog": token.catalog,
        "made": token.made,
        "renew": token.renew,
    }
