"""Writes on paper: whoever reads sees them, and etcd gets none of them."""

from __future__ import annotations

import pytest
from orchestrator.clients.overlay import Overlay
from orchestrator.core.transactions import Transaction, absent, exists, unchanged

from tests.doubles import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    """Two keys in one folder, and one beside it."""
    found = MemoryStore()
    for key in ("/a/1", "/a/2", "/b"):
        found.put(key, "there")
    return found


def values(overlay: Overlay, prefix: str) -> dict[str, bytes]:
    return {kv.key: kv.value for kv in overlay.list(prefix)[1]}


def test_a_write_is_seen_and_not_written(store: MemoryStore) -> None:
    overlay, before = Overlay(store), store.revision
    assert values(overlay, "/a/") == {"/a/1": b"there", "/a/2": b"there"}

    overlay.put("/a/3", "new")
    overlay.delete("/a/1")

    assert values(overlay, "/a/") == {"/a/2": b"there", "/a/3": b"new"}
    assert overlay.get("/a/1") is None and overlay.get("/b") is not None
    assert [(event.key, event.value) for event in overlay.written] == [
        ("/a/3", b"new"),
        ("/a/1", None),
    ]
    assert store.revision == before


def test_everything_is_read_at_the_revision_of_the_first_reading(store: MemoryStore) -> None:
    overlay = Overlay(store)
    revision, _ = overlay.list("/a/")
    store.put("/b", "later")
    store.put("/c", "later")

    found = overlay.get("/b")
    assert found is not None and found.value == b"there"
    assert overlay.get("/c") is None
    assert [kv.key for kv in overlay.scan("/", revision)] == ["/a/1", "/a/2", "/b"]


def test_revisions_go_on_from_etcds_and_a_key_keeps_its_creation(store: MemoryStore) -> None:
    overlay = Overlay(store)
    before = overlay.get("/b")
    assert before is not None
    overlay.put("/b", "other")
    overlay.put("/new", "one")
    changed, new = overlay.get("/b"), overlay.get("/new")

    assert changed is not None and new is not None
    assert (changed.created, changed.revision) == (before.created, overlay.revision + 1)
    assert new.created == new.revision == overlay.revision + 2
    assert overlay.revision_of("/b") == before.revision
    assert overlay.revision_of("/new") == 0


def test_a_transaction_whose_requirement_does_not_hold_changes_nothing(
    store: MemoryStore,
) -> None:
    overlay = Overlay(store)
    for requirement in (absent("/b"), exists("/c"), unchanged("/b", 1)):
        assert not overlay.commit(Transaction((requirement,), {"/b": "x"}))
    assert not overlay.written

    assert overlay.commit(Transaction((exists("/b"), absent("/c")), {"/c": "x"}))
    assert len(overlay.written) == 1
