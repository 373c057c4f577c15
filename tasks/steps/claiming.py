"""The claim: one transaction that makes a job ours and reads what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.clients.places import locate
from orchestrator.clients.store import KeyValue, Lease
from orchestrator.clients.types import Now
from orchestrator.core import effects
from orchestrator.core.jobs import job_ref
from orchestrator.core.keys import job_of
from orchestrator.core.records import Run, Step
from orchestrator.core.refs import RunId
from orchestrator.errors import (
    StoreUnavailable,
    TemporaryError,
)

from ..context import WorkerContext
from .work import Work, about, as_found


def claim(context: WorkerContext, run_id: RunId, lease: Lease) -> Work | None:
    """Make the job ours; None when it is not to be had, or paused.

    Nearly always it is a job that no worker has had before: it is claimed and read in one
    transaction.
    """
    claimed, pauses = (
        Run(Step.CLAIMED, since=context.clock.now()),
        context.pauses,
    )
    for now in context.types.as_of(job_ref(job_of(run_id))):
        if pauses.hold(context.store, now.keys, run_id):
            return None
        revision, found = _try_to_claim(context, now, run_id, claimed, lease)
        refused = not revision and pauses.refresh(context.store, now.keys)
        if now.is_of(found[now.keys.schema_list]) and not refused:
            return _claimed(
                context, now, run_id, claimed, revision, found, lease
            )
        context.claims.begin_chain()  # The claim was refused, so there is none.
    raise TemporaryError(
        "the schema list or the pauses change all the time; the job is sent again"
    )


def _try_to_claim(
    context: WorkerContext, now: Now, run_id: RunId, claimed: Run, lease: Lease
) -> tuple[int, Mapping[str, KeyValue | None]]:
    """Claim a job that no worker has had before, by the schema list that we know, and read what it
    is about."""
    keys, ref = now.keys, job_ref(job_of(run_id))
    locate(context.store, keys, [ref])
    wanted = [*about(keys, run_id), keys.schema_list]
    if usual := context.usual_template(ref.type):
        wanted.append(keys.template(usual))
    first = effects.claim(keys, run_id, claimed).also(
        now.unchanged, context.pauses.unchanged(keys)
    )
    context.claims.claiming(lease)
    revision, found = context.store.commit_and_read(first, wanted, lease)
    return revision, {key: found.get(key) for key in wanted}


def _claimed(
    context: WorkerContext,
    now: Now,
    run_id: RunId,
    claimed: Run,
    revision: int,
    found: Mapping[str, KeyValue | None],
    lease: Lease,
) -> Work | None:
    """What follows: the job is ours; or it was had before and is to be tried again; or it is not to
    be had.

    :param revision: that of our claim; 0 when it was refused.
    """
    keys = now.keys
    if revision:
        context.claims.claimed(
            lease, keys.runs + run_id, claimed.to_json(), revision
        )
    work = as_found(keys, run_id, found)
    if work is None:
        return None
    if revision:
        return replace(work, read=found)
    if work.run is None or work.run.step is not Step.RETRY:
        return None
    claimed = replace(
        work.run, step=Step.CLAIMED, delay=0.0, due=0.0, reason="", cause=""
    )
    again = effects.claim(keys, run_id, claimed, work.basis).also(
        now.unchanged, context.pauses.unchanged(keys)
    )
    revision = context.store.commit(again, lease)
    if not revision:
        return None
    context.claims.claimed(
        lease, keys.runs + run_id, claimed.to_json(), revision
    )
    return work.at(revision, claimed)


def still_ours(context: WorkerContext, lease: Lease) -> None:
    """Asked directly before each request leaves: a worker that was paused past its lease must not
    make it, for another has taken the job.
    What remains is a pause between this line and the socket.

    :raises StoreUnavailable: the claim is not certainly ours any more.
    """
    if not (lease.alive and context.claims.holds()):
        raise StoreUnavailable("the claim was lost before Heat was asked")
