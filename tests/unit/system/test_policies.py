"""What a template says about stacks that fail: ``heat_on_failure`` and ``heat_retries``, on doubles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from orchestrator.core.backoff import Backoff
from orchestrator.core.records import Cause, Failed, RetryAsked, Run, Step
from orchestrator.core.refs import Json
from orchestrator.core.stacks import Stack
from orchestrator.errors import BuildFailed, TemporaryError

from tests.factories import HOT, TENANT, network, port

from .driver import System, WorkerDied

N1, P1 = network("n1"), port("p1")
CREATED, CREATE_FAILED = ("CREATE_COMPLETED", 1), ("CREATE_FAILED", 1)
WHY = "No valid host was found"


class FailingHeat:
    """Heat fails an operation on the network so many times, and then no more."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, stack: Stack) -> Mapping[str, Any] | None:
        if stack.name == "network_n1" and stack.action != "DELETE" and self.times > 0:
            self.times -= 1
            return {"status": "FAILED", "reason": WHY}
        # Another stack has another id.
        return {"outputs": [{"output_key": "id", "output_value": stack.id, "description": ""}]}


@pytest.fixture
def heat() -> FailingHeat:
    return FailingHeat()


@pytest.fixture
def system(heat: FailingHeat) -> Iterator[System]:
    with System(outcome=heat) as running:
        yield running


def say(system: System, name: str = "network", **mappings: Json) -> None:
    """The template of that name says this from now on."""
    listed = {"name": "Pname", **mappings}
    body = {"id": name, "template_file": HOT, "parameter_mappings": listed}
    system.store.put(system.keys.template(name), json.dumps({"body": body}))


def retry(system: System, *, force: bool = False) -> None:
    key = system.keys.below(system.keys.retries, N1)
    system.store.put(key, RetryAsked(force).to_json())


def ends(system: System, state: str, version: int = 1) -> None:
    """Lead until the network's version has ended so."""
    system.until(lambda: system.reported(n1=(state, version)) and system.idle())


def methods(system: System) -> list[str]:
    return [method for method, name in system.asked() if name == "network_n1"]


def patiently(system: System) -> None:
    """From now on, what Heat failed is tried again only after a minute."""
    system.worker.policies = (
        (BuildFailed, Backoff(60.0, 60.0)),
        (TemporaryError, Backoff(0.05, 0.1)),
    )


def run(system: System) -> Run | None:
    return next(iter(system.runs().values()), None)


def sleeps(system: System, retry: int) -> Callable[[], bool]:
    """Whether the job waits for this retry."""

    def ready() -> bool:
        found = run(system)
        return found is not None and found.step is Step.RETRY and found.retry == retry

    return ready


# heat_retries ------------------------------------------------------------------------------------


def test_a_stack_that_heat_fails_is_asked_again_as_often_as_the_template_says(
    system: System, heat: FailingHeat
) -> None:
    say(system, heat_retries="C2")
    heat.times = 2
    system.put(N1)
    ends(system, "CREATE_COMPLETED")

    assert methods(system) == ["create", "update", "update"]
    assert len(system.jobs_made()) == 1
    assert system.store.get(system.keys.below(system.keys.failed, N1)) is None


def test_the_version_fails_after_the_last_retry_and_says_how_often_it_was_tried(
    system: System, heat: FailingHeat
) -> None:
    say(system, heat_retries="C2")
    heat.times = 9
    system.put(N1)
    ends(system, "CREATE_FAILED")

    assert methods(system) == ["create", "update", "update"]
    assert system.state(N1)["error"].startswith(
        f"Heat ended in CREATE_FAILED: {WHY}".replace("CREATE", "UPDATE")
        + " (the last of 3 tries); correct the configuration"
    )
    found = system.store.get(system.keys.below(system.keys.failed, N1))
    assert found is not None
    failed = Failed.from_json(found.value)
    assert (failed.attempts, failed.job, failed.tries) == (3, "", 0)


def test_without_the_mapping_the_first_failure_is_reported(
    system: System, heat: FailingHeat
) -> None:
    say(system)
    heat.times = 1
    system.put(N1)
    ends(system, "CREATE_FAILED")
    assert methods(system) == ["create"]


def test_the_delays_between_retries_grow(system: System, heat: FailingHeat) -> None:
    say(system, heat_retries="C3")
    heat.times = 9
    system.worker.policies = (
        (BuildFailed, Backoff(0.5, 600.0)),
        (TemporaryError, Backoff(0.05, 0.1)),
    )
    system.put(N1)
    delays = []
    for number in (1, 2, 3):
        system.until(sleeps(system, number))
        waiting = run(system)
        assert waiting is not None and waiting.cause == Cause.FAILED
        delays.append((waiting.delay, waiting.retries))

    assert delays == [(0.5, 3), (1.0, 3), (2.0, 3)]


def test_what_waits_for_the_stack_goes_on_waiting_while_it_is_tried_again(
    system: System, heat: FailingHeat
) -> None:
    say(system, heat_retries="C1")
    heat.times = 1
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(lambda: system.reported(n1=CREATED, p1=CREATED) and system.idle())

    assert [name for _, name in system.asked()] == ["network_n1", "network_n1", "port_p1"]
    assert len(system.jobs_made()) == 2


def test_a_retry_that_waits_is_no_failure_for_the_next_leader(
    system: System, heat: FailingHeat
) -> None:
    say(system, heat_retries="C2")
    heat.times = 9
    patiently(system)
    system.put(N1)
    system.until(sleeps(system, 1))
    system.stop()
    system.start()
    system.lead_until(sleeps(system, 1))
    assert system.term.sizes()["failed"] == 0

    # The clock has not reached the next try: only what is left of the delay is waited for.
    system.clock.clock.sleep(70.0)
    system.until(sleeps(system, 2))
    system.stop()
    system.clock.clock.sleep(70.0)
    system.start()
    ends(system, "CREATE_FAILED")

    assert methods(system) == ["create", "update", "update"]
    assert len(system.jobs_made()) == 1


def test_a_worker_that_dies_over_a_retry_takes_no_count_with_it(
    system: System, heat: FailingHeat
) -> None:
    say(system, heat_retries="C2")
    heat.times = 9
    system.put(N1)
    system.until(sleeps(system, 1))
    system.heat.fail_next(WorkerDied(), on="update", performed=True)
    system.until(lambda: system.deaths)
    system.stop()  # Nobody remembers the run of the worker that died.
    system.store.expire_abandoned()
    system.start()
    ends(system, "CREATE_FAILED")

    assert methods(system) == ["create", "update", "update"]


def test_a_retry_by_hand_does_not_wait_and_counts_anew(system: System, heat: FailingHeat) -> None:
    say(system, heat_retries="C1")
    heat.times = 9
    patiently(system)
    system.put(N1)
    system.until(sleeps(system, 1))
    first = system.jobs_made()[-1]
    retry(system)
    system.until(lambda: system.jobs_made()[-1] != first and sleeps(system, 1)())

    assert methods(system) == ["create", "update"]
    found = system.store.get(system.keys.below(system.keys.failed, N1))
    assert found is not None
    assert Failed.from_json(found.value).job == system.jobs_made()[-1]
    assert system.worker_state(N1) is None


def test_the_next_version_does_not_wait_for_the_retries_of_the_one_before(
    system: System, heat: FailingHeat
) -> None:
    say(system, heat_retries="C5")
    heat.times = 1
    patiently(system)
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(sleeps(system, 1))
    system.put(N1, 2)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 2), p1=CREATED) and system.idle())

    assert methods(system) == ["create", "update"]


@pytest.mark.parametrize("marked", [True, False])
def test_a_deletion_does_not_wait_for_retries(
    system: System, heat: FailingHeat, marked: bool
) -> None:
    say(system, heat_retries="C5")
    heat.times = 1
    patiently(system)
    system.put(N1)
    system.until(sleeps(system, 1))
    if marked:
        system.put(N1, 2, marked=True)
        ends(system, "DELETE_COMPLETED", 2)
    else:
        system.remove(N1)
        system.until(system.idle)

    assert methods(system) == ["create", "delete"]
    assert system.heat.stacks(TENANT) == {}


# heat_on_failure: replace ------------------------------------------------------------------------


def test_a_stack_that_failed_is_deleted_and_built_anew_by_the_retry(
    system: System, heat: FailingHeat
) -> None:
    say(system, heat_on_failure="Creplace", heat_retries="C1")
    heat.times = 1
    system.put(N1)
    ends(system, "CREATE_COMPLETED")
    assert methods(system) == ["create", "delete", "create"]


def test_the_next_version_replaces_a_stack_that_failed(system: System, heat: FailingHeat) -> None:
    say(system, heat_on_failure="Creplace")
    heat.times = 1
    system.put(N1)
    ends(system, "CREATE_FAILED")
    system.put(N1, 2)
    ends(system, "MODIFY_COMPLETED", 2)
    assert methods(system) == ["create", "delete", "create"]


def fails_under_a_port(system: System, heat: FailingHeat, rebuild: str = "report") -> None:
    """A network with a port on it; the network's second version fails.

    :param rebuild: what the port's template says about outputs that change.
    """
    say(system, heat_on_failure="Creplace")
    say(system, "port", network="Mnetwork:network_id:id", heat_rebuild=f"C{rebuild}")
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(lambda: system.reported(n1=CREATED, p1=CREATED) and system.idle())
    heat.times = 1
    system.put(N1, 2)
    ends(system, "MODIFY_FAILED", 2)


def test_a_stack_that_others_stand_on_is_not_replaced(system: System, heat: FailingHeat) -> None:
    fails_under_a_port(system, heat)
    system.put(N1, 3)
    ends(system, "MODIFY_FAILED", 3)

    assert methods(system) == ["create", "update"]
    assert system.state(N1)["error"] == (
        f"the stack is in UPDATE_FAILED ({WHY}), and cannot be replaced"
        " (heat_on_failure: replace) while port:p1 stands on it; delete or change the users"
        " first, or have it repaired: orchestrator retry network n1 --force"
    )
    retry(system, force=True)
    ends(system, "MODIFY_COMPLETED", 3)
    assert methods(system) == ["create", "update", "update"]


def test_a_stack_is_replaced_under_others_that_are_rebuilt_after_it(
    system: System, heat: FailingHeat
) -> None:
    fails_under_a_port(system, heat, "auto")
    before = len(system.asked())
    system.put(N1, 3)
    system.until(
        lambda: (
            system.reported(n1=("MODIFY_COMPLETED", 3), p1=("MODIFY_COMPLETED", 1))
            and system.idle()
        )
    )

    assert system.asked()[before:] == [
        ("delete", "network_n1"),
        ("create", "network_n1"),
        ("update", "port_p1"),
    ]


def test_a_stack_is_replaced_once_nobody_stands_on_it_any_more(
    system: System, heat: FailingHeat
) -> None:
    fails_under_a_port(system, heat)
    system.put(P1, 2, marked=True)
    system.until(lambda: system.reported(p1=("DELETE_COMPLETED", 2)) and system.idle())
    retry(system)
    ends(system, "MODIFY_COMPLETED", 2)
    assert methods(system) == ["create", "update", "delete", "create"]


# heat_on_failure: hold ---------------------------------------------------------------------------


def test_a_stack_that_failed_is_not_touched_before_an_operator_says_so(
    system: System, heat: FailingHeat
) -> None:
    say(system, heat_on_failure="Chold", heat_retries="C5")
    heat.times = 1
    system.put(N1)
    ends(system, "CREATE_FAILED")
    system.put(N1, 2)
    ends(system, "MODIFY_FAILED", 2)
    assert methods(system) == ["create"]
    assert system.state(N1)["error"] == (
        f"the stack is in CREATE_FAILED ({WHY}), and its template holds failed stacks for a"
        " person (heat_on_failure: hold); repair it in Heat, or let the orchestrator try:"
        " orchestrator retry network n1"
    )

    retry(system)
    ends(system, "MODIFY_COMPLETED", 2)
    assert methods(system) == ["create", "update"]


def test_an_operators_word_counts_for_one_job_only(system: System, heat: FailingHeat) -> None:
    say(system, heat_on_failure="Chold")
    heat.times = 2
    system.put(N1)
    ends(system, "CREATE_FAILED")
    retry(system)
    system.until(lambda: methods(system) == ["create", "update"] and system.idle())
    system.put(N1, 2)
    ends(system, "MODIFY_FAILED", 2)
    assert methods(system) == ["create", "update"]


def test_a_held_stack_goes_with_its_config(system: System, heat: FailingHeat) -> None:
    say(system, heat_on_failure="Chold")
    heat.times = 1
    system.put(N1)
    ends(system, "CREATE_FAILED")
    system.remove(N1)
    system.until(lambda: methods(system) == ["create", "delete"] and system.idle())
    assert system.heat.stacks(TENANT) == {}
