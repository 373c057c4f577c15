"""Stories of the whole system on doubles: config in, stacks, states out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from orchestrator.core.backoff import Backoff
from orchestrator.core.documents import digest_of
from orchestrator.core.jobs import Action, Job, job_action, job_ref
from orchestrator.core.records import Run, Step
from orchestrator.core.refs import Ref
from orchestrator.core.stacks import Stack
from orchestrator.errors import (
    DeletionFailed,
    HeatRefused,
    HeatUnavailable,
    StackBusy,
    TemporaryError,
)

from tests.factories import HOT, TENANT, network, port, server, templates

from .driver import System, WorkerDied, complete

N1, P1, S1 = network(), port(), server()
PLAN = Ref("plan", "big")


@pytest.fixture
def system() -> Iterator[System]:
    with System() as started:
        yield started


def put_chain(system: System) -> None:
    """``server`` → ``port`` → ``network`` by outputs; the plan is only looked at."""
    system.put(S1, plan_id="big", ports=["p1"])
    system.put(P1, network_id="n1")
    system.put(PLAN, flavor="m1.big")
    system.put(N1)


def built(system: System) -> None:
    put_chain(system)
    system.until(
        lambda: (
            system.reported(
                n1=("CREATE_COMPLETED", 1), p1=("CREATE_COMPLETED", 1), s1=("CREATE_COMPLETED", 1)
            )
            and system.idle()
        )
    )


def parameters(system: System) -> dict[str, Mapping[str, Any]]:
    return {r.name: r.request.parameters for r in system.heat.requests if r.request}


# Create --------------------------------------------------------------------------------------------


def test_a_chain_written_backwards_is_built_forwards_with_its_outputs(system: System) -> None:
    built(system)

    assert system.asked() == [
        ("create", "network_n1"),
        ("create", "port_p1"),
        ("create", "server_s1"),
    ]
    assert parameters(system) == {
        "network_n1": {"name": "n1"},
        "port_p1": {"name": "p1", "network": "cloud-network_n1"},
        "server_s1": {"flavor": "m1.big", "ports": ["cloud-port_p1"]},
    }
    assert {
        r.request.timeout_mins for r in system.heat.requests if r.request and r.name == "network_n1"
    } == {3}


def test_a_built_resource_leaves_these_records_and_no_others(system: System) -> None:
    system.put(N1)
    system.lead_until(system.jobs_made)
    made = system.snapshot()["/esi-worker/orchestrator/handled/v2.0/networks/n1"]["since"]
    assert system.clock.now - 1 < made <= system.clock.now
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    (job,) = system.jobs_made()
    asked = system.snapshot()["/esi-worker/orchestrator/built/v2.0/networks/n1"]["since"]
    assert made <= asked <= system.clock.now
    config = system.store.get("/config/v2.0/networks/n1")
    output = {"output_key": "id", "output_value": "cloud-network_n1", "description": ""}

    assert config is not None
    assert system.snapshot() == {
        "/esi-worker/heat_stacks/v2.0/networks/n1": {
            "stack_id": "network_n1",
            "tenant_id": "t1",
            "stack_status": "CREATE_COMPLETE",
            "output": [output],
            "status_reason": "Stack CREATE COMPLETE",
            "id": "network:n1",
        },
        "/state/v2.0/networks/n1": {
            "state": {
                "worker_state": "CREATE_COMPLETED",
                "heat_outputs": json.dumps([output]),
                "orchestration_state": "CREATE_COMPLETE",
            },
            "version": 1,
            "error": "",
        },
        "/esi-worker/orchestrator/built/v2.0/networks/n1": {
            "job": job,
            "template": "network",
            "revision": templates()["network"].revision,
            "parameters": digest_of([{"name": "n1"}, {}, 3]),
            "since": asked,
        },
        "/esi-worker/orchestrator/handled/v2.0/networks/n1": {
            "version": 1,
            "incarnation": config.created,
            "job": job,
            "template": "network",
            "tenant_id": "t1",
            "references": {},
            "body": {"id": "n1", "tenant_id": "t1", "name": "n1"},
            "revision": config.revision,
            "digest": digest_of([{"id": "n1", "tenant_id": "t1", "name": "n1"}, False]),
            "template_revision": templates()["network"].revision,
            "since": made,
        },
    }


def test_a_resource_with_nothing_to_build_is_reported_at_once(system: System) -> None:
    system.put(PLAN, flavor="m1.big")
    system.until(lambda: system.state(PLAN))

    assert system.state(PLAN) == {
        "state": {"worker_state": "READ_COMPLETE"},
        "version": 1,
        "error": "",
    }
    assert system.asked() == []


def test_unusable_configs_are_skipped_and_the_rest_goes_on(system: System) -> None:
    for key, value in {
        "v2.0/networks/x": "not json",
        "v2.0/unknowns/y": "{}",
        "v2.0/networks/z": '{"body": {}}',
        "": "1",
    }.items():
        system.store.put(f"/config/{key}", value)
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)))

    assert system.asked() == [("create", "network_n1")]


# Update --------------------------------------------------------------------------------------------


def test_a_newer_version_updates_the_stack(system: System) -> None:
    built(system)
    system.put(P1, 2, network_id="n1", name="new")
    system.until(lambda: system.reported(p1=("MODIFY_COMPLETED", 2)) and system.idle())

    assert system.asked()[3:] == [("update", "port_p1")]
    assert parameters(system)["port_p1"] == {"name": "new", "network": "cloud-network_n1"}
    assert len(system.jobs_made()) == 4


def test_the_same_version_again_and_an_older_one_do_nothing(system: System) -> None:
    system.put(N1, 3)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 3)) and system.idle())
    before = system.snapshot()
    for version, name in ((3, "n1"), (2, "changed"), (3, "n1")):
        system.put(N1, version, name=name)
    system.put(P1)  # decided after those
    system.until(lambda: system.worker_state(P1) and system.idle())
    after = system.snapshot()

    assert {key: after[key] for key in before} == before
    assert [job_ref(job) for job in system.jobs_made()].count(N1) == 1


def test_versions_that_come_while_one_is_built_are_done_one_after_the_other(system: System) -> None:
    system.outcome = lambda stack: None
    system.put(N1)
    system.until(lambda: system.heat.working())
    system.put(N1, 2, name="two")
    system.until(lambda: len(system.jobs_made()) == 2)
    system.outcome = complete
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 2)) and system.idle())

    assert system.asked() == [("create", "network_n1"), ("update", "network_n1")]
    assert [job_action(job) for job in system.jobs_made()] == [
        Action.CREATE,
        Action.CREATE,
    ]  # there was no stack record yet


# Delete --------------------------------------------------------------------------------------------


def test_marked_resources_are_deleted_dependents_first_and_leave_nothing(system: System) -> None:
    built(system)
    system.put(N1, 2, marked=True)
    system.put(P1, 2, marked=True, network_id="n1")
    system.put(S1, 2, marked=True, plan_id="big", ports=["p1"])
    states = dict.fromkeys(("n1", "p1", "s1"), ("DELETE_COMPLETED", 2))
    system.until(lambda: system.reported(**states) and system.idle())

    assert system.asked()[3:] == [
        ("delete", "server_s1"),
        ("delete", "port_p1"),
        ("delete", "network_n1"),
    ]
    assert system.heat.stacks(TENANT) == {}
    assert system.snapshot()["/esi-worker/heat_stacks/v2.0/networks/n1"] == {
        "stack_id": "",
        "tenant_id": "t1",
        "stack_status": "DELETE_COMPLETE",
        "output": [],
        "status_reason": "",
        "id": "network:n1",
    }
    system.remove(N1, P1, S1, PLAN)
    system.until(lambda: not system.snapshot())


def test_configs_removed_without_a_mark_are_deleted_in_the_same_order(system: System) -> None:
    built(system)
    system.remove(PLAN, N1, P1, S1)
    system.until(lambda: not system.snapshot())

    assert system.asked()[3:] == [
        ("delete", "server_s1"),
        ("delete", "port_p1"),
        ("delete", "network_n1"),
    ]


def test_a_deletion_does_not_wait_for_ever_for_what_is_not_to_be_deleted(system: System) -> None:
    built(system)
    system.put(N1, 2, marked=True)
    system.until(lambda: system.reported(n1=("DELETE_COMPLETED", 2)))

    assert system.asked()[3:] == [("delete", "network_n1")]


def test_a_parent_outlives_the_stack_that_stands_on_it_though_a_newer_version_does_not(
    system: System,
) -> None:
    """Found by chaos: port v1 was built from n1, v2 is on n2 and waits for it, v3 is marked before v2 ran."""
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(lambda: system.reported(p1=("CREATE_COMPLETED", 1)) and system.idle())
    system.outcome = lambda stack: None if stack.name == "network_n2" else complete(stack)
    system.put(network("n2"))
    system.put(P1, 2, network_id="n2")
    system.until(lambda: len(system.jobs_made()) == 4)
    system.put(P1, 3, network_id="n2", marked=True)
    system.until(lambda: len(system.jobs_made()) == 5)
    system.put(N1, 2, marked=True)
    system.outcome = complete
    system.until(
        lambda: (
            system.reported(n1=("DELETE_COMPLETED", 2), p1=("DELETE_COMPLETED", 3))
            and system.idle()
        )
    )

    deletions = [name for method, name in system.asked() if method == "delete"]
    assert deletions == ["port_p1", "network_n1"]


def test_what_refers_to_an_id_that_is_made_anew_is_built_from_the_new_one(system: System) -> None:
    """Found by chaos: the old network's deletion is patient with the very port that waits for the new one."""
    system.outcome = lambda stack: {
        "outputs": [{"output_key": "id", "output_value": stack.id, "description": ""}]
    }
    system.put(N1)
    system.put(P1)
    system.until(
        lambda: (
            system.reported(n1=("CREATE_COMPLETED", 1), p1=("CREATE_COMPLETED", 1))
            and system.idle()
        )
    )
    old = system.heat.stacks("t1")["network_n1"].id
    ends, system.outcome = system.outcome, lambda stack: None
    system.put(N1, 2)
    system.until(lambda: system.heat.working())
    system.put(P1, 2, network_id="n1")
    system.until(lambda: len(system.jobs_made()) == 4)
    system.remove(N1)
    system.put(N1)
    system.put(P1, 3, network_id="n1")
    system.outcome = ends
    system.until(
        lambda: (
            system.reported(n1=("CREATE_COMPLETED", 1), p1=("MODIFY_COMPLETED", 3))
            and system.idle()
        )
    )

    new = system.heat.stacks("t1")["network_n1"].id
    assert new != old
    assert parameters(system)["port_p1"]["network"] == new


def test_a_recreated_id_is_another_resource_and_the_old_stack_goes_first(system: System) -> None:
    system.put(N1, 4)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 4)) and system.idle())
    system.remove(N1)
    system.put(N1, 1, name="anew")
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())

    assert system.asked() == [
        ("create", "network_n1"),
        ("delete", "network_n1"),
        ("create", "network_n1"),
    ]
    assert parameters(system)["network_n1"] == {"name": "anew"}


def test_an_old_stack_goes_even_when_the_deletion_of_what_was_built_from_it_fails(
    system: System,
) -> None:
    """Found by chaos: nobody could ask for it again, and the new incarnation lives in another project."""
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(lambda: system.reported(p1=("CREATE_COMPLETED", 1)) and system.idle())
    system.outcome = lambda stack: None
    system.put(P1, 2, marked=True, network_id="n1")
    system.until(lambda: ("delete", "port_p1") in system.asked())
    system.remove(N1)
    system.put(N1, 1, tenant_id="t2")
    system.until(lambda: len(system.jobs_made()) == 5)
    system.outcome = lambda stack: (
        {"status": "FAILED", "reason": "in use"} if stack.name == "port_p1" else complete(stack)
    )
    system.until(
        lambda: (
            system.reported(n1=("CREATE_COMPLETED", 1), p1=("DELETE_FAILED", 2)) and system.idle()
        )
    )

    assert system.heat.stacks("t1").keys() == {"port_p1"}
    assert system.heat.stacks("t2").keys() == {"network_n1"}


def test_a_deletion_that_heat_fails_is_asked_three_times(system: System) -> None:
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.outcome = lambda stack: {"status": "FAILED", "reason": "in use"}
    system.put(N1, 2, marked=True)
    system.until(lambda: system.reported(n1=("DELETE_FAILED", 2)) and system.idle())

    assert system.asked()[1:] == [("delete", "network_n1")] * 3
    assert "in use" in system.state(N1)["error"]


@dataclass(frozen=True, slots=True)
class Delays(Backoff):
    """A policy that tells what it is asked for."""

    asked: list[int] = field(default_factory=list)

    def interval(self, failures: int, chance: float = 0.5) -> float:
        self.asked.append(failures)
        return self.initial


def test_an_outage_does_not_use_up_the_tries_of_a_deletion(system: System) -> None:
    away, failed = Delays(0.01, 0.01), Delays(0.01, 0.01)
    system.worker.policies = ((DeletionFailed, failed), (HeatUnavailable, away))
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    for _ in range(4):
        system.heat.fail_next(HeatUnavailable("refused"), on="delete")
    system.outcome = lambda stack: {"status": "FAILED", "reason": "in use"}
    system.put(N1, 2, marked=True)
    system.until(lambda: system.reported(n1=("DELETE_FAILED", 2)) and system.idle())

    assert system.asked()[1:] == [("delete", "network_n1")] * 3
    assert (away.asked, failed.asked) == ([1, 2, 3, 4], [1, 2])


# Failures ------------------------------------------------------------------------------------------


def network_fails(stack: Stack) -> Mapping[str, Any]:
    if stack.name == "network_n1":
        return {"status": "FAILED", "reason": "No more VLANs"}
    return complete(stack)


def test_words_of_heat_that_look_like_ours_reach_every_dependent_in_full(system: System) -> None:
    words = "ResourceInError: port0, which failed: No more VLANs, which failed: switch down"

    def fails(stack: Stack) -> Mapping[str, Any]:
        if stack.name == "network_n1":
            return {"status": "FAILED", "reason": words}
        return complete(stack)

    system.outcome = fails
    put_chain(system)
    states = dict.fromkeys(("n1", "p1", "s1"), ("CREATE_FAILED", 1))
    system.until(lambda: system.reported(**states) and system.idle())

    own = system.state(N1)["error"]
    assert own.startswith(f"Heat ended in CREATE_FAILED: {words}; correct the configuration")
    depends = "not built, because it depends on network:n1"
    assert system.state(P1)["error"] == f"{depends}, which failed: {own}"
    assert system.state(S1)["error"] == f"{depends} (through port:p1), which failed: {own}"


def test_a_failure_fails_what_depends_on_it_naming_the_root_and_is_repaired_by_a_newer_config(
    system: System,
) -> None:
    system.outcome = network_fails
    put_chain(system)
    states = dict.fromkeys(("n1", "p1", "s1"), ("CREATE_FAILED", 1))
    system.until(lambda: system.reported(**states) and system.idle())

    assert system.asked() == [("create", "network_n1")]
    root = (
        "Heat ended in CREATE_FAILED: No more VLANs; correct the configuration and write it with the next version, "
        "or try it again as it is: orchestrator retry network n1"
    )
    assert system.state(N1)["error"] == root
    assert (
        system.state(P1)["error"]
        == f"not built, because it depends on network:n1, which failed: {root}"
    )
    assert (
        system.state(S1)["error"]
        == f"not built, because it depends on network:n1 (through port:p1), which failed: {root}"
    )

    system.outcome = complete
    system.put(N1, 2)
    system.until(
        lambda: (
            system.reported(
                n1=("MODIFY_COMPLETED", 2), p1=("CREATE_COMPLETED", 1), s1=("CREATE_COMPLETED", 1)
            )
            and system.idle()
        )
    )
    assert system.asked()[1:] == [
        ("update", "network_n1"),
        ("create", "port_p1"),
        ("create", "server_s1"),
    ]
    assert system.store.list(system.keys.failed)[1] == []


def test_what_heat_refuses_fails_with_heats_words_and_makes_no_stack_record(system: System) -> None:
    system.heat.fail_next(HeatRefused(400, "Property error: mtu"), on="create")
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())

    assert "Heat refused the request (400): Property error: mtu" in system.state(N1)["error"]
    assert system.store.get("/esi-worker/heat_stacks/v2.0/networks/n1") is None
    system.put(N1, 2)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 2)))


def test_heat_that_is_away_fails_nothing(system: System) -> None:
    system.heat.fail_next(HeatUnavailable("refused"), on="create")
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)))

    assert system.asked() == [("create", "network_n1")]


def test_leaders_that_follow_each_other_do_not_begin_a_delay_anew(system: System) -> None:
    """Each leads for less than the delay, and together for longer."""
    system.worker.policies = ((TemporaryError, Delays(2.0, 2.0)),)
    system.heat.fail_next(StackBusy("busy"), on="create")
    system.put(N1)
    system.until(
        lambda: [
            kv
            for kv in system.store.list(system.keys.runs)[1]
            if Run.from_json(kv.value).step is Step.RETRY
        ]
    )
    failed = system.clock.now

    def over(term_ends: float) -> bool:
        return system.clock.now > term_ends or system.reported(n1=("CREATE_COMPLETED", 1))

    while not system.reported(n1=("CREATE_COMPLETED", 1)):
        system.until(partial(over, system.clock.now + 0.6))
        assert system.clock.now - failed < 8.0
        system.stop()
        system.start()

    assert system.clock.now - failed > 1.5


def test_a_request_whose_answer_got_lost_is_not_made_twice(system: System) -> None:
    system.heat.fail_next(HeatUnavailable("timeout"), on="create", performed=True)
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)))

    assert system.asked() == [("create", "network_n1")]


def test_an_update_of_a_busy_stack_waits_its_turn(system: System) -> None:
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.heat.fail_next(StackBusy("action in progress"), on="update")
    system.put(N1, 2)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)))

    assert system.asked()[1:] == [("update", "network_n1")]


def test_an_update_of_a_stack_that_somebody_deleted_creates_it(system: System) -> None:
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.heat.remove("network_n1")
    system.put(N1, 2)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)))

    assert system.asked() == [("create", "network_n1"), ("create", "network_n1")]


def test_a_broken_template_is_told_and_its_correction_repairs(system: System) -> None:
    key = "/config/v2.0/heat_templates/network"
    system.store.put(
        key,
        json.dumps(
            {
                "body": {
                    "id": "network",
                    "template_file": HOT,
                    "parameter_mappings": {"name": "Xname"},
                }
            }
        ),
    )
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)))
    assert "template network, parameter name: mapping 'Xname'" in system.state(N1)["error"]

    system.store.put(
        key,
        json.dumps(
            {
                "body": {
                    "id": "network",
                    "template_file": HOT,
                    "parameter_mappings": {"name": "Pname"},
                }
            }
        ),
    )
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)))


# Lost, late and double -----------------------------------------------------------------------------


def test_every_message_twice_changes_nothing(system: System) -> None:
    system.twice = True
    built(system)

    assert system.asked() == [
        ("create", "network_n1"),
        ("create", "port_p1"),
        ("create", "server_s1"),
    ]
    assert len(system.jobs_made()) == 3


def test_late_messages_do_nothing(system: System) -> None:
    built(system)
    before, asked = system.snapshot(), system.asked()
    for message in list(system.taken):
        system.carry_out(message)

    assert (system.snapshot(), system.asked()) == (before, asked)


def test_a_worker_that_died_after_asking_heat_is_followed_by_one_that_adopts_the_stack(
    system: System,
) -> None:
    system.outcome = lambda stack: None
    system.heat.fail_next(WorkerDied(), on="create", performed=True)
    system.put(N1)
    system.until(lambda: system.deaths)
    (run,) = system.store.list(system.keys.runs)[1]
    assert Run.from_json(run.value).step is Step.CLAIMED

    system.store.expire_abandoned()
    system.outcome = complete
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    assert system.asked() == [("create", "network_n1")]


def test_a_worker_that_died_before_asking_heat_is_followed_by_one_that_asks(system: System) -> None:
    system.heat.fail_next(WorkerDied(), on="create")
    system.put(N1)
    system.until(lambda: system.deaths)
    system.store.expire_abandoned()
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())

    assert system.asked() == [("create", "network_n1")]


@pytest.mark.parametrize("performed", [True, False], ids=["performed", "not performed"])
@pytest.mark.parametrize("which", range(4), ids=["claim", "waiting", "stack record", "state"])
def test_a_write_whose_answer_got_lost_delays_and_repeats_nothing(
    which: int, performed: bool
) -> None:
    """The *which*-th write of a worker breaks; the bridge's own writes are not touched."""
    system = System()
    store = BrokenOnce(system.store, which, performed)
    doubles: Any = store
    system.worker.store = doubles
    with system:
        system.put(N1)
        system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())

    assert store.broke
    assert system.asked() == [("create", "network_n1")]


class BrokenOnce:
    """A worker's view of the store whose n-th commit raises."""

    def __init__(self, store: Any, which: int, performed: bool) -> None:
        self._store, self._left, self._performed = store, which, performed
        self.broke = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, transaction: Any, lease: Any = None) -> int:
        return int(self.commit_and_read(transaction, (), lease)[0])

    def commit_and_read(self, transaction: Any, keys: Any, lease: Any = None) -> Any:
        self._left -= 1
        if self._left == -1:
            self.broke = True
            self._store.fail_next(performed=self._performed)
        return self._store.commit_and_read(transaction, keys, lease)


@pytest.mark.parametrize("step", [-7200.0, -30.0, 30.0, 400.0])
def test_a_clock_that_is_set_while_heat_works_changes_nothing(system: System, step: float) -> None:
    """The workers' clock steps after Heat was asked; forward by less than the timeout and its margin, 480 s here."""
    built(system)
    system.outcome = lambda stack: None
    system.put(N1, 2, name="changed")
    system.put(P1, 2, marked=True, network_id="n1")
    system.until(lambda: len(system.heat.working()) == 1)
    system.worker.clock = replace(system.clock.clock, now=lambda: system.clock.now + step)
    for _ in range(30):
        system.work()
    asked = system.asked()
    system.outcome = complete
    system.until(
        lambda: (
            system.reported(n1=("MODIFY_COMPLETED", 2), p1=("DELETE_COMPLETED", 2))
            and system.idle()
        )
    )

    assert max(Counter(system.asked()).values()) == 1, asked


def test_a_bridge_that_starts_anew_carries_on_where_things_stand() -> None:
    system = System(outcome=lambda stack: None)
    with system:
        put_chain(system)
        system.until(lambda: system.heat.working())
    system.outcome = complete
    with system:
        system.until(
            lambda: system.reported(
                n1=("CREATE_COMPLETED", 1), p1=("CREATE_COMPLETED", 1), s1=("CREATE_COMPLETED", 1)
            )
        )

    assert system.asked() == [
        ("create", "network_n1"),
        ("create", "port_p1"),
        ("create", "server_s1"),
    ]
    assert len(system.jobs_made()) == 3


def test_what_changed_while_nobody_led_is_found_by_its_level() -> None:
    system = System()
    with system:
        built(system)
    system.put(P1, 2, network_id="n1", name="new")
    system.remove(S1)
    with system:
        system.until(
            lambda: (
                system.reported(p1=("MODIFY_COMPLETED", 2))
                and system.state(S1) is None
                and system.idle()
            )
        )

    assert sorted(system.asked()[3:]) == [("delete", "server_s1"), ("update", "port_p1")]


def test_a_broker_that_loses_its_data_is_sent_everything_again(system: System) -> None:
    system.until(lambda: system.queue.lost_everything() is False)
    system.put(N1)
    system.lead_until(lambda: system.queue.sent)
    system.queue.lose()
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)))

    assert system.asked() == [("create", "network_n1")]


# What a job says -----------------------------------------------------------------------------------


def test_the_job_records_of_the_chain_say_whom_they_wait_for(system: System) -> None:
    built(system)
    jobs = {}
    for event in system.store.history:
        if event.key.startswith(system.keys.jobs) and event.value is not None:
            made = Job.from_json(event.value)
            jobs[made.ref] = made

    assert {ref: (job.action, job.dependency) for ref, job in jobs.items()} == {
        N1: (Action.CREATE, ()),
        P1: (Action.CREATE, (jobs[N1].id,)),
        S1: (Action.CREATE, (jobs[P1].id,)),
    }
    assert {job_action(job) for job in system.jobs_made()} == {Action.CREATE}


# Monitoring ----------------------------------------------------------------------------------------


def test_a_monitoring_link_is_followed_after_the_state() -> None:
    url = "http://collector/targets/n1"
    link = {"output_key": "monitoring_link", "output_value": url, "description": ""}
    system = System(outcome=lambda stack: {"outputs": [link]})
    system.targets.documents[url] = {
        "id": "n1",
        "version": 1,
        "values": [{"key": "status", "value": "UP"}],
        "syncer_properties": {"etcd": {"status": {"key": "interface"}}},
    }
    with system:
        system.put(N1)
        system.until(lambda: "/monitoring/v2.0/networks/n1" in system.snapshot())

    assert system.snapshot()["/monitoring/v2.0/networks/n1"] == {"interface": "UP", "version": 1}
    order = [
        e.key.split("/")[1]
        for e in system.store.history
        if e.key.startswith(("/state/", "/monitoring/"))
    ]
    assert order == ["state", "monitoring"]
