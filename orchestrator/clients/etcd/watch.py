"""Changes below some prefixes, without a gap."""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grpc
from etcd3.etcdrpc import rpc_pb2 as rpc

from ...errors import StoreForbidden, StoreUnavailable
from ...events import EventName, count
from ..store import Compacted, Event, HistoryChanged
from . import wire
from .connection import Channel, Connections
from .failures import TooLarge, from_text

log = logging.getLogger(__name__)

HEARTBEAT = 4.0
"""Seconds between requests for progress on an idle watch."""
DEAF_AFTER = 12.0
"""Seconds without a sign of life after which a stream is opened anew."""
GIVEN_UP_AFTER = 45.0
"""Seconds for which a watch is opened anew and anew; then whoever listens begins anew."""
_LOOK = 0.5
"""Seconds between two checks whether the connection has been given up."""


class EtcdWatch:
    """Watches several prefixes on one stream, and opens it anew where it broke off.

    A stream that shows no sign of life for :data:`DEAF_AFTER` seconds counts as broken: on an idle
    one, progress is asked for every :data:`HEARTBEAT` seconds. These answers count only as signs of
    life and never move the resume revision (on older servers they may run ahead, etcd issue 15220).
    The notifications that etcd sends by itself for one prefix, every ten minutes, do move it: they
    go the same way as the events. So a quiet prefix does not fall behind what etcd compacts.
    """

    def __init__(
        self, connections: Connections, start: Mapping[str, int]
    ) -> None:
        """:param start: by prefix, the revision from which on it is watched."""
        self._connections = connections
        self._from = dict(start)
        self._generation = connections.history.generation
        self._closed = threading.Event()
        self._heard = time.monotonic()
        self._call: Any = None

    @property
    def silent_for(self) -> float:
        """Seconds since the last change, or the last answer of etcd that there is none.

        That a stream was opened does not count: one that breaks again and again brings nothing.
        """
        return time.monotonic() - self._heard

    @property
    def reached(self) -> Mapping[str, int]:
        return {prefix: next_ - 1 for prefix, next_ in self._from.items()}

    def close(self) -> None:
        self._closed.set()
        if self._call is not None:
            self._call.cancel()

    def __iter__(self) -> Iterator[Sequence[Event]]:
        delay = 0.05
        while not self._closed.is_set():
            try:
                for batch in self._stream():
                    delay = 0.05
                    yield batch
            except StoreUnavailable as error:
                if self._closed.is_set():
                    return
                if (ended := self._ended_by(error)) is not None:
                    raise ended from error
                count(EventName.WATCH_BROKEN)
                log.warning(
                    "Watch ended, opening it again",
                    extra={"event": "watch_broken", "reason": str(error)[:200]},
                )
                self._closed.wait(delay * random.uniform(0.5, 1.5))
                delay = min(delay * 2, 2.0)

    def _ended_by(self, error: StoreUnavailable) -> StoreUnavailable | None:
        """The error that ends the watch for good; None when it is to be opened anew."""
        if isinstance(error, Compacted | HistoryChanged | StoreForbidden):
            return error
        if isinstance(error, TooLarge):
            return Compacted(
                f"what was missed is more than one answer takes: {error}"
            )
        if self.silent_for > GIVEN_UP_AFTER:
            return StoreUnavailable(
                f"the watch has brought nothing for {self.silent_for:.0f} s: {error}"
            )
        return None

    def _stream(self) -> Iterator[Sequence[Event]]:
        channel = self._connections.current()
        if self._generation != self._connections.history.generation:
            raise HistoryChanged(
                "etcd was restored from a backup since the watch began"
            )
        stream = _Stream(channel, self._connections, self._from)
        channel.enter()
        try:
            self._call = call = stream.open()
            for reply in call:
                events = stream.take(reply)
                if events or stream.progressed(reply):
                    self._heard = time.monotonic()
                if events:
                    self._note(events[-1])
                yield events
            raise StoreUnavailable(
                f"etcd at {channel.endpoint} closed the watch"
            )
        except grpc.RpcError as error:
            if self._closed.is_set():
                return  # We ended it; the connection is sound, and others use it.
            if stream.ended_because:
                self._connections.retire(channel, avoid=True)
                raise StoreUnavailable(
                    f"etcd at {channel.endpoint}: {stream.ended_because}"
                ) from error
            raise self._connections.failed(channel, error) from error
        finally:
            stream.end()
            channel.leave()

    def _note(self, event: Event) -> None:
        if event.value is not None:
            self._connections.history.saw(
                wire.raw(event.key), event.revision, self._generation
            )


class _Stream:
    """One stream on one connection. *resume* is by prefix, and moves as the events come."""

    def __init__(
        self, channel: Channel, connections: Connections, resume: dict[str, int]
    ) -> None:
        self._channel, self._connections, self._from = (
            channel,
            connections,
            resume,
        )
        self._prefixes = list(resume)
        self._watched: dict[int, str] = {}
        self._fragments = wire.Fragments()
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._answered = time.monotonic()
        self._call: Any = None
        self.ended_because = ""
        """Why our own heartbeat has ended the stream; empty when it has not."""

    def open(self) -> Any:
        for prefix in self._prefixes:
            self._requests.put(wire.watch(prefix, self._from[prefix]))
        metadata = self._channel.metadata
        try:
            self._call = self._channel.watches.Watch(
                iter(self._requests.get, None), metadata=metadata
            )
        except ValueError as error:
            raise StoreUnavailable(
                f"etcd at {self._channel.endpoint}: {error}"
            ) from error
        threading.Thread(
            target=self._heartbeat, name="watch-heartbeat", daemon=True
        ).start()
        return self._call

    def end(self) -> None:
        self._ended.set()
        self._requests.put(None)
        if self._call is not None:
            self._call.cancel()

    def take(self, reply: Any) -> Sequence[Event]:
        """The events of an answer, as far as they are complete.

        :raises StoreUnavailable: etcd has ended the watch; Compacted: because its start is gone.
        """
        self._answered = time.monotonic()
        if reply.created and not reply.canceled:
            # etcd answers in the order of asking.
            self._watched[reply.watch_id] = self._prefixes[len(self._watched)]
        prefix = self._watched.get(reply.watch_id, "")
        if reply.compact_revision:
            raise Compacted(
                f"the watch of {prefix} starts in history that etcd has dropped",
                reply.compact_revision,
            )
        if reply.canceled:
            raise self._canceled(reply.cancel_reason)
        events = self._complete(reply, prefix)
        if events:
            self._from[prefix] = events[-1].revision + 1
        elif prefix and self.progressed(reply):
            self._from[prefix] = max(
                self._from[prefix], reply.header.revision + 1
            )
        return events

    def _complete(self, reply: Any, prefix: str) -> list[Event]:
        if not reply.events:
            return []
        listed = [wire.event(happened) for happened in reply.events]
        whole = self._fragments.whole(
            reply.watch_id, listed, more=wire.is_fragment(reply)
        )
        # A member that lags may send what was seen before (etcd issue 20221).
        return [
            event for event in whole if event.revision >= self._from[prefix]
        ]

    def progressed(self, reply: Any) -> bool:
        """Whether the answer says that there is nothing new."""
        return not (
            reply.events
            or reply.created
            or self._fragments.keeps(reply.watch_id)
        )

    def _canceled(self, reason: str) -> Exception:
        text = f"etcd ended the watch: {reason}"
        meaning = from_text(self._channel.endpoint, text)
        if isinstance(meaning, StoreUnavailable):
            return meaning
        return StoreUnavailable(str(meaning))

    def _heartbeat(self) -> None:
        """Ask for progress, and end a stream that is deaf, or whose connection nobody uses any
        more."""
        asked = time.monotonic()
        while not self._ended.wait(_LOOK):
            now = time.monotonic()
            if now - self._answered > DEAF_AFTER:
                self.ended_because = (
                    f"the watch was silent for {DEAF_AFTER:g} s"
                )
            elif not self._connections.is_current(self._channel):
                self.ended_because = "another call has failed there"
            if self.ended_because:
                self._call.cancel()
                return
            if min(now - self._answered, now - asked) >= HEARTBEAT:
                asked = now
                self._requests.put(
                    rpc.WatchRequest(
                        progress_request=rpc.WatchProgressRequest()
                    )
                )
