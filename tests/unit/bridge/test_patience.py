"""A deletion waits its time for others, and that time counts only while the bridge listens."""

from __future__ import annotations

import pytest

from tests.doubles import ManualClock
from tests.factories import network, port
from tests.unit.system.bench import Bench

N1, P1 = network(), port()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def bench(clock: ManualClock) -> Bench:
    """A port that was built from a network, which is to be deleted."""
    bench = Bench(clock.clock, patience=5.0)
    bench.put(N1)
    bench.put(P1, network_id="n1")
    bench.quiet()
    bench.mark(N1)
    bench.settle()
    assert N1 in bench.held()
    return bench


def decide(bench: Bench, clock: ManualClock, after: float) -> bool:
    """Whether the deletion has begun *after* so many seconds more."""
    clock.now += after
    bench.world.touch(N1)
    bench.settle()
    return any(job.ref == N1 for job in bench.world.graph.jobs.values())


def test_it_ends(bench: Bench, clock: ManualClock) -> None:
    assert not decide(bench, clock, 4.0)
    assert decide(bench, clock, 2.0)


def test_it_begins_anew_when_nobody_was_listening(bench: Bench, clock: ManualClock) -> None:
    clock.now += 60.0  # the process was stopped
    bench.reconciler.begin_patience_anew()
    bench.settle()

    assert not decide(bench, clock, 4.0)
    assert decide(bench, clock, 2.0)


def test_what_was_written_meanwhile_is_seen_first(bench: Bench, clock: ManualClock) -> None:
    clock.now += 60.0
    bench.reconciler.begin_patience_anew()
    bench.mark(P1)
    bench.settle()

    deletions = {job.ref: job for job in bench.world.graph.jobs.values()}
    assert deletions.keys() == {N1, P1}
    assert deletions[P1].id in deletions[N1].dependency
