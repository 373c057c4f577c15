"""A poll of a tenant's stacks that takes long makes that known, so that there is no second one meanwhile.

A Heat that hangs on its list would otherwise get one more request with each interval, and each would hold something of the
workers. A Heat that is well answers before anything is written.
"""

from __future__ import annotations

import logging

from orchestrator.core import effects

from .context import WorkerContext
from .leaving import Undo

log = logging.getLogger(__name__)


def goes_on(context: WorkerContext, tenant: str) -> Undo:
    """Tell the bridge that a poll of the tenant goes on. The record hangs on this process's lease.

    :returns: what takes it back when the poll is over.
    """
    key = context.keys.poll(tenant)
    revision = context.store.commit(effects.poll_goes_on(key), context.claims.lease())
    if not revision:
        return lambda: None  # Another poll of the tenant goes on, and has told so.

    def over() -> None:
        context.store.commit(effects.poll_is_over(key, revision))

    return over
