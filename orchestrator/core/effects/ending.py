"""Transactions of the workers: how a job ends, and the records of its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .. import records
from ..jobs import Action, Job
from ..keys import Keys
from ..records import Built, Failed, Run, Step
from ..refs import Json, Ref
from ..transactions import (
    Transaction,
    same_incarnation,
)
from .working import Basis, move, still_ours


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a job ended.

    *status* is the stack's (``UPDATE_FAILED``), *outputs* and *reason* as Heat gave them.
    *error* is empty when all is well, *live* says whether Heat has a stack now; *recorded* whether
    the stack record is written at all: it is not when Heat refused to make one.
    *asked*: Heat may have taken a request.
    *kept*: the job only followed an output, and came to nothing: the version stays complete, and
    nothing is reported.
    *updated*: when the stack was updated last, as Heat says; empty when it says nothing.
    """

    status: str
    outputs: Sequence[Json] = ()
    reason: str = ""
    error: str = ""
    live: bool = True
    recorded: bool = True
    root: Ref | None = None
    asked: bool = True
    kept: bool = False
    updated: str = ""


def not_built(
    action: Action,
    error: str,
    *,
    root: Ref | None = None,
    live: bool = False,
    asked: bool = True,
) -> JobOutcome:
    """The end of a job for which Heat was not asked, or refused."""
    return JobOutcome(
        records.failed_status(action),
        error=error,
        live=live,
        recorded=False,
        root=root,
        asked=asked,
    )


def end_stack(
    keys: Keys,
    job: Job,
    basis: Basis,
    ended: JobOutcome,
    built: Built | None = None,
) -> Transaction:
    """First half of the end: the stack record, then the filled job state (CONTRACT section 7, 1 and
    2). With them goes Heat's time of the update, by which sweeps tell ours from a later one.

    :param built: what the request was made of, unless that is written already.
    """
    puts: dict[str, str] = {}
    deletes: tuple[str, ...] = ()
    if ended.recorded:
        puts = _stack_records(keys, job, ended, built)
        if _is_gone(job, ended):
            deletes = (
                keys.below(keys.built, job.ref),
                keys.below(keys.updates, job.ref),
            )
    job_state = records.JobState(ended.status, tuple(ended.outputs))
    puts[keys.below(keys.job_states, job.ref)] = job_state.to_json()
    return Transaction(still_ours(keys, job, basis), puts, deletes)


def _stack_records(
    keys: Keys, job: Job, ended: JobOutcome, built: Built | None
) -> dict[str, str]:
    """The records of a stack that the end of a job writes, by key."""
    stack = records.StackRecord.of(
        job.ref,
        job.tenant,
        ended.status,
        ended.outputs,
        ended.reason,
        job.stack_name,
    )
    puts = {keys.below(keys.stacks, job.ref): stack.to_json()}
    if _is_gone(job, ended):
        return puts
    if built is not None:
        puts[keys.below(keys.built, job.ref)] = built.to_json()
    if ended.updated:
        updated = records.StackUpdate(job.id, ended.updated)
        puts[keys.below(keys.updates, job.ref)] = updated.to_json()
    return puts


def _is_gone(job: Job, ended: JobOutcome) -> bool:
    return job.action is Action.DELETE and not ended.live


def end_job(
    keys: Keys,
    job: Job,
    basis: Basis,
    ended: JobOutcome,
    *,
    config: bool,
    earlier: Failed | None = None,
    as_string: bool = False,
    now: float = 0.0,
) -> Transaction:
    """Second half: the state, and the job is over (CONTRACT section 7, 3 and 4).

    :param config: whether the config that the job was made of is still there. Only then is a state
        written, and only if that still holds in the transaction.
    :param earlier: the failure on record, to count attempts.
    :param now: seconds since the epoch, for the record of a failure.
    """
    puts = {keys.run(job.tenant, job.id): _done(job, ended).to_json()}
    deletes = [keys.below(keys.job_states, job.ref), keys.job(job.id)]
    requires = still_ours(keys, job, basis)
    if ended.error and not ended.kept:
        puts |= _failure(keys, job, ended, earlier, now)
    elif not ended.error:
        deletes.append(keys.below(keys.failed, job.ref))
    if config and not ended.kept:
        puts[keys.below(keys.state, job.ref)] = _state(job, ended, as_string)
        there = keys.below(keys.config, job.ref)
        requires += (same_incarnation(there, basis.incarnation),)
    return Transaction(requires, puts, tuple(deletes))


def _state(job: Job, ended: JobOutcome, as_string: bool) -> str:
    """The state record."""
    state = records.StateRecord.of(
        job.action, ended.status, ended.outputs, job.version, ended.error
    )
    return state.to_json(as_string)


def _failure(
    keys: Keys, job: Job, ended: JobOutcome, earlier: Failed | None, now: float
) -> dict[str, str]:
    """The record of a failure, by its key."""
    failed = _failed(job, ended, earlier, now)
    return {keys.below(keys.failed, job.ref): failed.to_json()}


def fail_try(
    keys: Keys,
    job: Job,
    basis: Basis,
    run: Run,
    error: str,
    earlier: Failed | None,
) -> Transaction:
    """Heat has failed the job's stack, and the job is tried again.

    The tries are counted beside the run, which vanishes with a worker that dies.

    :param error: how Heat failed it.
    :param earlier: the failure on record, to count on from.
    """
    outcome = not_built(job.action, error)
    failed = _failed(job, outcome, earlier, run.failing_since)
    counted = replace(failed, job=job.id, tries=run.retry)
    moved = move(keys, job, basis, run)
    key = keys.below(keys.failed, job.ref)
    return replace(moved, puts={**moved.puts, key: counted.to_json()})


def _done(job: Job, ended: JobOutcome) -> Run:
    """The run of a job that is over."""
    root = ended.root
    if ended.error and root is None:
        root = job.ref
    monitored = any(map(records.is_monitoring_link, ended.outputs))
    return Run(
        Step.DONE,
        complete=not ended.error,
        live=ended.live,
        monitored=monitored,
        reason=ended.error,
        root=root,
        asked=ended.asked,
        kept=ended.kept,
    )


def _failed(
    job: Job, ended: JobOutcome, earlier: Failed | None, now: float
) -> Failed:
    """How the version failed, counted, and since when."""
    root = ended.root or job.ref
    failed = Failed(job.version, job.action, ended.error, root)
    failed = failed.dated(now, earlier)
    if earlier is None or earlier.version != job.version:
        return failed
    return replace(failed, attempts=earlier.attempts + 1)
