"""When each version of each resource got how far, as a watch saw it."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.jobs import job_ref
from orchestrator.core.records import Step
from orchestrator.core.refs import JobId, Ref


@dataclass(slots=True)
class Course:
    """When one version of one resource got how far, in seconds of this process's monotonic
    clock."""

    ref: Ref
    version: int
    wanted: float = 0.0
    """The config was written."""
    planned: float = 0.0
    """The bridge wrote the job."""
    asked: float = 0.0
    """A worker took the job to Heat."""
    built: float = 0.0
    """Heat was seen to be done."""
    stored: float = 0.0
    """The state was written."""
    reported: float = 0.0
    """The monitoring record followed."""


class Courses:
    """The courses of all resources, in the order of their configs."""

    def __init__(self) -> None:
        self._known: dict[tuple[Ref, int], Course] = {}

    def all(self) -> list[Course]:
        return list(self._known.values())

    def get(self, ref: Ref, version: int) -> Course | None:
        return self._known.get((ref, version))

    def _of(self, ref: Ref, version: int) -> Course:
        return self._known.setdefault((ref, version), Course(ref, version))

    def forget(self, ref: Ref) -> None:
        """The config is gone: a recreated id starts at version 1 again."""
        for known in [known for known in self._known if known[0] == ref]:
            del self._known[known]

    def written(self, ref: Ref, version: int, now: float) -> None:
        """The config of a version was written."""
        course = self._of(ref, version)
        course.wanted = course.wanted or now

    def made(self, job: JobId, now: float) -> None:
        """The bridge has made a job."""
        self._of(*_version_of(job)).planned = now

    def ran(self, job: JobId, step: Step, now: float) -> None:
        """A worker has moved a job on."""
        course = self._of(*_version_of(job))
        if step is Step.CLAIMED:
            course.asked = course.asked or now
        elif step in (Step.ENDED, Step.DONE):
            course.built = course.built or now

    def recorded(self, ref: Ref, now: float) -> None:
        """The stack record was written."""
        for course in self._known.values():
            if course.ref == ref and course.asked and not course.built:
                course.built = now

    def stored(self, ref: Ref, version: int, now: float) -> None:
        """The state of a version was written."""
        if course := self.get(ref, version):
            course.stored = now

    def reported(self, ref: Ref, version: int, now: float) -> None:
        """The monitoring record of a version was written."""
        if course := self.get(ref, version):
            course.reported = now


def _version_of(job: JobId) -> tuple[Ref, int]:
    """The resource and the version of a job, from its id alone."""
    return job_ref(job), int(job.rsplit(":", 2)[1])
