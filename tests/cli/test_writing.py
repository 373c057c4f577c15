"""Versions are counted, and nobody's write is lost."""

from __future__ import annotations

import json

import pytest
from orchestrator.cli import writing
from orchestrator.cli.writing import WriteResult, Written
from orchestrator.core.refs import Json, Ref
from orchestrator.core.transactions import Transaction
from orchestrator.errors import InvalidInput

from tests.doubles import MemoryStore

from .conftest import Records

A = Ref("network", "a")
KEY = "/config/v2.0/networks/a"
TEMPLATE = Ref("heat_template", "network")


def put(memory: Records, body: dict[str, Json], ref: Ref = A) -> Written:
    return writing.put(memory.store, memory.keys, ref, body)


def test_the_first_version_is_written_as_the_api_server_writes_it(memory: Records) -> None:
    result = put(memory, {"id": "a", "name": "x"})

    assert result == Written(A, KEY, WriteResult.CREATED, 1, 2)
    kv = memory.store.get(KEY)
    assert kv
    assert json.loads(kv.value) == {
        "body": '{"id": "a", "name": "x"}',
        "version": 1,
        "marked_for_deletion": False,
    }


def test_a_change_gets_the_next_version_and_no_change_writes_nothing(memory: Records) -> None:
    put(memory, {"name": "x", "n": 1})
    revision = memory.store.list(KEY)[0]

    assert put(memory, {"n": 1, "name": "x"}).result is WriteResult.UNCHANGED
    assert memory.store.list(KEY)[0] == revision
    assert put(memory, {"n": True, "name": "x"}) == Written(
        A, KEY, WriteResult.UPDATED, 2, revision + 1
    )


def test_the_order_of_a_templates_mappings_is_part_of_it(memory: Records) -> None:
    assert (
        put(memory, {"parameter_mappings": {"a": "Ca", "b": "Cb"}}, TEMPLATE).result
        is WriteResult.CREATED
    )
    assert (
        put(memory, {"parameter_mappings": {"a": "Ca", "b": "Cb"}}, TEMPLATE).result
        is WriteResult.UNCHANGED
    )
    assert (
        put(memory, {"parameter_mappings": {"b": "Cb", "a": "Ca"}}, TEMPLATE).result
        is WriteResult.UPDATED
    )


def test_what_is_marked_for_deletion_and_applied_again_is_wanted_again(memory: Records) -> None:
    put(memory, {"name": "x"})
    assert writing.mark(memory.store, memory.keys, A).version == 2

    assert put(memory, {"name": "x"}) == Written(A, KEY, WriteResult.UPDATED, 3, 4)
    assert memory.wanted(A) == {"body": {"name": "x"}, "version": 3, "marked_for_deletion": False}


def test_a_mark_keeps_the_body(memory: Records) -> None:
    put(memory, {"name": "x", "tenant_id": "t"})

    assert writing.mark(memory.store, memory.keys, A) == Written(A, KEY, WriteResult.MARKED, 2, 3)
    assert memory.wanted(A) == {
        "body": {"name": "x", "tenant_id": "t"},
        "version": 2,
        "marked_for_deletion": True,
    }
    assert writing.mark(memory.store, memory.keys, A) == Written(
        A, KEY, WriteResult.ALREADY_MARKED, 2, 3
    )
    assert memory.store.list(KEY)[0] == 3


def test_what_is_not_there_need_not_be_deleted(memory: Records) -> None:
    assert writing.mark(memory.store, memory.keys, A) == Written(A, KEY, WriteResult.ABSENT)
    assert writing.remove(memory.store, memory.keys, A) == Written(A, KEY, WriteResult.ABSENT)


def test_a_template_is_removed_and_not_marked_for_the_catalogues_serves_again(
    memory: Records,
) -> None:
    put(memory, {"template_file": "x"}, TEMPLATE)

    assert writing.mark(memory.store, memory.keys, TEMPLATE).result is WriteResult.REMOVED
    assert memory.wanted(TEMPLATE) is None


def test_a_version_is_higher_than_any_that_was_dealt_with(memory: Records) -> None:
    """Somebody wrote rubbish over version 7; the bridge would take any lower version for an old one."""
    incarnation = memory.config(A, version=7)
    memory.handle(A, version=7, incarnation=incarnation)
    memory.store.put(KEY, "rubbish")

    assert put(memory, {"name": "x"}).version == 8


def test_a_recreated_resource_starts_anew(memory: Records) -> None:
    incarnation = memory.config(A, version=7)
    memory.handle(A, version=7, incarnation=incarnation)
    memory.store.delete(KEY)

    assert put(memory, {"name": "x"}).version == 1


def test_rubbish_cannot_be_marked(memory: Records) -> None:
    memory.store.put(KEY, "rubbish")

    with pytest.raises(InvalidInput, match=f"{KEY}: what is there cannot be read"):
        writing.mark(memory.store, memory.keys, A)
    assert writing.remove(memory.store, memory.keys, A).result is WriteResult.REMOVED


class Contended(MemoryStore):
    """Somebody else is faster with the first write."""

    def __init__(self, key: str, value: str) -> None:
        super().__init__()
        self._other: tuple[str, str] | None = (key, value)

    def commit(self, transaction: Transaction, lease: object = None) -> int:
        if self._other:
            key, value = self._other
            self._other = None
            self.put(key, value)
        return super().commit(transaction)


def test_whoever_was_slower_decides_anew(memory: Records) -> None:
    store = Contended(KEY, json.dumps({"body": {"name": "theirs"}, "version": 4}))

    result = writing.put(store, memory.keys, A, {"name": "ours"})

    assert result == Written(A, KEY, WriteResult.UPDATED, 5, 3)


def test_the_key_is_removed_only_while_it_is_the_one_that_was_reported(memory: Records) -> None:
    marked = put(memory, {"name": "x"})
    memory.config(A, version=2)

    assert (
        writing.remove(memory.store, memory.keys, A, marked.revision).result is WriteResult.UPDATED
    )
    assert memory.wanted(A) is not None
