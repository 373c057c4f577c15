"""Stands in for a bridge: for every config that is written, one message; nothing is remembered.

``python -m benchmarks.floor.sender chain|task|loop SLOTS``; *loop* does the work itself, in processes
without Celery.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from typing import Any

from etcd3.etcdrpc import rpc_pb2 as rpc

from . import work

_FOLDER = b"/config/v1/nodes/"


def configs(doors: work.Doors) -> Iterator[str]:
    """The names of the nodes that are written from now on."""
    create = rpc.WatchCreateRequest(key=_FOLDER, range_end=_FOLDER[:-1] + b"0")
    gate = multiprocessing.Event()

    def requests() -> Iterator[Any]:
        yield rpc.WatchRequest(create_request=create)
        gate.wait()

    for reply in doors.watch.Watch(requests()):
        if reply.created:
            print("watching", flush=True)
        for event in reply.events:
            yield event.kv.key.removeprefix(_FOLDER).decode()


def _slot(names: multiprocessing.SimpleQueue[str]) -> None:
    doors = work.Doors()
    while True:
        tenant, name, stack, version = work.submit(doors, names.get())
        outputs = work.wait(doors, tenant, name, stack)
        assert outputs is not None, "for stacks that Heat builds at once"
        work.record(doors, name, version, outputs)


def _loop(slots: int) -> Callable[[str], object]:
    context = multiprocessing.get_context("spawn")
    names: multiprocessing.SimpleQueue[str] = context.SimpleQueue()
    for _ in range(slots):
        context.Process(target=_slot, args=(names,), daemon=True).start()
    return names.put


def main() -> None:
    kind, slots = sys.argv[1], int(sys.argv[2])
    if kind == "loop":
        send = _loop(slots)
    else:
        from . import app

        send = app.send if kind == "chain" else app.everything.delay
    for name in configs(work.Doors()):
        send(name)


if __name__ == "__main__":
    main()
