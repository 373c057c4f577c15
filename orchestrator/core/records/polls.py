"""A poll of a tenant's stacks that does not go as usual."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..texts import cut
from .runs import Cause

NEEDS_A_PERSON = frozenset({Cause.CREDENTIALS, Cause.PROJECT})
"""Causes that do not go away by themselves."""

_FIELDS = ("under_way", "failures", "cause", "reason", "since")


@dataclass(frozen=True, slots=True)
class Poll:
    """What a worker tells of the polls of a tenant: ``orchestrator/polls/<tenant>``.

    There is no record while polls are answered within half a second.
    """

    under_way: bool = False
    """Whether a poll takes longer. The record then hangs on the worker's lease."""
    failures: int = 0
    """How many polls in a row have failed."""
    cause: str = ""
    """What kind of failure the last one was: a :class:`~.runs.Cause`."""
    reason: str = ""
    """The failure of the last one, for people."""
    since: float = 0.0
    """When the first one failed: seconds since the epoch by the worker's clock, for people."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", cut(self.reason))

    @property
    def refused(self) -> bool:
        """Whether a person has to act before a poll can succeed."""
        return self.cause in NEEDS_A_PERSON

    def to_json(self) -> str:
        return json.dumps(
            {name: value for name in _FIELDS if (value := getattr(self, name))}
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Poll:
        record = json.loads(text)
        # A newer release may write more: what this one does not know, it leaves alone.
        return cls(**{name: record[name] for name in _FIELDS if name in record})
