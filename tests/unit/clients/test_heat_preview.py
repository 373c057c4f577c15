"""What Heat's previews say, and what becomes of them in a plan."""

from __future__ import annotations

import json
from typing import Any

import pytest
from orchestrator.cli.planning import previewing
from orchestrator.cli.planning.making import MadePlan
from orchestrator.clients.heat import answers
from orchestrator.clients.heat.answer import Answer
from orchestrator.core.forecast.hiding import Hiding
from orchestrator.core.forecast.plans import Change, Plan, What
from orchestrator.core.refs import Json, Ref
from orchestrator.core.rendering import StackRequest
from orchestrator.core.stacks import Stack
from orchestrator.errors import HeatRefused, HeatUnavailable, OrchestratorError

REFS = {what: Ref("network", what.value) for what in What}
STACK = Stack("uuid", "network_update", "CREATE_COMPLETE")


def answer(document: Any, status: int = 200) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(document).encode())


def resource(name: str) -> dict[str, Json]:
    secret = {"admin_password": "hunter22"}
    return {"resource_name": name, "resource_type": "OS::Neutron::Net", "properties": secret}


def test_a_preview_tells_names_and_types_and_no_properties() -> None:
    changes = {"updated": [resource("net")], "added": [], "unchanged": [resource("b")]}
    new = {"stack": {"stack_name": "network_a", "resources": [resource("net")]}}

    assert answers.previewed(answer({"resource_changes": changes}), "network_a", "uuid") == {
        "updated": ["net (OS::Neutron::Net)"],
        "unchanged": ["b (OS::Neutron::Net)"],
    }
    assert answers.previewed_new(answer(new), "network_a") == {"added": ["net (OS::Neutron::Net)"]}


@pytest.mark.parametrize(
    "odd", [{}, [], {"stack": {}}, {"stack": {"resources": 1}}, {"resource_changes": 1}]
)
def test_what_is_no_preview_is_an_outage(odd: Any) -> None:
    with pytest.raises(HeatUnavailable):
        answers.previewed_new(answer(odd), "network_a")
    with pytest.raises(HeatUnavailable):
        answers.previewed(answer(odd), "network_a", "uuid")


class Door:
    """Answers each preview, or refuses it."""

    def __init__(self, error: OrchestratorError | None = None) -> None:
        self.error = error
        self.asked: list[tuple[str, Stack | None]] = []

    def show(self, tenant: str, stack: str, *, outputs: bool) -> Stack | None:
        return STACK

    def preview(self, request: StackRequest, stack: Stack | None) -> dict[str, Json]:
        self.asked.append((request.name, stack))
        if self.error is not None:
            raise self.error
        return {"added": ["net (OS::Neutron::Net)"]}


@pytest.fixture
def made() -> MadePlan:
    """A plan with a change of each kind, each with all its values known."""
    changes = tuple(Change(ref, what, "config") for what, ref in REFS.items())
    hiding = Hiding(frozenset({"hunter22"}))
    requests = {
        ref: (StackRequest(ref.stack_name, "t1", "", {}, None), hiding) for ref in REFS.values()
    }
    return MadePlan(Plan(1, {}, changes), {}, 0, requests)


def test_heat_is_asked_about_what_is_built_changed_or_outdated(made: MadePlan) -> None:
    door = Door()
    told = {one.what: one.heat for one in previewing.preview(made, door).plan.changes}

    assert {what for what, heat in told.items() if heat} == {
        *(What.CREATE, What.UPDATE, What.REBUILD, What.NOTHING),
    }
    assert dict(door.asked) == {
        "network_create": None,
        "network_update": STACK,
        "network_rebuild": STACK,
        "network_nothing": STACK,
    }


def test_a_refused_preview_is_told_without_secrets_and_the_plan_goes_on(made: MadePlan) -> None:
    door = Door(HeatRefused(400, "admin_pass hunter22 is too short"))
    told = {one.what: one.heat for one in previewing.preview(made, door).plan.changes}

    assert "is too short" in told[What.UPDATE]["error"]
    assert "hunter22" not in str(told)
