"""Writing below ``/config`` in the place of an API server: versions are counted here.

Every write is one transaction that compares the revision on which it was decided; when somebody
else was faster, it is decided anew.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..clients.places import config_key
from ..clients.store import KeyValue, Store, revision_of
from ..core.documents import parse_json
from ..core.keys import Keys
from ..core.records import UNREADABLE, Handled
from ..core.refs import Json, Ref
from ..core.resources import UNVERSIONED
from ..core.templates import TEMPLATE_TYPE
from ..core.transactions import Transaction, unchanged
from ..errors import InvalidInput, StoreUnavailable
from .documents import value_of

_ATTEMPTS = 20
_NO_RECORD: Mapping[str, str] = {}


class WriteResult(StrEnum):
    """What became of one document."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    MARKED = "marked for deletion"
    ALREADY_MARKED = "already marked"
    REMOVED = "removed"
    ABSENT = "not there"
    RETRIED = "will be retried"
    CONFIRMED = "confirmed"
    REBUILT = "will be rebuilt"


@dataclass(frozen=True, slots=True)
class Written:
    """One document below ``/config``.
    *version* is 0 when there is none any more; *revision* is the etcd revision of the key's last
    write; *before* is the version that was there, None when nothing was.
    """

    ref: Ref
    key: str
    result: WriteResult
    version: int = 0
    revision: int = 0
    before: int | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Json]:
        return {
            "type": self.ref.type,
            "id": self.ref.id,
            "result": self.result.value,
            "version": self.version,
            "key": self.key,
        }


@dataclass(frozen=True, slots=True)
class StoredConfig:
    """What lies at a key now; *body* is None when it cannot be read."""

    version: int
    body: dict[str, Json] | None
    marked: bool


def stored(value: bytes) -> StoredConfig:
    """A value below ``/config``, whoever wrote it. Never raises."""
    try:
        document = parse_json(value)
        body = document.get("body")
        if isinstance(body, str):
            body = parse_json(body)
        version, marked = (
            document.get("version"),
            document.get("marked_for_deletion", False),
        )
    except (ValueError, AttributeError, RecursionError):
        return StoredConfig(0, None, False)
    if version is None:
        version = UNVERSIONED
    whole = (
        isinstance(version, int)
        and not isinstance(version, bool)
        and version >= UNVERSIONED
    )
    if not whole:
        return StoredConfig(0, None, marked is True)
    if not isinstance(body, dict):
        body = None
    return StoredConfig(version, body, marked is True)


def same(
    ref: Ref, old: Mapping[str, Json] | None, new: Mapping[str, Json]
) -> bool:
    """Whether two bodies say the same.
    ``1`` and ``true`` differ; in a template, so does the order of the mappings."""
    return old is not None and _canonical(ref, old) == _canonical(ref, new)


def _canonical(ref: Ref, body: Mapping[str, Json]) -> str:
    if ref.type == TEMPLATE_TYPE:
        mappings = body.get("parameter_mappings")
        body = {**body, "parameter_mappings": json.dumps(mappings)}
    return json.dumps(body, sort_keys=True)


def put(
    store: Store,
    keys: Keys,
    ref: Ref,
    body: Mapping[str, Json],
    *,
    only: int | None = None,
    record: Mapping[str, str] = _NO_RECORD,
) -> Written:
    """Write a resource with its next version, unless it is there already as it is wanted.

    :param record: the record of the verb, which is written in the same transaction.
    :param only: the revision of the write that may be replaced, 0: there is none; None: any.
    :raises InvalidInput: etcd refuses the value, or somebody else has written it since.
    """
    key = config_key(keys, ref)
    for _ in range(_ATTEMPTS):
        there = store.get(key)
        now = stored(there.value) if there else None
        if only is not None and only != (there.revision if there else 0):
            raise InvalidInput(
                f"{ref} was written by somebody else meanwhile: look at it again"
            )
        if there and now and not now.marked and same(ref, now.body, body):
            return Written(
                ref, key, WriteResult.UNCHANGED, now.version, there.revision
            )
        version = _next_version(store, keys, ref, there, now)
        value = value_of(dict(body), version)
        if revision := _write(store, there, {key: value, **record}, key):
            result = WriteResult.UPDATED if there else WriteResult.CREATED
            return Written(
                ref,
                key,
                result,
                version,
                revision,
                now.version if now else None,
            )
    raise StoreUnavailable(
        f"{key} is written by somebody else all the time; try again"
    )


def mark(
    store: Store,
    keys: Keys,
    ref: Ref,
    *,
    record: Mapping[str, str] = _NO_RECORD,
) -> Written:
    """Mark a resource for deletion, with its next version and its body as it is.

    A template is removed at once: no stack was made of it, and nobody reports its deletion.

    :param record: as of :func:`put`.
    """
    key = config_key(keys, ref)
    if ref.type == TEMPLATE_TYPE:
        return remove(store, keys, ref, record=record)
    for _ in range(_ATTEMPTS):
        there = store.get(key)
        if there is None:
            return Written(ref, key, WriteResult.ABSENT)
        now = stored(there.value)
        if now.marked:
            return Written(
                ref,
                key,
                WriteResult.ALREADY_MARKED,
                now.version,
                there.revision,
            )
        if now.body is None:
            raise InvalidInput(
                f"{key}: what is there cannot be read, so it cannot be marked; remove"
                " it with --now"
            )
        version = _next_version(store, keys, ref, there, now)
        value = value_of(now.body, version, marked=True)
        if revision := _write(store, there, {key: value, **record}, key):
            return Written(
                ref, key, WriteResult.MARKED, version, revision, now.version
            )
    raise StoreUnavailable(
        f"{key} is written by somebody else all the time; try again"
    )


def remove(
    store: Store,
    keys: Keys,
    ref: Ref,
    revision: int = 0,
    *,
    record: Mapping[str, str] = _NO_RECORD,
) -> Written:
    """Remove a key.

    :param revision: only while this is its last write; 0: whatever it is.
    :param record: as of :func:`put`.
    """
    key = config_key(keys, ref)
    transaction = Transaction(puts=record, deletes=(key,))
    if revision:
        transaction = transaction.also(unchanged(key, revision))
    there = store.get(key)
    if there is None:
        return Written(ref, key, WriteResult.ABSENT)
    if not store.commit(transaction):
        now = stored(there.value)
        return Written(
            ref, key, WriteResult.UPDATED, now.version, there.revision
        )
    return Written(ref, key, WriteResult.REMOVED)


def _next_version(
    store: Store,
    keys: Keys,
    ref: Ref,
    there: KeyValue | None,
    now: StoredConfig | None,
) -> int:
    """One more than the highest that was ever seen of this incarnation: also when what is there now
    cannot be read, or is older than what was handled."""
    if there is None or now is None:
        return 1
    handled = 0
    if keys.schemas.get(ref.type) and (
        record := store.get(keys.below(keys.handled, ref))
    ):
        with contextlib.suppress(*UNREADABLE):
            known = Handled.from_json(record.value)
            if known.incarnation == there.created:
                handled = known.version
    return max(now.version, handled) + 1


def _write(
    store: Store, there: KeyValue | None, puts: Mapping[str, str], key: str
) -> int:
    try:
        return store.commit(
            Transaction((unchanged(key, revision_of(there)),), puts)
        )
    except ValueError as error:
        raise InvalidInput(f"{key}: {error}") from error
