"""The first step: claim the job, make the request, ask Heat."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

from orchestrator import faults
from orchestrator.clients.store import Lease
from orchestrator.core import effects
from orchestrator.core.effects import JobOutcome
from orchestrator.core.jobs import Action, Job
from orchestrator.core.records import Run
from orchestrator.core.refs import Ref, RunId
from orchestrator.core.templates import TEMPLATE_TYPE
from orchestrator.errors import (
    HeatRefused,
    LimitExceeded,
    ProjectRefused,
    StackBusy,
    StoreUnavailable,
    TemplateError,
    TemporaryError,
)
from orchestrator.events import EventName, count

from ..context import WorkerContext
from .asking import Attempt, ask
from .claiming import claim, still_ours
from .ending import finish, try_again
from .work import Work, is_built

log = logging.getLogger(__name__)


def submit(
    context: WorkerContext, run_id: RunId, _: Work | None = None
) -> Work | None:
    """Claim the job, make the request, ask Heat."""
    faults.reach("worker-before-claim")
    lease = context.claims.lease()
    work = claim(context, run_id, lease)
    if work is None or work.run is None:
        count(EventName.SUBMIT_LATE)
        fields = {"event": "submit_late", "run": run_id}
        log.info(
            "Job not claimed: it is over, paused or elsewhere", extra=fields
        )
        return None
    faults.reach("worker-after-claim")
    if context.traces is not None:
        context.traces.about(work)
    # What follows is not written yet: the claim holds until wait() knows what there is to write.
    return _asked(context, work, work.run, lease)


def _failing_since(before: Run) -> float:
    """Since when the job fails, once Heat has taken a request: an outage is over by that, a stack
    that Heat keeps failing is not."""
    if before.failures:
        return before.failing_since
    return 0.0


def _asked(
    context: WorkerContext, work: Work, before: Run, lease: Lease
) -> Work | None:
    """Ask Heat: the run then, and what the request was made of.
    Without a request, the job is ended or tried again here; the answer is None."""
    attempt = Attempt(work, before.asked)
    try:
        with context.heat.only_while(partial(still_ours, context, lease)):
            asked = ask(context, attempt)
    except StoreUnavailable:
        raise
    except TemporaryError as error:
        run = replace(before, asked=attempt.asked)
        _not_now(context, replace(work, run=run), error)
        return None
    except (TemplateError, HeatRefused) as error:
        ended = _refused(work, error, met=attempt.met)
        ours = isinstance(error, TemplateError)
        _end(context, work, ended, ours=ours)
        return None
    if isinstance(asked, JobOutcome):
        reached = attempt.asked or attempt.met
        _end(context, work, replace(asked, asked=reached))
        return None
    faults.reach("worker-after-heat")
    count(EventName.STACK_SUBMITTED)
    fields = {"event": "stack_submitted", "job": work.job.id}
    log.info("Request sent to Heat", extra={**fields, "stack": asked.stack})
    return replace(work, run=_goes_on(asked, before), built=attempt.built)


def _end(
    context: WorkerContext, work: Work, ended: JobOutcome, *, ours: bool = False
) -> None:
    """The job ends without a request that Heat has taken.
    Where it only follows an output, the version stays complete."""
    handled, run = work.handled, work.run
    follows = (
        handled is not None
        and handled.job == work.job.id
        and bool(handled.expected)
    )
    asked = run is not None and run.asked
    kept = follows and bool(ended.error) and not asked
    finish(context, work, replace(ended, kept=kept), ours=ours)


def _goes_on(asked: Run, before: Run) -> Run:
    """The run of a job that Heat has taken, with what its earlier tries have left."""
    return replace(
        asked,
        failures=before.failures,
        since=before.since,
        failing_since=_failing_since(before),
        retry=before.retry,
        retries=before.retries,
    )


def _refused(
    work: Work, error: TemplateError | HeatRefused, *, met: bool
) -> JobOutcome:
    """The end of a job whose request cannot be made, or was refused: by Heat itself, so it has made
    nothing of it.

    :param met: whether there is a stack of the resource all the same, which goes when the config
        goes.
    """
    job = work.job
    # A template that does not render is the root of the failure: a better one repairs it.
    if work.handled and isinstance(error, TemplateError):
        root = Ref(TEMPLATE_TYPE, work.handled.template)
    else:
        root = None
    asked = met or (work.run is not None and work.run.asked)
    return effects.not_built(
        job.action,
        _advice(job, error),
        root=root,
        live=job.action is not Action.CREATE,
        asked=asked,
    )


def _not_now(context: WorkerContext, work: Work, error: TemporaryError) -> None:
    """Heat was not asked, or did not take it: later, unless the time for that is over."""
    assert work.run is not None
    job = work.job
    if (
        isinstance(error, ProjectRefused)
        and job.action is Action.DELETE
        and _is_given_up(context, work)
    ):
        count(EventName.PROJECT_GONE)
        log.warning(
            "Project does not exist any more, nor do its stacks",
            extra={
                "event": "project_gone",
                "job": job.id,
                "tenant": job.tenant,
            },
        )
        finish(context, work, JobOutcome("DELETE_COMPLETE", live=False))
    elif work.run.overdue and isinstance(error, (StackBusy, ProjectRefused)):
        finish(
            context,
            work,
            effects.not_built(
                job.action,
                _too_late(job, error),
                live=work.run.asked or is_built(work),
            ),
        )
    else:
        try_again(context, work, error, attempt=work.run.attempt + 1)


def _is_given_up(context: WorkerContext, work: Work) -> bool:
    """Whether nothing is to be deleted any more: a person says so of the project, or Keystone does,
    and nobody wants it."""
    assert work.run is not None
    return work.run.abandoned or (
        not work.config_there and _is_gone(context, work.job)
    )


def _is_gone(context: WorkerContext, job: Job) -> bool:
    """Whether Keystone says, to somebody who may know, that there is no such project any more."""
    try:
        return context.heat.gone(job.tenant) is True
    except TemporaryError:
        return False


def _too_late(job: Job, error: TemporaryError) -> str:
    again = f"orchestrator retry {job.ref.type} {job.ref.id}"
    if isinstance(error, ProjectRefused) and job.action is Action.DELETE:
        gone = (
            f"if the project is gone for good: {again}, then orchestrator confirm"
            f" project {job.tenant}"
        )
        return (
            f"{error}; give the workers' user a role in the project, then: {again};"
            f" {gone}"
        )
    if isinstance(error, ProjectRefused):
        return (
            f"{error}; give the workers' user a role in the project, or correct"
            f" tenant_id; then write the next version, or: {again}"
        )
    return (
        f"{error}; it has been so for longer than any timeout: repair or delete the"
        f" stack in Heat, then: {again}"
    )


def _advice(job: Job, error: TemplateError | HeatRefused) -> str:
    if isinstance(error, LimitExceeded):
        again = f"orchestrator retry {job.ref.type} {job.ref.id}"
        return (
            f"{error}; raise that limit in Heat, then: {again}; or make the stack"
            " smaller with the next version"
        )
    what = "the configuration, the template or the quota"
    if isinstance(error, TemplateError):
        what = "the template or its mapping"
    return f"{error}; correct {what} and write the config with the next version"
