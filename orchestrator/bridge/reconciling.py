"""Perform the core's decisions: each in one fenced transaction, then in memory."""

from __future__ import annotations

import logging
import math
import string
from collections.abc import Callable, Iterator
from dataclasses import replace

from .. import faults
from ..clock import CHANCE, CLOCK, Chance, Clock
from ..core import effects
from ..core.jobs import Job
from ..core.keys import Keys
from ..core.planning import (
    Clean,
    Decision,
    First,
    Hold,
    LeftOutdated,
    Nothing,
    Postpone,
    Refuse,
    Report,
    Start,
    decide,
    refuse,
)
from ..core.refs import JobId, Ref
from ..core.removals import BrakeLimits
from ..core.transactions import Transaction
from ..core.world import Lagging, World
from ..errors import StoreRefused
from ..events import EventName, count
from .batching import Batch
from .braking import DeletionBrake
from .change_times import ChangeTimes
from .leader import Leadership
from .order import TIME_SLICE, Order
from .outcomes import UNSETTLED, Later, Outcomes

log = logging.getLogger(__name__)

_ALPHABET = string.ascii_lowercase + string.digits


class Reconciler:
    """Makes etcd and the world follow the decisions; says which jobs are ready to be sent.

    :param ready: called with each new job that waits for no other.
    :param later: ``later(seconds, ref)``: decide *ref* again after a while.
    :param patience: seconds for which a deletion waits for those who use its resource.
    """

    def __init__(
        self,
        world: World,
        keys: Keys,
        leadership: Leadership,
        *,
        outcomes: Outcomes,
        ready: Callable[[Job], None],
        later: Later,
        patience: float,
        as_string: bool,
        brake: BrakeLimits,
        clock: Clock = CLOCK,
        chance: Chance = CHANCE,
        times: ChangeTimes | None = None,
    ) -> None:
        self.world = world
        self._clock, self._chance = clock, chance
        self._keys, self._leadership = keys, leadership
        self._outcomes, self._ready, self._later = outcomes, ready, later
        self._patience, self._as_string = patience, as_string
        self.brake = DeletionBrake(world, keys, leadership, brake, clock)
        self._deletion_asked: dict[Ref, float] = {}
        self._batch = Batch()
        self._order = Order(world, clock)
        self._times = times or ChangeTimes(outcomes.metrics, clock)

    # Deciding -------------------------------------------------------------------------------------

    def settle(self, at_most: int | None = None) -> None:
        """Decide what is to be decided.

        :param at_most: decide so many at most, and for one time slice at most; the rest is left for
            the next cycle. None: everything.
        """
        self._outcomes.fail_dependents()
        self.brake.follow()
        end = math.inf
        if at_most is not None:
            end = self._clock.monotonic() + TIME_SLICE
        while self.world.dirty:
            for ref in self._order.next(at_most):
                if self._is_undecided(ref):
                    self._settle_one(ref)
                if self._clock.monotonic() > end:
                    break
            self._perform_batch()
            if at_most is not None:
                return

    def _settle_one(self, ref: Ref) -> None:
        """Decide one resource, and before it those it has to come after. The path closes cycles."""
        path: list[Ref] = [ref]
        before: list[Iterator[Ref]] = [iter(())]
        """For each on the path, what of that is still to be gone through.
        All of it, before the one on the path is decided again: what is built from two thousand
        others would otherwise be decided two thousand times."""
        while path:
            undecided = next(filter(self._is_undecided, before[-1]), None)
            if undecided is not None:
                path.append(undecided)
                before.append(iter(()))
                continue
            top = path[-1]
            decision = self._decide(top, path[:-1])
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
                self.world.decided(top)
                self._perform(top, decision)

    def _decide(self, ref: Ref, path: list[Ref]) -> Decision:
        """:param path: the resources that wait for this decision."""
        begun = self._clock.cpu()
        decision = decide(
            self.world,
            ref,
            self._suffix,
            tuple(path),
            patient=self._is_patient(ref),
            now=self._clock.now(),
        )
        self._order.note(ref, self._clock.cpu() - begun)
        return decision

    def _suffix(self) -> str:
        """The random end of a job id."""
        letters = (int(self._chance() * len(_ALPHABET)) for _ in range(5))
        return "".join(map(_ALPHABET.__getitem__, letters))

    def _is_undecided(self, ref: Ref) -> bool:
        return ref in self.world.dirty and ref not in self._batch

    def _perform_batch(self) -> None:
        """Perform what has been put together, in one transaction if that goes."""
        decisions = self._batch.take()
        for ref in decisions:
            self.world.decided(ref)
        revision = 0
        if len(decisions) > 1:
            faults.reach("bridge-before-job")
            transactions = map(self._transaction, decisions.values())
            revision = self._leadership.commit_together(transactions)
        for ref, decision in decisions.items():
            if revision:
                self.world.note_written(ref, written=True)
                self._performed(ref, decision, revision)
            else:
                self._perform(ref, decision)

    def _transaction(self, decision: Start | Report) -> Transaction:
        if isinstance(decision, Start):
            return effects.start(self._keys, decision)
        return effects.report(self._keys, decision, self._as_string)

    def _performed(
        self, ref: Ref, decision: Start | Report, revision: int
    ) -> None:
        """The transaction is written: now in memory."""
        if isinstance(decision, Start):
            self._started(ref, decision)
            return
        faults.reach("bridge-after-report")
        self.world.note_report(ref, decision.wanted.version, revision)
        self.world.set_failed(ref, None)
        self._outcomes.metrics.note_outcome(ref.type, decision.wanted.tenant)
        self._times.reported(ref)
        self._decided(ref)
        self._outcomes.repaired(ref)

    def _is_patient(self, ref: Ref) -> bool:
        asked = self._deletion_asked.get(ref)
        return asked is None or self._clock.monotonic() - asked < self._patience

    def begin_patience_anew(self) -> None:
        """Deletions that wait for others wait their full time from now."""
        self.world.touch(*self._deletion_asked)
        self._deletion_asked.clear()

    def _perform(self, ref: Ref, decision: Decision) -> None:
        match decision:
            case Nothing():
                self.world.note_written(ref, written=True)
                self._times.decided(ref)
                self.world.set_lagging(ref, None)
            case LeftOutdated(lagging):
                self._lag(ref, lagging)
            case Postpone():
                self._later(UNSETTLED, ref)
            case Hold():
                self._hold(ref, decision)
            case Report():
                if revision := self._commit(ref, self._transaction(decision)):
                    self._performed(ref, decision, revision)
            case Start():
                self._start(ref, decision)
            case Refuse():
                self._refuse(ref, decision)
            case Clean():
                self._clean(ref, decision)

    def _lag(self, ref: Ref, lagging: Lagging) -> None:
        """The stack is outdated, and stays so. Nothing is written: the next leader finds it too."""
        world = self.world
        world.note_written(ref, written=True)
        self._times.decided(ref)
        told = world.lagging.get(ref) == lagging or not lagging.why
        world.set_lagging(ref, lagging)
        if told:
            return
        fields = {
            "resource": str(ref),
            "outputs": [str(output) for output in lagging.outputs],
            "reason": lagging.why,
        }
        if lagging.circle:
            count(EventName.OUTPUT_CIRCLE)
            fields = {**fields, "event": "output_circle"}
            log.warning("Stack held, outputs do not settle", extra=fields)
        else:
            count(EventName.OUTDATED)
            fields = {**fields, "event": "outdated"}
            log.warning("Stack outdated", extra=fields)

    def _hold(self, ref: Ref, decision: Hold) -> None:
        world, held = self.world, decision.held
        if decision.patience and ref not in self._deletion_asked:
            # Patience begins anew with every leader: it is no reason to write anything.
            self._deletion_asked[ref] = self._clock.monotonic()
            self._later(self._patience, ref)
        if world.held.get(ref) == held:
            self._times.decided(ref)
            return
        held = held.dated(self._clock.now(), world.held.get(ref))
        dated = replace(decision, held=held)
        if not self._commit(ref, effects.hold(self._keys, ref, dated)):
            return
        self._times.decided(ref)
        world.set_held(ref, held)
        # What those wait for in the end is another resource now.
        world.touch(*world.waiting_for(ref))
        count(EventName.HELD)
        fields = {
            "event": "held",
            "resource": str(ref),
            "reason": held.reason,
        }
        log.info("Config held", extra=fields)

    def _refuse(self, ref: Ref, decision: Refuse) -> None:
        world, failed = self.world, decision.failed
        transaction = effects.refuse(self._keys, decision, self._as_string)
        revision = self._commit(ref, transaction)
        if not revision:
            return
        world.note_report(ref, decision.wanted.version, revision)
        world.set_handled(ref, decision.handled)
        world.set_failed(ref, failed)
        world.removals.done(ref)
        self._outcomes.metrics.note_refused(ref, decision.wanted.tenant, failed)
        self._times.reported(ref, "refused")
        count(EventName.REFUSED)
        fields = {
            "event": "refused",
            "resource": str(ref),
            "reason": failed.error,
        }
        log.warning("Config refused", extra=fields)
        self._decided(ref)

    def _clean(self, ref: Ref, decision: Clean) -> None:
        faults.reach("bridge-before-clean")
        if not self._commit(ref, effects.clean(self._keys, ref, decision)):
            return
        for job in decision.jobs:
            for _ in self.world.graph.remove(job.id):
                raise AssertionError("nobody waits for a job that is dropped")
            self._outcomes.dropped(job)
        self.world.forget(ref)
        count(EventName.CLEANED)
        fields = {"event": "cleaned", "resource": str(ref)}
        log.info("Records removed", extra=fields)
        self._decided(ref)

    def _start(self, ref: Ref, decision: Start) -> None:
        faults.reach("bridge-before-job")
        try:
            if not self._commit(ref, self._transaction(decision)):
                return
        except StoreRefused as error:
            self._perform(
                ref,
                refuse(
                    self.world,
                    ref,
                    f"{error}; make the configuration smaller",
                    self._clock.now(),
                ),
            )
            return
        self._started(ref, decision)

    def _started(self, ref: Ref, decision: Start) -> None:
        faults.reach("bridge-after-job")
        job, handled = decision.job, decision.handled
        self.world.started(job, handled, decision.superseded)
        for old in decision.superseded:
            self._outcomes.dropped(old)
            count(EventName.JOB_SUPERSEDED)
            log.info(
                "Job superseded",
                extra={"event": "job_superseded", "job": old.id, "by": job.id},
            )
        if decision.follows:
            self._tell_followed(decision)
        waits = self.world.graph.waits_for(job.id)
        count(EventName.JOB_MADE)
        log.info(
            "Job created",
            extra={"event": "job_made", "job": job.id, "waits_for": len(waits)},
        )
        self._decided(ref, job.id)
        if decision.first_of_two:
            # Only the earlier incarnation or tenant is dealt with so far.
            self.world.touch(ref)
        if not waits:
            self._ready(job)

    def _tell_followed(self, decision: Start) -> None:
        faults.reach("bridge-after-follow")
        count(EventName.OUTPUT_FOLLOWED)
        fields = {
            "event": "output_followed",
            "resource": str(decision.job.ref),
            "outputs": [str(output) for output in decision.follows],
            "job": decision.job.id,
        }
        log.info("Rebuild scheduled, an output changed", extra=fields)

    def _decided(self, ref: Ref, job: JobId | None = None) -> None:
        """What was held back by this resource is looked at again.

        :param job: the job that was made of the change.
        """
        self._times.decided(ref, job)
        self.world.is_dealt_with(ref)
        self._deletion_asked.pop(ref, None)
        self.world.touch(*self.world.waiting_for(ref))

    def _commit(self, ref: Ref, transaction: Transaction) -> int:
        """0 when the config has changed meanwhile: its event is on the way, and the timer is for
        safety."""
        revision = self._leadership.commit(transaction)
        self.world.note_written(ref, written=bool(revision))
        if not revision:
            self._later(UNSETTLED, ref)
        return revision
