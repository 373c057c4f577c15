"""Wrong answers in the place of Heat's, each once to every kind of request, in the whole system.

The door's part, request by request, is in ``tests/contract/test_heat_answers.py``. Here a real
bridge and real workers create, update and delete a stack for each wrong answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator.core.refs import Ref

from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system
from tests.scripted.heat import ScriptedHeat
from tests.scripted.odd_answers import OddAnswer, odd_answers
from tests.scripted.stacks import Script

LOST = (
    "a page with 502",
    "a page with 404",
    "an empty object",
    "no answer",
    "a body that breaks off",
)
"""These also come after Heat has taken the request: it must not be asked again."""


class Oddly:
    """Each tenant has a wrong answer of its own, which comes once to every kind of request."""

    def __init__(self) -> None:
        self.answers: dict[str, OddAnswer] = {}
        self.names: dict[str, str] = {}
        for name, odd in odd_answers().items():
            self._add(name, odd)
        for name in LOST:
            self._add(f"{name}, after Heat has taken the request", odd_answers()[name].taken())
        self.sent: Counter[tuple[str, str, bool]] = Counter()

    def _add(self, name: str, odd: OddAnswer) -> None:
        tenant = f"t{len(self.answers)}"
        self.answers[tenant], self.names[tenant] = odd, name

    def __call__(self, method: str, tenant: str, name: str) -> OddAnswer | None:
        self.sent[method, tenant, bool(name)] += 1
        first = self.sent[method, tenant, bool(name)] == 1
        return self.answers.get(tenant) if first else None


@pytest.fixture
def heat() -> Iterator[ScriptedHeat]:
    with ScriptedHeat(script=lambda *_: Script(duration=0.3)) as scripted:
        yield scripted


@pytest.fixture
def nodes(tmp_path: Path, heat: ScriptedHeat) -> Iterator[System]:
    settings: dict[str, Any] = {
        "ORCHESTRATOR_HEAT_POLL_INTERVAL": "1",
        "ORCHESTRATOR_HEAT_TIMEOUT": "5",
    }
    environment = heat.environment()
    with system(tmp_path, environment, schemas=NODE_SCHEMAS, concurrency=8, **settings) as running:
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running


def test_no_wrong_answer_fails_a_version_loses_a_stack_or_asks_twice(
    nodes: System, heat: ScriptedHeat
) -> None:
    heat.odd = oddly = Oddly()
    refs = {tenant: Ref("node", f"n-{tenant}") for tenant in oddly.answers}

    def done(what: str, version: int) -> None:
        """All are, and nothing else was ever reported."""

        def missing() -> list[str]:
            told = {t: nodes.worker_state(ref, version) for t, ref in refs.items()}
            return [f"{oddly.names[t]}: {told[t]}" for t in refs if told[t] != what]

        nodes.until(lambda: not missing(), 120, lambda: f"{what}: {missing()[:5]}")
        assert [nodes.state(ref)["error"] for ref in refs.values()] == [""] * len(refs)

    for tenant, ref in refs.items():
        nodes.put("node", ref.id, tenant_id=tenant, value="one")
    done("CREATE_COMPLETED", 1)
    oddly.sent.clear()
    for tenant, ref in refs.items():
        nodes.put("node", ref.id, 2, tenant_id=tenant, value="two")
    done("MODIFY_COMPLETED", 2)
    assert {stack.parameters["value"] for stack in heat.live().values()} == {"two"}
    oddly.sent.clear()
    for tenant, ref in refs.items():
        nodes.put("node", ref.id, 3, tenant_id=tenant, marked=True)
    done("DELETE_COMPLETED", 3)

    taken = Counter((request.tenant, request.method) for request in heat.requests)
    assert {key: count for key, count in taken.items() if count != 1} == {}
    assert len(taken) == 3 * len(refs)
    assert heat.live() == {}
    nodes.await_quiet()
