"""How the scripted Heat behaves: random durations, operations that fail, an API that misbehaves in bursts. Seeded."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field

from orchestrator.sandbox.scripted_heat import Script, ScriptedHeat

from .facts import Operation, Standing

_REFUSALS = (
    (503, "ServiceUnavailable", "the service is away"),
    (429, "OverLimit", "too many requests"),
    (500, "InternalServerError", "an internal error"),
    (504, "GatewayTimeout", "the gateway waited too long"),
)


@dataclass(slots=True)
class Mood:
    """What Heat does of itself. *bad* is the chance that an API request is refused, *where* the tenant ("": all)."""

    seed: int
    fail_rate: float = 0.04
    stubborn_rate: float = 0.05
    bad: float = 0.0
    where: str = ""
    refused: int = 0
    _random: random.Random = field(init=False)
    _stubborn: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(f"heat {self.seed}")

    def script(self, method: str, tenant: str, name: str) -> Script:
        """How an operation goes."""
        with self._lock:
            self._count += 1
            duration = self._random.choice((0.05, 0.2, 0.5, 1.0, 2.0)) * self._random.uniform(0.5, 1.0)
            if method == "delete":
                failing = self._deletion_fails(f"{tenant}/{name}")
            else:
                self._stubborn.pop(f"{tenant}/{name}", None)
                failing = self._random.random() < self.fail_rate
            if not failing:
                return Script(duration, reason=f"Stack {method.upper()} completed successfully")
            return Script(duration, "FAILED", f"scripted failure {self._count}")

    def _deletion_fails(self, stack: str) -> bool:
        """Some stacks refuse to go a few times in a row."""
        if stack not in self._stubborn:
            stubborn = self._random.random() < self.stubborn_rate
            self._stubborn[stack] = self._random.choice((1, 1, 2, 4)) if stubborn else 0
        self._stubborn[stack] -= 1
        return self._stubborn[stack] >= 0

    def refuse(self, method: str, tenant: str, path: str) -> tuple[int, str, str] | None:
        """Whether an API request is refused before any work is done."""
        if not self.bad or (self.where and tenant != self.where):
            return None
        with self._lock:
            if self._random.random() >= self.bad:
                return None
            self.refused += 1
            return self._random.choice(_REFUSALS)


def operations(heat: ScriptedHeat) -> list[Operation]:
    """Heat's request log. Of the two tags of a request, the first names the job; the other one, the resource."""
    return [
        Operation(r.method, r.tenant, r.stack, r.tag.partition(",")[0], r.at, r.ends, r.outcome, r.reason, r.stack_id)
        for r in list(heat.requests)
    ]


def standing(heat: ScriptedHeat) -> list[Standing]:
    """The stacks that Heat has, of every tenant."""
    return [
        Standing(stack.tenant, stack.name, stack.status, dict(stack.parameters or {}))
        for stack in list(heat.stacks.values())
        if not stack.gone
    ]


def await_idle(heat: ScriptedHeat, timeout: float = 30.0) -> None:
    """Until no operation is in progress."""
    end = time.monotonic() + timeout
    while any(stack.in_progress for stack in list(heat.stacks.values())) and time.monotonic() < end:
        time.sleep(0.05)
