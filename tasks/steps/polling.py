"""Polls: many stacks, one request."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator import faults
from orchestrator.clients.queue import GROUP
from orchestrator.core import effects
from orchestrator.core.records import Run, Step
from orchestrator.errors import (
    HeatRefused,
    RecordUnreadable,
    StoreUnavailable,
    TemporaryError,
)
from orchestrator.events import EventName, count

from .. import polls
from ..context import WorkerContext
from .chains import run_chains
from .recording import record
from .work import read_record

log = logging.getLogger(__name__)

_MARKS_PER_TRANSACTION = 50
"""Runs that a poll marks at once; etcd takes 128 comparisons."""


def poll(context: WorkerContext, tenant: str) -> int:
    """Find which of a tenant's stacks are done, with one list. How many were found."""
    waiting = list(_waiting_runs(context, tenant))
    if not waiting:
        return 0
    begun = context.clock.monotonic()
    try:
        busy = set(context.heat.in_progress(tenant))
    except (TemporaryError, HeatRefused) as error:
        if not isinstance(error, StoreUnavailable):
            polls.failed(context, tenant, error)
            return 0
        raise
    context.metrics.poll.observe(context.clock.monotonic() - begun)
    polls.answered(context, tenant)
    ended = [
        (replace(run, step=Step.ENDED), key, revision)
        for run, key, revision in waiting
        if run.stack not in busy
    ]
    marked = [context.keys.run_id(key) for key in _marked(context, ended)]
    if marked:
        faults.reach("worker-after-mark")
        here, *others = (
            marked[start : start + GROUP]
            for start in range(0, len(marked), GROUP)
        )
        try:
            for group in others:
                context.queue.record(group)
        finally:
            run_chains(context, (record,), here)
    return len(marked)


def _waiting_runs(
    context: WorkerContext, tenant: str
) -> Iterator[tuple[Run, str, int]]:
    """The runs of a tenant that Heat works on, each with its key and revision."""
    for kv in context.store.list(context.keys.tenant_runs(tenant))[1]:
        try:
            run = read_record(kv, Run.from_json)
        except RecordUnreadable as error:
            count(EventName.RECORD_UNREADABLE)
            log.error(
                "Record skipped",
                extra={
                    "event": "record_unreadable",
                    "record": kv.key,
                    "reason": str(error),
                },
            )
            continue
        if run.step is Step.IN_HEAT:
            yield run, kv.key, kv.revision


def _marked(
    context: WorkerContext, ended: Sequence[tuple[Run, str, int]]
) -> Iterator[str]:
    """The keys of the runs that we, and no other poll, found ended."""
    for start in range(0, len(ended), _MARKS_PER_TRANSACTION):
        batch = ended[start : start + _MARKS_PER_TRANSACTION]
        if context.store.commit(effects.mark_ended(batch)):
            yield from (key for _, key, _ in batch)
        elif len(batch) > 1:  # Somebody was faster with one of them.
            for single in batch:
                yield from _marked(context, [single])
