"""The second step: whether Heat is done already."""

from __future__ import annotations

import logging
from dataclasses import replace

from orchestrator import faults
from orchestrator.core import effects, rendering, stacks
from orchestrator.core.jobs import Action
from orchestrator.core.keys import run_id
from orchestrator.core.records import Run, Step
from orchestrator.core.refs import RunId
from orchestrator.core.texts import cut
from orchestrator.errors import (
    HeatRefused,
    TemporaryError,
)
from orchestrator.events import EventName, count

from ..context import WorkerContext
from .ending import veil_of
from .work import Work, load

log = logging.getLogger(__name__)


def wait(
    context: WorkerContext, run_id: RunId, work: Work | None = None
) -> Work | None:
    """Whether Heat is done already, so that the chain goes on.
    If not, the tenant's polls take over.

    To poll one stack costs Heat as much as a request.
    So only types are polled that Heat has been seen to finish at once.
    """
    claimed = work is not None
    work = work or load(context, run_id)
    if work is None or work.run is None or work.run.step is not Step.IN_HEAT:
        return None
    # The first answer of a process also tells whether this Heat keeps tags.
    if not (
        claimed and context.sightings.keeps_tags
    ) or context.prompt.worth_polling(work.job.ref.type):
        try:
            verdict = judge(context, work, show(context, work))
        except (TemporaryError, HeatRefused) as error:
            tell_poll_failed(context, work, error)
        else:
            done = not isinstance(
                verdict, stacks.InProgress
            ) and not is_unresolved(work.run, verdict)
            context.prompt.note(work.job.ref.type, done)
            if done:
                return replace(work, verdict=verdict)
    if claimed:
        run = replace(work.run, tagged=context.sightings.keeps_tags)
        context.store.commit(
            effects.move(context.keys, work.job, work.basis, run, work.built)
        )
        faults.reach("worker-after-asked")
    return None


def tell_poll_failed(
    context: WorkerContext, work: Work, error: TemporaryError | HeatRefused
) -> None:
    reason = cut(veil_of(context, work).over(str(error)))
    count(EventName.STACK_POLL_FAILED)
    fields = {
        "event": "stack_poll_failed",
        "run": run_id(work.job.tenant, work.job.id),
        "reason": reason,
    }
    log.info("Heat cannot be polled now", extra=fields)


def judge(
    context: WorkerContext, work: Work, stack: stacks.Stack | None
) -> stacks.Verdict:
    run, job = work.run, work.job
    assert run is not None
    keeps_tags = context.sightings.keeps_tags or run.tagged
    sight = stacks.Sight(
        overdue=run.overdue, keeps_tags=keeps_tags, tries=work.tries
    )
    verdict = stacks.judge(job.action, job.id, stack, sight)
    at_rest = stack is None or not stack.in_progress
    if (
        isinstance(verdict, stacks.InProgress)
        and at_rest
        and context.sightings.settled(f"{job.id} {run.asked_at}", stack)
    ):
        verdict = stacks.judge(
            job.action, job.id, stack, replace(sight, settled=True)
        )
    return verdict


_POLLS_FOR_OUTPUTS = 3
"""How often a stack is polled some of whose outputs Heat cannot compute: a service that Heat asks
may be away for a moment."""


def is_unresolved(run: Run, verdict: stacks.Verdict) -> bool:
    """Whether another poll may bring an output that Heat could not compute."""
    if (
        not isinstance(verdict, stacks.Complete)
        or verdict.stack is None
        or run.unresolved >= _POLLS_FOR_OUTPUTS
    ):
        return False
    return any(map(rendering.output_error, verdict.stack.outputs or ()))


def show(context: WorkerContext, work: Work) -> stacks.Stack | None:
    assert work.run is not None
    outputs = work.job.action is not Action.DELETE
    return context.noted(
        context.heat.show(
            work.job.tenant,
            f"{work.job.stack_name}/{work.run.stack}",
            outputs=outputs,
        )
    )
