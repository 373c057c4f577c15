"""How long a plan will take, by how long such jobs have taken lately."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby

from ..jobs import Action
from ..records import Durations
from ..records.durations import Kind
from .plans import Change, Estimate, What

_ACTIONS: Mapping[What, tuple[Action, ...]] = {
    What.CREATE: (Action.CREATE,),
    What.UPDATE: (Action.MODIFY,),
    What.REBUILD: (Action.MODIFY,),
    What.REPLACE: (Action.DELETE, Action.CREATE),
    What.MOVE: (Action.DELETE, Action.CREATE),
    What.DELETE: (Action.DELETE,),
}
"""The jobs of each change, one after the other."""


def estimate(changes: Sequence[Change], known: Durations) -> Estimate:
    """The time that the waves of a plan take, one after the other.

    A wave takes as long as its slowest job, or as long as all its jobs do when no more of them are
    under way at once than lately.

    :param changes: in the order of their waves.
    """
    needed = {kind for change in changes for kind in _kinds(change)}
    measured = needed & known.kinds.keys()
    if needed and not measured:
        return Estimate(None, unknown=tuple(sorted(needed)))
    seconds = sum(
        _wave(list(together), known)
        for _, together in groupby(changes, lambda change: change.wave)
    )
    return Estimate(
        round(seconds, 1),
        _number(measured, known),
        round(known.together, 1),
        tuple(sorted(needed - measured)),
    )


def _kinds(change: Change) -> Iterator[Kind]:
    for action in _ACTIONS.get(change.what, ()):
        yield change.ref.type, action


def _wave(changes: Sequence[Change], known: Durations) -> float:
    """Seconds of one wave."""
    each = [
        sum(
            known.kinds[kind].seconds
            for kind in _kinds(change)
            if kind in known.kinds
        )
        for change in changes
    ]
    return max(max(each), sum(each) / max(known.together, 1.0))


def _number(kinds: Collection[Kind], known: Durations) -> int:
    return sum(known.kinds[kind].jobs for kind in kinds)
