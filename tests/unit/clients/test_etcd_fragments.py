"""Answers that etcd has taken apart are put together at whole revisions."""

from __future__ import annotations

import pytest
from etcd3.etcdrpc import rpc_pb2 as rpc
from orchestrator.clients.etcd import wire
from orchestrator.clients.store import Event


def events(*revisions: int) -> list[Event]:
    """One event of each revision, in order; the keys tell them apart."""
    return [
        Event(f"/{number}", b"", revision, revision) for number, revision in enumerate(revisions)
    ]


def test_an_answer_in_one_piece_is_given_out_as_it_is() -> None:
    fragments = wire.Fragments()

    assert fragments.whole(0, events(1, 2, 2), more=False) == events(1, 2, 2)
    assert not fragments.keeps(0)


def test_the_last_revision_of_a_fragment_waits_for_the_next_one() -> None:
    fragments = wire.Fragments()
    first, second = events(1, 2, 2, 2)[:3], events(1, 2, 2, 2)[3:]

    assert [e.revision for e in fragments.whole(0, first, more=True)] == [1]
    assert fragments.keeps(0)
    assert fragments.whole(0, second, more=False) == [*first[1:], *second]
    assert not fragments.keeps(0)


def test_a_fragment_within_one_revision_gives_out_nothing() -> None:
    fragments = wire.Fragments()

    assert fragments.whole(0, events(5, 5), more=True) == []
    assert fragments.whole(0, events(5), more=True) == []
    assert [e.revision for e in fragments.whole(0, events(6), more=False)] == [5, 5, 5, 6]


def test_watches_on_one_stream_do_not_mix() -> None:
    fragments = wire.Fragments()
    fragments.whole(1, events(3), more=True)

    assert fragments.whole(2, events(4), more=False) == events(4)
    assert fragments.whole(1, events(5), more=False) == [*events(3), *events(5)]


@pytest.mark.parametrize(
    ("raw", "expected"), [(b"", False), (b"\x38\x01", True), (b"\x38\x00", False)]
)
def test_the_field_that_the_stubs_do_not_know_is_read(raw: bytes, expected: bool) -> None:
    """Field 7 of WatchResponse in etcd's rpc.proto."""
    reply = rpc.WatchResponse.FromString(rpc.WatchResponse(watch_id=3).SerializeToString() + raw)

    assert wire.is_fragment(reply) == expected


def test_fragments_are_asked_for() -> None:
    """Field 8 of WatchCreateRequest survives in the request that is sent."""
    assert wire.watch("/a/", 5).SerializeToString().endswith(b"\x40\x01")
