"""One conductor: claims jobs from the board and runs their flows.

Without persistence a flow is built here and lives in memory; with it the flow comes from its logbook and
every change of state is saved. One slot makes a blocking conductor, as Octavia has it; more slots make a
non-blocking one. Claims expire, and are kept alive while their jobs run: without, TaskFlow's claims on
Redis stay for ever when their owner dies.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
from typing import Any

import futurist
import work
from taskflow import engines
from taskflow.conductors.backends.impl_blocking import BlockingConductor
from taskflow.conductors.backends.impl_executor import ExecutorConductor
from taskflow.conductors.backends.impl_nonblocking import NonBlockingConductor
from taskflow.engines.base import Engine
from taskflow.jobs.base import Job, JobBoard
from taskflow.listeners.base import Listener

EXPIRY = 30.0
"""Seconds until a claim expires that nobody extends: Octavia's ``jobboard_expiration_time``."""

_ENGINES: dict[str, dict[str, Any]] = {
    "parallel": {"engine": "parallel", "engine_options": {"max_workers": 5}},
    "serial": {"engine": "serial"},
}
"""The first is Octavia's default; the engine makes itself an executor of so many threads for each job."""


class ConductorClaims:
    """The claims of this process, extended every quarter of their time when half of it is over."""

    def __init__(self, board: JobBoard) -> None:
        self._claim = board.claim
        self._held: dict[str, Job] = {}
        board.claim = (
            self.claim
        )  # the one way to give a Redis board's claims an expiry; Octavia's as well
        threading.Thread(target=self._extend, daemon=True).start()

    def watch(self, conductor: ExecutorConductor) -> None:
        """Learn from *conductor* which jobs are over."""
        for event in ("job_consumed", "job_abandoned"):
            conductor.notifier.register(event, self._over)

    def claim(self, job: Job, who: str) -> None:
        self._claim(job, who, expiry=EXPIRY)
        self._held[job.uuid] = job

    def _over(self, _event: str, details: dict[str, Any]) -> None:
        self._held.pop(details["job"].uuid, None)

    def _extend(self) -> None:
        rhythm = threading.Event()
        while not rhythm.wait(EXPIRY / 4):
            for job in list(self._held.values()):
                if 0 < job.expires_in() < EXPIRY / 2:
                    job.extend_expiry(EXPIRY)


class Extending(Listener):
    """Octavia's: every change of a job's state extends its claim."""

    def __init__(self, engine: Engine, job: Job) -> None:
        super().__init__(engine)
        self._job = job

    def _receive(self, state: str, details: dict[str, Any]) -> None:  # called with these names
        self._job.extend_expiry(EXPIRY)

    _task_receiver = _flow_receiver = _retry_receiver = _receive


class InMemory(NonBlockingConductor):
    """A conductor for jobs without logbook."""

    def _engine_from_job(self, job: Job) -> Engine:
        return engines.load(work.flow(), store=job.details["store"], engine="serial")

    def _listeners_from_job(self, _job: Job, _engine: Engine) -> list[Listener]:
        return []


class _AsOctavia:
    """Of a conductor: its jobs' claims are extended by Octavia's listener."""

    def _listeners_from_job(self, job: Job, engine: Engine) -> list[Listener]:
        return [*super()._listeners_from_job(job, engine), Extending(engine, job)]  # type: ignore[misc]


class Blocking(_AsOctavia, BlockingConductor):
    """Octavia's conductor: one job at a time."""


class Durable(_AsOctavia, NonBlockingConductor):
    """Octavia's layout with more than one job at a time."""


def conductor(name: str, engine: str, slots: int, claims: int, wait: float) -> ExecutorConductor:
    persistence = work.persistence()
    board = work.board(persistence)
    held = ConductorClaims(board)
    made: ExecutorConductor
    if persistence is None:
        made = InMemory(
            name,
            board,
            wait_timeout=wait,
            max_simultaneous_jobs=claims,
            executor_factory=lambda: futurist.ThreadPoolExecutor(max_workers=slots),
        )
    elif slots > 1:
        made = Durable(
            name,
            board,
            persistence,
            wait_timeout=wait,
            max_simultaneous_jobs=slots,
            **_ENGINES[engine],
        )
    else:
        made = Blocking(name, board, persistence, **_ENGINES[engine])
    held.watch(made)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--engine",
        choices=_ENGINES,
        default="serial",
        help="with persistence: what runs a job's tasks",
    )
    parser.add_argument("--slots", type=int, required=True, help="jobs that run at once")
    parser.add_argument(
        "--claims", type=int, required=True, help="jobs that are claimed at once, running or next"
    )
    parser.add_argument(
        "--wait", type=float, default=0.5, help="seconds until the board is looked at again"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGTERM}
    )  # of every thread: the main one waits for it
    running = conductor(
        f"conductor-{os.getpid()}", options.engine, options.slots, options.claims, options.wait
    )
    threading.Thread(target=running.run, daemon=True).start()
    print("conducting", flush=True)
    signal.sigwait({signal.SIGTERM})
    running.stop()
    running.wait(3)


if __name__ == "__main__":
    main()
