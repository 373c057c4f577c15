"""The orchestrator on a real Heat: bridge and steps in this process, etcd and Celery as doubles."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from orchestrator.bridge.timing import Timing
from orchestrator.clients.heat import Heat
from orchestrator.clock import CLOCK
from orchestrator.core.backoff import Backoff
from orchestrator.core.records import Run
from orchestrator.core.refs import Ref
from orchestrator.core.rendering import StackRequest
from orchestrator.core.stacks import Stack, owner_tag
from orchestrator.errors import TemporaryError
from tasks.context import Sightings

from tests.doubles import ManualClock
from tests.unit.system.driver import System

from . import states
from .heat_api import Project
from .states import PlayedStack

SETTLING = 3.0
"""Seconds after which what Heat shows counts as the truth; in production it is 15."""

_LONG = 120.0
"""Seconds after which a test gives up."""


class RecordedHeat(Heat):
    """The door to Heat, with a list of what Heat took, by the stack's name."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: defaultdict[str, list[str]] = defaultdict(list)

    def create(self, request: StackRequest, tag: str) -> str:
        made = super().create(request, tag)
        self.asked[request.name].append("create")
        return made

    def update(self, request: StackRequest, stack: Stack, tag: str) -> None:
        super().update(request, stack, tag)
        self.asked[request.name].append("update")

    def delete(self, tenant: str, stack: Stack) -> None:
        super().delete(tenant, stack)
        self.asked[stack.name].append("delete")

    def working(self) -> list[tuple[str, Stack]]:
        """What a test has to end: nothing, this Heat does it itself."""
        return []


class RealTime(ManualClock):
    """The clock of the machine: a real Heat takes its own time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = CLOCK


class RealSystem(System):
    """A bridge and a worker whose Heat is a real one, named by the ``OS_*`` variables."""

    def __init__(self) -> None:
        self.real = RecordedHeat()
        heat: Any = self.real
        timing = Timing(poll_interval=0.3, patience=0.2)
        super().__init__(heat=heat, timing=timing, clock=RealTime())
        self.worker.sightings = Sightings(SETTLING)
        self.worker.policies = ((TemporaryError, Backoff(initial=0.5, maximum=1.0)),)
        mappings = {"gate": "Pgate", "value": "Pvalue", "heat_timeout": "C5"}
        mappings["heat_on_failure"] = "Ppolicy"
        template = {"template_file": json.dumps(states.TEMPLATE), "parameter_mappings": mappings}
        self.store.put(self.keys.template("network"), json.dumps({"body": template}))

    def play(self, ready: Callable[[], object], what: Callable[[], str]) -> None:
        """Carry out messages until something is true."""
        end = time.monotonic() + _LONG
        while not ready():
            assert time.monotonic() < end, f"not within {_LONG:g} s: {what()}"
            self.work()

    def run_of(self, ref: Ref) -> Run | None:
        """Where the resource's job stands."""
        key = f":{ref.type}:{ref.id}:"
        return next((run for job, run in self.runs().items() if key in job), None)

    def is_reported(self, ref: Ref, version: int) -> bool:
        found = self.state(ref)
        return found is not None and found["version"] == version

    def ended_as(self, ref: Ref) -> str:
        """``CREATE_COMPLETED`` and so on."""
        return str(self.state(ref)["state"]["worker_state"])

    def asked_for(self, ref: Ref) -> tuple[str, ...]:
        """What Heat has taken for the resource, oldest first."""
        return tuple(self.real.asked[ref.stack_name])


@dataclass(frozen=True)
class Engine:
    """A real Heat whose things obey gates; the ``OS_*`` variables name it."""

    project: Project
    database: Path
    folder: Path
    """Where the gates are."""
    convergence: bool

    def subject(self, ref: Ref) -> PlayedStack:
        """The stack of a resource, as somebody has it who knows whose it is."""
        tags = f"orchestrator-0-other,{owner_tag(ref)}"
        gate = self.folder / f"{ref.id}.gate"
        return PlayedStack(self.project, ref.stack_name, gate, tags, self.database)


@dataclass
class Cell:
    """One resource with its stack, and what became of it."""

    ref: Ref
    subject: PlayedStack
    held: tuple[str, ...] = ()
    """What Heat was asked before its operation in progress ended."""
    policy: str = ""
    """What its template says about failed stacks; empty: nothing, which means ``repair``."""


C = TypeVar("C", bound=Cell)


class Play(Generic[C]):
    """Many cells side by side on one engine: what one of them has to wait for, all wait for."""

    def __init__(self, cells: Sequence[C]) -> None:
        self.cells = cells
        self.system = RealSystem()
        self._pool = ThreadPoolExecutor(8)

    def put(self, cell: C, version: int, *, marked: bool = False) -> None:
        """Write the cell's config."""
        fields = {"gate": str(cell.subject.gate), "value": f"v{version}", "policy": cell.policy}
        self.system.put(cell.ref, version, marked=marked, **fields)

    def each(self, do: Callable[[C], object], cells: Sequence[C] | None = None) -> None:
        """Do something to each cell, several at a time, while the orchestrator stands still."""
        list(self._pool.map(do, self.cells if cells is None else cells))

    def until(self, ready: Callable[[C], bool]) -> None:
        """Let the orchestrator work until it is true of every cell."""
        waiting = list(self.cells)

        def done() -> bool:
            waiting[:] = [cell for cell in waiting if not ready(cell)]
            return not waiting

        def what() -> str:
            runs = {str(cell.ref): self.system.run_of(cell.ref) for cell in waiting[:3]}
            return f"{len(waiting)} cells wait, among them {runs}"

        self.system.play(done, what)
