"""What a leader that begins finds in the world and has to take up: each by its level."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.jobs import Action
from ..core.planning import SCHEMA_TYPE
from ..core.records import Failed, Handled
from ..core.refs import JobId, Ref
from ..core.resources import Wanted
from ..core.templates import TEMPLATE_TYPE, Template
from ..core.world import World


def note_deployed(world: World, done: set[JobId]) -> None:
    """The resources whose newest version is deployed: their stacks stand on nothing else any
    more."""
    for ref, handled in list(world.handled.items()):
        under_way = handled.job in done or handled.job in world.graph.jobs
        if handled.stands_on and not under_way and ref not in world.failed:
            world.completed(ref)


def note_held_again(world: World) -> None:
    """Versions that were handled before, and are held: a person has asked for them again."""
    for ref, held in world.held.items():
        wanted, handled = world.wanted.get(ref), world.handled.get(ref)
        if wanted is None or handled is None:
            continue
        of_one = held.incarnation == wanted.incarnation == handled.incarnation
        if of_one and held.version == wanted.version <= handled.version:
            world.try_again(ref)


def note_failed_deletions(world: World) -> None:
    """Deletions that failed and that nobody can ask for again, their config being gone."""
    for ref, failed in world.failed.items():
        if failed.action is Action.DELETE and ref not in world.wanted:
            world.try_again(ref)


def note_removals(world: World, now: float, *, held: bool) -> None:
    """The configs that are gone, or were removed and written again, and whose stacks are still
    there.

    :param held: whether the leader before held deletions.
    """
    for ref, handled in world.handled.items():
        wanted, failed = world.wanted.get(ref), world.failed.get(ref)
        gone = wanted is None and ref not in world.unreadable
        anew = wanted is not None and wanted.incarnation != handled.incarnation
        asked_before = failed is not None and failed.action is Action.DELETE
        if (gone or anew) and not asked_before:
            world.note_removal(ref, 0, now)
    if held:
        world.removals.hold()


def note_lost_jobs(
    world: World, done: set[JobId], handled_at: Mapping[Ref, int]
) -> None:
    """Versions that were handled, but whose job is gone without a report: somebody removed the
    record.

    :param handled_at: the revisions at which they were handled; a report of the same version may be
        an earlier one's.
    """
    for ref, handled in world.handled.items():
        wanted, reported = world.wanted.get(ref), world.reported.get(ref)
        if (
            handled.job in done
            or wanted is None
            or handled.incarnation != wanted.incarnation
            or handled.job in world.graph.jobs
        ):
            continue
        if world.is_stale(wanted):
            # What was handled is not what there is: a lower version is never built by itself.
            continue
        # It ended, and was written once more.
        noted_since = bool(handled.job) and handled.sent != handled.job
        if reported is None or (
            reported.revision < handled_at.get(ref, 0) and not noted_since
        ):
            world.try_again(ref)


def note_retries(
    world: World, failed_at: Mapping[Ref, int], pushed: Mapping[Ref, int]
) -> None:
    """Failed versions that the leader before was about to try again: their cause was repaired after
    they failed, or they were held back on the way.

    :param failed_at: the revisions of the failures.
    :param pushed: the revisions of the templates in etcd.
    """
    for ref, failed in world.failed.items():
        wanted, handled = world.wanted.get(ref), world.handled.get(ref)
        if wanted is None or handled is None or handled.job in world.graph.jobs:
            continue
        repaired = any(
            _repaired_at(world, cause, pushed) > failed_at[ref]
            for cause in failed.causes - {ref}
        )
        if (
            repaired
            or _is_held_again(world, wanted, handled)
            or _parses_now(world, handled, failed)
        ):
            world.try_again(ref)


def _repaired_at(world: World, cause: Ref, pushed: Mapping[Ref, int]) -> int:
    """The revision at which a cause of failures was repaired; 0 when it was not."""
    if cause.type == SCHEMA_TYPE:
        kind = world.schemas.get(cause.id)
        if kind and not kind.fault:
            return world.schemas.origin.revision
        return 0
    if cause.type == TEMPLATE_TYPE and isinstance(
        world.templates.get(cause.id), Template
    ):
        return pushed.get(cause, 0)
    reported = world.reported.get(cause)
    if reported and cause not in world.failed:
        return reported.revision
    return 0


def _is_held_again(world: World, wanted: Wanted, handled: Handled) -> bool:
    """Whether a version that was dealt with already is held: it is to be tried again."""
    held = world.held.get(wanted.ref)
    return (
        held is not None
        and held.version <= handled.version
        and wanted.incarnation == handled.incarnation
    )


def _parses_now(world: World, handled: Handled, failed: Failed) -> bool:
    """Whether a version was refused without a job because its template did not parse, and the
    template does now, whoever it is from."""
    return (
        not handled.job
        and failed.through is None
        and failed.root.type == TEMPLATE_TYPE
        and isinstance(world.templates.get(failed.root.id), Template)
    )
