"""The steps of a job: read where it stands, ask the core, talk to Heat, write by comparing.

Each step may be run twice, late, or at the same time as another copy of itself: what it relies on
is compared in the transaction that it writes, and the loser does nothing.
Who holds the claim on a job talks to Heat about it; the claim hangs on the worker's lease.

The steps of a chain follow each other in one process as long as nothing has to be waited for
(:func:`run_chain`), and hand on what they know; a message carries the ids of some runs and no more.
Of several, each has a chain of its own (:func:`run_chains`).
"""

from .chains import run_chain, run_chains, wait_for
from .polling import poll
from .recording import record
from .submitting import submit
from .waiting import wait
from .work import TaskFunction, Work, load

__all__ = [
    "TaskFunction",
    "Work",
    "load",
    "poll",
    "record",
    "run_chain",
    "run_chains",
    "submit",
    "wait",
    "wait_for",
]
