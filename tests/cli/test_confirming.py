"""Held deletions, and what others stand on: told before, shown after, and let go by a person."""

from __future__ import annotations

import json

import pytest
from orchestrator.cli.confirming import confirm
from orchestrator.cli.exits import Exit
from orchestrator.cli.status import exit_of
from orchestrator.cli.users import with_users
from orchestrator.cli.verbs.authors import verb
from orchestrator.core.jobs import Action
from orchestrator.core.records import Brake, Cause, Identity, IdentityTrouble, RetryAsked, Run, Step
from orchestrator.core.refs import Ref
from orchestrator.views.overview import held_deletions, overview
from orchestrator.views.reading import read_all
from orchestrator.views.standings import Phase, Progress

from .conftest import Records, Run_

NET, SUB, PORT = Ref("network", "n"), Ref("subnet", "s"), Ref("port", "p")


def built(records: Records, ref: Ref, *uses: Ref) -> None:
    """A resource that is complete, and made from others."""
    incarnation = records.config(ref)
    records.handle(ref, 1, incarnation, revision=incarnation, digest="x", references={"a": uses})
    records.report(ref)


def brake(records: Records) -> None:
    records.store.put(records.keys.brake, Brake("2026-11-27T21:49:01Z", 2, 1).to_json())


def remove(records: Records, *refs: Ref) -> None:
    for ref in refs:
        records.store.delete(records.keys.below(records.keys.config, ref))


def phase(records: Records, ref: Ref) -> Phase:
    return Progress(read_all(records.store, records.keys)).of(ref).phase


# Projects that are gone ---------------------------------------------------------------------------


def test_the_deletions_that_keystone_refuses_are_named_and_let_go(
    run: Run_, written: Records
) -> None:
    built(written, NET)
    remove(written, NET)
    refused = Run(
        Step.RETRY, cause=Cause.PROJECT.value, reason="no access to project t1", since=1.0
    )
    written.job(NET, action=Action.DELETE, run=refused)

    told = run("status")
    assert told.exit_code == Exit.PROBLEM
    assert "orchestrator confirm project t1" in " ".join(told.output.split())

    asked = run("confirm", "project", "t1", "--yes")
    assert asked.exit_code == Exit.OK, asked.output
    left = written.store.get(written.keys.below(written.keys.retries, NET))
    assert left is not None
    assert RetryAsked.from_json(left.value).gone == "t1"


def test_a_project_in_which_nothing_waits_is_not_given_up(run: Run_, written: Records) -> None:
    built(written, NET)
    assert run("confirm", "project", "t", "--yes").exit_code != Exit.OK


# Held deletions -----------------------------------------------------------------------------------


def test_what_the_brake_holds_is_kept_until_it_is_written_again(memory: Records) -> None:
    for ref in (NET, SUB):
        built(memory, ref)
    remove(memory, NET, SUB)
    assert phase(memory, NET) is Phase.PENDING
    brake(memory)
    assert held_deletions(read_all(memory.store, memory.keys)) == [NET, SUB]

    memory.config(NET)

    assert held_deletions(read_all(memory.store, memory.keys)) == [SUB]


def test_a_deletion_that_is_under_way_is_not_held(memory: Records) -> None:
    built(memory, NET)
    remove(memory, NET)
    brake(memory)
    memory.job(NET, action=Action.DELETE)
    assert held_deletions(read_all(memory.store, memory.keys)) == []


def test_status_tells_of_held_deletions_by_type_and_what_to_do(run: Run_, written: Records) -> None:
    nets = [Ref("network", f"n{number}") for number in range(5)]
    for ref in nets:
        built(written, ref)
    built(written, PORT)
    remove(written, PORT, *nets)
    brake(written)
    written.lead()

    result = run("status")

    assert result.exit_code == Exit.PROBLEM
    assert "network  5       n0, n1, n2 and 2 more" in result.stdout
    assert "More than 1 configs" in result.stdout
    assert "orchestrator confirm deletions" in result.stdout
    document = json.loads(run("status", "-o", "json").stdout)
    assert {one["id"] for one in document["unconfirmed"]} == {"p", *(ref.id for ref in nets)}


def test_exactly_what_was_seen_is_confirmed(run: Run_, written: Records) -> None:
    for ref in (NET, SUB):
        built(written, ref)
    remove(written, NET)
    brake(written)
    seen = read_all(written.store, written.keys).revision

    result = run("confirm", "deletions", "--yes", "-o", "json")

    assert result.exit_code == Exit.OK, result.output
    assert [(one["type"], one["result"]) for one in json.loads(result.stdout)] == [
        ("network", "confirmed")
    ]
    asked = written.store.list(written.keys.retries)[1]
    assert [RetryAsked.from_json(kv.value).confirm for kv in asked] == [seen]
    assert phase(written, NET) is Phase.PENDING


def test_without_a_terminal_and_without_yes_nothing_is_confirmed(
    run: Run_, written: Records
) -> None:
    built(written, NET)
    remove(written, NET)
    brake(written)

    result = run("confirm", "deletions")

    assert result.exit_code == Exit.INPUT
    assert "--yes" in result.stderr
    assert not written.store.list(written.keys.retries)[1]


def test_where_nothing_is_held_there_is_nothing_to_confirm(run: Run_, written: Records) -> None:
    built(written, NET)
    result = run("confirm", "deletions", "--yes")
    assert result.exit_code == Exit.INPUT
    assert "no deletion is held" in result.stderr


def test_thousands_are_confirmed_in_transactions_that_etcd_takes(written: Records) -> None:
    refs = [Ref("network", f"n{number}") for number in range(1001)]
    confirm(written.store, written.keys, refs, 7, verb("confirm deletions", "alice", None))
    assert len(written.store.list(written.keys.retries, keys_only=True)[1]) == len(refs)


# Another identity ---------------------------------------------------------------------------------


def test_a_bridge_that_has_stopped_is_told_first_and_let_go(run: Run_, written: Records) -> None:
    found = Identity("/confg", "/state", "/monitoring", "/jobs", "types", "cluster")
    trouble = IdentityTrouble("the prefix is another one", "2026-11-27T21:49:01Z", found)
    written.store.put(written.keys.identity_trouble, trouble.to_json())

    result = run("status")
    assert result.exit_code == Exit.PROBLEM
    assert (
        "The bridge has stopped, since 2026-11-27T21:49:01Z: the prefix is another one."
        in result.stdout
    )
    assert json.loads(run("status", "-o", "json").stdout)["stopped"] == "the prefix is another one"

    assert run("confirm", "identity", "--yes").exit_code == Exit.OK
    confirmed = written.store.get(written.keys.identity_confirmed)
    assert confirmed is not None
    assert Identity.from_json(confirmed.value) == found


def test_where_no_bridge_has_stopped_there_is_nothing_to_confirm(run: Run_) -> None:
    result = run("confirm", "identity", "--yes")
    assert result.exit_code == Exit.INPUT
    assert "no bridge waits" in result.stderr


# What others stand on -----------------------------------------------------------------------------


@pytest.fixture
def service(written: Records) -> Records:
    built(written, NET)
    built(written, SUB, NET)
    built(written, PORT, NET, SUB)
    return written


@pytest.mark.parametrize("how", [[], ["--now"]], ids=["marked", "removed"])
def test_delete_names_the_users_and_deletes_nothing(
    run: Run_, service: Records, how: list[str]
) -> None:
    result = run("delete", "network", "n", *how)

    assert result.exit_code == Exit.INPUT
    for word in ("network:n is used by port:p, subnet:s", "--cascade", "--force"):
        assert word in result.stderr
    assert service.wanted(NET)["marked_for_deletion"] is False


def test_delete_with_cascade_marks_the_users_first(run: Run_, service: Records) -> None:
    result = run("delete", "network", "n", "--cascade", "-o", "json")
    assert result.exit_code == Exit.OK, result.output
    assert [one["type"] for one in json.loads(result.stdout)] == ["port", "subnet", "network"]
    assert all(service.wanted(ref)["marked_for_deletion"] for ref in (NET, SUB, PORT))


def test_delete_with_force_leaves_the_users(run: Run_, service: Records) -> None:
    assert run("delete", "network", "n", "--force").exit_code == Exit.OK
    assert [service.wanted(ref)["marked_for_deletion"] for ref in (NET, SUB, PORT)] == [
        True,
        False,
        False,
    ]


def test_users_that_are_deleted_too_are_no_reason_to_refuse(run: Run_, service: Records) -> None:
    service.config(PORT, 2, marked=True)
    documents = "type: network\nid: n\n---\ntype: subnet\nid: s\n"
    assert run("delete", "-f", "-", input=documents).exit_code == Exit.OK


def test_a_circle_of_users_is_deleted_once(memory: Records) -> None:
    built(memory, NET, PORT)
    built(memory, PORT, NET)
    assert with_users(read_all(memory.store, memory.keys), [NET]) == [PORT, NET]


def test_what_stands_on_what_is_gone_is_not_complete(memory: Records) -> None:
    built(memory, NET)
    built(memory, PORT, NET)
    assert phase(memory, PORT) is Phase.COMPLETE

    remove(memory, NET)
    assert phase(memory, PORT) is Phase.COMPLETE, "its stack is still there"
    memory.report(NET, 2, Action.DELETE)

    assert phase(memory, PORT) is Phase.BROKEN
    found = overview(read_all(memory.store, memory.keys))
    assert [(one.ref, one.reason) for one in found.broken] == [
        (PORT, "was built from network:n, which is gone")
    ]
    assert exit_of(found) is Exit.PROBLEM


def test_what_reads_a_value_of_a_type_without_stacks_is_complete(memory: Records) -> None:
    plan = Ref("vnf_plan", "small")
    memory.config(plan)
    built(memory, PORT, plan)
    assert phase(memory, PORT) is Phase.COMPLETE
