"""Stacks that are compared deeper than Heat's list: on suspicion, in turn, or as a person asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.core import drift
from orchestrator.core.drift import (
    Examined,
    Inspection,
    Skipped,
    StackComparison,
)
from orchestrator.core.records import Depth, DriftKind, SweepAsked
from orchestrator.core.refs import Ref
from orchestrator.errors import StackMissing

from ..context import WorkerContext
from .expecting import ExpectedRequest, expect
from .listing import Listing, suspicious
from .reading import Recorded, SweepGround

MOST_SKIPPED = 20
"""What was not compared is named up to so many times."""
_CHANGED = frozenset({DriftKind.UPDATED, DriftKind.UNTAGGED})
"""What says that somebody else has updated a stack."""


@dataclass(slots=True)
class DeepLook:
    """What the deeper comparisons of a sweep came to."""

    found: dict[Ref, StackComparison] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    """What was not compared, and why."""
    requests: int = 0
    cursor: str = ""
    """The last resource that was compared in turn, as ``type:id``."""

    @property
    def not_compared(self) -> tuple[str, ...]:
        """What was not compared, no more than a record should hold."""
        if len(self.skipped) <= MOST_SKIPPED:
            return tuple(self.skipped)
        more = len(self.skipped) - MOST_SKIPPED
        return (*self.skipped[:MOST_SKIPPED], f"{more} more")


def compare_deeper(
    context: WorkerContext,
    ground: SweepGround,
    listing: Listing,
    found: Mapping[Ref, StackComparison],
) -> DeepLook:
    """Compare some stacks deeper.

    :param found: what the list said of each resource.
    """
    look = DeepLook(cursor=ground.before.cursor)
    for ref, depth in _chosen(context, ground, listing, found, look):
        one = ground.resources[ref]
        stack = listing.stacks.get(one.known.name)
        if stack is None or stack.in_progress:
            continue
        try:
            shown = context.heat.inspect(ground.order.tenant, stack, depth)
        except StackMissing:
            continue  # The next sweep finds it lost.
        look.requests += shown.requests
        examined = _examine(context, ground, one, found[ref], shown)
        look.skipped += (f"{ref}: {what}" for what in examined.not_compared)
        deviations = (*found[ref].deviations, *examined.deviations)
        look.found[ref] = replace(
            found[ref], deviations=deviations, depth=depth
        )
    return look


# Which --------------------------------------------------------------------------------------------


def _chosen(
    context: WorkerContext,
    ground: SweepGround,
    listing: Listing,
    found: Mapping[Ref, StackComparison],
    look: DeepLook,
) -> Iterator[tuple[Ref, Depth]]:
    """The resources to compare deeper, and how deep."""
    ours = sorted(found.keys() & ground.resources.keys())
    if ground.asked is not None:
        yield from _asked(ground.asked, ours)
        return
    left = context.drift_budget
    depth = Depth(max(context.drift_depth, Depth.REQUEST))
    for ref in suspicious(context, ground, listing):
        if left > 0 and ref in found and _is_news(ground, found, ref, depth):
            left -= 1
            yield ref, depth
    if context.drift_depth > Depth.LISTS:
        for ref in _in_turn(ours, ground.before.cursor)[:left]:
            look.cursor = str(ref)
            yield ref, depth


def _asked(
    asked: SweepAsked, ours: Sequence[Ref]
) -> Iterator[tuple[Ref, Depth]]:
    """What a person wants to be compared."""
    depth = Depth(min(max(asked.depth, Depth.LISTS), Depth.OUTPUTS))
    if depth > Depth.LISTS:
        for ref in ours:
            if not asked.refs or ref in asked.refs:
                yield ref, depth


def _is_news(
    ground: SweepGround,
    found: Mapping[Ref, StackComparison],
    ref: Ref,
    depth: Depth,
) -> bool:
    """Whether a suspicious stack has not been compared so deep since it was updated."""
    earlier, _ = ground.drifts.get(ref, (None, 0))
    return (
        earlier is None
        or earlier.depth < depth
        or earlier.updated != found[ref].updated
    )


def _in_turn(refs: list[Ref], cursor: str) -> list[Ref]:
    """All resources, beginning behind the one that was last."""
    behind = [ref for ref in refs if str(ref) > cursor]
    return behind + [ref for ref in refs if str(ref) <= cursor]


# What ---------------------------------------------------------------------------------------------


def _examine(
    context: WorkerContext,
    ground: SweepGround,
    one: Recorded,
    comparison: StackComparison,
    shown: Inspection,
) -> Examined:
    """What differs in detail."""
    expected = expect(context, ground.keys, one.known.ref, one.handled)
    parts = [_examine_request(expected, comparison, shown)]
    if shown.resources is not None:
        parts.append(drift.compare_properties(shown))
    if shown.outputs is not None:
        parts.append(drift.compare_outputs(one.known.record, shown))
    return Examined.all_of(parts).without(expected.ignore)


def _examine_request(
    expected: ExpectedRequest, comparison: StackComparison, shown: Inspection
) -> Examined:
    """What differs of template and parameters.

    Only an update changes them. So where nobody else has updated the stack, what differs is no
    drift: the template, or an output of another stack, has changed since.
    """
    if expected.request is None:
        why = f"template and parameters, because {expected.why}"
        return Examined(skipped=(Skipped(why),))
    examined = drift.compare_request(expected.request, shown)
    kinds = {deviation.kind for deviation in comparison.deviations}
    if kinds & _CHANGED or not examined.deviations:
        return examined
    why = "what would be asked otherwise today (outdated)"
    outdated = (Skipped(why, one.name) for one in examined.deviations)
    return Examined(skipped=(*examined.skipped, *outdated))


def depth_of(
    ground: SweepGround, look: DeepLook, found: Mapping[Ref, StackComparison]
) -> int:
    """How deep all stacks of the tenant were compared."""
    asked = ground.asked
    if asked is None or asked.refs or look.found.keys() < found.keys():
        return Depth.LISTS
    return asked.depth
