"""Claims of one process hang on one lease, until a chain gives them up."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from orchestrator.clients.store import Lease
from orchestrator.core.records import Cause, Run, Step
from orchestrator.core.stacks import Stack
from orchestrator.core.transactions import Transaction, unchanged
from tasks.claims import LEASE_USED_FOR, Claims
from tasks.context import Promptness, Sightings

from tests.doubles import ManualClock, MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def claims(store: MemoryStore, clock: ManualClock) -> Claims:
    return Claims(store, 10, clock.clock)


def claim(store: MemoryStore, claims: Claims, key: str) -> int:
    """As a chain does it."""
    lease = claims.lease()
    claims.claiming(lease)
    run = Run(Step.CLAIMED, attempt=2).to_json()
    revision = store.commit(Transaction(puts={key: run}, leased=frozenset({key})), lease)
    claims.claimed(lease, key, run, revision)
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
    claims.give_up("why")

    assert not first.alive
    assert claims.lease().alive


def test_a_lease_that_is_old_takes_no_new_claims_and_keeps_those_it_has(
    claims: Claims, clock: ManualClock
) -> None:
    """A backup may hold claims on it; they vanish with it."""
    old = claims.lease()
    clock.pass_(LEASE_USED_FOR + 1.0)
    new = claims.lease()

    assert new is not old
    assert old.alive
    claims.give_up_all("why")
    assert [lease.alive for lease in (old, new)] == [False, False]


def test_a_claim_of_before_a_restore_is_not_held_on_to(store: MemoryStore, claims: Claims) -> None:
    """The backup has the lease, and would keep what hangs on it for as long as it is renewed."""
    before = claims.lease()
    claim(store, claims, "/run")
    store.save()
    store.restore()

    assert not before.alive
    assert claims.lease() is not before
    store.expire_abandoned()
    assert store.get("/run") is None


def test_a_chain_that_claimed_nothing_gives_nothing_up(claims: Claims) -> None:
    others = claims.lease()
    claims.begin_chain()
    claims.lease()
    claims.give_up("why")

    assert others.alive


def test_a_chain_whose_lease_is_over_leaves_that_of_the_others(claims: Claims) -> None:
    """With a pool of threads: one fails and gives the lease up, and so in turn does a second that claimed on it."""
    claims.begin_chain()
    claims.claiming(claims.lease())

    def another() -> Lease:
        claims.begin_chain()
        claims.claiming(claims.lease())
        claims.give_up("why")
        claims.begin_chain()
        return claims.lease()

    fresh: Lease = in_a_thread(another)
    claims.give_up("why")

    assert fresh.alive


def test_when_time_is_over_everybodys_claims_are_given_up(claims: Claims) -> None:
    others: Lease = in_a_thread(claims.lease)
    claims.begin_chain()
    claims.give_up_all("why")

    assert not others.alive


def steps(store: MemoryStore) -> dict[str, str]:
    return {kv.key: Run.from_json(kv.value).step for kv in store.list("/")[1]}


def test_a_claim_that_is_given_up_says_so_and_leaves_the_others(
    store: MemoryStore, claims: Claims
) -> None:
    in_a_thread(lambda: claim(store, claims, "/others"))
    claims.begin_chain()
    claim(store, claims, "/ours")
    claims.give_up("why")
    store.expire_abandoned()

    assert steps(store) == {"/others": Step.CLAIMED, "/ours": Step.RETRY}
    (ours,) = (Run.from_json(kv.value) for kv in store.list("/ours")[1])
    assert (ours.attempt, ours.reason, ours.cause, ours.asked) == (
        3,
        "why",
        Cause.UNAVAILABLE,
        True,
    )
    assert claims.lease().alive


def test_when_time_is_over_all_claims_are_handed_back(store: MemoryStore, claims: Claims) -> None:
    for key in ("/one", "/two"):
        in_a_thread(lambda key=key: claim(store, claims, key))
    claims.begin_chain()
    lease = claims.lease()
    claims.give_up_all("why")
    store.expire_abandoned()

    assert not lease.alive, "nobody asks Heat for anything more"
    assert steps(store) == {"/one": Step.RETRY, "/two": Step.RETRY}


def test_what_has_moved_on_is_not_given_up(store: MemoryStore, claims: Claims) -> None:
    claims.begin_chain()
    revision = claim(store, claims, "/ours")
    store.commit(
        Transaction((unchanged("/ours", revision),), {"/ours": Run(Step.IN_HEAT).to_json()})
    )
    claims.give_up("why")
    store.expire_abandoned()

    assert steps(store) == {"/ours": Step.IN_HEAT}


def test_claims_that_are_given_up_late_are_theirs_no_more_and_the_others_stay(
    store: MemoryStore, claims: Claims
) -> None:
    run = Run(Step.CLAIMED).to_json()

    def late() -> bool:
        claims.begin_chain()
        lease = claims.lease()
        claims.claiming(lease)
        revision = store.commit(
            Transaction(puts={"/late": run}, leased=frozenset({"/late"})), lease
        )
        claims.claimed(lease, "/late", run, revision)
        assert claims.holds()
        claims.give_up_late(["/late", "/unheard"], "it took too long")
        return claims.holds()

    claims.begin_chain()
    claim(store, claims, "/ours")

    assert not in_a_thread(late)
    assert claims.holds() and claims.lease().alive
    kept = store.get("/late")
    assert kept is not None and Run.from_json(kept.value).step is Step.RETRY


def test_without_etcd_all_is_given_up(store: MemoryStore, claims: Claims) -> None:
    claims.begin_chain()
    claim(store, claims, "/ours")
    lease = claims.lease()
    store.fail_next(performed=False)
    claims.give_up("why")

    assert not lease.alive


# Stacks at rest ------------------------------------------------------------------------------------


def test_a_stack_is_taken_at_its_word_once_it_has_looked_the_same_for_a_while() -> None:
    clock = ManualClock()
    sightings = Sightings(15.0, clock.clock)
    stack = Stack("u", "n", "CREATE_COMPLETE")
    assert not sightings.settled("job", stack)
    clock.pass_(14.5)
    assert not sightings.settled("job", stack)
    assert not sightings.settled("other", stack)
    clock.pass_(0.5)
    assert sightings.settled("job", replace(stack, outputs=[]))
    assert not sightings.settled("job", None), "it looks otherwise now"


# Polls right after the request -----------------------------------------------------------------------


def followed_by_polls(prompt: Promptness, done: list[bool]) -> list[bool]:
    """Which of some requests are followed by a poll, if Heat is done at once with those that are marked."""
    followed = []
    for at_once in done:
        followed.append(prompt.worth_polling("network"))
        if followed[-1]:
            prompt.note("network", at_once)
    return followed


def test_where_most_are_done_at_once_every_request_is_followed_by_a_poll() -> None:
    assert all(followed_by_polls(Promptness(), [n % 4 != 0 for n in range(100)]))


def test_where_none_is_done_at_once_one_request_in_sixteen_is() -> None:
    followed = followed_by_polls(Promptness(), [False] * 100)

    assert followed[: Promptness.MISSES] == [True] * Promptness.MISSES
    assert sum(followed[Promptness.MISSES :]) == (100 - Promptness.MISSES) // Promptness.POLL_AGAIN


def test_a_type_that_becomes_quick_is_noticed() -> None:
    prompt = Promptness()
    followed_by_polls(prompt, [False] * 10)
    followed = followed_by_polls(prompt, [True] * 100)

    assert followed.index(True) < Promptness.POLL_AGAIN
    assert all(followed[followed.index(True) :])


def test_types_do_not_speak_for_each_other() -> None:
    prompt = Promptness()
    followed_by_polls(prompt, [False] * 10)

    assert prompt.worth_polling("port")
