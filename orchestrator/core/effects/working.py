"""Transactions of the workers: a job is taken, moves on, and is found by a poll."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..jobs import Job, job_ref
from ..keys import Keys, job_of
from ..records import Built, Poll, Run
from ..refs import RunId
from ..transactions import (
    Require,
    Transaction,
    absent,
    exists,
    unchanged,
)


@dataclass(frozen=True, slots=True)
class Basis:
    """The revisions that a worker's writes on one job rely on.

    *job* is that of the job record, *run* that of the run (0: there is none yet), *incarnation* the
    create revision of the config that the job was made of (0: there was none).
    """

    job: int
    run: int
    incarnation: int


def claim(
    keys: Keys, run_id: RunId, run: Run, basis: Basis | None = None
) -> Transaction:
    """Take a job: the run hangs on the worker's lease until Heat has answered.

    :param basis: what was read of the job.
        Without it, only a job is taken that is there and that no worker has had before: about such
        a one nothing needs to be known.
    """
    job, key = job_of(run_id), keys.runs + run_id
    free = (exists(keys.job(job)), absent(key))
    if basis is not None:
        free = (unchanged(keys.job(job), basis.job), unchanged(key, basis.run))
    return Transaction(
        requires=free,
        puts={
            key: run.to_json(),
            keys.below(keys.job_states, job_ref(job)): "{}",
        },
        leased=frozenset({key}),
    )


def move(
    keys: Keys, job: Job, basis: Basis, run: Run, built: Built | None = None
) -> Transaction:
    """The run's next step, if it is still where we left it.

    :param built: what the request was made of that Heat has just taken.
    """
    key = keys.run(job.tenant, job.id)
    puts = {key: run.to_json()}
    if built is not None:
        puts[keys.below(keys.built, job.ref)] = built.to_json()
    return Transaction(
        requires=(
            unchanged(keys.job(job.id), basis.job),
            unchanged(key, basis.run),
        ),
        puts=puts,
    )


def still_ours(keys: Keys, job: Job, basis: Basis) -> tuple[Require, ...]:
    return (
        unchanged(keys.job(job.id), basis.job),
        unchanged(keys.run(job.tenant, job.id), basis.run),
    )


def mark_ended(runs: Sequence[tuple[Run, str, int]]) -> Transaction:
    """Runs that a poll found ended, about to be recorded. Each as (run, key, revision)."""
    return Transaction(
        requires=tuple(unchanged(key, revision) for _, key, revision in runs),
        puts={key: run.to_json() for run, key, _ in runs},
    )


def poll_goes_on(key: str, before: Poll, revision: int) -> Transaction:
    """A tenant's Heat takes long over a poll: no other is to be sent, as long as the worker that
    waits lives.

    :param before: what is known of the polls before, with its *revision*; 0 when there is no
        record.
    """
    poll = replace(before, under_way=True)
    return Transaction(
        (unchanged(key, revision),),
        {key: poll.to_json()},
        leased=frozenset({key}),
    )


def poll_failed(key: str, poll: Poll, revision: int) -> Transaction:
    """A poll failed, once more. The record outlives the worker.

    :param revision: of the record that it replaces; 0 when there is none.
    """
    return Transaction((unchanged(key, revision),), {key: poll.to_json()})


def poll_is_over(key: str, revision: int) -> Transaction:
    """A poll was answered, or nothing is left to poll for."""
    return Transaction(requires=(unchanged(key, revision),), deletes=(key,))
