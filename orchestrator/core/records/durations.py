"""The record of how long jobs have taken lately: what a plan estimates its time from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..jobs import Action
from ..refs import Json

WINDOW = 8
"""Jobs of the moving averages: one odd job in ten must not decide."""

Kind: TypeAlias = tuple[str, Action]
"""What is measured by itself: a type of resources, and what is done."""


@dataclass(frozen=True, slots=True)
class Duration:
    """How long the complete jobs of one kind have taken."""

    seconds: float
    """The moving average, from the claim to the written outcome."""
    jobs: int
    """How many jobs were measured."""

    def and_one(self, seconds: float) -> Duration:
        """The same with one more job."""
        jobs = self.jobs + 1
        return Duration(_average(self.seconds, seconds, jobs), jobs)


_NONE = Duration(0.0, 0)


@dataclass(frozen=True, slots=True)
class Durations:
    """How long jobs have taken lately: ``orchestrator/durations``."""

    kinds: Mapping[Kind, Duration] = field(default_factory=dict)
    together: float = 1.0
    """The moving average of how many jobs were under way when one ended, itself included."""
    at: str = ""
    """When it was written, in UTC (``2026-11-27T21:49:01Z``)."""

    @property
    def jobs(self) -> int:
        """How many jobs were measured in all."""
        return sum(known.jobs for known in self.kinds.values())

    def and_one(self, kind: Kind, seconds: float, under_way: int) -> Durations:
        """The same with one more job.

        :param under_way: how many jobs were under way when it ended.
        """
        longer = self.kinds.get(kind, _NONE).and_one(seconds)
        together = _average(self.together, under_way, self.jobs + 1)
        return replace(
            self, kinds={**self.kinds, kind: longer}, together=together
        )

    def to_json(self) -> str:
        kinds: dict[str, dict[str, Json]] = {}
        for (kind, action), known in sorted(self.kinds.items()):
            told = {"seconds": round(known.seconds, 3), "jobs": known.jobs}
            kinds.setdefault(kind, {})[action.value] = told
        together = round(self.together, 3)
        return json.dumps({"types": kinds, "together": together, "at": self.at})

    @classmethod
    def from_json(cls, text: str | bytes) -> Durations:
        record = json.loads(text)
        kinds = {
            (kind, Action(action)): Duration(
                float(told["seconds"]), int(told["jobs"])
            )
            for kind, actions in record["types"].items()
            for action, told in actions.items()
        }
        return cls(kinds, float(record["together"]), str(record["at"]))


def _average(before: float, value: float, number: int) -> float:
    """A moving average with one more value, the *number*-th; plain as long as there are few."""
    return before + (value - before) / min(number, WINDOW)
