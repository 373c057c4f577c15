"""What Heat's answers mean, and what to ask next."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.jobs import Action
from orchestrator.core.refs import JobId
from orchestrator.core.stacks import (
    Asked,
    Complete,
    Create,
    Delete,
    Gone,
    InProgress,
    Request,
    Stack,
    StackFailed,
    Update,
    Wait,
    judge,
    next_request,
    tag,
)
from tests.factories import heat_stack, job

MINE, OTHER = job(version=2, suffix="mine1"), job(version=1, suffix="other")
CREATE, MODIFY, DELETE = Action.CREATE, Action.MODIFY, Action.DELETE


def test_a_tag_is_short_and_without_comma() -> None:
    assert tag(JobId("create:heat_worker:port:a:b,c:17:ab1c2")) == "orchestrator-17-ab1c2"


JUDGED: list[Any] = [
    pytest.param(CREATE, "CREATE_IN_PROGRESS", "mine", InProgress, id="create: at work"),
    pytest.param(CREATE, "CREATE_COMPLETE", "mine", Complete, id="create: done"),
    pytest.param(CREATE, "CREATE_FAILED", "mine", StackFailed, id="create: failed"),
    pytest.param(CREATE, "CREATE_COMPLETE", "none", Complete, id="create: done, without tags"),
    pytest.param(CREATE, "UPDATE_COMPLETE", "mine", Complete, id="create: adopted and updated"),
    pytest.param(CREATE, "CREATE_COMPLETE", "other", InProgress, id="create: the end of another's"),
    pytest.param(CREATE, "DELETE_IN_PROGRESS", "other", InProgress, id="create: the old one still goes"),
    pytest.param(CREATE, "DELETE_COMPLETE", "mine", StackFailed, id="create: deleted by somebody"),
    pytest.param(CREATE, None, "", StackFailed, id="create: gone"),
    pytest.param(MODIFY, "UPDATE_IN_PROGRESS", "mine", InProgress, id="modify: at work"),
    pytest.param(MODIFY, "UPDATE_COMPLETE", "mine", Complete, id="modify: done"),
    pytest.param(MODIFY, "UPDATE_COMPLETE", "other", InProgress, id="modify: the end of the one before"),
    pytest.param(MODIFY, "CREATE_COMPLETE", "other", InProgress, id="modify: not begun"),
    pytest.param(MODIFY, "CREATE_COMPLETE", "mine", Complete, id="modify: was gone, created"),
    pytest.param(MODIFY, "UPDATE_FAILED", "mine", StackFailed, id="modify: failed"),
    pytest.param(MODIFY, "ROLLBACK_COMPLETE", "mine", InProgress, id="modify: another action of Heat"),
    pytest.param(DELETE, "CREATE_COMPLETE", "other", InProgress, id="delete: not begun"),
    pytest.param(DELETE, "DELETE_IN_PROGRESS", "other", InProgress, id="delete: at work"),
    pytest.param(DELETE, "DELETE_COMPLETE", "other", Complete, id="delete: done"),
    pytest.param(DELETE, None, "", Complete, id="delete: gone"),
    pytest.param(DELETE, "DELETE_FAILED", "other", StackFailed, id="delete: failed"),
]


def stack(status: str | None, tagged: str) -> Stack | None:
    tags = {"mine": [tag(MINE.id)], "other": ["a", tag(OTHER.id)], "none": ["a"], "": []}[tagged]
    return heat_stack(MINE, status, tags=tags, reason="why") if status else None


@pytest.mark.parametrize(("action", "status", "tagged", "verdict"), JUDGED)
def test_a_stack_tells_how_its_operation_stands(action: Action, status: str | None, tagged: str, verdict: type) -> None:
    shown = stack(status, tagged)
    found = judge(action, MINE.id, shown)

    assert isinstance(found, verdict)
    if isinstance(found, Complete):
        assert found.stack == (None if action is DELETE else shown)


@pytest.mark.parametrize(
    ("action", "status"),
    [(CREATE, "CREATE_FAILED"), (MODIFY, "UPDATE_FAILED"), (DELETE, "DELETE_FAILED")],
    ids=["create", "modify", "delete"],
)
def test_a_failure_says_heats_reason_and_what_to_do(action: Action, status: str) -> None:
    verdict = judge(action, MINE.id, stack(status, "mine"))

    assert isinstance(verdict, StackFailed)
    assert verdict.error.startswith(f"Heat ended in {status}: why; ")
    assert "next version" in verdict.error


ASKED: list[Any] = [
    pytest.param(CREATE, None, "", Create(), id="create: nothing there"),
    pytest.param(CREATE, "DELETE_COMPLETE", "", Create(), id="create: deleted"),
    pytest.param(CREATE, "CREATE_COMPLETE", "none", Update, id="create: somebody's stack is adopted"),
    pytest.param(CREATE, "CREATE_COMPLETE", "mine", Asked, id="create: done by us already"),
    pytest.param(CREATE, "CREATE_IN_PROGRESS", "mine", Asked, id="create: asked already"),
    pytest.param(CREATE, "CREATE_FAILED", "mine", Asked, id="create: asked, and failed"),
    pytest.param(CREATE, "CREATE_IN_PROGRESS", "other", Wait, id="create: another's is in progress"),
    pytest.param(CREATE, "DELETE_IN_PROGRESS", "other", Wait, id="create: the old one still goes"),
    pytest.param(CREATE, "DELETE_FAILED", "other", "replace", id="create: in the way of a failed deletion"),
    pytest.param(MODIFY, None, "", Create(), id="modify: nothing there"),
    pytest.param(MODIFY, "CREATE_COMPLETE", "other", Update, id="modify: complete"),
    pytest.param(MODIFY, "CREATE_FAILED", "other", Update, id="modify: a failed create takes an update"),
    pytest.param(MODIFY, "UPDATE_FAILED", "other", Update, id="modify: a failed update too"),
    pytest.param(MODIFY, "UPDATE_IN_PROGRESS", "mine", Asked, id="modify: asked already"),
    pytest.param(MODIFY, "UPDATE_IN_PROGRESS", "other", Wait, id="modify: another's turn"),
    pytest.param(MODIFY, "SUSPEND_COMPLETE", "other", "replace", id="modify: suspended"),
    pytest.param(MODIFY, "DELETE_FAILED", "mine", "replace", id="modify: half deleted by ourselves"),
    pytest.param(DELETE, None, "", Gone(), id="delete: nothing there"),
    pytest.param(DELETE, "DELETE_COMPLETE", "", Gone(), id="delete: done"),
    pytest.param(DELETE, "DELETE_IN_PROGRESS", "other", Asked, id="delete: asked already"),
    pytest.param(DELETE, "UPDATE_IN_PROGRESS", "other", Delete, id="delete: even while at work"),
    pytest.param(DELETE, "CREATE_COMPLETE", "other", Delete, id="delete: complete"),
    pytest.param(DELETE, "DELETE_FAILED", "other", Delete, id="delete: once more"),
]


@pytest.mark.parametrize(("action", "status", "tagged", "expected"), ASKED)
def test_what_is_asked_follows_from_the_stack_as_it_is(action: Action, status: str | None, tagged: str, expected: Any) -> None:
    shown = stack(status, tagged)
    wanted: Request = expected
    if expected == "replace":
        assert shown is not None
        wanted = Delete(shown, replace=True)
    elif isinstance(expected, type):
        wanted = expected(shown)

    assert next_request(action, MINE.id, shown) == wanted


def test_heats_document_becomes_a_stack() -> None:
    document = {
        "id": "u",
        "stack_name": "port_p1",
        "stack_status": "CREATE_COMPLETE",
        "stack_status_reason": "ok",
        "tags": ["a"],
        "outputs": [],
    }

    assert Stack.from_heat(document) == Stack("u", "port_p1", "CREATE_COMPLETE", "ok", ("a",), [])
    assert Stack.from_heat({"id": "u", "stack_name": "x", "tags": None}) == Stack("u", "x", "")
