"""The addresses of a name, looked up without waiting for longer than there is time."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, TypeAlias

from ...core.addresses import Address
from ...errors import TargetUnavailable
from .timed import Deadline

LookUp: TypeAlias = Callable[..., Sequence[tuple[Any, ...]]]
"""As ``socket.getaddrinfo``."""
Answers: TypeAlias = "queue.SimpleQueue[list[Address] | OSError]"
LOOKUPS = 16
"""Names that are looked up at the same time.
A lookup cannot be broken off, so it may outlast its request."""


class Names:
    """Looks up names, without waiting for longer than there is time.

    A lookup cannot be broken off, so each has a thread of its own that may outlast the request.
    There are at most so many: names that no server answers for take nobody else's.
    """

    def __init__(self, look_up: LookUp, at_once: int) -> None:
        self._getaddrinfo = look_up
        self._free = threading.BoundedSemaphore(at_once)

    def addresses(
        self, host: str, port: int, deadline: Deadline
    ) -> list[Address]:
        """:raises TargetUnavailable: the name leads nowhere.
        :raises TimeoutError: nobody has answered in time.
        """
        if not self._free.acquire(timeout=deadline.left()):
            raise TargetUnavailable(
                "too many names are being looked up; does the name server answer?"
            )
        answers: Answers = queue.SimpleQueue()
        threading.Thread(
            target=self._look_up,
            args=(host, port, answers),
            name="lookup",
            daemon=True,
        ).start()
        try:
            answer = answers.get(timeout=deadline.left())
        except queue.Empty as error:
            raise TargetUnavailable(
                "the name of the target's host could not be looked up in time"
            ) from error
        if isinstance(answer, OSError):
            raise TargetUnavailable(
                f"the name of the target's host leads nowhere: {answer.strerror}"
            ) from answer
        return answer

    def _look_up(self, host: str, port: int, answers: Answers) -> None:
        try:
            answers.put(self._found(host, port))
        except OSError as error:
            answers.put(error)
        except Exception as error:  # such as a name that no encoding fits
            answers.put(OSError(0, type(error).__name__))
        finally:
            self._free.release()

    def _found(self, host: str, port: int) -> list[Address]:
        """The addresses of a name, each once."""
        found: dict[Address, None] = {}
        for entry in self._getaddrinfo(host, port, type=socket.SOCK_STREAM):
            # A link-local address comes with the name of an interface behind it.
            text, _, _ = str(entry[4][0]).partition("%")
            found[ip_address(text)] = None
        return list(found)
