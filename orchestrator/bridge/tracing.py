"""The spans of the bridge: the decision, what a job waits for, and Heat's work.

What a span is about is found in the world when it is over, so a new leader goes on with the traces
of the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.jobs import Job
from ..core.keys import Keys
from ..core.refs import JobId, Ref
from ..core.world import World
from ..metrics.shapes import ChangeSpan
from ..tracing.identity import VersionTrace, of_version

if TYPE_CHECKING:
    from ..tracing.spans import Tracer

_WORKERS = frozenset({ChangeSpan.ACCEPT, ChangeSpan.RECORD})
"""Workers write these themselves, in more detail."""


class BridgeTraces:
    """Writes the spans of a term."""

    def __init__(self, tracer: Tracer, world: World, keys: Keys) -> None:
        self._tracer, self._world, self._keys = tracer, world, keys

    def decided(self, ref: Ref, job: JobId | None, seconds: float) -> None:
        """The decision about a change is stored.

        :param job: the job that was made of it.
        """
        version = self._of(ref, job)
        if version is not None:
            about = {"orchestrator.job": job or ""}
            self._tracer.write(version, ChangeSpan.DECIDE, seconds, about)

    def passed(self, job: JobId, span: ChangeSpan, seconds: float) -> None:
        """A job has come a part of its way further."""
        known = self._world.graph.jobs.get(job)
        if span in _WORKERS or known is None:
            return
        version = self._of(known.ref, job)
        if version is not None:
            about = {"orchestrator.job": job}
            self._tracer.write(version, span, seconds, about)

    def over(
        self, ref: Ref, job: JobId | None, seconds: float, failed: str = ""
    ) -> None:
        """The state of a version is written.

        :param seconds: since the change; 0 if this leader has not seen it.
        :param failed: the kind of the failure.
        """
        version = self._of(ref, job)
        if version is not None:
            about = {"orchestrator.job": job or ""}
            self._tracer.write_root(version, seconds, about, failed)

    def _of(self, ref: Ref, job: JobId | None) -> VersionTrace | None:
        """The trace of a job's version, or of the wanted one."""
        world, key = self._world, self._keys.below(self._keys.config, ref)
        known: Job | None = None
        if job is not None:
            known = world.graph.jobs.get(job)
        handled, wanted = world.handled.get(ref), world.wanted.get(ref)
        if known is not None and handled is not None:
            incarnation = handled.incarnation
            return of_version(key, incarnation, known.version, ref)
        if wanted is not None:
            return of_version(key, wanted.incarnation, wanted.version, ref)
        return None
