"""How far the waves of a roll-out have come, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..records import Rollout
from ..refs import Json
from .deciding import border_of, in_order
from .members import Member, MemberStanding


@dataclass(frozen=True, slots=True)
class WaveProgress:
    """The resources of one wave, counted by how they stand."""

    name: str
    """``canary``, ``1``, ``2`` …"""
    begun: bool
    counts: Counter[MemberStanding]

    @property
    def resources(self) -> int:
        """How many there are, without those that the roll-out does not touch."""
        return self.counts.total() - self.counts[MemberStanding.ASIDE]

    def to_json(self) -> dict[str, Json]:
        told = {one.name.lower(): self.counts[one] for one in MemberStanding}
        return {
            "wave": self.name,
            "begun": self.begun,
            "resources": self.resources,
            **told,
        }


def waves_of(rollout: Rollout, members: Sequence[Member]) -> list[WaveProgress]:
    """The canaries, then each wave without those before it.

    Of a wave that has not begun, the resources are those that it would have now.
    """
    canaries = set(rollout.canaries)
    found: list[WaveProgress] = []
    if rollout.canary:
        theirs = [m for m in members if m.ref in canaries]
        found.append(WaveProgress("canary", bool(canaries), _count(theirs)))
    rest = in_order(m for m in members if m.ref not in canaries)
    everybody, start = in_order(members), ""
    for wave in range(1, len(rollout.waves) + 1):
        end = border_of(rollout.waves, wave, everybody)
        if wave == rollout.wave:
            end = rollout.border
        end = max(end, start)
        theirs = [m for m in rest if start < m.place <= end]
        begun = wave <= rollout.wave
        found.append(WaveProgress(str(wave), begun, _count(theirs)))
        start = end
    return found


def _count(members: Iterable[Member]) -> Counter[MemberStanding]:
    return Counter(member.standing for member in members)
