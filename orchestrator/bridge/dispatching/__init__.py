"""Send what is ready, no faster than Heat can take it, and see to it that nothing sent gets lost.

One concern a module, each importing only those above it:

* ``tenants``: where each job stands, and the jobs of a tenant;
* ``sender``: the broker, which may be away (``outage``);
* ``retries``: temporary failures, and the ``circuit`` of a tenant that has too many of them;
* ``packing``: which jobs are sent now, and which of them share a message;
* ``polling``: when the stacks of a tenant are polled (``polls``, ``backlog``);
* ``resending``: messages that got lost are sent again;
* ``dispatcher``: what happens to a job, told to all of these.
"""

from .circuit import OPENS_AFTER
from .dispatcher import Dispatcher
from .packing import GATHERED_FOR, LONGEST_GATHERING
from .polling import (
    LONGEST_POLL_PAUSE,
    MOST_POLLS_WAITING,
    TARGETS_PER_MESSAGE,
    TARGETS_PER_ROUND,
)
from .resending import SUPERVISION

__all__ = [
    "GATHERED_FOR",
    "LONGEST_GATHERING",
    "LONGEST_POLL_PAUSE",
    "MOST_POLLS_WAITING",
    "OPENS_AFTER",
    "SUPERVISION",
    "TARGETS_PER_MESSAGE",
    "TARGETS_PER_ROUND",
    "Dispatcher",
]
