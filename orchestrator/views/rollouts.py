"""How far the roll-out of a template has come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..core.records import Rollout, RolloutPhase
from ..core.refs import Json
from ..core.rollouts import (
    KnownMembers,
    Member,
    MemberStanding,
    WaveProgress,
    place_of,
    standing_of,
    waves_of,
)
from .snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class RolloutProgress:
    """A roll-out, its waves, and who failed."""

    rollout: Rollout
    members: Sequence[Member]

    @property
    def waves(self) -> list[WaveProgress]:
        return waves_of(self.rollout, self.members)

    @property
    def failed(self) -> list[Member]:
        """The resources whose job of the roll-out failed, and why."""
        return [m for m in self.members if m.standing is MemberStanding.FAILED]

    @property
    def troubled(self) -> bool:
        """Whether a person should look at it."""
        bad = (
            RolloutPhase.STOPPED,
            RolloutPhase.REVERTING,
            RolloutPhase.REVERTED,
        )
        return bool(self.failed) or self.rollout.phase in bad

    def to_json(self) -> dict[str, Json]:
        return {
            "rollout": self.rollout.to_record(),
            "waves": [wave.to_json() for wave in self.waves],
            "failed": [
                {"type": m.ref.type, "id": m.ref.id, "reason": m.why}
                for m in self.failed
            ],
        }


def progress(snapshot: Snapshot, rollout: Rollout) -> RolloutProgress:
    """How the resources of the roll-out's template stand."""
    return RolloutProgress(rollout, list(_members(snapshot, rollout)))


def _members(snapshot: Snapshot, rollout: Rollout) -> Iterator[Member]:
    busy = {job.ref for job in snapshot.jobs.values()}
    for ref, handled in snapshot.handled.items():
        wanted = snapshot.wanted.get(ref)
        if handled.template != rollout.template or wanted is None:
            continue
        if wanted.marked_for_deletion:
            continue
        stack, failed = snapshot.stacks.get(ref), snapshot.failed.get(ref)
        if failed is not None and failed.job:
            failed = None  # Its job is tried again.
        known = KnownMembers(
            handled,
            snapshot.built.get(ref),
            failed,
            stack is not None and stack.live,
            ref in busy,
            asked=ref in snapshot.held,
        )
        standing, why = standing_of(rollout, known)
        yield Member(ref, place_of(rollout.id, ref), standing, why=why)
