"""The leader measures how long jobs take, and keeps it in etcd for plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from orchestrator.bridge.durations import STORED_EVERY
from orchestrator.core.jobs import Action
from orchestrator.core.records import Durations
from orchestrator.core.refs import Ref
from orchestrator.core.stacks import Stack
from orchestrator.errors import HeatUnavailable

from tests.factories import network

from .driver import System, complete

TOOK = 2.0
"""Seconds that Heat takes for each stack."""
CREATED = ("network", Action.CREATE)


class SlowHeat:
    """Heat that takes its time, by the clock of the test."""

    def __init__(self) -> None:
        self.system: System
        self._begun: dict[str, float] = {}

    def __call__(self, stack: Stack) -> Mapping[str, Any] | None:
        now = self.system.clock.clock.monotonic()
        if now < self._begun.setdefault(f"{stack.id} {stack.action}", now) + TOOK:
            return None
        return complete(stack)


@pytest.fixture
def system() -> Iterator[System]:
    heat = SlowHeat()
    with System(outcome=heat) as running:
        heat.system = running
        yield running


def build(system: System, *refs: Ref) -> None:
    for ref in refs:
        system.put(ref)
    system.until(lambda: all(map(system.worker_state, refs)) and system.idle())


def kept(system: System) -> Durations | None:
    """What is in etcd after the leader has had time to write it."""
    system.clock.clock.sleep(STORED_EVERY)
    system.cycle()
    found = system.store.get(system.keys.durations)
    return Durations.from_json(found.value) if found else None


def test_complete_jobs_are_measured_by_type_and_action(system: System) -> None:
    build(system, network("n1"), network("n2"))
    system.put(network("n1"), 2)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)) and system.idle())

    found = kept(system)
    assert found is not None
    assert {kind: known.jobs for kind, known in found.kinds.items()} == {
        CREATED: 2,
        ("network", Action.MODIFY): 1,
    }
    for known in found.kinds.values():
        assert known.seconds == pytest.approx(TOOK, abs=0.5)
    assert 1.0 <= found.together <= 2.0


def test_the_next_leader_goes_on_with_what_was_measured(system: System) -> None:
    build(system, network("n1"))
    assert kept(system) is not None
    system.stop()
    system.start()
    build(system, network("n2"))

    found = kept(system)
    assert found is not None and found.kinds[CREATED].jobs == 2


def test_a_job_that_is_tried_again_is_measured_from_its_last_claim(system: System) -> None:
    system.heat.fail_next(HeatUnavailable("away"), on="create")
    build(system, network("n1"))

    found = kept(system)
    assert found is not None
    assert found.kinds[CREATED].seconds == pytest.approx(TOOK, abs=0.5)


def test_a_record_that_cannot_be_read_is_begun_anew(system: System) -> None:
    system.stop()
    system.store.put(system.keys.durations, "{}")
    system.start()
    build(system, network("n1"))

    found = kept(system)
    assert found is not None and found.jobs == 1


def test_nothing_is_written_while_no_job_ends(system: System) -> None:
    assert kept(system) is None
