"""What /health and /live say, state by state."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from typing import Any

import pytest
from orchestrator.bridge.health import HANGS, TAKEOVER_HANGS, Health, serve
from orchestrator.views.health import LOOP_SILENCE, STANDBY_SILENCE, WATCH_SILENCE

from tests.doubles import ManualClock, MemoryStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


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
    clock: ManualClock, enter: Callable[[Health], None], well_for: float, lives_for: float
) -> None:
    told = Health(clock.clock)
    enter(told)
    clock.now += min(well_for, lives_for) - 1
    assert (told.fault(), told.hangs()) == ("", "")
    clock.now += 2
    assert bool(told.fault()) == (well_for < lives_for)
    clock.now += lives_for

    assert told.hangs()


def test_a_bridge_that_waits_for_its_types_does_not_hang(clock: ManualClock) -> None:
    told = Health(clock.clock)
    clock.now += 1_000_000

    assert (told.role, told.fault(), told.hangs()) == ("starting", "", "")


@pytest.mark.parametrize("recovers", [Health.heard, leading], ids=["standby", "leader"])
def test_trouble_with_etcd_is_told_until_etcd_has_answered(
    clock: ManualClock, recovers: Callable[[Health], None]
) -> None:
    told = Health(clock.clock)
    leading(told)
    told.troubled("etcd refuses us")
    told.standing_by()
    assert (told.role, told.fault()) == ("standby", "etcd refuses us")
    recovers(told)

    assert told.fault() == ""


def test_a_deaf_watch_is_a_fault_though_the_loop_comes_round(clock: ManualClock) -> None:
    told = Health(clock.clock)
    watch = MemoryStore().watch((), 1)
    watch.silent_for = WATCH_SILENCE + 1
    told.leading(watch)

    assert "watch has been silent" in told.fault()
    assert told.hangs() == ""


def test_the_pages_say_what_is_wrong_and_a_wrong_path_is_told_the_right_ones(
    clock: ManualClock,
) -> None:
    told = Health(clock.clock)
    told.troubled("etcd is away")
    told.tell("deletions", "2 deletions are held")
    server = serve(told, "127.0.0.1", 0)
    fault = {"role": "standby", "fault": "etcd is away"}
    try:
        asked = partial(_page, server.server_address[1])
        assert asked("/health") == (503, {**fault, "note": "2 deletions are held"})
        assert asked("/live") == (200, {"role": "standby", "fault": ""})
        assert asked("/") == (404, "/health /live /metrics\n")
        status, text = asked("/metrics")
        assert status == 200 and "orchestrator_leading 0.0" in text
    finally:
        server.shutdown()
        server.server_close()


def _page(port: int, path: str) -> tuple[int, Any]:
    """The status and the body, read where it is JSON."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.headers["Content-Type"] == "application/json":
            return answer.status, json.loads(text)
        return answer.status, text
