"""Jobs that have nothing to do with each other are written together, and no other."""

from __future__ import annotations

from collections import Counter

import pytest
from orchestrator.bridge import loading
from orchestrator.core.refs import Ref
from orchestrator.core.transactions import Transaction

from tests.factories import network, port

from .bench import Bench


def jobs_by_revision(bench: Bench) -> Counter[int]:
    return Counter(
        e.revision
        for e in bench.store.history
        if e.key.startswith(bench.keys.jobs) and e.value is not None
    )


def test_independent_jobs_share_transactions() -> None:
    bench = Bench()
    for n in range(100):
        bench.put(network(f"n{n}"))
    bench.settle()

    assert sorted(jobs_by_revision(bench).values()) == [20, 40, 40]


def test_a_turn_decides_so_many_and_leaves_the_rest_for_the_next() -> None:
    bench = Bench()
    bench.settle()
    for n in range(100):
        bench.put(network(f"n{n:02}"))
    for event in bench.store.history:
        if ref := bench.keys.ref(bench.keys.config, event.key):
            loading.take_in(bench.world, bench.keys, event)
            assert ref in bench.world.dirty
    made = []
    for _ in range(3):
        bench.reconciler.settle(40)
        made.append(len(bench.ready))

    assert made == [40, 80, 100], "and what is ready can be sent after each turn"
    assert [job.split(":")[3] for job in bench.ready] == [f"n{n:02}" for n in range(100)], (
        "in the order of arrival"
    )


def test_a_job_is_not_written_with_one_that_it_waits_for() -> None:
    bench = Bench()
    for n in range(10):
        bench.put(port(f"p{n}"), network_id=f"n{n}")
        bench.put(network(f"n{n}"))
    bench.settle()

    for n in range(10):
        (made,) = (job for job in bench.jobs_at(0).values() if job.ref == port(f"p{n}"))
        assert [dependency.split(":")[2:4] for dependency in made.dependency] == [
            ["network", f"n{n}"]
        ]
    bench.quiet()
    bench.check_jobs()
    bench.check_reports()


def test_reports_and_jobs_share_a_transaction() -> None:
    bench = Bench()
    for n in range(5):
        bench.put(network(f"n{n}"))
        bench.put(Ref("plan", f"big{n}"))
    before = bench.store.revision
    bench.settle()

    assert bench.store.revision == before + 1
    assert bench.state(Ref("plan", "big4"))["state"] == {"worker_state": "READ_COMPLETE"}
    assert len(bench.jobs_at(0)) == 5


def test_one_that_changed_meanwhile_does_not_keep_the_others_from_being_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    for n in range(10):
        bench.put(network(f"n{n}"))
    commit = bench._leadership.commit

    def late(transaction: Transaction) -> int:
        """Before the first write of all, somebody writes the next version of one of them."""
        monkeypatch.undo()
        bench.put(network("n3"))
        return commit(transaction)

    monkeypatch.setattr(bench._leadership, "commit", late)
    bench.settle()

    assert {job.ref.id for job in bench.jobs_at(0).values()} == {
        f"n{n}" for n in range(10) if n != 3
    }
    bench.quiet()
    bench.check_jobs()
    bench.check_reports()
    assert bench.state(network("n3"))["version"] == 2


def test_large_bodies_are_not_put_together_beyond_what_etcd_takes() -> None:
    bench = Bench()
    for n in range(4):
        bench.put(network(f"n{n}"), note="x" * 500_000)
    bench.settle()

    assert {job.ref.id for job in bench.jobs_at(0).values()} == {"n0", "n1", "n2", "n3"}
