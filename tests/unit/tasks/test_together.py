"""Chains side by side: what they read and write goes to etcd together, and none notices the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from orchestrator.clients.store import KeyValue, Lease
from orchestrator.core.transactions import Transaction, absent
from orchestrator.errors import StoreRefused, StoreUnavailable
from tasks.together import GatheringStore, Turns, pool

from tests.doubles import MemoryStore

Chain = Callable[[GatheringStore], Any]
LONG = 30.0
"""Patience in seconds that no test waits for."""


class Counted(MemoryStore):
    """Remembers each call, and may be made to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Transaction] = []
        self.read: list[Sequence[str]] = []
        self.trouble: dict[str, Exception] = {}
        """What is raised when a transaction writes this key."""

    def commit_and_read(
        self, transaction: Transaction, keys: Sequence[str], lease: Lease | None = None
    ) -> tuple[int, Mapping[str, KeyValue]]:
        self.written.append(transaction)
        for key, error in self.trouble.items():
            if key in transaction.puts:
                raise error
        return super().commit_and_read(transaction, keys, lease)

    def get_many(self, keys: Sequence[str], *, revision: int = 0) -> Mapping[str, KeyValue]:
        self.read.append(keys)
        return super().get_many(keys, revision=revision)


@pytest.fixture
def store() -> Counted:
    return Counted()


def beside(store: Counted, *chains: Chain, patience: float = LONG) -> list[Any]:
    """Run chains side by side; what each returns or raises."""
    gathering = GatheringStore(store, len(chains), patience)

    def run(chain: Chain) -> Any:
        with gathering.chain():
            try:
                return chain(gathering)
            except Exception as error:
                return error

    with ThreadPoolExecutor(len(chains)) as threads:
        return list(threads.map(run, chains))


def put(key: str, value: str = "v", *requires: Any) -> Chain:
    return lambda store: store.commit(Transaction(requires, {key: value}))


def test_what_all_write_is_one_transaction(store: Counted) -> None:
    revisions = beside(store, *(put(f"/{n}") for n in range(8)))

    assert len(store.written) == 1
    assert set(store.written[0].puts) == {f"/{n}" for n in range(8)}
    assert len(set(revisions)) == 1
    assert revisions[0] > 0


def test_what_all_read_is_one_reading(store: Counted) -> None:
    for n in range(8):
        store.put(f"/{n}", str(n))
    found = beside(
        store,
        *(lambda store, n=n: store.get_many([f"/{n}", "/none"])[f"/{n}"].value for n in range(8)),
    )

    assert found == [str(n).encode() for n in range(8)]
    assert len(store.read) == 1


def test_each_phase_is_a_transaction(store: Counted) -> None:
    def chain(name: str) -> Chain:
        return lambda store: [
            store.commit(Transaction(puts={f"/{name}/{n}": ""})) for n in range(3)
        ]

    beside(store, *map(chain, "abcd"))

    assert [len(transaction.puts) for transaction in store.written] == [4, 4, 4]


def test_who_is_over_is_not_waited_for(store: Counted) -> None:
    beside(store, put("/a"), lambda store: None, put("/b"))

    assert [set(transaction.puts) for transaction in store.written] == [{"/a", "/b"}]


def test_a_requirement_that_does_not_hold_concerns_nobody_else(store: Counted) -> None:
    store.put("/b", "before")
    a, b, c = beside(
        store,
        put("/a", "v", absent("/a")),
        put("/b", "v", absent("/b")),
        put("/c", "v", absent("/c")),
    )

    assert b == 0
    assert a > 0
    assert c > 0
    assert {key: store.get(key).value for key in ("/a", "/b", "/c")} == {  # type: ignore[union-attr]
        "/a": b"v",
        "/b": b"before",
        "/c": b"v",
    }


def test_one_that_etcd_refuses_concerns_nobody_else(store: Counted) -> None:
    store.trouble["/b"] = StoreRefused("too large")
    a, b, c = beside(store, put("/a"), put("/b"), put("/c"))

    assert isinstance(b, StoreRefused)
    assert a > 0
    assert c > 0


def test_an_etcd_that_is_away_is_told_to_everybody_and_asked_once(store: Counted) -> None:
    """Whether the transaction was performed is not known, so it is not repeated."""
    store.trouble["/b"] = StoreUnavailable("away")
    found = beside(store, put("/a"), put("/b"), put("/c"))

    assert [type(error) for error in found] == [StoreUnavailable] * 3
    assert len({id(error) for error in found}) == 3
    assert len(store.written) == 1


def test_who_writes_the_same_key_does_it_one_after_the_other(store: Counted) -> None:
    revisions = beside(store, put("/a", "1"), put("/a", "2"))

    assert len(set(revisions)) == 2
    assert len(store.written) == 2


def test_a_claim_hangs_on_the_lease_in_company_too(store: Counted) -> None:
    lease = store.lease(10)

    def claim(key: str) -> Chain:
        return lambda store: store.commit(
            Transaction(puts={key: ""}, leased=frozenset({key})), lease
        )

    beside(store, claim("/a"), claim("/b"), put("/c"))
    assert len(store.written) == 1
    store.expire(lease)

    assert [kv.key for kv in store.list("/")[1]] == ["/c"]


def test_who_waits_for_heat_holds_nobody_up(store: Counted) -> None:
    answered = threading.Event()

    def slow(store: GatheringStore) -> int:
        assert answered.wait(LONG)
        return store.commit(Transaction(puts={"/slow": ""}))

    def quick(key: str) -> Chain:
        def chain(store: GatheringStore) -> int:
            revision = store.commit(Transaction(puts={key: ""}))
            if key == "/b":
                answered.set()
            return revision

        return chain

    slow_one, a, b = beside(store, slow, quick("/a"), quick("/b"), patience=0.02)

    assert slow_one > max(a, b)


def test_a_defect_is_told_to_the_one_who_has_it(store: Counted) -> None:
    store.trouble["/b"] = ZeroDivisionError("a defect")
    (found,) = beside(store, put("/b"))

    assert isinstance(found, ZeroDivisionError)


def test_quick_threads_take_turns() -> None:
    turns, running, most = Turns(LONG), [0], [0]

    def run(_: int) -> None:
        turns.take()
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.001)  # gives Python's lock to the others
        running[0] -= 1
        turns.give()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(run, range(32)))

    assert most == [1]


def test_nobody_waits_for_a_slow_one_for_long() -> None:
    turns = Turns(0.01)
    everybody = threading.Barrier(4, timeout=10)

    def run(_: int) -> int:
        turns.take()
        arrived = everybody.wait()  # only if all four run at the same time
        turns.give()
        return arrived

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(run, range(4))) == [0, 1, 2, 3]
    turns.take()
    turns.give()


def test_when_time_is_over_nothing_more_is_written(store: Counted) -> None:
    gathering = GatheringStore(store, 1)
    with gathering.chain():
        assert gathering.commit(Transaction(puts={"/a": ""}))
        gathering.stop()
        with pytest.raises(StoreUnavailable):
            gathering.commit(Transaction(puts={"/b": ""}))
        with pytest.raises(StoreUnavailable):
            gathering.get_many(["/a"])

    assert [kv.key for kv in store.list("/")[1]] == ["/a"]


def test_there_is_a_thread_for_every_chain() -> None:
    """Messages that run at the same time, as with a pool of threads, do not wait for each other's chains."""
    everybody = threading.Barrier(40, timeout=20)
    chains = [pool().submit(everybody.wait) for _ in range(40)]

    assert sorted(chain.result() for chain in chains) == list(range(40))
