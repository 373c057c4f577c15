"""What a change says."""

from __future__ import annotations

import pytest
from orchestrator.core.refs import Json, Ref
from orchestrator.history import telling
from orchestrator.history.changes import ChangeKind, HistoryChange


def change(kind: ChangeKind, *, created: int = 3, value: bytes | None = b"{}") -> HistoryChange:
    return HistoryChange("/k", kind, Ref("network", "n"), 7, created, value)


@pytest.mark.parametrize(
    ("kind", "document", "says"),
    [
        (ChangeKind.CONFIG, {"version": 2}, "version 2 is wanted"),
        (ChangeKind.CONFIG, {"version": 0}, "version (unversioned) is wanted"),
        (ChangeKind.HANDLED, {"version": 2, "job": ""}, "version 2 was refused"),
        (
            ChangeKind.HANDLED,
            {"version": 2, "job": "j", "expected": [["network", "n1", "id", "d"]]},
            "version 2 is built again, because output id of network:n1 changed",
        ),
        (ChangeKind.RUN, {"step": "done", "reason": "no"}, "the job failed: no"),
        (
            ChangeKind.RUN,
            {"step": "waiting", "overdue": True},
            "Heat has taken the request, stack ?, overdue",
        ),
        (ChangeKind.RUN, {"step": "sleeping"}, "step sleeping"),
        (
            ChangeKind.DRIFT,
            {"deviations": [{"kind": "status"}, {"kind": "updated"}, {"kind": "updated"}]},
            "has drifted: status, updated",
        ),
        (
            ChangeKind.DRIFT,
            {"deviations": [{"kind": "status"}], "accepted": True},
            "has drifted: status; a person accepts it",
        ),
        (ChangeKind.DRIFT, {"deviations": [], "gone": True}, "has not drifted any more"),
        (
            ChangeKind.RUN,
            {
                "step": "retry",
                "cause": "failed",
                "retry": 2,
                "retries": 3,
                "delay": 24.7,
                "reason": "no",
            },
            "retry 2 of 3 in 24.7 s: no",
        ),
        (
            ChangeKind.FAILED,
            {"version": 4, "error": "no", "job": "j", "tries": 2},
            "version 4 is tried again, try 2 failed: no",
        ),
        (ChangeKind.RETRY, {"force": True}, "a person asks for another try, with force"),
        (ChangeKind.RETRY, {"gone": "t1"}, "a person says that project t1 is gone"),
        (ChangeKind.RETRY, {"why": "repaired"}, "a person asks for another try (repaired)"),
        (ChangeKind.MONITORING, {"router": "ACTIVE", "version": 4}, "monitoring: router ACTIVE"),
        (
            ChangeKind.JOB,
            ["heat_worker", {"action": "logical_delete", "version": 3}, 0],
            "job to delete, version 3",
        ),
        (ChangeKind.JOB, {}, "written, but it is no job"),
        (
            ChangeKind.STATE,
            "(7 bytes that are not JSON)",
            "written, but it cannot be read: (7 bytes that are not JSON)",
        ),
    ],
)
def test_a_record_says_in_a_sentence_what_happened(
    kind: ChangeKind, document: Json, says: str
) -> None:
    assert telling.sentence(change(kind), document) == says


def test_the_first_config_of_a_key_is_a_new_resource() -> None:
    told = telling.sentence(change(ChangeKind.CONFIG, created=7), {"version": 1})
    assert told == "version 1 is wanted, a new resource"


@pytest.mark.parametrize("kind", ChangeKind)
def test_every_kind_can_be_removed_and_hold_anything(kind: ChangeKind) -> None:
    assert telling.sentence(change(kind, value=None), None)
    documents: list[Json] = [
        {},
        [],
        "x",
        None,
        7,
        {"root": 1, "step": 2, "state": 3, "monitoring": 4},
    ]
    for document in documents:
        assert telling.sentence(change(kind), document)
        telling.time_of(kind, document, None)
        telling.author(document)


def test_the_author_is_who_the_record_names() -> None:
    assert telling.author({"who": "anna@host"}) == "anna@host"
    assert telling.author({"by": ""}) == telling.author({}) == telling.author({"by": 7}) == ""


@pytest.mark.parametrize(
    ("kind", "document", "before", "time"),
    [
        (ChangeKind.RUN, {"step": "claimed", "since": 5.0}, None, 5.0),
        (ChangeKind.RUN, {"step": "claimed", "since": 5.0}, {"step": "retry", "since": 5.0}, None),
        (ChangeKind.RUN, {"step": "waiting", "asked_at": 6.0}, {"step": "claimed"}, 6.0),
        (ChangeKind.RUN, {"step": "retry", "due": 9.0, "delay": 2.0}, None, 7.0),
        (ChangeKind.RUN, {"step": "ended", "since": 5.0}, None, None),
        (ChangeKind.FAILED, {"since": "1970-01-01T00:00:05Z"}, None, 5.0),
        (ChangeKind.FAILED, {"since": 5.0}, {"since": 5.0}, None),
        (ChangeKind.RETRY, {"at": 5}, None, 5.0),
        (ChangeKind.CONFIG, {"version": 1, "body": {"at": 5}}, None, None),
        (ChangeKind.RETRY, {"at": float("nan")}, None, None),
        (ChangeKind.RETRY, {"at": "soon"}, None, None),
    ],
)
def test_a_time_is_the_record_s_own_and_no_earlier_one_s(
    kind: ChangeKind, document: Json, before: Json, time: float | None
) -> None:
    assert telling.time_of(kind, document, before) == time
