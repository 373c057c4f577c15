"""What was found becomes the next record of a resource's drift."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..records import Deviation, Drift
from ..refs import JobId


@dataclass(frozen=True, slots=True)
class StackComparison:
    """What one comparison found.

    *depth* is how deep it went, *job* the last job on the resource, *updated* Heat's time of the
    stack's last update.
    """

    tenant: str
    deviations: tuple[Deviation, ...]
    depth: int
    job: JobId
    updated: str
    accepted: bool = False
    """Whether a person has said that the stack is meant to be as it is."""


def next_record(
    found: StackComparison, earlier: Drift | None, now: float
) -> Drift | None:
    """The record after a comparison; None: there is to be none.

    What only a deeper comparison can find stays, as long as the stack is the same.
    Drift that comes and goes keeps its beginning: a record is removed by the second comparison in a
    row that finds nothing.

    :param now: seconds since the epoch.
    """
    deviations = tuple(sorted({*found.deviations, *_kept(found, earlier)}))
    if not deviations:
        if earlier is None or earlier.gone:
            return None
        return replace(earlier, gone=True)
    fresh = Drift(
        tenant=found.tenant,
        deviations=deviations,
        since=now,
        depth=found.depth,
        job=found.job,
        updated=found.updated,
        accepted=found.accepted,
    ).bounded()
    if earlier is None:
        return fresh
    return replace(
        fresh,
        since=earlier.since,
        depth=_depth(fresh, earlier),
        accepted=found.accepted or _is_accepted(fresh, earlier),
        corrections=earlier.corrections,
    )


def _kept(
    found: StackComparison, earlier: Drift | None
) -> tuple[Deviation, ...]:
    """What an earlier, deeper comparison found of the very same stack."""
    if earlier is None or earlier.gone:
        return ()
    if (earlier.job, earlier.updated) != (found.job, found.updated):
        return ()
    return tuple(
        one for one in earlier.deviations if one.kind.depth > found.depth
    )


def _depth(fresh: Drift, earlier: Drift) -> int:
    """The deepest comparison that the deviations are from."""
    deepest = max(one.kind.depth for one in fresh.deviations)
    return max(fresh.depth, min(int(deepest), earlier.depth))


def _is_accepted(fresh: Drift, earlier: Drift) -> bool:
    """Whether a person has accepted just these deviations, of the stack as it was updated then."""
    return (
        earlier.accepted
        and earlier.updated == fresh.updated
        and set(fresh.deviations) <= set(earlier.deviations)
    )
