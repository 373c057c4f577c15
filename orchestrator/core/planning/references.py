"""What a config refers to, and why that keeps it from becoming a job: undecided, held or failed."""

from __future__ import annotations

from collections.abc import Iterable

from ..jobs import Param
from ..records import Failed
from ..refs import Ref
from ..resources import Wanted
from ..world import World
from .comparing import lives_elsewhere
from .cycles import failed_through_us, hard_cycle, waits_for_us
from .decisions import (
    First,
    Hold,
    Obstacle,
    Postpone,
    Refusal,
    Subject,
    held,
)


def obstacle_among(
    subject: Subject, wanted: Wanted, params: tuple[Param, ...]
) -> Obstacle | First | Postpone | None:
    """The first obstacle among the resources that this one is built from; None when they are all
    decided, not held, and have not failed without a stack."""
    references = dict.fromkeys(
        ref
        for param in params
        for ref in param.references
        if ref != subject.ref
    )
    if undecided := _undecided(subject, references):
        return undecided
    built_from = {output.ref for param in params for output in param.outputs()}
    # What never can be comes before what has to wait, and that before what failed, whatever the
    # order of the references and of the decisions: a new leader must come to the same.
    for other in references:
        if other in built_from and (cycle := hard_cycle(subject, other)):
            return cycle
    for other in references:
        if hold := _waits(subject, wanted, other, other in built_from):
            return hold
    for other in references:
        if refusal := _failed(subject, other, other in built_from):
            return refusal
    return None


def _undecided(
    subject: Subject, references: Iterable[Ref]
) -> First | Postpone | None:
    """What this one refers to is not decided yet, or the decision is not written yet."""
    world, path = subject.world, subject.path
    undecided = tuple(
        ref for ref in references if ref in world.dirty and ref not in path
    )
    if undecided:
        return First(undecided)
    for other in references:
        if other in world.unsettled and other not in path:
            return Postpone(other)
    return None


def _waits(
    subject: Subject, wanted: Wanted, other: Ref, hard: bool
) -> Hold | None:
    """What is referred to is held, or is being replaced.

    :param hard: whether we need an output of *other*.
    """
    world = subject.world
    if _is_being_replaced(world, other):
        # Even if that is patient with us: its patience ends, and what is built from the old
        # one is stale.
        return held(
            wanted, other, f"waits for {other}, which is being replaced"
        )
    if waits_for_us(subject, other):
        return _waits_in_cycle(world, wanted, other, hard)
    if earlier := world.held.get(other):
        return Hold(earlier.passed_on(wanted, other), wanted)
    return None


def _waits_in_cycle(
    world: World, wanted: Wanted, other: Ref, hard: bool
) -> Hold | None:
    """*other* waits for us. Whoever refers by values alone goes first."""
    if not hard or world.is_live(other) or world.graph.on(other):
        return None
    return held(
        wanted,
        other,
        f"needs an output of {other}, which refers back to it by a value and"
        " goes first",
    )


def _failed(subject: Subject, other: Ref, hard: bool) -> Refusal | None:
    """What is referred to has failed for good.

    :param hard: whether we need an output of *other*.
    """
    failed = _failure_for_good(subject.world, other)
    if failed is None or waits_for_us(subject, other):
        return None
    if not hard and failed_through_us(subject, other):
        # It was in a cycle with us, which this version may be about to break.
        return None
    return Refusal(failed.why, failed.root, other, inherited=True)


def _is_being_replaced(world: World, other: Ref) -> bool:
    """Whether what is recorded of *other* belongs to an earlier incarnation of its id, or to
    another tenant."""
    wanted, handled = world.wanted.get(other), world.handled.get(other)
    if wanted is None or handled is None or not world.may_have_stack(other):
        return False
    return lives_elsewhere(world, wanted, handled)


def _failure_for_good(world: World, other: Ref) -> Failed | None:
    """How *other* failed, when it has no stack to build on and nothing is under way."""
    if world.is_live(other) or world.graph.on(other):
        return None
    return world.failed.get(other)
