"""Our values as etcd's messages, and back.

Keys are bytes in etcd and texts here. A key that is not UTF-8 keeps its bytes by Python's
*surrogateescape*, so that a comparison or a write names the very key that was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etcd3.etcdrpc import rpc_pb2 as rpc
from google.protobuf.unknown_fields import UnknownFieldSet

from ...core.transactions import Require, Transaction
from ...errors import StoreRefused
from ..store import Event, KeyValue

_WITH_FRAGMENTS = b"\x40\x01"
"""``WatchCreateRequest.fragment = true``: field 8 of etcd's rpc.proto, which the stubs do not
know."""
_FRAGMENT = 7
"""The number of ``WatchResponse.fragment`` in etcd's rpc.proto."""
_DELETE = 1
"""``mvccpb.Event.DELETE``."""


def raw(key: str) -> bytes:
    """A key as etcd has it."""
    return key.encode(errors="surrogateescape")


def text(key: bytes) -> str:
    """A key as we have it."""
    return key.decode(errors="surrogateescape")


def end_of(prefix: str) -> bytes:
    """The end of the range of all keys that start with *prefix*, which ends in an ASCII
    character."""
    start = raw(prefix)
    return start[:-1] + bytes([start[-1] + 1])


def value_of(key: str, value: str) -> bytes:
    """:raises StoreRefused: the value is no UTF-8."""
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise StoreRefused(
            f"the value of {key!r} is not UTF-8: {error.reason}"
        ) from error


def key_value(kv: Any) -> KeyValue:
    return KeyValue(text(kv.key), kv.value, kv.create_revision, kv.mod_revision)


def event(happened: Any) -> Event:
    kv = happened.kv
    value = kv.value
    if happened.type == _DELETE:
        value = None
    return Event(text(kv.key), value, kv.create_revision, kv.mod_revision)


# Transactions -------------------------------------------------------------------------------------


def reading(key: str, revision: int = 0) -> Any:
    """One key, as an operation of a transaction."""
    return rpc.RequestOp(
        request_range=rpc.RangeRequest(key=raw(key), revision=revision)
    )


def found(reply: Any) -> dict[str, KeyValue]:
    """What the readings of a transaction found."""
    return {
        text(kv.key): key_value(kv)
        for response in reply.responses
        for kv in response.response_range.kvs
    }


def transaction(wanted: Transaction, keys: Sequence[str], lease: int) -> Any:
    """A transaction that also reads *keys*, whether it is performed or not.

    :param lease: the id of the lease for the puts in ``wanted.leased``; 0: none.
    """
    operations = [
        _put(key, value, lease if key in wanted.leased else 0)
        for key, value in wanted.puts.items()
    ]
    deletes = (
        key for key in dict.fromkeys(wanted.deletes) if key not in wanted.puts
    )
    operations += map(_delete, deletes)
    # etcd performs these after the writes, and at the same revision.
    readings = [reading(key) for key in dict.fromkeys(keys)]
    requires = [_compare(require) for require in dict.fromkeys(wanted.requires)]
    return rpc.TxnRequest(
        compare=requires, success=operations + readings, failure=readings
    )


def _put(key: str, value: str, lease: int) -> Any:
    request = rpc.PutRequest(
        key=raw(key), value=value_of(key, value), lease=lease
    )
    return rpc.RequestOp(request_put=request)


def _delete(key: str) -> Any:
    return rpc.RequestOp(
        request_delete_range=rpc.DeleteRangeRequest(key=raw(key))
    )


def _compare(require: Require) -> Any:
    compare, key = rpc.Compare, raw(require.key)
    match require.what:
        case "mod":
            return compare(
                key=key,
                target=compare.MOD,
                result=compare.EQUAL,
                mod_revision=require.revision,
            )
        case "create":
            return compare(
                key=key,
                target=compare.CREATE,
                result=compare.EQUAL,
                create_revision=require.revision,
            )
        case "exists":
            return compare(
                key=key,
                target=compare.CREATE,
                result=compare.GREATER,
                create_revision=0,
            )


# Watches ------------------------------------------------------------------------------------------


def watch(prefix: str, revision: int) -> Any:
    """A request for changes below *prefix* from *revision* on, in answers of some megabytes at the
    most.

    Without fragments, etcd puts all that a watch has missed into one answer, which may be larger
    than any client takes.
    """
    create = rpc.WatchCreateRequest(
        key=raw(prefix),
        range_end=end_of(prefix),
        start_revision=revision,
        progress_notify=True,
    )
    fragmented = rpc.WatchCreateRequest.FromString(
        create.SerializeToString() + _WITH_FRAGMENTS
    )
    return rpc.WatchRequest(create_request=fragmented)


def is_fragment(reply: Any) -> bool:
    """Whether more of the same answer follows."""
    return any(
        field.field_number == _FRAGMENT and field.data
        for field in UnknownFieldSet(reply)
    )


class Fragments:
    """Puts together what etcd has taken apart: whatever is given out ends with a whole revision.

    The events of the last revision of a fragment may go on in the next one, so they are kept back.
    They come from one transaction, so they are small.
    """

    def __init__(self) -> None:
        self._kept: dict[int, list[Event]] = {}

    def whole(
        self, watch_id: int, events: Sequence[Event], *, more: bool
    ) -> list[Event]:
        """The events that are complete now.

        :param more: whether more of the same answer follows.
        """
        listed = [*self._kept.pop(watch_id, ()), *events]
        if not more or not listed:
            return listed
        last = listed[-1].revision
        self._kept[watch_id] = [
            event for event in listed if event.revision == last
        ]
        return [event for event in listed if event.revision != last]

    def keeps(self, watch_id: int) -> bool:
        """Whether something of this watch is still incomplete."""
        return watch_id in self._kept
