"""What a worker tells of polls that do not go as usual.

A poll that takes long makes that known, so that there is no second one meanwhile: a Heat that hangs
on its list would otherwise get one more request with each interval, and each would hold something
of the workers.
A poll that fails makes that known too, so that the bridge waits longer and longer before the next
one, whichever process makes it.
A Heat that is well answers before anything is written.
"""

from __future__ import annotations

import logging

from orchestrator.clients.store import KeyValue, revision_of
from orchestrator.core import effects
from orchestrator.core.records import Cause, Poll
from orchestrator.errors import HeatRefused, TemporaryError
from orchestrator.events import EventName, count

from .context import WorkerContext
from .leaving import Undo
from .retries import cause_of

log = logging.getLogger(__name__)


def goes_on(context: WorkerContext, tenant: str) -> Undo:
    """Tell the bridge that a poll of the tenant goes on. The record hangs on this process's lease.

    :returns: what takes it back when the poll is over.
    """
    key = context.keys.poll(tenant)
    found = context.store.get(key)
    before = _read(found)
    if before.under_way:
        # Another poll of the tenant goes on, and has told so.
        return lambda: None
    transaction = effects.poll_goes_on(key, before, revision_of(found))
    revision = context.store.commit(transaction, context.claims.lease())
    if not revision:
        return lambda: None

    def over() -> None:
        context.store.commit(effects.poll_is_over(key, revision))

    return over


def failed(
    context: WorkerContext, tenant: str, error: TemporaryError | HeatRefused
) -> None:
    """Tell the bridge that a poll failed, and why."""
    key = context.keys.poll(tenant)
    found = context.store.get(key)
    before = _read(found)
    # A list that Heat refuses with a document of its own is refused to our user.
    cause = Cause.PROJECT
    if isinstance(error, TemporaryError):
        cause = cause_of(error)
    failures = before.failures + 1
    since = before.since or round(context.clock.now(), 3)
    poll = Poll(
        failures=failures, cause=cause.value, reason=str(error), since=since
    )
    count(EventName.POLL_FAILED)
    fields = {
        "event": "poll_failed",
        "tenant": tenant,
        "failures": failures,
        "reason": poll.reason,
    }
    log.warning("Poll of a tenant's stacks failed", extra=fields)
    context.store.commit(effects.poll_failed(key, poll, revision_of(found)))


def answered(context: WorkerContext, tenant: str) -> None:
    """Heat has answered a poll: what was told of failures is over."""
    key = context.keys.poll(tenant)
    found = context.store.get(key)
    if found is not None and _read(found).failures:
        context.store.commit(effects.poll_is_over(key, found.revision))


def _read(found: KeyValue | None) -> Poll:
    """What is known of the polls before; nothing where the record cannot be read."""
    try:
        if found:
            return Poll.from_json(found.value)
        return Poll()
    except (ValueError, KeyError, TypeError, AttributeError):
        return Poll()
