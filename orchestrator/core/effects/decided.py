"""Transactions of the bridge: what was decided about one resource."""

from __future__ import annotations

from collections.abc import Iterator

from .. import records
from ..keys import Keys
from ..planning import Clean, Hold, Refuse, Report, Start
from ..refs import Ref
from ..transactions import (
    Require,
    Transaction,
    absent,
    unchanged,
)
from .comparisons import on_this_write, records_of, untaken


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


def clean(keys: Keys, ref: Ref, decision: Clean) -> Transaction:
    """Everything of a resource whose config is gone."""
    folders = (
        keys.state,
        keys.monitoring,
        keys.stacks,
        keys.job_states,
        keys.handled,
        keys.held,
        keys.failed,
        keys.built,
        keys.health,
    )
    return Transaction(
        requires=(
            on_this_write(keys, ref, None),
            *untaken(keys, decision.jobs, decision.retried),
        ),
        deletes=(
            *(keys.below(folder, ref) for folder in folders),
            *records_of(keys, decision.jobs, decision.retried),
        ),
    )
