"""What becomes of the leadership after trouble with etcd, and what /health says meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import pytest
from orchestrator.bridge.health import Health
from orchestrator.bridge.leader import Leadership, LeadershipLost
from orchestrator.bridge.leading import Leading
from orchestrator.clients.store import Compacted, HistoryChanged
from orchestrator.errors import StoreForbidden, StoreUnavailable

from tests import factories
from tests.doubles import ManualClock, MemoryStore

KEYS = factories.keys()
Step = Callable[[], None]


class ScriptedTerm:
    """Does one thing, then stops the bridge or raises what it is told to."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def run(self, stopping: threading.Event, health: Health) -> None:
        health.leading(MemoryStore().watch((), 1))
        self._step()


class Bridge:
    """A bridge whose terms follow a script; *leaders* are the creations of the leader's key, term
    by term."""

    def __init__(self, *steps: Step) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock()
        self.health = Health(self.clock.clock)
        self.stopping = threading.Event()
        self.leaders: list[int] = []
        self.faults: list[str] = []
        self._steps = list(steps)

    def begin(self, leadership: Leadership) -> Any:
        self.faults.append(self.health.fault())
        found = self.store.get(KEYS.leader)
        assert found is not None
        self.leaders.append(found.created)
        step = self._steps.pop(0) if self._steps else self.stopping.set
        return ScriptedTerm(step)

    def run(self) -> Sequence[int]:
        leading = Leading(
            self.store,
            KEYS,
            10,
            self.begin,
            self.health,
            clock=self.clock.clock,
            chance=self.clock.chance,
            few_collections=nullcontext,
        )
        leading.run(self.stopping)
        return self.leaders


def raising(error: Exception) -> Step:
    def step() -> None:
        raise error

    return step


@pytest.mark.parametrize(
    "error", [StoreUnavailable("no answer in time"), Compacted("history is gone")]
)
def test_trouble_costs_no_leadership(error: Exception) -> None:
    first, second = Bridge(raising(error)).run()

    assert first == second


def test_trouble_that_comes_again_soon_is_left_to_another_bridge() -> None:
    trouble = raising(StoreUnavailable("no answer in time"))
    first, second, third = Bridge(trouble, trouble).run()

    assert first == second < third


def test_history_that_is_compacted_again_and_again_costs_no_leadership() -> None:
    """Every second, while everything is read: another bridge would fare no better."""
    compacted = raising(Compacted("history is gone"))

    assert len(set(Bridge(compacted, compacted, compacted).run())) == 1


def test_trouble_that_comes_again_much_later_costs_no_leadership() -> None:
    def trouble() -> None:
        bridge.clock.pass_(60.0)
        raise StoreUnavailable("no answer in time")

    bridge = Bridge(trouble, trouble)
    first, second, third = bridge.run()

    assert first == second == third


@pytest.mark.parametrize(
    "error", [HistoryChanged("restored"), LeadershipLost("another bridge leads")]
)
def test_a_history_or_a_lead_that_is_lost_is_not_gone_on_with(error: Exception) -> None:
    first, second = Bridge(raising(error)).run()

    assert first < second


def test_the_pause_after_trouble_that_comes_again_grows() -> None:
    ends: list[float] = []

    def trouble() -> None:
        ends.append(bridge.clock.now)
        raise StoreUnavailable("no answer in time")

    bridge = Bridge(*[trouble] * 12)
    bridge.run()

    pauses = [after - before for before, after in pairwise(ends)]
    assert pauses[0] == 0.0, "the first time, a new term begins at once"
    assert 0.1 <= pauses[1] <= 0.3
    assert all(2.5 <= pause <= 7.5 for pause in pauses[-4:])


def test_nobody_leads_once_the_bridge_has_stopped() -> None:
    bridge = Bridge()
    bridge.run()

    assert bridge.store.get(KEYS.leader) is None


def test_a_right_that_is_missing_ends_nothing_and_is_told_until_it_is_back() -> None:
    bridge = Bridge(raising(StoreForbidden("etcd refuses us: permission denied")))
    told: list[str] = []
    troubled = bridge.health.troubled

    def listen(why: str) -> None:
        troubled(why)
        told.append(bridge.health.fault())

    bridge.health.troubled = listen  # type: ignore[method-assign]
    bridge.run()

    assert told == ["etcd refuses us: permission denied"]
    assert bridge.health.fault() == "", "the second term went well"
