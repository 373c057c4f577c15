"""How the operation of a job stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..jobs import Action
from ..refs import JobId, Ref
from .shown import Stack, carries

_OURS = {
    Action.CREATE: ("CREATE", "UPDATE"),
    Action.MODIFY: ("UPDATE", "CREATE"),
    Action.DELETE: ("DELETE",),
}
"""Heat's actions by which a job may end.
A create that adopts ends as an update; a modify of a stack that was gone, as a create."""


_AFTERWARDS = ("CHECK", "SNAPSHOT", "SUSPEND", "RESUME", "ADOPT", "RESTORE")
"""Operations that others may start once ours is over. Heat keeps our tags on the stack."""


ENGINE_WENT_DOWN = "Engine went down during stack"
"""How Heat begins the reason of an operation that ended because its engine did
(heat.engine.service.reset_stack_status)."""


SETTLING = 15.0
"""Seconds after which what Heat shows of a stack that is at rest counts as the truth.
Heat shows an operation within a second of its answer; behind a load balancer or a lagging database
it may be some seconds later."""


@dataclass(frozen=True, slots=True)
class InProgress:
    """Heat is at work, or has not begun: look again."""


@dataclass(frozen=True, slots=True)
class Complete:
    stack: Stack | None
    """None: the stack is gone, as it should be."""


@dataclass(frozen=True, slots=True)
class StackFailed:
    """*stack* is None when there is none any more.
    *outside*: Heat itself says that the configuration is not at fault."""

    stack: Stack | None
    error: str
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Heat took the request, and the stack is at rest without it: ask again."""

    why: str


Verdict: TypeAlias = InProgress | Complete | StackFailed | Lost


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known besides the stack itself.

    *settled*: it has looked like this for :data:`SETTLING` seconds.
    *overdue*: the operation's time is over.
    *keeps_tags*: this Heat has shown tags of ours before, so that their absence means something.
    *tries*: how often Heat had failed the job before.
    """

    settled: bool = False
    overdue: bool = False
    keeps_tags: bool = False
    tries: int = 0


def judge(
    action: Action, job: JobId, stack: Stack | None, sight: Sight = Sight()
) -> Verdict:
    """How the operation of *job* stands.

    :param stack: as Heat shows it, None when Heat knows it no more.
    """
    if action is Action.DELETE:
        verdict = _judge_deletion(stack)
    else:
        verdict = _judge_change(action, job, stack, sight)
    if not isinstance(verdict, InProgress):
        return verdict
    if stack is not None and stack.in_progress:
        if sight.overdue:
            return StackFailed(stack, _stuck(stack))
        return verdict
    if not sight.settled:
        return verdict
    if stack is None:
        return StackFailed(
            None,
            "the stack was deleted behind the orchestrator's back; to build it anew,"
            " try the version again",
        )
    return Lost(
        f"Heat took the request, and the stack is in {stack.status} without it"
    )


def _judge_deletion(stack: Stack | None) -> Verdict:
    if stack is None or stack.status == "DELETE_COMPLETE":
        return Complete(None)
    if stack.status == "DELETE_FAILED":
        return _failure(stack)
    return InProgress()


def _judge_change(
    action: Action, job: JobId, stack: Stack | None, sight: Sight
) -> Verdict:
    if stack is None or stack.in_progress:
        return InProgress()
    if stack.action == "DELETE":
        return _judge_deleted(stack, sight)
    ours = carries(stack, job, sight.tries)
    if stack.job_tags and not ours:
        # Another job's end, or that of an earlier try: ours has not begun, or was dropped.
        return InProgress()
    if not ours and sight.keeps_tags:
        # Somebody else has changed the stack in mid-operation: it is not our success.
        return InProgress()
    if stack.action in _OURS[action] or stack.action in _AFTERWARDS:
        if stack.complete:
            return Complete(stack)
        return _failure(stack)
    return _failure(stack)


def _judge_deleted(stack: Stack, sight: Sight) -> Verdict:
    """A stack that somebody deleted: the one before ours, as long as Heat shows it, or ours."""
    if not sight.settled:
        return InProgress()
    left = None
    if stack.status == "DELETE_FAILED":
        left = stack
    return StackFailed(
        left,
        "the stack was deleted behind the orchestrator's back; to build it anew, try"
        " the version again",
    )


def _failure(stack: Stack) -> StackFailed:
    reason = stack.reason or "no reason given"
    return StackFailed(
        stack,
        f"Heat ended in {stack.status}: {reason}",
        outside=stack.reason.startswith(ENGINE_WENT_DOWN),
    )


def _stuck(stack: Stack) -> str:
    return (
        f"Heat has the stack in {stack.status}, past its timeout: look at Heat's"
        " engine, and delete or repair the stack there"
    )


def advice(
    action: Action, ref: Ref, error: str, *, config_there: bool = True
) -> str:
    """A failure of Heat's with what to do about it.

    :param config_there: whether there is a config that could be written with a next version.
    """
    error = error.removesuffix(".")
    if action is Action.DELETE:
        what = "remove what still uses the stack's resources"
        then = "the deletion is tried again by itself"
        if config_there:
            then = "then mark it for deletion again with the next version"
        return f"{error}; {what}; {then}"
    again = f"orchestrator retry {ref.type} {ref.id}"
    return (
        f"{error}; correct the configuration and write it with the next version, or try"
        f" it again as it is: {again}"
    )
