"""Taking the lead, keeping it after trouble, and giving it up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from orchestrator.bridge.leader import Leadership, LeadershipLost, campaign, identity
from orchestrator.clients.store import HistoryChanged
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

    def __init__(self, store: MemoryStore) -> None:
        self.stopping = threading.Event()
        self.heard = threading.Event()
        self.result: list[Any] = []
        self._store = store
        self._thread = threading.Thread(target=self._campaign, daemon=True)
        self._thread.start()
        assert self.heard.wait(PATIENCE), "it stands by"

    def _campaign(self) -> None:
        try:
            self.result.append(campaign(self._store, KEYS, 10, self.stopping, self.heard.set))
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


def test_a_standby_watches_on_though_all_history_was_compacted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its watch begins after the listing, not after the last write of the leader's key: it would
    end at once."""
    store = MemoryStore()
    watches: list[int] = []
    watching = threading.Event()
    watch = store.watch

    def counted(prefixes: Iterable[str], revision: int) -> MemoryWatch:
        watches.append(revision)
        watching.set()
        return watch(prefixes, revision)

    monkeypatch.setattr(store, "watch", counted)
    first = lead(store)
    for number in range(5):
        store.put("/other", str(number))
    store.compact(store.revision)
    listed = store.revision
    standby = Standby(store)
    assert watching.wait(PATIENCE)
    first.resign()

    assert isinstance(standby.ended(), Leadership)
    assert watches[0] == listed + 1


def test_a_standby_whose_watch_tells_nothing_reads_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a member of etcd that is cut off."""
    store = MemoryStore()
    first = lead(store)
    deaf = MemoryStore().watch([KEYS.leader], 1)
    monkeypatch.setattr(store, "watch", lambda prefixes, revision: deaf)
    standby = Standby(store)
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


def test_a_right_that_is_missing_is_told_and_leaves_no_lease_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    store.fail_next(performed=False, error=StoreForbidden("etcd refuses us: permission denied"))

    with pytest.raises(StoreForbidden):
        lead(store)
    store.expire_abandoned()
    assert lead(store).commit(Transaction(puts={"/a": "1"})) > 0
