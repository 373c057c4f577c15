"""One behaviour of both stores: :class:`~tests.doubles.MemoryStore` and a real etcd."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from orchestrator.clients.store import Compacted, Event, KeyValue
from orchestrator.core.transactions import (
    Require,
    Transaction,
    absent,
    exists,
    same_incarnation,
    unchanged,
)
from orchestrator.errors import StoreRefused, StoreUnavailable

from .conftest import PATIENCE, Backend, Listener, eventually

Listen = Callable[..., Listener]


# Reading and writing without conditions ------------------------------------------------------------


def test_a_key_that_is_not_there_is_none(backend: Backend) -> None:
    assert backend.store.get(backend.key("a")) is None


def test_a_key_keeps_the_revision_of_its_creation_and_of_its_last_write(backend: Backend) -> None:
    first = backend.store.put(backend.key("a"), "1")
    second = backend.store.put(backend.key("a"), "2")

    assert second == first + 1
    assert backend.store.get(backend.key("a")) == KeyValue(backend.key("a"), b"2", first, second)


def test_a_key_made_anew_is_another_incarnation(backend: Backend) -> None:
    first = backend.store.put(backend.key("a"), "1")
    backend.store.delete(backend.key("a"))
    again = backend.store.put(backend.key("a"), "1")

    assert again == first + 2
    assert backend.store.get(backend.key("a")) == KeyValue(backend.key("a"), b"1", again, again)


def test_delete_says_whether_the_key_was_there(backend: Backend) -> None:
    backend.store.put(backend.key("a"), "1")

    assert [backend.store.delete(backend.key("a")), backend.store.delete(backend.key("a"))] == [
        True,
        False,
    ]


def test_deleting_nothing_makes_no_revision(backend: Backend) -> None:
    before = backend.revision
    backend.store.delete(backend.key("a"))

    assert backend.revision == before


def test_values_and_keys_are_utf8(backend: Backend) -> None:
    backend.store.put(backend.key("ü"), '"größe"')
    found = backend.store.get(backend.key("ü"))

    assert found is not None
    assert (found.key, found.value.decode()) == (backend.key("ü"), '"größe"')


NOT_UTF8 = "not-utf8-\udcff\udcfe"
"""A name whose last two bytes are ff fe, as Python's surrogateescape writes them."""


def test_a_key_that_is_not_utf8_keeps_its_bytes(backend: Backend, listen: Listen) -> None:
    """Else a comparison would name another key, and hold for ever or never."""
    key = backend.key(NOT_UTF8)
    listener = listen(backend.revision + 1).alive()
    at = backend.store.put(key, "1")

    assert [kv.key for kv in backend.store.list(backend.folder)[1]] == [key]
    assert list(backend.store.get_many([key])) == [key]
    assert backend.store.commit(Transaction((unchanged(key, at),), {key: "2"})) == at + 1
    assert [e.key for e in listener.until(lambda seen: len(seen.events) == 2).events] == [key, key]
    assert backend.store.delete(key)


def test_get_many_answers_only_what_is_there(backend: Backend) -> None:
    a, b = backend.key("a"), backend.key("b")
    at = backend.store.put(a, "1")

    assert backend.store.get_many([a, b, a]) == {a: KeyValue(a, b"1", at, at)}
    assert backend.store.get_many([]) == {}


def test_the_past_of_each_key_is_read_as_of_a_revision_of_its_own(backend: Backend) -> None:
    a, b = backend.key("a"), backend.key("b")
    first = backend.store.put(a, "1")
    second = backend.store.put(b, "2")
    third = backend.store.put(a, "3")
    backend.store.delete(b)

    found = backend.store.past([(a, second), (b, first), (b, third), (a, third)])

    assert found == [
        KeyValue(a, b"1", first, first),
        None,
        KeyValue(b, b"2", second, second),
        KeyValue(a, b"3", first, third),
    ]


def test_the_past_that_is_compacted_is_refused(backend: Backend) -> None:
    first = backend.store.put(backend.key("a"), "1")
    backend.compact(backend.store.put(backend.key("a"), "2"))

    with pytest.raises(Compacted):
        backend.store.past([(backend.key("a"), first)])


def test_get_many_reads_as_of_an_earlier_revision(backend: Backend) -> None:
    a, b, gone = backend.key("a"), backend.key("b"), backend.key("gone")
    backend.store.put(gone, "1")
    then = backend.store.put(a, "1")
    backend.store.put(a, "2")
    backend.store.put(b, "1")
    backend.store.delete(gone)

    found = backend.store.get_many([a, b, gone], revision=then)

    assert {key: kv.value for key, kv in found.items()} == {a: b"1", gone: b"1"}


def test_get_many_takes_any_number_of_keys(backend: Backend) -> None:
    keys = [backend.key(f"{n:03}") for n in range(250)]
    for start in (0, 100, 200):
        backend.store.commit(Transaction(puts=dict.fromkeys(keys[start : start + 100], "x")))

    assert list(backend.store.get_many(keys)) == keys


def test_get_many_reads_all_keys_at_one_revision(backend: Backend) -> None:
    """Two keys that always change together are never seen apart, though 250 others lie between them."""
    first, last = backend.key("000"), backend.key("999")
    between = [backend.key(f"{n:03}") for n in range(1, 251)]
    backend.store.commit(Transaction(puts={first: "0", last: "0"}))
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            backend.store.commit(Transaction(puts={first: str(number), last: str(number)}))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        pairs = [backend.store.get_many([first, *between, last]) for _ in range(60)]
    finally:
        stop.set()
        writer.join()

    assert [pair[first].value for pair in pairs] == [pair[last].value for pair in pairs]


# Listing -------------------------------------------------------------------------------------------


def test_a_list_is_in_order_of_key_and_holds_only_what_is_below_the_prefix(
    backend: Backend,
) -> None:
    for name in ("b/2", "a/1", "b/10", "b", "c/1"):
        backend.store.put(backend.key(name), name)
    revision, found = backend.store.list(backend.key("b/"))

    assert revision == backend.revision
    assert [(kv.key, kv.value) for kv in found] == [
        (backend.key("b/10"), b"b/10"),
        (backend.key("b/2"), b"b/2"),
    ]


def test_an_empty_list_still_has_a_revision(backend: Backend) -> None:
    at = backend.store.put(backend.key("a"), "1")

    assert backend.store.list(backend.key("b/")) == (at, [])


def test_a_list_of_keys_has_no_values(backend: Backend) -> None:
    at = backend.store.put(backend.key("a"), "1")

    assert backend.store.list(backend.folder, keys_only=True) == (
        at,
        [KeyValue(backend.key("a"), b"", at, at)],
    )


def test_a_list_of_many_pages_is_whole_and_read_at_one_revision(backend: Backend) -> None:
    keys = [backend.key(f"{n:05}") for n in range(2500)]
    for start in range(0, len(keys), 100):
        backend.store.commit(Transaction(puts=dict.fromkeys(keys[start : start + 100], "x" * 20)))
    revision, found = backend.store.list(backend.folder)

    assert revision == max(kv.revision for kv in found)
    assert [kv.key for kv in found] == keys


def test_a_list_can_be_read_as_of_an_earlier_revision(backend: Backend) -> None:
    a, b = backend.key("a"), backend.key("b")
    backend.store.put(a, "1")
    then = backend.store.put(b, "1")
    backend.store.put(a, "2")
    backend.store.delete(b)
    backend.store.put(backend.key("c"), "1")

    assert backend.store.list(backend.folder, revision=then) == (
        then,
        [KeyValue(a, b"1", then - 1, then - 1), KeyValue(b, b"1", then, then)],
    )


def test_a_scan_is_the_same_one_after_the_other(backend: Backend) -> None:
    keys = [backend.key(f"{n:05}") for n in range(2500)]
    for start in range(0, len(keys), 100):
        then = backend.store.commit(
            Transaction(puts=dict.fromkeys(keys[start : start + 100], "x" * 20))
        )
    backend.store.put(backend.key("99999"), "too late")

    assert (
        list(backend.store.scan(backend.folder, then))
        == backend.store.list(backend.folder, revision=then)[1]
    )


def test_a_scan_may_be_left(backend: Backend) -> None:
    at = backend.store.put(backend.key("a"), "1")
    backend.store.put(backend.key("b"), "1")

    assert next(iter(backend.store.scan(backend.folder, at + 1))).key == backend.key("a")


def test_a_scan_of_compacted_history_is_refused(backend: Backend) -> None:
    then = backend.store.put(backend.key("a"), "1")
    backend.compact(backend.store.put(backend.key("a"), "2"))

    with pytest.raises(Compacted):
        list(backend.store.scan(backend.folder, then))


def test_a_list_of_compacted_history_is_refused(backend: Backend) -> None:
    then = backend.store.put(backend.key("a"), "1")
    backend.compact(backend.store.put(backend.key("a"), "2"))

    with pytest.raises(Compacted):
        backend.store.list(backend.folder, revision=then)


# Transactions --------------------------------------------------------------------------------------


def test_a_transaction_changes_everything_at_one_revision(backend: Backend) -> None:
    a, b, c = map(backend.key, "abc")
    made = backend.store.put(a, "1")
    backend.store.put(b, "1")
    at = backend.store.commit(Transaction(puts={a: "2", c: "2"}, deletes=(b,)))

    assert backend.store.list(backend.folder) == (
        at,
        [KeyValue(a, b"2", made, at), KeyValue(c, b"2", at, at)],
    )


def test_what_is_read_with_a_transaction_is_read_right_after_it(backend: Backend) -> None:
    a, b, c = map(backend.key, "abc")
    made = backend.store.put(a, "1")
    backend.store.put(b, "1")
    at, found = backend.store.commit_and_read(
        Transaction((exists(a),), puts={a: "2"}, deletes=(b,)), [a, b, c, a]
    )

    assert (at, found) == (made + 2, {a: KeyValue(a, b"2", made, at)})


def test_what_is_read_with_a_refused_transaction_is_as_it_was(backend: Backend) -> None:
    a, b = map(backend.key, "ab")
    made = backend.store.put(a, "1")
    refused = Transaction((absent(a),), puts={a: "2", b: "2"})

    assert backend.store.commit_and_read(refused, [a, b]) == (0, {a: KeyValue(a, b"1", made, made)})
    assert backend.revision == made


@pytest.mark.parametrize("megabytes", [1.6, 2.5, 9.0])
def test_what_is_too_large_is_refused_for_good(backend: Backend, megabytes: float) -> None:
    """Three answers for one thing: of etcd itself, of its gRPC server above 2 MiB, and of our own gRPC above 8."""
    with pytest.raises(StoreRefused):
        backend.store.commit(Transaction(puts={backend.key("a"): "x" * int(megabytes * 2**20)}))

    assert backend.store.get(backend.key("a")) is None


REQUIREMENTS = [
    pytest.param(lambda a, gone, m: unchanged(a, m[1]), True, id="mod: unchanged"),
    pytest.param(lambda a, gone, m: unchanged(a, m[0]), False, id="mod: written since"),
    pytest.param(lambda a, gone, m: unchanged(a, 0), False, id="mod 0: there"),
    pytest.param(lambda a, gone, m: unchanged(gone, 0), True, id="mod 0: not there"),
    pytest.param(lambda a, gone, m: unchanged(gone, m[0]), False, id="mod: removed since"),
    pytest.param(lambda a, gone, m: same_incarnation(a, m[0]), True, id="create: the same"),
    pytest.param(lambda a, gone, m: same_incarnation(a, m[1]), False, id="create: another"),
    pytest.param(lambda a, gone, m: same_incarnation(gone, 0), True, id="create 0: not there"),
    pytest.param(lambda a, gone, m: same_incarnation(gone, m[0]), False, id="create: removed"),
    pytest.param(lambda a, gone, m: exists(a), True, id="exists: there"),
    pytest.param(lambda a, gone, m: exists(gone), False, id="exists: not there"),
    pytest.param(lambda a, gone, m: absent(gone), True, id="absent: not there"),
    pytest.param(lambda a, gone, m: absent(a), False, id="absent: there"),
]


@pytest.mark.parametrize(("requirement", "holds"), REQUIREMENTS)
def test_a_transaction_is_performed_if_its_requirement_holds(
    backend: Backend, requirement: Callable[[str, str, tuple[int, int]], Require], holds: bool
) -> None:
    a, gone, out = backend.key("a"), backend.key("gone"), backend.key("out")
    made = backend.store.put(a, "1")
    written = backend.store.put(a, "2")
    transaction = Transaction((requirement(a, gone, (made, written)),), puts={out: "x"})

    assert backend.store.commit(transaction) == (written + 1 if holds else 0)
    assert (backend.store.get(out) is not None) == holds


def test_one_requirement_that_does_not_hold_stops_the_whole_transaction(backend: Backend) -> None:
    a, b = backend.key("a"), backend.key("b")
    at = backend.store.put(a, "1")
    before = backend.revision

    assert (
        backend.store.commit(
            Transaction((unchanged(a, at), exists(b)), puts={b: "1"}, deletes=(a,))
        )
        == 0
    )
    assert backend.store.list(backend.folder) == (before, [KeyValue(a, b"1", at, at)])


def test_a_requirement_may_be_repeated_and_the_key_written_too(backend: Backend) -> None:
    a = backend.key("a")
    at = backend.store.put(a, "1")

    assert (
        backend.store.commit(
            Transaction((unchanged(a, at), unchanged(a, at), exists(a)), puts={a: "2"})
        )
        == at + 1
    )


def test_a_put_wins_over_a_delete_of_the_same_key(backend: Backend) -> None:
    a = backend.key("a")
    at = backend.store.commit(Transaction(puts={a: "1"}, deletes=(a, a)))

    assert backend.store.get(a) == KeyValue(a, b"1", at, at)


def test_deletes_of_what_is_not_there_succeed(backend: Backend) -> None:
    backend.store.put(backend.key("a"), "1")

    assert backend.store.commit(Transaction(deletes=(backend.key("x"), backend.key("y")))) > 0


def test_a_value_that_is_not_utf8_is_refused_for_good(backend: Backend) -> None:
    with pytest.raises(StoreRefused, match="UTF-8"):
        backend.store.commit(Transaction(puts={backend.key("a"): "\udcff"}))


@pytest.mark.parametrize(
    "transaction",
    [
        pytest.param(
            lambda key: Transaction(puts={key(str(n)): "" for n in range(129)}), id="129 puts"
        ),
        pytest.param(
            lambda key: Transaction(tuple(absent(key(str(n))) for n in range(129))),
            id="129 requirements",
        ),
        pytest.param(lambda key: Transaction(puts={key("a"): "x" * 1600 * 1024}), id="1.6 MB"),
    ],
)
def test_what_etcd_will_never_take_is_not_called_temporary(
    backend: Backend, transaction: Callable[..., Transaction]
) -> None:
    with pytest.raises(ValueError, match="etcd refuses the request"):
        backend.store.commit(transaction(backend.key))


# Leases --------------------------------------------------------------------------------------------


def test_only_the_leased_keys_vanish_when_a_lease_is_revoked(backend: Backend) -> None:
    stays, goes, never_leased = backend.key("stays"), backend.key("goes"), backend.key("never")
    lease = backend.store.lease(60)
    backend.store.commit(Transaction(puts={stays: "1", goes: "1"}, leased=frozenset({goes})), lease)
    backend.store.commit(Transaction(puts={never_leased: "1"}, leased=frozenset({never_leased})))
    lease.revoke()

    assert [kv.key for kv in backend.store.list(backend.folder)[1]] == [never_leased, stays]
    assert not lease.alive


def test_a_key_put_again_without_the_lease_stays(backend: Backend) -> None:
    a = backend.key("a")
    lease = backend.store.lease(60)
    backend.store.commit(Transaction(puts={a: "1"}, leased=frozenset({a})), lease)
    backend.store.put(a, "2")
    lease.revoke()

    assert backend.store.get(a) is not None


def test_what_hangs_on_an_abandoned_lease_vanishes_within_its_time(backend: Backend) -> None:
    a = backend.key("a")
    lease = backend.store.lease(2)
    backend.store.commit(Transaction(puts={a: "1"}, leased=frozenset({a})), lease)
    lease.abandon()

    assert not lease.alive
    assert backend.store.get(a) is not None
    backend.let_expire(lease)
    eventually(lambda: backend.store.get(a) is None)


def test_a_lease_that_is_renewed_outlives_its_time(backend: Backend) -> None:
    a, b = backend.key("a"), backend.key("b")
    kept, abandoned = backend.store.lease(2), backend.store.lease(2)
    backend.store.commit(Transaction(puts={a: "1"}, leased=frozenset({a})), kept)
    backend.store.commit(Transaction(puts={b: "1"}, leased=frozenset({b})), abandoned)
    abandoned.abandon()
    backend.let_expire(abandoned)
    eventually(lambda: backend.store.get(b) is None)

    assert kept.alive
    assert backend.store.get(a) is not None
    kept.revoke()


def test_a_lease_that_has_ended_takes_no_keys(backend: Backend) -> None:
    lease = backend.store.lease(60)
    lease.revoke()

    with pytest.raises(StoreUnavailable):
        backend.store.commit(
            Transaction(puts={backend.key("a"): "1"}, leased=frozenset({backend.key("a")})), lease
        )
    assert backend.store.get(backend.key("a")) is None


def test_a_lease_can_be_revoked_twice(backend: Backend) -> None:
    lease = backend.store.lease(60)
    lease.revoke()
    lease.revoke()

    assert not lease.alive


def test_a_lease_may_be_renewed_for_a_time_only(backend: Backend) -> None:
    a = backend.key("a")
    lease = backend.store.lease(2, renew_for=0.5)
    backend.store.commit(Transaction(puts={a: "1"}, leased=frozenset({a})), lease)
    backend.let_expire(lease)

    eventually(lambda: backend.store.get(a) is None)
    assert not lease.alive


# Watches -------------------------------------------------------------------------------------------


def test_a_watch_delivers_puts_and_deletes_in_order(backend: Backend, listen: Listen) -> None:
    a = backend.key("a")
    listener = listen(backend.revision + 1).alive()
    made = backend.store.put(a, "1")
    backend.store.put(a, "2")
    backend.store.delete(a)
    backend.store.put(a, "3")

    assert listener.until(lambda seen: len(seen.events) == 4).events == [
        Event(a, b"1", made, made),
        Event(a, b"2", made, made + 1),
        Event(a, None, 0, made + 2),
        Event(a, b"3", made + 3, made + 3),
    ]


def test_a_watch_begins_with_the_past_from_its_revision_on(
    backend: Backend, listen: Listen
) -> None:
    a = backend.key("a")
    made = backend.store.put(a, "1")
    for value in ("2", "3"):
        backend.store.put(a, value)
    listener = listen(made + 1)
    backend.store.put(a, "4")

    assert listener.until(lambda seen: len(seen.events) == 3).events == [
        Event(a, value, made, made + n) for n, value in ((1, b"2"), (2, b"3"), (3, b"4"))
    ]


def test_the_changes_of_one_transaction_come_in_the_order_of_writing(
    backend: Backend, listen: Listen
) -> None:
    old, b, a = backend.key("old"), backend.key("b"), backend.key("a")
    backend.store.put(old, "1")
    listener = listen(backend.revision + 1)
    at = backend.store.commit(Transaction(puts={b: "1", a: "1"}, deletes=(old,)))

    assert listener.until(lambda seen: len(seen.events) == 3).events == [
        Event(b, b"1", at, at),
        Event(a, b"1", at, at),
        Event(old, None, 0, at),
    ]


def test_a_watch_of_several_prefixes_sees_each_in_order_and_nothing_else(
    backend: Backend, listen: Listen
) -> None:
    first, second = backend.key("1/"), backend.key("2/")
    listener = listen(backend.revision + 1, first, second).alive()
    for n in range(5):
        for folder in (first, second, backend.key("3/")):
            backend.store.put(f"{folder}{n}", "x")
    listener.until(lambda seen: len(seen.events) >= 10)

    assert [e.key for e in listener.events if e.key.startswith(first)] == [
        f"{first}{n}" for n in range(5)
    ]
    assert [e.key for e in listener.events if e.key.startswith(second)] == [
        f"{second}{n}" for n in range(5)
    ]
    assert len(listener.events) == 10


def test_a_watch_sees_leased_keys_vanish(backend: Backend, listen: Listen) -> None:
    a = backend.key("a")
    lease = backend.store.lease(60)
    at = backend.store.commit(Transaction(puts={a: "1"}, leased=frozenset({a})), lease)
    listener = listen(at)
    lease.revoke()

    assert listener.until(lambda seen: len(seen.events) == 2).events == [
        Event(a, b"1", at, at),
        Event(a, None, 0, at + 1),
    ]


def test_closing_a_watch_ends_its_iteration(backend: Backend, listen: Listen) -> None:
    listener = listen(backend.revision + 1).alive()
    listener.watch.close()

    assert listener.ended()
    assert listener.error is None


def test_a_closed_watch_gives_nothing(backend: Backend) -> None:
    watch = backend.store.watch([backend.folder], 1)
    watch.close()

    assert [event for batch in watch for event in batch] == []


def test_a_watch_knows_when_it_last_heard_of_the_store(backend: Backend, listen: Listen) -> None:
    assert listen(backend.revision + 1).alive().watch.silent_for < PATIENCE


def test_a_watch_that_starts_in_compacted_history_says_so(backend: Backend, listen: Listen) -> None:
    then = backend.store.put(backend.key("a"), "1")
    backend.store.put(backend.key("a"), "2")
    backend.compact(backend.store.put(backend.key("a"), "3"))
    listener = listen(then)

    assert listener.ended()
    assert isinstance(listener.error, Compacted)


def test_compaction_does_not_disturb_a_watch_that_is_up_to_date(
    backend: Backend, listen: Listen
) -> None:
    a = backend.key("a")
    listener = listen(backend.revision + 1).alive()
    backend.store.put(a, "1")
    listener.until(lambda seen: len(seen.events) == 1)
    backend.compact(backend.revision)
    backend.store.put(a, "2")

    assert [e.value for e in listener.until(lambda seen: len(seen.events) == 2).events] == [
        b"1",
        b"2",
    ]


def test_a_watch_that_starts_in_compacted_history_tells_the_oldest_revision_that_is_left(
    backend: Backend, listen: Listen
) -> None:
    first = backend.store.put(backend.key("a"), "1")
    oldest = backend.store.put(backend.key("a"), "2")
    backend.compact(oldest)

    listener = listen(first)

    assert listener.ended()
    assert isinstance(listener.error, Compacted)
    assert listener.error.at == oldest


def test_a_watch_tells_how_far_each_prefix_has_been_given_out(
    backend: Backend, listen: Listen
) -> None:
    listener = listen(backend.revision + 1, backend.key("a/"), backend.key("b/")).alive()
    backend.store.put(backend.key("b/1"), "1")
    last = backend.store.put(backend.key("a/1"), "1")

    listener.until(lambda seen: len(seen.events) == 2)

    eventually(lambda: listener.watch.reached[backend.key("a/")] >= last)
    assert set(listener.watch.reached) == {backend.key("a/"), backend.key("b/")}


def test_each_prefix_may_be_watched_from_a_revision_of_its_own(backend: Backend) -> None:
    a, b = backend.key("a/"), backend.key("b/")
    first = backend.store.put(f"{a}1", "1")
    backend.store.put(f"{b}1", "1")
    later = backend.store.put(f"{a}2", "1")
    listener = Listener(backend.store.watch([a, b], first, {a: later}))

    try:
        listener.until(lambda seen: len(seen.events) == 2)
    finally:
        listener.watch.close()

    assert {event.key for event in listener.events} == {f"{a}2", f"{b}1"}
