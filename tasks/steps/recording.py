"""The third step: write the outcome."""

from __future__ import annotations

import logging
from dataclasses import replace

from orchestrator import faults
from orchestrator.core import effects, rendering, stacks
from orchestrator.core.effects import JobOutcome
from orchestrator.core.jobs import Action
from orchestrator.core.policies import OnFailure
from orchestrator.core.records import Step
from orchestrator.core.refs import RunId
from orchestrator.errors import (
    BuildFailed,
    DeletionFailed,
    HeatRefused,
    StackBusy,
    TemporaryError,
)
from orchestrator.events import EventName, count

from ..context import WorkerContext
from .cancelling import cancel
from .ending import finish, try_again
from .waiting import is_unresolved, judge, show, tell_poll_failed
from .work import Work, is_built, load

log = logging.getLogger(__name__)

_RETRIED = ("CREATE_FAILED", "UPDATE_FAILED")
"""The ends of our own operations that a template may have tried again."""


def record(
    context: WorkerContext, run_id: RunId, work: Work | None = None
) -> None:
    """Write how the job ended, if it has."""
    work = work or load(context, run_id)
    if (
        work is None
        or work.run is None
        or work.run.step not in (Step.IN_HEAT, Step.ENDED)
    ):
        return
    if work.run.cancelled and not work.run.cancel_asked:
        cancel(context, work)
        return
    verdict = work.verdict or _verdict(context, work)
    if verdict is None:
        _poll_again(context, work)
        return
    faults.reach("worker-before-end")
    if is_unresolved(work.run, verdict):
        count(EventName.OUTPUT_UNRESOLVED)
        log.info(
            "Heat could not compute an output, polling again",
            extra={"event": "output_unresolved", "job": work.job.id},
        )
        _poll_again(context, work, unresolved=work.run.unresolved + 1)
        return
    match verdict:
        case stacks.InProgress():
            _poll_again(context, work)
        case stacks.Lost(why):
            _request_lost(context, work, why)
        case stacks.Complete(built):
            finish(context, work, _ended(built))
        case stacks.StackFailed():
            _stack_failed(context, work, verdict)


def _verdict(context: WorkerContext, work: Work) -> stacks.Verdict | None:
    """How the operation stands; None when Heat cannot be asked now."""
    try:
        return judge(context, work, show(context, work))
    except (TemporaryError, HeatRefused) as failure:
        tell_poll_failed(context, work, failure)
        return None


def _cancelled(
    context: WorkerContext, work: Work, stack: stacks.Stack | None, error: str
) -> None:
    """The operation came to nothing, and a person has asked for that: it is not tried again."""
    assert work.run is not None
    told = f"{work.run.cancelled}; {error}"
    if stack is None:
        finish(context, work, effects.not_built(work.job.action, told))
    else:
        finish(context, work, _ended(stack, told))


def _request_lost(context: WorkerContext, work: Work, why: str) -> None:
    assert work.run is not None
    if work.run.cancelled:
        told = f"{work.run.cancelled}; {why}"
        live = work.run.asked or is_built(work)
        ended = effects.not_built(work.job.action, told, live=live)
        finish(context, work, ended)
        return
    count(EventName.REQUEST_LOST)
    fields = {"event": "request_lost", "job": work.job.id, "reason": why}
    log.warning("Heat dropped the request", extra=fields)
    try_again(context, work, StackBusy(f"{why}; asking again"))


def _stack_failed(
    context: WorkerContext, work: Work, verdict: stacks.StackFailed
) -> None:
    """Heat ended the operation in a failure: tried again where that is nobody's fault, or else
    reported."""
    assert work.run is not None
    action = work.job.action
    error = stacks.advice(
        action,
        work.job.ref,
        _told(work, verdict.error),
        config_there=work.config_there,
    )
    if work.run.cancelled:
        _cancelled(context, work, verdict.stack, error)
        return
    # A deletion that no config stands for has nobody who could ask again: it is never given up.
    asked_again = (
        work.run.failures + 1 < stacks.DELETE_ATTEMPTS or not work.config_there
    )
    if action is Action.DELETE and asked_again:
        try_again(context, work, DeletionFailed(error))
    elif verdict.outside and not work.run.overdue:
        try_again(context, work, StackBusy(f"{verdict.error}; asking again"))
    elif retries := _retries_left(work, verdict):
        retry = work.failed_tries + 1
        failed = BuildFailed(verdict.error, retry, retries)
        try_again(context, work, failed)
    elif verdict.stack is None:
        finish(context, work, effects.not_built(action, error))
    else:
        finish(context, work, _ended(verdict.stack, error))


def _retries_left(work: Work, verdict: stacks.StackFailed) -> int:
    """How many retries the template allows, if one of them is left; else 0.

    What an operator has to decide is not tried again: a template that holds failed stacks, an
    operation of somebody else, and one that Heat does not end. Nor is what nobody wants any more.
    """
    assert work.run is not None
    stack = verdict.stack
    if stack is None or stack.status not in _RETRIED:
        return 0
    if work.run.overdue or not work.config_there:
        return 0
    said = rendering.policies_of(work.job.params)
    if said.on_failure is OnFailure.HOLD or work.failed_tries >= said.retries:
        return 0
    return said.retries


def _told(work: Work, error: str) -> str:
    """How Heat failed the job, with the number of tries where there was more than one."""
    if not work.failed_tries:
        return error
    return f"{error} (the last of {work.failed_tries + 1} tries)"


def _ended(stack: stacks.Stack | None, error: str = "") -> JobOutcome:
    if stack is None:
        return JobOutcome("DELETE_COMPLETE", live=False)
    return JobOutcome(
        stack.status,
        stack.outputs or (),
        stack.reason,
        error,
        updated=stack.updated,
    )


def _poll_again(
    context: WorkerContext, work: Work, *, unresolved: int = 0
) -> None:
    """Not done after all: back to where the tenant's polls find it."""
    assert work.run is not None
    if work.run.step is Step.ENDED or unresolved:
        run = replace(
            work.run,
            step=Step.IN_HEAT,
            unresolved=unresolved or work.run.unresolved,
        )
        context.store.commit(
            effects.move(context.keys, work.job, work.basis, run)
        )
