"""What /health and /live say, state by state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from orchestrator.bridge import health
from orchestrator.bridge.health import HANGS, TAKEOVER_HANGS, Health
from orchestrator.views.health import LOOP_SILENCE, STANDBY_SILENCE, WATCH_SILENCE

from tests.doubles import MemoryStore


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(health, "time", clock)
    return clock


def leading(told: Health) -> None:
    told.leading(MemoryStore().watch((), 1))


STATES: list[tuple[Callable[[Health], None], float, float]] = [
    (Health.standing_by, STANDBY_SILENCE, HANGS),
    (Health.taking_over, float("inf"), TAKEOVER_HANGS),
    (leading, LOOP_SILENCE, HANGS),
]


@pytest.mark.parametrize(
    ("enter", "well_for", "lives_for"), STATES, ids=["standby", "taking over", "leader"]
)
def test_silence_is_a_fault_long_before_a_restart_would_help(
    clock: Clock, enter: Callable[[Health], None], well_for: float, lives_for: float
) -> None:
    told = Health()
    enter(told)
    clock.now += min(well_for, lives_for) - 1
    assert (told.fault(), told.hangs()) == ("", "")
    clock.now += 2
    assert bool(told.fault()) == (well_for < lives_for)
    clock.now += lives_for

    assert told.hangs()


def test_a_bridge_that_waits_for_its_types_does_not_hang(clock: Clock) -> None:
    told = Health()
    clock.now += 1_000_000

    assert (told.role, told.fault(), told.hangs()) == ("starting", "", "")


@pytest.mark.parametrize("recovers", [Health.heard, leading], ids=["standby", "leader"])
def test_trouble_with_etcd_is_told_until_etcd_has_answered(
    clock: Clock, recovers: Callable[[Health], None]
) -> None:
    told = Health()
    leading(told)
    told.troubled("etcd refuses us")
    told.standing_by()
    assert (told.role, told.fault()) == ("standby", "etcd refuses us")
    recovers(told)

    assert told.fault() == ""


def test_a_deaf_watch_is_a_fault_though_the_loop_comes_round(clock: Clock) -> None:
    told = Health()
    watch = MemoryStore().watch((), 1)
    watch.silent_for = WATCH_SILENCE + 1
    told.leading(watch)

    assert "watch has been silent" in told.fault()
    assert told.hangs() == ""
