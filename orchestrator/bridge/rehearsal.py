"""The bridge's own decisions, made on paper: nothing is written, nothing is sent.

A rehearsal is the reconciler with a leadership that performs nothing and notes everything. Jobs are
taken to succeed: it goes on as if each had ended well, so that what waits for them is decided too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..core import rendering
from ..core.facts import Entry, TemplateChanged
from ..core.forecast.journal import Journal, Ran
from ..core.jobs import Action, Job
from ..core.keys import Keys
from ..core.records import Failed, Run, Step
from ..core.refs import JobId, Json, Ref
from ..core.removals import BrakeLimits
from ..core.templates import TEMPLATE_TYPE, Template
from ..core.transactions import Transaction
from . import loading
from .leader import Leadership
from .outcomes import Outcomes
from .reconciling import Reconciler


class _OnPaper(Leadership):
    """A leadership that performs nothing: each transaction is noted, and counts as written."""

    def __init__(self, journal: Journal, revision: int) -> None:
        self._journal, self._revision = journal, revision

    def check(self) -> None:
        """Nobody else leads on paper."""

    def commit(self, transaction: Transaction) -> int:
        self._journal.note(transaction)
        self._revision += 1
        return self._revision


class Rehearsal:
    """What the bridge would do with a world, until nothing is left to do."""

    def __init__(
        self,
        loaded: loading.Loaded,
        keys: Keys,
        brake: BrakeLimits,
        outputs: Callable[[Ref], Mapping[str, Json]],
    ) -> None:
        """:param outputs: those of a stack by key, as its record has them."""
        self.world = loaded.world
        self.journal = Journal(keys)
        self._keys = keys
        self._leadership = _OnPaper(self.journal, loaded.revision)
        self._outputs_of = outputs
        self._built: set[Ref] = set()
        """What was built on paper: its outputs are taken to be there."""
        self._timers: list[tuple[Ref, bool]] = []
        self._wave = 0
        self._outcomes = Outcomes(
            self.world,
            keys,
            self._leadership,
            ready=_leave,
            dropped=_leave,
            later=self._later,
            as_string=False,
        )
        self._reconciler = Reconciler(
            self.world,
            keys,
            self._leadership,
            outcomes=self._outcomes,
            ready=_leave,
            later=self._later,
            patience=0.0,
            as_string=False,
            brake=brake,
        )
        self._take_in_ended(loaded)

    def settle(self) -> None:
        """Decide what is undecided."""
        self._reconciler.settle()

    def take_in(self, entries: Iterable[Entry]) -> None:
        """Take in writes below ``/config``, as a leader does that sees them on its watch."""
        for entry in entries:
            for fact in loading.take_in(self.world, self._keys, entry):
                if isinstance(fact, TemplateChanged):
                    self._template_changed(fact.id)

    def _template_changed(self, template_id: str) -> None:
        if isinstance(self.world.templates.get(template_id), Template):
            self._outcomes.repaired(Ref(TEMPLATE_TYPE, template_id))

    def play(self) -> None:
        """Go on until nothing follows any more: wave by wave, each job ends well.

        Only the jobs that were made on paper are played, and those that they wait for. What else is
        under way is left as it is: nothing of the plan depends on it. Waves are counted on from one
        call to the next.
        """
        self.settle()
        while True:
            ready = self._ready()
            if ready:
                self._wave += 1
                self._end(ready, self._wave)
            elif self._timers:
                self._let_time_pass()
            else:
                return
            self.settle()

    def _ready(self) -> list[Job]:
        """The jobs of the next wave."""
        graph = self.world.graph
        found: set[JobId] = set()
        queue = [job for job in self.journal.made if job in graph.jobs]
        while queue:
            job = queue.pop()
            if job not in found:
                found.add(job)
                queue += graph.waits_for(job)
        return [
            graph.jobs[job] for job in sorted(found) if not graph.waits_for(job)
        ]

    def _end(self, jobs: Iterable[Job], wave: int) -> None:
        for job in jobs:
            error, root = self._cannot_be_asked(job)
            if error:
                self.journal.refused[job.ref] = Failed(
                    job.version, job.action, error, root
                )
            elif job.id in self.journal.made:
                self.journal.ran.append(Ran(job, wave))
            stack = self.world.stacks.get(job.ref)
            built = job.action is not Action.DELETE
            run = Run(
                Step.DONE,
                complete=not error,
                live=built and (not error or self.world.is_live(job.ref)),
                monitored=stack is not None and stack.monitored,
                asked=not error,
                reason=error,
                root=root if error else None,
            )
            if built and not error:
                self._built.add(job.ref)
            else:
                self._built.discard(job.ref)
            ended = self._leadership.commit(Transaction())
            self._outcomes.ended(job.id, job.tenant, run, ended)

    def _cannot_be_asked(self, job: Job) -> tuple[str, Ref]:
        """Why a worker could not make the request of a job, and the resource at fault; empty when
        it could."""
        if job.action is Action.DELETE:
            return "", job.ref
        needed = [
            output
            for output in rendering.needed_outputs(job)
            if output.ref not in self._built
        ]
        given = {str(one.ref): self._recorded(one.ref) for one in needed}
        _, absent = rendering.pick_outputs(needed, given)
        if not absent:
            return "", job.ref
        output = min(absent, key=lambda one: (one.ref, one.key))
        error = rendering.needs_output(output, absent[output])
        return error, output.ref

    def _recorded(self, ref: Ref) -> Mapping[str, Json]:
        """The outputs of a stack that is there and that nobody has built in this rehearsal."""
        return self._outputs_of(ref) if self.world.is_live(ref) else {}

    def _let_time_pass(self) -> None:
        timers, self._timers = self._timers, []
        for ref, again in timers:
            if again:
                self.world.try_again(ref)
            self.world.touch(ref)

    def _later(self, seconds: float, ref: Ref, *, again: bool = False) -> None:
        self._timers.append((ref, again))

    def _take_in_ended(self, loaded: loading.Loaded) -> None:
        """Jobs that have ended, and whose end the leader has not dealt with yet."""
        for kv in sorted(loaded.runs, key=lambda kv: kv.revision):
            run = loading.read_run(kv)
            if run is not None and run.step is Step.DONE:
                job = self._keys.run_job(kv.key)
                tenant = self._keys.run_tenant(kv.key)
                self._outcomes.ended(job, tenant, run, kv.revision)


def _leave(job: Job) -> None:
    """Nothing is sent."""
