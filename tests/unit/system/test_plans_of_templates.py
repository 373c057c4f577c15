"""What a plan says about templates that change, and about their roll-outs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from orchestrator.cli.planning import previewing
from orchestrator.cli.planning.edits import NONE, Edits
from orchestrator.cli.planning.making import MadePlan, PlanGround, make
from orchestrator.cli.planning.saved import moved
from orchestrator.core.forecast.plans import Change, What
from orchestrator.core.records import RolloutPhase
from orchestrator.core.refs import Json, Ref
from orchestrator.core.removals import BrakeLimits
from orchestrator.core.rendering import StackRequest
from orchestrator.core.stacks import Stack
from orchestrator.core.templates import Template

from tests import factories
from tests.doubles import PlainRenderer
from tests.factories import network

from .driver import System
from .test_rollouts import ID, NEW, Operator, build, template

TEMPLATE = Ref("heat_template", ID)
OTHER = template("# third\n")


@pytest.fixture
def system() -> Iterator[System]:
    with System() as running:
        yield running


@pytest.fixture
def operator(system: System) -> Operator:
    """Six networks that are built."""
    return build(system, 6)


def plan(operator: Operator, edits: Edits = NONE, *, promote: bool = False) -> MadePlan:
    """A plan, made without a write."""
    store, render = operator.system.store, PlainRenderer().render
    ground = PlanGround(store, operator.keys, factories.templates(), BrakeLimits(), render)
    before = store.revision
    made = make(ground, edits, promote=promote)
    assert store.revision == before, "planning writes nothing"
    return made


def pushing(pushed: Template) -> Edits:
    return Edits({TEMPLATE: {"id": ID, **pushed.source}})


def update(ref: Ref, **properties: Json) -> Edits:
    return Edits({ref: factories.body(ref, **properties)})


def told(made: MadePlan) -> Mapping[str, Change]:
    return {change.ref.id: change for change in made.plan.changes}


def rebuilt(made: MadePlan) -> dict[str, int]:
    """The stacks that are rebuilt, with their waves."""
    changes = made.plan.changes
    return {c.ref.stack_name: c.wave for c in changes if c.what is What.REBUILD}


def test_the_difference_is_to_what_the_stack_was_built_from(operator: Operator) -> None:
    """A template was pushed since: the next update of each stack takes it in."""
    operator.push(NEW)
    operator.system.until(operator.system.idle)
    change = told(plan(operator, update(network("n1"), name="other")))["n1"]

    assert change.what is What.UPDATE
    assert "+# new" in change.hot


def test_a_revision_that_is_not_kept_is_said_not_to_be_known(operator: Operator) -> None:
    operator.push(NEW)
    operator.system.until(operator.system.idle)
    store, keys = operator.system.store, operator.keys
    for kv in store.list(keys.revisions_of(ID))[1]:
        store.delete(kv.key)
    change = told(plan(operator, update(network("n1"), name="other")))["n1"]

    assert change.hot == ""
    assert "is not kept" in change.unknown[0]


def test_without_edits_a_plan_tells_which_stacks_are_outdated(operator: Operator) -> None:
    operator.push(NEW)
    operator.system.until(operator.system.idle)
    made = plan(operator)

    assert set(told(made)) == {f"n{number}" for number in range(6)}
    assert {(c.what, c.because) for c in made.plan.changes} == {(What.NOTHING, "template")}
    assert all("+# new" in change.hot for change in made.plan.changes)
    assert made.plan.idle and made.plan.requests == 0


class PreviewingHeat:
    """Heat, as far as a preview needs it."""

    def show(self, tenant: str, stack: str, *, outputs: bool) -> Stack:
        return Stack(f"id-of-{stack}", stack, "CREATE_COMPLETE")

    def preview(self, request: StackRequest, stack: Stack | None) -> dict[str, Json]:
        assert stack is not None
        return {"updated": [stack.id]}


def test_heat_previews_the_rebuild_of_an_outdated_stack(operator: Operator) -> None:
    made = previewing.preview(plan(operator, pushing(NEW)), PreviewingHeat())

    assert told(made)["n1"].heat == {"updated": ["id-of-network_n1"]}
    assert told(made)[ID].heat is None


def test_without_edits_a_plan_tells_what_is_held(operator: Operator) -> None:
    port = factories.port("p1")
    operator.system.put(port, network_id="missing")
    operator.system.until(lambda: port in operator.system.term.world.held)
    operator.system.until(operator.system.idle)
    change = told(plan(operator))["p1"]

    assert change.what is What.HELD
    assert "network:missing" in change.because


# Roll-outs ---------------------------------------------------------------------------------------


def test_until_promotion_a_plan_builds_canaries_from_the_candidate_and_others_from_the_one_before(
    operator: Operator,
) -> None:
    operator.start(canary=2)
    operator.system.until(operator.in_phase(RolloutPhase.WAITING))
    refs = [network(f"n{number}") for number in range(6)]
    canary = operator.rollout.canaries[0]
    other = next(ref for ref in refs if ref not in operator.rollout.canaries)
    edits = Edits({ref: factories.body(ref, name="changed") for ref in (canary, other)})
    changes = told(plan(operator, edits))

    assert {one.what for one in changes.values()} == {What.UPDATE}
    assert [changes[ref.id].hot for ref in (canary, other)] == ["", ""]
    assert operator.built()[NEW.revision] == 2


def test_a_plan_tells_what_a_rollout_rebuilds_by_itself(operator: Operator) -> None:
    operator.start(canary=2)
    operator.system.until(operator.in_phase(RolloutPhase.WAITING))
    waiting = plan(operator)
    operator.promote()
    waves = plan(operator)

    assert rebuilt(waiting) == {} and waiting.plan.rollouts[0].phase == "waiting"
    assert len(rebuilt(waves)) == waves.plan.requests == 4
    assert sorted(set(rebuilt(waves).values())) == [1, 2]
    assert {c.because for c in waves.plan.changes} == {f"roll-out {operator.rollout.id}"}
    assert all("+# new" in change.hot for change in waves.plan.changes)
    assert waves.plan.rollouts[0].left == 4

    before = len(operator.system.asked())
    operator.system.until(operator.in_phase(RolloutPhase.DONE))
    assert set(operator.rebuilt(before)) == set(rebuilt(waves))
    assert plan(operator).plan.changes == ()


def test_a_rollout_can_be_planned_through_its_promotion(operator: Operator) -> None:
    operator.start(canary=2)
    made = plan(operator, promote=True)

    assert len(rebuilt(made)) == 6
    assert sorted(rebuilt(made).values())[:2] == [1, 1]
    assert len(rebuilt(plan(operator))) == 2


def test_a_push_that_stops_a_rollout_is_told(operator: Operator) -> None:
    operator.start(canary=2)
    pushed = plan(operator, pushing(OTHER))
    unrelated = plan(operator, update(network("n1"), name="other"))

    assert pushed.plan.rollouts[0].stops
    assert not unrelated.plan.rollouts[0].stops
    assert unrelated.plan.rollouts[0].left == 2


def test_canaries_of_a_rollout_that_was_aborted_are_outdated(operator: Operator) -> None:
    operator.start(canary=2)
    operator.system.until(operator.in_phase(RolloutPhase.WAITING))
    canaries = {ref.id for ref in operator.rollout.canaries}
    operator.write(operator.rollout.into(RolloutPhase.ABORTED))
    operator.system.until(lambda: not operator.system.term.world.pins)
    changes = told(plan(operator))

    assert set(changes) == canaries
    assert all("-# new" in change.hot for change in changes.values())


@pytest.mark.parametrize("fields", [{"paused": True}, {"phase": RolloutPhase.STOPPED}])
def test_a_rollout_that_stands_still_rebuilds_nothing(
    operator: Operator, fields: dict[str, Any]
) -> None:
    operator.start(canary=0)
    operator.write(replace(operator.rollout, **fields))
    made = plan(operator)

    assert rebuilt(made) == {}
    assert made.plan.rollouts[0].left == 6


def test_a_plan_is_stale_once_a_rollout_of_its_template_begins(operator: Operator) -> None:
    """The resource may become a canary, which is built from another revision."""
    made = plan(operator, update(network("n1"), name="other"))
    assert moved(operator.system.store, made.plan.reads) == []
    operator.start(canary=2)
    keys = [one.key for one in moved(operator.system.store, made.plan.reads)]

    assert keys == [operator.keys.rollout(ID)]
