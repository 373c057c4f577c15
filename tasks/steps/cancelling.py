"""An operation that a person wants to end: Heat is asked to cancel it."""

from __future__ import annotations

import logging
from dataclasses import replace

from orchestrator.core import effects
from orchestrator.core.records import Step
from orchestrator.core.stacks import Stack
from orchestrator.errors import (
    HeatRefused,
    StackMissing,
    StoreUnavailable,
    TemporaryError,
)
from orchestrator.events import EventName, count

from ..context import WorkerContext
from .waiting import show, tell_poll_failed
from .work import Work

log = logging.getLogger(__name__)


def cancel(context: WorkerContext, work: Work) -> None:
    """Ask Heat to end the operation, once. The polls find its end.

    While Heat does not answer, the run stays where it is, and the bridge has it recorded once more.
    """
    assert work.run is not None
    try:
        stack = show(context, work)
        if stack is not None and _can_be_cancelled(stack):
            context.heat.cancel(work.job.tenant, stack)
    except StoreUnavailable:
        raise
    except TemporaryError as error:
        tell_poll_failed(context, work, error)
        return
    except (HeatRefused, StackMissing) as error:
        count(EventName.CANCEL_REFUSED)
        fields = {"event": "cancel_refused", "job": work.job.id}
        log.warning(
            "Heat does not cancel the operation",
            extra={**fields, "reason": str(error)},
        )
    run = replace(work.run, step=Step.IN_HEAT, cancel_asked=True)
    context.store.commit(effects.move(context.keys, work.job, work.basis, run))


def _can_be_cancelled(stack: Stack) -> bool:
    return stack.in_progress and stack.action in ("CREATE", "UPDATE")
