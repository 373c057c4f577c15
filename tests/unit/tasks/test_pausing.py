"""What a process knows of pauses."""

from __future__ import annotations

from orchestrator.core.keys import run_id
from orchestrator.core.refs import JobId
from orchestrator.core.transactions import Transaction
from tasks.pausing import KnownPauses

from tests import factories
from tests.doubles import MemoryStore

RUN = run_id("t1", JobId("create:heat_worker:network:n1:1:abcde"))
PAUSED = '{"pauses": [{"since": "2026-11-28T12:24:20Z", "by": "ann", "tenant_id": "t1"}]}'


def test_a_claim_goes_by_the_pauses_that_it_was_handed_whatever_others_have_read_since() -> None:
    store, keys, known = MemoryStore(), factories.keys(), KnownPauses()
    handed = known.allowing(store, keys, RUN)
    assert handed is not None
    store.put(keys.pauses, PAUSED)
    known.refresh(store, keys)  # Another chain of the process does.

    assert store.commit(Transaction((handed.unchanged(keys),), {"/taken": "now"})) == 0
    assert known.allowing(store, keys, RUN) is None


def test_a_pause_that_is_over_is_found_by_whoever_would_wait_for_it() -> None:
    store, keys, known = MemoryStore(), factories.keys(), KnownPauses()
    store.put(keys.pauses, PAUSED)
    known.refresh(store, keys)
    store.delete(keys.pauses)

    handed = known.allowing(store, keys, RUN)
    assert handed is not None and handed.revision == 0
