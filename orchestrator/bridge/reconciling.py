"""Perform the core's decisions: each in one fenced transaction, then in memory."""

from __future__ import annotations

import logging
import math
import secrets
import string
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from .. import faults
from ..core import effects
from ..core.jobs import Action, Job
from ..core.keys import Keys
from ..core.planning import (
    Clean,
    Decision,
    First,
    Hold,
    Nothing,
    Over,
    Postpone,
    Refuse,
    Report,
    Start,
    caused_by,
    decide,
    fails_with,
    refuse,
)
from ..core.records import NO_JOB, Brake, Failed, Handled, Run
from ..core.refs import JobId, Ref
from ..core.removals import BrakeLimits
from ..core.transactions import Transaction, merged
from ..core.world import Reported, Stack, World
from ..errors import StoreRefused
from .batching import Batch
from .leader import Leadership
from .order import TURN, Order

log = logging.getLogger(__name__)

_FIRST_DELETION_RETRY, _LONGEST_DELETION_RETRY = 10.0, 600.0
"""Seconds until a failed deletion of something whose config is gone is tried again."""
_UNSETTLED = 0.2
"""Seconds after which what could not be written is decided again, if the event has not come by then."""
_ALPHABET = string.ascii_lowercase + string.digits


class Later(Protocol):
    """Decide a resource again after some seconds; with *again* even if its version was handled."""

    def __call__(self, seconds: float, ref: Ref, *, again: bool = False) -> None: ...


def _suffix() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(5))


class Reconciler:
    """Makes etcd and the world follow the decisions; says which jobs are ready to be sent.

    :param ready: called with each job whose dependencies have all ended.
    :param dropped: called with each job that is over without a worker: it may have been sent already.
    :param later: ``later(seconds, ref)``: decide *ref* again after a while.
    """

    def __init__(
        self,
        world: World,
        keys: Keys,
        leadership: Leadership,
        *,
        ready: Callable[[Job], None],
        dropped: Callable[[Job], None],
        later: Later,
        patience: float,
        as_string: bool,
        brake: BrakeLimits,
    ) -> None:
        self.world = world
        self._keys, self._leadership = keys, leadership
        self._ready, self._dropped, self._later = ready, dropped, later
        self._patience, self._as_string, self._brake = patience, as_string, brake
        self._deletion_asked: dict[Ref, float] = {}
        self._deletions_failed: dict[Ref, int] = {}
        self._doomed: dict[JobId, tuple[Failed, JobId]] = {}
        """What will fail once the earlier jobs on its resource are over, and because of which job."""
        self._to_fail: deque[tuple[Job, Failed, JobId]] = deque()
        self._batch = Batch()
        self._order = Order(world)

    # Deciding ---------------------------------------------------------------------------------------

    def settle(self, at_most: int | None = None) -> None:
        """Decide what is to be decided.

        :param at_most: leave the rest for the next time after so many, or when the turn is over; None: everything.
        """
        self._fail_waiting()
        self._follow_brake()
        end = time.monotonic() + TURN if at_most is not None else math.inf
        while self.world.dirty:
            for ref in self._order.next(at_most):
                if self._is_undecided(ref):
                    self._settle_one(ref)
                if time.monotonic() > end:
                    break
            self._perform_batch()
            if at_most is not None:
                return

    def _follow_brake(self) -> None:
        """Hold the deletions of configs that were removed in too great numbers, until nothing is left to hold."""
        removals = self.world.removals
        if removals.held:
            if not len(removals) and self._leadership.commit(effects.release_deletions(self._keys)):
                removals.release()
                log.info("Deletions released", extra={"event": "deletions_released"})
            return
        removed = removals.counted(time.monotonic(), self._brake.within)
        if removed <= self._brake.at_once or not len(removals):
            return
        limit = self._brake.allowed(self.world.built)
        if removed <= limit:
            return
        brake = Brake(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), len(removals), limit)
        if self._leadership.commit(effects.hold_deletions(self._keys, brake)):
            removals.hold()
            log.error(
                "Deletions are held",
                extra={"event": "deletions_held", "removed": removed, "held": len(removals), "limit": limit},
            )

    def held_deletions(self) -> str:
        """What a person has to know of held deletions; empty when there are none."""
        removals = self.world.removals
        if not removals.held or not len(removals):
            return ""
        number = len(removals)
        return f"{number} deletion{'' if number == 1 else 's'} held; see orchestrator status"

    def _settle_one(self, ref: Ref) -> None:
        """Decide one resource, and before it those it has to come after. The path closes cycles."""
        path: list[Ref] = [ref]
        before: list[Iterator[Ref]] = [iter(())]
        """For each on the path, what of that is still to be gone through. All of it, before the one on the path is
        decided again: what is built from two thousand others would otherwise be decided two thousand times."""
        while path:
            undecided = next(filter(self._is_undecided, before[-1]), None)
            if undecided is not None:
                path.append(undecided)
                before.append(iter(()))
                continue
            top = path[-1]
            before_it = time.thread_time()
            decision = decide(self.world, top, _suffix, tuple(path[:-1]), patient=self._is_patient(top))
            self._order.note(top, time.thread_time() - before_it)
            if not self._batch.admits(top, decision):
                self._perform_batch()
                continue  # What was decided just now could have come out differently.
            if isinstance(decision, First):
                before[-1] = iter(decision.refs)
                continue
            path.pop()
            before.pop()
            if self._batch.takes(decision):
                self._batch.add(top, decision)
                if self._batch.full:
                    self._perform_batch()
            else:
                self.world.dirty.pop(top, None)
                self._perform(top, decision)

    def _is_undecided(self, ref: Ref) -> bool:
        return ref in self.world.dirty and ref not in self._batch

    def _perform_batch(self) -> None:
        """Perform what has been put together, in one transaction if that goes."""
        decisions = self._batch.take()
        for ref in decisions:
            self.world.dirty.pop(ref, None)
        if len(decisions) > 1:
            faults.reach("bridge-before-job")
            transaction = merged(map(self._transaction, decisions.values()))
            try:
                revision = self._leadership.commit(transaction)
            except StoreRefused:
                revision = 0  # One of them is too large, and will be told so.
            if revision:
                for ref, decision in decisions.items():
                    self.world.unsettled.discard(ref)
                    self._performed(ref, decision, revision)
                return
        for ref, decision in decisions.items():
            self._perform(ref, decision)

    def _transaction(self, decision: Start | Report) -> Transaction:
        if isinstance(decision, Start):
            return effects.start(self._keys, decision)
        return effects.report(self._keys, decision, self._as_string)

    def _performed(self, ref: Ref, decision: Start | Report, revision: int) -> None:
        """The transaction is written: now in memory."""
        if isinstance(decision, Start):
            self._started(ref, decision)
            return
        faults.reach("bridge-after-report")
        self.world.reported[ref] = Reported(decision.wanted.version, revision)
        self.world.set_failed(ref, None)
        self._decided(ref)
        self.repaired(ref)

    def _is_patient(self, ref: Ref) -> bool:
        asked = self._deletion_asked.get(ref)
        return asked is None or time.monotonic() - asked < self._patience

    def begin_patience_anew(self) -> None:
        """Deletions that wait for others wait their full time from now."""
        self.world.touch(*self._deletion_asked)
        self._deletion_asked.clear()

    def _perform(self, ref: Ref, decision: Decision) -> None:
        world = self.world
        match decision:
            case Nothing():
                world.unsettled.discard(ref)
            case Postpone():
                self._later(_UNSETTLED, ref)
            case Hold(held):
                if decision.patience and ref not in self._deletion_asked:
                    # Patience begins anew with every leader: it is no reason to write anything.
                    self._deletion_asked[ref] = time.monotonic()
                    self._later(self._patience, ref)
                if world.held.get(ref) != held and self._commit(ref, effects.hold(self._keys, ref, decision)):
                    world.set_held(ref, held)
                    world.touch(*world.waiting_for(ref))  # what they wait for in the end is another now
                    log.info("Config held", extra={"event": "held", "resource": str(ref), "reason": held.reason})
            case Report():
                if revision := self._commit(ref, self._transaction(decision)):
                    self._performed(ref, decision, revision)
            case Start():
                self._start(ref, decision)
            case Refuse(wanted, handled, failed):
                if revision := self._commit(ref, effects.refuse(self._keys, decision, self._as_string)):
                    world.reported[ref] = Reported(wanted.version, revision)
                    world.set_handled(ref, handled)
                    world.set_failed(ref, failed)
                    world.removals.done(ref)
                    log.warning("Config refused", extra={"event": "refused", "resource": str(ref), "reason": failed.error})
                    self._decided(ref)
            case Clean():
                faults.reach("bridge-before-clean")
                if self._commit(ref, effects.clean(self._keys, ref, decision)):
                    for job in decision.jobs:
                        for _ in world.graph.remove(job.id):
                            raise AssertionError("nobody waits for a job that is dropped")
                        self._drop(job)
                    world.forget(ref)
                    log.info("Records removed", extra={"event": "cleaned", "resource": str(ref)})
                    self._decided(ref)

    def _start(self, ref: Ref, decision: Start) -> None:
        faults.reach("bridge-before-job")
        try:
            if not self._commit(ref, self._transaction(decision)):
                return
        except StoreRefused as error:
            self._perform(ref, refuse(self.world, ref, f"{error}; make the configuration smaller"))
            return
        self._started(ref, decision)

    def _started(self, ref: Ref, decision: Start) -> None:
        faults.reach("bridge-after-job")
        job, handled = decision.job, decision.handled
        self.world.graph.add(job)
        self.world.fresh.add(job.id)
        for old in decision.superseded:
            self.world.graph.replace(old.id, job.id)
            self._doomed.pop(old.id, None)
            self._drop(old)
            log.info("Job superseded", extra={"event": "job_superseded", "job": old.id, "by": job.id})
        self.world.set_handled(ref, handled)
        self.world.removals.done(ref)
        waits = self.world.graph.waits_for(job.id)
        log.info("Job created", extra={"event": "job_made", "job": job.id, "waits_for": len(waits)})
        self._decided(ref)
        if decision.first_of_two:
            self.world.touch(ref)  # Only the earlier incarnation or tenant is dealt with so far.
        if not waits:
            self._ready(job)

    def _decided(self, ref: Ref) -> None:
        """What was held back by this resource is looked at again."""
        self.world.again.discard(ref)
        self.world.forced.discard(ref)
        self.world.set_held(ref, None)
        self._deletion_asked.pop(ref, None)
        self.world.touch(*self.world.waiting_for(ref))

    def _commit(self, ref: Ref, transaction: Transaction) -> int:
        """0 when the config has changed meanwhile: its event is on the way, and the timer is for safety."""
        revision = self._leadership.commit(transaction)
        if revision:
            self.world.unsettled.discard(ref)
        else:
            self.world.unsettled.add(ref)
            self._later(_UNSETTLED, ref)
        return revision

    # The end of a job -------------------------------------------------------------------------------

    def ended(self, job_id: JobId, ref: Ref, action: Action, run: Run, revision: int) -> None:
        """Take in the outcome of a job: what failed with it fails, what waited for it may start."""
        faults.reach("bridge-before-release")
        world = self.world
        job = world.graph.jobs.get(job_id)
        if action is Action.DELETE and run.complete:
            tenant = job.tenant if job else ""
            world.stacks[ref] = Stack("DELETE_COMPLETE", tenant)
        elif run.live:
            world.stacks[ref] = Stack("COMPLETE" if run.complete else "FAILED", job.tenant if job else "", run.monitored)
        version = job.version if job else world.handled[ref].version if ref in world.handled else 0
        if self._is_told(job_id, ref):
            world.reported[ref] = Reported(version, revision)
        failed = None if run.complete else Failed(version, action, run.reason, run.root or ref)
        world.set_failed(ref, failed)
        handled = world.handled.get(ref)
        references = job.references() if job else handled.refs() if handled else frozenset()
        self._release(Over(job_id, ref, action, references), failed)
        self._fail_waiting()
        if handled and handled.sent == job_id and not run.complete and not run.asked and not handled.uncertain:
            unsent = replace(handled, sent=NO_JOB)
            self._leadership.commit(effects.never_sent(self._keys, ref, unsent))
            world.set_handled(ref, unsent)
        if run.complete:
            if handled and handled.job == job_id:
                world.completed(ref)
            self.repaired(ref)
            self._deletions_failed.pop(ref, None)
        elif action is Action.DELETE and ref not in world.wanted:
            self._delete_again_later(ref)
        world.touch(ref, *world.waiting_for(ref))

    def _is_told(self, job_id: JobId, ref: Ref) -> bool:
        """Whether the outcome of a job is that of the config that is there: written as its state."""
        wanted, handled = self.world.wanted.get(ref), self.world.handled.get(ref)
        if wanted is None or handled is None:
            return False
        return wanted.incarnation == handled.incarnation and job_id not in handled.outlived

    def _delete_again_later(self, ref: Ref) -> None:
        """Nobody can ask again for a deletion whose config is gone, so it is never given up."""
        times = self._deletions_failed[ref] = self._deletions_failed.get(ref, 0) + 1
        self._later(min(_FIRST_DELETION_RETRY * 2 ** min(times - 1, 10), _LONGEST_DELETION_RETRY), ref, again=True)

    def repaired(self, root: Ref) -> None:
        """What failed because of *root* is tried again."""
        world = self.world
        for ref in world.failed_because_of(root):
            handled = world.handled.get(ref)
            if handled and handled.job in world.graph.jobs:
                continue  # It is being tried again already, and runs after its root.
            log.info(
                "Retry scheduled, its cause is repaired", extra={"event": "root_repaired", "resource": str(ref), "root": str(root)}
            )
            world.again.add(ref)
            world.touch(ref)

    def clears(self, job: Job) -> bool:
        """Whether a job clears away an earlier incarnation of its id: nobody could ask for it again, nor would
        anybody know how to. So it is not given up."""
        handled = self.world.handled.get(job.ref)
        return job.action is Action.DELETE and handled is not None and job.id in handled.outlived

    def _release(self, over: Over, failed: Failed | None) -> None:
        """What waited for a job that is over is ready, or is to fail (:meth:`_fail_waiting` does it)."""
        graph = self.world.graph
        for dependent in graph.remove(over.id):
            if failed and not self.clears(dependent) and fails_with(dependent, over, self._built_from(dependent)):
                error = caused_by(over.ref, failed.root, failed.error)
                doomed = Failed(dependent.version, dependent.action, error, failed.root, through=over.ref)
                self._doomed.setdefault(dependent.id, (doomed, over.id))
            waits = graph.waits_for(dependent.id)
            if dependent.id in self._doomed:
                # Its report comes after those of the earlier versions, so after their jobs.
                if not any(other in graph.jobs and graph.jobs[other].ref == dependent.ref for other in waits):
                    self._to_fail.append((dependent, *self._doomed.pop(dependent.id)))
            elif not waits and dependent.id not in self.world.runs:
                # Claimed already: the leader before had released it, and did not come to remove the run of *over*.
                self._ready(dependent)

    def overtake(self, in_heat: Collection[JobId]) -> None:
        """Let deletions go ahead that wait for nothing but jobs on the same resource that Heat does not end.

        :param in_heat: the jobs on which Heat has worked for long.
        """
        graph = self.world.graph
        for job_id in in_heat:
            job = graph.jobs.get(job_id)
            last = graph.on(job.ref)[-1] if job else None
            if job is None or last is None or last.action is not Action.DELETE or last.id == job_id:
                continue
            waits = graph.waits_for(last.id)
            if waits <= set(in_heat) and all(graph.jobs[other].ref == job.ref for other in waits):
                self._overtake(last, [graph.jobs[other] for other in sorted(waits)])

    def _overtake(self, deletion: Job, jobs: Sequence[Job]) -> None:
        revisions = {job.id: self.world.runs[job.id].revision for job in jobs}
        if not self._leadership.commit(effects.overtake(self._keys, deletion, jobs, revisions)):
            return  # Heat has ended one of them meanwhile: its event is on the way.
        for job in jobs:
            self.world.graph.overtake(job.id, deletion.id)
            self._doomed.pop(job.id, None)
            self._drop(job)
            log.warning("Job overtaken by a deletion", extra={"event": "job_overtaken", "job": job.id, "by": deletion.id})
        self._ready(deletion)

    def _built_from(self, job: Job) -> frozenset[Ref] | None:
        """What the version of a job refers to, None when it is not the newest and so is not known any more."""
        handled = self.world.handled.get(job.ref)
        return handled.refs() if handled and handled.job == job.id else None

    def give_up(self, job: Job, error: str) -> None:
        """End a job that no worker can carry out."""
        self._to_fail.append((job, Failed(job.version, job.action, error, job.ref), job.id))
        self._fail_waiting()

    def not_dealt_with(self) -> set[JobId]:
        """The jobs that ended and from whose end something follows that is not written yet: their runs are
        still needed, for the next leader knows of it only by them."""
        return {*(cause for _, cause in self._doomed.values()), *(cause for _, _, cause in self._to_fail)}

    def _drop(self, job: Job) -> None:
        """A job is over without a worker."""
        self.world.fresh.discard(job.id)
        self._dropped(job)

    def _unsent(self, job: Job) -> Handled | None:
        """What is remembered once a job is over that never reached Heat: so nothing needs to be looked for there when
        the config goes. None when that changes nothing, or is not certain."""
        handled = self.world.handled.get(job.ref)
        if handled is None or handled.sent != job.id or handled.uncertain or job.id in self.world.runs:
            return None
        return replace(handled, sent=NO_JOB)

    def _fail_waiting(self) -> None:
        """End jobs that will never run; what waits for them in turn ends too, at any depth."""
        postponed: list[tuple[Job, Failed, JobId]] = []
        while self._to_fail:
            job, failed, cause = self._to_fail.popleft()
            if job.id not in self.world.graph.jobs:
                continue  # It waited for several that failed, or was superseded.
            wanted, told = self.world.wanted.get(job.ref), self._is_told(job.id, job.ref)
            handled = self._unsent(job) if cause != job.id else None
            transaction = effects.fail_waiting(self._keys, job, wanted, failed, self._as_string, told=told, handled=handled)
            revision = self._leadership.commit(transaction)
            if not revision:
                postponed.append((job, failed, cause))  # The config has changed meanwhile: its event is on the way.
                self._later(_UNSETTLED, job.ref)
                continue
            faults.reach("bridge-after-cascade")
            log.warning(
                "Job failed without running",
                extra={"event": "job_not_run", "job": job.id, "root": str(failed.root), "reason": failed.error},
            )
            if told:
                self.world.reported[job.ref] = Reported(job.version, revision)
                self.world.set_failed(job.ref, failed)
            if handled is not None:
                self.world.set_handled(job.ref, handled)
            self._drop(job)
            self._release(Over(job.id, job.ref, job.action, job.references()), failed)
            self.world.touch(job.ref)
        self._to_fail.extend(postponed)
