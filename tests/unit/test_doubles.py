"""What tests rely on of the doubles, where no real server is compared with them."""

from __future__ import annotations

from tests.doubles import MemoryStore


def test_a_restored_store_has_what_it_had_when_it_was_saved() -> None:
    store = MemoryStore()
    store.put("/a", "then")
    store.save()
    store.put("/a", "later")
    store.put("/b", "later")
    store.restore()

    assert [(kv.key, kv.value) for kv in store.list("/")[1]] == [("/a", b"then")]
