"""Heat's list of a tenant's stacks, against the records (depth 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.core import drift
from orchestrator.core.drift import Baseline, StackComparison
from orchestrator.core.records import Depth, Deviation
from orchestrator.core.refs import Ref
from orchestrator.core.stacks import Stack

from ..context import WorkerContext
from .reading import Recorded, SweepGround

PAGE = 1000
"""Stacks in one answer of Heat (clients.heat.stacks)."""
MOST_ASKED = 30
"""Stacks that are missing in a list and are asked for one by one. For more, the list is read
again."""


@dataclass(slots=True)
class Listing:
    """What Heat shows, and how many requests that took."""

    stacks: Mapping[str, Stack]
    requests: int


def read_list(context: WorkerContext, tenant: str) -> Listing:
    """One request for a thousand stacks."""
    listed = context.heat.listed(tenant)
    for stack in listed:
        context.noted(stack)
    stacks = {stack.name: stack for stack in listed}
    return Listing(stacks, len(listed) // PAGE + 1)


def baseline(context: WorkerContext, ground: SweepGround) -> Baseline:
    """What the sweep before saw."""
    before = ground.before
    keeps_tags = context.sightings.keeps_tags
    return Baseline(before.revision, before.newest, keeps_tags)


def compare(
    context: WorkerContext, ground: SweepGround, listing: Listing
) -> dict[Ref, StackComparison]:
    """What differs of each resource that was compared; a resource with an operation of ours in
    flight is not."""
    line = baseline(context, ground)
    absent = _absent(context, ground, listing)
    found: dict[Ref, StackComparison] = {}
    for ref, one in ground.resources.items():
        if one.known.busy or not one.known.record.live:
            continue
        stack = listing.stacks.get(one.known.name)
        if stack is not None:
            deviations = drift.compare_listed(one.known, stack, line, one.drift)
        elif ref in absent:
            deviations = drift.lost(one.known)
        else:
            continue
        found[ref] = _found(ground, one, deviations, stack)
    return found


def _found(
    ground: SweepGround,
    one: Recorded,
    deviations: tuple[Deviation, ...],
    stack: Stack | None,
) -> StackComparison:
    updated = ""
    if stack is not None:
        updated = stack.updated
    return StackComparison(
        ground.order.tenant, deviations, Depth.LISTS, one.known.job, updated
    )


def suspicious(
    context: WorkerContext, ground: SweepGround, listing: Listing
) -> Iterator[Ref]:
    """The resources whose stacks somebody else may have changed."""
    line = baseline(context, ground)
    for ref, one in ground.resources.items():
        stack = listing.stacks.get(one.known.name)
        if stack is not None and drift.is_suspicious(one.known, stack, line):
            yield ref


# Stacks that are not in the list ------------------------------------------------------------------


def _absent(
    context: WorkerContext, ground: SweepGround, listing: Listing
) -> set[Ref]:
    """The resources whose stacks Heat has no more.

    A list is read page by page, so one that misses a stack is not believed at once.
    """
    tenant = ground.order.tenant
    missing = {
        ref: one.known.name
        for ref, one in ground.resources.items()
        if one.known.record.live
        and not one.known.busy
        and one.known.name not in listing.stacks
    }
    if len(missing) > MOST_ASKED:
        again = read_list(context, tenant)
        listing.requests += again.requests
        return {
            ref for ref, name in missing.items() if name not in again.stacks
        }
    listing.requests += len(missing)
    return {
        ref
        for ref, name in missing.items()
        if not context.heat.exists(tenant, name)
    }
