"""What Heat answered, and what it means for the job that asked (CONTRACT section 6, FIELD section 9).

Heat answers before the work begins. So the first looks after an update may still show the end of
the previous operation; each request carries a tag of its job, and an end counts as ours when the
stack carries our tag, or none at all (a Heat that keeps no tags).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .jobs import Action
from .refs import JobId, Json

_HEAT_ACTIONS = {Action.CREATE: ("CREATE", "UPDATE"), Action.MODIFY: ("UPDATE", "CREATE"), Action.DELETE: ("DELETE",)}
"""A create that adopts ends as an update; a modify of a stack that was gone ends as a create."""

TAG_PREFIX = "orchestrator-"

DELETE_ATTEMPTS = 3
"""A deletion that Heat ends in DELETE_FAILED is asked again so often before it is reported: what was
still in use is often released a moment later. One whose config is gone is asked until it succeeds."""


def tag(job: JobId) -> str:
    """The tag of the job's operation: version and random part. Heat takes at most 80 characters and no comma."""
    _, version, suffix = job.rsplit(":", 2)
    return f"{TAG_PREFIX}{version}-{suffix}"


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as Heat shows it.

    *status* is ``<ACTION>_<STATUS>``; *outputs* is None where they were not asked for.
    """

    id: str
    name: str
    status: str
    reason: str = ""
    tags: tuple[str, ...] = ()
    outputs: Sequence[Json] | None = None

    @property
    def action(self) -> str:
        return self.status.partition("_")[0]

    @property
    def in_progress(self) -> bool:
        return self.status.endswith("_IN_PROGRESS")

    @property
    def complete(self) -> bool:
        return self.status.endswith("_COMPLETE")

    @classmethod
    def from_heat(cls, document: Mapping[str, Json]) -> Stack:
        """A stack of Heat's list or show."""
        return cls(
            id=document["id"],
            name=document["stack_name"],
            status=document.get("stack_status") or "",
            reason=document.get("stack_status_reason") or "",
            tags=tuple(document.get("tags") or ()),
            outputs=document.get("outputs"),
        )


def carries(stack: Stack, job: JobId) -> bool:
    """Whether the stack's last operation is this job's."""
    return tag(job) in stack.tags


def is_foreign(stack: Stack, job: JobId) -> bool:
    """Whether the stack's last operation is another job's, for certain."""
    ours = [t for t in stack.tags if t.startswith(TAG_PREFIX)]
    return bool(ours) and tag(job) not in ours


@dataclass(frozen=True, slots=True)
class InProgress:
    """Heat is at work, or has not begun: look again."""


@dataclass(frozen=True, slots=True)
class Complete:
    stack: Stack | None
    """None: the stack is gone, as it should be."""


@dataclass(frozen=True, slots=True)
class StackFailed:
    stack: Stack | None
    error: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Heat took the request and then dropped it (it can, when two race): ask again."""


Verdict: TypeAlias = InProgress | Complete | StackFailed | Lost

SETTLING = 15.0
"""Seconds after which a stack that is at rest, and does not show our operation, never will. Heat shows
it within a second of its answer."""


def judge(action: Action, job: JobId, stack: Stack | None, *, age: float = 0.0, limit: float = float("inf")) -> Verdict:
    """How the operation of *job* stands.

    :param stack: as Heat shows it, None when Heat knows it no more.
    :param age: seconds since Heat was asked.
    :param limit: seconds after which an operation still in progress counts as stuck.
    """
    verdict = _judge(action, job, stack)
    if not isinstance(verdict, InProgress) or stack is None:
        return verdict
    if stack.in_progress and age > limit:
        return StackFailed(stack, _stuck(stack, age))
    return Lost() if not stack.in_progress and age > SETTLING else verdict


def _stuck(stack: Stack, age: float) -> str:
    return (
        f"Heat has had the stack in {stack.status} for {age / 60:.0f} minutes, past its timeout; look at Heat's engine, "
        "delete or repair the stack there, then write the config with the next version"
    )


def _judge(action: Action, job: JobId, stack: Stack | None) -> Verdict:
    if action is Action.DELETE:
        if stack is None or stack.status == "DELETE_COMPLETE":
            return Complete(None)
        if stack.status == "DELETE_FAILED":
            return StackFailed(stack, _what_to_do(action, stack))
        return InProgress()
    if stack is None or (stack.action == "DELETE" and not stack.in_progress):
        return StackFailed(None, "the stack was deleted behind the orchestrator's back; write the config again to build it anew")
    if stack.in_progress or stack.action not in _HEAT_ACTIONS[action] or is_foreign(stack, job):
        return InProgress()
    return Complete(stack) if stack.complete else StackFailed(stack, _what_to_do(action, stack))


def _what_to_do(action: Action, stack: Stack) -> str:
    advice = {
        Action.CREATE: "correct the configuration and write it with the next version; the stack is then updated or built anew",
        Action.MODIFY: "correct the configuration and write it with the next version",
        Action.DELETE: "remove what still uses the stack's resources, then mark it for deletion again with the next version",
    }[action]
    return f"Heat ended in {stack.status}: {stack.reason or 'no reason given'}; {advice}"


@dataclass(frozen=True, slots=True)
class Create:
    """POST; a stack of this name that is there already is adopted."""


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
    """Another operation is in progress on the stack: our turn comes after it."""

    stack: Stack


@dataclass(frozen=True, slots=True)
class Asked:
    """Heat has taken this job's request already: a worker died after asking."""

    stack: Stack


@dataclass(frozen=True, slots=True)
class Gone:
    """There is nothing to delete."""


Request: TypeAlias = Create | Update | Delete | Wait | Asked | Gone


def next_request(action: Action, job: JobId, stack: Stack | None) -> Request:
    """What to ask of Heat, given the stack as it is now (None: there is none).

    The table of what Heat allows was tried on a real engine (openstack-heat 27, with and without
    convergence): CREATE_FAILED and UPDATE_FAILED take an update and repair what failed; DELETE_FAILED
    refuses it. With convergence a second update overtakes one in progress, so we wait for our turn.
    """
    if stack is None or stack.status == "DELETE_COMPLETE":
        return Gone() if action is Action.DELETE else Create()
    if action is Action.DELETE:
        return Asked(stack) if stack.status == "DELETE_IN_PROGRESS" else Delete(stack)
    if carries(stack, job) and (stack.in_progress or stack.action in _HEAT_ACTIONS[action]):
        return Asked(stack)
    if stack.in_progress:
        return Wait(stack)
    if stack.action in ("DELETE", "SUSPEND"):
        return Delete(stack, replace=True)
    return Update(stack)
