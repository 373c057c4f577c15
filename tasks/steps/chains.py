"""The steps of a chain, one after the other; and several chains side by side."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent import futures
from dataclasses import replace

from orchestrator.core.refs import RunId
from orchestrator.core.texts import cut
from orchestrator.errors import (
    TemporaryError,
)
from orchestrator.events import EventName, count

from ..context import WorkerContext
from ..together import GatheringStore, pool
from .work import TaskFunction, Work

log = logging.getLogger(__name__)


def run_chain(
    context: WorkerContext, steps: Iterable[TaskFunction], run: RunId
) -> None:
    """The steps of a chain, one after the other, for as long as one follows from the other."""
    work: Work | None = None
    begun = context.clock.monotonic()
    context.claims.begin_chain()
    try:
        with context.heat.within(context.chain_time):
            for step in steps:
                if context.traces is not None:
                    step = context.traces.timed(step)
                work = step(context, run, work)
                if work is None:
                    return
    except BaseException as error:
        # etcd may or may not have what we wrote, a time limit struck, or we have a defect: a claim
        # that is there is handed back, and the bridge sends the job again.
        context.claims.give_up(_why(error))
        raise
    finally:
        context.claims.end_chain()
        context.metrics.chain.observe(context.clock.monotonic() - begun)


def _why(error: BaseException) -> str:
    """Why a chain ended early, without what a defect's own words might quote."""
    if isinstance(error, TemporaryError):
        return str(error)
    return f"the worker gave up: {type(error).__name__}"


def run_chains(
    context: WorkerContext, steps: Sequence[TaskFunction], runs: Sequence[RunId]
) -> None:
    """The same chain for all the jobs of a message, side by side.

    :raises Exception: what one of them raised, once all are over.
    """
    store = GatheringStore(context.store, len(runs))
    beside = replace(context, store=store)

    def run_one(run: RunId) -> None:
        with store.chain():
            run_chain(beside, steps, run)

    chains = {pool().submit(run_one, run): run for run in runs}
    try:
        left = wait_for(chains, context.time_limit)
    except BaseException as limit:
        # Celery's time limit struck. The threads go on, but ask nothing more of Heat or etcd.
        store.stop()
        context.claims.give_up_all(_why(limit))
        raise
    if left:
        store.stop()
        late = [chains[chain] for chain in left]
        context.claims.give_up_late(
            [context.keys.runs + run for run in late],
            "the worker took too long over it",
        )
        count(EventName.TASK_TIMEOUT)
        log.error(
            "Chains exceeded their time limit",
            extra={"event": "task_timeout", "runs": late},
        )
    _raise_first(
        {
            run: error
            for chain, run in chains.items()
            if chain.done() and (error := chain.exception())
        }
    )


def _raise_first(ended: Mapping[RunId, BaseException]) -> None:
    """Tell how chains ended early, and raise what one of them raised."""
    for run, early in ended.items():
        # Of a defect, only the kind is told here; the traceback is told of the one that is raised.
        count(EventName.CHAIN_ENDED_EARLY)
        log.warning(
            "Chain ended early",
            extra={
                "event": "chain_ended_early",
                "run": run,
                "reason": cut(_why(early)),
            },
        )
    # Bugs before temporary errors: only the one that is raised is told in full.
    for early in sorted(
        ended.values(), key=lambda early: isinstance(early, TemporaryError)
    ):
        raise early


def wait_for(
    chains: Iterable[futures.Future[None]], seconds: float
) -> Iterable[futures.Future[None]]:
    """Wait until all have ended, or their time is over. Those that have not ended."""
    return futures.wait(chains, timeout=seconds).not_done
