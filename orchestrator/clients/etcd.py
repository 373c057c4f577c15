"""The door to etcd v3.

Calls go through the gRPC stubs that python3-etcd3 generates (the maintained fork of python-etcd3;
the original does not import on today's protobuf). Its client class is not used, for what it does
under faults: the watch iterator hangs for ever once the stream breaks, calls have no deadline, a
failed endpoint stays unusable for 300 s, and the authentication token is fetched once
(docs/decisions.md has the measurements).
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import grpc
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from ..core.transactions import Require, Transaction
from ..errors import StoreRefused, StoreUnavailable
from .store import Compacted, Event, KeyValue, Lease, Watch

log = logging.getLogger(__name__)
T = TypeVar("T")

CALL_TIMEOUT = 5.0
"""Seconds for one call."""
READ_TIMEOUT = 20.0
"""Seconds within which a read is tried again, on every endpoint in turn."""
PAGE = 1000
"""Keys in the first range request of a listing."""
LARGEST_PAGE = 10_000
"""Keys in a later one: etcd counts all that is left of a folder for every page."""
PAGE_BYTES = 4 * 1024 * 1024
"""What a later page may weigh, by what those before it did: far below gRPC's limit."""
HEARTBEAT = 4.0
"""Seconds between requests for progress on an idle watch."""
DEAF_AFTER = 12.0
"""Seconds without a sign of life after which a watch is opened anew."""

_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 8 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Without this, grpcio finds a frozen server only after 70 s (measured with 1.85).
    ("grpc.http2.ping_timeout_ms", 5_000),
    # gRPC's default lets a reconnection wait for two minutes.
    ("grpc.max_reconnect_backoff_ms", 3_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    # One connection per channel object: a new channel after a failure must not share the broken one.
    ("grpc.use_local_subchannel_pool", 1),
]


@dataclass(frozen=True, slots=True)
class EtcdAccess:
    """How to reach etcd. *endpoints* are ``host:port``; certificate files are paths."""

    endpoints: tuple[str, ...] = ("127.0.0.1:2379",)
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    certificate: str = ""
    key: str = ""


class EtcdStore:
    """:class:`~orchestrator.clients.store.Store` on a real etcd.

    Connects at the first call, so that it can be made before a fork and used after it.

    :param read_timeout: seconds within which a read is tried again: a person waits less than a daemon.
    """

    def __init__(self, access: EtcdAccess, read_timeout: float = READ_TIMEOUT) -> None:
        self._access = access
        self._read_timeout = read_timeout
        self._lock = threading.Lock()
        self._next = 0
        self._channel: _Channel | None = None

    # Reading ----------------------------------------------------------------------------------------

    def get(self, key: str) -> KeyValue | None:
        reply = self._read(partial(_range, rpc.RangeRequest(key=key.encode())))
        return _key_value(reply.kvs[0]) if reply.kvs else None

    def get_many(self, keys: Sequence[str]) -> Mapping[str, KeyValue]:
        if not keys:
            return {}
        wanted = list(dict.fromkeys(keys))
        found: dict[str, KeyValue] = {}
        revision = 0
        for start in range(0, len(wanted), 100):  # etcd takes 128 operations a transaction
            readings = [_reading(key, revision) for key in wanted[start : start + 100]]
            reply = self._read(partial(_txn, rpc.TxnRequest(success=readings)))
            revision = revision or reply.header.revision
            found |= _found(reply)
        return found

    def list(self, prefix: str, *, revision: int = 0, keys_only: bool = False) -> tuple[int, list[KeyValue]]:
        pages = self._pages(prefix, revision, keys_only)
        at, first = next(pages)
        found = [_key_value(kv) for kv in first]
        for _, page in pages:
            found += map(_key_value, page)
        return at, found

    def scan(self, prefix: str, revision: int) -> Iterator[KeyValue]:
        # The next page is on its way while the one before is dealt with: etcd and gRPC work outside
        # of Python's lock, so a long listing costs the longer of the two and not both.
        pages = self._pages(prefix, revision)
        with ThreadPoolExecutor(1, thread_name_prefix="scan") as ahead:
            coming = ahead.submit(next, pages, None)
            while (reply := coming.result()) is not None:
                coming = ahead.submit(next, pages, None)
                yield from map(_key_value, reply[1])

    def _pages(self, prefix: str, revision: int, keys_only: bool = False) -> Iterator[tuple[int, Sequence[Any]]]:
        """Everything below *prefix* at one revision, in order of key, which is etcd's own: asked to sort,
        it reads all that is left of the folder for every page."""
        start, end, limit = prefix.encode(), _end_of(prefix), PAGE
        while True:
            request = rpc.RangeRequest(key=start, range_end=end, limit=limit, revision=revision, keys_only=keys_only)
            try:
                reply = self._read(partial(_range, request))
            except _TooLarge:
                if limit == 1:
                    raise
                limit = max(limit // 8, 1)
                continue
            revision = revision or reply.header.revision
            yield revision, reply.kvs
            if not reply.more:
                return
            start = reply.kvs[-1].key + b"\0"
            weight = reply.ByteSize() / len(reply.kvs)
            limit = max(min(int(PAGE_BYTES / weight), LARGEST_PAGE, 4 * limit), 1)

    def _read(self, call: Callable[[_Channel], Any]) -> Any:
        """A read is repeated on other endpoints until it succeeds or its time is over."""
        end = time.monotonic() + self._read_timeout
        delay = 0.05
        while True:
            try:
                return self._once(call)
            except (Compacted, _TooLarge):
                raise
            except StoreUnavailable:
                if time.monotonic() + delay >= end:
                    raise
                time.sleep(delay * random.uniform(0.5, 1.5))
                delay = min(delay * 2, 1.0)

    # Writing ----------------------------------------------------------------------------------------

    def commit(self, transaction: Transaction, lease: Lease | None = None) -> int:
        return self.commit_and_read(transaction, (), lease)[0]

    def commit_and_read(
        self, transaction: Transaction, keys: Sequence[str], lease: Lease | None = None
    ) -> tuple[int, Mapping[str, KeyValue]]:
        lease_id = lease.id if isinstance(lease, EtcdLease) else 0
        operations = [
            rpc.RequestOp(
                request_put=rpc.PutRequest(
                    key=key.encode(), value=value.encode(), lease=lease_id if key in transaction.leased else 0
                )
            )
            for key, value in transaction.puts.items()
        ]
        operations += [
            rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key.encode()))
            for key in dict.fromkeys(transaction.deletes)
            if key not in transaction.puts
        ]
        # etcd performs these after the writes, and at the same revision.
        readings = [_reading(key) for key in dict.fromkeys(keys)]
        requires = list(map(_compare, dict.fromkeys(transaction.requires)))
        reply = self._write(partial(_txn, rpc.TxnRequest(compare=requires, success=operations + readings, failure=readings)))
        return (reply.header.revision if reply.succeeded else 0), _found(reply)

    def put(self, key: str, value: str) -> int:
        request = rpc.PutRequest(key=key.encode(), value=value.encode())
        return int(self._write(lambda c: c.kv.Put(request, timeout=CALL_TIMEOUT, metadata=c.metadata)).header.revision)

    def delete(self, key: str) -> bool:
        request = rpc.DeleteRangeRequest(key=key.encode())
        return bool(self._write(lambda c: c.kv.DeleteRange(request, timeout=CALL_TIMEOUT, metadata=c.metadata)).deleted)

    def _write(self, call: Callable[[_Channel], Any]) -> Any:
        """A write is repeated only while it certainly never left: whether it was performed must be known."""
        for _ in range(2 * len(self._access.endpoints)):
            try:
                return self._once(call)
            except _NotSent:
                time.sleep(0.05)
            except _TooLarge as error:  # for good, and for whoever wrote it to know
                raise StoreRefused(str(error)) from error
        return self._once(call)

    # Leases and watches -----------------------------------------------------------------------------

    def lease(self, seconds: int) -> Lease:
        return EtcdLease(self, seconds)

    def watch(self, prefixes: Iterable[str], revision: int) -> Watch:
        return EtcdWatch(self, prefixes, revision)

    # The connection ---------------------------------------------------------------------------------

    def _once(self, call: Callable[[_Channel], T]) -> T:
        channel = self.channel()
        try:
            return call(channel)
        except grpc.RpcError as error:
            raise self.translate(channel, error) from error
        except ValueError as error:
            # grpc's word for a channel that another thread has given up meanwhile.
            raise _NotSent(f"etcd at {channel.endpoint}: {error}") from error

    def channel(self) -> _Channel:
        """The connection in use; a new one, to the next endpoint, after a failure."""
        with self._lock:
            if self._channel is None:
                endpoint = self._access.endpoints[self._next % len(self._access.endpoints)]
                self._channel = _connect(endpoint, self._access)
            return self._channel

    def translate(self, channel: _Channel, error: grpc.RpcError) -> Exception:
        """gRPC's error in our words; drops the connection when it is at fault."""
        code, details = error.code(), error.details() or ""
        if code in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.UNKNOWN,
        ):
            self.drop(channel)
            not_sent = code is grpc.StatusCode.UNAVAILABLE and "failed to connect" in details
            return (_NotSent if not_sent else StoreUnavailable)(f"etcd at {channel.endpoint}: {details or code.name}")
        if "auth token" in details or "revision of auth store" in details:
            self.drop(channel)
            return _NotSent(f"etcd at {channel.endpoint}: {details}")
        if code is grpc.StatusCode.PERMISSION_DENIED or "authentication is not enabled" in details:
            return StoreRefused(f"etcd at {channel.endpoint} refuses us: {details}; check ORCHESTRATOR_ETCD_USER and its role")
        if "compacted" in details:
            return Compacted(details)
        if "larger than max" in details:
            return _TooLarge(f"etcd at {channel.endpoint}: {details}")
        if "too large" in details or "too many operations" in details:
            return StoreRefused(f"etcd refuses the request: {details}")
        return StoreUnavailable(f"etcd at {channel.endpoint}: {code.name}: {details}")

    def drop(self, channel: _Channel) -> None:
        """Give up a connection; the next call goes to the next endpoint."""
        with self._lock:
            if self._channel is channel:
                self._channel = None
                self._next += 1
        channel.close()

    def close(self) -> None:
        with self._lock:
            channel, self._channel = self._channel, None
        if channel:
            channel.close()


class _NotSent(StoreUnavailable):
    """The request certainly never reached etcd, or etcd refused to look at it."""


class _TooLarge(StoreUnavailable):
    """gRPC does not take an answer of that size; a smaller page will do."""


class _Channel:
    """One connection to one endpoint."""

    def __init__(self, endpoint: str, channel: grpc.Channel) -> None:
        self.endpoint = endpoint
        self.metadata: list[tuple[str, str]] = []
        self._channel = channel
        self.kv = stubs.KVStub(channel)
        self.leases = stubs.LeaseStub(channel)
        self.watches = stubs.WatchStub(channel)
        self.auth = stubs.AuthStub(channel)

    def close(self) -> None:
        self._channel.close()


def _connect(endpoint: str, access: EtcdAccess) -> _Channel:
    if access.ca or access.certificate:
        credentials = grpc.ssl_channel_credentials(_bytes(access.ca), _bytes(access.key), _bytes(access.certificate))
        channel = _Channel(endpoint, grpc.secure_channel(endpoint, credentials, options=_CHANNEL_OPTIONS))
    else:
        channel = _Channel(endpoint, grpc.insecure_channel(endpoint, options=_CHANNEL_OPTIONS))
    if access.user:
        request = rpc.AuthenticateRequest(name=access.user, password=access.password)
        try:
            channel.metadata = [("token", channel.auth.Authenticate(request, timeout=CALL_TIMEOUT).token)]
        except grpc.RpcError as error:
            channel.close()
            raise StoreUnavailable(f"etcd at {endpoint} refuses user {access.user}: {error.details()}") from error
    return channel


def _range(request: Any, channel: _Channel) -> Any:
    return channel.kv.Range(request, timeout=READ_TIMEOUT, metadata=channel.metadata)


def _txn(request: Any, channel: _Channel) -> Any:
    return channel.kv.Txn(request, timeout=CALL_TIMEOUT, metadata=channel.metadata)


def _reading(key: str, revision: int = 0) -> Any:
    """One key, as an operation of a transaction."""
    return rpc.RequestOp(request_range=rpc.RangeRequest(key=key.encode(), revision=revision))


def _found(reply: Any) -> dict[str, KeyValue]:
    """What the readings of a transaction found."""
    return {kv.key.decode(): _key_value(kv) for response in reply.responses for kv in response.response_range.kvs}


def _bytes(path: str) -> bytes | None:
    if not path:
        return None
    return Path(path).read_bytes()


def _key_value(kv: Any) -> KeyValue:
    return KeyValue(kv.key.decode(errors="replace"), kv.value, kv.create_revision, kv.mod_revision)


def _end_of(prefix: str) -> bytes:
    """The end of the range of all keys that start with *prefix* (which ends in an ASCII character)."""
    raw = prefix.encode()
    return raw[:-1] + bytes([raw[-1] + 1])


def _compare(require: Require) -> Any:
    compare, key = rpc.Compare, require.key.encode()
    match require.what:
        case "mod":
            return compare(key=key, target=compare.MOD, result=compare.EQUAL, mod_revision=require.revision)
        case "create":
            return compare(key=key, target=compare.CREATE, result=compare.EQUAL, create_revision=require.revision)
        case "exists":
            return compare(key=key, target=compare.CREATE, result=compare.GREATER, create_revision=0)


class EtcdLease:
    """A lease and the thread that renews it."""

    def __init__(self, store: EtcdStore, seconds: int) -> None:
        self._store, self._seconds = store, seconds
        started = time.monotonic()
        reply = store._write(
            lambda c: c.leases.LeaseGrant(rpc.LeaseGrantRequest(TTL=seconds), timeout=CALL_TIMEOUT, metadata=c.metadata)
        )
        self.id: int = reply.ID
        self._until = started + seconds
        self._stop = threading.Event()
        threading.Thread(target=self._renew, name=f"lease-{self.id:x}", daemon=True).start()

    @property
    def alive(self) -> bool:
        return not self._stop.is_set() and time.monotonic() < self._until

    def abandon(self) -> None:
        self._stop.set()

    def revoke(self) -> None:
        self._stop.set()
        try:
            self._store._once(
                lambda c: c.leases.LeaseRevoke(rpc.LeaseRevokeRequest(ID=self.id), timeout=CALL_TIMEOUT, metadata=c.metadata)
            )
        except StoreUnavailable:
            log.info("Lease could not be revoked; it ends by itself", extra={"event": "lease_left"})

    def _renew(self) -> None:
        while not self._stop.wait(self._seconds / 3):
            started = time.monotonic()
            try:
                reply = self._store._once(self._keep_alive)
            except StoreUnavailable:
                if started >= self._until:
                    self._stop.set()
                continue
            if reply is None or reply.TTL <= 0:
                self._stop.set()  # etcd has forgotten it: what hung on it is gone
                return
            self._until = started + reply.TTL

    def _keep_alive(self, channel: _Channel) -> Any:
        requests = iter([rpc.LeaseKeepAliveRequest(ID=self.id)])
        stream = channel.leases.LeaseKeepAlive(requests, timeout=min(CALL_TIMEOUT, self._seconds / 2), metadata=channel.metadata)
        return next(iter(stream), None)


class EtcdWatch:
    """Watches several prefixes on one stream, and opens it anew where it broke off.

    A stream that shows no sign of life for :data:`DEAF_AFTER` seconds counts as broken: on an idle
    one, progress is asked for every :data:`HEARTBEAT` seconds. The answers count only as signs of
    life and never move the resume revision (on older servers they may run ahead, etcd issue 15220).
    """

    def __init__(self, store: EtcdStore, prefixes: Iterable[str], revision: int) -> None:
        self._store = store
        self._from = dict.fromkeys(prefixes, revision)
        self._closed = threading.Event()
        self._alive = time.monotonic()
        self._call: Any = None

    @property
    def silent_for(self) -> float:
        return time.monotonic() - self._alive

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
            except (grpc.RpcError, StoreUnavailable) as error:
                if isinstance(error, Compacted):
                    raise
                if self._closed.is_set():
                    return
                log.warning("Watch broke off, opening it anew", extra={"event": "watch_broken", "reason": str(error)[:200]})
                self._closed.wait(delay * random.uniform(0.5, 1.5))
                delay = min(delay * 2, 2.0)

    def _stream(self) -> Iterator[Sequence[Event]]:
        channel = self._store.channel()
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        prefixes = list(self._from)
        for prefix in prefixes:
            create = rpc.WatchCreateRequest(
                key=prefix.encode(), range_end=_end_of(prefix), start_revision=self._from[prefix], progress_notify=True
            )
            requests.put(rpc.WatchRequest(create_request=create))
        try:
            self._call = call = channel.watches.Watch(iter(requests.get, None), metadata=channel.metadata)
        except ValueError as error:
            raise StoreUnavailable(f"etcd at {channel.endpoint}: {error}") from error
        self._alive = time.monotonic()
        ended = threading.Event()
        threading.Thread(target=self._heartbeat, args=(requests, call, ended), name="watch-heartbeat", daemon=True).start()
        watched: dict[int, str] = {}
        try:
            for reply in call:
                self._alive = time.monotonic()
                if reply.created and not reply.canceled:
                    watched[reply.watch_id] = prefixes[len(watched)]  # etcd answers in the order of asking
                if reply.compact_revision:
                    raise Compacted(f"watch of {watched.get(reply.watch_id)} starts in history that etcd has dropped")
                if reply.canceled:
                    raise StoreUnavailable(f"etcd ended the watch: {reply.cancel_reason}")
                events = [_event(event) for event in reply.events]
                if events:
                    self._from[watched[reply.watch_id]] = events[-1].revision + 1
                yield events
            raise StoreUnavailable("etcd closed the stream")
        except grpc.RpcError as error:
            if self._closed.is_set():
                return  # We ended it; the connection is sound, and others use it.
            raise self._store.translate(channel, error) from error
        finally:
            ended.set()
            requests.put(None)
            call.cancel()

    def _heartbeat(self, requests: queue.SimpleQueue[Any], call: Any, ended: threading.Event) -> None:
        while not ended.wait(HEARTBEAT):
            if self.silent_for > DEAF_AFTER:
                call.cancel()
                return
            if self.silent_for > HEARTBEAT / 2:
                requests.put(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))


def _event(event: Any) -> Event:
    kv = event.kv
    removed = event.type == 1
    return Event(kv.key.decode(errors="replace"), None if removed else kv.value, kv.create_revision, kv.mod_revision)
