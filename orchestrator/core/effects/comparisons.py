"""What the writes of several transactions rely on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..jobs import Job
from ..keys import Keys
from ..refs import JobId, Ref
from ..resources import Wanted
from ..transactions import (
    Require,
    absent,
    exists,
    unchanged,
)


def on_this_write(keys: Keys, ref: Ref, wanted: Wanted | None) -> Require:
    """The decision was made on this very write of the config (or on there being none)."""
    key = keys.below(keys.config, ref)
    if wanted is None:
        return absent(key)
    return unchanged(key, wanted.revision)


def untaken(
    keys: Keys, jobs: Sequence[Job], retried: Mapping[JobId, int]
) -> Iterator[Require]:
    """No worker has these jobs: none had, or the one that had could not put it to Heat."""
    for job in jobs:
        yield exists(keys.job(job.id))
        yield unchanged(keys.run(job.tenant, job.id), retried.get(job.id, 0))


def records_of(
    keys: Keys, jobs: Sequence[Job], retried: Mapping[JobId, int]
) -> Iterator[str]:
    """The keys of these jobs, and of their runs where they have one."""
    for job in jobs:
        yield keys.job(job.id)
        if job.id in retried:
            yield keys.run(job.tenant, job.id)
