"""The night on call, scripted: each question is answered by one command.

What is broken, since when, why, what is to be done; what is overdue and when it is given up; which tenant is
throttled; whether anybody works; what waits for what.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from orchestrator.cli import getting, output, showing, status, status_document
from orchestrator.cli.exits import Exit
from orchestrator.cli.getting import ListFormat
from orchestrator.cli.layout import Section, fitted
from orchestrator.clients import catalogue
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.records import WorkerAlive
from orchestrator.core.refs import Ref
from orchestrator.views.listing import ListChoice, ListState, SortBy, chosen
from orchestrator.views.outdated import OutdatedStack
from orchestrator.views.overview import Overview, overview
from orchestrator.views.phases import Phase
from orchestrator.views.reading import read_all
from orchestrator.views.snapshot import Snapshot
from orchestrator.views.times import Moment
from rich.console import Console

from tests.doubles import MemoryStore

from .night import HOUR, MINUTE, Night

NOW = 1795449345.0


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    keys, store = Keys(Prefixes(), catalogue.load().schemas), MemoryStore()
    for key, value in Night(keys, NOW).written().items():
        store.put(key, value)
    return read_all(store, keys)


@pytest.fixture(scope="module")
def found(snapshot: Snapshot) -> Overview:
    return overview(snapshot, Moment(NOW))


def screen(found: Overview, width: int, most: int | None = status.ROWS) -> list[str]:
    """The lines on a terminal."""
    target = io.StringIO()
    console = Console(
        file=target,
        force_terminal=True,
        color_system=None,
        width=width,
        markup=False,
        highlight=False,
        emoji=False,
    )
    console.print(output.as_renderable(status.render(found, NOW, most)))
    return [line.rstrip() for line in target.getvalue().splitlines()]


def test_the_first_line_says_what_is_wrong_and_the_exit_code_too(found: Overview) -> None:
    assert screen(found, 80)[0] == "Not well: 2 overdue, 30 failed (3 causes), 8 held, 1 rejected."
    assert status.exit_of(found) is Exit.PROBLEM
    assert sum(found.phases.values()) == 500


def test_thirty_failures_are_three_causes_with_their_tenants_and_times(found: Overview) -> None:
    told = [
        (cause.roots[0], len(cause.roots), cause.others, len(cause.tenants), NOW - cause.since)
        for cause in found.causes
    ]
    assert told == [
        (Ref("port", "quota-00"), 12, 0, 1, 3 * HOUR),
        (Ref("network", "backbone"), 1, 9, 1, HOUR),
        (Ref("vnf_instance", "image-00"), 8, 0, 8, HOUR),
    ]
    assert found.causes[1].todo == "correct it, or: orchestrator retry network backbone"


def test_what_is_overdue_says_when_it_is_given_up_and_the_first_is_first(found: Overview) -> None:
    lines = screen(found, 80)
    place = lines.index("OVERDUE")
    assert lines[place + 2].split() == (
        [
            "router:stuck-1",
            "tenant-05",
            "1",
            "h",
            "4",
            "min",
            "14:51:45Z",
            "in",
            "1",
            "min",
            "0",
            "s",
        ]
    )
    assert [str(one.ref) for one in found.overdue] == ["router:stuck-0", "router:stuck-1"]
    assert [one.gives_up - NOW for one in found.overdue] == [3 * MINUTE, MINUTE]


def test_the_throttled_tenant_and_the_open_circuit_are_named(found: Overview) -> None:
    told = [(one.tenant, one.kind, one.waiting, NOW - one.since) for one in found.delays]
    assert told == [
        ("tenant-13", "circuit", 7, 10 * MINUTE),
        ("tenant-07", "limit", 16, 5 * MINUTE),
    ]


def test_the_processes_that_are_alive_are_told(found: Overview) -> None:
    lines = screen(found, 120, most=None)
    assert lines[1].startswith("The bridge on control-1 (pid 4711) leads. control-2 stands by.")
    assert lines[2] == (
        "3 workers with 24 slots, last claim 4 s ago, messages wait 0.2 s for a worker."
    )
    [last] = [line for line in lines if line.startswith("worker@node-2")]
    assert last.split()[:6] == ["worker@node-2", "node-2", "8", "0.1.0", "6", "s"]


def test_what_waits_is_folded_by_what_it_waits_for(found: Overview) -> None:
    [waits] = found.waits
    assert (waits.waits_for, len(waits.refs)) == (Ref("network", "busy-00"), 40)
    [ready] = found.ready
    assert (ready.tenant, len(ready.refs)) == ("tenant-07", 16)
    [held] = found.held_back
    assert (held.waits_for, len(held.refs), held.moving) == (Ref("network", "nowhere"), 8, False)


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_name_is_broken_and_no_line_is_too_long(found: Overview, width: int) -> None:
    lines = screen(found, width)

    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for name in ("router:stuck-1", "vnf_instance:image-00 and 7 more", "network:busy-03"):
        assert name in text


def test_in_a_pipe_a_row_is_a_line_and_no_column_is_dropped(
    found: Overview, capsys: pytest.CaptureFixture[str]
) -> None:
    output.show(status.render(found, NOW))

    lines = capsys.readouterr().out.splitlines()
    [quota] = [line for line in lines if line.startswith("port:quota-00")]
    assert "tenant-03" in quota and "12:55:45Z" in quota and "Quota exceeded" in quota


def test_rows_that_are_left_out_are_counted(found: Overview) -> None:
    lines = screen(found, 80, most=2)

    assert "… and 1 more; `orchestrator status --all`" in lines
    assert "… and 2 more; `orchestrator status --all`" in lines


def test_the_document_for_scripts_has_all_of_it(found: Overview) -> None:
    document = json.loads(json.dumps(status_document.as_document(found, NOW)))

    assert [one["gives_up"] for one in document["overdue"]] == [NOW + 180, NOW + 60]
    assert [one["resources"] for one in document["causes"]] == [12, 10, 8]
    assert [one["leads"] for one in document["bridges"]] == [True, False]
    assert len(document["workers"]) == 3


# Nobody works --------------------------------------------------------------------------------------


def test_jobs_that_no_worker_takes_are_an_alarm(snapshot: Snapshot) -> None:
    keys, store = snapshot.keys, MemoryStore()
    for key, value in Night(keys, NOW).written().items():
        if not key.startswith(keys.workers):
            store.put(key, value)
    found = overview(read_all(store, keys), Moment(NOW))
    assert found.alarms == ("No worker is alive, and jobs wait for one: 16.",)

    alive = WorkerAlive("worker@here", "here", 1, 4, "0.1.0", NOW)
    store.put(keys.worker(alive.name), alive.to_json())
    assert overview(read_all(store, keys), Moment(NOW)).alarms == ()

    key = keys.bridge("a1")
    record = store.get(key)
    assert record is not None
    store.put(key, json.dumps({**json.loads(record.value), "wait": 75.0}))
    found = overview(read_all(store, keys), Moment(NOW))
    assert found.alarms == ("No worker takes jobs: a message has waited for 75 s.",)


def test_nobody_who_leads_is_an_alarm(snapshot: Snapshot) -> None:
    store = MemoryStore()
    found = overview(read_all(store, snapshot.keys), Moment(NOW))

    assert screen(found, 80)[0] == (
        "No bridge leads: nothing happens before `orchestrator bridge` runs."
    )
    assert status.exit_of(found) is Exit.PROBLEM


# Layout --------------------------------------------------------------------------------------------


def test_a_narrow_terminal_does_without_the_spare_columns_first() -> None:
    section = Section(
        "", ("name", "since", "tenant"), [("a" * 20, "b" * 10, "c" * 10)], spare=("since", "tenant")
    )

    assert fitted(section, 44).columns == ("name", "since", "tenant")
    assert fitted(section, 43).columns == ("name", "tenant")
    assert fitted(section, 30).columns == ("name",)
    assert fitted(section, 5).columns == ("name",)


# Lists ---------------------------------------------------------------------------------------------


def names(found: Snapshot, **choice: Any) -> list[str]:
    return [str(one.standing.ref) for one in chosen(found, ListChoice(**choice), Moment(NOW))]


def test_a_list_has_the_states_that_are_asked_for(snapshot: Snapshot) -> None:
    failed = names(snapshot, states=frozenset({ListState.FAILED}))
    assert len(failed) == 32 and "router:stuck-0" in failed
    assert len(names(snapshot, states=frozenset({ListState.HELD}))) == 8
    assert len(names(snapshot, states=frozenset({ListState.HELD, ListState.FAILED}))) == 40
    assert len(names(snapshot, states=frozenset({ListState.RUNNING}))) == 22
    assert names(snapshot, states=frozenset({ListState.DRIFTED})) == []


def test_a_list_has_one_tenant_or_one_type(snapshot: Snapshot) -> None:
    assert len(names(snapshot, tenant="tenant-07")) == 60 + 20 + 1
    assert len(names(snapshot, kind="router", states=frozenset({ListState.FAILED}))) == 2


def test_a_list_is_sorted_as_asked(snapshot: Snapshot) -> None:
    failed = frozenset({ListState.FAILED})
    assert names(snapshot, states=failed, order=SortBy.AGE)[0] == "port:quota-00"
    assert names(snapshot, states=failed, order=SortBy.PHASE)[:2] == [
        "router:stuck-0",
        "router:stuck-1",
    ]
    tenants = [one.tenant for one in chosen(snapshot, ListChoice(order=SortBy.TENANT), Moment(NOW))]
    assert tenants == sorted(tenants)


def test_what_is_drifted_or_outdated_is_chosen_by_what_the_record_says(snapshot: Snapshot) -> None:
    [one, other, *_] = chosen(snapshot, ListChoice(), Moment(NOW))
    drifted = replace(one, drift={"kinds": ["status"], "accepted": False})
    accepted = replace(other, drift={"kinds": ["status"], "accepted": True})
    standing = replace(other.standing, outdated=OutdatedStack(template="port"))
    outdated = replace(other, standing=standing)

    drifts = ListChoice(states=frozenset({ListState.DRIFTED}))
    assert (drifts.takes(drifted), drifts.takes(accepted), drifts.takes(one)) == (
        True,
        False,
        False,
    )
    old = ListChoice(states=frozenset({ListState.OUTDATED}))
    assert (old.takes(outdated), old.takes(other)) == (True, False)


@pytest.mark.parametrize("width", [40, 80])
def test_a_narrow_list_drops_columns_and_breaks_no_name(snapshot: Snapshot, width: int) -> None:
    listed = chosen(snapshot, ListChoice(states=frozenset({ListState.FAILED})), Moment(NOW))
    target = io.StringIO()
    console = Console(file=target, force_terminal=True, color_system=None, width=width)
    console.print(output.as_renderable(showing.table(listed, NOW)))
    lines = [line.rstrip() for line in target.getvalue().splitlines()]

    assert max(map(len, lines)) <= width
    assert sum("vnf_instance:image-0" in line for line in lines) == 8


def test_a_watched_list_prints_what_has_changed(
    snapshot: Snapshot, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = chosen(snapshot, ListChoice(states=frozenset({ListState.HELD})), Moment(NOW))
    known = getting.tell_changes(listed, {}, ListFormat.TEXT, NOW)
    assert len(capsys.readouterr().out.splitlines()) == 9

    first, second, *rest = listed
    moved = replace(first, standing=replace(first.standing, phase=Phase.RUNNING))
    known = getting.tell_changes([moved, *rest], known, ListFormat.TEXT, NOW + 60)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("port:held-0  running")
    assert lines[1:] == ["port:held-1  is not in the list any more"]

    getting.tell_changes([moved, second, *rest], known, ListFormat.NAME, NOW)
    assert capsys.readouterr().out == "port:held-1\n"
