"""Transactions of the bridge: what was decided about one resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .. import records
from ..jobs import Job
from ..keys import Keys
from ..planning import Clean, Hold, Refuse, Report, Start
from ..refs import JobId, Ref
from ..resources import Wanted
from ..transactions import (
    Require,
    Transaction,
    absent,
    unchanged,
)
from .comparisons import on_this_write, records_of, untaken

_NO_RUNS: Mapping[JobId, int] = {}


def report(keys: Keys, decision: Report, as_string: bool) -> Transaction:
    """``READ_COMPLETE``, and nothing else to remember."""
    ref = decision.wanted.ref
    state = records.StateRecord.read_complete(decision.wanted.version)
    return Transaction(
        requires=(on_this_write(keys, ref, decision.wanted),),
        puts={keys.below(keys.state, ref): state.to_json(as_string)},
        deletes=(keys.below(keys.held, ref), keys.below(keys.failed, ref)),
    )


def start(keys: Keys, decision: Start) -> Transaction:
    """The job record, and what was handled: together, so that no config makes two jobs. Superseded
    jobs go in the same breath, provided that no worker has taken them meanwhile."""
    ref = decision.job.ref
    return Transaction(
        requires=(
            on_this_write(keys, ref, decision.wanted),
            absent(keys.job(decision.job.id)),
            *untaken(keys, decision.superseded, decision.retried),
            *_of_rollout(keys, decision),
        ),
        puts={
            keys.job(decision.job.id): decision.job.to_json(),
            keys.below(keys.handled, ref): decision.handled.to_json(),
        },
        deletes=(
            keys.below(keys.held, ref),
            *records_of(keys, decision.superseded, decision.retried),
        ),
    )


def _of_rollout(keys: Keys, decision: Start) -> Iterator[Require]:
    """A roll-out that has taken the resource is as it was: so a pause is immediate."""
    if pin := decision.pin:
        yield unchanged(keys.rollout(pin.record), pin.revision)


def refuse(keys: Keys, decision: Refuse, as_string: bool) -> Transaction:
    """A ``…_FAILED`` state without a job."""
    ref, failed = decision.wanted.ref, decision.failed
    status = records.failed_status(failed.action)
    state = records.StateRecord.of(
        failed.action, status, (), decision.wanted.version, failed.error
    )
    return Transaction(
        requires=(on_this_write(keys, ref, decision.wanted),),
        puts={
            keys.below(keys.state, ref): state.to_json(as_string),
            keys.below(keys.handled, ref): decision.handled.to_json(),
            keys.below(keys.failed, ref): failed.to_json(),
        },
        deletes=(keys.below(keys.held, ref),),
    )


def hold(keys: Keys, ref: Ref, decision: Hold) -> Transaction:
    """Make visible what a config waits for."""
    return Transaction(
        requires=(on_this_write(keys, ref, decision.wanted),),
        puts={keys.below(keys.held, ref): decision.held.to_json()},
    )


def _folders(keys: Keys) -> tuple[str, ...]:
    """The folders of a resource's records."""
    return (
        keys.state,
        keys.monitoring,
        keys.stacks,
        keys.job_states,
        keys.handled,
        keys.held,
        keys.failed,
        keys.built,
        keys.drift,
        keys.updates,
        keys.health,
    )


def clean(keys: Keys, ref: Ref, decision: Clean) -> Transaction:
    """Everything of a resource whose config is gone."""
    return Transaction(
        requires=(
            on_this_write(keys, ref, None),
            *untaken(keys, decision.jobs, decision.retried),
        ),
        deletes=(
            *(keys.below(folder, ref) for folder in _folders(keys)),
            *records_of(keys, decision.jobs, decision.retried),
        ),
    )


def adopt(
    keys: Keys,
    wanted: Wanted,
    stack: records.StackRecord,
    jobs: Sequence[Job] = (),
    runs: Mapping[JobId, int] = _NO_RUNS,
    handled: records.Handled | None = None,
) -> Transaction:
    """A stack that is in Heat already is the resource's from now on.

    :param jobs: the unfinished jobs on the resource, which no worker has: as they are about that
        stack.
    :param runs: the revisions of their runs.
    :param handled: what is to be remembered of the config then; None: nothing.
    """
    ref = wanted.ref
    puts = {keys.below(keys.stacks, ref): stack.to_json()}
    puts |= {keys.job(job.id): job.to_json() for job in jobs}
    if handled is not None:
        puts[keys.below(keys.handled, ref)] = handled.to_json()
    return Transaction(
        (on_this_write(keys, ref, wanted), *untaken(keys, jobs, runs)), puts
    )


def leave(
    keys: Keys,
    ref: Ref,
    config: int,
    jobs: Sequence[Job],
    runs: Mapping[JobId, int],
    tombstone: records.Tombstone,
) -> Transaction:
    """Everything of a resource whose stack stays in Heat as it is, and its config.

    :param config: the revision of the config; 0: it is gone.
    :param jobs: the unfinished jobs on it.
    :param runs: the revisions of their runs.
    """
    key = keys.below(keys.config, ref)
    return Transaction(
        requires=(unchanged(key, config), *untaken(keys, jobs, runs)),
        puts={keys.below(keys.left, ref): tombstone.to_json()},
        deletes=(
            key,
            *(keys.below(folder, ref) for folder in _folders(keys)),
            *records_of(keys, jobs, runs),
        ),
    )
