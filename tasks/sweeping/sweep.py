"""One sweep, from the message to the records."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from orchestrator.core.drift import SweepOrder
from orchestrator.core.records import Sweep
from orchestrator.core.refs import Json
from orchestrator.errors import HeatRefused, StoreUnavailable, TemporaryError
from orchestrator.events import EventName, count

from ..context import WorkerContext
from . import listing, strangers, writing
from .deep import compare_deeper, depth_of
from .reading import SweepGround, read

log = logging.getLogger(__name__)


def sweep(context: WorkerContext, message: Mapping[str, Json]) -> int:
    """Compare the stacks of a tenant with our records.

    :param message: a :class:`~orchestrator.core.drift.SweepOrder`.
    :returns: how many resources differ.
    """
    ground = read(context, SweepOrder.from_message(message))
    try:
        with context.heat.within(context.chain_time):
            return _compare(context, ground)
    except (TemporaryError, HeatRefused) as error:
        if isinstance(error, StoreUnavailable):
            raise
        _failed(context, ground, error)
        return 0


def _compare(context: WorkerContext, ground: SweepGround) -> int:
    tenant = ground.order.tenant
    listed = listing.read_list(context, tenant)
    found = {
        **listing.compare(context, ground, listed),
        **strangers.find_unknown(context, ground, listed),
    }
    deeper = compare_deeper(context, ground, listed, found)
    drifted = writing.write(context, ground, {**found, **deeper.found})
    writing.forget(context, ground, found)
    done = Sweep(
        at=round(context.clock.now(), 3),
        revision=ground.revision,
        newest=writing.newest(listed.stacks, ground.before.newest),
        stacks=len(ground.resources),
        drifted=drifted,
        requests=listed.requests + deeper.requests,
        depth=depth_of(ground, deeper, found),
        cursor=deeper.cursor,
        not_compared=deeper.not_compared,
    )
    writing.end(context, ground, done)
    return drifted


def _failed(
    context: WorkerContext,
    ground: SweepGround,
    error: TemporaryError | HeatRefused,
) -> None:
    """Heat did not answer. What was found before stays."""
    tenant = ground.order.tenant
    count(EventName.SWEEP_FAILED)
    fields = {"event": "sweep_failed", "tenant": tenant, "reason": str(error)}
    log.warning("Stacks not compared with Heat", extra=fields)
    at = round(context.clock.now(), 3)
    writing.end(
        context, ground, replace(ground.before, at=at, reason=str(error))
    )
