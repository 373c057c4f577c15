"""Ten thousand stacks in twenty tenants, of which five hundred are altered in six ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import pytest
from orchestrator.clients.types import Types
from orchestrator.core.drift import SweepOrder
from orchestrator.core.records import Drift, Handled, StackRecord, Sweep
from orchestrator.core.refs import JobId, Ref
from orchestrator.core.stacks import Stack, tags
from tasks.claims import Claims
from tasks.context import WorkerContext
from tasks.sweeping import sweep

from tests import factories
from tests.doubles import MemoryHeat, MemoryStore, PlainRenderer, RecordingQueue

TENANTS = [f"t{number:02}" for number in range(20)]
EACH = 500
LATER = "2026-11-28T23:00:00Z"


class SweptCloud:
    """Stacks as workers have left them, and Heat as it shows them."""

    def __init__(self) -> None:
        self.keys = factories.keys()
        self.store, self.heat = MemoryStore(), MemoryHeat()
        self.requests = 0
        self.worker = WorkerContext(
            types=Types.fixed(self.store, self.keys),
            store=self.store,
            heat=self.heat,
            queue=RecordingQueue(),
            targets=None,  # type: ignore[arg-type]  # A sweep probes nothing.
            templates=factories.templates(),
            claims=Claims(self.store, 10),
            renderer=PlainRenderer(),
            drift_budget=0,  # The lists are what is counted.
        )
        self.refs: dict[str, list[Ref]] = {tenant: [] for tenant in TENANTS}
        numbers = count()
        for tenant in TENANTS:
            for _ in range(EACH):
                self.build(tenant, factories.network(f"n{next(numbers):05}"))

    def build(self, tenant: str, ref: Ref) -> None:
        """A stack that was created; every third was updated since."""
        updated, status = "", "CREATE_COMPLETE"
        if len(self.refs[tenant]) % 3 == 0:
            updated, status = self.heat.next_time(), "UPDATE_COMPLETE"
        job = JobId(f"create:heat_worker:{ref}:1:aaaaa")
        handled = Handled(1, 1, job, ref.type, tenant, sent=job)
        record = StackRecord.of(ref, tenant, status)
        for folder, value in ((self.keys.handled, handled), (self.keys.stacks, record)):
            self.store.put(self.keys.below(folder, ref), value.to_json())
        stack = Stack(f"id-{ref.id}", ref.stack_name, status, "", tuple(tags(job).split(",")))
        self.heat.put(tenant, replace(stack, updated=updated))
        self.refs[tenant].append(ref)

    def sweep(self) -> int:
        """One sweep of all tenants; how many lists Heat was asked for."""
        before = self.heat.lists
        for tenant in TENANTS:
            sweep(self.worker, SweepOrder(tenant, tuple(self.refs[tenant])).to_message())
        return self.heat.lists - before

    def found(self) -> dict[Ref, tuple[str, ...]]:
        """What differs, by resource."""
        found = {}
        for kv in self.store.list(self.keys.drift)[1]:
            ref = self.keys.ref(self.keys.drift, kv.key)
            drift = Drift.from_json(kv.value)
            if ref is not None and not drift.gone:
                found[ref] = tuple(kind.value for kind in drift.kinds)
        return found

    def stack(self, tenant: str, ref: Ref) -> Stack:
        return self.heat.stacks(tenant)[ref.stack_name]


@pytest.fixture(scope="module")
def cloud() -> SweptCloud:
    return SweptCloud()


Alter = Callable[[SweptCloud, str, Ref], Ref]


def _lose(cloud: SweptCloud, tenant: str, ref: Ref) -> Ref:
    cloud.heat.remove(ref.stack_name, tenant=tenant)
    return ref


def _change(**fields: object) -> Alter:
    def change(cloud: SweptCloud, tenant: str, ref: Ref) -> Ref:
        stack = cloud.stack(tenant, ref)
        cloud.heat.put(tenant, replace(stack, **fields))  # type: ignore[arg-type]
        return ref

    return change


def _add(cloud: SweptCloud, tenant: str, ref: Ref) -> Ref:
    stranger = Ref(ref.type, f"{ref.id}-other")
    cloud.heat.put(tenant, Stack(f"id-{stranger.id}", stranger.stack_name, "CREATE_COMPLETE"))
    return stranger


WAYS: dict[str, Alter] = {
    "lost": _lose,
    "unknown": _add,
    "status": _change(status="CHECK_FAILED"),
    "untagged": _change(tags=()),
    "updated": _change(status="UPDATE_COMPLETE", updated=LATER),
    "updated and untagged": _change(status="UPDATE_COMPLETE", updated=LATER, tags=()),
}


def altered(cloud: SweptCloud) -> Iterator[tuple[str, str, Ref]]:
    """Five hundred stacks, each with the way in which it is altered."""
    for tenant in TENANTS:
        for number, ref in enumerate(cloud.refs[tenant][: 500 // len(TENANTS)]):
            yield list(WAYS)[number % len(WAYS)], tenant, ref


def test_all_that_was_altered_is_found_and_nothing_else_with_few_lists(cloud: SweptCloud) -> None:
    assert [cloud.sweep() for _ in range(10)] == [len(TENANTS)] * 10
    assert cloud.found() == {}, "no false alarm in ten sweeps"

    expected = {
        WAYS[way](cloud, tenant, ref): tuple(way.split(" and ")[::-1])
        for way, tenant, ref in altered(cloud)
    }
    assert len(expected) == 500
    lists = cloud.sweep()

    assert cloud.found() == expected
    assert lists <= 30
    assert cloud.sweep() <= 30 and cloud.found() == expected
    assert cloud.heat.requests == [], "Heat was asked for nothing but lists"

    found = cloud.store.get(cloud.keys.sweep(TENANTS[0]))
    assert found is not None
    done = Sweep.from_json(found.value)
    assert (done.stacks, done.drifted, done.depth, done.reason) == (EACH, 25, 1, "")
