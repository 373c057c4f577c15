"""What the checker knows: every change of every key of etcd, and every operation that Heat took. Nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ObservedEvent:
    """One change of one key. *value* is None when it was removed; *at* is when the recorder saw it.

    Revisions rise also over a restore of etcd, by an offset. *restored* are changes that nobody has written: what a
    backup took back. *born* is the create revision as etcd counts it.
    """

    revision: int
    at: float
    key: str
    value: str | None
    created: int
    restored: bool = False
    born: int = 0


@dataclass(frozen=True, slots=True)
class Restore:
    """etcd went back to a backup. *touched* are the resources of which something was lost."""

    at: float
    revision: int
    touched: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One create, update or delete that Heat took, from *at* to *ends* by Heat's clock, which is also ours.

    *outcome* is COMPLETE, FAILED, or OVERTAKEN: somebody else had Heat begin something else meanwhile.
    """

    method: str
    tenant: str
    stack: str
    tag: str
    at: float
    ends: float
    outcome: str = "COMPLETE"
    reason: str = ""
    stack_id: str = ""
    value: str = ""
    """The parameter that says of which content of the config the request was made."""
    foreign: bool = False
    """Somebody else asked, not the orchestrator."""
    inputs: str = ""
    """The outputs of other stacks that the request was made of and that change from time to time."""

    def __str__(self) -> str:
        took = f"{self.at:.3f}–{self.ends:.3f}"
        who = "Heat, by somebody else:" if self.foreign else "Heat"
        return f"{who} {self.method} {self.value} {self.tenant}/{self.stack} [{self.tag}] {took} {self.outcome} {self.reason}"


def inputs_of(parameters: Any) -> str:
    """The levels of the parents that a stack was built with."""
    given = parameters or {}
    names = sorted(name for name in given if name.endswith("_level"))
    return "/".join(str(given[name]) for name in names if given[name])


def level_of(parameters: Any) -> str:
    """The output ``level`` of a stack: its own level, and those of the parents that it was built with. So a change
    goes on to the children, and to theirs."""
    own, above = str((parameters or {}).get("level", "")), inputs_of(parameters)
    return f"{own}/{above}" if above else own


@dataclass(frozen=True, slots=True)
class ObservedStanding:
    """A stack that Heat has at the end."""

    tenant: str
    name: str
    status: str
    parameters: dict[str, Any]


@dataclass(slots=True)
class Facts:
    """All of it; *events* in order of revision, *operations* in the order in which Heat took them."""

    events: list[ObservedEvent] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    stacks: list[ObservedStanding] = field(default_factory=list)
    restores: list[Restore] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Keep everything, so that the check can be made again."""
        for name in ("events", "operations", "stacks", "restores"):
            _write(folder / f"{name}.jsonl", (asdict(item) for item in getattr(self, name)))

    @classmethod
    def load(cls, folder: Path) -> Facts:
        return cls(
            [ObservedEvent(**item) for item in _read(folder / "events.jsonl")],
            [Operation(**item) for item in _read(folder / "operations.jsonl")],
            [ObservedStanding(**item) for item in _read(folder / "stacks.jsonl")],
            [Restore(**item) for item in _read(folder / "restores.jsonl")],
        )


def _write(path: Path, items: Iterable[dict[str, Any]]) -> None:
    with path.open("w") as file:
        for item in items:
            file.write(json.dumps(item) + "\n")


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]
