"""What posts jobs: it watches the config records in etcd and puts one job on the board for each that is written.

It plays our bridge's part in as few lines as will do: it keeps no order, no leader and no memory. With
persistence each job has its logbook saved first, as Octavia's ``run_poster`` does it (Octavia then waits for
all jobs on the board, and opens database and board anew for each job: neither is done here).
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator
from typing import Any

import work
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs
from oslo_utils import uuidutils
from taskflow import engines
from taskflow.jobs.base import JobBoard
from taskflow.persistence import models
from taskflow.persistence.base import Backend


def post(board: JobBoard, persistence: Backend | None, name: str) -> None:
    details = {"store": {"name": name}}
    if persistence is None:
        board.post(name, details=details)
        return
    book = models.LogBook(name)
    detail = models.FlowDetail(name, uuidutils.generate_uuid())
    book.add(detail)
    with contextlib.closing(persistence.get_connection()) as connection:
        connection.save_logbook(book)
    engines.save_factory_details(detail, work.flow, (), {}, backend=persistence)
    board.post(name, book=book, details=details)


def written() -> Iterator[str]:
    """The name of each node whose config is written from now on."""
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    prefix = work.NODES.encode()
    end = prefix[:-1] + bytes([prefix[-1] + 1])
    requests.put(rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=prefix, range_end=end)))
    for reply in stubs.WatchStub(work.channel()).Watch(iter(requests.get, None)):
        if reply.created:
            print("watching", flush=True)
        for event in reply.events:
            if event.type == 0:  # a put
                yield event.kv.key[len(prefix) :].decode()


def main() -> None:
    persistence = work.persistence()
    if persistence is not None:
        with contextlib.closing(persistence.get_connection()) as connection:
            connection.upgrade()
    board = work.board(persistence)
    for name in written():
        post(board, persistence, name)


if __name__ == "__main__":
    main()
