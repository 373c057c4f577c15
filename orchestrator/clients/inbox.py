"""The events of a watch, kept until somebody takes them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Protocol

from .store import Event, Watch


class EventInbox(Protocol):
    """What a loop takes events from."""

    def take(self, seconds: float | None) -> Sequence[Event]:
        """All events that have come, in order; waits for the first one, up to *seconds*; None: for
        ever.

        :returns: nothing when nothing comes, or a sign of life, or the end of the watch.
        :raises Exception: what has ended the watch, once the events before it are taken.
        """

    @property
    def ended(self) -> bool:
        """Whether the watch has ended, and everything is taken."""


class WatchInbox:
    """Reads a watch in a thread of its own. The thread ends with the watch."""

    def __init__(self, watch: Watch, name: str = "watch") -> None:
        self._watch = watch
        self._batches: queue.SimpleQueue[Sequence[Event] | Exception | None] = (
            queue.SimpleQueue()
        )
        self._error: Exception | None = None
        self.ended = False
        threading.Thread(target=self._listen, name=name, daemon=True).start()

    def _listen(self) -> None:
        try:
            for events in self._watch:
                if events:
                    self._batches.put(events)
        except Exception as error:  # raised in the thread that takes
            self._batches.put(error)
        else:
            self._batches.put(None)

    def take(self, seconds: float | None) -> Sequence[Event]:
        """See :class:`EventInbox`."""
        if self._error is not None:
            self.ended = True
            raise self._error
        if self.ended:
            return ()
        try:
            batch = self._batches.get(timeout=seconds)
        except queue.Empty:
            return ()
        events: list[Event] = []
        while True:
            if batch is None:
                self.ended = True
                return events
            if isinstance(batch, Exception):
                self._error = batch
                break
            events += batch
            if self._batches.empty():
                return events
            batch = self._batches.get()
        if events:
            return events
        return self.take(0.0)
