"""Sweeps of stacks that were adopted, and of stacks that a person has left in Heat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from orchestrator.core.drift import Inspection
from orchestrator.core.records import Depth, LeavingMode
from orchestrator.core.refs import Ref
from orchestrator.core.stacks import Stack
from orchestrator.views.drifts import drifts as shown_drifts
from orchestrator.views.reading import read_all
from orchestrator.views.standings import Progress

from tests.factories import TENANT, network, port

from .driver import System
from .test_adoptions import LEGACY, adopted
from .test_drift import change, drifts, due, kinds, names, sweep, sweep_deep, timing
from .test_leaving import leave, outcome

N1, P1 = network("n1"), port("p1")
LEGACY_NAMES = ["legacy", "network_old", "port_x"]
"""Names of adopted stacks: of nobody's naming, of ours, and of that of another type."""


@pytest.fixture(params=LEGACY_NAMES)
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    """A network whose stack has a name of its own, and a port that was built from it."""
    with System(timing=timing()) as running:
        running.heat.put(TENANT, replace(LEGACY, name=request.param))
        adopted(running, request.param)
        yield running


def stack_of(system: System) -> Stack:
    [stack] = [one for one in system.heat.stacks(TENANT).values() if one.name in LEGACY_NAMES]
    return stack


def alter(system: System, **fields: object) -> None:
    changed = replace(stack_of(system), **fields)  # type: ignore[arg-type]
    system.heat.put(TENANT, changed)


def test_nothing_differs_of_an_adopted_stack_at_any_depth(system: System) -> None:
    done = sweep(system)
    assert (done.stacks, done.drifted, drifts(system)) == (2, 0, {})

    done = sweep_deep(system)
    assert (done.depth, done.drifted, drifts(system)) == (Depth.OUTPUTS, 0, {})
    assert done.not_compared == ()
    assert {name for name, _ in system.heat.inspected} == {stack_of(system).name, "port_p1"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "SUSPEND_COMPLETE"}, "status"),
        ({"tags": ()}, "untagged"),
        ({"updated": "2030-01-01T00:00:00Z"}, "updated"),
    ],
)
def test_an_adopted_stack_that_somebody_changed_is_found(
    system: System, fields: dict[str, object], expected: str
) -> None:
    sweep(system)
    alter(system, **fields)
    sweep(system)

    assert kinds(system) == {N1: [expected]}


def test_an_adopted_stack_that_differs_deeper_is_found(system: System) -> None:
    sweep(system)
    shown = system.heat.shown[TENANT, stack_of(system).name]
    parameters = {**shown.parameters, "name": "another"}
    system.heat.shown[TENANT, stack_of(system).name] = Inspection(shown.template, parameters)
    alter(
        system,
        updated="2030-01-01T00:00:00Z",
        outputs=[{"output_key": "id", "output_value": "other"}],
    )
    sweep_deep(system)

    assert names(system) == {N1: {("updated", ""), ("parameter", "name"), ("output", "id")}}


def test_an_adopted_stack_that_somebody_deleted_is_lost_under_its_own_name(
    system: System,
) -> None:
    name = stack_of(system).name
    system.heat.remove(name, tenant=TENANT)
    sweep(system)

    assert kinds(system) == {N1: ["lost"]}
    reason = Progress(read_all(system.store, system.keys)).of(N1).reason
    assert f"Heat has no stack {name} any more" in reason


def test_a_message_that_does_not_name_the_resource_makes_no_unknown_stack_of_it(
    system: System,
) -> None:
    """It was adopted after the leader had sent the message, or another message names it."""
    due(system, P1)
    assert drifts(system) == {}


# Left in Heat -------------------------------------------------------------------------------------


def left(system: System, ref: Ref, how: LeavingMode) -> Stack:
    """A resource that was released or forgotten; its stack."""
    asked = leave(system, ref, how)
    system.until(lambda: outcome(system, ref, asked))
    return system.heat.stacks(TENANT)[ref.stack_name]


def of_naming(how: LeavingMode) -> Iterator[System]:
    with System(timing=timing()) as running:
        running.put(N1)
        running.put(P1, network_id="n1")
        built = ("CREATE_COMPLETED", 1)
        running.until(lambda: running.reported(n1=built, p1=built) and running.idle())
        left(running, P1, how)
        yield running


@pytest.fixture
def released() -> Iterator[System]:
    yield from of_naming(LeavingMode.RELEASE)


@pytest.fixture
def forgotten() -> Iterator[System]:
    yield from of_naming(LeavingMode.FORGET)


def said(system: System) -> str:
    return drifts(system)[P1].reason


def test_a_released_stack_is_told_as_released_and_is_no_drift(released: System) -> None:
    for _ in range(3):
        sweep(released)

    assert kinds(released) == {}
    [one] = shown_drifts(read_all(released.store, released.keys), accepted=True)
    assert one.drift.accepted and one.ref == P1
    assert "the stack port_p1, which alice released at 1970-01-" in said(released)
    assert "(CHG-4711)" in said(released)

    change(released, P1, updated="2030-01-01T00:00:00Z")
    sweep(released)
    assert kinds(released) == {}, "its new owner may do with it as he likes"
    released.heat.remove("port_p1", tenant=TENANT)
    sweep(released)
    sweep(released)
    assert drifts(released) == {}


def test_a_stack_that_was_built_under_the_name_of_a_released_one_is_unknown(
    released: System,
) -> None:
    change(released, P1, tags=())
    sweep(released)
    assert kinds(released) == {P1: ["unknown"]}


def test_a_forgotten_stack_that_is_there_all_the_same_is_unknown_and_says_who_forgot_it(
    forgotten: System,
) -> None:
    sweep(forgotten)

    assert kinds(forgotten) == {P1: ["unknown"]}
    assert "which alice forgot at 1970-01-" in said(forgotten)


def test_a_released_resource_that_comes_back_is_compared_again(released: System) -> None:
    sweep(released)
    released.put(P1, network_id="n1")
    released.until(lambda: released.reported(p1=("CREATE_COMPLETED", 1)) and released.idle())
    done = sweep(released)
    assert (done.stacks, kinds(released)) == (2, {})

    change(released, P1, status="SUSPEND_COMPLETE")
    sweep(released)
    assert kinds(released) == {P1: ["status"]}


def test_an_adopted_stack_of_our_naming_is_told_as_released_by_its_tag() -> None:
    with System(timing=timing()) as system:
        system.heat.put(TENANT, replace(LEGACY, name="port_old"))
        adopted(system, "port_old")
        asked = leave(system, N1)
        system.until(lambda: outcome(system, N1, asked))
        sweep(system)

        assert kinds(system) == {}
        assert "port_old, which alice released" in drifts(system)[port("old")].reason
