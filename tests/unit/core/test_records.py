"""The records of CONTRACT section 7, and our own there and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from orchestrator.core import records
from orchestrator.core.jobs import Action
from orchestrator.core.mapping.evaluate import OutputOf
from orchestrator.core.records import (
    Built,
    Duration,
    Durations,
    Failed,
    Handled,
    Held,
    JobState,
    LeaderRecord,
    Login,
    LoginState,
    MonitoringRecord,
    Run,
    SchemasRecord,
    StackRecord,
    StateRecord,
    Step,
)
from orchestrator.core.refs import JobId, Ref
from orchestrator.errors import RecordUnreadable

P1, N1 = Ref("port", "p1"), Ref("network", "n1")
OUTPUTS = [{"output_key": "id", "output_value": "x", "description": ""}]


def test_a_stack_record() -> None:
    assert json.loads(StackRecord.of(P1, "t", "UPDATE_COMPLETE", OUTPUTS, "done").to_json()) == {
        "stack_id": "port_p1",
        "tenant_id": "t",
        "stack_status": "UPDATE_COMPLETE",
        "output": OUTPUTS,
        "status_reason": "done",
        "id": "port:p1",
    }


def test_the_stack_record_of_a_deleted_stack_is_empty() -> None:
    assert json.loads(StackRecord.of(P1, "t", "DELETE_COMPLETE", OUTPUTS, "done").to_json()) == {
        "stack_id": "",
        "tenant_id": "t",
        "stack_status": "DELETE_COMPLETE",
        "output": [],
        "status_reason": "",
        "id": "port:p1",
    }


def test_what_a_stack_is_built_from() -> None:
    reads = {OutputOf(N1, "id"): "d1", OutputOf(N1, "name"): "d2"}
    built = Built(JobId("create:heat_worker:port:p1:1:abcde"), "port", "r1", "d3", reads)

    assert Built.from_json(built.to_json()) == built
    assert json.loads(built.to_json())["outputs"] == [
        ["network", "n1", "id", "d1"],
        ["network", "n1", "name", "d2"],
    ]


def test_an_output_that_heat_could_not_compute_has_no_digest() -> None:
    outputs = [*OUTPUTS, {"output_key": "ip", "output_value": None, "output_error": "no ip"}]

    assert list(records.digests_of(outputs)) == ["id"]


def test_a_job_state() -> None:
    assert JobState().to_json() == "{}"
    assert json.loads(JobState("CREATE_COMPLETE", tuple(OUTPUTS)).to_json()) == {
        "heat_outputs": OUTPUTS,
        "orchestration_state": "CREATE_COMPLETE",
    }


STATES: list[Any] = [
    pytest.param(Action.CREATE, "", "CREATE_COMPLETED", id="created"),
    pytest.param(Action.MODIFY, "", "MODIFY_COMPLETED", id="modified"),
    pytest.param(Action.DELETE, "", "DELETE_COMPLETED", id="deleted"),
    pytest.param(Action.CREATE, "why", "CREATE_FAILED", id="not created"),
    pytest.param(Action.MODIFY, "why", "MODIFY_FAILED", id="not modified"),
    pytest.param(Action.DELETE, "why", "DELETE_FAILED", id="not deleted"),
]


@pytest.mark.parametrize(("action", "error", "worker_state"), STATES)
def test_a_state(action: Action, error: str, worker_state: str) -> None:
    inner = {
        "worker_state": worker_state,
        "heat_outputs": json.dumps(OUTPUTS),
        "orchestration_state": "X",
    }

    record = StateRecord.of(action, "X", OUTPUTS, 3, error)
    assert json.loads(record.to_json()) == {"state": inner, "version": 3, "error": error}
    as_string = json.loads(record.to_json(as_string=True))
    assert {**as_string, "state": json.loads(as_string["state"])} == {
        "state": inner,
        "version": 3,
        "error": error,
    }


def test_a_state_with_nothing_to_build() -> None:
    record = StateRecord.read_complete(2)
    assert json.loads(record.to_json()) == {
        "state": {"worker_state": "READ_COMPLETE"},
        "version": 2,
        "error": "",
    }
    as_string = {"state": '{"worker_state": "READ_COMPLETE"}', "version": 2, "error": ""}
    assert json.loads(record.to_json(as_string=True)) == as_string


def test_the_status_of_what_heat_never_had_is_heats_word_for_it() -> None:
    assert [records.failed_status(action) for action in Action] == [
        "CREATE_FAILED",
        "UPDATE_FAILED",
        "DELETE_FAILED",
    ]


OF_THE_CONTRACT: list[Any] = [
    pytest.param(StackRecord.of(P1, "t", "UPDATE_COMPLETE", OUTPUTS, "done"), id="a stack"),
    pytest.param(StackRecord.of(P1, "t", "DELETE_COMPLETE", OUTPUTS, "done"), id="a deleted stack"),
    pytest.param(JobState(), id="a job under way"),
    pytest.param(JobState("CREATE_COMPLETE", tuple(OUTPUTS)), id="a job whose stack is done"),
    pytest.param(StateRecord.of(Action.CREATE, "CREATE_COMPLETE", OUTPUTS, 3), id="a state"),
    pytest.param(StateRecord.of(Action.CREATE, "CREATE_FAILED", (), 3, "why"), id="a failed state"),
    pytest.param(StateRecord.read_complete(2), id="a state with nothing to build"),
    pytest.param(
        MonitoringRecord(4, {"router": "ACTIVE", "peer": {"a": 1}}), id="a monitoring record"
    ),
]


@pytest.mark.parametrize("record", OF_THE_CONTRACT)
def test_records_of_the_contract_come_back_as_they_were(record: Any) -> None:
    assert type(record).from_json(record.to_json()) == record
    assert type(record).from_json(record.to_json().encode()) == record


@pytest.mark.parametrize(
    "record", [StateRecord.read_complete(2), MonitoringRecord(4, {"router": "ACTIVE"})]
)
def test_the_form_for_upstream_comes_back_as_it_was(record: Any) -> None:
    assert type(record).from_json(record.to_json(as_string=True)) == record


UNREADABLE_RECORDS: list[Any] = [
    (StackRecord, "{}"),
    (StackRecord, "[]"),
    (StackRecord, "no JSON"),
    (StateRecord, '{"version": "1", "state": {}}'),
    (StateRecord, '{"version": true, "state": {}}'),
    (StateRecord, "{}"),
    (JobState, "[]"),
    (MonitoringRecord, "[]"),
    (MonitoringRecord, "[" * 100_000),
]


@pytest.mark.parametrize(("kind", "text"), UNREADABLE_RECORDS)
def test_a_record_that_cannot_be_read_is_one_kind_of_error_that_names_the_key(
    kind: Any, text: str
) -> None:
    with pytest.raises(RecordUnreadable, match="/a/key"):
        records.read("/a/key", text.encode(), kind.from_json)


OWN: list[Any] = [
    pytest.param(
        Handled(2, 10, JobId("j"), "port", "t", {"net": (N1, P1)}, {"id": "p1"}, digest="d"),
        id="handled",
    ),
    pytest.param(Handled(2, 10, JobId(""), "", "", digest="d"), id="handled, all empty"),
    pytest.param(
        Handled(2, 10, JobId("j"), "port", "t", replaced={JobId("old"): JobId("j")}, digest="d"),
        id="handled, superseding",
    ),
    pytest.param(Held(2, N1, "waits"), id="held"),
    pytest.param(Held(2, P1, "waits", root=N1), id="held because another one is"),
    pytest.param(
        Durations({("port", Action.CREATE): Duration(3.25, 7)}, 2.5, "2026-11-27T21:49:01Z"),
        id="durations",
    ),
    pytest.param(Failed(2, Action.MODIFY, "why", N1, 3), id="failed"),
    pytest.param(Failed(2, Action.MODIFY, "why", N1, through=P1), id="failed in a cycle"),
    pytest.param(
        Failed(2, Action.MODIFY, "why", N1, 3, job=JobId("j"), tries=2), id="failed, tried again"
    ),
    pytest.param(
        Failed(2, Action.MODIFY, "why", N1, through=P1, inherited=True),
        id="failed because another one did",
    ),
    pytest.param(Run(Step.CLAIMED), id="a claimed run"),
    pytest.param(
        Run(Step.RETRY, attempt=3, delay=1.5, reason="busy"), id="a run to be tried again"
    ),
    pytest.param(Run(Step.RETRY, failures=2, delay=1.5, due=99.5), id="a run that came to nothing"),
    pytest.param(
        Run(Step.IN_HEAT, stack="u", asked_at=12.5, timeout_mins=3), id="a run in Heat's hands"
    ),
    pytest.param(Run(Step.DONE, complete=True, live=True, monitored=True), id="a complete run"),
    pytest.param(Run(Step.DONE, reason="why", root=N1), id="a failed run"),
    pytest.param(LeaderRecord("here", 7, "a1"), id="who leads"),
    pytest.param(SchemasRecord("http://gohan", "2026-11-27T21:49:01Z", 20, "d1"), id="a list"),
    pytest.param(Login(LoginState.ACCEPTED, "ann", 1.5), id="a login"),
    pytest.param(Login(LoginState.REFUSED, "ann", 1.5, 9.5, 2, "no"), id="a refused login"),
]


@pytest.mark.parametrize(
    "record",
    [
        Handled(2, 10, JobId("j"), "port", "t", digest="d", since=12.5),
        Held(2, N1, "waits", since=12.5),
        Failed(2, Action.MODIFY, "why", N1, since=12.5),
    ],
    ids=lambda record: type(record).__name__.lower(),
)
def test_a_record_keeps_its_time_and_one_without_has_none(record: Any) -> None:
    written = json.loads(record.to_json())
    assert written.pop("since") == 12.5

    assert type(record).from_json(record.to_json()).since == 12.5
    assert type(record).from_json(json.dumps(written)).since == 0.0
    assert "since" not in json.loads(type(record).from_json(json.dumps(written)).to_json())


@pytest.mark.parametrize("record", OWN)
def test_our_own_records_come_back_as_they_were(record: Any) -> None:
    assert type(record).from_json(record.to_json()) == record
    assert type(record).from_json(record.to_json().encode()) == record


def test_a_run_in_heat_keeps_its_first_spelling_so_that_an_older_release_reads_it() -> None:
    assert json.loads(Run(Step.IN_HEAT).to_json())["step"] == "waiting"
    assert Run.from_json('{"step": "waiting"}').step is Step.IN_HEAT


def test_a_record_of_a_resource_held_by_another_tells_the_sentence_and_the_cause() -> None:
    record = Held(2, P1, "is not there", 10, root=N1)

    assert json.loads(record.to_json()) == {
        "version": 2,
        "waits_for": {"resource_type": "port", "resource_id": "p1"},
        "reason": "waits for network:n1 (through port:p1), which is not there",
        "incarnation": 10,
        "root": {"resource_type": "network", "resource_id": "n1"},
        "why": "is not there",
    }


def test_a_record_of_a_failure_by_another_tells_the_sentence_and_the_cause() -> None:
    record = Failed(2, Action.CREATE, "no VLANs", N1, through=N1, inherited=True)

    assert json.loads(record.to_json()) == {
        "version": 2,
        "action": "create",
        "error": "not built, because it depends on network:n1, which failed: no VLANs",
        "root": {"resource_type": "network", "resource_id": "n1"},
        "attempts": 1,
        "through": {"resource_type": "network", "resource_id": "n1"},
        "why": "no VLANs",
    }


def test_records_of_releases_that_stored_only_sentences_keep_them() -> None:
    n1 = {"resource_type": "network", "resource_id": "n1"}
    reason = "waits for network:n1, which waits for port:p1, which is not there"
    error = "not built, because it depends on network:n1, which failed: no VLANs"
    held = Held.from_json(json.dumps({"version": 2, "waits_for": n1, "reason": reason}))
    failed = Failed.from_json(
        json.dumps(
            {
                "version": 2,
                "action": "create",
                "error": error,
                "root": n1,
                "attempts": 1,
                "through": n1,
            }
        )
    )

    assert (held.reason, held.root, held.waits_for) == (reason, None, N1)
    assert (failed.error, failed.inherited, failed.causes) == (error, False, frozenset({N1}))


@pytest.mark.parametrize(
    ("now", "left"),
    [(100.0, 10.0), (104.0, 6.0), (110.0, 0.0), (500.0, 0.0), (40.0, 10.0)],
    ids=["just written", "in between", "due", "long due", "by a clock that is behind"],
)
def test_a_delay_goes_on_for_whoever_finds_it(now: float, left: float) -> None:
    run = Run(Step.RETRY, attempt=3, delay=10.0, due=110.0)

    assert run.resumed(now) == Run(Step.RETRY, attempt=3, delay=left, due=110.0)


def test_a_delay_without_a_time_is_waited_for_in_full() -> None:
    assert Run(Step.RETRY, delay=10.0).resumed(500.0).delay == 10.0


def test_parameters_without_references_are_not_stored() -> None:
    assert Handled.from_json(
        Handled(1, 1, JobId("j"), "t", "t", {"a": (), "b": (N1,)}).to_json()
    ).references == {"b": (N1,)}


def test_what_was_handled_refers_to_each_resource_once() -> None:
    assert Handled(1, 1, JobId("j"), "t", "t", {"a": (N1, P1), "b": (N1,)}).refs() == {N1, P1}


def test_a_body_does_not_show_in_a_traceback() -> None:
    assert "hunter2" not in repr(Handled(1, 1, JobId("j"), "t", "t", body={"password": "hunter2"}))
