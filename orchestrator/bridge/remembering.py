"""What is remembered of a resource once its last job is over, where that differs from what was
remembered when the job was made."""

from __future__ import annotations

from dataclasses import replace

from ..core.jobs import Job
from ..core.planning import Doom
from ..core.records import NO_JOB, Handled, Run
from ..core.refs import JobId, Ref
from ..core.world import World


def after_run(world: World, job: JobId, ref: Ref, run: Run) -> Handled | None:
    """After a job that a worker has ended; None when nothing differs."""
    handled = world.handled.get(ref)
    if handled is None or run.complete:
        return None
    if run.kept:
        return _kept(world, job, ref, run, handled)
    certain = (
        handled.sent == job
        and not handled.uncertain
        and world.has_witnessed(job)
    )
    if certain and not run.asked:
        # A job that Heat never took leaves nothing to be looked for there when the config goes.
        return replace(handled, sent=NO_JOB)
    return None


def _kept(
    world: World, job: JobId, ref: Ref, run: Run, handled: Handled
) -> Handled | None:
    """A job that only followed an output came to nothing: the job before is the last that
    counts."""
    built = world.built_from.get(ref)
    if built is None or handled.job != job:
        return None
    return replace(handled, job=built.job, kept=run.reason)


def without_run(world: World, job: Job, doom: Doom) -> Handled | None:
    """After a job that never ran; None when nothing differs."""
    handled = world.handled.get(job.ref)
    if handled is None:
        return None
    if doom.stays_in and handled.job == job.id:
        # Where the older stack is looked for, whatever follows.
        return replace(handled, tenant=doom.stays_in)
    certain = handled.sent == job.id and not handled.uncertain
    if certain and job.id not in world.runs:
        return replace(handled, sent=NO_JOB)
    return None
