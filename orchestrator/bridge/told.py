"""What is known of a job that has ended, and what is told of one that never ran."""

from __future__ import annotations

import logging

from ..core.jobs import Job
from ..core.records import Failed, Handled
from ..core.refs import Ref
from ..events import EventName, count

log = logging.getLogger(__name__)


def tell_not_run(job: Job, failed: Failed) -> None:
    """Tell that a job has failed before a worker took it."""
    count(EventName.JOB_NOT_RUN)
    fields = {
        "event": "job_not_run",
        "job": job.id,
        "root": str(failed.root),
        "reason": failed.error,
    }
    log.warning("Job failed without running", extra=fields)


def version_of(job: Job | None, handled: Handled | None) -> int:
    """The version of a job that ended."""
    if job is not None:
        return job.version
    return handled.version if handled else 0


def references_of(job: Job | None, handled: Handled | None) -> frozenset[Ref]:
    """What a job that ended referred to."""
    if job is not None:
        return job.references()
    return handled.refs() if handled else frozenset()
