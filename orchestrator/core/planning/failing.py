"""Which waiting jobs fail with a job that failed."""

from __future__ import annotations

from dataclasses import dataclass

from ..jobs import Action, Job
from ..refs import JobId, Ref


@dataclass(frozen=True, slots=True)
class Over:
    """A job that is over, as far as others are concerned; its record is gone by then."""

    id: JobId
    ref: Ref
    action: Action
    references: frozenset[Ref]


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
