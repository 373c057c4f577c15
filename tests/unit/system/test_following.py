"""An output changes: its users are updated once, nobody else is, and the same value updates nobody.

``FOLLOWERS=2000 python -m pytest tests/unit/system/test_following.py -k die`` kills leaders while as
many stacks follow; usually it is 30.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from orchestrator.core import rendering
from orchestrator.core.documents import digest_of
from orchestrator.core.jobs import Action
from orchestrator.core.mapping.evaluate import OutputOf
from orchestrator.core.policies import Follow
from orchestrator.core.records import Built, StackRecord, StateRecord, Step
from orchestrator.core.refs import Json, Ref
from orchestrator.core.stacks import Stack
from tasks import steps

from tests import factories
from tests.factories import HOT, TENANT, network, node, port, server

from .driver import LeaderKilled, System

N1, N2, P1, P2, P3, S1 = network("n1"), network("n2"), port("p1"), port("p2"), port("p3"), server()
CREATED, MODIFIED = ("CREATE_COMPLETED", 1), ("MODIFY_COMPLETED", 1)


FOLLOWERS = int(os.environ.get("FOLLOWERS", "30"))


class ChangingHeat:
    """Heat: what the stacks give as their output ``id``, by name; what is not named gives its name."""

    def __init__(self) -> None:
        self.outputs: dict[str, Json] = {}
        self.failing: set[str] = set()

    def __call__(self, stack: Stack) -> Mapping[str, Any]:
        value = self.outputs.get(stack.name, stack.name)
        if callable(value):
            value = value()
        output = {"output_key": "id", "output_value": value, "description": ""}
        if stack.name in self.failing:
            return {"status": "FAILED", "outputs": [output]}
        return {"outputs": [output]}


@pytest.fixture
def cloud() -> ChangingHeat:
    return ChangingHeat()


@pytest.fixture
def system(cloud: ChangingHeat) -> Iterator[System]:
    """Two networks, two ports on the first and one on the second, a server with the first port."""
    with System(outcome=cloud) as running:
        for ref in (N1, N2):
            running.put(ref)
        for ref, network_id in ((P1, "n1"), (P2, "n1"), (P3, "n2")):
            running.put(ref, network_id=network_id)
        running.put(S1, ports=["p1"])
        settle(running)
        yield running


def settle(system: System) -> None:
    """Until nothing is left to do."""
    quiet = 0

    def over() -> bool:
        nonlocal quiet
        quiet = quiet + 1 if system.idle() and not system.term.world.dirty else 0
        return quiet > 5

    system.until(over)


def since(system: System, before: int) -> Counter[tuple[str, str]]:
    """What Heat was asked after so many requests."""
    return Counter(system.asked()[before:])


def push(system: System, template_id: str, **mappings: Json) -> None:
    body = {"id": template_id, "template_file": HOT, "parameter_mappings": mappings}
    system.store.put(f"/config/v2.0/heat_templates/{template_id}", json.dumps({"body": body}))


def parameter(system: System, stack: str, name: str) -> Json:
    """What Heat was given last for a parameter of a stack."""
    requests = [r.request for r in system.heat.requests if r.name == stack and r.request]
    return requests[-1].parameters[name]


def test_users_of_a_changed_output_are_updated_once_and_nobody_else(
    system: System, cloud: ChangingHeat
) -> None:
    cloud.outputs["network_n1"] = "another"
    before = len(system.asked())
    system.put(N1, 2)
    settle(system)

    assert since(system, before) == {
        ("update", "network_n1"): 1,
        ("update", "port_p1"): 1,
        ("update", "port_p2"): 1,
    }
    assert parameter(system, "port_p1", "network") == "another"
    assert system.worker_state(P1) == MODIFIED
    assert system.worker_state(P3) == CREATED


def test_the_same_value_updates_nobody(system: System) -> None:
    before = len(system.asked())
    system.put(N1, 2, note="another body")
    settle(system)

    assert since(system, before) == {("update", "network_n1"): 1}


def test_a_change_goes_on_as_long_as_outputs_change(system: System, cloud: ChangingHeat) -> None:
    cloud.outputs |= {"network_n1": "another", "port_p1": "moved"}
    before = len(system.asked())
    system.put(N1, 2)
    settle(system)

    assert since(system, before)[("update", "server_s1")] == 1
    assert parameter(system, "server_s1", "ports") == ["moved"]


def test_what_changes_while_nobody_leads_is_found_by_the_next_leader(
    system: System, cloud: ChangingHeat
) -> None:
    """By level: a worker writes the network's end, and removes the job, while nobody leads."""
    cloud.outputs["network_n1"] = "another"
    before = len(system.asked())
    system.outcome = lambda stack: None
    system.put(N1, 2)
    system.until(lambda: [run.step for run in system.runs().values()] == [Step.IN_HEAT])
    system.stop()
    system.outcome = cloud
    system.heat.finish("network_n1", **cloud(system.heat.stacks(TENANT)["network_n1"]))
    assert steps.poll(system.worker, TENANT) == 1
    assert system.worker_state(N1) == ("MODIFY_COMPLETED", 2)
    system.start()
    settle(system)

    assert since(system, before) == {
        ("update", "network_n1"): 1,
        ("update", "port_p1"): 1,
        ("update", "port_p2"): 1,
    }


def test_the_next_leader_makes_the_jobs_that_the_one_before_has_not_made(
    system: System, cloud: ChangingHeat
) -> None:
    """etcd is away once one of the two jobs is made."""
    cloud.outputs["network_n1"] = "another"
    before, jobs = len(system.asked()), len(system.jobs_made())
    system.put(N1, 2)
    system.until(lambda: len(system.jobs_made()) > jobs + 1)
    system.stop()
    system.start()
    settle(system)

    assert since(system, before)[("update", "port_p1")] == 1
    assert since(system, before)[("update", "port_p2")] == 1


def test_a_stack_of_an_earlier_release_is_never_outdated_until_it_is_built_again(
    system: System, cloud: ChangingHeat
) -> None:
    system.store.delete(system.keys.below(system.keys.built, P1))
    settle(system)
    cloud.outputs["network_n1"] = "another"
    before = len(system.asked())
    system.put(N1, 2)
    settle(system)

    assert since(system, before) == {("update", "network_n1"): 1, ("update", "port_p2"): 1}
    cloud.outputs["network_n1"] = "a third"
    system.put(P1, 2, network_id="n1")
    settle(system)
    before = len(system.asked())
    system.put(N1, 3)
    settle(system)

    assert since(system, before)[("update", "port_p1")] == 1


def test_users_wait_until_a_failed_change_is_repaired(system: System, cloud: ChangingHeat) -> None:
    cloud.outputs["network_n1"] = "another"
    cloud.failing.add("network_n1")
    before = len(system.asked())
    system.put(N1, 2)
    settle(system)
    assert since(system, before) == {("update", "network_n1"): 1}

    cloud.failing.clear()
    system.put(N1, 3)
    settle(system)

    assert since(system, before) == {
        ("update", "network_n1"): 2,
        ("update", "port_p1"): 1,
        ("update", "port_p2"): 1,
    }


def test_a_complete_version_stays_complete_when_its_stack_cannot_follow(
    system: System, cloud: ChangingHeat
) -> None:
    """Somebody has suspended the stack: it takes no update."""
    there = system.heat.stacks(TENANT)["port_p1"]
    system.heat.put(TENANT, replace(there, status="SUSPEND_COMPLETE"))
    before = len(system.asked())
    cloud.outputs["network_n1"] = "another"
    system.put(N1, 2)
    settle(system)

    asked = {("update", "network_n1"): 1, ("update", "port_p2"): 1}
    assert since(system, before) == asked
    assert system.worker_state(P1) == CREATED
    assert P1 not in system.term.world.failed
    lagging = system.term.world.lagging[P1]
    assert "could not be rebuilt: the stack is in SUSPEND_COMPLETE: resume it" in lagging.why
    assert system.metric("orchestrator_world", kind="outdated") == 1

    system.stop()
    system.start()
    settle(system)
    assert since(system, before) == asked, "the next leader does not try it again"
    assert system.term.world.lagging[P1] == lagging

    system.heat.put(TENANT, there)
    cloud.outputs["network_n1"] = "a third"
    system.put(N1, 3)
    settle(system)
    assert since(system, before)[("update", "port_p1")] == 1
    assert parameter(system, "port_p1", "network") == "a third"
    assert system.worker_state(P1) == MODIFIED
    assert P1 not in system.term.world.lagging


def test_a_leader_that_dies_before_it_remembers_that_a_stack_could_not_follow_loses_nothing(
    system: System, cloud: ChangingHeat
) -> None:
    there = system.heat.stacks(TENANT)["port_p1"]
    system.heat.put(TENANT, replace(there, status="SUSPEND_COMPLETE"))
    cloud.outputs["network_n1"] = "another"
    system.put(N1, 2)
    system.until(lambda: any(run.kept for run in system.runs().values()))
    system.kill()
    system.start()
    settle(system)

    assert system.worker_state(P1) == CREATED
    assert "could not be rebuilt" in system.term.world.lagging[P1].why
    assert not system.runs()


def test_dependents_of_a_stack_that_could_not_follow_are_built_on_it_as_it_is(
    system: System, cloud: ChangingHeat
) -> None:
    there = system.heat.stacks(TENANT)["port_p1"]
    system.heat.put(TENANT, replace(there, status="SUSPEND_COMPLETE"))
    cloud.outputs["network_n1"] = "another"
    system.put(N1, 2)
    settle(system)
    system.put(S1, 2, ports=["p1"])
    settle(system)
    assert system.worker_state(S1) == ("MODIFY_COMPLETED", 2)

    system.put(P1, 2, network_id="n1")
    system.until(lambda: system.worker_state(P1) == ("MODIFY_FAILED", 2))
    assert "resume the stack" in str(system.state(P1)) or "resume it" in str(system.state(P1))


def test_a_failed_resource_follows_nothing(system: System, cloud: ChangingHeat) -> None:
    cloud.failing.add("port_p1")
    system.put(P1, 2, network_id="n1")
    settle(system)
    cloud.outputs["network_n1"] = "another"
    before = len(system.asked())
    system.put(N1, 2)
    settle(system)

    assert since(system, before) == {("update", "network_n1"): 1, ("update", "port_p2"): 1}


@pytest.mark.parametrize("said", ["report", "never"])
def test_a_template_may_keep_its_stacks_as_they_are(
    system: System, cloud: ChangingHeat, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    network_id = "Mnetwork:network_id:id"
    push(system, "port", name="Pname", network=network_id, heat_rebuild=f"C{said}")
    cloud.outputs["network_n1"] = "another"
    before = len(system.asked())
    system.put(N1, 2)
    settle(system)

    assert since(system, before) == {("update", "network_n1"): 1}
    told = [r for r in caplog.records if getattr(r, "event", "") == "outdated"]
    assert len(told) == (2 if said == "report" else 0)

    push(system, "port", name="Pname", network=network_id)
    settle(system)

    assert since(system, before)[("update", "port_p1")] == 1


def test_the_setting_counts_where_the_template_says_nothing(
    system: System, cloud: ChangingHeat
) -> None:
    system.term.world.follow = Follow.REPORT
    cloud.outputs["network_n1"] = "another"
    before = len(system.asked())
    system.put(N1, 2)
    settle(system)

    assert since(system, before) == {("update", "network_n1"): 1}


def test_a_template_that_changed_updates_nobody(system: System) -> None:
    before = len(system.asked())
    push(system, "port", name="Pname", network="Mnetwork:network_id:id", more="C1")
    settle(system)
    system.stop()
    system.start()
    settle(system)

    assert since(system, before) == {}


def test_what_cannot_be_rebuilt_stays_complete_and_is_rebuilt_when_it_can(
    system: System, cloud: ChangingHeat
) -> None:
    body = {"id": "port", "template_file": HOT, "parameter_mappings": {"name": "Xwhat"}}
    system.store.put("/config/v2.0/heat_templates/port", json.dumps({"body": body}))
    cloud.outputs["network_n1"] = "another"
    before = len(system.asked())
    system.put(N1, 2)
    settle(system)

    assert since(system, before) == {("update", "network_n1"): 1}
    assert system.worker_state(P1) == CREATED
    assert "cannot be rebuilt" in system.term.world.lagging[P1].why

    push(system, "port", name="Pname", network="Mnetwork:network_id:id")
    settle(system)

    assert since(system, before)[("update", "port_p1")] == 1
    assert not system.term.world.lagging


def test_an_output_that_changed_while_nobody_used_it_updates_no_new_user(
    system: System, cloud: ChangingHeat
) -> None:
    """The leader knew the output while the second network had a user."""
    system.put(N2, 2)
    settle(system)
    system.put(P3, 2, marked=True, network_id="n2")
    settle(system)
    cloud.outputs["network_n2"] = "another"
    system.put(N2, 3)
    settle(system)
    before = len(system.asked())
    system.put(port("p4"), network_id="n2")
    settle(system)

    assert since(system, before) == {("create", "port_p4"): 1}


def test_a_leader_that_knows_an_old_value_reads_it_again_before_it_updates_anybody(
    system: System, cloud: ChangingHeat
) -> None:
    """Somebody has written the network's stack record. The leader hears of it from who was built since."""
    system.put(N1, 2)
    settle(system)
    outputs = [{"output_key": "id", "output_value": "written by hand"}]
    stack = StackRecord.of(N1, TENANT, "CREATE_COMPLETE", outputs)
    system.store.put(system.keys.below(system.keys.stacks, N1), stack.to_json())
    before = len(system.asked())
    system.put(P1, 2, network_id="n1")
    settle(system)

    assert since(system, before) == {("update", "port_p1"): 1, ("update", "port_p2"): 1}
    assert parameter(system, "port_p2", "network") == "written by hand"


def test_nobody_is_updated_twice_for_one_value_whatever_the_worker_reads(
    system: System, cloud: ChangingHeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker of another release, which makes other digests than the leader."""
    monkeypatch.setattr(rendering, "digest_of", lambda value: f"another digest of {value}")
    cloud.outputs["network_n1"] = "another"
    before = len(system.asked())
    system.put(N1, 2)
    settle(system)

    assert since(system, before)[("update", "port_p1")] == 1


def test_an_output_that_is_gone_updates_nobody(system: System, cloud: ChangingHeat) -> None:
    before = len(system.asked())
    system.outcome = lambda stack: {"outputs": []}
    system.put(N1, 2)
    settle(system)

    assert since(system, before) == {("update", "network_n1"): 1}


def test_a_circle_of_outputs_that_settles_is_followed(system: System, cloud: ChangingHeat) -> None:
    make_circle(system)
    cloud.outputs["node_a"] = "another"
    before = len(system.asked())
    system.put(node("a"), 3, uses=["b"])
    settle(system)

    assert since(system, before) == {("update", "node_a"): 1, ("update", "node_b"): 1}


def test_a_circle_that_does_not_settle_is_held_after_two_rounds_and_named(
    system: System, cloud: ChangingHeat, caplog: pytest.LogCaptureFixture
) -> None:
    make_circle(system)
    values = iter(range(1000))
    cloud.outputs |= {name: lambda: str(next(values)) for name in ("node_a", "node_b")}
    before = len(system.asked())
    system.put(node("a"), 3, uses=["b"])
    settle(system)

    assert since(system, before) == {("update", "node_a"): 3, ("update", "node_b"): 2}
    [told] = [r for r in caplog.records if getattr(r, "event", "") == "output_circle"]
    assert "node:b → node:a → node:b" in told.__dict__["reason"]

    system.stop()
    system.start()
    settle(system)

    assert sum(since(system, before).values()) == 5, "the next leader holds it as well"


def make_circle(system: System) -> None:
    """Two nodes, each built from the other's output: that came about in two steps."""
    system.put(node("a"))
    system.put(node("b"), uses=["a"])
    settle(system)
    system.put(node("a"), 2, uses=["b"])
    settle(system)


@pytest.mark.parametrize(
    "point",
    [
        "bridge-before-follow",
        "bridge-after-follow",
        "bridge-after-job",
        "bridge-after-send",
        "bridge-before-release",
    ],
)
def test_each_user_is_updated_once_although_leaders_die(
    cloud: ChangingHeat, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """They die the first time that they reach the point, and then after each tenth of the users."""
    system = System(outcome=cloud, deadline=max(12.0, FOLLOWERS / 20))
    users = [port(f"u{number}") for number in range(FOLLOWERS)]
    for user in users:
        seed(system, user)
    step, died = FOLLOWERS // 10, set[int]()

    def die(reached: str) -> None:
        tenth = (len(system.asked()) - before) // step
        if reached == point and tenth not in died:
            died.add(tenth)
            raise LeaderKilled

    with system:
        system.put(N1)
        settle(system)
        cloud.outputs["network_n1"] = "another"
        before = len(system.asked())
        monkeypatch.setattr("orchestrator.faults.reach", die)
        system.put(N1, 2)
        while len(system.asked()) <= before + len(users) or not system.idle():
            try:
                settle(system)
            except LeaderKilled:
                system.kill()
                system.start()

    assert died
    assert since(system, before) == Counter(
        [("update", "network_n1"), *(("update", user.stack_name) for user in users)]
    )


def seed(system: System, user: Ref) -> None:
    """A port that was built from the first network, as its records tell."""
    keys, store = system.keys, system.store
    system.put(user, network_id="n1")
    config = store.get(keys.below(keys.config, user))
    assert config is not None
    wanted = replace(
        factories.wanted(user, network_id="n1"),
        incarnation=config.created,
        revision=config.revision,
    )
    handled = factories.handled(user, incarnation=config.created, network_id="n1")
    handled = replace(
        handled,
        references={"network": (N1,)},
        revision=config.revision,
        digest=wanted.digest(),
    )
    built = Built(handled.job, "port", "r1", "p1", {OutputOf(N1, "id"): digest_of("network_n1")})
    written = {
        keys.handled: handled.to_json(),
        keys.built: built.to_json(),
        keys.stacks: StackRecord.of(user, TENANT, "CREATE_COMPLETE").to_json(),
        keys.state: StateRecord.of(Action.CREATE, "CREATE_COMPLETE", [], 1).to_json(),
    }
    for folder, value in written.items():
        store.put(keys.below(folder, user), value)
    system.heat.put(TENANT, factories.heat_stack(factories.job(user)))
