"""Records of our own say since when; the time comes from the clock that is handed in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from orchestrator.core.records import Step, SweepAsked
from orchestrator.core.refs import Json, Ref
from orchestrator.errors import HeatRefused, HeatUnavailable
from orchestrator.views.reading import read_all
from orchestrator.views.standings import Progress

from tests.factories import TENANT, network, port, server

from .driver import System

N1, P1, S1 = network(), port(), server()


@pytest.fixture
def system() -> Iterator[System]:
    with System() as started:
        yield started


def record(system: System, folder: str, ref: Ref) -> Json:
    return system.snapshot().get(system.keys.below(f"{system.keys.own}{folder}/", ref))


def since(system: System, folder: str, ref: Ref) -> float:
    found = record(system, folder, ref)
    return float(found["since"]) if found else 0.0


def test_a_held_version_keeps_its_time_while_its_reason_changes(system: System) -> None:
    system.put(S1, ports=["p1"])
    system.lead_until(lambda: record(system, "held", S1))
    began, before = since(system, "held", S1), record(system, "held", S1)
    assert system.clock.now - 1 < began <= system.clock.now

    system.clock.pass_(100.0)
    system.put(P1, network_id="n1")
    system.lead_until(lambda: record(system, "held", S1) != before)

    assert record(system, "held", S1)["root"] == P1.to_record()
    assert since(system, "held", S1) == began


def test_the_next_version_waits_since_it_was_written(system: System) -> None:
    system.put(P1, network_id="n1")
    system.lead_until(lambda: record(system, "held", P1))
    began = since(system, "held", P1)

    system.clock.pass_(100.0)
    system.put(P1, 2, network_id="n1")
    system.lead_until(lambda: (record(system, "held", P1) or {}).get("version") == 2)

    assert since(system, "held", P1) >= began + 100


def test_a_failed_version_keeps_the_time_of_its_first_failure(system: System) -> None:
    system.heat.fail_next(HeatRefused(403, "quota"), on="create")
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(lambda: record(system, "failed", P1))
    began = since(system, "failed", N1)
    assert system.clock.now - 2 < began <= system.clock.now
    assert since(system, "failed", P1) >= began

    system.clock.pass_(100.0)
    system.heat.fail_next(HeatRefused(403, "quota"), on="create")
    system.store.put(system.keys.below(system.keys.retries, N1), "{}")
    system.until(lambda: (record(system, "failed", N1) or {}).get("attempts") == 2)

    assert since(system, "failed", N1) == began


def test_a_job_says_since_when_its_attempts_fail(system: System) -> None:
    system.heat.fail_next(HeatUnavailable("away"), on="create")
    system.put(N1)

    def retried() -> list[float]:
        return [run.failing_since for run in system.runs().values() if run.step is Step.RETRY]

    system.until(retried)
    [first] = retried()
    assert system.clock.now - 1 < first <= system.clock.now
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())


def shown_since(system: System, ref: Ref) -> float:
    return Progress(read_all(system.store, system.keys)).of(ref).since


def test_a_complete_resource_says_when_heat_was_asked_for_it(system: System) -> None:
    system.put(N1)
    system.lead_until(lambda: system.queue.depth())
    made = shown_since(system, N1)
    system.clock.pass_(10.0)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    assert made + 10 <= shown_since(system, N1) <= system.clock.now

    key = system.keys.below(system.keys.built, N1)
    earlier = {
        name: value for name, value in record(system, "built", N1).items() if name != "since"
    }
    system.store.put(key, json.dumps(earlier))
    assert shown_since(system, N1) == since(system, "handled", N1), "of an earlier release"


def test_a_lost_resource_says_when_a_sweep_has_missed_its_stack(system: System) -> None:
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.clock.pass_(100.0)
    system.heat.remove(N1.stack_name)
    missed = system.clock.now
    asked = system.keys.sweeps_asked + "aaaaa"
    system.store.put(asked, SweepAsked(TENANT).to_json())
    system.until(lambda: system.store.get(asked) is None)

    assert shown_since(system, N1) >= missed
