"""Jobs that a person cancels: one that waits ends at once, and Heat ends what it works on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from orchestrator.bridge.cancelling import Cancelling
from orchestrator.cli.verbs import requesting
from orchestrator.cli.verbs.authors import AskedVerb, verb
from orchestrator.core.records import AuditRecord, RetryAsked, Run, Step
from orchestrator.core.refs import JobId, Ref
from orchestrator.errors import HeatRefused, HeatUnavailable

from tests.factories import network, port

from .driver import System, complete

N1, P1 = network("n1"), port("p1")
BUILT = ("CREATE_COMPLETED", 1)


@pytest.fixture
def system() -> Iterator[System]:
    with System() as running:
        yield running


def ask(system: System, job: JobId, ref: Ref = N1) -> AskedVerb:
    asked = verb("cancel", "alice", "wrong image", str(ref))
    requesting.ask(system.store, system.keys, asked, {ref: RetryAsked(cancel=job)})
    return asked


def outcome(system: System, asked: AskedVerb, ref: Ref = N1) -> str:
    found = system.store.get(system.keys.audit(ref, asked.id))
    assert found is not None
    return AuditRecord.from_json(found.value).outcome


def job_on(system: System, ref: Ref) -> JobId:
    return system.term.world.graph.on(ref)[-1].id


def in_heat(system: System, *, held: bool = True) -> JobId:
    """Heat works on the network."""
    if held:
        system.outcome = lambda stack: None
    system.put(N1)
    system.until(lambda: any(run.step is Step.IN_HEAT for run in system.runs().values()))
    return job_on(system, N1)


def test_a_job_that_waits_ends_and_its_version_says_who_cancelled_it(system: System) -> None:
    system.put(N1)
    system.put(P1, network_id="n1")
    system.lead_until(lambda: len(system.jobs_made()) == 2)
    asked = ask(system, job_on(system, N1))
    system.until(lambda: outcome(system, asked) and system.idle())

    assert outcome(system, asked) == "carried out"
    assert system.asked() == []
    state = system.state(N1)
    assert state["state"]["worker_state"] == "CREATE_FAILED"
    assert state["error"].startswith("cancelled by alice (wrong image); write its next version")
    assert "network:n1, which failed: cancelled by alice" in system.state(P1)["error"]

    system.put(N1, 2)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 2), p1=BUILT) and system.idle())


def test_a_job_that_waits_for_its_next_try_with_heat_away_ends(system: System) -> None:
    for _ in range(500):
        system.heat.fail_next(HeatUnavailable("away"))
    system.put(N1)
    system.until(lambda: any(run.step is Step.RETRY for run in system.runs().values()))
    asked = ask(system, job_on(system, N1))
    system.until(lambda: outcome(system, asked) and system.idle())

    assert outcome(system, asked) == "carried out"
    assert system.worker_state(N1) == ("CREATE_FAILED", 1)


def states(system: System, ref: Ref = N1) -> list[tuple[int, str]]:
    """Every state that was ever written, in order."""
    key = system.keys.below(system.keys.state, ref)
    written = [e.value for e in system.store.history if e.key == key and e.value is not None]
    told = [json.loads(value) for value in written]
    return [(state["version"], state["state"]["worker_state"]) for state in told]


def behind_another(system: System) -> JobId:
    """The deletion waits for the creation, on which Heat works."""
    in_heat(system)
    system.put(N1, 2, marked=True)
    system.lead_until(lambda: len(system.jobs_made()) == 2)
    return job_on(system, N1)


def test_a_job_behind_another_one_ends_after_it_so_that_versions_are_reported_in_order(
    system: System,
) -> None:
    asked = ask(system, behind_another(system))
    system.clock.pass_(5.0)
    for _ in range(20):
        system.work()
    assert not outcome(system, asked) and not states(system)

    system.outcome = complete
    system.until(lambda: outcome(system, asked) and system.idle())
    assert outcome(system, asked) == "carried out"
    assert states(system) == [(1, "CREATE_COMPLETED"), (2, "DELETE_FAILED")]
    assert system.asked() == [("create", "network_n1")]


def test_the_next_leader_ends_a_job_behind_another_one_once(system: System) -> None:
    asked = ask(system, behind_another(system))
    for _ in range(5):
        system.work()
    system.kill()
    system.start()
    system.outcome = complete
    system.until(lambda: outcome(system, asked) and system.idle())
    assert outcome(system, asked) == "carried out"
    assert states(system) == [(1, "CREATE_COMPLETED"), (2, "DELETE_FAILED")]


def test_a_job_behind_another_one_goes_on_when_another_request_took_the_place_of_the_cancel(
    system: System,
) -> None:
    asked = ask(system, behind_another(system))
    for _ in range(5):
        system.work()
    later = verb("retry", "bob", None, str(N1))
    requesting.ask(system.store, system.keys, later, {N1: RetryAsked()})
    system.outcome = complete
    system.until(lambda: system.worker_state(N1) == ("DELETE_COMPLETED", 2) and system.idle())
    assert outcome(system, asked) == "replaced by a later request"


def test_heat_ends_what_it_works_on(system: System) -> None:
    asked = ask(system, in_heat(system))
    system.until(lambda: system.worker_state(N1) and system.idle())

    assert outcome(system, asked) == "carried out: Heat is asked to end the operation"
    assert system.asked() == [("create", "network_n1"), ("cancel", "network_n1")]
    state = system.state(N1)
    assert state["state"]["worker_state"] == "CREATE_FAILED"
    assert state["error"].startswith(
        "cancelled by alice (wrong image); Heat ended in CREATE_FAILED"
    )


def test_an_operation_that_ends_before_heat_is_asked_is_reported_as_it_ended(
    system: System,
) -> None:
    job = in_heat(system)
    asked = ask(system, job)
    system.lead_until(lambda: outcome(system, asked))
    ((tenant, stack),) = system.heat.working()
    system.heat.finish(stack.name, tenant=tenant, **(complete(stack) or {}))
    system.until(lambda: system.reported(n1=BUILT) and system.idle())

    assert system.asked() == [("create", "network_n1")]


@pytest.mark.parametrize("error", [HeatUnavailable("away"), HeatRefused(403, "not allowed")])
def test_what_heat_does_not_cancel_now_goes_on(system: System, error: Exception) -> None:
    job = in_heat(system)
    system.heat.fail_next(error, "cancel")
    asked = ask(system, job)
    system.until(lambda: outcome(system, asked))
    if isinstance(error, HeatUnavailable):
        system.until(lambda: system.worker_state(N1) and system.idle(), "it is asked once more")
        assert system.worker_state(N1) == ("CREATE_FAILED", 1)
    else:
        system.until(lambda: any(run.cancel_asked for run in system.runs().values()))
        system.outcome = complete
        system.until(lambda: system.reported(n1=BUILT) and system.idle())


def test_a_job_that_a_worker_has_at_this_moment_is_looked_at_again(system: System) -> None:
    system.put(N1)
    system.lead_until(lambda: system.queue.depth())
    job = job_on(system, N1)
    key = system.keys.run(system.term.world.graph.jobs[job].tenant, job)
    system.store.put(key, Run(Step.CLAIMED).to_json())
    asked = ask(system, job)
    for _ in range(30):
        system.cycle()
    assert not outcome(system, asked)

    system.store.put(key, Run(Step.RETRY, delay=60.0).to_json())
    system.lead_until(lambda: outcome(system, asked) and system.idle())
    assert outcome(system, asked) == "carried out" and not system.asked()


def test_what_cannot_be_cancelled_says_why(system: System) -> None:
    system.put(N1)
    system.until(lambda: system.reported(n1=BUILT) and system.idle())
    late = ask(system, JobId("create:heat_worker:network:n1:1:aaaaa"))
    system.until(lambda: outcome(system, late))
    assert outcome(system, late) == "nothing to do: the job is over"

    system.outcome = lambda stack: None
    system.put(N1, 2, marked=True)
    system.until(lambda: any(run.step is Step.IN_HEAT for run in system.runs().values()))
    deletion = job_on(system, N1)
    marked = ask(system, deletion)
    system.until(lambda: outcome(system, marked))
    assert outcome(system, marked) == "not done: Heat cannot cancel a deletion"
    system.remove(N1)
    system.lead_until(lambda: N1 not in system.term.world.wanted)
    gone = ask(system, deletion)
    system.until(lambda: outcome(system, gone))
    assert outcome(system, gone).startswith("not done: the config is gone")


def test_the_next_leader_cancels_once(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    job = in_heat(system)
    with monkeypatch.context() as dying:
        dying.setattr(Cancelling, "cancel", lambda *_: None)
        asked = ask(system, job)
        for _ in range(10):
            system.work()
        system.stop()
    assert not outcome(system, asked)
    system.start()
    system.lead_until(lambda: outcome(system, asked))
    system.stop()
    system.start()
    system.until(lambda: system.worker_state(N1) and system.idle())

    assert system.asked() == [("create", "network_n1"), ("cancel", "network_n1")]
    assert system.worker_state(N1) == ("CREATE_FAILED", 1)
