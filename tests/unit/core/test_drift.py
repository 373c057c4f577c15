"""What a sweep makes of Heat's list: drift, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from orchestrator.core.drift import (
    Baseline,
    KnownStack,
    StackComparison,
    SweepOrder,
    candidates,
    compare_listed,
    is_order,
    is_suspicious,
    lost,
    next_record,
)
from orchestrator.core.records import (
    Depth,
    Deviation,
    Drift,
    DriftKind,
    StackRecord,
    Sweep,
    SweepAsked,
)
from orchestrator.core.records.drifts import MOST_DEVIATIONS
from orchestrator.core.refs import JobId, Ref
from orchestrator.core.stacks import Stack, tags

from tests import factories
from tests.factories import TENANT, network

N1 = network("n1")
JOB = JobId("create:heat_worker:network:n1:1:aaaaa")
EARLY, LATE, LATEST = (f"2026-11-28T10:0{minute}:00Z" for minute in range(3))
BASE = Baseline(revision=50, newest=EARLY, keeps_tags=True)


def known(
    status: str = "CREATE_COMPLETE",
    *,
    busy: bool = False,
    revision: int = 40,
    job: JobId = JOB,
    updated: str = "",
) -> KnownStack:
    record = StackRecord.of(N1, TENANT, status)
    return KnownStack(N1, record, job, busy, revision, handled_revision=30, updated=updated)


def listed(status: str = "CREATE_COMPLETE", *, updated: str = "", tagged: str = tags(JOB)) -> Stack:
    return Stack(
        "s1", N1.stack_name, status, tags=tuple(filter(None, tagged.split(","))), updated=updated
    )


def kinds(
    before: KnownStack, shown: Stack, base: Baseline = BASE, earlier: Drift | None = None
) -> list[DriftKind]:
    return [one.kind for one in compare_listed(before, shown, base, earlier)]


@pytest.mark.parametrize(
    ("recorded", "shown", "expected"),
    [
        ("CREATE_COMPLETE", "CREATE_COMPLETE", False),
        ("CREATE_COMPLETE", "CHECK_COMPLETE", False),
        ("CREATE_COMPLETE", "SNAPSHOT_COMPLETE", False),
        ("UPDATE_COMPLETE", "RESUME_COMPLETE", False),
        ("UPDATE_FAILED", "UPDATE_FAILED", False),
        ("CREATE_COMPLETE", "CHECK_FAILED", True),
        ("CREATE_COMPLETE", "SUSPEND_COMPLETE", True),
        ("CREATE_COMPLETE", "UPDATE_FAILED", True),
        ("CREATE_COMPLETE", "ROLLBACK_COMPLETE", True),
        ("CREATE_COMPLETE", "DELETE_IN_PROGRESS", True),
        ("CREATE_COMPLETE", "DELETE_FAILED", True),
        ("CREATE_FAILED", "UPDATE_COMPLETE", True),
        ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", True),
    ],
)
def test_another_status_is_drift_unless_the_stack_works_as_before(
    recorded: str, shown: str, expected: bool
) -> None:
    assert (DriftKind.STATUS in kinds(known(recorded), listed(shown))) is expected


def test_a_stack_without_our_tags_has_drifted_where_heat_keeps_tags() -> None:
    assert kinds(known(), listed(tagged="")) == [DriftKind.UNTAGGED]
    assert kinds(known(), listed(tagged=""), replace(BASE, keeps_tags=False)) == []
    assert kinds(known(job=JobId("")), listed(tagged="")) == []


def test_a_stack_that_was_only_created_has_drifted_when_heat_names_a_time_of_an_update() -> None:
    assert kinds(known(), listed("UPDATE_COMPLETE", updated=EARLY)) == [DriftKind.UPDATED]
    assert kinds(known(), listed("CHECK_COMPLETE", updated=LATE)) == []
    assert is_suspicious(known(), listed("CHECK_COMPLETE", updated=LATE), BASE)


def test_our_own_update_is_told_from_a_later_one_by_the_sweep_before() -> None:
    ours, foreign = (listed("UPDATE_COMPLETE", updated=time) for time in (EARLY, LATE))
    before, since = known("UPDATE_COMPLETE", revision=50), known("UPDATE_COMPLETE", revision=51)

    assert kinds(before, ours) == []
    assert kinds(before, foreign) == [DriftKind.UPDATED]
    assert kinds(since, foreign) == [], "it may be ours: the sweep before was earlier"
    assert kinds(before, foreign, Baseline(keeps_tags=True)) == [], "there was no sweep before"


@pytest.mark.parametrize("base", [BASE, Baseline(keeps_tags=True), Baseline(60, LATEST)])
def test_our_own_update_is_told_from_a_later_one_by_its_recorded_time(base: Baseline) -> None:
    ours = known("UPDATE_COMPLETE", revision=55, updated=LATE)

    assert kinds(ours, listed("UPDATE_COMPLETE", updated=LATE), base) == []
    assert kinds(ours, listed("UPDATE_COMPLETE", updated=LATEST), base) == [DriftKind.UPDATED]
    assert is_suspicious(ours, listed("CHECK_COMPLETE", updated=LATEST), base)


def test_an_update_that_was_found_is_found_again_until_our_next_operation() -> None:
    shown = listed("UPDATE_COMPLETE", updated=LATE)
    earlier = drift(Deviation(DriftKind.UPDATED), updated=LATE)
    after = Baseline(60, LATE, keeps_tags=True)
    before = known("UPDATE_COMPLETE")

    assert kinds(before, shown, after, earlier) == [DriftKind.UPDATED]
    assert kinds(before, shown, after, None) == []
    assert kinds(before, shown, after, replace(earlier, job=JobId("x"))) == []
    assert kinds(before, replace(shown, updated=LATEST), after, earlier) == [DriftKind.UPDATED]


def test_an_operation_of_ours_in_flight_is_no_drift() -> None:
    busy = known(busy=True)
    shown = listed("UPDATE_IN_PROGRESS", updated=LATE, tagged="")

    assert kinds(busy, shown) == []
    assert not is_suspicious(busy, shown, BASE)
    assert lost(busy) == ()


def test_a_stack_that_heat_has_no_more_is_lost_unless_we_deleted_it() -> None:
    assert [one.kind for one in lost(known())] == [DriftKind.LOST]
    assert lost(known("DELETE_COMPLETE")) == ()
    assert kinds(known("DELETE_COMPLETE"), listed()) == []


# Unknown stacks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tagged", "expected"),
    [
        ("network_n9", "", ["network:n9"]),
        ("network_", "", []),
        ("plan_p1", "", []),
        ("somebodys", "orchestrator-owner-network:n9", []),
        ("network_n9", "orchestrator-owner-network:n9,orchestrator-1-abcde", ["network:n9"]),
    ],
)
def test_a_stack_is_of_our_naming_when_a_type_builds_stacks_of_such_names(
    name: str, tagged: str, expected: list[str]
) -> None:
    shown = Stack("s9", name, "CREATE_COMPLETE", tags=tuple(filter(None, tagged.split(","))))

    assert list(map(str, candidates(factories.schemas(), shown))) == expected


def test_a_stack_that_is_being_deleted_is_nobodys() -> None:
    shown = Stack("s9", "network_n9", "DELETE_IN_PROGRESS")

    assert candidates(factories.schemas(), shown) == []


# The record ---------------------------------------------------------------------------------------

STATUS, OUTPUT = Deviation(DriftKind.STATUS), Deviation(DriftKind.OUTPUT, "id")


def drift(*deviations: Deviation, updated: str = "", job: JobId = JOB, depth: int = 1) -> Drift:
    return Drift(TENANT, deviations, since=100.0, depth=depth, job=job, updated=updated)


def found(*deviations: Deviation, depth: int = Depth.LISTS, updated: str = "") -> StackComparison:
    return StackComparison(TENANT, deviations, depth, JOB, updated)


def test_drift_that_comes_and_goes_keeps_its_beginning() -> None:
    first = next_record(found(STATUS), None, 100.0)
    gone = next_record(found(), first, 200.0)
    again = next_record(found(STATUS), gone, 300.0)

    assert first is not None and gone is not None and again is not None
    assert first.shown and not gone.shown and again.shown
    assert [first.since, gone.since, again.since] == [100.0] * 3
    assert next_record(found(), gone, 300.0) is None, "twice in a row nothing: the record goes"


def test_the_record_of_drift_that_stays_does_not_change() -> None:
    first = next_record(found(STATUS), None, 100.0)

    assert next_record(found(STATUS), first, 200.0) == first


def test_what_only_a_deeper_comparison_finds_stays_as_long_as_the_stack_is_the_same() -> None:
    deep = drift(OUTPUT, depth=4)

    assert next_record(found(), deep, 200.0) == deep
    both = next_record(found(STATUS), deep, 200.0)
    assert both is not None and set(both.deviations) == {STATUS, OUTPUT} and both.depth == 4
    updated = next_record(found(updated=LATE), deep, 200.0)
    assert updated is not None and updated.gone
    compared = next_record(found(depth=Depth.OUTPUTS), deep, 200.0)
    assert compared is not None and compared.gone


def test_accepted_drift_is_shown_again_when_something_else_differs() -> None:
    accepted = replace(drift(STATUS), accepted=True)
    same = next_record(found(STATUS), accepted, 200.0)
    more = next_record(found(STATUS, Deviation(DriftKind.UNTAGGED)), accepted, 200.0)

    assert same == accepted and not accepted.shown
    assert more is not None and more.shown and more.since == 100.0


def test_a_record_names_the_first_differences_and_counts_the_others() -> None:
    many = [Deviation(DriftKind.PARAMETER, f"p{number:03}") for number in range(70)]
    record = next_record(found(*many, depth=Depth.REQUEST), None, 1.0)

    assert record is not None
    assert (len(record.deviations), record.left_out) == (MOST_DEVIATIONS, 20)
    assert record.reason == "parameter; parameter; parameter; 67 more"


@pytest.mark.parametrize(
    "record",
    [
        drift(STATUS, OUTPUT),
        replace(drift(STATUS), gone=True, accepted=True, corrections=2, left_out=3, updated=LATE),
    ],
)
def test_a_record_of_drift_is_read_as_it_was_written(record: Drift) -> None:
    assert Drift.from_json(record.to_json()) == record


def test_records_of_sweeps_are_read_as_they_were_written() -> None:
    sweep = Sweep(7.5, 12, LATE, 3, 1, 2, 4, "port:p1", "away", ("outputs",))
    asked = SweepAsked(TENANT, Depth.OUTPUTS, (N1, Ref("port", "a:b")))

    assert Sweep.from_json(sweep.to_json()) == sweep
    assert Sweep.from_json('{"at": 1.0, "of_a_newer_release": 1}') == Sweep(1.0)
    assert SweepAsked.from_json(asked.to_json()) == asked


def test_the_message_of_a_sweep_carries_ids_only() -> None:
    order = SweepOrder(TENANT, (N1, Ref("port", "a:b")), "k3v9a")
    message = order.to_message()

    assert message == {"tenant": "t1", "resources": ["network:n1", "port:a:b"], "asked": "k3v9a"}
    assert is_order(message) and SweepOrder.from_message(message) == order


@pytest.mark.parametrize(
    "message",
    [
        "t1",
        ["network:n1"],
        {"tenant": 1, "resources": [], "asked": ""},
        {"tenant": "t1", "resources": ["n1"], "asked": ""},
        {"tenant": "t1", "resources": [1], "asked": ""},
        {"tenant": "t1", "resources": []},
    ],
)
def test_another_message_is_no_order(message: object) -> None:
    assert not is_order(message)
