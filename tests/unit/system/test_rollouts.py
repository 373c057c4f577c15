"""A changed template reaches its stacks step by step, and stops by itself when it is bad.

``ROLLOUT_STACKS=2000 python -m pytest tests/unit/system/test_rollouts.py -k "good_rev or bad_rev"``
tries a good and a bad revision with as many stacks, and ``-k dies_at`` leaders that die meanwhile.
tests/unit/core/test_rollouts.py plays the decisions for two thousand.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from orchestrator.core.keys import Keys
from orchestrator.core.records import Built, Handled, Rollout, RolloutPhase, TemplateRevision
from orchestrator.core.refs import Ref
from orchestrator.core.stacks import Stack
from orchestrator.core.templates import Template, parse_template

from tests import factories
from tests.factories import HOT, network

from .driver import LeaderKilled, System, complete

STACKS = int(os.environ.get("ROLLOUT_STACKS", "40"))
WITH_DEATHS = int(os.environ.get("ROLLOUT_STACKS", "12"))
ID = "network"
BEFORE = factories.templates()[ID]


def template(text: str = "# new\n", **mappings: Any) -> Template:
    mapped = {"name": "Pname", **mappings}
    return parse_template(ID, {"template_file": HOT + text, "parameter_mappings": mapped})


NEW = template()


@pytest.fixture
def system() -> Iterator[System]:
    with System(deadline=max(12.0, STACKS / 4)) as running:
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
            phase=RolloutPhase.WAVES if promoted else RolloutPhase.CANARY,
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
        assert self.rollout.phase is RolloutPhase.WAITING
        self.push(self.new)
        self.write(replace(self.rollout.into(RolloutPhase.WAVES), promoted=True))

    def in_phase(self, *phases: RolloutPhase) -> Callable[[], bool]:
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
    operator = build(system, STACKS)
    before = len(system.asked())
    counted = MostAtOnce(operator)
    operator.start()
    system.until(operator.in_phase(RolloutPhase.WAITING), "the canaries are done")

    assert len(operator.rebuilt(before)) == 3
    assert operator.built() == {BEFORE.revision: STACKS - 3, NEW.revision: 3}
    operator.promote()
    system.until(operator.in_phase(RolloutPhase.DONE), "all are done")

    assert operator.built() == {NEW.revision: STACKS}
    assert set(operator.rebuilt(before).values()) == {1}
    assert counted.jobs() <= 4
    counted.check_waves()


def test_without_canaries_the_waves_begin_at_once(system: System) -> None:
    operator = build(system, 12)
    operator.start(canary=0)
    system.until(operator.in_phase(RolloutPhase.DONE))

    assert operator.built() == {NEW.revision: 12}


def test_a_bad_revision_touches_only_the_canaries_and_is_reverted_by_itself(
    system: System,
) -> None:
    operator = build(system, STACKS)
    bad = operator.new = template("# {{ nothing.here }}\n")
    before = len(system.asked())
    operator.start(auto_revert=True, fail_after=1)
    system.until(operator.in_phase(RolloutPhase.REVERTED))

    canaries = {ref.stack_name for ref in operator.rollout.canaries}
    assert len(canaries) == 3
    assert set(operator.rebuilt(before)) <= canaries
    assert operator.built() == {BEFORE.revision: STACKS}
    assert bad.revision not in operator.built()
    assert "failed, 1 tolerated" in operator.rollout.reason
    assert not system.term.world.failed
    system.until(system.idle)


def fails(*names: str) -> Callable[[Stack], Mapping[str, Any]]:
    """A Heat that fails what it is asked of these stacks."""

    def outcome(stack: Stack) -> Mapping[str, Any]:
        if stack.name in names:
            return {"status": "FAILED"}
        return complete(stack)

    return outcome


def test_a_failure_beyond_what_is_tolerated_stops_a_wave(system: System) -> None:
    operator = build(system, 20)
    system.outcome = fails("network_n3", "network_n7")
    operator.start(canary=0, waves=(100,), max_parallel=1, fail_after=1)
    system.until(operator.in_phase(RolloutPhase.STOPPED))
    stopped = len(system.asked())

    assert operator.rollout.reason.startswith("2 failed, 1 tolerated: ")
    for _ in range(200):
        system.work()
    assert len(system.asked()) == stopped


def test_what_is_repaired_after_a_stop_goes_on(system: System) -> None:
    operator = build(system, 8)
    system.outcome = fails("network_n3")
    operator.start(canary=0, waves=(100,))
    system.until(operator.in_phase(RolloutPhase.STOPPED))
    system.outcome = complete
    system.put(network("n3"), 2)
    system.until(lambda: system.reported(n3=("MODIFY_COMPLETED", 2)) and system.idle())
    operator.write(operator.rollout.into(operator.rollout.stage))
    system.until(operator.in_phase(RolloutPhase.DONE))

    assert operator.built() == {NEW.revision: 8}


def test_a_status_of_before_the_rollout_never_counts(system: System) -> None:
    """A stack that failed before is not touched, and is no failure of the roll-out."""
    operator = build(system, 6)
    system.outcome = fails("network_n2")
    system.put(network("n2"), 2)
    system.until(lambda: system.reported(n2=("MODIFY_FAILED", 2)) and system.idle())
    system.outcome = complete
    before = len(system.asked())
    operator.start(canary=0, waves=(50, 100))
    system.until(operator.in_phase(RolloutPhase.DONE))

    assert "network_n2" not in operator.rebuilt(before)
    assert len(operator.rebuilt(before)) == 5


def test_a_pause_is_immediate(system: System) -> None:
    """No job of the roll-out is made after the revision of the pause."""
    operator = build(system, 20)
    operator.start(canary=0, waves=(100,), max_parallel=3)
    jobs = len(system.jobs_made())
    system.until(lambda: len(system.jobs_made()) > jobs + 4)
    operator.write(replace(operator.rollout, paused=True))
    made = len(system.jobs_made())
    system.until(system.idle)
    for _ in range(100):
        system.work()

    assert len(system.jobs_made()) == made
    assert operator.built()[BEFORE.revision] > 0
    operator.write(replace(operator.rollout, paused=False))
    system.until(operator.in_phase(RolloutPhase.DONE))
    assert operator.built() == {NEW.revision: 20}


def test_until_promotion_everything_but_the_canaries_takes_the_revision_before(
    system: System,
) -> None:
    operator = build(system, 6)
    operator.start(canary=2)
    system.until(operator.in_phase(RolloutPhase.WAITING))
    canary = operator.rollout.canaries[0]
    other = next(
        ref for ref in (network(f"n{n}") for n in range(6)) if ref not in operator.rollout.canaries
    )
    for ref in (canary, other):
        system.put(ref, 2)
    system.put(network("n9"))
    changed = {canary.id: ("MODIFY_COMPLETED", 2), other.id: ("MODIFY_COMPLETED", 2)}
    system.until(lambda: system.reported(**changed, n9=("CREATE_COMPLETED", 1)) and system.idle())

    assert operator.built() == {BEFORE.revision: 5, NEW.revision: 2}
    operator.promote()
    system.until(operator.in_phase(RolloutPhase.DONE))
    system.put(network("n10"))
    system.until(lambda: system.reported(n10=("CREATE_COMPLETED", 1)))
    assert operator.built() == {NEW.revision: 8}


def test_a_revert_after_promotion_rebuilds_all_from_the_revision_before(system: System) -> None:
    operator = build(system, 10)
    operator.start(canary=1)
    system.until(operator.in_phase(RolloutPhase.WAITING))
    operator.promote()
    system.until(operator.in_phase(RolloutPhase.DONE))
    operator.push(BEFORE)
    operator.write(replace(operator.rollout.into(RolloutPhase.REVERTING), promoted=False))
    system.until(operator.in_phase(RolloutPhase.REVERTED))

    assert operator.built() == {BEFORE.revision: 10}


def test_another_push_stops_the_rollout(system: System) -> None:
    operator = build(system, 6)
    operator.start(canary=1)
    system.until(operator.in_phase(RolloutPhase.WAITING))
    operator.push(template("# a third\n"))
    system.until(operator.in_phase(RolloutPhase.STOPPED))

    assert "somebody has pushed another one" in operator.rollout.reason


def test_what_only_a_rollout_needed_is_removed_once_it_is_over(system: System) -> None:
    operator = build(system, 3)
    operator.start(canary=1)
    system.until(operator.in_phase(RolloutPhase.WAITING))
    assert len(system.store.list(operator.keys.candidates)[1]) == 1
    operator.promote()
    system.until(operator.in_phase(RolloutPhase.DONE))
    system.until(lambda: not system.store.list(operator.keys.candidates)[1])


def test_the_revision_of_a_rollout_is_kept_as_long_as_a_canary_has_it(system: System) -> None:
    operator = build(system, 3)
    operator.start(canary=1)
    system.until(operator.in_phase(RolloutPhase.WAITING))
    (canary,) = operator.rollout.canaries
    operator.write(operator.rollout.into(RolloutPhase.ABORTED))
    system.until(lambda: not system.term.world.pins and system.idle())
    system.kill()
    system.start()
    assert len(system.store.list(operator.keys.candidates)[1]) == 1

    system.put(canary, 2)
    system.until(lambda: operator.built() == {BEFORE.revision: 3} and system.idle())
    system.kill()
    system.start()
    assert not system.store.list(operator.keys.candidates)[1]


# Monitoring --------------------------------------------------------------------------------------


class Monitored:
    """Networks whose stacks have a monitoring target each."""

    def __init__(self, system: System, number: int) -> None:
        self.system = system
        system.outcome = self.outcome
        for one in range(number):
            self.say(f"network_n{one}", "UP")

    def outcome(self, stack: Stack) -> Mapping[str, Any]:
        link = {"output_key": "monitoring_link", "output_value": f"http://c/{stack.name}"}
        return {"outputs": [link]}

    def say(self, stack: str, value: str) -> None:
        """From now on the target of a stack says this."""
        self.system.targets.documents[f"http://c/{stack}"] = {
            "version": 1,
            "values": [{"key": "status", "value": value}],
            "syncer_properties": {
                "etcd": {"status": {"key": "network"}, "hold_options": {"positive_status": ["UP"]}}
            },
        }

    def for_seconds(self, seconds: float) -> None:
        clock = self.system.clock
        end = clock.now + seconds
        while clock.now < end:
            self.system.work()


TIMING = replace(System().timing, monitoring_interval=0.5)


def test_a_wave_ends_once_the_targets_were_positive_for_long_enough() -> None:
    with System(timing=TIMING) as system:
        monitored = Monitored(system, 4)
        operator = build(system, 4)
        operator.start(canary=0, waves=(50, 100), min_healthy=5.0)
        system.until(lambda: operator.built()[NEW.revision] == 2)
        begun = system.clock.now
        system.until(lambda: operator.rollout.wave == 2)

        assert system.clock.now - begun >= 5.0
        monitored.for_seconds(4.0)
        assert operator.rollout.phase is RolloutPhase.WAVES
        system.until(operator.in_phase(RolloutPhase.DONE))


def test_a_target_that_is_not_positive_after_the_job_holds_the_next_wave_back() -> None:
    """It was positive before the job: that does not count."""
    with System(timing=TIMING) as system:
        monitored = Monitored(system, 4)
        operator = build(system, 4)
        system.until(lambda: len(system.store.list(operator.keys.health)[1]) == 4)
        for one in range(4):
            monitored.say(f"network_n{one}", "DOWN")
        operator.start(canary=0, waves=(50, 100), min_healthy=1.0)
        system.until(lambda: operator.built()[NEW.revision] == 2)
        monitored.for_seconds(8.0)
        assert operator.rollout.wave == 1
        assert operator.built()[NEW.revision] == 2

        for one in range(4):
            monitored.say(f"network_n{one}", "UP")
        system.until(operator.in_phase(RolloutPhase.DONE))


# Deaths ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["bridge-before-rollout", "bridge-after-rollout"])
@pytest.mark.parametrize("bad", [False, True])
def test_a_leader_that_dies_at_each_step_loses_nothing_and_does_nothing_twice(
    system: System, monkeypatch: pytest.MonkeyPatch, point: str, bad: bool
) -> None:
    """It is killed each time that the record moves: in each phase, and before each wave."""
    operator = build(system, WITH_DEATHS)
    if bad:
        operator.new = template("# {{ nothing.here }}\n")
    deaths: list[tuple[RolloutPhase, int, bool]] = []

    def die(reached: str) -> None:
        rollout = operator.rollout if reached == point else None
        if rollout is None:
            return
        now = (rollout.phase, rollout.wave, bool(rollout.canaries))
        if now not in deaths:
            deaths.append(now)
            raise LeaderKilled

    monkeypatch.setattr("orchestrator.faults.reach", die)
    before = len(system.asked())
    counted = MostAtOnce(operator)
    operator.start(canary=2, auto_revert=True, max_parallel=2)
    last = RolloutPhase.REVERTED if bad else RolloutPhase.DONE
    while operator.rollout.phase is not last:
        try:
            system.until(operator.in_phase(last, RolloutPhase.WAITING))
            if operator.rollout.phase is RolloutPhase.WAITING:
                operator.promote()
        except LeaderKilled:
            system.kill()
            system.start()

    assert len(deaths) == (3 if bad else 6)
    assert operator.built() == {(BEFORE if bad else NEW).revision: WITH_DEATHS}
    assert set(operator.rebuilt(before).values()) <= {1}
    assert counted.jobs() <= 2


def test_leaders_that_die_after_every_job_lose_nothing_and_do_nothing_twice(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is made, and is not sent."""
    operator = build(system, 10)
    before, jobs = len(system.asked()), len(system.jobs_made())
    died: list[int] = []

    def die(reached: str) -> None:
        made = len(system.jobs_made())
        if reached == "bridge-after-job" and made not in died:
            died.append(made)
            raise LeaderKilled

    monkeypatch.setattr("orchestrator.faults.reach", die)
    counted = MostAtOnce(operator)
    operator.start(canary=0, waves=(50, 100), max_parallel=2)
    while operator.rollout.phase is not RolloutPhase.DONE:
        try:
            system.until(operator.in_phase(RolloutPhase.DONE))
        except LeaderKilled:
            system.kill()
            system.start()

    assert len(died) >= 5
    assert len(system.jobs_made()) - jobs == 10
    assert operator.rebuilt(before) == {f"network_n{one}": 1 for one in range(10)}
    assert counted.jobs() <= 2
    counted.check_waves()
