"""What each process has for itself: threads and connections do not survive a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value that each process makes when it is first asked for it."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: tuple[int, T] | None = None
        """The process that made the value, and the value."""

    def __call__(self) -> T:
        made = self._made
        if made is None or made[0] != os.getpid():
            made = self._make_once()
        return made[1]

    def _make_once(self) -> tuple[int, T]:
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                self._made = (os.getpid(), self._make())
            return self._made

    def take(self) -> T | None:
        """What this process has made, to be closed: it is made anew when it is asked for again.
        None if it has made nothing."""
        with self._lock:
            made, self._made = self._made, None
        if made is None or made[0] != os.getpid():
            return None
        return made[1]


def threads(name: str, most: int) -> PerProcess[ThreadPoolExecutor]:
    """Threads that are kept from message to message: making them costs more than most of the work.
    Idle ones are used again before another is made.

    :param name: what the names of the threads begin with.
    """
    return PerProcess(
        lambda: ThreadPoolExecutor(
            most, thread_name_prefix=f"{name}-{os.getpid()}"
        )
    )
