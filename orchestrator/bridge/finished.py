"""Runs and retry requests that are dealt with: they are removed from etcd, several together."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .. import faults
from ..clock import Clock
from ..core import effects
from ..core.keys import Keys
from ..core.refs import JobId
from ..core.transactions import MOST_OPERATIONS, Transaction
from ..core.world import World
from .leader import Leadership
from .outcomes import Outcomes

_REMOVALS = MOST_OPERATIONS // 2
"""Runs and requests removed in one transaction. Each is one comparison and at most two operations;
the fence is another comparison."""
_REMOVED_AFTER = 0.1
"""Seconds for which a run that has been dealt with may stay, so that several are removed together.
"""
_KEPT = 1.0
"""Seconds after which what could not be removed is looked through again."""

_NO_ANSWER: tuple[int, Mapping[str, str]] = (0, {})


class Finished:
    """What is to be removed, and from when on."""

    def __init__(
        self,
        world: World,
        keys: Keys,
        leadership: Leadership,
        outcomes: Outcomes,
        clock: Clock,
    ) -> None:
        self._world, self._keys, self._leadership, self._outcomes = (
            world,
            keys,
            leadership,
            outcomes,
        )
        self._clock = clock
        self._waiting: dict[str, int] = {}
        self._answers: dict[str, tuple[int, Mapping[str, str]]] = {}
        """What is written when a request is removed, and the revision of that request."""
        self._due = 0.0

    def due(self) -> float | None:
        """Seconds until something is to be removed; None when there is nothing."""
        if not self._waiting:
            return None
        return self._due - self._clock.monotonic()

    def remove_due(self) -> None:
        """Remove what is there when there is enough of it, or when it is due."""
        if (
            len(self._waiting) >= _REMOVALS
            or self._clock.monotonic() >= self._due
        ):
            self.remove()

    def add(self, key: str, revision: int) -> None:
        """Remove it once it has been dealt with: soon, together with what else ends meanwhile."""
        due = self._clock.monotonic() + _REMOVED_AFTER
        self._due = min(self._due, due) if self._waiting else due
        self._waiting[key] = revision

    def answer(
        self, key: str, revision: int, written: Mapping[str, str]
    ) -> None:
        """Remove a request of a person once it has been dealt with.

        :param written: what is written in the same transaction: the outcome.
        """
        self.add(key, revision)
        self._answers[key] = (revision, written)

    def remove(self) -> None:
        """Their outcome is dealt with, their dependents are released: nothing is lost with them."""
        needed = self._outcomes.unstored()
        kept = {
            key: revision
            for key, revision in self._waiting.items()
            if self._is_needed(key, needed)
        }
        finished = [
            (key, revision)
            for key, revision in self._waiting.items()
            if key not in kept
        ]
        self._waiting, self._due = kept, self._clock.monotonic() + _KEPT
        for start in range(0, len(finished), _REMOVALS):
            faults.reach("bridge-before-remove")
            batch = [
                self._removal(key, revision)
                for key, revision in finished[start : start + _REMOVALS]
            ]
            if not self._leadership.commit_together(batch):
                # One of them is not as it was seen: the others go all the same.
                for transaction in batch:
                    self._leadership.commit(transaction)
            faults.reach("bridge-after-clean")

    def _removal(self, key: str, revision: int) -> Transaction:
        of, written = self._answers.pop(key, _NO_ANSWER)
        if of != revision:
            return effects.remove_runs([(key, revision)])
        return effects.answer(key, revision, written)

    def _is_needed(self, key: str, jobs: Collection[JobId]) -> bool:
        """Whether the next leader would have to find a run or retry, if this one died now.

        :param jobs: those whose end is not dealt with.
        """
        if ref := self._keys.ref(self._keys.retries, key):
            # Held back, it is told by that record that it is to be tried again.
            tried_again = (
                ref in self._world.again and ref not in self._world.held
            )
            return tried_again or self._world.removals.is_confirmed(ref)
        return self._keys.run_job(key) in jobs
