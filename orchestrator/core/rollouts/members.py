"""How one resource stands in a roll-out."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from enum import StrEnum

from ..records import Built, Failed, Handled, Rollout, RolloutPhase
from ..refs import Ref


class MemberStanding(StrEnum):
    """How a resource stands in a roll-out."""

    TO_DO = "to do"
    """Its stack is at rest, and has to be rebuilt."""
    BUSY = "busy"
    """A job is under way on it that is not the roll-out's."""
    UNDER_WAY = "under way"
    """Its job of the roll-out is under way."""
    COMPLETE = "complete"
    """Its own job of the revision ended complete."""
    FAILED = "failed"
    """Its job of the roll-out failed."""
    ASIDE = "aside"
    """It failed before, or was never built. It takes the revision in force when it is tried again.
    """


@dataclass(frozen=True, slots=True)
class KnownMembers:
    """What is known of a resource of the template."""

    handled: Handled
    built: Built | None
    failed: Failed | None
    live: bool
    """Whether Heat has a stack of it."""
    busy: bool
    """Whether a job is under way on it."""
    asked: bool = False
    """Whether the leader has asked for its job of the roll-out, and the job is not made yet."""


@dataclass(frozen=True, slots=True)
class Member:
    """A resource of the template, as far as the roll-out has to know."""

    ref: Ref
    place: str
    """Its place in the order of the roll-out."""
    standing: MemberStanding
    healthy: float = math.inf
    """Seconds for which its monitoring target has been positive since its job ended; infinite when
    it has none."""
    why: str = ""
    """Why it failed."""

    def is_done(self, rollout: Rollout) -> bool:
        """Whether nothing is left to do or to wait for."""
        complete = self.standing is MemberStanding.COMPLETE
        return complete and self.healthy >= rollout.min_healthy


def place_of(rollout: str, ref: Ref) -> str:
    """The place of a resource in the order of a roll-out: as if drawn by lot, and always the same.

    So the resources of a tenant, or of the same age, are spread over the waves.

    :param rollout: its id.
    """
    text = f"{rollout}\n{ref}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def standing_of(
    rollout: Rollout, known: KnownMembers
) -> tuple[MemberStanding, str]:
    """How a resource stands, and why it failed.

    A status of before the roll-out never counts: the job has to be its own.
    """
    if rollout.stage in (RolloutPhase.REVERTING, RolloutPhase.REVERTED):
        return _going_back(rollout, known)
    ours = known.handled.rollout == rollout.id
    if known.asked:
        return MemberStanding.UNDER_WAY, ""
    if known.busy and ours:
        return MemberStanding.UNDER_WAY, ""
    if known.busy:
        return MemberStanding.BUSY, ""
    if known.failed is not None and ours:
        return MemberStanding.FAILED, known.failed.error
    if known.failed is not None:
        return MemberStanding.ASIDE, known.failed.error
    if not known.live:
        return MemberStanding.ASIDE, ""
    if ours and not _is_recorded(known):
        # The end of the job was seen before the record of what it has built.
        return MemberStanding.UNDER_WAY, ""
    if _built_from(known) == rollout.revision:
        return MemberStanding.COMPLETE, ""
    return MemberStanding.TO_DO, ""


def _going_back(
    rollout: Rollout, known: KnownMembers
) -> tuple[MemberStanding, str]:
    """How a resource stands while stacks are rebuilt from the revision before."""
    back = known.handled.rollout == rollout.back
    ours = known.handled.rollout == rollout.id
    if not (back or ours or _built_from(known) == rollout.revision):
        return MemberStanding.ASIDE, ""
    if known.asked or (known.busy and back):
        return MemberStanding.UNDER_WAY, ""
    if known.busy:
        return MemberStanding.BUSY, ""
    if not back:
        return MemberStanding.TO_DO, ""
    if known.failed is not None:
        return MemberStanding.FAILED, known.failed.error
    return MemberStanding.COMPLETE, ""


def _is_recorded(known: KnownMembers) -> bool:
    return known.built is not None and known.built.job == known.handled.job


def _built_from(known: KnownMembers) -> str:
    """The revision that the last job of the resource has built its stack from, where it is
    known."""
    if known.built is None or not _is_recorded(known):
        return ""
    return known.built.revision
