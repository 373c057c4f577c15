"""What somebody else does to stacks of the scripted Heat, and how the checker hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.scripted.heat import ScriptedHeat
from tests.scripted.stacks import Script

from .heat import operations, outputs, standing

LONG = 60.0
OURS: dict[str, Any] = {
    "stack_name": "node_a",
    "parameters": {"value": "1.1"},
    "tags": "orchestrator-1-aaaaa,orchestrator-owner-node:a",
}


@pytest.fixture
def heat() -> Iterator[ScriptedHeat]:
    with ScriptedHeat() as running:
        running.outputs = outputs
        yield running


def create(heat: ScriptedHeat, duration: float = 0.0) -> None:
    heat.script = lambda method, tenant, name: Script(duration)
    status, _, _ = heat.answer("POST", "/v1/t/stacks", {}, OURS)
    assert status == 201
    heat.script = lambda method, tenant, name: Script()


def shown(heat: ScriptedHeat) -> Any:
    return heat.answer("GET", "/v1/t/stacks/node_a", {}, None)[1]["stack"]


def update(heat: ScriptedHeat) -> int:
    return heat.answer("PUT", "/v1/t/stacks/node_a", {}, OURS)[0]


def test_somebody_elses_update_takes_over_and_takes_the_tags_away(heat: ScriptedHeat) -> None:
    create(heat, LONG)
    assert heat.somebody_else("update", "t", "node_a", {"value": "theirs"})

    stack = shown(heat)
    assert (stack["stack_status"], stack["tags"]) == ("UPDATE_COMPLETE", [])
    assert {output["output_key"]: output["output_value"] for output in stack["outputs"]} == {
        "id": "node_a-id",
        "value": "theirs",
        "level": "",
    }
    ours, theirs = operations(heat)
    assert (ours.outcome, ours.ends, ours.value, ours.foreign) == (
        "OVERTAKEN",
        theirs.at,
        "1.1",
        False,
    )
    assert (theirs.outcome, theirs.value, theirs.foreign) == ("COMPLETE", "theirs", True)


def test_a_stack_that_somebody_suspended_takes_no_update_until_it_is_resumed(
    heat: ScriptedHeat,
) -> None:
    create(heat)
    assert heat.somebody_else("suspend", "t", "node_a")
    assert (shown(heat)["stack_status"], update(heat)) == ("SUSPEND_COMPLETE", 400)
    assert shown(heat)["tags"] == OURS["tags"].split(",")

    assert heat.somebody_else("resume", "t", "node_a")
    assert (shown(heat)["stack_status"], update(heat)) == ("RESUME_COMPLETE", 202)
    assert [stack.parameters for stack in standing(heat)] == [{"value": "1.1"}]


def test_somebody_elses_deletion_takes_the_stack_away(heat: ScriptedHeat) -> None:
    create(heat, LONG)
    assert heat.somebody_else("delete", "t", "node_a")

    assert (standing(heat), update(heat)) == ([], 404)
    assert not heat.somebody_else("update", "t", "node_a")


def test_nobody_suspends_or_checks_what_is_in_progress(heat: ScriptedHeat) -> None:
    create(heat, LONG)

    assert not heat.somebody_else("suspend", "t", "node_a")
    assert not heat.somebody_else("check", "t", "node_a")
    assert [operation.outcome for operation in operations(heat)] == ["COMPLETE"]
