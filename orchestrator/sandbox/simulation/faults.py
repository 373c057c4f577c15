"""Failures and delays on demand.

A word in a resource's name (or description, value_specs, metadata or tags) makes its operations
misbehave:

* `fail-create`, `fail-update`, `fail-delete`: the operation fails, with a sentence as its reason;
* `fail-create-once` and so on: only the first attempt fails, so that a repair can be tried;
* `slow-30`: every operation takes 30 seconds.

`SANDBOX_HEAT_DELAY` is the number of seconds every other operation takes (0 by default).
Nothing here is random.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

#: The properties in which the words are looked for.
PLACES = ("name", "description", "value_specs", "metadata", "tags")

FAIL = re.compile(r"fail-(create|update|delete)(-once)?")
SLOW = re.compile(r"slow-(\d+(?:\.\d+)?)")

_failed_once: set[tuple[str, ...]] = set()


class SimulatedFailure(Exception):
    """The simulated cloud refuses an operation because a resource's name asks for it."""


def delay(properties: Mapping[str, Any]) -> float:
    """How many seconds an operation on a resource with these properties takes."""
    if match := SLOW.search(_text(properties)):
        return float(match[1])
    return float(os.environ.get("SANDBOX_HEAT_DELAY") or 0)


def failure(
    action: str,
    kind: str,
    properties: Mapping[str, Any],
    identity: tuple[str, ...],
) -> SimulatedFailure | None:
    """The error with which this operation must end, or None.
    `identity` is what "once" is counted by."""
    for match in FAIL.finditer(_text(properties)):
        if match[1] != action:
            continue
        if match[2]:
            if (*identity, action) in _failed_once:
                continue
            _failed_once.add((*identity, action))
        name = properties.get("name")
        what = f"{kind} {name!r}" if name else kind
        return SimulatedFailure(
            f"The simulated cloud could not {action} {what}, because its name asks for"
            f" it ({match[0]})."
        )
    return None


def _text(properties: Mapping[str, Any]) -> str:
    return json.dumps([properties.get(place) for place in PLACES], default=str)
