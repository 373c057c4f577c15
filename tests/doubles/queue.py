"""The broker in memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.clients.queue import MONITOR, POLL, RECORD, SUBMIT, SWEEP, WAIT
from orchestrator.core.drift import SweepOrder
from orchestrator.core.refs import Json, RunId
from orchestrator.errors import (
    BrokerUnavailable,
)

_NOT_COUNTED = (POLL, MONITOR, SWEEP)
"""Messages that may get lost without harm; :meth:`RecordingQueue.depth` leaves them out."""


@dataclass(frozen=True, slots=True)
class Message:
    """What was sent: the tasks of a chain (or one task), and their common argument."""

    tasks: tuple[str, ...]
    argument: Json
    """A text, a tuple of texts, or an object."""

    @property
    def rest(self) -> Message | None:
        """What is sent when the first task says that the chain goes on."""
        return replace(self, tasks=self.tasks[1:]) if self.tasks[1:] else None


class RecordingQueue:
    """Keeps what was sent (:attr:`sent`) and hands it out in order (:meth:`take`), as a broker would."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._knows_us = False
        self.sent: list[Message] = []
        self.available = True
        """Set to False, every method raises :class:`BrokerUnavailable`."""

    # The methods of Queue ---------------------------------------------------------------------------

    def start(self, runs: Sequence[RunId]) -> None:
        self.send(Message((SUBMIT, WAIT, RECORD), tuple(runs)))

    def record(self, runs: Sequence[RunId]) -> None:
        self.send(Message((RECORD,), tuple(runs)))

    def poll(self, tenant: str) -> None:
        self.send(Message((POLL,), tenant))

    def monitor(self, refs: Sequence[str]) -> None:
        self.send(Message((MONITOR,), tuple(refs)))

    def sweep(self, order: SweepOrder) -> None:
        self.send(Message((SWEEP,), order.to_message()))

    def depth(self) -> int:
        self._check()
        with self._changed:
            return sum(message.tasks[0] not in _NOT_COUNTED for message in self._waiting)

    def periodic_depth(self) -> int:
        self._check()
        with self._changed:
            return sum(message.tasks[0] in _NOT_COUNTED for message in self._waiting)

    def lost_everything(self) -> bool:
        self._check()
        with self._changed:
            lost, self._knows_us = not self._knows_us, True
            return lost

    def close(self) -> None:
        """Nothing to close; what was sent stays."""

    # What a test can do to it -----------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Send anything, such as a duplicate of what was sent before."""
        self._check()
        with self._changed:
            self.sent.append(message)
            self._waiting.append(message)
            self._changed.notify_all()

    def take(self, timeout: float = 0.0) -> Message | None:
        """The next message, as a worker takes it; None when none comes within *timeout* seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting, timeout)
            return self._waiting.popleft() if self._waiting else None

    def lose(self, *, everything: bool = True) -> None:
        """Forget the messages that nobody has taken; with *everything*, like a flushed Redis, which shows."""
        with self._changed:
            self._waiting.clear()
            self._knows_us = self._knows_us and not everything

    def _check(self) -> None:
        if not self.available:
            raise BrokerUnavailable("the broker does not answer: scripted")
