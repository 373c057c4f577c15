"""What it costs to judge one resource: the same, however many others there are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from orchestrator.clients.store import Event, KeyValue, Watch
from orchestrator.core.jobs import Action
from orchestrator.core.keys import Keys
from orchestrator.core.records import Poll, Run, Step
from orchestrator.core.refs import Ref
from orchestrator.core.transactions import Transaction
from orchestrator.views.following import follow
from orchestrator.views.outlook import Goal, until
from orchestrator.views.reading import FEW, read_all, read_one, read_some
from orchestrator.views.resource import records, resource
from orchestrator.views.standings import Phase, Progress

from tests.doubles import MemoryStore

from .conftest import Records

NET, SUB, PORT = Ref("network", "n"), Ref("subnet", "s"), Ref("port", "p")


class CountingStore(MemoryStore):
    """Counts the keys that are asked for and answered."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0
        self.told = 0
        """Events that a watch has brought."""

    def get(self, key: str) -> KeyValue | None:
        self.read += 1
        return super().get(key)

    def get_many(self, keys: Sequence[str], *, revision: int = 0) -> Mapping[str, KeyValue]:
        self.read += len(keys)
        return super().get_many(keys, revision=revision)

    def list(
        self, prefix: str, *, revision: int = 0, keys_only: bool = False
    ) -> tuple[int, list[KeyValue]]:
        at, found = super().list(prefix, revision=revision, keys_only=keys_only)
        self.read += 1 + len(found)
        return at, found

    def scan(self, prefix: str, revision: int) -> Iterator[KeyValue]:
        for kv in super().scan(prefix, revision):
            self.read += 1
            yield kv

    def watch(  # type: ignore[override]
        self,
        prefixes: Iterable[str],
        revision: int,
        later: Mapping[str, int] | None = None,
    ) -> Watch:
        return CountingWatch(self, super().watch(prefixes, revision, later))


class CountingWatch:
    """Counts what a watch brings."""

    silent_for = 0.0

    def __init__(self, store: CountingStore, watch: Watch) -> None:
        self._store, self._watch = store, watch

    def __iter__(self) -> Iterator[Sequence[Event]]:
        for events in self._watch:
            self._store.told += len(events)
            yield events

    @property
    def reached(self) -> Mapping[str, int]:
        return self._watch.reached

    def close(self) -> None:
        self._watch.close()


@pytest.fixture
def counted(keys: Keys) -> Records:
    return Records(CountingStore(), keys)


def store_of(there: Records) -> CountingStore:
    assert isinstance(there.store, CountingStore)
    return there.store


def build(there: Records, ref: Ref) -> None:
    incarnation = there.config(ref)
    body = {"id": ref.id, "tenant_id": "t1"}
    there.handle(ref, 1, incarnation, references={"network_id": (NET,)}, body=body)
    there.report(ref)


def crowd(there: Records, number: int) -> None:
    """Other resources, most of them with ids that begin as the port's does, with jobs and runs."""
    for place in range(number):
        ref = Ref("port", f"p{place}")
        there.config(ref)
        there.handle(ref, 1, 1, references={"network_id": (NET,)})
        there.job(ref, run=Run(Step.IN_HEAT))


def waits_for_two(there: Records) -> None:
    """The port's job waits for that of its subnet, which waits for that of its network."""
    for ref in (NET, SUB, PORT):
        there.config(ref)
    network = there.job(NET, run=Run(Step.IN_HEAT))
    there.job(PORT, there.job(SUB, network))


def complete(there: Records) -> None:
    build(there, NET)
    build(there, PORT)


def fails_with_its_network(there: Records) -> None:
    for ref in (NET, PORT):
        there.config(ref)
    there.report(NET, error="quota")
    there.report(PORT, error="because of it", root=NET)


SITUATIONS = [
    pytest.param(complete, Phase.COMPLETE, id="complete"),
    pytest.param(waits_for_two, Phase.WAITING, id="waits for two"),
    pytest.param(fails_with_its_network, Phase.FAILED, id="fails with its network"),
]


@pytest.mark.parametrize(("write", "phase"), SITUATIONS)
def test_get_of_one_resource_reads_as_many_keys_among_ten_as_among_thousands(
    keys: Keys, write: Callable[[Records], object], phase: Phase
) -> None:
    costs = []
    for others in (10, 2_000):
        there = Records(CountingStore(), keys)
        write(there)
        crowd(there, others)
        store_of(there).read = 0

        found = read_one(there.store, there.keys, PORT)
        shown = resource(found, Progress(found), PORT), records(found, PORT)

        costs.append(store_of(there).read)
        assert shown[0].standing.phase is phase
        everything = read_all(there.store, there.keys)
        assert shown == (
            resource(everything, Progress(everything), PORT),
            records(everything, PORT),
        )

    assert costs[0] == costs[1]
    assert costs[0] < 120


def test_waiting_for_one_resource_reads_and_hears_of_no_other(keys: Keys) -> None:
    costs = []
    for others in (10, 2_000):
        there = Records(CountingStore(), keys)
        there.config(PORT)
        crowd(there, others)
        store, writers = store_of(there), list[threading.Thread]()

        def report(there: Records = there, others: int = others) -> None:
            """Many others change, then the one that is waited for."""
            for place in range(others):
                there.put(there.keys.state, Ref("port", f"q{place}"), "{}")
            there.report(PORT)

        def tell(*_: object) -> None:
            if not writers:  # noqa: B023
                writers.append(threading.Thread(target=report))  # noqa: B023
                writers[0].start()  # noqa: B023

        store.read = 0
        found = until(there.store, there.keys, Goal([PORT]), 30, tell)
        writers[0].join()

        assert [good.ref for good in found.good] == [PORT]
        costs.append((store.read, store.told))

    few, many = costs
    # Every two quiet seconds the store is asked for a sign of life.
    assert many[0] - few[0] < 5
    assert few[0] < 150
    assert few[1] == many[1] == 2


def test_what_it_comes_to_wait_for_is_read_when_it_does(counted: Records) -> None:
    counted.config(PORT)
    counted.config(NET)
    with follow(counted.store, counted.keys, [PORT]) as follower:
        assert NET not in follower.snapshot.wanted
        network = counted.job(NET)
        counted.job(PORT, network)
        while Progress(follower.snapshot).of(PORT).phase is not Phase.WAITING:
            assert follower.next(5)

        counted.end(network)
        while Progress(follower.snapshot).of(PORT).phase is not Phase.RUNNING:
            assert follower.next(5)


def test_a_resource_that_moves_to_another_project_is_followed_there(counted: Records) -> None:
    counted.config(PORT)
    with follow(counted.store, counted.keys, [PORT]) as follower:
        counted.config(PORT, 2, tenant_id="t2")
        counted.store.put(counted.keys.poll("t2"), Poll(failures=1).to_json())
        while "t2" not in follower.snapshot.polls:
            assert follower.next(5)


def test_a_snapshot_of_one_resource_is_of_one_moment(counted: Records) -> None:
    """Everything changes after the first answer of the store: nothing of that is in the snapshot."""
    waits_for_two(counted)
    store = store_of(counted)
    listing = store.list

    def change_after_the_first(prefix: str, **more: Any) -> tuple[int, list[KeyValue]]:
        found = listing(prefix, **more)
        for ref in (NET, SUB, PORT):
            counted.config(ref, 2)
            store.commit(Transaction(deletes=tuple(kv.key for kv in listing(counted.keys.jobs)[1])))
        return found

    store.list = change_after_the_first  # type: ignore[method-assign]
    found = read_some(store, counted.keys, [PORT])

    assert Progress(found).of(PORT).phase is Phase.WAITING
    assert [found.wanted[ref].version for ref in (NET, SUB, PORT)] == [1, 1, 1]


def test_what_is_deleted_is_followed_until_nothing_is_left(counted: Records) -> None:
    complete(counted)
    counted.store.delete(counted.keys.below(counted.keys.config, PORT))
    job = counted.job(PORT, action=Action.DELETE, run=Run(Step.IN_HEAT))

    def end(*_: object) -> None:
        counted.end(job)
        counted.store.delete(counted.keys.run("t1", job))
        for folder in (counted.keys.state, counted.keys.stacks, counted.keys.handled):
            counted.store.delete(counted.keys.below(folder, PORT))

    found = until(counted.store, counted.keys, Goal([PORT], gone=True), 30, end)

    assert found.over and not found.bad


def test_many_resources_are_read_by_folder(counted: Records) -> None:
    crowd(counted, FEW + 1)
    refs = [Ref("port", f"p{place}") for place in range(FEW + 1)]
    build(counted, PORT)

    assert PORT in read_some(counted.store, counted.keys, refs).wanted
    assert PORT not in read_some(counted.store, counted.keys, refs[:FEW]).wanted
