"""A changed template reaches its stacks step by step, and stops by itself when it is bad."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from orchestrator.core.keys import Keys
from orchestrator.core.records import Built, Handled, Phase, Rollout, TemplateRevision
from orchestrator.core.refs import Ref
from orchestrator.core.stacks import Stack
from orchestrator.core.templates import Template, parse_template

from tests import factories
from tests.factories import HOT, network

from .driver import System, complete

ID = "network"
BEFORE = factories.templates()[ID]


def template(text: str = "# new\n", **mappings: Any) -> Template:
    mapped = {"name": "Pname", **mappings}
    return parse_template(ID, {"template_file": HOT + text, "parameter_mappings": mapped})


NEW = template()


@pytest.fixture
def system() -> Iterator[System]:
    with System() as running:
        yield running


class Operator:
    """What the commands write, and what the records say."""

    def __init__(self, system: System, new: Template = NEW) -> None:
        self.system, self.new = system, new
        self.keys: Keys = system.keys
        self._started = 0

    def start(self, **fields: Any) -> None:
        self._started += 1
        known = {
            "canary": 3,
            "waves": (10, 50, 100),
            "max_parallel": 4,
            **fields,
        }
        promoted = not known["canary"]
        rollout = Rollout(
            id=f"r{self._started}",
            template=ID,
            before=BEFORE.revision,
            revision=self.new.revision,
            by="alice@host",
            since="2026-11-28T08:50:12Z",
            phase=Phase.WAVES if promoted else Phase.CANARY,
            promoted=promoted,
            **known,
        )
        revision = TemplateRevision.of(self.new, rollout.since)
        self.system.store.put(self.keys.candidate(ID, rollout.id), revision.to_json())
        if promoted:
            self.push(self.new)
        self.system.store.put(self.keys.rollout(ID), rollout.to_json())

    def push(self, pushed: Template) -> None:
        body = {"id": ID, **pushed.source}
        self.system.store.put(self.keys.template(ID), json.dumps({"body": body}))

    @property
    def rollout(self) -> Rollout:
        found = self.system.store.get(self.keys.rollout(ID))
        assert found is not None
        return Rollout.from_json(found.value)

    def write(self, rollout: Rollout) -> None:
        self.system.store.put(self.keys.rollout(ID), rollout.to_json())

    def promote(self) -> None:
        assert self.rollout.phase is Phase.WAITING
        self.push(self.new)
        self.write(replace(self.rollout.into(Phase.WAVES), promoted=True))

    def in_phase(self, *phases: Phase) -> Callable[[], bool]:
        return lambda: self.rollout.phase in phases

    # What there is ----------------------------------------------------------------------------------

    def built(self) -> Counter[str]:
        """How many stacks were built from which revision."""
        listed = self.system.store.list(self.keys.built)[1]
        return Counter(Built.from_json(kv.value).revision for kv in listed)

    def handled(self, ref: Ref) -> Handled:
        found = self.system.store.get(self.keys.below(self.keys.handled, ref))
        assert found is not None
        return Handled.from_json(found.value)

    def rebuilt(self, before: int) -> Counter[str]:
        """The stacks that Heat was asked to update after so many requests, and how often each."""
        return Counter(name for method, name in self.system.asked()[before:] if method == "update")


def build(system: System, number: int) -> Operator:
    """So many networks, built from the template of the catalogue."""
    refs = [network(f"n{one}") for one in range(number)]
    for ref in refs:
        system.put(ref)
    states = {ref.id: ("CREATE_COMPLETED", 1) for ref in refs}
    system.until(lambda: system.reported(**states) and system.idle())
    return Operator(system)


class MostAtOnce:
    """How many jobs of a roll-out were ever there together, and how the waves followed each other."""

    def __init__(self, operator: Operator) -> None:
        self._operator, self._since = operator, operator.system.store.revision

    def jobs(self) -> int:
        """The largest number of unfinished jobs at any revision."""
        jobs = self._operator.keys.jobs
        there: set[str] = set()
        most = 0
        for event in self._operator.system.store.history:
            if event.revision > self._since and event.key.startswith(jobs):
                (there.discard if event.value is None else there.add)(event.key)
                most = max(most, len(there))
        return most

    def check_waves(self) -> None:
        """At each record of a wave, every job of the wave before has ended."""
        keys = self._operator.keys
        there: set[str] = set()
        for event in self._operator.system.store.history:
            if event.revision <= self._since:
                continue
            if event.key.startswith(keys.jobs):
                (there.discard if event.value is None else there.add)(event.key)
            if event.key == keys.rollout(ID):
                assert not there, (event.value, there)


def test_a_good_revision_reaches_every_stack_once(system: System) -> None:
    operator = build(system, 40)
    before = len(system.asked())
    counted = MostAtOnce(operator)
    operator.start()
    system.until(operator.in_phase(Phase.WAITING), "the canaries are done")

    assert len(operator.rebuilt(before)) == 3
    assert operator.built() == {BEFORE.revision: 37, NEW.revision: 3}
    operator.promote()
    system.until(operator.in_phase(Phase.DONE), "all are done")

    assert operator.built() == {NEW.revision: 40}
    assert set(operator.rebuilt(before).values()) == {1}
    assert counted.jobs() <= 4
    counted.check_waves()


def test_without_canaries_the_waves_begin_at_once(system: System) -> None:
    operator = build(system, 12)
    operator.start(canary=0)
    system.until(operator.in_phase(Phase.DONE))

    assert operator.built() == {NEW.revision: 12}


def test_a_bad_revision_touches_only_the_canaries_and_is_reverted_by_itself(
    system: System,
) -> None:
    operator = build(system, 40)
    bad = operator.new = template("# {{ nothing.here }}\n")
    before = len(system.asked())
    operator.start(auto_revert=True, fail_after=1)
    system.until(operator.in_phase(Phase.REVERTED))

    canaries = {ref.stack_name for ref in operator.rollout.canaries}
    assert len(canaries) == 3
    assert set(operator.rebuilt(before)) <= canaries
    assert operator.built() == {BEFORE.revision: 40}
    assert bad.revision not in operator.built()
    assert "failed, 1 tolerated" in operator.rollout.reason
    assert not system.term.world.failed
    system.until(system.idle)


def fails(*names: str) -> Callable[[Stack], Mapping[str, Any]]:
    """A Heat that fails each update to the new template."""

    def outcome(stack: Stack) -> Mapping[str, Any]:
        if stack.name in names:
            return {"outcome": "FAILED"}
        return complete(stack)

    return outcome
