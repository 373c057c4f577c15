"""The report that a version cannot become a job."""

from __future__ import annotations

from ..jobs import Action
from ..masking import secrets, without
from ..records import NO_JOB, Failed, Handled
from ..resources import Wanted
from ..world import World
from .comparing import is_rewritten
from .decisions import Nothing, Refusal, Refuse, Subject
from .recorded import stands_on


def refused(
    subject: Subject, wanted: Wanted, refusal: Refusal
) -> Refuse | Nothing:
    """The decision that follows from a refusal."""
    world, ref = subject.world, subject.ref
    if world.graph.on(ref):
        return Nothing(
            "is refused once its unfinished job is over: that one's report must not"
            " come after"
        )
    failed = Failed(
        wanted.version,
        _refused_action(world, wanted),
        without(refusal.why, secrets(dict(wanted.body))),
        refusal.root,
        through=refusal.through,
        inherited=refusal.inherited,
    ).dated(subject.now, world.failed.get(ref))
    handled = _remembered(world, wanted, subject.now)
    return Refuse(wanted, handled, failed)


def _refused_action(world: World, wanted: Wanted) -> Action:
    """What would have been done."""
    if wanted.marked_for_deletion:
        return Action.DELETE
    if world.is_live(wanted.ref):
        return Action.MODIFY
    return Action.CREATE


def _remembered(world: World, wanted: Wanted, now: float) -> Handled:
    """The version is handled; what was built stays what it was."""
    earlier = world.handled.get(wanted.ref)
    before = earlier or Handled(
        wanted.version, wanted.incarnation, NO_JOB, "", wanted.tenant
    )
    tenant = wanted.tenant
    if before.sent:
        tenant = before.tenant
    return Handled(
        version=wanted.version,
        incarnation=wanted.incarnation,
        job=NO_JOB,
        template=before.template,
        tenant=tenant,
        references=before.references,
        body=before.body,
        stands_on=stands_on(world, wanted.ref),
        revision=wanted.revision,
        digest=wanted.digest(),
        rewritten=is_rewritten(wanted, earlier),
        sent=before.sent,
        rollout=_rollout(world, wanted),
        since=now,
    )


def _rollout(world: World, wanted: Wanted) -> str:
    """The mark of the roll-out that has taken the resource; empty: none has."""
    pin = world.pins.get(wanted.ref)
    return pin.mark if pin else ""
