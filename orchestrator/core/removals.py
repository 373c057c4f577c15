"""The brake: configs that vanish in great numbers delete nothing before a person has confirmed it.

A config that is removed without a mark asks for the deletion of its stack. One removal is what
somebody meant. Hundreds at once are more often a wrong command, a wrong prefix or a half restored
backup. So removals are counted, and beyond a limit all that are not carried out yet are held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from .refs import Ref


@dataclass(frozen=True, slots=True)
class BrakeLimits:
    """How many removals a bridge carries out by itself.

    *at_once*: as many in any case.
    *share*: or this part of what is built, if that is more.
    *within*: the seconds in which they are counted.
    """

    at_once: int = 20
    share: float = 0.05
    within: float = 600.0

    def allowed(self, built: int) -> int:
        """The highest number of removals that is carried out, among *built* stacks."""
        return max(self.at_once, int(built * self.share))


class Removals:
    """The built resources whose configs were removed without a mark, and whether they are held."""

    def __init__(self) -> None:
        self._open: dict[Ref, int] = {}
        self._counted: deque[float] = deque()
        self._confirmed: set[Ref] = set()
        self.held = False
        """Whether the brake is on."""

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Ref]:
        return iter(self._open)

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._open

    def note(self, ref: Ref, revision: int, now: float) -> None:
        """A config is gone.

        :param revision: that of the removal; 0 when it happened while nobody led.
        :param now: seconds by a clock that only goes forward.
        """
        if ref not in self._open:
            self._counted.append(now)
        self._open[ref] = revision
        self._confirmed.discard(ref)

    def done(self, ref: Ref) -> None:
        """Its deletion is a job now, or it is wanted again."""
        self._open.pop(ref, None)
        self._confirmed.discard(ref)

    def confirm(self, ref: Ref, seen: int) -> bool:
        """A person lets a deletion go.

        :param seen: the revision at which the person saw that the config was gone.
        :returns: whether that was this removal; a later one was not seen.
        """
        if ref not in self._open or self._open[ref] > seen:
            return False
        self._confirmed.add(ref)
        return True

    def is_confirmed(self, ref: Ref) -> bool:
        return ref in self._confirmed

    def holds(self, ref: Ref) -> bool:
        """Whether its deletion waits for a person."""
        return self.held and ref in self._open and ref not in self._confirmed

    def counted(self, now: float, within: float) -> int:
        """How many there were lately, carried out or not."""
        while self._counted and now - self._counted[0] > within:
            self._counted.popleft()
        return len(self._counted)

    def hold(self) -> None:
        """The brake goes on."""
        self.held = True

    def release(self) -> None:
        """Nothing is held any more; counting begins anew."""
        self.held = False
        self._counted.clear()
