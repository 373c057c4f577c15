"""Every verb while jobs run, with Heat away, and with the leader killed after each of its writes.

The outcome, the requests to Heat and the record of the verb are the same each time, and there once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from orchestrator.clients.store import Lease
from orchestrator.core.transactions import Transaction
from orchestrator.errors import HeatUnavailable

from tests.doubles import MemoryStore
from tests.factories import network, port

from .driver import System
from .verb_stories import STORIES, TIMING, Story, VerbAsked, audited, outcomes

OTHERS = [network("b1"), network("b2")]
"""Resources that have nothing to do with the verb; on each there is a port."""
MOST_DEATHS = 30
"""Writes of a leader between a request and the end of its consequences, at most."""


class LeaderDied(BaseException):
    """kill -9 of the leader, right after a write."""


class MortalStore(MemoryStore):
    """An etcd whose leader dies after a number of writes."""

    fence = ""
    """The key that every write of a leader compares."""
    writes_left: int | None = None
    """How many the leader still makes; None: it lives."""

    def commit(self, transaction: Transaction, lease: Lease | None = None) -> int:
        revision = super().commit(transaction, lease)
        fenced = any(require.key == self.fence for require in transaction.requires)
        if self.writes_left is None or not fenced or not revision:
            return revision
        self.writes_left -= 1
        if self.writes_left <= 0:
            self.writes_left = None
            raise LeaderDied
        return revision


Told = tuple[System, MortalStore]


@pytest.fixture
def begin() -> Iterator[Callable[[], Told]]:
    """A new system each time; the last one is ended with the test."""
    there: list[System] = []

    def start() -> Told:
        if there:
            there.pop().stop()
        store = MortalStore()
        system = System(store=store, timing=TIMING, deadline=60.0)
        store.fence = system.keys.leader
        system.start()
        there.append(system)
        return system, store

    yield start
    there.pop().stop()


def until(system: System, ready: Callable[[], object], what: str) -> int:
    """As :meth:`System.until`; how many leaders died meanwhile. Each is followed by another one."""
    deaths = 0
    while True:
        try:
            system.until(ready, what)
            return deaths
        except LeaderDied:
            deaths += 1
            system.kill()
            system.start()


def write_others(system: System, version: int) -> None:
    for ref in OTHERS:
        system.put(ref, version)
        system.put(port(ref.id), version, network_id=ref.id)


def others_are_built(system: System, version: int) -> bool:
    verb = "CREATE_COMPLETED" if version == 1 else "MODIFY_COMPLETED"
    refs = [*OTHERS, *(port(ref.id) for ref in OTHERS)]
    return all(system.worker_state(ref) == (verb, version) for ref in refs)


def about_story(system: System, since: int) -> list[tuple[str, str]]:
    """What Heat was asked about the networks of the story."""
    names = {ref.stack_name for ref in OTHERS} | {port(ref.id).stack_name for ref in OTHERS}
    return [asked for asked in system.asked()[since:] if asked[1] not in names]


def finish(system: System, story: Story, asked: VerbAsked) -> int:
    """Wait until the verb is done and answered, and what follows from it; the number of deaths."""

    def done() -> bool:
        answered = all(outcomes(system, asked)) and not system.store.list(system.keys.retries)[1]
        return answered and story.done(system)

    return until(system, done, story.name)


def check(system: System, story: Story, asked: VerbAsked, since: int) -> None:
    """Outcome and record are right, and there once."""
    for _ in range(20):
        system.work()
    assert story.done(system)
    assert outcomes(system, asked) == [[story.outcome]] * len(asked.refs)
    assert sorted(about_story(system, since)) == sorted(story.requests)
    for name in story.also:
        assert audited(system, None, name) == ["carried out"]


named = pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)


@named
def test_while_jobs_run(begin: Callable[[], Told], story: Story) -> None:
    system, _ = begin()
    if not story.refused:
        write_others(system, 1)
        until(system, lambda: others_are_built(system, 1), "the others")
    story.before(system)
    if not story.refused:
        write_others(system, 2)
        for _ in range(3):
            system.work()
        assert not system.idle()
    since = len(system.asked())
    asked = story.ask(system)
    finish(system, story, asked)
    check(system, story, asked, since)
    assert story.refused or others_are_built(system, 1) or others_are_built(system, 2)


@named
def test_with_heat_away(begin: Callable[[], Told], story: Story) -> None:
    """It is away from before the request until everything that needs no Heat is done."""
    system, _ = begin()
    story.before(system)
    since = len(system.asked())
    system.heat.away = HeatUnavailable("away")
    asked = story.ask(system)
    for _ in range(30):
        system.work()
    assert not about_story(system, since)
    system.heat.away = None
    finish(system, story, asked)
    check(system, story, asked, since)


@named
def test_with_the_leader_killed_after_each_of_its_writes(
    begin: Callable[[], Told], story: Story
) -> None:
    for writes in count():
        system, store = begin()
        story.before(system)
        since = len(system.asked())
        asked = story.ask(system)
        if writes:
            store.writes_left = writes
        else:
            system.kill()
            system.start()
        deaths = finish(system, story, asked)
        store.writes_left = None
        check(system, story, asked, since)
        if writes and not deaths:
            break
        assert writes < MOST_DEATHS
