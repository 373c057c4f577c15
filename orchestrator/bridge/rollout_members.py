"""How the resources of a roll-out stand, by what a world knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..core.records import Handled, Rollout
from ..core.refs import Ref
from ..core.rollouts import KnownMembers, Member, standing_of
from ..core.world import World


def members_of(
    world: World,
    rollout: Rollout,
    known: Callable[[Ref, Handled], KnownMembers],
    place: Callable[[Rollout, Ref], str],
) -> Iterator[Member]:
    """Every resource of the template, as it stands now.

    :param known: what is known of one of them.
    :param place: its place in the order of the roll-out.
    """
    for ref, handled in world.handled.items():
        wanted = world.wanted.get(ref)
        if handled.template != rollout.template or wanted is None:
            continue
        if wanted.marked_for_deletion:
            continue
        standing, why = standing_of(rollout, known(ref, handled))
        yield Member(ref, place(rollout, ref), standing, why=why)
