"""A small etcd client of the chaos run's own, so that what it sees does not pass through the code under test."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from .facts import Event

_OPTIONS = [
    ("grpc.max_receive_message_length", 256 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),
]


class Client:
    """Writes until they succeed: the API server retries, too."""

    def __init__(self, endpoint: str) -> None:
        self._channel = grpc.insecure_channel(endpoint, options=_OPTIONS)
        self._kv = stubs.KVStub(self._channel)

    def put(self, key: str, value: str) -> int:
        request = rpc.PutRequest(key=key.encode(), value=value.encode())
        return int(self._patiently(lambda: self._kv.Put(request, timeout=5)).header.revision)

    def delete(self, key: str) -> int:
        request = rpc.DeleteRangeRequest(key=key.encode())
        return int(self._patiently(lambda: self._kv.DeleteRange(request, timeout=5)).header.revision)

    def get(self, key: str) -> str | None:
        reply = self._patiently(lambda: self._kv.Range(rpc.RangeRequest(key=key.encode()), timeout=5))
        return reply.kvs[0].value.decode() if reply.kvs else None

    def keys(self, prefix: str) -> list[str]:
        raw = prefix.encode()
        request = rpc.RangeRequest(key=raw, range_end=raw[:-1] + bytes([raw[-1] + 1]), keys_only=True)
        return [kv.key.decode() for kv in self._patiently(lambda: self._kv.Range(request, timeout=10)).kvs]

    def compact(self, revision: int) -> None:
        """Drop the history before *revision*; harmless when it is dropped already."""
        try:
            self._kv.Compact(rpc.CompactionRequest(revision=revision, physical=True), timeout=10)
        except grpc.RpcError as error:
            if "compacted" not in (error.details() or ""):
                raise

    def close(self) -> None:
        self._channel.close()

    @staticmethod
    def _patiently(call: Callable[[], Any], seconds: float = 120.0) -> Any:
        end = time.monotonic() + seconds
        while True:
            try:
                return call()
            except grpc.RpcError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)


class Recorder:
    """Every change of every key from revision 1, in order, without a gap; *heard* is called with each."""

    def __init__(self, endpoint: str, heard: Callable[[Event], None] = lambda event: None) -> None:
        self._endpoint, self._heard = endpoint, heard
        self.events: list[Event] = []
        self.revision = 0
        self.gap = ""
        self._closed = threading.Event()
        self._call: Any = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def await_revision(self, revision: int, timeout: float = 60.0) -> None:
        """:raises TimeoutError: the recorder did not get there."""
        end = time.monotonic() + timeout
        while self.revision < revision:
            if self.gap or time.monotonic() > end:
                raise TimeoutError(f"the recorder is at revision {self.revision}, not {revision}. {self.gap}")
            time.sleep(0.02)

    def close(self) -> None:
        self._closed.set()
        if self._call is not None:
            self._call.cancel()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._closed.is_set() and not self.gap:
            channel = grpc.insecure_channel(self._endpoint, options=_OPTIONS)
            try:
                self._stream(channel)
            except grpc.RpcError:
                self._closed.wait(0.1)
            finally:
                channel.close()

    def _stream(self, channel: grpc.Channel) -> None:
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        create = rpc.WatchCreateRequest(key=b"\0", range_end=b"\0", start_revision=self.revision + 1)
        requests.put(rpc.WatchRequest(create_request=create))
        self._call = call = stubs.WatchStub(channel).Watch(iter(requests.get, None))
        try:
            for reply in call:
                if reply.compact_revision or reply.canceled:
                    self.gap = f"The recorder missed history: {reply.cancel_reason} {reply.compact_revision}"
                    return
                for event in reply.events:
                    self._note(event)
                if reply.events:
                    self.revision = reply.events[-1].kv.mod_revision
        finally:
            requests.put(None)
            call.cancel()

    def _note(self, event: Any) -> None:
        kv = event.kv
        removed = event.type == 1
        noted = Event(kv.mod_revision, time.time(), kv.key.decode(), None if removed else kv.value.decode(), kv.create_revision)
        self.events.append(noted)
        self._heard(noted)
