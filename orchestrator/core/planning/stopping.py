"""Whether a version is held because Heat has the stack otherwise than it was built."""

from __future__ import annotations

from collections.abc import Sequence

from ..jobs import Param
from ..policies import DRIFT, OnDrift
from ..resources import Wanted
from ..world import World

STOPPED = (
    "has drifted, and its template says heat_drift: stop; accept what differs or correct"
    " it (orchestrator drift)"
)
"""Why such a version waits: a sentence without its subject."""


def stops(world: World, wanted: Wanted, params: Sequence[Param]) -> bool:
    """Whether the template wants a person to decide about drift before anything else is asked of
    Heat. A person who asks for the version has decided.
    """
    if wanted.ref in world.again:
        return False
    return any(
        param.name == DRIFT and param.value == OnDrift.STOP for param in params
    )
