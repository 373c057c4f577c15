"""Claims of one process hang on one lease, until a chain gives them up."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from orchestrator.clients.store import Lease
from orchestrator.core.transactions import Transaction, unchanged
from orchestrator.testing import MemoryStore
from tasks.context import Claims, Promptness


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def claims(store: MemoryStore) -> Claims:
    return Claims(store, 10)


def claim(store: MemoryStore, claims: Claims, key: str) -> int:
    """As a chain does it."""
    lease = claims.lease()
    claims.claiming(lease)
    revision = store.commit(Transaction(puts={key: "claimed"}, leased=frozenset({key})), lease)
    claims.claimed(lease, key, "claimed", revision)
    return revision


def in_a_thread(work: Any) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def test_chains_share_a_lease(claims: Claims) -> None:

    assert claims.lease() is in_a_thread(claims.lease)


def test_the_next_chain_claims_on_a_new_lease(claims: Claims) -> None:
    claims.begin_chain()
    first = claims.lease()
    claims.claiming(first)
    claims.give_up()

    assert not first.alive
    assert claims.lease().alive


def test_a_chain_that_claimed_nothing_gives_nothing_up(claims: Claims) -> None:
    others = claims.lease()
    claims.begin_chain()
    claims.lease()
    claims.give_up()

    assert others.alive


def test_a_chain_whose_lease_is_over_leaves_that_of_the_others(claims: Claims) -> None:
    """With a pool of threads: one fails and gives the lease up, and so in turn does a second that claimed on it."""
    claims.begin_chain()
    claims.claiming(claims.lease())

    def another() -> Lease:
        claims.begin_chain()
        claims.claiming(claims.lease())
        claims.give_up()
        claims.begin_chain()
        return claims.lease()

    fresh: Lease = in_a_thread(another)
    claims.give_up()

    assert fresh.alive


def test_when_time_is_over_everybodys_claims_are_given_up(claims: Claims) -> None:
    others: Lease = in_a_thread(claims.lease)
    claims.begin_chain()
    claims.give_up_all()

    assert not others.alive


def test_a_claim_that_is_given_up_ends_alone_and_in_its_time(store: MemoryStore, claims: Claims) -> None:
    in_a_thread(lambda: claim(store, claims, "/others"))
    claims.begin_chain()
    claim(store, claims, "/ours")
    claims.give_up()
    assert {kv.key for kv in store.list("/")[1]} == {"/others", "/ours"}, "as after the death of a process"
    store.expire_abandoned()

    assert [kv.key for kv in store.list("/")[1]] == ["/others"]
    assert claims.lease().alive


def test_what_has_moved_on_is_not_given_up(store: MemoryStore, claims: Claims) -> None:
    claims.begin_chain()
    revision = claim(store, claims, "/ours")
    store.commit(Transaction((unchanged("/ours", revision),), {"/ours": "waiting"}))
    claims.give_up()
    store.expire_abandoned()

    assert [kv.value for kv in store.list("/")[1]] == [b"waiting"]


def test_without_etcd_all_is_given_up(store: MemoryStore, claims: Claims) -> None:
    claims.begin_chain()
    claim(store, claims, "/ours")
    lease = claims.lease()
    store.fail_next(performed=False)
    claims.give_up()

    assert not lease.alive


# Looks right after the request -----------------------------------------------------------------------


def looks(prompt: Promptness, done: list[bool]) -> list[bool]:
    """Which of some requests are followed by a look, if Heat is done at once with those that are marked."""
    followed = []
    for at_once in done:
        followed.append(prompt.worth_a_look("network"))
        if followed[-1]:
            prompt.note("network", at_once)
    return followed


def test_where_most_are_done_at_once_every_request_is_followed_by_a_look() -> None:
    assert all(looks(Promptness(), [n % 4 != 0 for n in range(100)]))


def test_where_none_is_done_at_once_one_request_in_sixteen_is() -> None:
    followed = looks(Promptness(), [False] * 100)

    assert followed[: Promptness.MISSES] == [True] * Promptness.MISSES
    assert sum(followed[Promptness.MISSES :]) == (100 - Promptness.MISSES) // Promptness.LOOK_AGAIN


def test_a_type_that_becomes_quick_is_noticed() -> None:
    prompt = Promptness()
    looks(prompt, [False] * 10)
    followed = looks(prompt, [True] * 100)

    assert followed.index(True) < Promptness.LOOK_AGAIN
    assert all(followed[followed.index(True) :])


def test_types_do_not_speak_for_each_other() -> None:
    prompt = Promptness()
    looks(prompt, [False] * 10)

    assert prompt.worth_a_look("port")
