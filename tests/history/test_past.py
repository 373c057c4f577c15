"""What a real etcd tells of a resource without any help."""

from __future__ import annotations

import pytest
from orchestrator.core.jobs import Action
from orchestrator.core.refs import Ref
from orchestrator.history import past
from orchestrator.history.changes import ChangeKind, classify
from orchestrator.sandbox import servers

from .conftest import HistoryWorld, compact

pytestmark = pytest.mark.integration

NET, SUB = Ref("network", "n"), Ref("subnet", "s")


def story(world: HistoryWorld, ref: Ref = NET) -> None:
    """Built, changed with trouble, failed, deleted, and made anew."""
    world.config(ref, 1, name="a")
    world.carry_out(world.decide(ref, 1, name="a"))
    world.config(ref, 2, name="b")
    world.hold(ref, SUB, 2)
    world.carry_out(world.decide(ref, 2, Action.MODIFY, name="b"), retries=2)
    world.config(ref, 3, name="c")
    world.carry_out(world.decide(ref, 3, Action.MODIFY, name="c"), "Heat refuses it")
    world.config(ref, 4, marked=True, name="c")
    world.carry_out(world.decide(ref, 4, Action.DELETE, name="c"))
    world.clean(ref)
    world.config(ref, 1, name="z")
    world.carry_out(world.decide(ref, 1, name="z"))


def told(world: HistoryWorld, ref: Ref, since: int = 0) -> set[tuple[str, int, bytes | None]]:
    """What etcd's own watch says about a resource."""
    return {
        (event.key, event.revision, event.value)
        for event in world.events(since + 1)
        if classify(world.keys, event.key)[1] == ref
    }


def found(read: past.Past) -> set[tuple[str, int, bytes | None]]:
    return {(change.key, change.revision, change.value) for change in read.changes}


def test_all_that_the_watch_would_tell_is_found_again(world: HistoryWorld) -> None:
    story(world)
    story(world, SUB)

    read = past.read(world.store, world.keys, NET)

    assert found(read) == told(world, NET)
    assert (read.compacted, read.cut) == (False, False)


def test_a_resource_that_is_gone_is_found_again(world: HistoryWorld) -> None:
    story(world)
    world.clean(NET)

    assert found(past.read(world.store, world.keys, NET)) == told(world, NET)


def test_the_changes_are_in_order_of_revision(world: HistoryWorld) -> None:
    story(world)

    changes = past.read(world.store, world.keys, NET).changes

    assert [c.revision for c in changes] == sorted(c.revision for c in changes)
    assert {c.kind for c in changes} >= {
        ChangeKind.CONFIG,
        ChangeKind.JOB,
        ChangeKind.RUN,
        ChangeKind.STATE,
        ChangeKind.FAILED,
    }


def test_compacted_revisions_are_told_and_all_later_ones_are_found(
    world: HistoryWorld, etcd: servers.Etcd
) -> None:
    world.config(NET, 1, name="old")
    world.carry_out(world.decide(NET, 1))
    at = world.config(NET, 2, name="b")
    world.carry_out(world.decide(NET, 2, Action.MODIFY, name="b"))
    compact(etcd, at)

    read = past.read(world.store, world.keys, NET)

    assert read.compacted
    assert {item for item in found(read) if item[1] > at} == told(world, NET, at)


def test_what_is_known_already_is_not_asked_for(world: HistoryWorld) -> None:
    world.config(NET, 1, name="a")
    job = world.decide(NET, 1)
    floor = world.store.list(world.keys.jobs)[0]
    world.carry_out(job)
    world.config(NET, 2, name="b")
    world.carry_out(world.decide(NET, 2, Action.MODIFY, name="b"))

    there = {world.keys.job(job.id): ChangeKind.JOB, world.keys.run("t1", job.id): ChangeKind.RUN}
    read = past.read(world.store, world.keys, NET, floor=floor, there=there)

    assert found(read) == told(world, NET, floor)


def test_the_requests_are_bounded_and_a_cut_is_told(world: HistoryWorld) -> None:
    for version in range(1, 30):
        world.config(NET, version, name=f"n{version}")

    read = past.read(world.store, world.keys, NET, most=10)

    assert read.cut
    assert 0 < len(read.changes) < 29
    assert max(change.revision for change in read.changes) == read.revision
