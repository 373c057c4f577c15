"""The unfinished jobs and who waits for whom (CONTRACT section 5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from .jobs import Job
from .refs import JobId, Ref


class JobGraph:
    """The unfinished jobs and who waits for whom."""

    def __init__(self) -> None:
        self._jobs: dict[JobId, Job] = {}
        self.jobs: Mapping[JobId, Job] = self._jobs
        """The unfinished jobs."""
        self._on: defaultdict[Ref, dict[JobId, None]] = defaultdict(dict)
        self._about: defaultdict[Ref, dict[JobId, None]] = defaultdict(dict)
        self._waits_for: dict[JobId, set[JobId]] = {}
        self._dependents: defaultdict[JobId, dict[JobId, None]] = defaultdict(
            dict
        )

    def add(self, job: Job, unfinished: Iterable[JobId] | None = None) -> None:
        """Remember an unfinished job.

        :param unfinished: those of its dependencies that still count; default: those known here.
        """
        self._jobs[job.id] = job
        self._on[job.ref][job.id] = None
        for ref in job.references():
            self._about[ref][job.id] = None
        if unfinished is None:
            unfinished = (d for d in job.dependency if d in self.jobs)
        waits = set(unfinished)
        self._waits_for[job.id] = waits
        for dependency in waits:
            self._dependents[dependency][job.id] = None

    def amend(self, job: Job) -> None:
        """An unfinished job is about another stack; who waits for whom stays as it is."""
        self._jobs[job.id] = job

    def replace(self, old: JobId, new: JobId) -> None:
        """*new* stands in for *old*, which is superseded: whatever waited for *old* waits for
        *new*."""
        dependents = self._dependents.pop(old, {})
        for dependent in dependents:
            self._waits_for[dependent].discard(old)
            self._waits_for[dependent].add(new)
            self._dependents[new][dependent] = None
        for _ in self.remove(old):
            raise AssertionError("its dependents were moved to the new job")

    def overtake(self, old: JobId, new: JobId) -> None:
        """*new*, which waited for *old*, goes ahead in its place: whatever else waited for *old*
        waits for *new*."""
        self._waits_for[new].discard(old)
        self._dependents[old].pop(new, None)
        self.replace(old, new)

    def behind(self, job_ids: Iterable[JobId]) -> set[JobId]:
        """Every job that waits for one of these, directly or not."""
        found: set[JobId] = set()
        queue = list(job_ids)
        while queue:
            fresh = self._dependents.get(queue.pop(), {}).keys() - found
            found |= fresh
            queue += fresh
        return found

    def remove(self, job_id: JobId) -> Iterator[Job]:
        """Forget a job that is over; yields the jobs that waited for it, in the order of their
        making."""
        job = self._jobs.pop(job_id, None)
        if job is not None:
            self._drop(self._on, job.ref, job_id)
            for ref in job.references():
                self._drop(self._about, ref, job_id)
            for dependency in self._waits_for.pop(job_id, ()):
                self._dependents[dependency].pop(job_id, None)
        for dependent in self._dependents.pop(job_id, ()):
            self._waits_for[dependent].discard(job_id)
            yield self.jobs[dependent]

    @staticmethod
    def _drop(
        index: defaultdict[Ref, dict[JobId, None]], ref: Ref, job_id: JobId
    ) -> None:
        index[ref].pop(job_id, None)
        if not index[ref]:
            del index[ref]

    def on(self, ref: Ref) -> list[Job]:
        """The unfinished jobs on a resource."""
        return [self.jobs[j] for j in self._on.get(ref, ())]

    def about(self, ref: Ref) -> list[Job]:
        """The unfinished jobs whose params refer to a resource."""
        return [self.jobs[j] for j in self._about.get(ref, ())]

    def waits_for(self, job_id: JobId) -> frozenset[JobId]:
        """The unfinished jobs that have to end before this one starts."""
        return frozenset(self._waits_for.get(job_id, ()))

    def dependency_of(
        self, ref: Ref, references: Iterable[Ref]
    ) -> tuple[JobId, ...]:
        """CONTRACT section 5: every unfinished job on this resource, on one that its params refer
        to, or whose own params refer to it."""
        found: dict[JobId, None] = dict(self._on.get(ref, ()))
        for other in references:
            found |= self._on.get(other, {})
        found |= self._about.get(ref, {})
        return tuple(found)
