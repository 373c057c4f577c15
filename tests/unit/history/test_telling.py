"""What a change says."""

from __future__ import annotations

import pytest
from orchestrator.core.refs import Json, Ref
from orchestrator.history import telling
from orchestrator.history.changes import Change, Kind


def change(kind: Kind, *, created: int = 3, value: bytes | None = b"{}") -> Change:
    return Change("/k", kind, Ref("network", "n"), 7, created, value)


@pytest.mark.parametrize(
    ("kind", "document", "says"),
    [
        (Kind.CONFIG, {"version": 2}, "version 2 is wanted"),
        (Kind.CONFIG, {"version": 0}, "version (unversioned) is wanted"),
        (Kind.HANDLED, {"version": 2, "job": ""}, "version 2 was refused"),
        (Kind.RUN, {"step": "done", "reason": "no"}, "the job failed: no"),
        (
            Kind.RUN,
            {"step": "waiting", "overdue": True},
            "Heat has taken the request, stack ?, overdue",
        ),
        (Kind.RUN, {"step": "sleeping"}, "step sleeping"),
        (Kind.RETRY, {"force": True}, "a person asks for another try, with force"),
        (Kind.RETRY, {"gone": "t1"}, "a person says that project t1 is gone"),
        (Kind.RETRY, {"why": "repaired"}, "a person asks for another try (repaired)"),
        (Kind.MONITORING, {"router": "ACTIVE", "version": 4}, "monitoring: router ACTIVE"),
        (
            Kind.JOB,
            ["heat_worker", {"action": "logical_delete", "version": 3}, 0],
            "job to delete, version 3",
        ),
        (Kind.JOB, {}, "written, but it is no job"),
        (
            Kind.STATE,
            "(7 bytes that are not JSON)",
            "written, but it cannot be read: (7 bytes that are not JSON)",
        ),
    ],
)
def test_a_record_says_in_a_sentence_what_happened(kind: Kind, document: Json, says: str) -> None:
    assert telling.sentence(change(kind), document) == says


def test_the_first_config_of_a_key_is_a_new_resource() -> None:
    told = telling.sentence(change(Kind.CONFIG, created=7), {"version": 1})
    assert told == "version 1 is wanted, a new resource"


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_can_be_removed_and_hold_anything(kind: Kind) -> None:
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
        (Kind.RUN, {"step": "claimed", "since": 5.0}, None, 5.0),
        (Kind.RUN, {"step": "claimed", "since": 5.0}, {"step": "retry", "since": 5.0}, None),
        (Kind.RUN, {"step": "waiting", "asked_at": 6.0}, {"step": "claimed"}, 6.0),
        (Kind.RUN, {"step": "retry", "due": 9.0, "delay": 2.0}, None, 7.0),
        (Kind.RUN, {"step": "ended", "since": 5.0}, None, None),
        (Kind.FAILED, {"since": "1970-01-01T00:00:05Z"}, None, 5.0),
        (Kind.FAILED, {"since": 5.0}, {"since": 5.0}, None),
        (Kind.RETRY, {"at": 5}, None, 5.0),
        (Kind.CONFIG, {"version": 1, "body": {"at": 5}}, None, None),
        (Kind.RETRY, {"at": float("nan")}, None, None),
        (Kind.RETRY, {"at": "soon"}, None, None),
    ],
)
def test_a_time_is_the_record_s_own_and_no_earlier_one_s(
    kind: Kind, document: Json, before: Json, time: float | None
) -> None:
    assert telling.time_of(kind, document, before) == time
