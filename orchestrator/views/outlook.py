"""How far some resources have come: what ``wait`` waits for, and what it shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..clients.store import Store
from ..core.keys import Keys
from ..core.refs import Ref
from .following import follow
from .snapshot import Snapshot
from .standings import Phase, Progress, Standing

_QUIET = 2.0
"""Seconds without a change after which etcd is asked whether it is still there.

With the time that a command takes for a read (``session.PATIENCE``), an etcd that froze costs a
command 5 s.
"""

_ANSWER = 5.0
"""Seconds that the question may take: with fewer left it is not asked, so that --timeout is kept.
"""

_ENDED_WELL = (Phase.COMPLETE, Phase.DELETED)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is waited for."""

    refs: Sequence[Ref] | None = None
    """These resources. None: all there are, or all of a type."""
    kind: str = ""
    """The type, where no resources are named; empty: all types."""
    gone: bool = False
    """Whether nothing may be left of them."""

    def among(self, known: Sequence[Ref]) -> list[Ref]:
        """Those that are there."""
        if self.refs is not None:
            there = set(known)
            return [ref for ref in self.refs if ref in there]
        return [ref for ref in known if not self.kind or ref.type == self.kind]


@dataclass(frozen=True, slots=True)
class Outlook:
    """How far it has come."""

    good: tuple[Standing, ...] = ()
    """Those that ended well."""
    bad: tuple[Standing, ...] = ()
    """Those that failed, or that are held back by something that does not come by itself."""
    moving: tuple[Standing, ...] = ()
    """Those that go on by themselves."""
    seconds: float = 0.0
    """How long it has been waited for."""

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return not self.moving


def outlook(snapshot: Snapshot, goal: Goal) -> Outlook:
    """The resources of the goal, sorted by whether they have ended."""
    progress = Progress(snapshot)
    good: list[Standing] = []
    bad: list[Standing] = []
    moving: list[Standing] = []
    for ref in goal.among(snapshot.refs()):
        standing = progress.of(ref)
        if standing.moving or (goal.gone and standing.phase in _ENDED_WELL):
            moving.append(standing)
        elif standing.phase in _ENDED_WELL:
            good.append(standing)
        else:
            bad.append(standing)
    return Outlook(tuple(good), tuple(bad), tuple(moving))


Tell = Callable[[Outlook, Snapshot], None]
"""Is called with every outlook on the way."""


def _silent(found: Outlook, snapshot: Snapshot) -> None:
    """Tell nobody."""


def until(
    store: Store,
    keys: Keys,
    goal: Goal,
    timeout: float | None,
    tell: Tell = _silent,
) -> Outlook:
    """The outlook once nothing of the goal moves any more, or the time is over.

    :param timeout: seconds; None: for ever.
    :raises StoreUnavailable: etcd does not answer, or the watch cannot go on.
    """
    patience = _Patience(timeout)
    with follow(store, keys, goal.refs) as follower:
        while True:
            found = outlook(follower.snapshot, goal)
            found = replace(found, seconds=patience.passed())
            tell(found, follower.snapshot)
            if found.over:
                follower.read_again()
                settled = outlook(follower.snapshot, goal)
                found = replace(settled, seconds=found.seconds)
            if found.over or patience.is_over():
                return found
            if follower.next(patience.told_again_in()):
                patience.heard()
            elif patience.wants_a_sign():
                # A watch repairs itself for ever; a person wants to know that etcd is away.
                store.get(keys.leader)
                patience.heard()


class _Patience:
    """The time of one waiting."""

    def __init__(self, timeout: float | None) -> None:
        self._started = self._heard = time.monotonic()
        self._timeout = timeout

    def passed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._started

    def _left(self) -> float | None:
        """Seconds until the end; None when there is none."""
        if self._timeout is None:
            return None
        return self._timeout - self.passed()

    def is_over(self) -> bool:
        """Whether the time is over."""
        left = self._left()
        return left is not None and left <= 0

    def told_again_in(self) -> float:
        """Seconds after which the outlook is told anew, though nothing has changed."""
        left = self._left()
        if left is None:
            return 1.0
        return min(max(left, 0.0), 1.0)

    def heard(self) -> None:
        """etcd has shown a sign of life."""
        self._heard = time.monotonic()

    def wants_a_sign(self) -> bool:
        """Whether to ask etcd for a sign of life."""
        left = self._left()
        quiet = time.monotonic() - self._heard > _QUIET
        return quiet and (left is None or left > _ANSWER)
