"""Which decisions may be written together: none that would have come out differently one after the
other."""

from __future__ import annotations

from typing import TypeGuard

from ..core.planning import Decision, First, Nothing, Report, Start
from ..core.refs import Ref
from ..core.transactions import MOST_OPERATIONS


class Batch:
    """Decisions that have nothing to do with each other, so that one transaction can write them
    all.

    While they wait here the world does not know of them.
    So a decision about a resource that one of them is about, or is built from, is not admitted: it
    has to be made anew once they are performed.
    """

    _MOST = MOST_OPERATIONS // 3 - 2
    """A job is three operations. Its comparisons are fewer, and the fence is one more."""
    _LARGEST = 64 * 1024
    """Characters of bodies.
    Each is written three times (job, parameters, handled), in JSON in six bytes at the most; etcd
    takes 1.5 MB."""

    def __init__(self) -> None:
        self._decisions: dict[Ref, Start | Report] = {}
        self._about: set[Ref] = set()
        self._size = 0

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._decisions

    @staticmethod
    def takes(decision: Decision) -> TypeGuard[Start | Report]:
        """Whether it is a decision that may share a transaction: one that does away with jobs that
        a worker may take at any moment has to stand and fall by itself."""
        match decision:
            case Start(superseded=()) | Report():
                return True
        return False

    def admits(self, ref: Ref, decision: Decision) -> bool:
        """Whether *decision* would be the same if everything in here were performed already."""
        if not self._decisions:
            return True
        match decision:
            case First(refs):
                return not all(other in self._decisions for other in refs)
            case Start(job, superseded=()):
                return ref not in self._about and not any(
                    other in self._decisions for other in job.references()
                )
            case Report() | Nothing():
                return ref not in self._about
        return False

    def add(self, ref: Ref, decision: Start | Report) -> None:
        self._decisions[ref] = decision
        self._about.add(ref)
        if isinstance(decision, Start):
            self._about |= decision.job.references()
            self._size += len(str(decision.job.body))

    @property
    def full(self) -> bool:
        return len(self._decisions) >= self._MOST or self._size > self._LARGEST

    def take(self) -> dict[Ref, Start | Report]:
        """Everything, in the order in which it was decided; nothing is left."""
        taken, self._decisions = self._decisions, {}
        self._about.clear()
        self._size = 0
        return taken
