"""What follows for one resource: the questions, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..jobs import Action
from ..records import Handled
from ..refs import Ref
from ..resources import UNVERSIONED, Wanted, tenant_fault
from ..schemas import ResourceType
from ..templates import Template
from ..world import World
from .comparing import is_change, is_taken_back, lives_elsewhere
from .decisions import (
    SCHEMA_TYPE,
    Decision,
    Nothing,
    Refusal,
    Refuse,
    Report,
    Subject,
    held,
)
from .deletions import delete, gone
from .following import changed, followed, standstill
from .parameters import params_of, template_of
from .references import obstacle_among
from .refusing import refused
from .starting import start
from .stopping import STOPPED, stops


def decide(
    world: World,
    ref: Ref,
    suffix: Callable[[], str],
    path: Sequence[Ref] = (),
    *,
    patient: bool = True,
    now: float = 0.0,
) -> Decision:
    """What follows for one resource.

    :param suffix: makes the random part of a job id.
    :param path: the resources whose decisions wait for this one, outermost first; closes cycles.
    :param patient: whether a deletion still waits for others that were built from this resource.
    :param now: seconds since the epoch. It is recorded; nothing is decided by it.
    """
    subject = Subject(world, ref, suffix, tuple(path), patient, now)
    wanted = world.wanted.get(ref)
    if wanted is not None:
        follows = _decide_config(subject, wanted)
        if isinstance(follows, Refusal):
            return refused(subject, wanted, follows)
        return follows
    if ref in world.unreadable:
        return Nothing(
            "its config cannot be read: somebody has to correct or remove it"
        )
    return gone(subject)


def refuse(
    world: World, ref: Ref, error: str, now: float = 0.0
) -> Refuse | Nothing:
    """The decision that the version of a resource cannot become a job, for a reason found later.

    :param now: seconds since the epoch. It is recorded.
    """
    wanted = world.wanted.get(ref)
    if wanted is None:
        return Nothing("gone")
    subject = Subject(world, ref, str, now=now)
    return refused(subject, wanted, Refusal(error, ref))


def _decide_config(subject: Subject, wanted: Wanted) -> Decision | Refusal:
    """The config is there: whether it asks for something that was not handled yet."""
    world, ref = subject.world, subject.ref
    handled = world.handled.get(ref)
    if handled is None:
        return _change(subject, wanted, None)
    again = ref in world.again
    if not again and world.is_stale(wanted):
        return Nothing("stale: an older version was written")
    if is_taken_back(world, wanted):
        return _change(subject, wanted, handled)
    if lives_elsewhere(world, wanted, handled):
        if not again and _could_not_move(world, wanted, handled):
            return Nothing("its old stack could not be deleted")
        return _replace(subject, wanted, handled)
    if again or is_change(wanted, handled):
        return _change(subject, wanted, handled)
    return _follow(subject, wanted, handled)


def _could_not_move(world: World, wanted: Wanted, handled: Handled) -> bool:
    """Whether this version has failed because its stack in another tenant was not deleted: it waits
    for a person."""
    failed = world.failed.get(wanted.ref)
    return (
        failed is not None
        and failed.version == wanted.version
        and handled.incarnation == wanted.incarnation
        and not is_change(wanted, handled)
    )


def _follow(
    subject: Subject, wanted: Wanted, handled: Handled
) -> Decision | Refusal:
    """The version is handled. Its stack is outdated when an output has changed that it was built
    from."""
    found = changed(subject.world, wanted.ref)
    if found is None:
        return Nothing("handled")
    if stays := standstill(subject.world, wanted, found):
        return stays
    return followed(found, _change(subject, wanted, handled))


def _replace(
    subject: Subject, wanted: Wanted, handled: Handled
) -> Decision | Refusal:
    """The id was removed and made anew, or moves to another tenant: the old stack is deleted before
    the new one is created.

    What the new one needs is decided next, and waits for the deletion like any other job.
    """
    world, ref = subject.world, subject.ref
    if world.will_have_stack(ref) and not world.deleting(ref):
        return delete(subject, None, handled)
    return _change(subject, wanted, None)


def _change(
    subject: Subject, wanted: Wanted, handled: Handled | None
) -> Decision | Refusal:
    """The config asks for something that was not handled yet."""
    world, ref = subject.world, subject.ref
    kind = world.schemas.get(ref.type)
    if kind is None or wanted.fault:
        return Refusal(wanted.fault or f"unknown type {ref.type}", ref)
    if kind.fault:
        return Refusal(kind.fault, Ref(SCHEMA_TYPE, kind.id))
    if wanted.marked_for_deletion:
        return _marked(subject, wanted, handled, kind)
    template = template_of(world, wanted, kind)
    if template is None:
        return _report(world, wanted)
    if isinstance(template, Template):
        return _build(subject, wanted, handled, kind, template)
    return template


def _marked(
    subject: Subject,
    wanted: Wanted,
    handled: Handled | None,
    kind: ResourceType,
) -> Decision:
    """The config is marked for deletion.

    Whatever keeps it from being built does not keep it from being deleted.
    """
    world, ref = subject.world, subject.ref
    untouched = not world.is_live(ref) and not world.graph.on(ref)
    if untouched and template_of(world, wanted, kind) is None:
        return _report(world, wanted)
    return delete(subject, wanted, handled)


def _report(world: World, wanted: Wanted) -> Decision:
    """There is nothing to build."""
    if wanted.ref not in world.again and _is_reported(world, wanted):
        return Nothing("reported")
    return Report(wanted)


def _is_reported(world: World, wanted: Wanted) -> bool:
    """Whether the state record is about this incarnation and version of the config."""
    reported = world.reported.get(wanted.ref)
    if reported is None or reported.revision <= wanted.incarnation:
        return False
    if wanted.version == UNVERSIONED:
        return reported.version == UNVERSIONED
    return reported.version >= wanted.version


def _build(
    subject: Subject,
    wanted: Wanted,
    handled: Handled | None,
    kind: ResourceType,
    template: Template,
) -> Decision | Refusal:
    """The config asks for a stack."""
    world, ref = subject.world, subject.ref
    if fault := tenant_fault(wanted.body):
        return Refusal(
            f"{fault}; correct it and write the config with the next version",
            ref,
        )
    if other := world.namesake(ref, wanted.tenant):
        return Refusal(_same_name(ref, other), other)
    params = params_of(world, wanted, kind, template)
    if not isinstance(params, tuple):
        return params
    if ref in world.drifted and stops(world, wanted, params):
        return held(wanted, ref, STOPPED)
    if obstacle := obstacle_among(subject, wanted, params):
        return obstacle
    action = _building_action(world, wanted, handled)
    return start(subject, wanted, handled, action, template.id, params)


def _building_action(
    world: World, wanted: Wanted, handled: Handled | None
) -> Action:
    """Create what is not there, or will be gone when the deletion under way in another place is
    over; else modify."""
    ref = wanted.ref
    if not world.is_live(ref):
        return Action.CREATE
    elsewhere = handled is None or handled.tenant != wanted.tenant
    if elsewhere and world.deleting(ref):
        return Action.CREATE
    return Action.MODIFY


def _same_name(ref: Ref, other: Ref) -> str:
    return (
        f"its stack would be named {ref.stack_name}, as that of {other} is in the same"
        " project: make one of the two anew with another id"
    )
