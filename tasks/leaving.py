"""A task leaves its slot when all it does is wait.

A slot is for work.
A Heat that hangs would otherwise hold every slot that serves its tenant for as long as a request
may take, and a few monitoring targets that send a byte now and then would hold all there are.
So a task is carried out in a thread of the process, and when that has not ended after half a second
the slot is free for the next message; what has begun goes on.
It ends by its own deadlines, of each request and of each chain.

How much can go on so in all processes together is bounded by what the bridge sends: so many jobs
whose Heat has not answered, one poll of each tenant.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field

from orchestrator.core.texts import cut
from orchestrator.errors import TemporaryError
from orchestrator.events import EventName, count
from orchestrator.metrics.shapes import TaskPlace

from .measuring import WorkerMetrics
from .processes import threads

log = logging.getLogger(__name__)

PROMPT = 0.5
"""Seconds for which a task may hold its slot.
Nearly every request of a Heat that is well is answered by then."""
MOST = 128
"""Tasks of one process that go on without a slot.
With so many under way, the next one keeps its slot until it ends."""
GRACE = 3.0
"""Seconds for which a process that is told to end waits for them.
Claims of those that do not end are given back."""

_pool = threads("task", 2 * MOST)
"""The threads that carry tasks out in this process."""

Undo = Callable[[], None]


class Defect(Exception):
    """A mistake of ours, by the name of its kind alone: what it says might quote anything, and
    Celery sends an exception's words to whoever listens to its events.
    The log has the traceback."""


@dataclass(frozen=True, slots=True)
class Work:
    """A task's work.

    *leaving* is called when the task leaves its slot, and what it returns when the work is over.
    While work goes on without a slot, no other of the same *kind* is begun in the process; None: of
    no kind.
    """

    name: str
    about: object
    do: Callable[[], object]
    leaving: Callable[[], Undo] | None = None
    kind: str | None = None


@dataclass(slots=True)
class Background:
    """What goes on in this process without a slot."""

    prompt: float = PROMPT
    most: int = MOST
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)
    _going_on: dict[Future[None], str | None] = field(default_factory=dict)
    """What goes on, each with its kind."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def carry_out(self, work: Work) -> None:
        """Do the work, or begin it and leave.

        :raises Defect: the work ended by a defect, in its slot.
        """
        if work.kind is not None and work.kind in list(self._going_on.values()):
            return
        slots = self.metrics.tasks[TaskPlace.SLOT]
        slots.add()
        try:
            self._begin(work)
        finally:
            slots.add(-1.0)

    def _begin(self, work: Work) -> None:
        future = _pool().submit(_told, work)
        wait([future], timeout=self.prompt)
        if not future.done() and self._leave(future, work.kind):
            count(EventName.SLOT_LEFT)
            fields = {
                "event": "slot_left",
                "task": work.name,
                "about": work.about,
            }
            log.info("Task continues without its slot", extra=fields)
            undo = _tell(work)
            if undo is not None:
                future.add_done_callback(lambda _: _undo(work, undo))
            return
        future.result()

    def _leave(self, future: Future[None], kind: str | None) -> bool:
        """Whether the work may go on without its slot."""
        with self._lock:
            if len(self._going_on) >= self.most:
                return False
            self._going_on[future] = kind
        self.metrics.tasks[TaskPlace.BACKGROUND].add()
        future.add_done_callback(self._over)
        return True

    def _over(self, future: Future[None]) -> None:
        with self._lock:
            self._going_on.pop(future, None)
        self.metrics.tasks[TaskPlace.BACKGROUND].add(-1.0)

    @property
    def going_on(self) -> int:
        """How many tasks go on without a slot."""
        return len(self._going_on)

    def close(self, grace: float = GRACE) -> None:
        """Wait for what goes on, for some seconds."""
        with self._lock:
            left = list(self._going_on)
        if left and wait(left, timeout=grace).not_done:
            count(EventName.TASKS_BROKEN_OFF)
            log.warning(
                "Tasks interrupted, other workers continue",
                extra={"event": "tasks_broken_off", "tasks": self.going_on},
            )


def _told(work: Work) -> None:
    """Do the work. What goes wrong is told here, for nobody may be left who would hear of it."""
    try:
        work.do()
    except TemporaryError as error:
        # Nothing is lost: the bridge sends again what stands in etcd and is not under way.
        count(EventName.TASK_GAVE_WAY)
        fields = {
            "event": "task_gave_way",
            "task": work.name,
            "about": work.about,
            "reason": cut(str(error)),
        }
        log.warning("Task deferred", extra=fields)
    except Exception as error:
        count(EventName.TASK_DEFECT)
        log.error(
            "Task failed because of a bug",
            extra={
                "event": "task_defect",
                "task": work.name,
                "about": work.about,
            },
            exc_info=error,
        )
        raise Defect(type(error).__name__) from None


def _tell(work: Work) -> Undo | None:
    """Make known that the work goes on for longer, where somebody wants to know it."""
    if work.leaving is None:
        return None
    with suppress(TemporaryError):
        return work.leaving()
    return None


def _undo(work: Work, undo: Undo) -> None:
    try:
        undo()
    except TemporaryError as error:
        count(EventName.TASK_GAVE_WAY)
        fields = {
            "event": "task_gave_way",
            "task": work.name,
            "about": work.about,
            "reason": cut(str(error)),
        }
        log.warning("Task deferred", extra=fields)
