"""Stories of a Heat that has ways of its own: names that are not free, outages of its engine, others' operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from orchestrator.bridge.deadlines import Limits
from orchestrator.core.backoff import Backoff
from orchestrator.core.records import Cause, Poll, RetryAsked, Step
from orchestrator.core.refs import Json
from orchestrator.core.stacks import Stack, owner_tag
from orchestrator.errors import (
    HeatFault,
    HeatRefused,
    HeatUnavailable,
    LimitExceeded,
    TemporaryError,
)

from tests.factories import TENANT, network, node, port, server

from .driver import System, WorkerDied, complete

N1, P1, S1 = network(), port(), server()


@pytest.fixture
def system() -> Iterator[System]:
    with System() as started:
        yield started


def build(system: System) -> None:
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())


def change(system: System, **seen: Json) -> None:
    """Somebody else has changed the stack."""
    stack = system.heat.stacks(TENANT)["network_n1"]
    system.heat.put(TENANT, replace(stack, **seen))


# Names and owners ------------------------------------------------------------------------------------


def test_an_id_that_is_deleted_and_made_anew_waits_until_heat_gives_its_name_again(
    system: System,
) -> None:
    system.heat.name_window = 4
    build(system)
    system.remove(N1)
    system.put(N1, 1, name="anew")
    system.until(
        lambda: (
            system.asked()[-1:] == [("create", "network_n1")]
            and len(system.asked()) == 3
            and system.idle()
        )
    )

    assert system.worker_state(N1) == ("CREATE_COMPLETED", 1)


def test_a_stack_that_nothing_says_is_ours_is_left_alone_until_somebody_decides(
    system: System,
) -> None:
    system.heat.put(TENANT, Stack("theirs", "network_n1", "CREATE_COMPLETE"))
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())
    assert system.asked() == []
    assert system.state(N1)["error"].endswith(
        "or take it as it is: orchestrator retry network n1 --force"
    )

    system.store.put(system.keys.below(system.keys.retries, N1), '{"force": true}')
    system.until(lambda: system.worker_state(N1) == ("CREATE_COMPLETED", 1) and system.idle())
    assert system.asked() == [("update", "network_n1")]


def test_a_stack_that_is_not_ours_is_not_deleted_with_the_config(system: System) -> None:
    system.heat.put(TENANT, Stack("theirs", "network_n1", "CREATE_COMPLETE"))
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())
    system.remove(N1)
    system.until(lambda: not system.snapshot())

    assert system.asked() == []


def test_what_was_refused_for_its_project_is_deleted_without_asking_heat(system: System) -> None:
    """There is no project in which to look for a stack."""
    system.heat.refuse_project("t1/../t2")
    system.put(N1, tenant_id="t1/../t2")
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())
    system.put(N1, 2, marked=True, tenant_id="t1/../t2")
    system.until(lambda: system.reported(n1=("DELETE_COMPLETED", 2)) and system.idle())

    assert system.asked() == []


# What was sent is not forgotten ----------------------------------------------------------------------


def test_a_stack_that_heat_made_though_the_answer_was_a_filters_goes_with_its_config(
    system: System,
) -> None:
    system.heat.fail_next(HeatUnavailable("a filter answers 403"), on="create", performed=True)
    system.worker.policies = ((TemporaryError, Backoff(60.0, 60.0)),)
    system.put(N1)
    system.until(lambda: [run for run in system.runs().values() if run.asked])
    system.remove(N1)
    system.worker.policies = ((TemporaryError, Backoff(0.05, 0.1)),)
    system.until(lambda: len(system.jobs_made()) == 2)
    system.stop()
    system.start()  # The next leader goes on with a delay, and need not wait for what is left of a minute.
    assert system.asked() == [("create", "network_n1")]


def test_what_heat_refused_itself_leaves_nothing_to_look_for(system: System) -> None:
    system.heat.fail_next(HeatRefused(400, "bad"), on="create")
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())
    system.remove(N1)
    system.until(lambda: not system.snapshot())

    assert len(system.jobs_made()) == 1, "no deletion"


def test_a_stack_of_ours_whose_update_heat_refused_goes_with_its_config(system: System) -> None:
    """Our records of it were lost; its tags say whose it is."""
    tags = ("orchestrator-1-abcde", owner_tag(N1))
    system.heat.put(TENANT, Stack("old", "network_n1", "CREATE_COMPLETE", tags=tags))
    system.heat.fail_next(HeatRefused(400, "no"), on="update")
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())
    system.remove(N1)
    system.until(lambda: not system.snapshot())

    assert system.asked() == [("delete", "network_n1")]


def test_a_suspended_stack_of_ours_without_a_record_goes_with_its_config(system: System) -> None:
    tags = ("orchestrator-1-abcde", owner_tag(N1))
    system.heat.put(TENANT, Stack("old", "network_n1", "SUSPEND_COMPLETE", tags=tags))
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())
    system.remove(N1)
    system.until(lambda: not system.snapshot())

    assert system.asked() == [("delete", "network_n1")]


def test_what_five_workers_died_over_is_looked_for_when_its_config_goes(system: System) -> None:
    for _ in range(5):
        system.heat.fail_next(WorkerDied(), on="create", performed=False)
    system.put(N1)

    def given_up() -> bool:
        system.store.expire_abandoned()
        return system.reported(n1=("CREATE_FAILED", 1))

    system.until(given_up)
    system.heat.put(TENANT, Stack("late", "network_n1", "CREATE_COMPLETE", tags=(owner_tag(N1),)))
    system.remove(N1)
    system.until(lambda: not system.snapshot())

    assert system.asked() == [("delete", "network_n1")]


def test_a_stack_that_may_be_ours_is_told_of_when_its_config_goes_until_somebody_decides(
    system: System,
) -> None:
    """Five workers died over the create; somebody else's update has taken the tags away."""
    build(system)  # So this Heat has shown tags of ours.
    for _ in range(5):
        system.heat.fail_next(WorkerDied(), on="create", performed=False)
    system.put(P1)

    def given_up() -> bool:
        system.store.expire_abandoned()
        return system.reported(p1=("CREATE_FAILED", 1))

    system.until(given_up)
    system.heat.put(TENANT, Stack("doubtful", "port_p1", "UPDATE_COMPLETE"))
    system.remove(P1)
    system.until(
        lambda: (
            "let us delete it: orchestrator retry port p1 --force" in str(system.snapshot())
            and system.idle()
        )
    )
    assert "port_p1" in system.heat.stacks(TENANT)

    system.store.put(system.keys.below(system.keys.retries, P1), '{"force": true}')
    system.until(lambda: "port_p1" not in system.heat.stacks(TENANT) and system.idle())
    assert not [key for key in system.snapshot() if key.endswith("p1")]


def _doubtful(system: System) -> None:
    """A worker died over a create that Heat took while no bridge led, so no bridge has seen it;
    somebody else's update has taken the tags away; the version failed."""
    build(system)  # So this Heat has shown tags of ours.
    system.heat.fail_next(WorkerDied(), on="create", performed=False)
    system.put(P1)
    system.until(lambda: system.deaths)
    system.kill()
    system.store.expire_abandoned()
    system.heat.put(TENANT, Stack("doubtful", "port_p1", "UPDATE_COMPLETE"))
    system.start()
    system.until(lambda: system.reported(p1=("CREATE_FAILED", 1)) and system.idle())


def test_what_a_worker_died_over_while_nobody_led_is_told_of_when_its_config_goes(
    system: System,
) -> None:
    _doubtful(system)
    system.remove(P1)
    system.until(
        lambda: (
            "let us delete it: orchestrator retry port p1 --force" in str(system.snapshot())
            and system.idle()
        )
    )

    assert "port_p1" in system.heat.stacks(TENANT)


def test_a_deletion_knows_the_stack_that_was_built_after_it_was_decided(system: System) -> None:
    """It waits for the job that builds, which others wait for; then somebody else's update takes the
    tags away."""
    system.outcome = lambda stack: None if stack.name == "network_n1" else complete(stack)
    system.put(N1)
    system.put(P1, network_id="n1")
    system.put(S1, ports=["p1"])
    system.until(lambda: any("server:s1" in job for job in system.jobs_made()))
    system.put(P1, 2, marked=True, network_id="n1")
    system.until(lambda: any("delete:heat_worker:port:p1" in job for job in system.jobs_made()))

    system.outcome = lambda stack: None if stack.name == "server_s1" else complete(stack)
    system.until(lambda: system.reported(p1=("CREATE_COMPLETED", 1)))
    stack = system.heat.stacks(TENANT)["port_p1"]
    system.heat.put(TENANT, replace(stack, status="UPDATE_COMPLETE", tags=()))
    system.outcome = complete
    system.until(lambda: system.worker_state(P1) in (("DELETE_COMPLETED", 2), ("DELETE_FAILED", 2)))

    assert system.state(P1)["error"] == ""
    assert "port_p1" not in system.heat.stacks(TENANT)


def test_a_stack_that_may_be_ours_is_told_of_when_its_resource_moves_and_goes_when_forced(
    system: System,
) -> None:
    _doubtful(system)
    system.put(P1, 2, tenant_id="t2")
    system.until(lambda: system.reported(p1=("CREATE_FAILED", 2)) and system.idle())
    assert "let us delete it: orchestrator retry port p1 --force" in str(system.state(P1))
    assert not system.heat.stacks("t2")

    system.store.put(system.keys.below(system.keys.retries, P1), '{"force": true}')
    system.until(lambda: system.reported(p1=("CREATE_COMPLETED", 2)) and system.idle())
    assert "port_p1" not in system.heat.stacks(TENANT)
    assert "port_p1" in system.heat.stacks("t2")


def test_a_stack_that_is_suspended_between_our_reading_and_our_update_is_told_as_suspended(
    system: System,
) -> None:
    build(system)
    refused = HeatRefused(400, "Updating a stack when it is suspended is not supported.")

    def suspend(*_: object) -> None:
        change(system, status="SUSPEND_COMPLETE")
        raise refused

    update, system.heat.update = system.heat.update, suspend  # type: ignore[assignment]
    system.put(N1, 2)
    system.until(lambda: system.reported(n1=("MODIFY_FAILED", 2)) and system.idle())
    assert "resume it in Heat" in str(system.state(N1))
    assert "correct the configuration" not in str(system.state(N1))

    system.heat.update = update  # type: ignore[method-assign]
    change(system, status="RESUME_COMPLETE")
    system.store.put(system.keys.below(system.keys.retries, N1), "{}")
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)) and system.idle())


def test_a_create_that_heat_shows_only_later_is_waited_for(system: System) -> None:
    """The first polls find no such stack: it is not there yet, and not gone."""
    shown = system.heat.show
    hidden = [3]

    def late(tenant: str, stack: str, *, outputs: bool) -> Stack | None:
        hidden[0] -= 1
        return None if hidden[0] >= 0 else shown(tenant, stack, outputs=outputs)

    system.worker.sightings = type(system.worker.sightings)(60.0)
    system.heat.show = late  # type: ignore[method-assign]
    build(system)
    assert system.asked() == [("create", "network_n1")]


# Its engine, and others' operations ------------------------------------------------------------------


def test_an_operation_that_ended_with_heats_engine_is_tried_again_by_itself(system: System) -> None:
    ended = [0]

    def once(stack: Stack) -> Mapping[str, Any]:
        ended[0] += 1
        if ended[0] == 1:
            return {"status": "FAILED", "reason": "Engine went down during stack CREATE"}
        return complete(stack)

    system.outcome = once
    build(system)
    assert system.asked() == [("create", "network_n1"), ("update", "network_n1")]
    assert system.state(N1)["error"] == ""


def test_a_suspended_stack_is_neither_changed_nor_destroyed_by_a_change(system: System) -> None:
    build(system)
    change(system, status="SUSPEND_COMPLETE")
    system.put(N1, 2)
    system.until(lambda: system.reported(n1=("MODIFY_FAILED", 2)) and system.idle())

    assert system.asked() == [("create", "network_n1")]
    assert "openstack stack resume network_n1" in system.state(N1)["error"]
    change(system, status="RESUME_COMPLETE")
    system.store.put(system.keys.below(system.keys.retries, N1), "{}")
    system.until(lambda: system.worker_state(N1) == ("MODIFY_COMPLETED", 2) and system.idle())


def test_a_stack_that_failed_to_be_deleted_is_deleted_and_built_anew_by_a_change(
    system: System,
) -> None:
    build(system)
    change(system, status="DELETE_FAILED")
    system.put(N1, 2)
    system.until(lambda: system.worker_state(N1) == ("MODIFY_COMPLETED", 2) and system.idle())

    assert [method for method, _ in system.asked()] == ["create", "delete", "create"]


def test_an_update_of_somebody_else_in_mid_operation_is_not_our_success(system: System) -> None:
    build(system)
    system.outcome = lambda stack: None
    system.put(N1, 2, name="ours")
    system.until(lambda: len(system.asked()) == 2)
    change(system, status="UPDATE_COMPLETE", tags=())
    system.outcome = complete
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)) and system.idle())

    assert [method for method, _ in system.asked()] == ["create", "update", "update"]


def test_a_deletion_goes_ahead_of_a_create_to_which_heat_always_answers_500() -> None:
    system = System()
    system.timing = replace(system.timing, in_heat_long=0.2, deadlines_every=0.1)
    with system:
        for _ in range(50):
            system.heat.fail_next(HeatFault("KeyError", "no"), on="create")
        system.put(N1)
        system.until(lambda: [run for run in system.runs().values() if run.cause == Cause.FAULT])
        system.remove(N1)
        system.until(lambda: not system.snapshot())
    assert system.asked() == []


def test_a_new_stack_that_somebody_else_updates_in_mid_operation_is_still_ours(
    system: System,
) -> None:
    """Their update takes the tags away; no record tells of the stack yet, but Heat has told its id."""
    build(system)  # So this Heat has shown tags of ours.
    overtaken(system)
    system.outcome = complete
    system.until(lambda: system.worker_state(P1) == ("CREATE_COMPLETED", 1) and system.idle())

    assert system.asked()[1:] == [("create", "port_p1"), ("update", "port_p1")]


def test_a_new_stack_that_somebody_else_updates_in_mid_operation_goes_with_its_config(
    system: System,
) -> None:
    build(system)
    overtaken(system)
    system.remove(P1)
    system.outcome = complete
    system.until(
        lambda: not [key for key in system.snapshot() if key.endswith("p1")] and system.idle()
    )

    assert "port_p1" not in system.heat.stacks(TENANT)


def test_a_new_stack_that_somebody_else_updates_belongs_to_the_next_version_too(
    system: System,
) -> None:
    """The job that was given the id is superseded while it waits to ask again."""
    system.worker.policies = ((TemporaryError, Backoff(600.0, 600.0)),)
    build(system)
    overtaken(system)
    system.until(
        lambda: [run for run in system.runs().values() if run.step is Step.RETRY and run.stack]
    )
    system.outcome = complete
    system.put(P1, 2, name="next")
    system.until(lambda: system.worker_state(P1) == ("CREATE_COMPLETED", 2) and system.idle())

    assert system.asked()[1:] == [("create", "port_p1"), ("update", "port_p1")]


def overtaken(system: System) -> None:
    """A stack is being built, and somebody else updates it."""
    system.outcome = lambda stack: None
    system.put(P1)
    system.until(
        lambda: (
            ("create", "port_p1") in system.asked()
            and Step.IN_HEAT in [r.step for r in system.runs().values()]
        )
    )
    stack = system.heat.stacks(TENANT)["port_p1"]
    system.heat.put(TENANT, replace(stack, status="UPDATE_COMPLETE", tags=()))


# Limits ---------------------------------------------------------------------------------------------


def test_a_limit_of_heat_is_told_as_one(system: System) -> None:
    """Heat 27 answers 400 with the type RequestLimitExceeded."""
    refused = LimitExceeded(
        400, "Request limit exceeded: You have reached the maximum stacks per tenant, 2."
    )
    system.heat.fail_next(refused, on="create")
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())

    assert (
        "raise that limit in Heat, then: orchestrator retry network n1" in system.state(N1)["error"]
    )


# Time ------------------------------------------------------------------------------------------------


def test_an_operation_that_heat_never_ends_is_reported_once_its_time_is_over() -> None:
    stuck, user = node("stuck"), node("user")
    system = System()
    system.timing = replace(
        system.timing, limits=Limits(stack_timeout=0.1, timeout_margin=0.1), deadlines_every=0.1
    )
    system.outcome = lambda stack: None
    with system:
        system.put(user, uses=["stuck"], reads=[])
        system.put(stuck, uses=[], reads=[])
        system.until(lambda: system.worker_state(user) == ("CREATE_FAILED", 1))
    assert "past its timeout" in system.state(stuck)["error"]


def test_a_deletion_goes_ahead_of_a_stack_that_heat_never_ends() -> None:
    system = System()
    system.timing = replace(system.timing, in_heat_long=0.2, deadlines_every=0.1)
    system.outcome = lambda stack: None if stack.action == "CREATE" else complete(stack)
    with system:
        system.put(N1)
        system.until(
            lambda: (
                system.asked()
                and [run for run in system.runs().values() if run.step is Step.IN_HEAT]
            )
        )
        system.remove(N1)
        system.until(lambda: not system.snapshot())
    assert system.asked() == [("create", "network_n1"), ("delete", "network_n1")]


def test_a_project_that_keystone_refuses_for_long_fails_the_version_and_says_what_to_do() -> None:
    system = System()
    system.timing = replace(system.timing, limits=Limits(project_patience=0.2), deadlines_every=0.1)
    system.heat.refuse_project("t2")
    with system:
        system.put(N1, tenant_id="t2")
        system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())
    assert system.state(N1)["error"].startswith("no access to project t2: ")
    assert "orchestrator retry network n1" in system.state(N1)["error"]


def test_what_is_told_of_refused_polls_goes_when_nothing_is_in_progress() -> None:
    """Nothing polls any more, so nobody would find out that a poll succeeds."""
    system = System()
    system.timing = replace(system.timing, deadlines_every=0.1)
    key = system.keys.poll(TENANT)
    with system:
        build(system)
        system.store.put(
            key, Poll(failures=9, cause="project", reason="no role", since=1.0).to_json()
        )
        system.until(lambda: system.store.get(key) is None)


def test_a_project_that_is_gone_is_given_up_when_a_person_says_so() -> None:
    """Keystone does not tell us whether it is gone: the deletion waits, and says so."""
    system = System()
    with system:
        build(system)
        system.heat.refuse_project(TENANT)
        system.remove(N1)
        system.until(lambda: [run for run in system.runs().values() if run.cause == Cause.PROJECT])

        system.store.put(system.keys.below(system.keys.retries, N1), '{"gone": "another"}')
        system.until(lambda: not system.store.list(system.keys.retries)[1])
        assert not any(run.abandoned for run in system.runs().values()), (
            "it is about another project"
        )
        system.store.put(
            system.keys.below(system.keys.retries, N1), RetryAsked(gone=TENANT).to_json()
        )
        system.until(lambda: not system.snapshot())
    assert system.asked() == [("create", "network_n1")]


def test_a_deletion_that_failed_because_of_its_project_says_how_to_give_it_up() -> None:
    """The config is still there, marked, so the deletion is reported."""
    system = System()
    system.timing = replace(system.timing, limits=Limits(project_patience=0.2), deadlines_every=0.1)
    with system:
        build(system)
        system.heat.refuse_project(TENANT)
        system.put(N1, 2, marked=True)
        system.until(lambda: system.reported(n1=("DELETE_FAILED", 2)) and system.idle())
        assert (
            f"orchestrator retry network n1, then orchestrator confirm project {TENANT}"
            in system.state(N1)["error"]
        )

        system.store.put(system.keys.below(system.keys.retries, N1), "{}")
        system.until(lambda: [run for run in system.runs().values() if run.cause == Cause.PROJECT])
        system.store.put(
            system.keys.below(system.keys.retries, N1), RetryAsked(gone=TENANT).to_json()
        )
        system.until(lambda: system.reported(n1=("DELETE_COMPLETED", 2)))


def test_a_project_that_keystone_knows_no_more_is_given_up_with_the_config() -> None:
    system = System()
    with system:
        build(system)
        system.heat.refuse_project(TENANT)
        system.heat.gone_projects.add(TENANT)
        system.remove(N1)
        system.until(lambda: not system.snapshot())


def test_a_deletion_does_not_wait_behind_a_job_that_waits_for_heat() -> None:
    """The stack was in DELETE_FAILED, so it is deleted and built anew, and Heat does not end that deletion."""
    system = System()
    system.timing = replace(system.timing, in_heat_long=0.2, deadlines_every=0.1)
    with system:
        build(system)
        change(system, status="DELETE_FAILED")
        system.outcome = lambda stack: None
        system.put(N1, 2, name="anew")
        system.until(
            lambda: [run for run in system.runs().values() if run.cause == Cause.BUSY and run.asked]
        )
        system.remove(N1)
        jobs = system.keys.jobs
        system.until(lambda: all("logical_delete" in kv.key for kv in system.store.list(jobs)[1]))
        system.outcome = complete
        system.until(lambda: not system.snapshot())


# Outputs ---------------------------------------------------------------------------------------------


def test_an_output_that_heat_cannot_compute_fails_who_needs_it_and_says_why(system: System) -> None:
    broken = {
        "output_key": "id",
        "output_value": None,
        "output_error": "no such attribute",
        "description": "",
    }
    system.outcome = lambda stack: (
        {"outputs": [broken]} if stack.name == "network_n1" else complete(stack)
    )
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(
        lambda: (
            system.reported(n1=("CREATE_COMPLETED", 1), p1=("CREATE_FAILED", 1)) and system.idle()
        )
    )

    assert system.asked() == [("create", "network_n1")]
    assert (
        "needs output 'id' of the stack of network:n1, which Heat could not compute: no such attribute"
        in system.state(P1)["error"]
    )
    assert "no such attribute" in system.state(N1)["state"]["heat_outputs"]


def test_an_output_that_comes_with_another_poll_is_used(system: System) -> None:
    polls = [0]
    shown = system.heat.show

    def flaky(tenant: str, stack: str, *, outputs: bool) -> Stack | None:
        found = shown(tenant, stack, outputs=outputs)
        if found and found.complete and outputs and found.name == "network_n1":
            polls[0] += 1
            if polls[0] < 3:
                return replace(
                    found,
                    outputs=[{"output_key": "id", "output_value": None, "output_error": "away"}],
                )
        return found

    system.heat.show = flaky  # type: ignore[method-assign]
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(lambda: system.reported(p1=("CREATE_COMPLETED", 1)) and system.idle())

    assert [
        r.request.parameters["network"]
        for r in system.heat.requests
        if r.request and r.name == "port_p1"
    ] == ["cloud-network_n1"]


# An outage -------------------------------------------------------------------------------------------


def test_what_heat_never_took_is_superseded_by_a_newer_version(system: System) -> None:
    for _ in range(3):
        system.heat.fail_next(HeatUnavailable("refused"), on="create")
    system.put(N1, 1, name="a")
    system.until(lambda: [run for run in system.runs().values() if run.reason])
    system.put(N1, 2, name="b")
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 2)) and system.idle())

    assert [r.request.parameters["name"] for r in system.heat.requests if r.request] == ["b"]
