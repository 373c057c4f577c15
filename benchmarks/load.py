"""The load generator: a process of its own that shares no code with what it loads.

It reads a plan from standard input, one JSON document::

    {"etcd": "127.0.0.1:2379", "timeout": 600, "writes": [[0.0, "/config/…", "…value…" or null, 3], …]}

writes every value *seconds after the start* (what is due at once goes out in batches), and waits until
each resource's state record names the version (the last element; null: until the state is gone). It
prints ``{"started": …, "written": {key: time}, "reported": {key: time}}``, times by the wall clock.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

_BATCH = 64
"""Writes in one transaction, when many are due at once."""


class Reports:
    """When each state record came to name the version that is waited for."""

    def __init__(
        self, channel: grpc.Channel, expected: dict[str, int | None], revision: int
    ) -> None:
        self.at: dict[str, float] = {}
        self.complete = threading.Event()
        self._expected = expected
        self._closing = threading.Event()
        request = rpc.WatchCreateRequest(
            key=b"/state/", range_end=b"/state0", start_revision=revision
        )
        self._events = stubs.WatchStub(channel).Watch(self._requests(request))
        threading.Thread(target=self._listen, daemon=True).start()

    def _requests(self, first: Any) -> Iterator[Any]:
        yield rpc.WatchRequest(create_request=first)
        self._closing.wait()

    def _listen(self) -> None:
        missing = dict(self._expected)
        for reply in self._events:
            now = time.time()
            for event in reply.events:
                key = event.kv.key.decode()
                if key not in missing:
                    continue
                version = None if event.type else json.loads(event.kv.value)["version"]
                if version == missing[key]:
                    del missing[key]
                    self.at[key] = now
            if not missing:
                self.complete.set()
                return


def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Write what the plan says and wait for what follows."""
    channel = grpc.insecure_channel(
        plan["etcd"], options=[("grpc.max_receive_message_length", 64 << 20)]
    )
    kv = stubs.KVStub(channel)
    writes = sorted(plan["writes"], key=lambda write: write[0])
    # A plan may write the same key often: the last version is waited for.
    expected = {
        "/state/" + key.removeprefix("/config/"): version
        for _, key, _, version in writes
        if version != 0
    }
    revision = kv.Range(rpc.RangeRequest(key=b"/", count_only=True)).header.revision + 1
    reports = Reports(channel, expected, revision)
    started = time.time()
    written: dict[str, float] = {}
    position = 0
    while position < len(writes):
        wait = started + writes[position][0] - time.time()
        if wait > 0:
            time.sleep(wait)  # the load's own rhythm
        due = time.time() - started
        batch: list[Any] = []
        seen: set[str] = set()
        while (
            position < len(writes)
            and len(batch) < _BATCH
            and writes[position][0] <= due
            and writes[position][1] not in seen
        ):
            batch.append(writes[position])
            seen.add(writes[position][1])
            position += 1
        now = time.time()
        kv.Txn(rpc.TxnRequest(success=[_operation(key, value) for _, key, value, _ in batch]))
        written |= {"/state/" + key.removeprefix("/config/"): now for _, key, _, _ in batch}
    complete = reports.complete.wait(plan.get("timeout", 600)) if expected else True
    return {"started": started, "written": written, "reported": reports.at, "complete": complete}


def _operation(key: str, value: str | None) -> Any:
    if value is None:
        return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key.encode()))
    return rpc.RequestOp(request_put=rpc.PutRequest(key=key.encode(), value=value.encode()))


if __name__ == "__main__":
    gc.disable()  # short-lived, and a pause would be taken for theirs
    json.dump(run(json.load(sys.stdin)), sys.stdout)
