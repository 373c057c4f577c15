"""A small etcd client of the chaos run's own, so that what it sees does not pass through the code
under test."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from .facts import ObservedEvent, Restore
from .ledger import ref_of

_OPTIONS = [
    ("grpc.max_receive_message_length", 256 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]
_LEADER = [("hasleader", "true")]
"""A member that has lost the others refuses what it is asked."""
_CALL = 1.5
"""Seconds for one call to one member."""


class Client:
    """Writes until they succeed: the API server retries, too.

    Every write compares the revision that it was decided from. So one that a frozen member performs
    when it wakes, after it was made elsewhere, is refused.
    """

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._channels = [
            grpc.insecure_channel(endpoint, options=_OPTIONS) for endpoint in endpoints
        ]
        self._kv = [stubs.KVStub(channel) for channel in self._channels]
        self._position = 0

    def put(self, key: str, value: str) -> int:
        put = rpc.RequestOp(request_put=rpc.PutRequest(key=key.encode(), value=value.encode()))
        return self._write(key, put, value.encode())

    def delete(self, key: str) -> int:
        delete = rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key.encode()))
        return self._write(key, delete, None)

    def _write(self, key: str, operation: Any, value: bytes | None) -> int:
        """The revision; when an answer got lost, that of the key as it stands."""
        before = self._read(key)
        revision = before.kvs[0].mod_revision if before.kvs else 0
        compare = rpc.Compare(
            key=key.encode(),
            target=rpc.Compare.MOD,
            result=rpc.Compare.EQUAL,
            mod_revision=revision,
        )
        request = rpc.TxnRequest(compare=[compare], success=[operation])
        reply = self._patiently(lambda kv: kv.Txn(request, timeout=_CALL, metadata=_LEADER))
        if reply.succeeded:
            return int(reply.header.revision)
        now = self._read(key)
        assert ([kv.value for kv in now.kvs] or [None]) == [value], f"somebody else writes {key}"
        return int(now.kvs[0].mod_revision if now.kvs else now.header.revision)

    def _read(self, key: str) -> Any:
        request = rpc.RangeRequest(key=key.encode())
        return self._patiently(lambda kv: kv.Range(request, timeout=_CALL, metadata=_LEADER))

    def get(self, key: str) -> str | None:
        reply = self._read(key)
        return reply.kvs[0].value.decode() if reply.kvs else None

    def keys(self, prefix: str) -> list[str]:
        raw = prefix.encode()
        request = rpc.RangeRequest(
            key=raw, range_end=raw[:-1] + bytes([raw[-1] + 1]), keys_only=True
        )
        reply = self._patiently(lambda kv: kv.Range(request, timeout=10, metadata=_LEADER))
        return [kv.key.decode() for kv in reply.kvs]

    def compact(self, revision: int) -> None:
        """Drop the history before *revision*; harmless when it is dropped already, or when no
        member answers."""
        for kv in self._kv:
            try:
                kv.Compact(
                    rpc.CompactionRequest(revision=revision), timeout=_CALL, metadata=_LEADER
                )
            except grpc.RpcError:
                continue
            return

    def close(self) -> None:
        for channel in self._channels:
            channel.close()

    def _patiently(self, call: Callable[[Any], Any], seconds: float = 120.0) -> Any:
        """The answer of the first member that gives one."""
        end = time.monotonic() + seconds
        while True:
            try:
                return call(self._kv[self._position % len(self._kv)])
            except grpc.RpcError:
                self._position += 1
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)


@dataclass(slots=True)
class _Life:
    """One history of etcd. A restore begins another one: its revisions begin again below those that
    were seen.

    *offset* makes them rise all the same in what is recorded. *created* are the creations, as
    recorded, of the keys that the backup has brought along.
    """

    number: int = 0
    begins: int = 0
    offset: int = 0
    created: dict[tuple[str, int], int] = field(default_factory=dict)

    def recorded(self, key: str, revision: int, created: int) -> tuple[int, int]:
        """A revision and a creation as they are recorded."""
        born = self.created.get((key, created), created + self.offset) if created else 0
        return revision + self.offset, born


class Recorder:
    """Every change of every key from revision 1, in order, without a gap; *heard* is called with
    each.

    It listens to all members at the same time: what one of them cannot tell, being frozen or cut
    off, another one does.
    """

    def __init__(
        self, endpoints: Sequence[str], heard: Callable[[ObservedEvent], None] = lambda event: None
    ) -> None:
        self._endpoints, self._heard = endpoints, heard
        self.events: list[ObservedEvent] = []
        self.restores: list[Restore] = []
        self.revision = 0
        """The last one that was seen, as etcd counts at present."""
        self.gap = ""
        self._life = _Life()
        self._lock = threading.Lock()
        self._calls: dict[str, Any] = {}
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(endpoint,), daemon=True)
            for endpoint in endpoints
        ]
        for thread in self._threads:
            thread.start()

    def await_revision(self, revision: int, timeout: float = 60.0) -> None:
        """:raises TimeoutError: the recorder did not get there."""
        end = time.monotonic() + timeout
        while self.revision < revision:
            if self.gap or time.monotonic() > end:
                raise TimeoutError(
                    f"the recorder is at revision {self.revision}, not {revision}. {self.gap}"
                )
            time.sleep(0.02)

    def close(self) -> None:
        self._closed.set()
        for call in list(self._calls.values()):
            call.cancel()
        for thread in self._threads:
            thread.join(5)

    def restored(self, revision: int) -> None:
        """etcd is dead, and will begin again from a backup of this revision: record what that
        undoes.

        :param revision: of the backup, as etcd counts at present.
        """
        with self._lock:
            backup = revision + self._life.offset
            lost = [event for event in self.events if event.revision > backup]
            then = {event.key: event for event in self.events if event.revision <= backup}
            number = self._life.number + 1
            now = self.events[-1].revision if self.events else backup
            at = time.time()
            for key in dict.fromkeys(event.key for event in lost):
                self._take_back(key, then.get(key), now + 1, at)
            there = {key: event for key, event in then.items() if event.value is not None}
            created = {(key, event.born): event.created for key, event in there.items()}
            offset = now + 2 - revision
            self._life = _Life(number, revision, offset, created)
            touched = sorted({ref for event in lost if (ref := ref_of(event.key))} | _jobs_of(lost))
            self.restores.append(Restore(at, now + 1, tuple(touched)))
            self.revision = revision

    def _take_back(self, key: str, event: ObservedEvent | None, revision: int, at: float) -> None:
        if event is None or event.value is None:
            self._note(ObservedEvent(revision, at, key, None, 0, restored=True))
        else:
            self._note(
                ObservedEvent(
                    revision, at, key, event.value, event.created, restored=True, born=event.born
                )
            )

    def _run(self, endpoint: str) -> None:
        while not self._closed.is_set() and not self.gap:
            channel = grpc.insecure_channel(endpoint, options=_OPTIONS)
            try:
                self._stream(endpoint, channel)
            except grpc.RpcError:
                self._closed.wait(0.1)
            finally:
                channel.close()

    def _stream(self, endpoint: str, channel: grpc.Channel) -> None:
        life = self._life
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        create = rpc.WatchCreateRequest(
            key=b"\0", range_end=b"\0", start_revision=self.revision + 1
        )
        requests.put(rpc.WatchRequest(create_request=create))
        call = stubs.WatchStub(channel).Watch(iter(requests.get, None), metadata=_LEADER)
        self._calls[endpoint] = call
        try:
            for reply in call:
                if reply.compact_revision > self.revision + 1:
                    self.gap = f"The recorder missed history: {reply.cancel_reason} {reply.compact_revision}"
                    return
                if reply.canceled or life is not self._life:
                    return
                self._take(life, reply.events)
        finally:
            requests.put(None)
            call.cancel()

    def _take(self, life: _Life, events: Sequence[Any]) -> None:
        """Note the events that no other member has told yet. A list of them ends with a whole
        revision."""
        with self._lock:
            if life is not self._life:
                return
            for revision, group in itertools.groupby(events, lambda event: event.kv.mod_revision):
                if revision > self.revision:
                    for event in group:
                        self._note(self._event(event))
                    self.revision = revision

    def _event(self, event: Any) -> ObservedEvent:
        kv, key = event.kv, event.kv.key.decode()
        revision, created = self._life.recorded(key, kv.mod_revision, kv.create_revision)
        value = None if event.type == 1 else kv.value.decode()
        return ObservedEvent(revision, time.time(), key, value, created, born=kv.create_revision)

    def _note(self, event: ObservedEvent) -> None:
        self.events.append(event)
        self._heard(event)


def _jobs_of(events: Sequence[ObservedEvent]) -> set[str]:
    """The resources that job and run records are about."""
    found = set()
    for event in events:
        _, _, name = event.key.rpartition("/")
        parts = name.split(":")
        if len(parts) == 6:
            found.add(f"{parts[2]}:{parts[3]}")
    return found
