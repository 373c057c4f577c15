"""What Heat's list says of a stack, against what our records say of it (depth 1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..records import Deviation, Drift, DriftKind, StackRecord
from ..refs import JobId, Ref
from ..stacks import Stack

_CHANGES = frozenset({"CREATE", "UPDATE", "RESTORE", "ROLLBACK", "ADOPT"})
"""Heat's actions that may change what a stack is made of."""
_HARMLESS = frozenset({"CHECK", "SNAPSHOT", "RESUME", "RESTORE", "ADOPT"})
"""Heat's actions of other people that leave a working stack, when they end in ``_COMPLETE``."""


@dataclass(frozen=True, slots=True)
class KnownStack:
    """What our records say of a resource with a stack.

    *job* is the last job that may have reached Heat; empty where no record names one.
    *busy*: an operation of ours is in flight, so that what Heat shows is no drift.
    *stack_revision* and *handled_revision* are the mod revisions of the records.
    *updated*: when Heat began the update of *job*, by Heat's clock; empty where no record tells:
    the job updated nothing, or an earlier release recorded it.
    """

    ref: Ref
    record: StackRecord
    job: JobId
    busy: bool
    stack_revision: int
    handled_revision: int
    updated: str = ""

    @property
    def name(self) -> str:
        """The name of the stack: an adopted one has a name of its own."""
        return self.record.name or self.ref.stack_name


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the tenant's last sweep saw.

    *revision* is etcd's revision before that sweep asked Heat; 0 when there was no sweep.
    *newest* is the latest time of an update in the list that it got.
    *keeps_tags*: this Heat has shown tags of ours, so that their absence means something.

    Heat's own times are compared with each other only, so no clock of ours matters.
    """

    revision: int = 0
    newest: str = ""
    keeps_tags: bool = False


def lost(known: KnownStack) -> tuple[Deviation, ...]:
    """What is said of a stack that is in no list of Heat's any more."""
    if known.busy or not known.record.live:
        return ()
    says = f"Heat has no stack {known.name} any more"
    return (Deviation(DriftKind.LOST, says=says),)


def compare_listed(
    known: KnownStack, listed: Stack, baseline: Baseline, earlier: Drift | None
) -> tuple[Deviation, ...]:
    """What differs by Heat's list.

    :param earlier: the record of the sweep before: an update is seen only once.
    """
    if known.busy or not known.record.live:
        return ()
    found = [
        *_status(known.record.status, listed),
        *_tags(known, listed, baseline),
        *_update(known, listed, baseline, earlier),
    ]
    return tuple(sorted(found))


def is_suspicious(known: KnownStack, listed: Stack, baseline: Baseline) -> bool:
    """Whether the stack is worth a deeper comparison: somebody may have changed it."""
    if known.busy or not known.record.live:
        return False
    untagged = bool(tuple(_tags(known, listed, baseline)))
    return untagged or _is_newer(known, listed, baseline)


def _status(recorded: str, listed: Stack) -> Iterator[Deviation]:
    if listed.status == recorded:
        return
    if listed.in_progress:
        says = f"Heat has the stack in {listed.status}, and no job of ours asked for that"
        yield Deviation(DriftKind.STATUS, says=says)
        return
    harmless = listed.action in _HARMLESS | {"CREATE", "UPDATE"}
    if listed.complete and recorded.endswith("_COMPLETE") and harmless:
        return
    if listed.status.endswith("_FAILED") and recorded.endswith("_FAILED"):
        return
    says = f"Heat has the stack in {listed.status}, and {recorded} is recorded"
    yield Deviation(DriftKind.STATUS, says=says)


def _tags(
    known: KnownStack, listed: Stack, baseline: Baseline
) -> Iterator[Deviation]:
    if not known.job or not baseline.keeps_tags or listed.job_tags:
        return
    says = "our tags are gone: somebody else has updated the stack"
    yield Deviation(DriftKind.UNTAGGED, says=says)


def _update(
    known: KnownStack, listed: Stack, baseline: Baseline, earlier: Drift | None
) -> Iterator[Deviation]:
    if listed.action not in _CHANGES:
        return
    if _is_newer(known, listed, baseline) or _was_found(known, listed, earlier):
        says = f"the stack was updated at {listed.updated}, after our operation"
        yield Deviation(DriftKind.UPDATED, says=says)


def _is_newer(known: KnownStack, listed: Stack, baseline: Baseline) -> bool:
    """Whether the stack was updated after our last operation on it.

    Heat gives a stack that was only created no time of an update (openstack-heat 27,
    ``Stack.converge_stack``). Of one that we have updated ourselves, the time of our update is
    recorded. Where it is not, only a later time than any in the last sweep tells it, if our
    operation had ended by then.
    """
    if not listed.updated:
        return False
    if known.updated:
        return listed.updated > known.updated
    if known.record.status.startswith("CREATE_"):
        return True
    ended_before = 0 < known.stack_revision <= baseline.revision
    return ended_before and listed.updated > baseline.newest


def _was_found(known: KnownStack, listed: Stack, earlier: Drift | None) -> bool:
    """Whether an earlier sweep has found this very update."""
    return (
        earlier is not None
        and DriftKind.UPDATED in earlier.kinds
        and earlier.job == known.job
        and earlier.updated == listed.updated
    )
