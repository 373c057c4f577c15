"""One request to Heat: which one, and where the job then stands."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, replace

from orchestrator.core import effects, rendering, stacks
from orchestrator.core.effects import JobOutcome
from orchestrator.core.jobs import Action, Job
from orchestrator.core.records import Built, Run, StackRecord, Step
from orchestrator.core.resources import tenant_fault
from orchestrator.errors import (
    HeatRefused,
    HeatUnavailable,
    NotSeenYet,
    StackBusy,
    StackExists,
    StackMissing,
)
from orchestrator.events import EventName, count

from ..context import WorkerContext
from .inputs import Prepared, prepare
from .work import Work, is_built, read_if_there

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Attempt:
    """One try of a job.

    *asked* becomes true directly before Heat is asked to change something, *met* when Heat shows a
    stack that says by its tags that it is the resource's. *built* is what the request was made of
    that Heat has taken.
    """

    work: Work
    asked: bool = False
    met: bool = False
    built: Built | None = None

    @property
    def tags(self) -> str:
        return stacks.tags(self.work.job.id, self.work.tries)


def ask(context: WorkerContext, attempt: Attempt) -> Run | JobOutcome:
    """Make one request of Heat: where the job then stands, or how it ended already."""
    job = attempt.work.job
    if job.action is Action.DELETE and _is_nowhere(attempt.work):
        return JobOutcome("DELETE_COMPLETE", live=False)
    context.heat.prepare(job.tenant)
    if job.action is Action.DELETE:
        return _ask_delete(context, attempt)
    prepared = prepare(context, attempt.work)
    if isinstance(prepared, JobOutcome):
        return prepared
    if job.action is Action.CREATE:
        with contextlib.suppress(StackExists):
            return _create(context, attempt, prepared)
    return _ask_change(context, attempt, prepared)


def _create(
    context: WorkerContext, attempt: Attempt, prepared: Prepared
) -> Run:
    before, attempt.asked = attempt.asked, True
    attempt.built = prepared.built
    request = prepared.request
    try:
        return _waiting(
            context,
            context.heat.create(request, attempt.tags),
            request.timeout_mins,
        )
    except StackExists:
        attempt.asked = before  # Of this request, Heat has made nothing.
        raise


def _waiting(
    context: WorkerContext, stack: str, timeout_mins: int | None = None
) -> Run:
    return Run(
        Step.IN_HEAT,
        stack=stack,
        asked_at=context.clock.now(),
        timeout_mins=timeout_mins or 0,
        asked=True,
    )


def _ask_change(
    context: WorkerContext, attempt: Attempt, prepared: Prepared
) -> Run | JobOutcome:
    """Update the stack that is there, or build it when there is none."""
    work, job = attempt.work, attempt.work.job
    stack = _find(context, job)
    attempt.met = stack is not None and stacks.owns(
        job.ref, stack, recorded=False
    )
    match _next_request(context, work, stack):
        case stacks.Asked(stack):
            attempt.built = prepared.as_taken(work.basis.job)
            return _waiting(context, stack.id, prepared.request.timeout_mins)
        case stacks.Create():
            return _create_absent(context, attempt, prepared)
        case stacks.Update(stack):
            if changed := _update(context, attempt, prepared, stack):
                return _leave(work, changed)
            return _waiting(context, stack.id, prepared.request.timeout_mins)
        case stacks.Delete(stack):
            attempt.asked = True
            context.heat.delete(job.tenant, stack)
            raise StackBusy(
                f"the stack is in {stack.status}; it is deleted and built anew"
            )
        case stacks.Wait(stack):
            raise StackBusy(
                f"the stack is in {stack.status}; the job waits until it ends"
            )
        case stacks.Leave() as leave:
            return _leave(work, leave)
        case stacks.Gone():
            raise AssertionError("only a deletion finds nothing to do")


def _leave(work: Work, leave: stacks.Leave) -> JobOutcome:
    """A stack that is not to be changed ends the job."""
    job = work.job
    count(EventName.STACK_LEFT)
    fields = {"event": "stack_left", "job": job.id, "reason": leave.why}
    log.warning("Stack left unchanged", extra=fields)
    again = f"orchestrator retry {job.ref.type} {job.ref.id}"
    if leave.force:
        again = f"{again} --force"
    left = f"{leave.why}; {leave.then}: {again}"
    return effects.not_built(job.action, left, live=is_built(work))


def _create_absent(
    context: WorkerContext, attempt: Attempt, prepared: Prepared
) -> Run | JobOutcome:
    """Build the stack that Heat does not show."""
    try:
        return _create(context, attempt, prepared)
    except StackExists as error:
        # With convergence, Heat shows a deletion as complete some seconds before the name is free.
        raise StackBusy(
            "Heat shows no stack of this name, and does not give the name yet:"
            f" {error.reason}"
        ) from error


def _update(
    context: WorkerContext,
    attempt: Attempt,
    prepared: Prepared,
    stack: stacks.Stack,
) -> stacks.Leave | None:
    """Ask for the update. Answers why the stack is to be left as it is, if Heat refused because of
    what somebody else did to the stack since it was read."""
    before, attempt.asked = attempt.asked, True
    attempt.built = prepared.built
    try:
        context.heat.update(prepared.request, stack, attempt.tags)
    except StackMissing as error:
        raise HeatUnavailable(
            f"the stack went away meanwhile: {error}"
        ) from error
    except HeatRefused:
        work = attempt.work
        follows = _next_request(context, work, _find(context, work.job))
        if not isinstance(follows, stacks.Leave):
            raise
        attempt.asked = before
        return follows
    return None


def _find(context: WorkerContext, job: Job) -> stacks.Stack | None:
    return context.noted(
        context.heat.show(job.tenant, job.stack_name, outputs=False)
    )


def _next_request(
    context: WorkerContext, work: Work, stack: stacks.Stack | None
) -> stacks.Request:
    handled, run = work.handled, work.run
    built = handled is not None and handled.built
    # Where Heat keeps tags they tell whose a stack is; where it keeps none, that we have asked for
    # it will do.
    sent = handled is not None and (
        handled.uncertain or (run is not None and run.asked)
    )
    keeps_tags = context.sightings.keeps_tags or (
        run is not None and run.tagged
    )
    recorded = (
        built
        or (sent and not keeps_tags)
        or _is_known_by_id(work, stack)
        or _is_of_a_record(context, work, stack)
    )
    grounds = stacks.Grounds(recorded, tries=work.tries)
    if handled is not None:
        grounds = replace(
            grounds,
            force=handled.force,
            asked=handled.asked,
            used_by=handled.used_by,
        )
    if stack is not None and stack.failed:
        said = rendering.policies_of(work.job.params)
        grounds = replace(grounds, on_failure=said.on_failure)
    return stacks.next_request(work.job.action, work.job.id, stack, grounds)


def _is_known_by_id(work: Work, stack: stacks.Stack | None) -> bool:
    """Whether it is the very stack that this job, or one before it, was given by Heat."""
    known = {
        record.stack
        for record in (work.handled, work.run)
        if record is not None
    }
    return stack is not None and stack.id in known


def _is_of_a_record(
    context: WorkerContext, work: Work, stack: stacks.Stack | None
) -> bool:
    """Whether a stack without our tags is the one of the resource's stack record.

    An earlier job may have built it after this one was made.
    """
    if stack is None or stack.is_owned:
        return False
    key = context.keys.below(context.keys.stacks, work.job.ref)
    record = read_if_there(context.store.get(key), StackRecord.from_json)
    if record is None or not record.live:
        return False
    return (record.tenant, record.name) == (work.job.tenant, stack.name)


def _ask_delete(context: WorkerContext, attempt: Attempt) -> Run | JobOutcome:
    work, job = attempt.work, attempt.work.job
    stack = _find(context, job)
    match _next_request(context, work, stack):
        case stacks.Delete(stack):
            attempt.asked = True
            context.heat.delete(job.tenant, stack)
            return _waiting(context, stack.id)
        case stacks.Asked(stack):
            return _waiting(context, stack.id)
        case _ if stack is None and not _is_certainly_absent(work):
            raise NotSeenYet(
                "Heat shows no stack, and may have taken a request for one a moment"
                " ago; asking once more"
            )
        case _ if stack is not None and _may_be_ours(work, stack):
            return _doubtful(job, stack)
        case _:
            return JobOutcome("DELETE_COMPLETE", live=False)


def _may_be_ours(work: Work, stack: stacks.Stack) -> bool:
    """Whether a request of ours may have made a stack that says of nobody that it is his: somebody
    else's update takes our tags away."""
    handled = work.handled
    return handled is not None and handled.uncertain and not stack.is_owned


def _doubtful(job: Job, stack: stacks.Stack) -> JobOutcome:
    """A stack that is not certainly ours is not deleted, and not forgotten either."""
    why = (
        f"Heat has a stack {stack.name} without our tags, and a request of ours may have"
        " made it"
    )
    count(EventName.STACK_LEFT)
    log.warning(
        "Stack left unchanged",
        extra={"event": "stack_left", "job": job.id, "reason": why},
    )
    again = f"orchestrator retry {job.ref.type} {job.ref.id} --force"
    return effects.not_built(
        job.action, f"{why}; delete it in Heat, or let us delete it: {again}"
    )


def _is_nowhere(work: Work) -> bool:
    """Whether a deletion names no project in which a stack could be, and no request was ever sent:
    all its versions were refused."""
    handled = work.handled
    if handled is not None and (handled.built or handled.uncertain):
        return False
    return bool(tenant_fault(work.job.body))


def _is_certainly_absent(work: Work) -> bool:
    """Whether one answer is enough: what Heat shows is not older than a request that may have
    reached it."""
    handled, run = work.handled, work.run
    if handled is None or handled.built or not handled.uncertain:
        return True
    return run is not None and (run.absent or run.asked)
