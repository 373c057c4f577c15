"""How a try ends: the outcome is written, or the job is to be tried again."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace

from orchestrator import faults
from orchestrator.core import confidential, effects, rendering
from orchestrator.core.effects import JobOutcome
from orchestrator.core.keys import run_id
from orchestrator.core.masking import Veil
from orchestrator.core.records import Run, Step
from orchestrator.core.refs import Json
from orchestrator.core.texts import cut
from orchestrator.core.transactions import Transaction
from orchestrator.errors import (
    BuildFailed,
    NotSeenYet,
    RendererUnavailable,
    StoreRefused,
    TemplateError,
    TemporaryError,
)
from orchestrator.events import EventName, count

from ..context import WorkerContext
from ..retries import cause_of, delay
from .inputs import read_inputs
from .work import Work, load

log = logging.getLogger(__name__)


def try_again(
    context: WorkerContext,
    work: Work,
    error: TemporaryError,
    *,
    attempt: int = 0,
) -> None:
    """Leave word that the bridge is to send the job again, and why. The chain ends here.

    :param attempt: how many temporary failures in a row this makes.
        Without it, Heat took the request and it came to nothing: that is counted apart, so that an
        outage does not use up the tries of a deletion.
    """
    run = _next_try(context, work, error, attempt)
    count(EventName.JOB_RETRY)
    fields = {"event": "job_retry", "job": work.job.id, "delay": run.delay}
    log.warning("Job retry scheduled", extra={**fields, "reason": run.reason})
    keys, job, basis = context.keys, work.job, work.basis
    if isinstance(error, BuildFailed):
        transaction = effects.fail_try(
            keys, job, basis, run, run.reason, work.failed
        )
    else:
        transaction = effects.move(keys, job, basis, run)
    context.store.commit(transaction)


def _next_try(
    context: WorkerContext, work: Work, error: TemporaryError, attempt: int
) -> Run:
    """The run of a job that is to be tried again."""
    before = work.run
    assert before is not None
    failures, retry, retries = before.failures, before.retry, before.retries
    if not attempt:
        failures += 1
    number = attempt or failures
    if isinstance(error, BuildFailed):
        number = retry = error.retry
        retries = error.retries
    seconds = delay(error, number, context.policies, context.chance)
    thoroughly = not isinstance(error, RendererUnavailable)
    return Run(
        Step.RETRY,
        attempt=attempt,
        failures=failures,
        retry=retry,
        retries=retries,
        delay=seconds,
        due=round(context.clock.now() + seconds, 3),
        reason=veil_of(context, work, thoroughly=thoroughly).over(str(error)),
        cause=cause_of(error).value,
        since=before.since,
        failing_since=before.failing_since or context.clock.now(),
        stack=before.stack,
        tagged=before.tagged,
        asked=before.asked,
        absent=before.absent or isinstance(error, NotSeenYet),
        abandoned=before.abandoned,
    )


def finish(
    context: WorkerContext, work: Work, ended: JobOutcome, *, ours: bool = False
) -> None:
    """Write how the job ended: without secrets, and no larger than etcd takes.

    :param ours: the error is in words of our own, which quote no value.

    An etcd with a lower limit than its default gets less of the outputs, in the end none.
    """
    veil = veil_of(context, work, thoroughly=bool(ended.error) and not ours)
    outputs = [_without_secret_error(output, veil) for output in ended.outputs]
    ended = replace(
        ended,
        error=veil.over(ended.error),
        reason=veil.over(ended.reason),
        outputs=outputs,
    )
    for most in (effects.LARGEST_OUTPUTS, effects.LARGEST_OUTPUTS // 8):
        with contextlib.suppress(StoreRefused):
            _write_end(context, work, effects.within_bounds(ended, most))
            return
    _write_end(context, work, effects.within_bounds(ended, 0))


def _without_secret_error(output: Json, veil: Veil) -> Json:
    """An output as Heat gave it; where Heat could not compute it, its words about that may quote
    anything."""
    error = rendering.output_error(output)
    if error:
        return {**output, "output_error": cut(veil.over(error))}
    return output


def _write_end(context: WorkerContext, work: Work, ended: JobOutcome) -> None:
    """Both halves of the end. A crash between them repeats the first, which changes nothing."""
    keys, job = context.keys, work.job
    if not context.store.commit(
        effects.end_stack(keys, job, work.basis, ended, work.built)
    ):
        return
    faults.reach("worker-after-stack")
    while not context.store.commit(_end_job(context, work, ended)):
        again = load(context, run_id(job.tenant, job.id))
        if again is None or again.basis.run != work.basis.run:
            return  # Somebody else has ended it, or will.
        work = again  # The config has gone, or come back, meanwhile.
    faults.reach("worker-after-end")
    count(EventName.JOB_DONE)
    fields = {"event": "job_done", "job": job.id, "status": ended.status}
    if ended.error:
        fields["reason"] = ended.error
        log.warning("Job ended", extra=fields)
    else:
        log.info("Job ended", extra=fields)


def _end_job(
    context: WorkerContext, work: Work, ended: JobOutcome
) -> Transaction:
    return effects.end_job(
        context.keys,
        work.job,
        work.basis,
        ended,
        config=work.config_there,
        earlier=work.failed,
        as_string=context.state_as_string,
        now=context.clock.now(),
    )


def veil_of(
    context: WorkerContext, work: Work, *, thoroughly: bool = True
) -> Veil:
    """What hides the secrets of a job in the words of Heat, which sometimes quotes them.

    :param thoroughly: also those that only the request shows: outputs of other stacks, and what the
        template declares hidden.
        It costs a reading of etcd, and a rendering.
    """
    if not thoroughly:
        return Veil(confidential.by_name(work.job))
    template = request = None
    with contextlib.suppress(TemplateError, RendererUnavailable):
        inputs = read_inputs(context, work, work.read)
        template = inputs.template
        if not inputs.absent:
            request = rendering.request(
                work.job, template, inputs.outputs, context.renderer.render
            )
    return Veil(confidential.of_job(work.job, template, request))
