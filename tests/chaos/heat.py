"""How the scripted Heat behaves: random durations, operations that fail, an API that misbehaves in bursts. Seeded."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from tests.scripted.heat import ScriptedHeat
from tests.scripted.odd_answers import OddAnswer, odd_answers
from tests.scripted.stacks import Script, ScriptedStack

from .facts import ObservedStanding, Operation, inputs_of, level_of

WINDOW = 1.5
"""Seconds for which a deleted stack keeps its name, as with convergence."""
_REFUSALS = (
    (503, "ServiceUnavailable", "the service is away"),
    (429, "OverLimit", "too many requests"),
    (500, "InternalServerError", "an internal error"),
    (504, "GatewayTimeout", "the gateway waited too long"),
)


@dataclass(slots=True)
class Mood:
    """What Heat does of itself. *bad* is the chance that an API request is refused, *where* the tenant ("": all).

    *odd* is the chance that something else than Heat answers it, at times after Heat has taken it.
    """

    seed: int
    fail_rate: float = 0.04
    stubborn_rate: float = 0.05
    bad: float = 0.0
    where: str = ""
    refused: int = 0
    odd: float = 0.0
    odd_where: str = ""
    answered_oddly: int = 0
    _random: random.Random = field(init=False)
    _stubborn: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: int = 0

    _odd_random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(f"heat {self.seed}")
        self._odd_random = random.Random(f"odd answers {self.seed}")

    def script(self, method: str, tenant: str, name: str) -> Script:
        """How an operation goes."""
        with self._lock:
            self._count += 1
            duration = self._random.choice((0.05, 0.2, 0.5, 1.0, 2.0)) * self._random.uniform(
                0.5, 1.0
            )
            if method in ("suspend", "resume", "check"):
                failing = False
            elif method == "delete":
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

    def odd_answer(self, method: str, tenant: str, name: str) -> OddAnswer | None:
        """What comes in the place of Heat's answer."""
        if not self.odd or (self.odd_where and tenant != self.odd_where):
            return None
        with self._lock:
            if self._odd_random.random() >= self.odd:
                return None
            self.answered_oddly += 1
            odd = self._odd_random.choice(list(odd_answers(name or "somebody_elses").values()))
            return odd.taken() if self._odd_random.random() < 0.3 else odd


def outputs(stack: ScriptedStack) -> list[dict[str, Any]]:
    """The id and the level that others are built from, and of which content the stack was built."""
    value = (stack.parameters or {}).get("value", "")
    return [
        {"output_key": "id", "output_value": f"{stack.name}-id", "description": "The id."},
        {"output_key": "value", "output_value": value, "description": "The value."},
        {"output_key": "level", "output_value": level_of(stack.parameters), "description": ""},
    ]


def operations(heat: ScriptedHeat) -> list[Operation]:
    """Heat's request log. Of the two tags of a request, the first names the job; the other one, the resource."""
    found = [
        Operation(
            r.method,
            r.tenant,
            r.stack,
            r.tag.partition(",")[0],
            r.at,
            r.ends,
            r.outcome,
            r.reason,
            r.stack_id,
            str((r.parameters or {}).get("value", "")),
            r.foreign,
            inputs_of(r.parameters),
        )
        for r in list(heat.requests)
    ]
    return _overtaken(found)


def _overtaken(operations: list[Operation]) -> list[Operation]:
    """The same; those end early that another one on the same stack has taken over from."""
    begun: defaultdict[str, list[float]] = defaultdict(list)
    for operation in operations:
        begun[operation.stack_id].append(operation.at)
    found = []
    for operation in operations:
        later = [at for at in begun[operation.stack_id] if operation.at < at < operation.ends]
        found.append(
            replace(operation, ends=min(later), outcome="OVERTAKEN", reason="")
            if later
            else operation
        )
    return found


def standing(heat: ScriptedHeat) -> list[ObservedStanding]:
    """The stacks that Heat has, of every tenant."""
    return [
        ObservedStanding(stack.tenant, stack.name, stack.status, dict(stack.parameters or {}))
        for stack in list(heat.stacks.values())
        if not stack.gone
    ]


def await_idle(heat: ScriptedHeat, timeout: float = 30.0) -> None:
    """Until no operation is in progress."""
    end = time.monotonic() + timeout
    while any(stack.in_progress for stack in list(heat.stacks.values())) and time.monotonic() < end:
        time.sleep(0.05)
