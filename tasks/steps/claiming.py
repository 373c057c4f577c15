"""The claim: one transaction that makes a job ours and reads what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.clients.places import locate
from orchestrator.clients.store import KeyValue, Lease
from orchestrator.clients.types import Now
from orchestrator.core import effects
from orchestrator.core.jobs import job_ref
from orchestrator.core.keys import Keys, job_of
from orchestrator.core.records import Run, Step
from orchestrator.core.refs import RunId
from orchestrator.core.transactions import Transaction
from orchestrator.errors import (
    StoreUnavailable,
    TemporaryError,
)

from ..context import WorkerContext
from ..pausing import ReadPauses
from .work import Work, about, as_found


@dataclass(frozen=True, slots=True)
class _Claiming:
    """A claim: *claimed* is the run that it writes on the *lease*, *now* and *pauses* are the types
    and the pauses that it goes by, and compares."""

    run_id: RunId
    claimed: Run
    lease: Lease
    now: Now
    pauses: ReadPauses

    @property
    def keys(self) -> Keys:
        return self.now.keys

    def transaction(
        self, claimed: Run, basis: effects.Basis | None = None
    ) -> Transaction:
        """:param basis: of a job that was had before."""
        written = effects.claim(self.keys, self.run_id, claimed, basis)
        return written.also(
            self.now.unchanged, self.pauses.unchanged(self.keys)
        )


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
        known = pauses.allowing(context.store, now.keys, run_id)
        if known is None:
            return None
        ours = _Claiming(run_id, claimed, lease, now, known)
        revision, found = _try_to_claim(context, ours)
        stands = bool(revision) or known == pauses.refresh(
            context.store, now.keys
        )
        if stands and now.is_of(found[now.keys.schema_list]):
            return _claimed(context, ours, revision, found)
        context.claims.begin_chain()  # The claim was refused, so there is none.
    raise TemporaryError(
        "the schema list or the pauses change all the time; the job is sent again"
    )


def _try_to_claim(
    context: WorkerContext, ours: _Claiming
) -> tuple[int, Mapping[str, KeyValue | None]]:
    """Claim a job that no worker has had before, by the schema list that we know, and read what it
    is about."""
    keys, ref = ours.keys, job_ref(job_of(ours.run_id))
    locate(context.store, keys, [ref])
    wanted = [*about(keys, ours.run_id), keys.schema_list]
    if usual := context.usual_template(ref.type):
        wanted.append(keys.template(usual))
    context.claims.claiming(ours.lease)
    revision, found = context.store.commit_and_read(
        ours.transaction(ours.claimed), wanted, ours.lease
    )
    return revision, {key: found.get(key) for key in wanted}


def _claimed(
    context: WorkerContext,
    ours: _Claiming,
    revision: int,
    found: Mapping[str, KeyValue | None],
) -> Work | None:
    """What follows: the job is ours; or it was had before and is to be tried again; or it is not to
    be had.

    :param revision: that of our claim; 0 when it was refused.
    """
    if revision:
        _note(context, ours, ours.claimed, revision)
    work = as_found(ours.keys, ours.run_id, found)
    if work is None:
        return None
    if revision:
        return replace(work, read=found)
    if work.run is None or work.run.step is not Step.RETRY:
        return None
    claimed = replace(
        work.run, step=Step.CLAIMED, delay=0.0, due=0.0, reason="", cause=""
    )
    again = ours.transaction(claimed, work.basis)
    revision = context.store.commit(again, ours.lease)
    if not revision:
        return None
    _note(context, ours, claimed, revision)
    return work.at(revision, claimed)


def _note(
    context: WorkerContext, ours: _Claiming, claimed: Run, revision: int
) -> None:
    """The claim is written."""
    key = ours.keys.runs + ours.run_id
    context.claims.claimed(ours.lease, key, claimed.to_json(), revision)


def still_ours(context: WorkerContext, lease: Lease) -> None:
    """Asked directly before each request leaves: a worker that was paused past its lease must not
    make it, for another has taken the job.
    What remains is a pause between this line and the socket.

    :raises StoreUnavailable: the claim is not certainly ours any more.
    """
    if not (lease.alive and context.claims.holds()):
        raise StoreUnavailable("the claim was lost before Heat was asked")
