"""What Heat's answers mean, and what to ask next."""

from __future__ import annotations

from typing import Any

import pytest
from orchestrator.core.jobs import Action
from orchestrator.core.policies import OnFailure
from orchestrator.core.refs import JobId, Ref
from orchestrator.core.stacks import (
    Asked,
    Complete,
    Create,
    Delete,
    Gone,
    Grounds,
    InProgress,
    Leave,
    Lost,
    Request,
    Sight,
    Stack,
    StackFailed,
    Update,
    Wait,
    advice,
    judge,
    next_request,
    owner_tag,
    tag,
)

from tests.factories import heat_stack, job

MINE, OTHER = job(version=2, suffix="mine1"), job(version=1, suffix="other")
CREATE, MODIFY, DELETE = Action.CREATE, Action.MODIFY, Action.DELETE
SLEEPING = ("SUSPEND_FAILED", "RESUME_FAILED")


def test_a_tag_is_short_and_without_comma() -> None:
    assert tag(JobId("create:heat_worker:port:a:b,c:17:ab1c2")) == "orchestrator-17-ab1c2"


JUDGED: list[Any] = [
    pytest.param(CREATE, "CREATE_IN_PROGRESS", "mine", InProgress, id="create: at work"),
    pytest.param(CREATE, "CREATE_COMPLETE", "mine", Complete, id="create: done"),
    pytest.param(CREATE, "CREATE_FAILED", "mine", StackFailed, id="create: failed"),
    pytest.param(CREATE, "CREATE_COMPLETE", "none", Complete, id="create: done, without tags"),
    pytest.param(CREATE, "UPDATE_COMPLETE", "mine", Complete, id="create: adopted and updated"),
    pytest.param(CREATE, "CREATE_COMPLETE", "other", InProgress, id="create: the end of another's"),
    pytest.param(
        CREATE, "DELETE_IN_PROGRESS", "other", InProgress, id="create: the old one still goes"
    ),
    pytest.param(
        CREATE, "DELETE_COMPLETE", "mine", InProgress, id="create: the one before is shown still"
    ),
    pytest.param(CREATE, None, "", InProgress, id="create: not shown yet"),
    pytest.param(MODIFY, "UPDATE_IN_PROGRESS", "mine", InProgress, id="modify: at work"),
    pytest.param(MODIFY, "UPDATE_COMPLETE", "mine", Complete, id="modify: done"),
    pytest.param(
        MODIFY, "UPDATE_COMPLETE", "other", InProgress, id="modify: the end of the one before"
    ),
    pytest.param(MODIFY, "CREATE_COMPLETE", "other", InProgress, id="modify: not begun"),
    pytest.param(MODIFY, "CREATE_COMPLETE", "mine", Complete, id="modify: was gone, created"),
    pytest.param(MODIFY, "UPDATE_FAILED", "mine", StackFailed, id="modify: failed"),
    pytest.param(MODIFY, "ROLLBACK_COMPLETE", "mine", StackFailed, id="modify: rolled back"),
    pytest.param(MODIFY, "CHECK_COMPLETE", "mine", Complete, id="modify: done, and checked since"),
    pytest.param(
        MODIFY, "CHECK_FAILED", "mine", StackFailed, id="modify: done, and found broken since"
    ),
    pytest.param(
        MODIFY, "SUSPEND_COMPLETE", "mine", Complete, id="modify: done, and suspended since"
    ),
    pytest.param(
        MODIFY, "SNAPSHOT_IN_PROGRESS", "mine", InProgress, id="modify: a snapshot is made of it"
    ),
    pytest.param(
        MODIFY, "DELETE_FAILED", "mine", InProgress, id="modify: somebody has tried to delete it"
    ),
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
def test_a_stack_tells_how_its_operation_stands(
    action: Action, status: str | None, tagged: str, verdict: type
) -> None:
    shown = stack(status, tagged)
    found = judge(action, MINE.id, shown)

    assert isinstance(found, verdict)
    if isinstance(found, Complete):
        assert found.stack == (None if action is DELETE else shown)


SETTLED: list[Any] = [
    pytest.param(CREATE, None, "", StackFailed, id="create: gone"),
    pytest.param(CREATE, "DELETE_COMPLETE", "mine", StackFailed, id="create: deleted by somebody"),
    pytest.param(CREATE, "CREATE_COMPLETE", "other", Lost, id="create: another's end"),
    pytest.param(
        MODIFY, "DELETE_FAILED", "mine", StackFailed, id="modify: half deleted by somebody"
    ),
    pytest.param(MODIFY, "CREATE_COMPLETE", "other", Lost, id="modify: dropped"),
    pytest.param(MODIFY, "UPDATE_COMPLETE", "mine", Complete, id="modify: done"),
    pytest.param(DELETE, "CREATE_COMPLETE", "other", Lost, id="delete: dropped"),
]


@pytest.mark.parametrize(("action", "status", "tagged", "verdict"), SETTLED)
def test_what_a_stack_at_rest_has_shown_for_long_is_the_truth(
    action: Action, status: str, tagged: str, verdict: type
) -> None:
    assert isinstance(judge(action, MINE.id, stack(status, tagged), Sight(settled=True)), verdict)


def test_without_our_tag_an_end_is_ours_only_where_heat_keeps_no_tags() -> None:
    changed = stack("UPDATE_COMPLETE", "none")
    assert judge(MODIFY, MINE.id, changed, Sight(settled=True)) == Complete(changed)
    assert isinstance(judge(MODIFY, MINE.id, changed, Sight(keeps_tags=True)), InProgress)
    assert isinstance(judge(MODIFY, MINE.id, changed, Sight(settled=True, keeps_tags=True)), Lost)


def test_an_operation_that_is_overdue_fails_only_while_it_is_in_progress() -> None:
    overdue = Sight(overdue=True)
    assert isinstance(
        judge(MODIFY, MINE.id, stack("UPDATE_IN_PROGRESS", "mine"), overdue), StackFailed
    )
    assert isinstance(judge(MODIFY, MINE.id, stack("UPDATE_COMPLETE", "mine"), overdue), Complete)


def test_heats_word_that_its_engine_went_down_is_not_the_configurations_fault() -> None:
    down = heat_stack(
        MINE, "CREATE_FAILED", tags=[tag(MINE.id)], reason="Engine went down during stack CREATE"
    )
    verdicts = [judge(CREATE, MINE.id, shown) for shown in (down, stack("CREATE_FAILED", "mine"))]
    assert [isinstance(verdict, StackFailed) and verdict.outside for verdict in verdicts] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("action", "status"),
    [(CREATE, "CREATE_FAILED"), (MODIFY, "UPDATE_FAILED"), (DELETE, "DELETE_FAILED")],
    ids=["create", "modify", "delete"],
)
def test_a_failure_says_heats_reason_and_what_to_do(action: Action, status: str) -> None:
    verdict = judge(action, MINE.id, stack(status, "mine"))

    assert isinstance(verdict, StackFailed)
    assert verdict.error == f"Heat ended in {status}: why"
    assert advice(action, MINE.ref, "It broke.").startswith("It broke; ")
    assert "next version" in advice(action, MINE.ref, verdict.error)
    assert "by itself" in advice(DELETE, MINE.ref, verdict.error, config_there=False)


ASKED: list[Any] = [
    pytest.param(CREATE, None, "", Create(), id="create: nothing there"),
    pytest.param(CREATE, "DELETE_COMPLETE", "", Create(), id="create: deleted"),
    pytest.param(
        CREATE, "CREATE_COMPLETE", "none", Update, id="create: recorded as ours, without tags"
    ),
    pytest.param(CREATE, "CREATE_COMPLETE", "mine", Asked, id="create: done by us already"),
    pytest.param(CREATE, "CREATE_IN_PROGRESS", "mine", Asked, id="create: asked already"),
    pytest.param(CREATE, "CREATE_FAILED", "mine", Asked, id="create: asked, and failed"),
    pytest.param(
        CREATE, "CREATE_IN_PROGRESS", "other", Wait, id="create: another's is in progress"
    ),
    pytest.param(CREATE, "DELETE_IN_PROGRESS", "other", Wait, id="create: the old one still goes"),
    pytest.param(
        CREATE, "DELETE_FAILED", "other", "replace", id="create: in the way of a failed deletion"
    ),
    pytest.param(MODIFY, None, "", Create(), id="modify: nothing there"),
    pytest.param(MODIFY, "CREATE_COMPLETE", "other", Update, id="modify: complete"),
    pytest.param(
        MODIFY, "CREATE_FAILED", "other", Update, id="modify: a failed create takes an update"
    ),
    pytest.param(MODIFY, "UPDATE_FAILED", "other", Update, id="modify: a failed update too"),
    pytest.param(MODIFY, "UPDATE_IN_PROGRESS", "mine", Asked, id="modify: asked already"),
    pytest.param(MODIFY, "UPDATE_IN_PROGRESS", "other", Wait, id="modify: another's turn"),
    pytest.param(MODIFY, "SUSPEND_COMPLETE", "other", Leave, id="modify: suspended"),
    pytest.param(MODIFY, "SUSPEND_FAILED", "other", Leave, id="modify: half suspended"),
    pytest.param(MODIFY, "SUSPEND_IN_PROGRESS", "other", Wait, id="modify: being suspended"),
    pytest.param(MODIFY, "RESUME_COMPLETE", "other", Update, id="modify: resumed"),
    pytest.param(MODIFY, "CHECK_COMPLETE", "other", Update, id="modify: checked"),
    pytest.param(MODIFY, "CHECK_FAILED", "other", Leave, id="modify: checked and found broken"),
    pytest.param(
        MODIFY, "CHECK_FAILED", "mine", Asked, id="modify: asked already, and found broken since"
    ),
    pytest.param(MODIFY, "SNAPSHOT_COMPLETE", "other", Update, id="modify: a snapshot was made"),
    pytest.param(MODIFY, "ROLLBACK_FAILED", "other", Update, id="modify: a rollback failed"),
    pytest.param(MODIFY, "INIT_COMPLETE", "other", Wait, id="modify: Heat has not begun"),
    pytest.param(DELETE, "SUSPEND_COMPLETE", "other", Delete, id="delete: suspended"),
    pytest.param(DELETE, "CHECK_FAILED", "other", Delete, id="delete: found broken"),
    pytest.param(
        MODIFY, "DELETE_FAILED", "mine", "replace", id="modify: half deleted by ourselves"
    ),
    pytest.param(DELETE, None, "", Gone(), id="delete: nothing there"),
    pytest.param(DELETE, "DELETE_COMPLETE", "", Gone(), id="delete: done"),
    pytest.param(DELETE, "DELETE_IN_PROGRESS", "other", Asked, id="delete: asked already"),
    pytest.param(DELETE, "UPDATE_IN_PROGRESS", "other", Delete, id="delete: even while at work"),
    pytest.param(DELETE, "CREATE_COMPLETE", "other", Delete, id="delete: complete"),
    pytest.param(DELETE, "DELETE_FAILED", "other", Delete, id="delete: once more"),
]


@pytest.mark.parametrize(("action", "status", "tagged", "expected"), ASKED)
def test_what_is_asked_follows_from_the_stack_as_it_is(
    action: Action, status: str | None, tagged: str, expected: Any
) -> None:
    shown = stack(status, tagged)
    wanted: Request = expected
    if expected == "replace":
        assert shown is not None
        wanted = Delete(shown, replace=True)
    elif isinstance(expected, type) and expected is not Leave:
        wanted = expected(shown)

    found = next_request(action, MINE.id, shown)
    assert isinstance(found, Leave) if expected is Leave else found == wanted


OWNERS: list[Any] = [
    pytest.param([], False, Leave, id="made by hand"),
    pytest.param(["somebody's"], False, Leave, id="somebody's, with tags"),
    pytest.param([tag(OTHER.id)], False, Update, id="ours, from before there were owners"),
    pytest.param([owner_tag(MINE.ref)], False, Update, id="ours"),
    pytest.param([], True, Update, id="ours by our records, its tags taken away"),
    pytest.param([owner_tag(Ref("net", "work_n1"))], False, Leave, id="another resource's"),
    pytest.param(
        [owner_tag(Ref("net", "work_n1"))],
        True,
        Leave,
        id="another resource's, whatever we have recorded",
    ),
]


@pytest.mark.parametrize(("tags", "recorded", "expected"), OWNERS)
def test_a_stack_that_is_not_ours_is_neither_changed_nor_deleted(
    tags: list[str], recorded: bool, expected: type
) -> None:
    shown = heat_stack(MINE, "CREATE_COMPLETE", tags=tags)
    assert isinstance(next_request(CREATE, MINE.id, shown, Grounds(recorded)), expected)
    deletion = next_request(DELETE, MINE.id, shown, Grounds(recorded))
    assert isinstance(deletion, Gone if expected is Leave else Delete)


def test_a_person_may_decide_that_a_stack_is_taken_as_it_is() -> None:
    foreign = heat_stack(MINE, "CREATE_COMPLETE", tags=[])
    broken = stack("CHECK_FAILED", "other")
    assert next_request(CREATE, MINE.id, foreign, Grounds(recorded=False, force=True)) == Update(
        foreign
    )
    assert broken is not None and next_request(
        MODIFY, MINE.id, broken, Grounds(force=True)
    ) == Update(broken)
    assert isinstance(
        next_request(MODIFY, MINE.id, stack("SUSPEND_COMPLETE", "other"), Grounds(force=True)),
        Leave,
    )


def test_each_try_that_heat_failed_has_a_tag_of_its_own() -> None:
    """So the end of the try before is neither taken for that of this one, nor keeps it from being asked."""
    before = heat_stack(MINE, "CREATE_FAILED", tags=[tag(MINE.id)])
    assert next_request(CREATE, MINE.id, before, Grounds(tries=1)) == Update(before)
    assert isinstance(judge(CREATE, MINE.id, before, Sight(tries=1)), InProgress)
    again = heat_stack(MINE, "UPDATE_COMPLETE", tags=[tag(MINE.id, 1)])
    assert next_request(CREATE, MINE.id, again, Grounds(tries=1)) == Asked(again)
    assert judge(CREATE, MINE.id, again, Sight(tries=1)) == Complete(again)


def test_the_owners_tag_fits_into_heats_limits_whatever_the_id() -> None:
    long, odd = owner_tag(Ref("port", "x" * 200)), owner_tag(Ref("port", "a,b"))
    assert owner_tag(Ref("port", "p1")) == "orchestrator-owner-port:p1"
    assert all(len(name) <= 80 and "," not in name for name in (long, odd)) and long != odd


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


# Failed states -----------------------------------------------------------------------------------

UPDATED, REPLACED, LEFT = Update, Delete, Leave
FAILED_STATES: dict[str, tuple[type[Request], type[Request], type[Request]]] = {
    "CREATE_FAILED": (UPDATED, REPLACED, LEFT),
    "UPDATE_FAILED": (UPDATED, REPLACED, LEFT),
    "ADOPT_FAILED": (UPDATED, REPLACED, LEFT),
    "RESTORE_FAILED": (UPDATED, REPLACED, LEFT),
    "ROLLBACK_FAILED": (UPDATED, REPLACED, LEFT),
    "DELETE_FAILED": (REPLACED, REPLACED, LEFT),
    "CHECK_FAILED": (LEFT, REPLACED, LEFT),
    "SNAPSHOT_FAILED": (UPDATED, UPDATED, LEFT),
    "SUSPEND_FAILED": (LEFT, LEFT, LEFT),
    "RESUME_FAILED": (LEFT, LEFT, LEFT),
}
"""What is asked of a stack in a failed state with repair, replace and hold."""
CELLS = [
    pytest.param(status, policy, expected, id=f"{status}, {policy}")
    for status, row in FAILED_STATES.items()
    for policy, expected in zip(OnFailure, row, strict=True)
]


def asked_of(status: str, **grounds: Any) -> Request:
    return next_request(MODIFY, MINE.id, heat_stack(MINE, status, tagged=OTHER), Grounds(**grounds))


@pytest.mark.parametrize(("status", "policy", "expected"), CELLS)
def test_the_template_says_what_becomes_of_a_stack_in_a_failed_state(
    status: str, policy: OnFailure, expected: type[Request]
) -> None:
    assert isinstance(asked_of(status, on_failure=policy), expected)


@pytest.mark.parametrize("status", [s for s in FAILED_STATES if s not in SLEEPING])
def test_an_operators_retry_repairs_a_stack_that_is_held(status: str) -> None:
    hold = {"on_failure": OnFailure.HOLD}
    assert asked_of(status, asked=True, **hold) == asked_of(status, on_failure=OnFailure.REPAIR)
    assert not isinstance(asked_of(status, force=True, **hold), Leave)


def test_a_stack_that_others_stand_on_is_not_replaced() -> None:
    used: dict[str, Any] = {"on_failure": OnFailure.REPLACE, "used_by": "port:p1"}

    left = asked_of("UPDATE_FAILED", **used)
    assert isinstance(left, Leave)
    assert "cannot be replaced (heat_on_failure: replace) while port:p1 stands on it" in left.why
    assert isinstance(asked_of("UPDATE_FAILED", force=True, **used), Update)
    assert isinstance(asked_of("DELETE_FAILED", **used), Leave)
    assert isinstance(asked_of("UPDATE_COMPLETE", **used), Update)


def test_a_deletion_asks_for_no_policy() -> None:
    for policy in OnFailure:
        stack = heat_stack(MINE, "CREATE_FAILED", tagged=OTHER)
        grounds = Grounds(on_failure=policy, used_by="port:p1")
        assert next_request(DELETE, MINE.id, stack, grounds) == Delete(stack)
