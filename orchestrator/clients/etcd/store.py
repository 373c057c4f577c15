"""Reads, writes and transactions on a real etcd."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from etcd3.etcdrpc import rpc_pb2 as rpc

from ...core.backoff import Backoff
from ...core.transactions import Transaction
from ...errors import StoreForbidden, StoreRefused, StoreUnavailable
from ..store import Compacted, HistoryChanged, KeyValue, Lease, Watch
from . import wire
from .access import EtcdAccess
from .connection import Connections, Method
from .failures import NotSent, TooLarge
from .lease import EtcdLease, grant
from .watch import EtcdWatch

T = TypeVar("T")

READ_TRY = 1.0
"""Seconds for the first try of a read. Each further try has twice as many: the next endpoint is
asked soon when this one is frozen, and an etcd that is slow gets its time."""
PAGE_TRY = 5.0
"""The same for the later pages of a listing, which are larger."""
READ_TIMEOUT = 20.0
"""Seconds within which a read is tried again, on every endpoint in turn."""
WRITE_TRY = 3.0
"""Seconds for a write. When they are over nobody knows whether it was performed."""
WRITE_TIMEOUT = 5.0
"""Seconds within which a write that was certainly not performed is tried again."""
_BACKOFF = Backoff(initial=0.05, maximum=1.0, jitter=0.5)
"""Between two rounds of the endpoints."""
PAGE = 1000
"""Keys in the first range request of a listing."""
LARGEST_PAGE = 10_000
"""Keys in a later one: etcd counts all that is left of a folder for every page."""
PAGE_BYTES = 4 * 1024 * 1024
"""What a later page may weigh, by what those before it did: far below gRPC's limit."""


class EtcdStore:
    """:class:`~orchestrator.clients.store.Store` on a real etcd.

    Connects at the first call, so that it can be made before a fork and used after it.

    :param read_timeout: seconds within which a read is tried again: a person waits less than a
        daemon.
    """

    def __init__(
        self, access: EtcdAccess, read_timeout: float = READ_TIMEOUT
    ) -> None:
        self._connections = Connections(access)
        self._read_timeout = read_timeout

    @property
    def generation(self) -> int:
        return self._connections.history.generation

    @property
    def cluster(self) -> str:
        return f"{self._connections.history.mark().cluster:x}"

    # Reading --------------------------------------------------------------------------------------

    def get(self, key: str) -> KeyValue | None:
        reply = self._read("Range", rpc.RangeRequest(key=wire.raw(key)), key)
        if reply.kvs:
            return wire.key_value(reply.kvs[0])
        return None

    def get_many(
        self, keys: Sequence[str], *, revision: int = 0
    ) -> Mapping[str, KeyValue]:
        if not keys:
            return {}
        wanted = list(dict.fromkeys(keys))
        found: dict[str, KeyValue] = {}
        for start in range(
            0, len(wanted), 100
        ):  # etcd takes 128 operations a transaction
            some = wanted[start : start + 100]
            readings = [wire.reading(key, revision) for key in some]
            reply = self._read("Txn", rpc.TxnRequest(success=readings), some[0])
            revision = revision or reply.header.revision
            found |= wire.found(reply)
        return found

    def past(
        self, readings: Sequence[tuple[str, int]]
    ) -> Sequence[KeyValue | None]:
        if not readings:
            return ()
        asked = [wire.reading(key, revision) for key, revision in readings]
        reply = self._read("Txn", rpc.TxnRequest(success=asked), readings[0][0])
        found = (response.response_range.kvs for response in reply.responses)
        return [wire.key_value(kvs[0]) if kvs else None for kvs in found]

    def list(
        self, prefix: str, *, revision: int = 0, keys_only: bool = False
    ) -> tuple[int, list[KeyValue]]:
        pages = self._pages(prefix, revision, keys_only)
        at, first = next(pages)
        found = [wire.key_value(kv) for kv in first]
        for _, page in pages:
            found += map(wire.key_value, page)
        return at, found

    def scan(self, prefix: str, revision: int) -> Iterator[KeyValue]:
        # The next page is on its way while the one before is dealt with: etcd and gRPC work outside
        # of Python's lock, so a long listing costs the longer of the two and not both.
        pages = self._pages(prefix, revision)
        with ThreadPoolExecutor(1, thread_name_prefix="scan") as ahead:
            coming = ahead.submit(next, pages, None)
            while (reply := coming.result()) is not None:
                coming = ahead.submit(next, pages, None)
                yield from map(wire.key_value, reply[1])

    def _pages(
        self, prefix: str, revision: int, keys_only: bool = False
    ) -> Iterator[tuple[int, Sequence[Any]]]:
        """Everything below *prefix* at one revision, in order of key, which is etcd's own: asked to
        sort, it reads all that is left of the folder for every page."""
        start, end, limit = wire.raw(prefix), wire.end_of(prefix), PAGE
        first_try = READ_TRY  # a member that is lost shows soon, at the small first page
        while True:
            request = rpc.RangeRequest(
                key=start,
                range_end=end,
                limit=limit,
                revision=revision,
                keys_only=keys_only,
            )
            try:
                reply = self._read("Range", request, prefix, first_try)
            except TooLarge:
                if limit == 1:
                    raise
                limit = max(limit // 8, 1)
                continue
            revision = revision or reply.header.revision
            yield revision, reply.kvs
            if not reply.more:
                return
            start, first_try = reply.kvs[-1].key + b"\0", PAGE_TRY
            weight = reply.ByteSize() / len(reply.kvs)
            limit = max(
                min(int(PAGE_BYTES / weight), LARGEST_PAGE, 4 * limit), 1
            )

    def _read(
        self,
        method: Method,
        request: Any,
        about: str,
        first_try: float = READ_TRY,
    ) -> Any:
        """A read is repeated on other endpoints until it succeeds or its time is over."""
        ask = partial(self._connections.ask, method, request)
        return self._repeated(
            ask, f"reading {about!r}", first_try, self._read_timeout
        )

    def _repeated(
        self,
        call: Callable[[float], T],
        about: str,
        first_try: float,
        timeout: float,
    ) -> T:
        """What may be done twice is repeated on other endpoints.

        :param call: takes the seconds that it may last.
        :param timeout: seconds after which no further try begins.
        """
        end = time.monotonic() + timeout
        seconds = first_try
        for pause in self._pauses():
            try:
                return call(min(seconds, timeout))
            except (Compacted, HistoryChanged, TooLarge):
                raise
            except StoreForbidden as error:
                raise StoreForbidden(f"{error} ({about})") from error
            except StoreUnavailable:
                if time.monotonic() + pause >= end:
                    raise
                time.sleep(pause)
                seconds *= 2
        raise AssertionError("the pauses do not end")

    # Writing --------------------------------------------------------------------------------------

    def commit(
        self, transaction: Transaction, lease: Lease | None = None
    ) -> int:
        return self.commit_and_read(transaction, (), lease)[0]

    def commit_and_read(
        self,
        transaction: Transaction,
        keys: Sequence[str],
        lease: Lease | None = None,
    ) -> tuple[int, Mapping[str, KeyValue]]:
        lease_id = 0
        if isinstance(lease, EtcdLease):
            lease_id = lease.id
        request = wire.transaction(transaction, keys, lease_id)
        about = next(iter((*transaction.puts, *transaction.deletes)), "")
        reply = self._write(
            lambda: self._connections.ask("Txn", request, WRITE_TRY), about
        )
        if not reply.succeeded:
            return 0, wire.found(reply)
        if transaction.puts:
            self._wrote(about, reply.header.revision)
        return reply.header.revision, wire.found(reply)

    def put(self, key: str, value: str) -> int:
        request = rpc.PutRequest(
            key=wire.raw(key), value=wire.value_of(key, value)
        )
        reply = self._write(
            lambda: self._connections.ask("Put", request, WRITE_TRY), key
        )
        revision: int = reply.header.revision
        self._wrote(key, revision)
        return revision

    def delete(self, key: str) -> bool:
        request = rpc.DeleteRangeRequest(key=wire.raw(key))
        reply = self._write(
            lambda: self._connections.ask("DeleteRange", request, WRITE_TRY),
            key,
        )
        return bool(reply.deleted)

    def _wrote(self, key: str, revision: int) -> None:
        self._connections.history.saw(wire.raw(key), revision, self.generation)

    def _write(self, write: Callable[[], T], about: str) -> T:
        """A write is repeated only while it was certainly not performed: whether it was must be
        known."""
        end = time.monotonic() + min(WRITE_TIMEOUT, self._read_timeout)
        for pause in self._pauses():
            try:
                return write()
            except NotSent:
                if time.monotonic() + pause >= end:
                    raise
                time.sleep(pause)
            except StoreForbidden as error:
                raise StoreForbidden(f"{error} (writing {about!r})") from error
            except (
                TooLarge
            ) as error:  # for good, and for whoever wrote it to know
                raise StoreRefused(str(error)) from error
        raise AssertionError("the pauses do not end")

    def _pauses(self) -> Iterator[float]:
        """Seconds to wait after each try: the other endpoints are asked at once, then more and more
        rarely."""
        for _ in range(self._connections.endpoints - 1):
            yield 0.0
        for failures in itertools.count(1):
            yield _BACKOFF.interval(failures, random.random())

    # Leases and watches ---------------------------------------------------------------------------

    def lease(self, seconds: int, *, renew_for: float = math.inf) -> Lease:
        connections = self._connections

        def ask(timeout: float) -> EtcdLease:
            return connections.call(
                lambda channel: grant(
                    connections, channel, seconds, renew_for, timeout
                )
            )

        return self._repeated(
            ask, "a lease", WRITE_TRY, min(WRITE_TIMEOUT, self._read_timeout)
        )

    def watch(
        self,
        prefixes: Iterable[str],
        revision: int,
        later: Mapping[str, int] | None = None,
    ) -> Watch:
        start = {**dict.fromkeys(prefixes, revision), **(later or {})}
        return EtcdWatch(self._connections, start)

    def close(self) -> None:
        self._connections.close()
