"""What Heat answered, and what it means for the job that asked (CONTRACT section 6, FIELD section
9).

Heat answers before the work begins, so the first polls after an update may still show the end of
the previous operation.
Each request therefore carries two tags: one names the job, one the resource that owns the stack.
An end counts as ours when the stack carries the job's tag.
Where Heat keeps no tags at all, an end without any counts as ours too.

docs/stack-states.md is the table of all states and what follows from them; tests try each cell on a
real engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

from .jobs import Action, job_ref
from .refs import JobId, Json, Ref
from .texts import LONGEST_WORDS, cut

_OURS = {
    Action.CREATE: ("CREATE", "UPDATE"),
    Action.MODIFY: ("UPDATE", "CREATE"),
    Action.DELETE: ("DELETE",),
}
"""Heat's actions by which a job may end.
A create that adopts ends as an update; a modify of a stack that was gone, as a create."""

_AFTERWARDS = ("CHECK", "SNAPSHOT", "SUSPEND", "RESUME", "ADOPT", "RESTORE")
"""Operations that others may start once ours is over. Heat keeps our tags on the stack."""

TAG_PREFIX = "orchestrator-"
_OWNER_PREFIX = TAG_PREFIX + "owner-"
_LONGEST_TAG = 80
"""Characters that Heat takes in a tag, without a comma."""

ENGINE_WENT_DOWN = "Engine went down during stack"
"""How Heat begins the reason of an operation that ended because its engine did
(heat.engine.service.reset_stack_status)."""

DELETE_ATTEMPTS = 3
"""A deletion that Heat ends in DELETE_FAILED is asked again so often before it is reported: what
was still in use is often released a moment later.
One whose config is gone is asked until it succeeds."""

SETTLING = 15.0
"""Seconds after which what Heat shows of a stack that is at rest counts as the truth.
Heat shows an operation within a second of its answer; behind a load balancer or a lagging database
it may be some seconds later."""


def tag(job: JobId, tries: int = 0) -> str:
    """The tag of the job's operation: version and random part.
    Heat takes at most 80 characters and no comma.

    :param tries: how often Heat has taken a request of the job and failed it: each try has a tag of
        its own.
    """
    _, version, suffix = job.rsplit(":", 2)
    return f"{TAG_PREFIX}{version}-{suffix}" + (f"-{tries}" if tries else "")


def owner_tag(ref: Ref) -> str:
    """The tag that says whose a stack is, for ``a_b`` with id ``c`` and ``a`` with id ``b_c`` have
    stacks of one name."""
    name = f"{_OWNER_PREFIX}{ref}"
    if len(name) <= _LONGEST_TAG and "," not in name and name.isascii():
        return name
    return (
        _OWNER_PREFIX + blake2b(str(ref).encode(), digest_size=16).hexdigest()
    )


def tags(job: JobId, tries: int = 0) -> str:
    """Both tags, as Heat takes them."""
    return f"{tag(job, tries)},{owner_tag(job_ref(job))}"


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
        return self.status.endswith("_IN_PROGRESS") or self.action == "INIT"

    @property
    def complete(self) -> bool:
        return self.status.endswith("_COMPLETE")

    @property
    def suspended(self) -> bool:
        """Whether things of it sleep: a resume that failed has left some so."""
        return self.action == "SUSPEND" or self.status == "RESUME_FAILED"

    @property
    def job_tags(self) -> tuple[str, ...]:
        """The tags of our jobs on it: one, where Heat keeps tags and nobody else changed the stack
        since."""
        return tuple(
            t
            for t in self.tags
            if t.startswith(TAG_PREFIX) and not t.startswith(_OWNER_PREFIX)
        )

    @property
    def is_owned(self) -> bool:
        """Whether a tag of ours says whose it is."""
        return any(t.startswith(TAG_PREFIX) for t in self.tags)

    @classmethod
    def from_heat(cls, document: Mapping[str, Json]) -> Stack:
        """A stack of Heat's list or show."""
        return cls(
            id=document["id"],
            name=document["stack_name"],
            status=document.get("stack_status") or "",
            reason=cut(
                str(document.get("stack_status_reason") or ""), LONGEST_WORDS
            ),
            tags=tuple(document.get("tags") or ()),
            outputs=document.get("outputs"),
        )


def carries(stack: Stack, job: JobId, tries: int = 0) -> bool:
    """Whether the stack's last operation of ours is this try of the job."""
    return tag(job, tries) in stack.tags


def owns(ref: Ref, stack: Stack, *, recorded: bool) -> bool:
    """Whether a stack of the resource's name is the resource's own, and not somebody else's of the
    same name.

    :param recorded: whether our records tell of a stack of this resource.
        Somebody else's update takes the tags away, so a stack without any is its own then.
    """
    owners = [t for t in stack.tags if t.startswith(_OWNER_PREFIX)]
    if owners:
        return owner_tag(ref) in owners
    # Before there were tags of owners, there were those of jobs.
    return recorded or bool(stack.job_tags)


# How an operation stands --------------------------------------------------------------------------


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
    verdict = (
        _judge_deletion(stack)
        if action is Action.DELETE
        else _judge_change(action, job, stack, sight)
    )
    if not isinstance(verdict, InProgress):
        return verdict
    if stack is not None and stack.in_progress:
        return StackFailed(stack, _stuck(stack)) if sight.overdue else verdict
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
    return _failure(stack) if stack.status == "DELETE_FAILED" else InProgress()


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
        return Complete(stack) if stack.complete else _failure(stack)
    return _failure(stack)


def _judge_deleted(stack: Stack, sight: Sight) -> Verdict:
    """A stack that somebody deleted: the one before ours, as long as Heat shows it, or ours."""
    if not sight.settled:
        return InProgress()
    left = stack if stack.status == "DELETE_FAILED" else None
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
    if action is Action.DELETE:
        what = "remove what still uses the stack's resources"
        then = (
            "then mark it for deletion again with the next version"
            if config_there
            else "the deletion is tried again by itself"
        )
        return f"{error}; {what}; {then}"
    again = f"orchestrator retry {ref.type} {ref.id}"
    return (
        f"{error}; correct the configuration and write it with the next version, or try"
        f" it again as it is: {again}"
    )


# What to ask --------------------------------------------------------------------------------------


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
    """Another operation is in progress on the stack: our turn comes after it."""

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
    """The stack is not touched before a person has decided; *why* says what about."""

    why: str


Request: TypeAlias = Create | Update | Delete | Wait | Asked | Gone | Leave


@dataclass(frozen=True, slots=True)
class Grounds:
    """What is known besides the stack when something is to be asked.

    *recorded*: our records tell of a stack of this resource.
    *force*: a person has decided that the stack is to be taken as it is.
    *tries*: how often Heat has failed the job before.
    """

    recorded: bool = True
    force: bool = False
    tries: int = 0


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
    With convergence a second update overtakes one in progress, so we wait for our turn.
    """
    if stack is None or stack.status == "DELETE_COMPLETE":
        return Gone() if action is Action.DELETE else Create()
    taken = grounds.force or owns(
        job_ref(job), stack, recorded=grounds.recorded
    )
    if action is Action.DELETE:
        return _deletion(stack) if taken else Gone()
    return (
        _change(job, stack, grounds) if taken else Leave(_not_ours(job, stack))
    )


def _deletion(stack: Stack) -> Request:
    return (
        Asked(stack) if stack.status == "DELETE_IN_PROGRESS" else Delete(stack)
    )


def _change(job: JobId, stack: Stack, grounds: Grounds) -> Request:
    if carries(stack, job, grounds.tries) and stack.action != "DELETE":
        return Asked(stack)
    if stack.in_progress:
        return Wait(stack)
    if stack.action == "DELETE":
        return Delete(stack, replace=True)
    if stack.suspended:
        return Leave(
            f"the stack is in {stack.status}: resume it in Heat (openstack stack resume"
            f" {stack.name})"
        )
    if stack.status == "CHECK_FAILED" and not grounds.force:
        return Leave(
            f"the stack is in CHECK_FAILED ({stack.reason}): an update would replace"
            " what failed the check"
        )
    return Update(stack)


def _not_ours(job: JobId, stack: Stack) -> str:
    owner = next(
        (
            t.removeprefix(_OWNER_PREFIX)
            for t in stack.tags
            if t.startswith(_OWNER_PREFIX)
        ),
        "",
    )
    whose = (
        f"it is that of {owner}"
        if owner
        else "nothing says that it was built from this resource"
    )
    return f"Heat has a stack {stack.name} already, and {whose}"
