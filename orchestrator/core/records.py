"""What is written: the contract's records (CONTRACT section 7) and our own, values to JSON and back.

The recorded example of each is in docs/records.md. A reason is kept with at most
:data:`~.texts.LONGEST_REASON` characters, whoever worded it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from sys import intern
from typing import Any, TypeVar

from ..errors import RecordUnreadable
from .documents import canonical
from .jobs import Action
from .refs import JobId, Json, Ref
from .resources import Wanted, parsed
from .texts import cut

READ_COMPLETE = "READ_COMPLETE"

_VERB = {Action.CREATE: "CREATE", Action.MODIFY: "MODIFY", Action.DELETE: "DELETE"}
_HEAT_VERB = {Action.CREATE: "CREATE", Action.MODIFY: "UPDATE", Action.DELETE: "DELETE"}


def worker_state(action: Action, complete: bool) -> str:
    """``CREATE_COMPLETED``, ``MODIFY_FAILED`` …"""
    return f"{_VERB[action]}_{'COMPLETED' if complete else 'FAILED'}"


def failed_status(action: Action) -> str:
    """The stack status to report when Heat never got as far as having one: ``UPDATE_FAILED`` …"""
    return f"{_HEAT_VERB[action]}_FAILED"


# The contract's ------------------------------------------------------------------------------------


def stack_record(ref: Ref, tenant: str, status: str, outputs: Sequence[Json], reason: str) -> dict[str, Json]:
    """``/esi-worker/heat_stacks/…``; a deleted stack has neither name, outputs nor reason."""
    gone = status == "DELETE_COMPLETE"
    return {
        "stack_id": "" if gone else ref.stack_name,
        "tenant_id": tenant,
        "stack_status": status,
        "output": [] if gone else list(outputs),
        "status_reason": "" if gone else reason,
        "id": str(ref),
    }


def job_state_record(status: str, outputs: Sequence[Json]) -> dict[str, Json]:
    """``/esi-worker/job_state/…`` once the stack is done; ``{}`` before."""
    return {"heat_outputs": list(outputs), "orchestration_state": status}


def read_complete_record(version: int, as_string: bool = False) -> dict[str, Json]:
    """``/state/…`` of a resource with nothing to build."""
    return _state({"worker_state": READ_COMPLETE}, version, "", as_string)


def state_record(
    action: Action, status: str, outputs: Sequence[Json], version: int, error: str = "", as_string: bool = False
) -> dict[str, Json]:
    """``/state/…`` at the end of a version.

    :param error: empty when the version is complete; else why not, and what to do.
    :param as_string: write the inner state as JSON in a string, as upstream Gohan's watcher needs.
    """
    state = {
        "worker_state": worker_state(action, not error),
        "heat_outputs": json.dumps(list(outputs)),
        "orchestration_state": status,
    }
    return _state(state, version, error, as_string)


def _state(state: dict[str, Json], version: int, error: str, as_string: bool) -> dict[str, Json]:
    return {"state": json.dumps(state) if as_string else state, "version": version, "error": error}


# Our own, written by the bridge --------------------------------------------------------------------


T = TypeVar("T")
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)
"""What reading a record raises that somebody else wrote, or a release that says things otherwise."""


def read(key: str, value: bytes, parse: Callable[[bytes], T]) -> T:
    """The record at a key.

    :raises RecordUnreadable: naming the key.
    """
    try:
        return parse(value)
    except UNREADABLE as error:
        raise RecordUnreadable(key, f"{type(error).__name__}: {error}") from error


NO_JOB = JobId("")
_NONE: Mapping[Any, Any] = {}
"""One for all: most of a hundred thousand records have neither references nor anything replaced."""


@dataclass(frozen=True, slots=True)
class Handled:
    """What was last turned into a job: ``orchestrator/handled/…``.

    *references* are those of this config alone, by parameter: the next job on the resource lists
    them first, and a deletion waits for whoever refers to this one. *job* is the job made of it.
    Until that is complete, the stack may still be one of an earlier version, which stands on what
    that one referred to: *stands_on*.

    *revision* is the mod revision of the config that was handled, *digest* names its content: by them a resync is told
    from a change of the same version. *rewritten* says that this version was handled before, with another content.
    *built*: there was a stack of this resource by our records when the job was made; *uncertain*: there may have been one,
    by records or not. *force*: a person has decided that the job takes the stack of that name as it is. *sent* is the last
    job that may have reached Heat, also when a later version was refused without one.
    """

    version: int
    incarnation: int
    job: JobId
    template: str
    tenant: str
    references: Mapping[str, tuple[Ref, ...]] = field(default_factory=dict)
    body: Mapping[str, Json] = field(default_factory=dict, repr=False)
    replaced: Mapping[JobId, JobId] = field(default_factory=dict)
    outlived: tuple[JobId, ...] = ()
    stands_on: frozenset[Ref] = frozenset()
    revision: int = 0
    digest: str = ""
    rewritten: bool = False
    sent: JobId = NO_JOB
    built: bool = False
    uncertain: bool = False
    force: bool = False

    def refs(self) -> frozenset[Ref]:
        """What this version refers to."""
        return frozenset(ref for refs in self.references.values() for ref in refs)

    def holds(self, wanted: Wanted) -> bool:
        """Whether this is about a config with the same content: the same write of it, or a resync."""
        if self.revision and self.revision == wanted.revision:
            return True
        if self.digest:
            return self.digest == wanted.digest()
        # Written before there were digests. What was refused then has the body of the version before.
        return not self.job or canonical(dict(self.body)) == canonical(dict(parsed(wanted.body)))

    def to_json(self) -> str:
        references = {name: [list(ref) for ref in refs] for name, refs in self.references.items() if refs}
        return json.dumps(
            {
                "version": self.version,
                "incarnation": self.incarnation,
                "job": self.job,
                "template": self.template,
                "tenant_id": self.tenant,
                "references": references,
                "body": dict(self.body),
                **({"replaced": dict(self.replaced)} if self.replaced else {}),
                **({"outlived": list(self.outlived)} if self.outlived else {}),
                **({"stands_on": [list(ref) for ref in sorted(self.stands_on)]} if self.stands_on else {}),
                **({"revision": self.revision, "digest": self.digest} if self.digest else {}),
                **({"rewritten": True} if self.rewritten else {}),
                **({"sent": self.sent} if self.sent != self.job else {}),
                **({"built": True} if self.built else {}),
                **({"uncertain": True} if self.uncertain else {}),
                **({"force": True} if self.force else {}),
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Handled:
        record = json.loads(text)
        references = {intern(name): tuple(Ref(*ref) for ref in refs) for name, refs in record["references"].items()}
        return cls(
            version=record["version"],
            incarnation=record["incarnation"],
            job=record["job"],
            template=intern(record["template"]),
            tenant=intern(record["tenant_id"]),
            references=references or _NONE,
            body=record["body"],
            replaced=record.get("replaced") or _NONE,
            outlived=tuple(record.get("outlived", ())),
            stands_on=frozenset(Ref(*ref) for ref in record.get("stands_on", ())),
            revision=record.get("revision", 0),
            digest=record.get("digest", ""),
            rewritten=record.get("rewritten", False),
            sent=record.get("sent", record["job"]),
            built=record.get("built", False),
            uncertain=record.get("uncertain", "digest" not in record),
            force=record.get("force", False),
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A config that waits for something before it can become a job: ``orchestrator/held/…``.

    *incarnation* is that of the config; 0 where it is not known.
    """

    version: int
    waits_for: Ref
    reason: str
    incarnation: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", cut(self.reason))

    def to_json(self) -> str:
        record = {"version": self.version, "waits_for": self.waits_for.to_record(), "reason": self.reason}
        return json.dumps({**record, **({"incarnation": self.incarnation} if self.incarnation else {})})

    @classmethod
    def from_json(cls, text: str | bytes) -> Held:
        record = json.loads(text)
        waits_for = Ref.from_record(record["waits_for"])
        return cls(record["version"], waits_for, record["reason"], record.get("incarnation", 0))


@dataclass(frozen=True, slots=True)
class Failed:
    """How the last version of a resource failed: ``orchestrator/failed/…``.

    *root* is the resource whose own failure is the cause; the resource itself when it is its own.
    *through* is the one that this refers to directly: when either is repaired, this is tried again.
    """

    version: int
    action: Action
    error: str
    root: Ref
    attempts: int = 1
    through: Ref | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "error", cut(self.error))

    @property
    def causes(self) -> frozenset[Ref]:
        """The resources whose repair gives the version another try."""
        return frozenset({self.root, self.through} if self.through else {self.root})

    def to_json(self) -> str:
        return json.dumps(
            {
                "version": self.version,
                "action": self.action.value,
                "error": self.error,
                "root": self.root.to_record(),
                "attempts": self.attempts,
                **({"through": self.through.to_record()} if self.through else {}),
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Failed:
        record = json.loads(text)
        through = Ref.from_record(record["through"]) if "through" in record else None
        known = (record["version"], Action(record["action"]), record["error"], Ref.from_record(record["root"]), record["attempts"])
        return cls(*known, through)


# Our own, written by an operator's command ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """A version is to be tried once more: ``orchestrator/retry/…``.

    *force*: the stack of the resource's name in Heat is to be taken as it is, though it is not recorded as ours or an
    update may replace what failed a check. *confirm*: the deletion of a stack whose config was gone at this revision,
    and which is held, may go; 0: that is not what is asked.
    """

    force: bool = False
    confirm: int = 0

    def to_json(self) -> str:
        record: dict[str, Json] = {"force": True} if self.force else {}
        return json.dumps({**record, **({"confirm": self.confirm} if self.confirm else {})})

    @classmethod
    def from_json(cls, text: str | bytes) -> RetryAsked:
        """Whatever else is in there, it is a request without a word more."""
        try:
            record = json.loads(text)
        except ValueError:
            return cls()
        if not isinstance(record, dict):
            return cls()
        seen = record.get("confirm")
        return cls(record.get("force") is True, seen if type(seen) is int else 0)


@dataclass(frozen=True, slots=True)
class Brake:
    """Deletions are held: ``orchestrator/brake``.

    *since* is when (``2026-11-27T21:49:01Z``). More than *limit* configs of built resources had been removed; *removed* of
    them were not carried out yet.
    """

    since: str
    removed: int
    limit: int

    def to_json(self) -> str:
        return json.dumps({"since": self.since, "removed": self.removed, "limit": self.limit})

    @classmethod
    def from_json(cls, text: str | bytes) -> Brake:
        record = json.loads(text)
        return cls(str(record["since"]), int(record["removed"]), int(record["limit"]))


@dataclass(frozen=True, slots=True)
class Identity:
    """For what a bridge leads: ``orchestrator/identity``.

    By another one, every resource could seem to be gone: so they are compared before anything is decided.
    """

    config: str
    state: str
    monitoring: str
    jobs: str
    types: str
    cluster: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Identity:
        record = json.loads(text)
        return cls(*(str(record[name.name]) for name in fields(cls)))


@dataclass(frozen=True, slots=True)
class IdentityTrouble:
    """Why the bridge decides nothing: ``orchestrator/identity/trouble``. *found* is what it would lead for."""

    reason: str
    since: str
    found: Identity

    def to_json(self) -> str:
        return json.dumps({"reason": self.reason, "since": self.since, "found": asdict(self.found)})

    @classmethod
    def from_json(cls, text: str | bytes) -> IdentityTrouble:
        record = json.loads(text)
        return cls(str(record["reason"]), str(record["since"]), Identity.from_json(json.dumps(record["found"])))


# Our own, written by the workers -------------------------------------------------------------------


class Cause(StrEnum):
    """Why a run is tried again."""

    UNAVAILABLE = "unavailable"
    """Heat or Keystone did not answer, or not with an answer: the tenant's other jobs will fare no better."""
    BUSY = "busy"
    """The stack is not ready for our request."""
    FAULT = "fault"
    """Heat answered this very request with an error of its own (500): the tenant's other jobs may fare better."""
    CREDENTIALS = "credentials"
    """The workers' credentials are refused, or cannot be used: a person has to act."""
    PROJECT = "project"
    """Keystone knows no such project, or gives us no role in it: a person has to act, there or in the config."""


class Step(StrEnum):
    """Where a run stands; tasks move it, each by comparing the revision it read.

    ::

        (none) ─▶ CLAIMED ─▶ WAITING ─▶ ENDED ─▶ DONE ─▶ (removed by the bridge)
                    │  ▲                  │
                    ▼  │                  └─▶ WAITING   (seen too early)
                   RETRY ◀── temporary failure; the bridge sends the job again after *delay*
    """

    CLAIMED = "claimed"
    """A worker prepares the request or talks to Heat. The record hangs on the worker's lease: if the
    worker dies, it vanishes and the bridge sends the job again."""
    RETRY = "retry"
    """A temporary failure; sent again after *delay* seconds."""
    WAITING = "waiting"
    """Heat took the request and works on it. No task exists; the tenant's next look will see."""
    ENDED = "ended"
    """A look found that Heat is done, and records it or has it recorded."""
    DONE = "done"
    """The outcome is written. The bridge starts what depends on it, then removes the record."""


_RUN_FIELDS = (
    "stack",
    "attempt",
    "failures",
    "delay",
    "due",
    "reason",
    "cause",
    "since",
    "asked_at",
    "timeout_mins",
    "asked",
    "absent",
    "unresolved",
    "deaths",
    "overdue",
    "complete",
    "live",
    "monitored",
)
"""The plain fields of a run's record."""


@dataclass(frozen=True, slots=True)
class Run:
    """One job as the workers carry it out: ``orchestrator/runs/<tenant>/<job id>``.

    *stack* is Heat's own id of the stack; *attempt* counts temporary failures in a row, *failures* the
    times that Heat took the request and it came to nothing; *delay* is in seconds, *cause* says what
    kind of failure the last one was. *since* (the first claim), *asked_at* and *due* (when *delay* is
    over) are seconds since the epoch, by the worker's clock: they are shown, and nothing is decided by them. *asked*
    says that Heat may have taken a request of this job; *absent* that Heat has shown no stack to delete once already;
    *unresolved* counts the looks at which Heat could not compute an output, *deaths* the workers in a row that died over
    the job; *overdue* is the bridge's word that the time
    for the operation, or for waiting for the stack, is over. The last four are the outcome: how it ended
    (*complete*), whether a stack is left (*live*) and has monitoring targets (*monitored*), and
    the *root* of the failure that *reason* tells.
    """

    step: Step
    stack: str = ""
    attempt: int = 0
    failures: int = 0
    delay: float = 0.0
    due: float = 0.0
    reason: str = ""
    cause: str = ""
    since: float = 0.0
    asked_at: float = 0.0
    timeout_mins: int = 0
    asked: bool = False
    absent: bool = False
    unresolved: int = 0
    deaths: int = 0
    overdue: bool = False
    complete: bool = False
    live: bool = False
    monitored: bool = False
    root: Ref | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", cut(self.reason))

    @property
    def tries(self) -> int:
        """How often it did not work so far: at least, for *attempt* begins anew when Heat answers."""
        return self.attempt + self.failures

    def resumed(self, now: float) -> Run:
        """The same for whoever finds it at *now*: what has passed of the delay is not waited for again.

        Only for a leader that begins: by clocks that disagree, the delay may count as over at once.
        """
        return replace(self, delay=min(max(self.due - now, 0.0), self.delay)) if self.due else self

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
        known = {name: record[name] for name in _RUN_FIELDS if name in record}
        return cls(Step(record["step"]), **known, root=Ref.from_record(root) if root else None)


class LoginState(StrEnum):
    """How the last login with some credentials went."""

    ACCEPTED = "accepted"
    TRYING = "trying"
    """A worker tries it; the others wait for what comes of it."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Login:
    """The last login of all workers with one account and password:
    ``orchestrator/logins/<account>``.

    Keystone may lock an account after a few wrong passwords, so the workers try one at a time, and
    rarely. *who* and *reason* are for people. *refusals* counts those in a row. *at* is when this
    was written, *until* when the next try may be made or, of a try, when it counts as broken off:
    seconds since the epoch, by the worker's clock.
    """

    state: LoginState
    who: str
    at: float
    until: float = 0.0
    refusals: int = 0
    reason: str = ""

    def to_json(self) -> str:
        record: dict[str, Json] = {"state": self.state.value, "who": self.who, "at": self.at}
        for name in ("until", "refusals", "reason"):
            if value := getattr(self, name):
                record[name] = value
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str | bytes) -> Login:
        record = json.loads(text)
        # A newer release may write more: what this one does not know, it leaves alone.
        known = {name: record[name] for name in ("until", "refusals", "reason") if name in record}
        return cls(LoginState(record["state"]), record["who"], record["at"], **known)
