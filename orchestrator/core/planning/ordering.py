"""The place of a new job among the unfinished ones: which it waits for, and which it supersedes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..jobs import Action, Job, Param
from ..records import Cause, Handled, Step
from ..refs import JobId, Ref
from ..resources import Wanted
from ..world import World

_OUTAGES = (Cause.UNAVAILABLE, Cause.BUSY)


@dataclass(frozen=True, slots=True)
class JobPlace:
    """The place of a new job among the unfinished ones."""

    dependency: tuple[JobId, ...]
    """The jobs that it waits for."""
    superseded: tuple[Job, ...]
    """The jobs on its resource that it stands in for."""
    outlived: frozenset[JobId]
    """The jobs on its resource that go on, and whose outcome is not reported."""


def find_place(
    world: World, action: Action, source: Wanted, params: tuple[Param, ...]
) -> JobPlace:
    """The place of a new job.

    :param source: what it is made of, in the tenant of the job.
    """
    ref = source.ref
    references = dict.fromkeys(
        other for param in params for other in param.references
    )
    outlived = _outlived(world, source)
    stuck = _stuck(world, ref, action, outlived)
    # In the place of what Heat never took, the new job does not wait for those who waited there.
    behind = world.graph.behind(job.id for job in stuck)
    depends = dict.fromkeys(world.graph.dependency_of(ref, references))
    if action is Action.DELETE:
        depends |= dict.fromkeys(_last_jobs_of_leavers(world, ref))
    dependency = tuple(job for job in depends if job not in behind)
    others = outlived | {job.id for job in stuck}
    idle = _superseded(world, ref, action, dependency, others)
    superseded = (*stuck, *idle)
    removed = {job.id for job in superseded}
    return JobPlace(
        tuple(job for job in dependency if job not in removed),
        superseded,
        outlived,
    )


# Who leaves ---------------------------------------------------------------------------------------


def leaves(world: World, user: Ref, used: Ref) -> bool:
    """Whether *user* uses another resource only until its newest job is over, which deletes it or
    builds a version that does not refer to *used*."""
    if world.deleting(user):
        return True
    handled = world.handled.get(user)
    if handled is None or not world.graph.on(user):
        return False
    return used not in handled.refs()


def _last_jobs_of_leavers(world: World, ref: Ref) -> tuple[JobId, ...]:
    """The last jobs of resources that will stop using this one.

    They are added because, after two quick changes, their parameters no longer name it.
    """
    return tuple(
        world.graph.on(user)[-1].id
        for user in world.referrers(ref)
        if leaves(world, user, ref)
    )


# What becomes of the jobs before ------------------------------------------------------------------


def _outlived(world: World, source: Wanted) -> frozenset[JobId]:
    """The unfinished jobs that go on, and whose outcome is not reported any more.

    Those of an earlier incarnation, and deletions in another tenant than the new job's.
    Not among them are jobs that build and that Heat knows nothing of: they would build a stack that
    nobody wants. They go on only where others wait for them before they leave.
    """
    ref = source.ref
    jobs = world.graph.on(ref)
    if not jobs:
        return frozenset()
    handled = world.handled.get(ref)
    if handled is not None and handled.incarnation != source.incarnation:
        return frozenset(
            job.id
            for job in jobs
            if not world.may_be_dropped(job) or _leavers_wait(world, ref, job)
        )
    found = {
        job.id
        for job in jobs
        if handled is not None and job.id in handled.outlived
    }
    if world.may_have_stack(ref):
        found |= {
            job.id
            for job in jobs
            if job.action is Action.DELETE and job.tenant != source.tenant
        }
    return frozenset(found)


def _stuck(
    world: World, ref: Ref, action: Action, outlived: frozenset[JobId]
) -> tuple[Job, ...]:
    """The jobs on this resource that wait for their next try, and of which nothing is under way in
    Heat: they could not be put to Heat, or Heat has failed them.

    A deletion takes their place, and so does a newer version that may correct them.
    It corrects no outage. Then it waits for them: others may have changed what it is built
    from.
    A deletion waits for them, too, where an outage holds up a job for which dependents wait before
    they leave: in its place, the deletion would go before them.
    """
    return tuple(
        job
        for job in world.graph.on(ref)
        if job.id not in outlived
        and _can_be_replaced(world, action, job)
        and not _leavers_wait(world, ref, job)
    )


def _leavers_wait(world: World, ref: Ref, job: Job) -> bool:
    """Whether an outage holds up a job that dependents wait for before they leave the resource."""
    run = world.runs.get(job.id)
    if run is None or run.cause not in _OUTAGES:
        return False
    behind = world.graph.behind([job.id])
    return any(other in behind for other in _last_jobs_of_leavers(world, ref))


def _can_be_replaced(world: World, action: Action, job: Job) -> bool:
    """Whether a job that waits for its next try gives its place to a new one."""
    if not world.is_stuck(job):
        return False
    run = world.runs[job.id]
    if run.asked and run.cause != Cause.FAILED:
        return False
    return action is Action.DELETE or run.cause not in _OUTAGES


def _superseded(
    world: World,
    ref: Ref,
    action: Action,
    dependency: tuple[JobId, ...],
    others: frozenset[JobId],
) -> tuple[Job, ...]:
    """The jobs on this resource that need not run any more, because this one does all and more.

    No worker has them, they do not clear away an earlier incarnation, and nothing that this job
    has to wait for waits for them: it must not take their place in the queue before that.

    A deletion leaves those that Heat may have taken: it would find nothing to delete yet.

    :param others: those on the resource of which something else has been decided.
    """
    idle = [
        job
        for job in world.graph.on(ref)
        if job.id not in others and _is_idle(world, action, job.id)
    ]
    needed = set(dependency) - {job.id for job in idle}
    return tuple(
        job for job in idle if not needed & world.graph.behind([job.id])
    )


def _is_idle(world: World, action: Action, job: JobId) -> bool:
    """Whether no worker has a job, though Heat may have taken it."""
    run = world.runs.get(job)
    if run is None:
        return True
    return run.step is Step.RETRY and action is not Action.DELETE


def revisions_of_retried(world: World, jobs: Iterable[Job]) -> dict[JobId, int]:
    """The revisions of the runs that are to be tried again, of some jobs."""
    return {
        job.id: world.runs[job.id].revision
        for job in jobs
        if world.is_stuck(job)
    }


def replaced(
    world: World,
    handled: Handled | None,
    superseded: tuple[Job, ...],
    new: JobId,
) -> dict[JobId, JobId]:
    """Who stands in for whom, as long as the stand-in is not over."""
    removed = {job.id for job in superseded}
    replacements: dict[JobId, JobId] = {}
    if handled is not None:
        for old, by in handled.replaced.items():
            if by in removed:
                replacements[old] = new
            elif by in world.graph.jobs:
                replacements[old] = by
    return replacements | dict.fromkeys(removed, new)
