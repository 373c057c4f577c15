"""A plan as a value, and as the JSON document that programs read (docs/howto/plan-changes.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from hashlib import sha256

from ..documents import canonical
from ..jobs import Action
from ..records.durations import Kind
from ..refs import Json, Ref
from .patches import PatchOperation

FORMAT = 1
"""The number of the document's form: a program that knows another one leaves it alone."""


class What(StrEnum):
    """What happens to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REBUILD = "rebuild"
    """The same version is asked of Heat again."""
    REPLACE = "replace"
    """The stack is deleted, and another one is built: the id was removed and made anew."""
    MOVE = "move"
    """The same, in another tenant."""
    DELETE = "delete"
    NOTHING = "nothing"
    """Heat is not asked. The config may change all the same."""
    HELD = "held"
    """It waits for something that this plan does not bring."""
    REFUSED = "refused"
    """It cannot become a job, and is reported as failed."""

    @property
    def requests(self) -> int:
        """How many requests Heat gets that change something."""
        return _REQUESTS.get(self, 1)

    @property
    def destroys(self) -> bool:
        """Whether a stack is deleted."""
        return self in (What.REPLACE, What.MOVE, What.DELETE)


_REQUESTS = {
    What.REPLACE: 2,
    What.MOVE: 2,
    What.NOTHING: 0,
    What.HELD: 0,
    What.REFUSED: 0,
}


@dataclass(frozen=True, slots=True)
class Then:
    """A resource that follows another one. *if_*: ``always``, or ``output``: only if an output that
    it was built from changes."""

    ref: Ref
    if_: str

    def to_json(self) -> dict[str, Json]:
        return {"type": self.ref.type, "id": self.ref.id, "if": self.if_}

    @classmethod
    def from_json(cls, told: Mapping[str, Json]) -> Then:
        return cls(Ref(told["type"], told["id"]), told["if"])


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one resource."""

    ref: Ref
    what: What
    because: str
    """``config``, ``template``, ``asked``, ``waited for network:n1`` …; the reason of what is held
    or refused."""
    version_from: int | None = None
    version_to: int | None = None
    body: tuple[PatchOperation, ...] = ()
    """From the config that is there to the planned one."""
    parameters: Mapping[str, tuple[Json, Json]] = field(default_factory=dict)
    """Those that change: by name, what was asked of Heat last, and what will be."""
    hot: str = ""
    """The unified difference of the rendered templates."""
    then: tuple[Then, ...] = ()
    wave: int = 0
    """Resources of one wave are built at the same time. 0: Heat is not asked."""
    unknown: tuple[str, ...] = ()
    """What cannot be said before it happens, a sentence each."""
    heat: Json = None
    """What Heat's own preview says; None: it was not asked."""

    def to_json(self) -> dict[str, Json]:
        return {
            "type": self.ref.type,
            "id": self.ref.id,
            "action": self.what.value,
            "because": self.because,
            "version": {"from": self.version_from, "to": self.version_to},
            "body": [operation.to_json() for operation in self.body],
            "parameters": {
                name: {"from": before, "to": after}
                for name, (before, after) in self.parameters.items()
            },
            "hot": self.hot,
            "then": [then.to_json() for then in self.then],
            "wave": self.wave,
            "unknown": list(self.unknown),
            "heat": self.heat,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Json]) -> Change:
        """A change as :meth:`to_json` told it."""
        return cls(
            Ref(told["type"], told["id"]),
            What(told["action"]),
            told["because"],
            told["version"]["from"],
            told["version"]["to"],
            tuple(map(PatchOperation.from_json, told["body"])),
            {
                name: (values["from"], values["to"])
                for name, values in told["parameters"].items()
            },
            told["hot"],
            tuple(map(Then.from_json, told["then"])),
            told["wave"],
            tuple(told["unknown"]),
            told["heat"],
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a plan will take."""

    seconds: float | None
    """None when nothing of it was measured; a lower bound when something was not."""
    jobs: int = 0
    """How many measured jobs it is made from."""
    together: float = 1.0
    """How many jobs were under way at once when they were measured."""
    unknown: tuple[Kind, ...] = ()
    """What has not been measured."""

    def to_json(self) -> dict[str, Json]:
        return {
            "seconds": self.seconds,
            "jobs": self.jobs,
            "together": self.together,
            "unknown": [
                {"type": kind, "action": action.value}
                for kind, action in self.unknown
            ],
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Json]) -> Estimate:
        """An estimate as :meth:`to_json` told it."""
        unknown = tuple(
            (kind["type"], Action(kind["action"])) for kind in told["unknown"]
        )
        return cls(told["seconds"], told["jobs"], told["together"], unknown)


@dataclass(frozen=True, slots=True)
class RolloutForecast:
    """A roll-out that is not over, when a plan was made."""

    id: str
    template: str
    phase: str
    """``canary``, ``waiting``, ``waves``, ``stopped`` or ``reverting``."""
    paused: bool = False
    left: int = 0
    """How many stacks it has yet to rebuild: before the promotion, how many canaries."""
    stops: bool = False
    """Whether it stops because the plan pushes another revision, or somebody has pushed one."""

    def to_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Json]) -> RolloutForecast:
        """A forecast as :meth:`to_json` told it."""
        return cls(**told)


@dataclass(frozen=True)
class Plan:
    """What would happen, and what that was worked out from."""

    revision: int
    """Everything was read at this revision of etcd."""
    reads: Mapping[str, int]
    """The keys that the plan relies on, and the mod revision of each; 0: there is no such key."""
    changes: tuple[Change, ...]
    """In the order of their waves. What Heat is not asked for comes last."""
    estimate: Estimate = Estimate(None)
    """How long it will take."""
    rollouts: tuple[RolloutForecast, ...] = ()
    """The roll-outs that are under way."""

    @property
    def idle(self) -> bool:
        """Whether nothing happens: all is as it is wanted, or waits for others."""
        busy = (What.NOTHING, What.HELD)
        return all(
            change.what in busy and not change.body for change in self.changes
        )

    @property
    def requests(self) -> int:
        """How many requests Heat gets that change something."""
        return sum(change.what.requests for change in self.changes)

    @property
    def summary(self) -> dict[str, int]:
        """How many resources each action has."""
        counted = Counter(change.what for change in self.changes)
        return {what.value: counted[what] for what in What if counted[what]}

    @cached_property
    def digest(self) -> str:
        """Names the plan: SHA-256 over the canonical JSON of everything else in it."""
        return digest(self._without_digest())

    def _without_digest(self) -> dict[str, Json]:
        return {
            "plan": FORMAT,
            "revision": self.revision,
            "reads": dict(sorted(self.reads.items())),
            "changes": [change.to_json() for change in self.changes],
            "summary": self.summary,
            "requests": self.requests,
            "estimate": self.estimate.to_json(),
            "rollouts": [rollout.to_json() for rollout in self.rollouts],
        }

    def to_json(self) -> dict[str, Json]:
        return {**self._without_digest(), "digest": self.digest}

    @classmethod
    def from_json(cls, told: Mapping[str, Json]) -> Plan:
        """A plan as :meth:`to_json` told it."""
        changes = map(Change.from_json, told["changes"])
        estimate = Estimate(None)
        if "estimate" in told:
            estimate = Estimate.from_json(told["estimate"])
        listed = told.get("rollouts", ())
        rollouts = tuple(map(RolloutForecast.from_json, listed))
        return cls(
            told["revision"],
            told["reads"],
            tuple(changes),
            estimate,
            rollouts,
        )


def digest(value: Json) -> str:
    """SHA-256 of a value's canonical JSON (sorted names, no white space, ASCII), in hexadecimal."""
    return sha256(canonical(value).encode()).hexdigest()
