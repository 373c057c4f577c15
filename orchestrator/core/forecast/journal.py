"""What decisions would write, read back from their transactions."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..jobs import Job
from ..keys import Keys
from ..records import Failed, Handled
from ..refs import JobId, Ref
from ..transactions import Transaction


@dataclass(frozen=True, slots=True)
class Ran:
    """A job that Heat would get, and when: jobs of one wave run at the same time."""

    job: Job
    wave: int


@dataclass(slots=True)
class Journal:
    """The jobs that would be made, and the versions that would be refused.

    Decisions are read from their transactions, which are all that the bridge does. So nothing in
    here has to know how they were made.
    """

    keys: Keys
    made: dict[JobId, Job] = field(default_factory=dict)
    """Jobs that were made and not superseded since."""
    refused: dict[Ref, Failed] = field(default_factory=dict)
    held: dict[Ref, None] = field(default_factory=dict)
    """Resources that were held back at some time."""
    handled: dict[JobId, Handled] = field(default_factory=dict)
    """What is remembered of each job."""
    ran: list[Ran] = field(default_factory=list)

    def note(self, transaction: Transaction) -> None:
        """Take in a transaction of the bridge."""
        keys = self.keys
        for key, value in transaction.puts.items():
            if key.startswith(keys.jobs):
                job = Job.from_json(value)
                self.made[job.id] = job
            elif key.startswith(keys.handled):
                handled = Handled.from_json(value)
                self.handled[handled.job] = handled
            elif ref := _resource(keys, keys.failed, key):
                self.refused[ref] = Failed.from_json(value)
            elif ref := _resource(keys, keys.held, key):
                self.held[ref] = None
        for key in transaction.deletes:
            if key.startswith(keys.jobs):
                self.made.pop(keys.job_id(key), None)

    def begin(self) -> None:
        """Forget what was noted so far: what follows is the plan's."""
        self.made.clear()
        self.refused.clear()
        self.held.clear()
        self.handled.clear()
        self.ran.clear()


def _resource(keys: Keys, folder: str, key: str) -> Ref | None:
    """The resource of a record in a folder; None when the key lies elsewhere."""
    return keys.ref(folder, key) if key.startswith(folder) else None
