"""The spans of the workers: each step of a job, and in it each request to Heat.

Which version a step is about is known once its job is read. So requests are kept until the step is
over. A worker that is killed loses the spans of that step; the next one writes its own into the
same trace, for nobody has to hand the trace on.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.clock import Clock
from orchestrator.core.keys import Keys
from orchestrator.core.refs import RunId
from orchestrator.tracing.identity import of_version

if TYPE_CHECKING:
    from orchestrator.tracing.spans import Tracer

    from .context import WorkerContext
    from .steps.work import TaskFunction, Work


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request to Heat."""

    method: str
    status: int
    seconds: float
    at: float
    """When it was over, by the monotonic clock."""


@dataclass(slots=True)
class _Step:
    """A step that this thread carries out."""

    work: Work | None = None
    asked: list[_Asked] = field(default_factory=list)


class WorkerTraces:
    """Writes the spans of a worker's process."""

    def __init__(self, tracer: Tracer, clock: Clock) -> None:
        self._tracer, self._clock = tracer, clock
        self._here = threading.local()

    def about(self, work: Work | None) -> None:
        """The step of this thread is about that job."""
        step: _Step | None = getattr(self._here, "step", None)
        if step is not None and work is not None:
            step.work = work

    def note_request(self, method: str, status: int, seconds: float) -> None:
        """This thread has asked Heat.

        :param status: of HTTP; 0: there was no answer.
        """
        step: _Step | None = getattr(self._here, "step", None)
        if step is not None:
            now = self._clock.monotonic()
            step.asked.append(_Asked(method, status, seconds, now))

    def timed(self, step: TaskFunction) -> TaskFunction:
        """The same step, with its spans written."""

        def carry_out(
            context: WorkerContext, run: RunId, work: Work | None
        ) -> Work | None:
            here = self._here.step = _Step(work)
            begun, failed = self._clock.monotonic(), "gave up"
            try:
                after = step(context, run, work)
                failed = ""
                return after
            finally:
                self._here.step = None
                taken = self._clock.monotonic() - begun
                name = getattr(step, "__name__", "step")
                self._write(context.keys, name, taken, here, failed)

        return carry_out

    def _write(
        self, keys: Keys, name: str, taken: float, step: _Step, failed: str
    ) -> None:
        if step.work is None:
            return  # The job was over, or another worker has it.
        job, now = step.work.job, self._clock.monotonic()
        key = keys.below(keys.config, job.ref)
        incarnation = step.work.basis.incarnation
        version = of_version(key, incarnation, job.version, job.ref)
        about = {"orchestrator.job": job.id}
        span = self._tracer.write(version, name, taken, about, failed=failed)
        for asked in step.asked:
            status = {"http.response.status_code": asked.status}
            lost = "" if 0 < asked.status < 500 else "no answer"
            self._tracer.write(
                version,
                f"heat {asked.method}",
                asked.seconds,
                status,
                within=span,
                ago=now - asked.at,
                failed=lost,
            )

    def close(self) -> None:
        self._tracer.close()
