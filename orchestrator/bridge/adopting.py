"""Stacks that are in Heat already and become a resource's, because a person says so."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from ..core import effects
from ..core.jobs import Action, Job
from ..core.keys import Keys
from ..core.records import RetryAsked, StackRecord, Step
from ..core.refs import JobId, Ref
from ..core.resources import Wanted
from ..core.world import Stack, World
from ..events import EventName, count
from .leader import Leadership

log = logging.getLogger(__name__)

NOT_WANTED = "not done: it is not in the configuration, or is to be deleted"
WORKED_ON = (
    "not done: a worker or Heat has a job on it; wait for it, or cancel it"
)
MEANWHILE = "not done: the config or a job changed meanwhile; ask again"


class Adopting:
    """Carries out ``adopt``, up to the job that updates the stack."""

    def __init__(
        self, world: World, keys: Keys, leadership: Leadership
    ) -> None:
        self._world, self._keys = world, keys
        self._leadership = leadership

    def adopt(self, ref: Ref, asked: RetryAsked) -> str:
        """Write the stack record of a stack that is there, and its name into the jobs that wait.

        :returns: why it is not done; empty when it is, now or before.
        """
        wanted = self._world.wanted.get(ref)
        if wanted is None or wanted.marked_for_deletion:
            return NOT_WANTED
        if self._world.is_live(ref):
            return self._known(ref, asked.adopt)
        jobs = self._world.graph.on(ref)
        if any(map(self._is_in_the_way, jobs)):
            return WORKED_ON
        return self._write(wanted, jobs, asked)

    def has_job(self, ref: Ref) -> bool:
        """Whether an unfinished job will update the stack."""
        return bool(self._world.graph.on(ref))

    def _known(self, ref: Ref, name: str) -> str:
        """What follows where there is a stack record already."""
        known = self._world.adopted_name(ref) or ref.stack_name
        if known == name:
            return ""  # The leader before has written it.
        return f"not done: it has a stack, {known}; release or delete it first"

    def _is_in_the_way(self, job: Job) -> bool:
        """Whether Heat may have taken a request of a job, or a worker has it."""
        seen = self._world.runs.get(job.id)
        if job.action is Action.DELETE:
            return True
        return seen is not None and (seen.step is not Step.RETRY or seen.asked)

    def _write(
        self, wanted: Wanted, jobs: Sequence[Job], asked: RetryAsked
    ) -> str:
        ref, name = wanted.ref, asked.adopt
        adopted = "" if name == ref.stack_name else name
        renamed = [replace(job, adopted=adopted) for job in jobs]
        handled = self._world.handled.get(ref)
        if handled is not None and jobs:
            handled = replace(handled, built=True, force=asked.force)
        written = effects.adopt(
            self._keys,
            wanted,
            StackRecord.of(ref, wanted.tenant, asked.status, name=name),
            renamed,
            self._runs(jobs),
            handled,
        )
        if not self._leadership.commit(written):
            return MEANWHILE
        for job in renamed:
            self._world.graph.amend(job)
        self._world.set_handled(ref, handled)
        stack = Stack(asked.status, wanted.tenant, adopted=adopted)
        self._world.note_stack(ref, stack)
        _tell(ref, name)
        return ""

    def _runs(self, jobs: Sequence[Job]) -> dict[JobId, int]:
        """The revisions of the runs of those that have one."""
        runs = self._world.runs
        return {job.id: runs[job.id].revision for job in jobs if job.id in runs}


def _tell(ref: Ref, stack: str) -> None:
    count(EventName.ADOPTED)
    fields = {"event": "adopted", "resource": str(ref), "stack": stack}
    log.warning("Stack adopted", extra=fields)
