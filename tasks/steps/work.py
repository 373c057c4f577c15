"""A job as a step finds it in etcd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from orchestrator.clients.places import locate
from orchestrator.clients.store import KeyValue, revision_of
from orchestrator.core import records, stacks
from orchestrator.core.effects import Basis
from orchestrator.core.jobs import Job, job_ref
from orchestrator.core.keys import Keys, job_of
from orchestrator.core.records import Built, Failed, Handled, Run
from orchestrator.core.refs import RunId
from orchestrator.errors import (
    TemporaryError,
)

from ..context import WorkerContext

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """A job as it stands in etcd, and the revisions that were read.

    *verdict* is what a poll of Heat just said, where there was one; *read* everything that was read
    with the claim, by key; *built* what the request was made of, in the chain that made it.
    """

    job: Job
    basis: Basis
    run: Run | None
    handled: Handled | None
    config_there: bool
    failed: Failed | None
    verdict: stacks.Verdict | None = None
    read: Mapping[str, KeyValue | None] = field(default_factory=dict)
    built: Built | None = None

    @property
    def tries(self) -> int:
        """How often Heat has taken a request of the job and failed it."""
        if self.run:
            return max(self.run.failures, self.failed_tries)
        return self.failed_tries

    @property
    def failed_tries(self) -> int:
        """How often Heat has ended the job's operation in a failure, and the template had it
        tried again."""
        if self.failed and self.failed.job == self.job.id:
            return self.failed.tries
        return 0

    def at(self, revision: int, run: Run) -> Work:
        """The same after we wrote the run."""
        return replace(self, run=run, basis=replace(self.basis, run=revision))


TaskFunction: TypeAlias = Callable[
    [WorkerContext, RunId, Work | None], Work | None
]
"""The work of one task.
It is handed what the one before it in the chain knows, None when it begins with a message, and
answers with what the next one is to know, None when the chain ends here."""


def load(context: WorkerContext, run_id: RunId) -> Work | None:
    """Everything a step needs to know about a job, in one reading; None when the job is over."""
    for now in context.types.as_of(job_ref(job_of(run_id))):
        keys = now.keys
        locate(context.store, keys, [job_ref(job_of(run_id))])
        found = context.store.get_many([*about(keys, run_id), keys.schema_list])
        if now.is_of(found.get(keys.schema_list)):
            work = as_found(keys, run_id, found)
            if context.traces is not None:
                context.traces.about(work)
            return work
    raise TemporaryError(
        "the schema list changes all the time; the job is sent again"
    )


def about(keys: Keys, run_id: RunId) -> tuple[str, ...]:
    """The keys that say where a job stands: its record, its run, and of its resource the config,
    what was handled and what failed."""
    job = job_of(run_id)
    ref = job_ref(job)
    return (
        keys.job(job),
        keys.runs + run_id,
        *(
            keys.below(folder, ref)
            for folder in (keys.config, keys.handled, keys.failed)
        ),
    )


def as_found(
    keys: Keys, run_id: RunId, found: Mapping[str, KeyValue | None]
) -> Work | None:
    record, run, config, handled_kv, failed = map(
        found.get, about(keys, run_id)
    )
    if record is None:
        return None
    job = read_record(record, Job.from_json)
    handled = read_if_there(handled_kv, Handled.from_json)
    incarnation = 0
    if handled:
        incarnation = handled.incarnation
    outlived = handled is not None and job.id in handled.outlived
    return Work(
        job=job,
        basis=Basis(record.revision, revision_of(run), incarnation),
        run=read_if_there(run, Run.from_json),
        handled=handled,
        config_there=config is not None
        and config.created == incarnation
        and not outlived,
        failed=read_if_there(failed, Failed.from_json),
    )


def read_record(kv: KeyValue, parse: Callable[[bytes], T]) -> T:
    """:raises RecordUnreadable: naming the key."""
    return records.read(kv.key, kv.value, parse)


def read_if_there(kv: KeyValue | None, parse: Callable[[bytes], T]) -> T | None:
    """The same of a key that need not be there."""
    if kv is None:
        return None
    return records.read(kv.key, kv.value, parse)


def is_built(work: Work) -> bool:
    """Whether our records told of a stack when the job was made."""
    return work.handled is not None and work.handled.built
