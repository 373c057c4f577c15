"""Which waiting jobs fail with a job that failed."""

from __future__ import annotations

from dataclasses import dataclass

from ..jobs import Action, Job
from ..records import Failed
from ..refs import JobId, Ref
from ..transactions import Transaction

_NOTHING_MORE = Transaction()


@dataclass(frozen=True, slots=True)
class Over:
    """A job that is over, as far as others are concerned; its record is gone by then."""

    id: JobId
    ref: Ref
    action: Action
    references: frozenset[Ref]
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Doom:
    """How a job will fail that never runs.

    *cause* is the job because of which it fails; its own id: it is given up.
    *stays_in* is the tenant in which an older stack of the resource stays, because its deletion
    failed; empty: there is none. *also* is written with its end.
    """

    failed: Failed
    cause: JobId
    stays_in: str = ""
    also: Transaction = _NOTHING_MORE


def doomed_by(
    dependent: Job,
    ended: Over,
    failed: Failed,
    built_from: frozenset[Ref] | None = None,
) -> Doom | None:
    """How a waiting job fails with a job that failed; None when it does not.

    :param built_from: as for :func:`fails_with`.
    """
    if _has_no_room(dependent, ended):
        stays = Failed(
            dependent.version,
            dependent.action,
            f"its stack in project {ended.tenant} is still there: {failed.why}",
            dependent.ref,
        )
        return Doom(stays, ended.id, ended.tenant)
    if not fails_with(dependent, ended, built_from):
        return None
    passed_on = failed.passed_on(dependent.version, dependent.action, ended.ref)
    return Doom(passed_on, ended.id)


def _has_no_room(dependent: Job, ended: Over) -> bool:
    """Whether a resource would have two stacks: that in its former tenant was not deleted.
    In the same tenant, the next job finds the old stack by its name."""
    return (
        ended.ref == dependent.ref
        and ended.action is Action.DELETE
        and dependent.action is not Action.DELETE
        and ended.tenant != dependent.tenant
    )


def fails_with(
    dependent: Job, ended: Over, built_from: frozenset[Ref] | None = None
) -> bool:
    """Whether a waiting job fails because a job that it waited for failed.

    :param built_from: what the dependent's own version refers to.
        Its params name those of the version before as well, for which it waits and no more: a
        change may leave a failed one behind.
        Where it is not known, all that the params name.

    Building on something that could not be built fails, and so does deleting something under a
    dependent that could not be deleted. Waiting for an earlier job on the same resource does not.
    """
    if ended.ref == dependent.ref:
        return False
    if dependent.action is Action.DELETE:
        return (
            ended.action is Action.DELETE and dependent.ref in ended.references
        )
    if ended.action is Action.DELETE:
        return False
    if built_from is None:
        built_from = dependent.references()
    return ended.ref in built_from
