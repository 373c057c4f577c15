"""What a bridge measures while it leads: how long each span takes, and how versions end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from orchestrator.bridge.metrics import OTHER, Metrics
from orchestrator.core.refs import Ref
from orchestrator.core.stacks import Stack
from orchestrator.metrics.shapes import ChangeSpan, FailureCause

from tests import factories
from tests.doubles import ManualClock

from .driver import System, complete

NETWORK, PORT = Ref("network", "n1"), Ref("port", "p1")
TENANT = factories.TENANT


def failed(stack: Stack) -> dict[str, Any]:
    return {"status": "FAILED"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def outcomes(system: System, kind: str, cause: FailureCause, tenant: str = TENANT) -> float:
    outcome = "complete" if cause is FailureCause.NONE else "failed"
    return system.metric(
        "orchestrator_outcomes_total", type=kind, tenant=tenant, outcome=outcome, cause=cause
    )


def span(system: System, name: ChangeSpan) -> tuple[float, float]:
    """How often it was measured, and the sum in seconds."""
    labels = {"span": name.value}
    return (
        system.metric("orchestrator_span_seconds_count", **labels),
        system.metric("orchestrator_span_seconds_sum", **labels),
    )


def test_each_part_of_the_way_of_a_change_is_measured_once() -> None:
    with System() as system:
        system.put(NETWORK)
        system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
        system.cycle()
        counts = {name: span(system, name)[0] for name in ChangeSpan}
        total = system.metric("orchestrator_change_seconds_sum")
        parts = sum(span(system, name)[1] for name in ChangeSpan)

        assert counts == {**dict.fromkeys(ChangeSpan, 1.0), ChangeSpan.DEPEND: 0.0}
        assert system.metric("orchestrator_change_seconds_count") == 1.0
        assert total == pytest.approx(parts), "each span ends where the next one begins"
        assert system.metric("orchestrator_hop_seconds_count") == 0.0
        assert outcomes(system, "network", FailureCause.NONE) == 1.0


def test_a_hop_is_measured_for_what_waited_for_others() -> None:
    with System() as system:
        system.put(NETWORK)
        system.put(PORT, network_id="n1")
        system.until(lambda: system.reported(p1=("CREATE_COMPLETED", 1)) and system.idle())
        system.cycle()

        assert system.metric("orchestrator_hop_seconds_count") == 1.0
        assert span(system, ChangeSpan.DEPEND)[0] == 1.0


def test_outcomes_are_counted_by_their_cause() -> None:
    with System(outcome=failed) as system:
        system.put(NETWORK)
        system.put(PORT, network_id="n1")
        system.until(lambda: system.state(PORT) is not None and system.idle())
        system.cycle()

        assert outcomes(system, "network", FailureCause.HEAT) == 1.0
        assert outcomes(system, "port", FailureCause.DEPENDENCY) == 1.0
        assert outcomes(system, "network", FailureCause.NONE) == 0.0


def test_the_oldest_change_that_is_not_decided_is_told_with_its_age() -> None:
    with System() as system:
        system.put(NETWORK)
        system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)))
        now = system.clock.clock.monotonic()
        system.term._times.seen(PORT, now - 90.0)
        system.cycle()
        age = system.metric("orchestrator_oldest_undecided_seconds")
        system.term._times.decided(PORT)
        system.cycle()

        assert 90.0 <= age < 91.0
        assert system.metric("orchestrator_oldest_undecided_seconds") == 0.0


def test_nothing_stays_undecided_whatever_is_written() -> None:
    with System(outcome=complete) as system:
        system.put(NETWORK)
        system.put(PORT, network_id="nobody")
        system.put(Ref("port", "p2"), network_id="n1", tenant_id="")
        system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
        system.put(NETWORK)  # A resync.
        system.put(PORT, network_id="nobody")
        system.remove(PORT)
        system.put(NETWORK, 2, marked=True)
        system.until(lambda: system.worker_state(NETWORK) == ("DELETE_COMPLETED", 2))
        system.remove(NETWORK, Ref("port", "p2"))
        for _ in range(20):
            system.work()

        assert system.metric("orchestrator_oldest_undecided_seconds") == 0.0
        assert not system.term._times._undecided
        assert not system.term._times._jobs


def test_jobs_in_heat_are_told_and_open_circuits() -> None:
    with System(outcome=lambda stack: None) as system:
        system.put(NETWORK)
        system.until(lambda: bool(system.heat.working()))
        system.until(lambda: system.metric("orchestrator_world", kind="in_heat") == 1.0)

        assert system.metric("orchestrator_world", kind="circuits_open") == 0.0


def test_every_kind_of_the_world_is_explained_to_operators_and_no_other_is() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "howto" / "monitoring.md").read_text()
    table = page.partition("| kind of `orchestrator_world` |")[2].partition("\n\n")[0]
    explained = {
        kind for row in table.splitlines()[2:] for kind in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    with System() as system:
        assert set(system.term.sizes()) == explained


def test_only_as_many_tenants_are_named_as_the_setting_allows() -> None:
    metrics = Metrics(tenants=2)
    for tenant in ("t1", "t2", "t3", "t4", "t1"):
        metrics.note_outcome("network", tenant)
    shown = {
        sample.labels["tenant"]: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "orchestrator_outcomes_total"
    }

    assert shown == {"t1": 2.0, "t2": 1.0, OTHER: 2.0}
