"""A leader that begins finds what the one before had dealt with, or had not, and did not come to tidy up."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from orchestrator.bridge import finished
from orchestrator.bridge.outcomes import Outcomes
from orchestrator.bridge.reconciling import Reconciler
from orchestrator.bridge.timing import Timing
from orchestrator.core.records import Run, Step
from orchestrator.core.refs import Ref
from orchestrator.core.stacks import Stack
from orchestrator.core.templates import Template

from tests.factories import HOT, network, port, server

from .driver import Outcome, System, complete

N1, P1, S1 = network("n1"), port("p1"), server("s1")


@pytest.fixture
def system() -> Iterator[System]:
    with System() as running:
        yield running


@pytest.fixture
def untidy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever leads dies before it removes a run."""
    monkeypatch.setattr(finished.Finished, "remove", lambda self: None)


def steps_of(system: System) -> dict[Ref, Step]:
    """Where the runs stand, by resource."""
    listed = system.store.list(system.keys.runs)[1]
    return {
        Ref(*system.keys.run_job(kv.key).split(":")[2:4]): Run.from_json(kv.value).step
        for kv in listed
    }


def holding(*stacks: str) -> Outcome:
    """Heat takes its time for these stacks."""
    return lambda stack: None if stack.name in stacks else complete(stack)


def test_runs_are_removed_soon_and_together(system: System) -> None:
    for n in range(10):
        system.put(network(f"n{n}"))
    system.until(lambda: system.reported(**{f"n{n}": ("CREATE_COMPLETED", 1) for n in range(10)}))
    reported = system.clock.now
    system.until(system.idle)

    assert system.clock.now - reported < 0.8, "not only when something else happens"
    removed = {
        e.revision
        for e in system.store.history
        if e.key.startswith(system.keys.runs) and e.value is None
    }
    assert len(removed) < 10


def test_a_leader_that_is_stopped_leaves_no_runs_that_are_done(system: System) -> None:
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)))
    system.until(lambda: not system.term.world.graph.jobs)
    assert steps_of(system) == {N1: Step.DONE}
    system.stop()

    assert steps_of(system) == {}
    system.start()


@pytest.mark.parametrize("stage", ["claimed", "waiting"])
@pytest.mark.parametrize("deleting", [False, True], ids=["create", "delete"])
def test_a_child_that_was_released_stays_where_it_is(
    system: System, untidy: None, monkeypatch: pytest.MonkeyPatch, deleting: bool, stage: str
) -> None:
    """Created, the parent's key (network) comes before the child's (port); deleted, the one that goes first (server)
    comes after the one that waits (port)."""
    for ref, more in ((N1, {}), (P1, {"network_id": "n1"}), (S1, {"ports": ["p1"]})):
        if deleting:
            system.put(ref, **more)
    if deleting:
        system.until(
            lambda: system.reported(s1=("CREATE_COMPLETED", 1)) and not system.term.world.graph.jobs
        )
        system.outcome = holding("port_p1")
        system.put(S1, 2, marked=True, ports=["p1"])
        system.put(P1, 2, marked=True, network_id="n1")
    else:
        system.outcome = holding("port_p1")
        system.put(P1, network_id="n1")
        system.put(N1)
    system.until(
        lambda: (
            steps_of(system).get(P1) is Step.IN_HEAT
            and "port_p1" in {s.name for _, s in system.heat.working()}
        )
    )
    if stage == "claimed":
        (run,) = (
            kv
            for kv in system.store.list(system.keys.runs)[1]
            if ":port:" in kv.key and b"waiting" in kv.value
        )
        system.store.put(run.key, Run(Step.CLAIMED, since=system.clock.now).to_json())
    system.stop()
    system.start()
    monkeypatch.undo()
    before = len(system.taken)
    if stage == "claimed":
        system.store.put(run.key, run.value.decode())
    system.outcome = complete
    state = ("DELETE_COMPLETED", 2) if deleting else ("CREATE_COMPLETED", 1)
    system.until(lambda: system.reported(p1=state), "found by a poll")

    submitted = [
        message
        for message in system.taken[before:]
        if "port:p1" in str(message.argument) and len(message.tasks) > 1
    ]
    assert submitted == [], "a worker has it: it is not to be sent again"


def test_a_superseded_job_that_was_sent_frees_its_place() -> None:
    """No worker was there to take the first version; the one place is for the second then."""
    with System(
        timing=Timing(
            poll_interval=0.02, monitoring_interval=3600.0, patience=0.2, tenant_requests=1
        )
    ) as system:
        system.put(N1)
        system.lead_until(lambda: system.queue.sent)
        system.put(N1, 2, name="newer")
        system.lead_until(lambda: len(system.jobs_made()) == 2)
        system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 2)) and system.idle())

        assert system.asked() == [("create", "network_n1")]


def test_what_fails_with_another_does_so_under_the_next_leader(system: System) -> None:
    """``port`` v2 waits for its v1, and for the network that it was changed to, which fails. When the leader changes
    in between, v2 is not built on a network that is not there."""

    def network_fails(stack: Stack) -> object:
        if stack.name == "port_p1":
            return None
        return (
            {"status": "FAILED", "reason": "No more VLANs"}
            if stack.name == "network_n2"
            else complete(stack)
        )

    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.outcome = holding("port_p1", "network_n2")
    system.put(P1, network_id="n1")
    system.until(lambda: steps_of(system).get(P1) is Step.IN_HEAT)
    system.put(P1, 2, network_id="n2")
    system.put(network("n2"))
    system.until(lambda: len(system.jobs_made()) == 4)
    system.outcome = network_fails  # type: ignore[assignment]
    system.until(
        lambda: (
            system.reported(n2=("CREATE_FAILED", 1))
            and not system.term.world.graph.on(network("n2"))
        )
    )
    system.stop()
    assert steps_of(system)[network("n2")] is Step.DONE, "its end is needed still"
    system.start()
    system.outcome = complete
    system.until(lambda: system.reported(p1=("CREATE_FAILED", 2)) and system.idle())

    assert "No more VLANs" in system.state(P1)["error"]
    assert [request for request in system.asked() if request == ("update", "port_p1")] == []


def test_a_retry_that_is_asked_for_twice_leaves_nothing(system: System) -> None:
    """The second time before the first request is removed."""
    key = system.keys.below(system.keys.retries, N1)
    system.store.put(key, "{}")
    system.cycle()
    system.store.put(key, "{}")
    system.put(N1)
    system.until(
        lambda: (
            system.reported(n1=("CREATE_COMPLETED", 1))
            and system.idle()
            and system.store.get(key) is None
        )
    )


def test_a_config_that_becomes_unreadable_changes_nothing_and_stops_nobody(system: System) -> None:
    key = system.keys.below(system.keys.config, N1)
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.store.put(key, "{")
    system.stop()
    system.start()
    system.put(network("n2"))
    system.until(lambda: system.reported(n2=("CREATE_COMPLETED", 1)) and system.idle())
    revision = system.store.revision
    assert not system.term.world.unsettled
    assert system.worker_state(N1) == ("CREATE_COMPLETED", 1)

    system.store.delete(key)
    system.until(lambda: system.state(N1) is None and system.idle())
    assert system.asked()[-1] == ("delete", "network_n1")
    assert system.store.revision > revision


def test_a_template_that_is_corrected_after_the_claim_is_used(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def push(text: str) -> None:
        body = {"id": "network", "template_file": text, "parameter_mappings": {"name": "Pname"}}
        system.store.put("/config/v2.0/heat_templates/network", json.dumps({"body": body}))

    push(HOT)
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    push("{{ 1 // 0 }}")
    monkeypatch.setattr(system.heat, "prepare", lambda tenant: push(HOT))
    system.put(network("n2"))
    system.until(lambda: system.worker_state(network("n2")) is not None)

    assert system.worker_state(network("n2")) == ("CREATE_COMPLETED", 1)


def test_outcomes_are_taken_in_in_the_order_in_which_they_came(
    system: System, untidy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id was removed and made anew. Of the two runs that are left, the key of the deletion is the last."""
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)))
    system.remove(N1)
    system.put(N1)
    system.until(lambda: len(system.jobs_made()) == 3 and not system.term.world.graph.jobs)
    system.stop()
    system.start()
    monkeypatch.undo()
    assert set(system.heat.stacks("t1")) == {"network_n1"}
    system.remove(N1)
    system.until(
        lambda: not system.heat.stacks("t1") and system.idle(), "the stack that is there is deleted"
    )


def test_a_template_that_is_taken_away_gives_place_to_the_catalogues(system: System) -> None:
    """The worker knows that this type needed the one of etcd, and finds that it is gone."""
    key = "/config/v2.0/heat_templates/network"
    body = {
        "id": "network",
        "template_file": HOT + "# pushed\n",
        "parameter_mappings": {"name": "Pname"},
    }
    system.store.put(key, json.dumps({"body": body}))
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.store.delete(key)
    system.put(network("n2"))
    system.until(lambda: system.reported(n2=("CREATE_COMPLETED", 1)) and system.idle())

    texts = [asked.request.template for asked in system.heat.requests if asked.request]
    assert ["# pushed" in text for text in texts] == [True, False]


@pytest.fixture
def inattentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever leads dies before it does anything about what a repair makes possible."""
    monkeypatch.setattr(Outcomes, "repaired", lambda self, root: None)


def fails(name: str) -> Outcome:
    """Heat builds everything but this stack."""
    return lambda stack: (
        {"status": "FAILED", "reason": "No more VLANs"} if stack.name == name else complete(stack)
    )


def test_what_is_to_be_tried_again_and_is_held_back_is_tried_under_the_next_leader(
    system: System,
) -> None:
    """Its root is repaired while something else that it refers to is away (chaos, seed 7)."""
    plan = Ref("plan", "a")
    system.outcome = fails("port_p1")
    system.put(N1)
    system.put(P1, network_id="n1")
    system.put(plan)
    system.put(S1, ports=["p1"], plan_id="a")
    system.until(
        lambda: system.reported(p1=("CREATE_FAILED", 1), s1=("CREATE_FAILED", 1)) and system.idle()
    )
    system.remove(plan)
    system.outcome = complete
    system.put(P1, 2, network_id="n1")
    system.until(
        lambda: (
            system.reported(p1=("MODIFY_COMPLETED", 2))
            and S1 in system.term.world.held
            and system.idle()
        )
    )
    system.stop()
    system.start()
    system.put(plan)

    system.until(lambda: system.reported(s1=("CREATE_COMPLETED", 1)) and system.idle())


def test_a_repair_is_seen_by_the_next_leader(
    system: System, inattentive: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.outcome = fails("network_n1")
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(
        lambda: system.reported(n1=("CREATE_FAILED", 1), p1=("CREATE_FAILED", 1)) and system.idle()
    )
    system.outcome = complete
    system.put(N1, 2)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)) and system.idle())
    system.stop()
    assert system.worker_state(P1) == ("CREATE_FAILED", 1)
    monkeypatch.undo()
    system.start()

    system.until(lambda: system.reported(p1=("CREATE_COMPLETED", 1)) and system.idle())


def test_a_template_that_was_corrected_is_seen_by_the_next_leader(
    system: System, inattentive: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def push(mapping: str) -> None:
        body = {"id": "network", "template_file": HOT, "parameter_mappings": {"name": mapping}}
        system.store.put("/config/v2.0/heat_templates/network", json.dumps({"body": body}))

    push("?what")
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)))
    push("Pname")
    system.until(lambda: isinstance(system.term.world.templates["network"], Template))
    system.stop()
    assert system.worker_state(N1) == ("CREATE_FAILED", 1)
    monkeypatch.undo()
    system.start()

    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())


def test_failures_whose_cause_is_as_it_was_are_left_alone(system: System) -> None:
    system.outcome = fails("network_n1")
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(
        lambda: system.reported(n1=("CREATE_FAILED", 1), p1=("CREATE_FAILED", 1)) and system.idle()
    )
    before = system.jobs_made()
    system.stop()
    system.start()
    system.put(network("n2"))
    system.until(lambda: system.reported(n2=("CREATE_COMPLETED", 1)) and system.idle())

    assert system.jobs_made()[len(before) :] == [system.jobs_made()[-1]]


def test_a_retry_that_was_asked_for_is_not_forgotten(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader has seen it, and dies before it decides."""
    system.outcome = fails("network_n1")
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())
    monkeypatch.setattr(Reconciler, "settle", lambda self, at_most: None)
    key = system.keys.below(system.keys.retries, N1)
    system.store.put(key, "{}")
    system.until(lambda: N1 in system.term.world.again)
    system.stop()
    assert system.store.get(key) is not None
    monkeypatch.undo()
    system.outcome = complete
    system.start()

    system.until(
        lambda: (
            system.worker_state(N1) == ("MODIFY_COMPLETED", 1)
            and system.idle()
            and system.store.get(key) is None
        )
    )


def test_a_bad_template_that_was_taken_away_is_seen_by_the_next_leader(
    system: System, inattentive: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue's serves again."""
    key = "/config/v2.0/heat_templates/network"
    system.store.put(
        key,
        json.dumps(
            {
                "body": {
                    "id": "network",
                    "template_file": HOT,
                    "parameter_mappings": {"name": "?what"},
                }
            }
        ),
    )
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)))
    system.store.delete(key)
    system.until(lambda: isinstance(system.term.world.templates["network"], Template))
    system.stop()
    assert system.worker_state(N1) == ("CREATE_FAILED", 1)
    monkeypatch.undo()
    system.start()

    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
