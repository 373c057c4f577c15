"""What to ask of Heat for a job, given the stack as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..jobs import Action, job_ref
from ..policies import OnFailure
from ..refs import JobId
from .shown import Stack, carries, owner_of, owns

DELETE_ATTEMPTS = 3
"""A deletion that Heat ends in DELETE_FAILED is asked again so often before it is reported: what
was still in use is often released a moment later.
One whose config is gone is asked until it succeeds."""


@dataclass(frozen=True, slots=True)
class Create:
    """POST."""


@dataclass(frozen=True, slots=True)
class Update:
    stack: Stack


@dataclass(frozen=True, slots=True)
class Delete:
    """*replace*: the stack cannot be updated; it is built anew once it is gone."""

    stack: Stack
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Another operation is in progress on the stack: ours comes after it."""

    stack: Stack


@dataclass(frozen=True, slots=True)
class Asked:
    """Heat has taken this job's request already: a worker died after asking."""

    stack: Stack


@dataclass(frozen=True, slots=True)
class Gone:
    """There is nothing to delete that would be ours."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The stack is not touched before a person has decided.

    *why* says what about, *then* what to do before ``orchestrator retry``, and *force* whether that
    has to be a ``--force``.
    """

    why: str
    then: str = "rename or remove it in Heat, or take it as it is"
    force: bool = True


Request: TypeAlias = Create | Update | Delete | Wait | Asked | Gone | Leave


@dataclass(frozen=True, slots=True)
class Grounds:
    """What is known besides the stack when something is to be asked.

    *recorded*: our records tell of a stack of this resource.
    *force*: a person has decided that the stack is to be taken as it is.
    *tries*: how often Heat has failed the job before.
    *on_failure*: what the template says about a stack in a failed state.
    *asked*: an operator has asked for this try.
    *used_by*: who stands on the stack, for people; empty: nobody.
    """

    recorded: bool = True
    force: bool = False
    tries: int = 0
    on_failure: OnFailure = OnFailure.REPAIR
    asked: bool = False
    used_by: str = ""


def next_request(
    action: Action,
    job: JobId,
    stack: Stack | None,
    grounds: Grounds = Grounds(),
) -> Request:
    """What to ask of Heat, given the stack as it is now (None: there is none).

    The table of what Heat allows was tried on a real engine (openstack-heat 27, with and without
    convergence): CREATE_FAILED and UPDATE_FAILED take an update and repair what failed;
    DELETE_FAILED refuses it.
    With convergence a second update overtakes one in progress, so ours waits until it has ended.
    """
    if stack is None or stack.status == "DELETE_COMPLETE":
        if action is Action.DELETE:
            return Gone()
        return Create()
    taken = grounds.force or owns(
        job_ref(job), stack, recorded=grounds.recorded
    )
    if action is Action.DELETE:
        if taken:
            return _deletion(stack)
        return Gone()
    if taken:
        return _change(job, stack, grounds)
    return Leave(_not_ours(job, stack))


def _deletion(stack: Stack) -> Request:
    if stack.status == "DELETE_IN_PROGRESS":
        return Asked(stack)
    return Delete(stack)


def _change(job: JobId, stack: Stack, grounds: Grounds) -> Request:
    if carries(stack, job, grounds.tries) and stack.action != "DELETE":
        return Asked(stack)
    if stack.in_progress:
        return Wait(stack)
    if stack.suspended:
        return Leave(
            f"the stack is in {stack.status}: resume it in Heat (openstack stack resume"
            f" {stack.name})",
            "then",
            force=False,
        )
    if stack.failed:
        return _after_failure(stack, grounds)
    return Update(stack)


def _after_failure(stack: Stack, grounds: Grounds) -> Request:
    """What to ask of a stack in a failed state, as its template says (docs/stack-states.md)."""
    policy, force = grounds.on_failure, grounds.force
    if policy is OnFailure.HOLD and not (grounds.asked or force):
        return Leave(
            f"the stack is in {stack.status} ({stack.reason}), and its template holds"
            " failed stacks for a person (heat_on_failure: hold)",
            "repair it in Heat, or let the orchestrator try",
            force=False,
        )
    replaces = policy is OnFailure.REPLACE and stack.action != "SNAPSHOT"
    if replaces and grounds.used_by and not force:
        return Leave(
            f"the stack is in {stack.status} ({stack.reason}), and cannot be replaced"
            f" (heat_on_failure: replace) while {grounds.used_by} stands on it",
            "delete or change the users first, or have it repaired",
        )
    # Heat updates no stack in DELETE_FAILED, whatever the policy.
    if stack.action == "DELETE" or (replaces and not grounds.used_by):
        return Delete(stack, replace=True)
    if stack.action == "CHECK" and not force:
        return Leave(
            f"the stack is in CHECK_FAILED ({stack.reason}): an update would replace"
            " what failed the check"
        )
    return Update(stack)


def _not_ours(job: JobId, stack: Stack) -> str:
    owner = owner_of(stack)
    whose = "nothing says that it was built from this resource"
    if owner:
        whose = f"it is that of {owner}"
    return f"Heat has a stack {stack.name} already, and {whose}"
