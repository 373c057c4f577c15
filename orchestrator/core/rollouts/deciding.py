"""What is to be done next in a roll-out: the only function that decides it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..records import Rollout, RolloutPhase
from ..refs import Ref
from .members import Member, MemberStanding

LAST = "~"
"""The border of the last wave: behind every place, which is of hexadecimal digits."""
_NAMED = 3
"""How many failed resources a reason names."""
_ENDED = frozenset({MemberStanding.FAILED, MemberStanding.ASIDE})


@dataclass(frozen=True, slots=True)
class Decided:
    """What follows: one of the two, or nothing."""

    start: tuple[Ref, ...] = ()
    """The resources to rebuild now."""
    record: Rollout | None = None
    """The roll-out as it stands from now on. Its record is written before anything else is begun.
    """


NOTHING = Decided()


def decide(
    rollout: Rollout, members: Sequence[Member], in_force: str
) -> Decided:
    """What follows from how the resources stand.

    :param members: every resource of the template.
    :param in_force: the revision of the template that is in force; empty: there is none.
    """
    if rollout.paused or rollout.over or rollout.phase is RolloutPhase.STOPPED:
        return NOTHING
    if in_force != rollout.expected:
        return Decided(record=_superseded(rollout, in_force))
    if rollout.phase is RolloutPhase.REVERTING:
        return _revert(rollout, members)
    concerned = _concerned(rollout, members)
    failed = [m for m in concerned if m.standing is MemberStanding.FAILED]
    if len(failed) > rollout.fail_after:
        return Decided(record=_stopped(rollout, failed))
    if rollout.phase is RolloutPhase.WAVES:
        return _waves(rollout, members)
    if rollout.phase is RolloutPhase.CANARY:
        return _canaries(rollout, members)
    return NOTHING


def in_order(members: Iterable[Member]) -> list[Member]:
    return sorted(members, key=lambda member: member.place)


def of_wave(rollout: Rollout, members: Iterable[Member]) -> list[Member]:
    """The members of the waves that have begun."""
    return [m for m in members if m.place <= rollout.border]


def border_of(
    waves: Sequence[int], wave: int, ordered: Sequence[Member]
) -> str:
    """The place of the last resource of a wave.

    :param wave: its number, from 1.
    :param ordered: every resource, in the order of the roll-out.
    """
    if wave >= len(waves):
        return LAST
    number = -(-len(ordered) * waves[wave - 1] // 100)
    if number == 0:
        return ""
    return ordered[number - 1].place


def _concerned(rollout: Rollout, members: Sequence[Member]) -> Sequence[Member]:
    """The members whose failure counts."""
    if rollout.promoted:
        return members
    canaries = set(rollout.canaries)
    return [m for m in members if m.ref in canaries]


def _superseded(rollout: Rollout, in_force: str) -> Rollout:
    found = f"revision {in_force}" if in_force else "no revision"
    return rollout.into(
        RolloutPhase.STOPPED,
        f"{found} of template {rollout.template} is in force, and not"
        f" {rollout.expected}: somebody has pushed another one; abort the roll-out, or"
        " push the expected revision and resume",
    )


def _stopped(rollout: Rollout, failed: Sequence[Member]) -> Rollout:
    """Too many have failed. Canaries go back by themselves, where the operator wants it."""
    first = failed[:_NAMED]
    told = "; ".join(f"{m.ref}: {m.why}" for m in first)
    more = ""
    if len(failed) > len(first):
        more = f"; and {len(failed) - len(first)} more"
    reason = (
        f"{len(failed)} failed, {rollout.fail_after} tolerated: {told}{more}"
    )
    if rollout.auto_revert and not rollout.promoted:
        return rollout.into(RolloutPhase.REVERTING, reason)
    return rollout.into(RolloutPhase.STOPPED, reason)


def _canaries(rollout: Rollout, members: Sequence[Member]) -> Decided:
    if not rollout.canaries:
        free = [m for m in members if m.standing is MemberStanding.TO_DO]
        chosen = tuple(m.ref for m in in_order(free)[: rollout.canary])
        if chosen:
            return Decided(record=replace(rollout, canaries=chosen))
        return Decided(record=rollout.into(RolloutPhase.WAITING))
    theirs = _concerned(rollout, members)
    if _all_ended(rollout, theirs):
        return Decided(record=rollout.into(RolloutPhase.WAITING))
    return Decided(_next(rollout, theirs))


def _waves(rollout: Rollout, members: Sequence[Member]) -> Decided:
    begun = of_wave(rollout, members)
    if rollout.wave and not _all_ended(rollout, begun):
        return Decided(_next(rollout, begun, members))
    if rollout.wave >= len(rollout.waves):
        return Decided(record=rollout.into(RolloutPhase.DONE))
    wave = rollout.wave + 1
    # What came since is never behind a wave that has begun.
    border = max(
        border_of(rollout.waves, wave, in_order(members)), rollout.border
    )
    return Decided(record=replace(rollout, wave=wave, border=border))


def _revert(rollout: Rollout, members: Sequence[Member]) -> Decided:
    left = {MemberStanding.TO_DO, MemberStanding.BUSY, MemberStanding.UNDER_WAY}
    if any(m.standing in left for m in members):
        return Decided(_next(rollout, members))
    return Decided(record=rollout.into(RolloutPhase.REVERTED, rollout.reason))


def _all_ended(rollout: Rollout, members: Iterable[Member]) -> bool:
    """Whether each of these is done, or has failed within what is tolerated."""
    return all(m.standing in _ENDED or m.is_done(rollout) for m in members)


def _next(
    rollout: Rollout,
    members: Sequence[Member],
    everybody: Sequence[Member] | None = None,
) -> tuple[Ref, ...]:
    """The resources to rebuild now: as many as may be under way.

    :param members: those that may be begun.
    :param everybody: those whose jobs count, where these are more.
    """
    counted = members if everybody is None else everybody
    under_way = sum(m.standing is MemberStanding.UNDER_WAY for m in counted)
    room = max(rollout.max_parallel - under_way, 0)
    free = [m for m in members if m.standing is MemberStanding.TO_DO]
    return tuple(m.ref for m in in_order(free)[:room])
