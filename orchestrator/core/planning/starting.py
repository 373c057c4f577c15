"""The job of a config, and what is remembered of the config with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from ..jobs import Action, Job, Param, job_id, with_earlier_references
from ..policies import ON_FAILURE, OnFailure
from ..records import Handled
from ..refs import Ref
from ..resources import Wanted
from ..templates import Template
from ..world import Pin, World
from .comparing import is_rewritten
from .decisions import Start, Subject
from .ordering import (
    JobPlace,
    find_place,
    leaves,
    replaced,
    revisions_of_retried,
)
from .parameters import earlier_references
from .recorded import (
    body_at_home,
    recorded_config,
    stands_on,
    unrecorded_stack,
)

_References: TypeAlias = Mapping[str, Sequence[Ref]]
_NONE: _References = {}


def start(
    subject: Subject,
    wanted: Wanted | None,
    handled: Handled | None,
    action: Action,
    template: str,
    params: tuple[Param, ...],
) -> Start:
    """The decision that a job follows.

    :param wanted: the config that the job is made of; None: what is recorded.
    :param handled: what was handled last, unless that was elsewhere.
    """
    world, ref = subject.world, subject.ref
    source = wanted or recorded_config(world, ref, handled)
    at_home = _at_home(world, source, action)
    earlier = _earlier(subject, wanted, handled, action, template, params)
    all_params = with_earlier_references(params, earlier)
    place = find_place(world, action, at_home, all_params)
    job = _job(subject, at_home, action, all_params, place)
    config = world.wanted.get(ref)
    first_of_two = wanted is None and config is not None
    if first_of_two:
        # It clears the way for the config that is there: its outcome is not reported.
        place = replace(place, outlived=place.outlived | {job.id})
    used = _used(handled, job, params)
    record = _remembered(subject, source, handled, job, template, place, used)
    pin = world.pins.get(ref)
    record = _completed(world, record, job, pin)
    retried = revisions_of_retried(world, place.superseded)
    return Start(
        job,
        record,
        config,
        place.superseded,
        retried,
        first_of_two,
        pin=pin,
    )


def _completed(
    world: World, record: Handled, job: Job, pin: Pin | None
) -> Handled:
    """The record with what few jobs have: users who keep a stack, and a roll-out."""
    if _replaces_failed(job):
        record = replace(record, used_by=_users(world, job.ref))
    if pin is not None:
        candidate = pin.builds(record.template)
        record = replace(record, rollout=pin.mark, candidate=candidate)
    return record


def _is_forced(world: World, ref: Ref) -> bool:
    """Whether a person has decided that the stack is to be taken as it is.

    It holds for the deletion in the former tenant, and for what comes after it: workers read the
    newest record for both.
    """
    if ref in world.forced:
        return True
    handled = world.handled.get(ref)
    return (
        handled is not None
        and handled.force
        and any(job.action is Action.DELETE for job in world.graph.on(ref))
    )


def _replaces_failed(job: Job) -> bool:
    """Whether the job deletes and rebuilds a stack that it finds in a failed state."""
    return job.action is not Action.DELETE and any(
        param.name == ON_FAILURE and param.value == OnFailure.REPLACE
        for param in job.params
    )


def _users(world: World, ref: Ref) -> str:
    """The resources that stand on a stack, stay there and are not rebuilt after it, for people;
    empty: there are none.

    Nobody joins them while the job is unfinished: whoever refers to its resource waits for it.
    """
    users = [
        user
        for user in world.referrers(ref)
        if not leaves(world, user, ref) and not world.follows(user, ref)
    ]
    if not users:
        return ""
    first = min(users)
    if len(users) == 1:
        return str(first)
    return f"{first} (and {len(users) - 1} more)"


def _job(
    subject: Subject,
    source: Wanted,
    action: Action,
    params: tuple[Param, ...],
    place: JobPlace,
) -> Job:
    adopted = ""
    if action is not Action.CREATE:
        adopted = subject.world.adopted_name(source.ref)
    return Job(
        id=job_id(action, source.ref, source.version, subject.suffix()),
        ref=source.ref,
        action=action,
        version=source.version,
        params=params,
        dependency=place.dependency,
        body=source.body,
        adopted=adopted,
    )


def _at_home(world: World, source: Wanted, action: Action) -> Wanted:
    """What the job is made of: a deletion names the project in which the stack is."""
    if action is not Action.DELETE:
        return source
    return replace(source, body=body_at_home(world, source))


def _earlier(
    subject: Subject,
    wanted: Wanted | None,
    handled: Handled | None,
    action: Action,
    template: str,
    params: tuple[Param, ...],
) -> _References:
    """The references of the config handled last, which the job lists before its own."""
    if handled is None or action is Action.CREATE:
        return _NONE
    if wanted is not None:
        return earlier_references(subject.world, subject.ref, handled, template)
    # Nothing is new, so what was recorded is told once.
    if any(param.references for param in params):
        return _NONE
    return handled.references


def _used(
    handled: Handled | None, job: Job, params: tuple[Param, ...]
) -> Mapping[str, tuple[Ref, ...]]:
    """What the stack uses once the job is over, by parameter."""
    if handled is not None and job.action is Action.DELETE:
        # Until a deleted stack is gone, it still uses what it was built from.
        return handled.references
    return {
        param.name: param.references for param in params if param.references
    }


def _revision(world: World, job: Job, template_id: str) -> str:
    """The revision of the template that gave a job its parameters."""
    if job.action is Action.DELETE:
        return ""
    template = world.template_for(job.ref, template_id)
    if isinstance(template, Template):
        return template.revision
    return ""


def _remembered(
    subject: Subject,
    source: Wanted,
    handled: Handled | None,
    job: Job,
    template: str,
    place: JobPlace,
    used: Mapping[str, tuple[Ref, ...]],
) -> Handled:
    """What is remembered of a config with its job."""
    world, ref = subject.world, source.ref
    now_used = {other for others in used.values() for other in others}
    return Handled(
        version=source.version,
        incarnation=source.incarnation,
        job=job.id,
        template=template,
        tenant=job.tenant,
        references=used,
        body=source.body,
        replaced=replaced(world, handled, place.superseded, job.id),
        outlived=tuple(sorted(place.outlived)),
        stands_on=stands_on(world, ref) - now_used,
        revision=source.revision,
        digest=source.digest(),
        rewritten=is_rewritten(source, handled),
        sent=job.id,
        built=world.is_live(ref),
        uncertain=world.may_have_stack(ref),
        force=_is_forced(world, ref),
        stack=unrecorded_stack(world, ref, handled),
        asked=ref in world.asked,
        template_revision=_revision(world, job, template),
        since=subject.now,
    )
