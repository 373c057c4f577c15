"""Stacks that somebody changed behind our back are found, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from orchestrator.bridge.reconciling import Reconciler
from orchestrator.bridge.timing import Timing
from orchestrator.clients.queue import SWEEP
from orchestrator.core import effects
from orchestrator.core.drift import MOST_CORRECTIONS, SweepOrder
from orchestrator.core.records import Depth, Drift, DriftKind, StackUpdate, Sweep, SweepAsked
from orchestrator.core.refs import Ref
from orchestrator.core.stacks import Stack
from orchestrator.errors import HeatUnavailable
from tasks.sweeping import sweep as run_sweep

from tests.factories import HOT, TENANT, network, port

from .driver import System, complete

N1, N2, P1 = network("n1"), network("n2"), port("p1")
BUILT = ("CREATE_COMPLETED", 1)
INTERVAL = 600.0


def timing(interval: float = INTERVAL) -> Timing:
    return Timing(
        poll_interval=0.02, monitoring_interval=36000.0, patience=0.2, drift_interval=interval
    )


@pytest.fixture
def system() -> Iterator[System]:
    """Two networks and a port on one of them, built."""
    with System(timing=timing()) as running:
        running.put(N1)
        running.put(N2)
        running.put(P1, network_id="n1")
        running.until(lambda: running.reported(n1=BUILT, n2=BUILT, p1=BUILT) and running.idle())
        yield running


def swept(system: System, tenant: str = TENANT) -> Sweep | None:
    found = system.store.get(system.keys.sweep(tenant))
    return Sweep.from_json(found.value) if found else None


def sweep(system: System) -> Sweep:
    """Ask for a sweep, and wait for it."""
    key = system.keys.sweeps_asked + "aaaaa"
    system.store.put(key, SweepAsked(TENANT).to_json())
    system.until(lambda: system.store.get(key) is None, "the sweep")
    done = swept(system)
    assert done is not None
    return done


def drifts(system: System) -> dict[Ref, Drift]:
    found = {}
    for kv in system.store.list(system.keys.drift)[1]:
        ref = system.keys.ref(system.keys.drift, kv.key)
        assert ref is not None
        found[ref] = Drift.from_json(kv.value)
    return found


def kinds(system: System) -> dict[Ref, list[str]]:
    return {
        ref: [kind.value for kind in drift.kinds]
        for ref, drift in drifts(system).items()
        if drift.shown
    }


def change(system: System, ref: Ref, **fields: object) -> None:
    """Somebody else changes a stack."""
    stack = system.heat.stacks(TENANT)[ref.stack_name]
    system.heat.put(TENANT, replace(stack, **fields))  # type: ignore[arg-type]


def test_nothing_is_found_where_nothing_was_changed(system: System) -> None:
    done = sweep(system)

    assert (done.stacks, done.drifted, done.requests) == (3, 0, 1)
    assert drifts(system) == {}
    assert system.heat.lists == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "SUSPEND_COMPLETE"}, ["status"]),
        ({"tags": ()}, ["untagged"]),
        ({"status": "UPDATE_COMPLETE", "updated": "2030-01-01T00:00:00Z"}, ["updated"]),
        (
            {"status": "UPDATE_FAILED", "updated": "2030-01-01T00:00:00Z", "tags": ()},
            ["status", "untagged", "updated"],
        ),
    ],
)
def test_a_stack_that_somebody_changed_is_found(
    system: System, fields: dict[str, object], expected: list[str]
) -> None:
    sweep(system)
    change(system, N1, **fields)
    done = sweep(system)

    assert kinds(system) == {N1: expected}
    assert done.drifted == 1


def test_a_stack_that_somebody_deleted_is_lost(system: System) -> None:
    system.heat.remove(N2.stack_name, tenant=TENANT)
    sweep(system)

    assert kinds(system) == {N2: ["lost"]}


def test_a_list_that_misses_a_stack_is_not_believed(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system.heat, "listed", lambda tenant: [])
    done = sweep(system)

    assert drifts(system) == {}
    assert done.requests == 1 + 3


def test_a_stack_of_our_naming_that_nobody_asked_for_is_unknown(system: System) -> None:
    stranger = Stack("s9", "network_n9", "CREATE_COMPLETE", tags=("orchestrator-1-zzzzz",))
    system.heat.put(TENANT, stranger)
    system.heat.put(TENANT, Stack("s8", "somebodys", "CREATE_COMPLETE"))
    sweep(system)

    assert kinds(system) == {network("n9"): ["unknown"]}
    system.heat.remove("network_n9", tenant=TENANT)
    sweep(system)
    assert drifts(system) == {}


def test_a_stack_whose_resource_is_still_to_be_built_is_not_unknown(system: System) -> None:
    system.put(port("p9"), network_id="nowhere")
    system.heat.put(TENANT, Stack("s9", "port_p9", "CREATE_COMPLETE"))
    sweep(system)

    assert drifts(system) == {}


def test_drift_that_is_put_right_is_gone_at_once_and_forgotten_by_the_next_sweep(
    system: System,
) -> None:
    change(system, N1, status="SUSPEND_COMPLETE")
    sweep(system)
    since = drifts(system)[N1].since
    change(system, N1, status="RESUME_COMPLETE")
    sweep(system)

    assert kinds(system) == {} and drifts(system)[N1].gone
    change(system, N1, status="SUSPEND_COMPLETE")
    sweep(system)
    assert drifts(system)[N1].since == since
    change(system, N1, status="RESUME_COMPLETE")
    sweep(system)
    sweep(system)
    assert drifts(system) == {}


def test_a_record_is_written_only_when_something_changed(system: System) -> None:
    change(system, N1, status="SUSPEND_COMPLETE")
    for _ in range(3):
        sweep(system)

    key = system.keys.below(system.keys.drift, N1)
    assert sum(event.key == key for event in system.store.history) == 1


def test_an_operation_of_ours_in_flight_is_no_drift(system: System) -> None:
    system.outcome = lambda stack: None
    system.put(N1, 2)
    system.until(lambda: system.heat.working(), "Heat works on it")
    sweep(system)

    assert drifts(system) == {}


def test_an_operation_that_began_while_heat_was_asked_is_no_drift(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: Callable[[str], list[Stack]] = system.heat.listed

    def meanwhile(tenant: str) -> list[Stack]:
        monkeypatch.undo()
        system.put(N1, 2)
        system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)) and system.idle())
        return listed(tenant)

    monkeypatch.setattr(system.heat, "listed", meanwhile)
    sweep(system)

    assert drifts(system) == {}, "its record was read before the update, and Heat's list after it"
    sweep(system)
    assert drifts(system) == {}


def test_our_own_update_is_no_drift_and_a_later_one_is(system: System) -> None:
    sweep(system)
    system.put(N1, 2)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)) and system.idle())
    sweep(system)
    assert drifts(system) == {}

    change(system, N1, updated=system.heat.next_time())
    sweep(system)
    assert kinds(system) == {N1: ["updated"]}
    sweep(system)
    assert kinds(system) == {N1: ["updated"]}, "it is told until our next operation"


def updated(system: System, version: int) -> None:
    system.put(N1, version)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", version)) and system.idle())


def test_an_update_straight_after_ours_is_found_by_the_first_sweep(system: System) -> None:
    """Nobody has swept before, so only the recorded time of our own update tells them apart."""
    updated(system, 2)
    key = system.keys.below(system.keys.updates, N1)
    found = system.store.get(key)
    assert found is not None
    ours = system.heat.stacks(TENANT)[N1.stack_name].updated
    assert StackUpdate.from_json(found.value).at == ours

    change(system, N1, updated=system.heat.next_time())
    sweep(system)
    assert kinds(system) == {N1: ["updated"]}

    updated(system, 3)
    sweep(system)
    assert kinds(system) == {}
    system.remove(N1)
    system.until(lambda: system.state(N1) is None and system.idle())
    assert system.store.get(key) is None


def test_without_the_recorded_time_the_sweep_before_tells_them_apart(system: System) -> None:
    """As an earlier release has left the records."""
    updated(system, 2)
    system.store.delete(system.keys.below(system.keys.updates, N1))
    change(system, N1, updated=system.heat.next_time())
    sweep(system)
    assert kinds(system) == {}, "it may be ours"

    change(system, N1, updated=system.heat.next_time())
    sweep(system)
    assert kinds(system) == {N1: ["updated"]}


def test_sweeps_between_all_steps_of_ordinary_work_find_nothing(system: System) -> None:
    """Versions, failures, cancels and deletions; Heat is listed after each step."""
    work, steps = system.work, 0

    def sweep_after_each() -> None:
        nonlocal steps
        work()
        steps += 1
        due(system)
        assert drifts(system) == {}

    system.work = sweep_after_each  # type: ignore[method-assign]
    updated(system, 2)
    system.outcome = lambda stack: {"status": "FAILED"}
    system.put(N2, 2)
    system.until(lambda: system.reported(n2=("MODIFY_FAILED", 2)) and system.idle())
    system.outcome = complete
    system.put(N2, 3)
    system.put(P1, 2, network_id="n1", size=7)
    system.until(lambda: system.reported(n2=("MODIFY_COMPLETED", 3)) and system.idle())
    updated(system, 3)
    system.put(P1, 3, marked=True, network_id="n1")
    system.until(lambda: system.reported(p1=("DELETE_COMPLETED", 3)) and system.idle())
    assert steps > 20


def test_a_heat_that_does_not_answer_is_told_and_what_was_found_stays(system: System) -> None:
    change(system, N1, status="SUSPEND_COMPLETE")
    before = sweep(system)
    system.heat.fail_next(HeatUnavailable("Heat is away"), "listed")
    failed = sweep(system)

    assert failed.reason == "Heat is away"
    assert (failed.revision, failed.newest) == (before.revision, before.newest)
    assert kinds(system) == {N1: ["status"]}
    assert sweep(system).reason == ""


def test_the_records_of_a_deleted_resource_go_with_it(system: System) -> None:
    change(system, N2, status="UPDATE_FAILED")
    sweep(system)
    system.remove(N2)
    system.until(lambda: system.state(N2) is None and system.idle())

    assert drifts(system) == {}


def test_nothing_but_reading_is_asked_of_heat(system: System) -> None:
    change(system, N1, status="CHECK_FAILED")
    before = system.asked()
    sweep(system)

    assert system.asked() == before


# Deeper -------------------------------------------------------------------------------------------


def sweep_deep(system: System, *refs: Ref) -> Sweep:
    key = system.keys.sweeps_asked + "bbbbb"
    system.store.put(key, SweepAsked(TENANT, Depth.OUTPUTS, refs).to_json())
    system.until(lambda: system.store.get(key) is None, "the sweep")
    done = swept(system)
    assert done is not None
    return done


def names(system: System) -> dict[Ref, set[tuple[str, str]]]:
    return {
        ref: {(one.kind.value, one.name) for one in drift.deviations}
        for ref, drift in drifts(system).items()
        if drift.shown
    }


def amend(system: System, ref: Ref, **fields: object) -> None:
    """Somebody else changes what Heat shows of a stack in detail."""
    key = (TENANT, ref.stack_name)
    system.heat.shown[key] = replace(system.heat.shown[key], **fields)  # type: ignore[arg-type]


def test_a_deep_comparison_finds_nothing_where_nothing_was_changed(system: System) -> None:
    done = sweep_deep(system)

    assert drifts(system) == {}
    assert (done.depth, done.not_compared) == (Depth.OUTPUTS, ())
    assert sorted(system.heat.inspected) == [
        (ref.stack_name, Depth.OUTPUTS) for ref in (N1, N2, P1)
    ]
    assert done.requests == 1 + 3 * 3


def test_an_updated_stack_is_compared_deeper_at_once_and_only_then(system: System) -> None:
    sweep(system)
    change(system, N1, status="UPDATE_COMPLETE", updated="2030-01-01T00:00:00Z")
    amend(system, N1, parameters={"name": "somebody's"})
    due(system)

    assert system.heat.inspected == [(N1.stack_name, Depth.REQUEST)]
    assert names(system) == {N1: {("updated", ""), ("parameter", "name")}}
    due(system)
    assert len(system.heat.inspected) == 1, "once for each update"
    assert names(system) == {N1: {("updated", ""), ("parameter", "name")}}


def test_the_budget_bounds_the_deeper_comparisons(system: System) -> None:
    system.worker.drift_budget = 2
    for ref in (N1, N2, P1):
        change(system, ref, status="UPDATE_COMPLETE", updated="2030-01-01T00:00:00Z")
    due(system)
    assert len(system.heat.inspected) == 2

    due(system)
    assert len(system.heat.inspected) == 3


def test_a_greater_depth_compares_all_stacks_in_turn(system: System) -> None:
    system.worker.drift_depth, system.worker.drift_budget = Depth.PROPERTIES, 2
    for _ in range(3):
        due(system)

    compared = [name for name, _ in system.heat.inspected]
    assert compared == [ref.stack_name for ref in (N1, N2, P1, N1, N2, P1)]
    assert {depth for _, depth in system.heat.inspected} == {Depth.PROPERTIES}


def test_a_changed_output_is_found_by_the_deepest_comparison(system: System) -> None:
    change(system, N1, outputs=[{"output_key": "id", "output_value": "another"}])
    sweep(system)
    assert drifts(system) == {}

    sweep_deep(system, N1)
    assert names(system) == {N1: {("output", "id")}}
    sweep(system)
    assert names(system) == {N1: {("output", "id")}}, "a list cannot say that it is gone"


def test_what_would_be_asked_otherwise_today_is_no_drift(system: System) -> None:
    text = HOT.replace("resources: {}", "description: another\nresources: {}")
    body = {"id": "port", "template_file": text, "parameter_mappings": {"name": "Pname"}}
    system.store.put("/config/v2.0/heat_templates/port", json.dumps({"body": body}))
    done = sweep_deep(system, P1)

    assert drifts(system) == {}
    assert "outdated" in str(done.not_compared)


def test_what_cannot_be_said_is_told_as_not_compared(system: System) -> None:
    system.store.delete(system.keys.below(system.keys.config, N1))
    system.store.put(system.keys.below(system.keys.config, N1), "no config")
    done = sweep_deep(system, P1)

    assert done.not_compared == (
        "port:p1: template and parameters, because a resource that it refers to is gone",
    )


def due(system: System, *refs: Ref) -> None:
    """The next sweep in turn, as the leader would send it."""
    order = SweepOrder(TENANT, refs or (N1, N2, P1))
    run_sweep(system.worker, order.to_message())


# What the template says ---------------------------------------------------------------------------


def template(system: System, name: str, **mappings: str) -> None:
    """Another template of a type, with the same HOT."""
    body = {"id": name, "template_file": HOT, "parameter_mappings": {"name": "Pname", **mappings}}
    system.store.put(f"/config/v2.0/heat_templates/{name}", json.dumps({"body": body}))


def test_drift_is_corrected_where_the_template_says_so(system: System) -> None:
    template(system, "network", heat_drift="Ccorrect")
    system.heat.remove(N1.stack_name, tenant=TENANT)
    change(system, N2, tags=())
    before = len(system.asked())
    sweep(system)
    again = ("MODIFY_COMPLETED", 1)
    system.until(lambda: system.reported(n1=again, n2=again) and system.idle())

    assert system.asked()[before:] == [("create", "network_n1"), ("update", "network_n2")]
    sweep(system)
    assert kinds(system) == {}
    assert drifts(system)[N1].corrections == 1


def test_without_a_word_in_the_template_drift_is_only_told(system: System) -> None:
    change(system, N1, tags=())
    before = system.asked()
    sweep(system)
    system.until(system.idle)

    assert system.asked() == before


@pytest.mark.parametrize("status", ["SUSPEND_COMPLETE", "CHECK_FAILED"])
def test_what_a_rebuild_would_not_put_right_is_not_corrected(system: System, status: str) -> None:
    template(system, "network", heat_drift="Ccorrect")
    change(system, N1, status=status, tags=())
    before = system.asked()
    sweep(system)
    pass_time(system, 10.0)

    assert system.asked() == before
    assert kinds(system) == {N1: ["status", "untagged"]}


def test_drift_that_always_comes_back_is_corrected_a_few_times_only(system: System) -> None:
    template(system, "network", heat_drift="Ccorrect")
    before = len(system.asked())
    for _ in range(5):
        change(system, N1, tags=())
        sweep(system)
        system.until(system.idle)
        pass_time(system, 5.0)
        system.until(system.idle)

    assert len(system.asked()) - before == MOST_CORRECTIONS
    assert kinds(system) == {N1: ["untagged"]}


def test_a_correction_is_not_forgotten_when_the_leader_dies(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    template(system, "network", heat_drift="Ccorrect")
    change(system, N1, tags=())
    monkeypatch.setattr(Reconciler, "settle", lambda self, at_most: None)
    sweep(system)
    system.lead_until(lambda: N1 in system.term.world.again)
    system.stop()
    monkeypatch.undo()
    system.start()
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 1)) and system.idle())


def test_later_versions_are_held_where_the_template_says_stop(system: System) -> None:
    template(system, "network", heat_drift="Cstop")
    change(system, N1, tags=())
    sweep(system)
    system.lead_until(lambda: N1 in system.term.world.drifted)
    before = len(system.asked())
    system.put(N1, 2)
    held = system.keys.below(system.keys.held, N1)
    system.until(lambda: system.store.get(held) is not None)
    assert "heat_drift: stop" in str(system.snapshot()[held])
    assert len(system.asked()) == before

    key = system.keys.below(system.keys.drift, N1)
    found = system.store.get(key)
    assert found is not None
    drift = Drift.from_json(found.value)
    assert system.store.commit(effects.accept_drift(key, drift, found.revision))
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)) and system.idle())
    assert len(system.asked()) == before + 1


def test_a_stopped_resource_may_be_deleted(system: System) -> None:
    template(system, "network", heat_drift="Cstop")
    change(system, N2, tags=())
    sweep(system)
    system.lead_until(lambda: N2 in system.term.world.drifted)
    system.put(N2, 2, marked=True)
    system.until(lambda: system.reported(n2=("DELETE_COMPLETED", 2)) and system.idle())


def test_what_the_template_says_to_ignore_is_no_drift(system: System) -> None:
    template(system, "network", heat_drift_ignore="Cid,other")
    change(system, N1, outputs=[{"output_key": "id", "output_value": "another"}])
    sweep_deep(system, N1)

    assert drifts(system) == {}


def test_what_is_told_of_drift_is_counted(system: System) -> None:
    change(system, N1, tags=())
    system.heat.remove(N2.stack_name, tenant=TENANT)
    sweep(system)
    system.cycle()
    sizes = system.term.sizes()

    assert (sizes["drifted"], sizes["lost"]) == (2, 1)


# When ---------------------------------------------------------------------------------------------


def sweeps_sent(system: System) -> list[str]:
    return [
        message.argument["tenant"] for message in system.queue.sent if message.tasks == (SWEEP,)
    ]


def pass_time(system: System, seconds: float) -> None:
    """Time passes in steps in which all timers come to their turn."""
    for _ in range(int(seconds / 5.0)):
        system.clock.clock.sleep(5.0)
        system.work()


def test_a_tenant_is_swept_once_an_interval_and_not_before_one_is_over(system: System) -> None:
    pass_time(system, INTERVAL - 10.0)
    assert sweeps_sent(system) == []

    pass_time(system, INTERVAL + 40.0)
    assert sweeps_sent(system) == [TENANT]
    pass_time(system, 3 * INTERVAL)
    assert len(sweeps_sent(system)) in (3, 4)


def test_the_next_leader_goes_on_where_the_one_before_was(system: System) -> None:
    done = sweep(system)
    pass_time(system, INTERVAL / 2)
    sent = len(sweeps_sent(system))
    system.stop()
    system.start()
    pass_time(system, INTERVAL / 2 + 40.0)

    assert len(sweeps_sent(system)) == sent + 1
    again = swept(system)
    assert again is not None and again.at > done.at


def test_the_record_of_a_sweep_goes_with_the_last_stack_of_the_tenant(system: System) -> None:
    sweep(system)
    system.remove(P1, N1, N2)
    system.until(lambda: not system.term.world.stacks and system.idle())
    pass_time(system, INTERVAL / 10)

    assert swept(system) is None


def test_without_an_interval_only_what_a_person_wants_is_swept() -> None:
    with System(timing=timing(0.0)) as system:
        system.put(N1)
        system.until(lambda: system.reported(n1=BUILT) and system.idle())
        pass_time(system, 3 * INTERVAL)
        assert sweeps_sent(system) == []

        assert sweep(system).stacks == 1


def test_what_a_person_asked_for_is_sent_again_when_the_message_is_lost(system: System) -> None:
    key = system.keys.sweeps_asked + "aaaaa"
    system.store.put(key, SweepAsked(TENANT, Depth.LISTS).to_json())
    while not sweeps_sent(system):
        system.cycle()
    system.queue.lose(everything=False)
    pass_time(system, 70.0)

    assert system.store.get(key) is None
    assert len(sweeps_sent(system)) == 2


def test_a_record_of_a_newer_release_is_left_out(system: System) -> None:
    key = system.keys.below(system.keys.drift, N1)
    value = json.dumps({"deviations": "of another form"})
    system.store.put(key, value)
    change(system, N2, status="UPDATE_FAILED")
    sweep(system)

    found = system.store.get(key)
    assert found is not None and found.value.decode() == value
    assert DriftKind.STATUS.value in str(system.store.list(system.keys.drift)[1])
