"""The door to monitoring collectors: GET a target's document (CONTRACT section 8).

A collector is somebody else's program at an address that a stack's output names.
So one request has a deadline for all of it, from the name to the last byte; what is read is
bounded; and the address that is connected to is the one that was checked
(:mod:`orchestrator.core.addresses`).
Redirects are not followed.

| module | concern |
|---|---|
| :mod:`.asking` | :class:`Targets`: ask a target, read its document |
| :mod:`.routes` | what the environment says about a host: proxy, certificates, password |
| :mod:`.names` | addresses of a name |
| :mod:`.connections` | one connection, and those that are kept |
| :mod:`.timed` | sockets on which nothing outlasts the deadline |
"""

from .asking import CONCURRENCY, Targets
from .names import LookUp
from .timed import LARGEST

__all__ = ("CONCURRENCY", "LARGEST", "LookUp", "Targets")
