"""The record of one job as the workers carry it out."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum

from ..refs import Json, Ref
from ..texts import cut


class Cause(StrEnum):
    """Why a run is tried again."""

    UNAVAILABLE = "unavailable"
    """Heat or Keystone did not answer, or not with an answer: the tenant's other jobs will fare no
    better."""
    BUSY = "busy"
    """The stack is not ready for our request."""
    FAULT = "fault"
    """Heat answered this very request with an error of its own (500): the tenant's other jobs may
    fare better."""
    CREDENTIALS = "credentials"
    """The workers' credentials are refused, or cannot be used: a person has to act."""
    FAILED = "failed"
    """Heat has ended the operation in a failure, and the template has it tried again: nothing of
    it is under way in Heat."""
    PROJECT = "project"
    """Keystone knows no such project, or gives us no role in it: a person has to act, there or in
    the config."""


class Step(StrEnum):
    """Where a run stands; tasks move it, each by comparing the revision it read.

    ::

        (none) ─▶ CLAIMED ─▶ IN_HEAT ─▶ ENDED ─▶ DONE ─▶ (removed by the bridge)
                    │  ▲                  │
                    ▼  │                  └─▶ IN_HEAT   (seen too early)
                   RETRY ◀── temporary failure; the bridge sends the job again after *delay*
    """

    CLAIMED = "claimed"
    """A worker prepares the request or talks to Heat.
    The record hangs on the worker's lease: if the worker dies, it vanishes and the bridge sends the
    job again."""
    RETRY = "retry"
    """A temporary failure; sent again after *delay* seconds."""
    IN_HEAT = "waiting"
    """Heat took the request and works on it. No task exists; the tenant's next poll will see.
    In etcd it keeps its first spelling: old and new releases run side by side during an upgrade."""
    ENDED = "ended"
    """A poll found that Heat is done, and records it or has it recorded."""
    DONE = "done"
    """The outcome is written. The bridge starts what depends on it, then removes the record."""


_RUN_FIELDS = (
    "stack",
    "attempt",
    "failures",
    "retry",
    "retries",
    "delay",
    "due",
    "reason",
    "cause",
    "since",
    "failing_since",
    "asked_at",
    "timeout_mins",
    "asked",
    "absent",
    "unresolved",
    "deaths",
    "overdue",
    "abandoned",
    "complete",
    "live",
    "monitored",
    "kept",
    "tagged",
    "cancelled",
    "cancel_asked",
)
"""The plain fields of a run's record."""
_KNOWN_FIELDS = frozenset(_RUN_FIELDS)


@dataclass(frozen=True, slots=True)
class Run:
    """One job as the workers carry it out: ``orchestrator/runs/<tenant>/<job id>``.

    Times are seconds since the epoch by the worker's clock. They are shown; nothing is decided by
    them.
    """

    step: Step
    """Where the run stands."""
    stack: str = ""
    """Heat's own id of the stack."""
    attempt: int = 0
    """Temporary failures in a row."""
    failures: int = 0
    """How often Heat took the request and it came to nothing."""
    retry: int = 0
    """Which of its *retries* the job is at, after Heat has failed its stack; 0: at none."""
    retries: int = 0
    """How often the template has the job tried again."""
    delay: float = 0.0
    """Seconds until the next try."""
    due: float = 0.0
    """When the delay is over."""
    reason: str = ""
    """The last failure, for people."""
    cause: str = ""
    """The kind of the last failure, a :class:`Cause`."""
    since: float = 0.0
    """When the job was claimed first."""
    failing_since: float = 0.0
    """When the first of the attempts in a row failed; 0 when the last one did not fail, and in
    records of releases that had no such time."""
    asked_at: float = 0.0
    """When Heat took the request."""
    timeout_mins: int = 0
    """Minutes that Heat has for the operation; 0: as long as Heat's own default."""
    asked: bool = False
    """Whether Heat may have taken a request of this job."""
    absent: bool = False
    """Whether Heat has shown once that there is no stack to delete."""
    unresolved: int = 0
    """Polls at which Heat could not compute an output."""
    deaths: int = 0
    """Workers in a row that died over the job."""
    overdue: bool = False
    """Whether the bridge says that the time for the operation, or for waiting, is over."""
    abandoned: bool = False
    """A person's word that the project is gone: a deletion that Keystone still refuses is over."""
    complete: bool = False
    """The outcome: whether the job succeeded."""
    live: bool = False
    """The outcome: whether Heat has a stack now."""
    monitored: bool = False
    """The outcome: whether the stack has monitoring targets."""
    kept: bool = False
    """The outcome: the job only followed an output, and Heat was not asked or refused. The version
    stays complete, and the stack as it was."""
    tagged: bool = False
    """Whether this Heat has shown tags of ours to whoever asked: it keeps them."""
    cancelled: str = ""
    """Who wants the operation to end, and why, for people; empty: nobody."""
    cancel_asked: bool = False
    """Whether Heat was asked to end it."""
    root: Ref | None = None
    """The outcome: the resource whose failure is the cause of this one."""

    def __post_init__(self) -> None:
        if self.reason:
            object.__setattr__(self, "reason", cut(self.reason))

    @property
    def tries(self) -> int:
        """How often it did not work so far: at least, for *attempt* begins anew when Heat
        answers."""
        return self.attempt + self.failures

    def resumed(self, now: float) -> Run:
        """The same for whoever finds it at *now*: what has passed of the delay is not waited for
        again.

        Only for a leader that begins: by clocks that disagree, the delay may count as over at once.
        """
        if self.due:
            return replace(
                self, delay=min(max(self.due - now, 0.0), self.delay)
            )
        return self

    def to_json(self) -> str:
        record: dict[str, Json] = {"step": self.step.value}
        for name in _RUN_FIELDS:
            if value := getattr(self, name):
                record[name] = value
        if self.root:
            record["root"] = self.root.to_record()
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str | bytes) -> Run:
        record = json.loads(text)
        root = record.get("root")
        # A newer release may write more: what this one does not know, it leaves alone.
        known = {
            name: value
            for name, value in record.items()
            if name in _KNOWN_FIELDS
        }
        return cls(
            Step(record["step"]),
            **known,
            root=Ref.from_record(root) if root else None,
        )
