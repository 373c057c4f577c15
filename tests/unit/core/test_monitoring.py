"""From a target's document to the record (CONTRACT section 8)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator.core import monitoring
from orchestrator.core.monitoring import Status, is_positive, parse_target
from orchestrator.core.records import MonitoringRecord
from orchestrator.core.refs import Json
from orchestrator.errors import TargetUnavailable

NOW = datetime(2024, 1, 1, 12, 0, 30, tzinfo=UTC)
HOLD = {"positive_status": ["UP"], "time_seconds": 30}


def target(
    value: Json = "UP", *, hold: Json = None, changed: Json = None, version: Json = 2
) -> dict[str, Json]:
    etcd: dict[str, Json] = {"status": {"key": "interface"}}
    if hold is not None:
        etcd["hold_options"] = hold
    values = [
        {"key": "other", "value": 1},
        {"key": "status", "value": value, "fail_counter": 0, "last_changed": changed},
    ]
    return {"id": "x", "version": version, "values": values, "syncer_properties": {"etcd": etcd}}


PARSED: list[Any] = [
    pytest.param(target(), Status("interface", "UP", 2), id="a status"),
    pytest.param(target({"a": 1}), Status("interface", {"a": 1}, 2), id="an object"),
    pytest.param(target(None), Status("interface", None, 2), id="null is a value"),
    pytest.param(target("DOWN"), Status("interface", "DOWN", 2), id="not held without options"),
    pytest.param(
        target("UP", hold=HOLD, changed="2024-01-01T12:00:29Z"),
        Status("interface", "UP", 2),
        id="positive is told at once",
    ),
    pytest.param(
        target("DOWN", hold=HOLD, changed="2024-01-01T12:00:01Z"),
        Status("interface", "DOWN", 2, False, positive=False),
        id="29 seconds: not yet",
    ),
    pytest.param(
        target("DOWN", hold=HOLD, changed="2024-01-01T12:00:00Z"),
        Status("interface", "DOWN", 2, positive=False),
        id="30 seconds: told",
    ),
    pytest.param(
        target("DOWN", hold=HOLD, changed="2024-01-01T12:00:01"),
        Status("interface", "DOWN", 2, False, positive=False),
        id="no zone: UTC",
    ),
    pytest.param(
        target("DOWN", hold=HOLD, changed="2024-01-01T21:00:01+09:00"),
        Status("interface", "DOWN", 2, False, positive=False),
        id="another zone",
    ),
    pytest.param(
        target("DOWN", hold=HOLD, changed=None),
        Status("interface", "DOWN", 2, positive=False),
        id="nobody knows since when",
    ),
    pytest.param(
        target("DOWN", hold=HOLD, changed="yesterday"),
        Status("interface", "DOWN", 2, positive=False),
        id="no time at all",
    ),
    pytest.param(
        target("DOWN", hold={"time_seconds": "x"}),
        Status("interface", "DOWN", 2),
        id="bad options hold nothing",
    ),
    pytest.param({**target(), "values": []}, None, id="no values yet"),
    pytest.param({**target(), "values": [{"key": "status"}]}, None, id="no value yet"),
    pytest.param({**target(), "values": None}, None, id="null values"),
    pytest.param({**target(), "syncer_properties": {}}, None, id="not for etcd"),
    pytest.param(
        {k: v for k, v in target().items() if k != "syncer_properties"}, None, id="not for anybody"
    ),
    pytest.param(target(version="2"), None, id="version as text"),
    pytest.param(target(version=True), None, id="version is true"),
    pytest.param(target(version=-1), None, id="a negative version"),
    pytest.param(target(version=2**63), None, id="a version that no config can have"),
    pytest.param(target(version=2.0), None, id="a fraction"),
    pytest.param({**target(), "values": {"key": "status"}}, None, id="values are an object"),
    pytest.param(
        {**target(), "values": ["status", None, 1, [], {"key": ["status"]}]},
        None,
        id="values of every kind",
    ),
    pytest.param({**target(), "syncer_properties": ["etcd"]}, None, id="properties are a list"),
    pytest.param(
        {**target(), "syncer_properties": {"etcd": {"status": {"key": 5}}}},
        None,
        id="the key is a number",
    ),
    pytest.param(
        target(
            "DOWN",
            hold={"positive_status": ["UP"], "time_seconds": 10**400},
            changed="0001-01-01T00:00:00+23:59",
        ),
        Status("interface", "DOWN", 2, False, positive=False),
        id="times at the edges",
    ),
    pytest.param([], None, id="a list"),
    pytest.param(None, None, id="null"),
]


@pytest.mark.parametrize(("document", "status"), PARSED)
def test_a_document_tells_a_status(document: Json, status: Status | None) -> None:
    assert parse_target(document, NOW) == status


@pytest.mark.parametrize(
    ("statuses", "positive"),
    [
        pytest.param([], False, id="nobody says anything"),
        pytest.param([Status("a", "UP", 2)], True, id="positive"),
        pytest.param([Status("a", "UP", 2), Status("b", "X", 2, positive=False)], False, id="one"),
        pytest.param([Status("a", "X", 2, False, False)], False, id="at once, though not told yet"),
        pytest.param([Status("a", "UP", 3)], False, id="of a version that is not reported"),
    ],
)
def test_a_resource_is_positive_when_all_its_targets_are(
    statuses: list[Status], positive: bool
) -> None:
    assert is_positive(statuses, reported=2) is positive


def nested(levels: int) -> Json:
    value: Json = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("document", "why"),
    [
        pytest.param(
            target("x" * 300_000), "status value has 300,000 characters", id="a text of 300 kB"
        ),
        pytest.param(target(["x" * 100] * 1000), "status value has", id="a large list"),
        pytest.param(target(nested(1000)), "nested deeper", id="a thousand levels"),
        pytest.param(target(nested(100_000)), "nested deeper", id="a hundred thousand levels"),
        pytest.param(
            {**target(), "syncer_properties": {"etcd": {"status": {"key": "version"}}}},
            "status key",
            id="key: version",
        ),
        pytest.param(
            {**target(), "syncer_properties": {"etcd": {"status": {"key": ""}}}},
            "status key",
            id="no key",
        ),
        pytest.param(
            {**target(), "syncer_properties": {"etcd": {"status": {"key": "k" * 9000}}}},
            "status key",
            id="a long key",
        ),
    ],
)
def test_a_status_that_no_record_can_hold_is_told(document: Json, why: str) -> None:
    with pytest.raises(TargetUnavailable, match=why) as told:
        parse_target(document, NOW)
    assert len(str(told.value)) < 300


def test_the_largest_value_and_the_deepest_are_recorded() -> None:
    for value in ("x" * monitoring.LARGEST_VALUE, nested(monitoring.DEEPEST_VALUE - 1)):
        assert parse_target(target(value), NOW) == Status("interface", value, 2)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["key", "value", "status", "etcd"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "values": JSON_VALUES
            | st.lists(
                st.fixed_dictionaries({"key": st.just("status")}, optional={"value": JSON_VALUES})
            ),
            "version": JSON_VALUES,
            "syncer_properties": JSON_VALUES
            | st.just({"etcd": {"status": {"key": "interface"}, "hold_options": {}}}),
        },
    )
    | JSON_VALUES
)
def test_whatever_a_target_says_it_is_a_status_or_none_or_told(document: Json) -> None:
    try:
        status = parse_target(document, NOW)
    except TargetUnavailable:
        return
    if status is None:
        return
    record = monitoring.record([status], 5, None)
    if status.settled and status.version <= 5:
        assert record and record.to_json()
    else:
        assert record is None


def up(
    value: Json = "UP", version: int = 2, key: str = "interface", *, settled: bool = True
) -> Status:
    return Status(key, value, version, settled)


OLD = {"interface": "UP", "version": 2}

RECORDS: list[Any] = [
    pytest.param([up()], 2, None, {"interface": "UP", "version": 2}, id="the first record"),
    pytest.param([up("DOWN")], 2, OLD, {"interface": "DOWN", "version": 2}, id="a change"),
    pytest.param([up({"a": 1})], 2, None, {"interface": {"a": 1}, "version": 2}, id="an object"),
    pytest.param(
        [up(version=3)], 2, OLD, OLD, id="a version that was not reported yet is not told"
    ),
    pytest.param([up(version=3)], 2, None, None, id="nor is a first one"),
    pytest.param([up("DOWN", settled=False)], 2, OLD, OLD, id="held: the old value stands"),
    pytest.param([up("DOWN", settled=False)], 2, None, None, id="held: no record yet"),
    pytest.param(
        [up("DOWN", 3, settled=False)],
        3,
        OLD,
        {"interface": "UP", "version": 3},
        id="held: the new version with the old value",
    ),
    pytest.param([], 2, OLD, None, id="no target any more"),
    pytest.param([], 2, None, None, id="never a target"),
    pytest.param(
        [up(), up("DOWN", 1, "peer")],
        2,
        None,
        {"interface": "UP", "peer": "DOWN", "version": 2},
        id="two targets",
    ),
    pytest.param(
        [up(), up("DOWN", 2, "peer", settled=False)],
        2,
        None,
        {"interface": "UP", "version": 2},
        id="two targets, one held for the first time",
    ),
]


@pytest.mark.parametrize(("statuses", "reported", "old", "record"), RECORDS)
def test_statuses_make_a_record(
    statuses: list[Status], reported: int, old: Json, record: Json
) -> None:
    before = MonitoringRecord.from_json(json.dumps(old)) if old else None
    after = monitoring.record(statuses, reported, before)

    assert (after.document() if after else None) == record


def test_monitoring_links_are_outputs_whose_key_ends_so() -> None:
    outputs = [
        {"output_key": "monitoring_link", "output_value": "http://a"},
        {"output_key": "peer_monitoring_link", "output_value": "http://b"},
        {"output_key": "monitoring_link_old", "output_value": "http://c"},
        {"output_key": "monitoring_link", "output_value": ""},
        {"output_key": "monitoring_link", "output_value": None},
        {"output_key": "monitoring_link"},
        {},
        "monitoring_link",
    ]

    assert monitoring.links(outputs) == ["http://a", "http://b"]


@pytest.mark.parametrize(
    "told", [OLD, {"interface": {"a": 1}, "version": 7}], ids=["text", "object"]
)
def test_the_record_for_upstream_gohan_comes_back(told: dict[str, Json]) -> None:
    record = MonitoringRecord.from_json(json.dumps(told))
    as_string = record.to_json(as_string=True)
    stored = json.loads(as_string)

    assert {**stored, "monitoring": json.loads(stored["monitoring"])} == {
        "monitoring": told,
        "version": told["version"],
    }
    assert MonitoringRecord.from_json(as_string) == record
    assert json.loads(record.to_json()) == told
