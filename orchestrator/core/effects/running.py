"""Transactions of the bridge: what becomes of jobs that no worker ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from .. import records
from ..jobs import Job
from ..keys import Keys
from ..records import Cause, Failed, Handled, Run, Step
from ..refs import JobId, Ref
from ..resources import Wanted
from ..transactions import (
    Transaction,
    absent,
    exists,
    unchanged,
)
from .comparisons import on_this_write, untaken


def remember(keys: Keys, ref: Ref, handled: Handled) -> Transaction:
    """What is remembered of a resource once its last job is over, which differs from what was
    remembered when the job was made."""
    return Transaction(puts={keys.below(keys.handled, ref): handled.to_json()})


def fail_dependents(
    keys: Keys,
    job: Job,
    wanted: Wanted | None,
    failed: Failed,
    as_string: bool,
    *,
    told: bool,
    handled: Handled | None = None,
) -> Transaction:
    """End a job that no worker will end: one that it waited for failed, or no worker survives it.

    :param told: whether a state is written: not when the config is gone or of a later incarnation.
    :param handled: what is to be remembered of the resource instead, if that changes.
    """
    ref = job.ref
    status = records.failed_status(job.action)
    puts = {}
    if told:
        state = records.StateRecord.of(
            job.action, status, (), job.version, failed.error
        )
        puts = {
            keys.below(keys.state, ref): state.to_json(as_string),
            keys.below(keys.failed, ref): failed.to_json(),
        }
    if handled is not None:
        puts[keys.below(keys.handled, ref)] = handled.to_json()
    return Transaction(
        requires=(exists(keys.job(job.id)), on_this_write(keys, ref, wanted)),
        puts=puts,
        deletes=(keys.job(job.id), keys.below(keys.job_states, ref)),
    )


def overtake(
    keys: Keys, deletion: Job, jobs: Sequence[Job], runs: Mapping[JobId, int]
) -> Transaction:
    """A deletion goes ahead of jobs on its resource that Heat does not end: nobody wants their
    stack any more.

    :param runs: the revisions of their runs.
    """
    return Transaction(
        requires=(exists(keys.job(deletion.id)), *untaken(keys, jobs, runs)),
        deletes=tuple(
            key
            for job in jobs
            for key in (keys.job(job.id), keys.run(job.tenant, job.id))
        ),
    )


def give_time_up(keys: Keys, job: Job, run: Run, revision: int) -> Transaction:
    """The time of a job is over: the worker that looks at it next says so.

    What Heat works on counts as ended, so that it is looked at now; what is to be tried again is
    tried for the last time.
    """
    step = run.step
    if run.step is Step.IN_HEAT:
        step = Step.ENDED
    key = keys.run(job.tenant, job.id)
    return Transaction(
        (unchanged(key, revision),),
        {key: replace(run, step=step, overdue=True).to_json()},
    )


def abandon(keys: Keys, job: Job, run: Run, revision: int) -> Transaction:
    """A person says that the project of a deletion is gone: the deletion is tried once more, at
    once, and then given up."""
    key = keys.run(job.tenant, job.id)
    return Transaction(
        (unchanged(key, revision),),
        {key: replace(run, abandoned=True, delay=0.0, due=0.0).to_json()},
    )


def drop_untaken(keys: Keys, job: Job, revision: int) -> Transaction:
    """The run of a job that no worker has, and that ends: it goes with the job.

    :param revision: of the run; 0: there is none.
    """
    key = keys.run(job.tenant, job.id)
    if not revision:
        return Transaction((absent(key),))
    return Transaction((unchanged(key, revision),), deletes=(key,))


def cancel(
    keys: Keys, job: Job, run: Run, revision: int, reason: str
) -> Transaction:
    """A person wants Heat to end an operation: the worker that gets the run next asks for it.

    :param reason: who wants it and why, for people.
    """
    key = keys.run(job.tenant, job.id)
    cancelled = replace(run, step=Step.ENDED, cancelled=reason)
    return Transaction((unchanged(key, revision),), {key: cancelled.to_json()})


def note_death(
    keys: Keys, job: Job, deaths: int, now: float = 0.0
) -> Transaction:
    """A worker has died over a job: it is to be sent again, and Heat may have taken a request of
    it.

    :param deaths: how many have died over it in a row by now.
    :param now: seconds since the epoch.
    """
    key = keys.run(job.tenant, job.id)
    run = Run(
        Step.RETRY,
        asked=True,
        deaths=deaths,
        cause=Cause.BUSY.value,
        reason="the worker died",
        failing_since=now,
    )
    return Transaction(
        (exists(keys.job(job.id)), absent(key)), {key: run.to_json()}
    )


def remove_runs(runs: Iterable[tuple[str, int]]) -> Transaction:
    """The runs whose outcome has been dealt with, as (key, revision)."""
    listed = tuple(runs)
    return Transaction(
        requires=tuple(unchanged(*run) for run in listed),
        deletes=tuple(key for key, _ in listed),
    )


def answer(key: str, revision: int, written: Mapping[str, str]) -> Transaction:
    """A request of a person has been dealt with: it goes, and its outcome is recorded.

    :param written: the record of the verb, by its key.
    """
    return Transaction((unchanged(key, revision),), written, (key,))
