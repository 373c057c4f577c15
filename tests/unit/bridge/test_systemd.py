"""What systemd is told, state by state."""

from __future__ import annotations

import pytest
from orchestrator.bridge.health import Health
from orchestrator.bridge.systemd import PAUSE, Supervision, lines, supervision

from tests.doubles import MemoryStore

PID = 4711


class Hung(Health):
    def hangs(self) -> str:
        return "the loop has not come round for 121 s"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"NOTIFY_SOCKET": ""}, None),
        ({"NOTIFY_SOCKET": "/run/systemd/notify"}, Supervision("/run/systemd/notify")),
        ({"NOTIFY_SOCKET": "@abstract"}, Supervision("\0abstract")),
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, None),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "30000000"}, Supervision("/s", 30.0)),
        (
            {"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "4711"},
            Supervision("/s", 1.0),
        ),
        (
            {"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
            Supervision("/s"),
        ),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "soon"}, Supervision("/s")),
    ],
)
def test_the_environment_says_what_systemd_wants(
    environ: dict[str, str], expected: Supervision | None
) -> None:
    assert supervision(environ, PID) == expected


@pytest.mark.parametrize("watchdog", [0.0, 0.5, 30.0])
def test_a_watchdog_is_fed_at_least_twice_in_its_time(watchdog: float) -> None:
    pause = Supervision("/s", watchdog).pause

    assert 0 < pause <= PAUSE
    assert not watchdog or pause <= watchdog / 2


def test_a_bridge_that_starts_is_not_ready_and_feeds_the_watchdog() -> None:
    assert lines(Health(), ready=False, stopping=False) == ["STATUS=starting", "WATCHDOG=1"]


def test_a_bridge_that_waits_for_its_types_says_why() -> None:
    health = Health()
    health.schemas("http://gohan:9091 does not answer", refused=False)

    said = lines(health, ready=False, stopping=False)

    assert said == ["STATUS=starting: http://gohan:9091 does not answer", "WATCHDOG=1"]


def test_a_bridge_that_stands_by_is_ready() -> None:
    health = Health()
    health.standing_by()

    assert "READY=1" in lines(health, ready=False, stopping=False)
    assert "READY=1" not in lines(health, ready=True, stopping=False)


def test_a_bridge_that_leads_says_so() -> None:
    health = Health()
    health.leading(MemoryStore().watch((), 1))

    assert lines(health, ready=True, stopping=False) == ["STATUS=leader", "WATCHDOG=1"]


def test_a_bridge_without_etcd_is_ready_and_feeds_the_watchdog() -> None:
    health = Health()
    health.troubled("etcd at etcd1:2379:\nunreachable")

    said = lines(health, ready=False, stopping=False)

    assert said == ["STATUS=standby: etcd at etcd1:2379: unreachable", "READY=1", "WATCHDOG=1"]


def test_a_bridge_whose_loop_hangs_does_not_feed_the_watchdog() -> None:
    health = Hung()
    health.leading(MemoryStore().watch((), 1))

    said = lines(health, ready=True, stopping=False)

    assert said == ["STATUS=leader: the loop has not come round for 121 s"]


def test_a_bridge_that_stops_says_so() -> None:
    health = Health()
    health.standing_by()

    assert "STOPPING=1" in lines(health, ready=True, stopping=True)
