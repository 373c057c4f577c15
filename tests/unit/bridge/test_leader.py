"""Taking the lead, keeping it after trouble, and giving it up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from orchestrator.bridge.leader import Leadership, LeadershipLost, campaign, identity
from orchestrator.clients.store import HistoryChanged
from orchestrator.clock import CLOCK, Clock
from orchestrator.core.transactions import Transaction
from orchestrator.errors import StoreForbidden

from tests import factories
from tests.doubles import MemoryStore, MemoryWatch

KEYS = factories.keys()
PATIENCE = 10.0
"""Seconds for a standby to do what it should do at once."""


def lead(store: MemoryStore) -> Leadership:
    leadership = campaign(store, KEYS, 10, threading.Event())
    assert leadership is not None
    return leadership


class Standby:
    """A campaign in a thread of its own."""

    def __init__(self, store: MemoryStore, clock: Clock = CLOCK) -> None:
        self.stopping = threading.Event()
        self.heard = threading.Event()
        self.result: list[Any] = []
        self._store, self._clock = store, clock
        self._thread = threading.Thread(target=self._campaign, daemon=True)
        self._thread.start()
        assert self.heard.wait(PATIENCE), "it stands by"

    def _campaign(self) -> None:
        try:
            leadership = campaign(
                self._store, KEYS, 10, self.stopping, self.heard.set, clock=self._clock
            )
            self.result.append(leadership)
        except Exception as error:
            self.result.append(error)

    def ended(self) -> Any:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.result[0]


def test_one_leads_and_the_next_takes_over_when_it_resigns() -> None:
    store = MemoryStore()
    first = lead(store)
    standby = Standby(store)
    first.resign()

    assert isinstance(standby.ended(), Leadership)


def test_a_standby_can_be_stopped() -> None:
    store = MemoryStore()
    lead(store)
    standby = Standby(store)
    standby.stopping.set()

    assert standby.ended() is None


class WatchedStore(MemoryStore):
    """Tells from which revisions it was watched."""

    def __init__(self) -> None:
        super().__init__()
        self.watches: list[int] = []
        self.watching = threading.Event()

    def watch(
        self, prefixes: Iterable[str], revision: int, later: Mapping[str, int] | None = None
    ) -> MemoryWatch:
        self.watches.append(revision)
        self.watching.set()
        return super().watch(prefixes, revision, later)


class DeafStore(MemoryStore):
    """A member of etcd that is cut off from the others: its watch says nothing."""

    def watch(
        self, prefixes: Iterable[str], revision: int, later: Mapping[str, int] | None = None
    ) -> MemoryWatch:
        return MemoryStore().watch(prefixes, 1)


def test_a_standby_watches_on_though_all_history_was_compacted() -> None:
    """Its watch begins after the listing, not after the last write of the leader's key: it would
    end at once."""
    store = WatchedStore()
    first = lead(store)
    for number in range(5):
        store.put("/other", str(number))
    store.compact(store.revision)
    listed = store.revision
    standby = Standby(store)
    assert store.watching.wait(PATIENCE)
    first.resign()

    assert isinstance(standby.ended(), Leadership)
    assert store.watches[0] == listed + 1


def test_a_standby_whose_watch_tells_nothing_reads_the_key() -> None:
    store = DeafStore()
    first = lead(store)
    every_look_takes_a_second = replace(CLOCK, monotonic=count(0.0, 1.0).__next__)
    standby = Standby(store, every_look_takes_a_second)
    first.resign()

    assert isinstance(standby.ended(), Leadership)


def test_the_lead_is_taken_though_the_answer_got_lost() -> None:
    """Else the key would hang on a lease that nobody owns, until it ends."""
    store = MemoryStore()
    store.fail_next(performed=True)
    leadership = lead(store)

    assert leadership.commit(Transaction(puts={"/a": "1"})) > 0


def test_the_lead_is_taken_though_the_request_got_lost() -> None:
    store = MemoryStore()
    store.fail_next(performed=False)

    assert lead(store).commit(Transaction(puts={"/a": "1"})) > 0


def test_a_write_that_is_still_on_its_way_is_refused_once_the_fence_is_renewed() -> None:
    """A member of etcd that was frozen performs, when it wakes, what it was sent before."""
    store = MemoryStore()
    leadership = lead(store)
    late = Transaction(puts={"/held": "by what was known before"}).also(leadership.fence)
    leadership.renew()

    assert store.commit(late) == 0
    assert leadership.commit(Transaction(puts={"/a": "1"})) > 0


def test_a_renewal_whose_answer_got_lost_is_made_again() -> None:
    store = MemoryStore()
    leadership = lead(store)
    created = store.get(KEYS.leader)
    store.fail_next(performed=True)
    with pytest.raises(Exception, match="the connection broke"):
        leadership.renew()
    leadership.renew()
    now = store.get(KEYS.leader)

    assert leadership.commit(Transaction(puts={"/a": "1"})) > 0
    assert created is not None and now is not None and now.created == created.created


@pytest.mark.parametrize(
    "act",
    [
        lambda leadership: leadership.renew(),
        lambda leadership: leadership.commit(Transaction(puts={"/a": "1"})),
    ],
)
def test_who_does_not_lead_any_more_is_told(act: Callable[[Leadership], object]) -> None:
    store = MemoryStore()
    leadership = lead(store)
    store.delete(KEYS.leader)
    store.put(KEYS.leader, "{}")

    with pytest.raises(LeadershipLost):
        act(leadership)
    assert store.get("/a") is None


def test_a_leader_of_a_store_that_was_restored_gives_up_though_the_backup_has_its_key() -> None:
    store = MemoryStore()
    leadership = lead(store)
    store.save()
    store.put("/a", "1")
    store.restore()

    with pytest.raises(HistoryChanged):
        leadership.commit(Transaction(puts={"/b": "1"}))
    assert store.get("/b") is None
    leadership.resign()
    assert store.get(KEYS.leader) is None


def test_a_key_of_our_own_that_a_backup_brings_back_is_taken_over_at_once() -> None:
    """Its lease is nobody's any more, but would last for its whole time."""
    store, who, never = MemoryStore(), identity(), threading.Event()
    campaign(store, KEYS, 10, never, who=who)
    store.save()
    store.delete(KEYS.leader)
    store.restore()
    leadership = campaign(store, KEYS, 10, never, who=who)

    assert leadership is not None
    assert leadership.commit(Transaction(puts={"/a": "1"})) > 0


def test_a_right_that_is_missing_is_told_and_leaves_no_lease_behind() -> None:
    store = MemoryStore()
    store.fail_next(performed=False, error=StoreForbidden("etcd refuses us: permission denied"))

    with pytest.raises(StoreForbidden):
        lead(store)
    store.expire_abandoned()
    assert lead(store).commit(Transaction(puts={"/a": "1"})) > 0
