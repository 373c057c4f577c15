"""Claims of one process hang on one lease, until a chain gives them up."""

from __future__ import annotations

import threading
from typing import Any

from orchestrator.clients.store import Lease
from orchestrator.testing import MemoryStore
from tasks.context import WorkerContext
from tests import factories


def context() -> WorkerContext:
    doubles: dict[str, Any] = {"heat": None, "queue": None, "targets": None}
    return WorkerContext(keys=factories.keys(), store=MemoryStore(), templates={}, **doubles)


def in_a_thread(work: Any) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def test_chains_share_a_lease() -> None:
    worker = context()

    assert worker.lease() is in_a_thread(worker.lease)


def test_the_next_chain_claims_on_a_new_lease() -> None:
    worker = context()
    worker.begin_chain()
    first = worker.lease()
    worker.give_up_claims()

    assert not first.alive
    assert worker.lease().alive


def test_a_chain_that_claimed_nothing_gives_nothing_up() -> None:
    worker = context()
    others = worker.lease()
    worker.begin_chain()
    worker.give_up_claims()

    assert others.alive


def test_a_chain_whose_lease_is_over_leaves_that_of_the_others() -> None:
    """With a pool of threads: one fails and gives the lease up, and so in turn does a second that claimed on it."""
    worker = context()
    worker.begin_chain()
    worker.lease()

    def another() -> Lease:
        worker.begin_chain()
        worker.lease()
        worker.give_up_claims()
        worker.begin_chain()
        return worker.lease()

    fresh: Lease = in_a_thread(another)
    worker.give_up_claims()

    assert fresh.alive
