"""Claims of one process hang on one lease, until a chain gives them up."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from orchestrator.clients.store import Lease
from orchestrator.testing import MemoryStore
from tasks.context import Claims


@pytest.fixture
def claims() -> Claims:
    return Claims(MemoryStore(), 10)


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
    claims.give_up()

    assert not first.alive
    assert claims.lease().alive


def test_a_chain_that_claimed_nothing_gives_nothing_up(claims: Claims) -> None:
    others = claims.lease()
    claims.begin_chain()
    claims.give_up()

    assert others.alive


def test_a_chain_whose_lease_is_over_leaves_that_of_the_others(claims: Claims) -> None:
    """With a pool of threads: one fails and gives the lease up, and so in turn does a second that claimed on it."""
    claims.begin_chain()
    claims.lease()

    def another() -> Lease:
        claims.begin_chain()
        claims.lease()
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
