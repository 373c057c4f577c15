"""The record of a roll-out: a changed template reaches its stacks step by step."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ..refs import Json, Ref
from ..texts import cut

MOST_CANARIES = 100
"""Canaries of one roll-out. The record names each of them."""


class RolloutPhase(StrEnum):
    """Where a roll-out stands."""

    CANARY = "canary"
    """The canaries are rebuilt from the new revision. The one before is in force."""
    WAITING = "waiting"
    """The canaries are done. A person promotes the new revision, or not."""
    WAVES = "waves"
    """The new revision is in force, and the stacks are rebuilt wave by wave."""
    STOPPED = "stopped"
    """Too many have failed: no job is begun any more, until a person decides."""
    REVERTING = "reverting"
    """What was built from the new revision is rebuilt from the one before, which is in force."""
    REVERTED = "reverted"
    ABORTED = "aborted"
    """A person has ended it. All stacks stay as they are."""
    DONE = "done"


OVER = frozenset(
    {RolloutPhase.REVERTED, RolloutPhase.ABORTED, RolloutPhase.DONE}
)
"""The phases in which nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The last roll-out of a template: ``orchestrator/rollouts/<template>``.

    A command writes it, then the leader moves it on. Each write compares the one before.
    """

    id: str
    """Names the roll-out: ``20261128T085012Z-x7k2m``."""
    template: str
    """The template's id."""
    before: str
    """The revision that is left."""
    revision: str
    """The revision that is rolled out."""
    by: str
    """Who began it: ``alice@host``."""
    since: str
    """When, in UTC (``2026-11-28T08:50:12Z``)."""
    canary: int = 0
    """How many stacks try the new revision before it is promoted; 0: it is promoted at once."""
    waves: tuple[int, ...] = (100,)
    """For each wave, how many percent of the stacks are rebuilt at its end."""
    max_parallel: int = 20
    """How many of its jobs may be under way together."""
    min_healthy: float = 0.0
    """Seconds for which the monitoring target of a stack has to be positive."""
    fail_after: int = 0
    """Failures that are tolerated. One more stops the roll-out."""
    auto_revert: bool = False
    """Whether the canaries are rebuilt from the revision before when it stops."""
    phase: RolloutPhase = RolloutPhase.WAVES
    promoted: bool = True
    """Whether the new revision is the one in force."""
    paused: bool = False
    canaries: tuple[Ref, ...] = ()
    """The stacks that try the new revision; empty until the leader has chosen them."""
    wave: int = 0
    """The number of the wave that is under way, from 1; 0: none has begun."""
    border: str = ""
    """The place of the last resource of that wave. Those behind it come later."""
    stopped_in: RolloutPhase | None = None
    """The phase in which it was stopped, and in which `resume` goes on."""
    reason: str = ""
    """Why it was stopped, for people."""
    moved: str = field(default="", compare=False)
    """When it came into its phase, in UTC."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", cut(self.reason))

    @property
    def back(self) -> str:
        """The mark of jobs that rebuild from the revision before."""
        return f"{self.id}/back"

    @property
    def over(self) -> bool:
        return self.phase in OVER

    @property
    def stage(self) -> RolloutPhase:
        """The phase; of a roll-out that is stopped, the one in which it was."""
        return self.stopped_in or self.phase

    @property
    def expected(self) -> str:
        """The revision that is in force as long as nobody pushes another one."""
        if self.promoted:
            return self.revision
        return self.before

    def into(self, phase: RolloutPhase, reason: str = "") -> Rollout:
        """The same in another phase."""
        stopped_in = None
        if phase is RolloutPhase.STOPPED:
            stopped_in = self.stage
        return replace(self, phase=phase, reason=reason, stopped_in=stopped_in)

    def to_record(self) -> dict[str, Json]:
        """As a JSON object."""
        return {
            "id": self.id,
            "template": self.template,
            "before": self.before,
            "revision": self.revision,
            "by": self.by,
            "since": self.since,
            "canary": self.canary,
            "waves": list(self.waves),
            "max_parallel": self.max_parallel,
            "min_healthy": self.min_healthy,
            "fail_after": self.fail_after,
            "auto_revert": self.auto_revert,
            "phase": self.phase.value,
            "promoted": self.promoted,
            "paused": self.paused,
            "canaries": [list(ref) for ref in self.canaries],
            "wave": self.wave,
            "border": self.border,
            "stopped_in": self.stopped_in and self.stopped_in.value,
            "reason": self.reason,
            "moved": self.moved,
        }

    def to_json(self) -> str:
        return json.dumps(self.to_record())

    @classmethod
    def from_json(cls, text: str | bytes) -> Rollout:
        record = json.loads(text)
        stopped_in = record["stopped_in"]
        given = {
            **record,
            "waves": tuple(record["waves"]),
            "phase": RolloutPhase(record["phase"]),
            "canaries": tuple(Ref(*ref) for ref in record["canaries"]),
            "stopped_in": stopped_in and RolloutPhase(stopped_in),
        }
        known = {name: given[name] for name in cls.__dataclass_fields__}
        return cls(**known)


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """What the monitoring targets of a resource say: ``orchestrator/health/…``."""

    positive: bool
    """Whether each of them answers, with a status that it calls positive."""
    state: int
    """The mod revision of the state record at which they were asked: a status of before a job says
    nothing about it."""

    def to_json(self) -> str:
        return json.dumps({"positive": self.positive, "state": self.state})

    @classmethod
    def from_json(cls, text: str | bytes) -> TargetHealth:
        record = json.loads(text)
        return cls(record["positive"] is True, int(record["state"]))
