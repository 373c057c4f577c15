"""From a target's document to the record (CONTRACT section 8)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.core import monitoring
from orchestrator.core.monitoring import Status, parse_target
from orchestrator.core.refs import Json

NOW = datetime(2024, 1, 1, 12, 0, 30, tzinfo=UTC)
HOLD = {"positive_status": ["UP"], "time_seconds": 30}


def target(value: Json = "UP", *, hold: Json = None, changed: Json = None, version: Json = 2) -> dict[str, Json]:
    etcd: dict[str, Json] = {"status": {"key": "interface"}}
    if hold is not None:
        etcd["hold_options"] = hold
    values = [{"key": "other", "value": 1}, {"key": "status", "value": value, "fail_counter": 0, "last_changed": changed}]
    return {"id": "x", "version": version, "values": values, "syncer_properties": {"etcd": etcd}}


PARSED: list[Any] = [
    pytest.param(target(), Status("interface", "UP", 2), id="a status"),
    pytest.param(target({"a": 1}), Status("interface", {"a": 1}, 2), id="an object"),
    pytest.param(target(None), Status("interface", None, 2), id="null is a value"),
    pytest.param(target("DOWN"), Status("interface", "DOWN", 2), id="not held without options"),
    pytest.param(
        target("UP", hold=HOLD, changed="2024-01-01T12:00:29Z"), Status("interface", "UP", 2), id="positive is told at once"
    ),
    pytest.param(
        target("DOWN", hold=HOLD, changed="2024-01-01T12:00:01Z"), Status("interface", "DOWN", 2, False), id="29 seconds: not yet"
    ),
    pytest.param(target("DOWN", hold=HOLD, changed="2024-01-01T12:00:00Z"), Status("interface", "DOWN", 2), id="30 seconds: told"),
    pytest.param(
        target("DOWN", hold=HOLD, changed="2024-01-01T12:00:01"), Status("interface", "DOWN", 2, False), id="no zone: UTC"
    ),
    pytest.param(
        target("DOWN", hold=HOLD, changed="2024-01-01T21:00:01+09:00"), Status("interface", "DOWN", 2, False), id="another zone"
    ),
    pytest.param(target("DOWN", hold=HOLD, changed=None), Status("interface", "DOWN", 2), id="nobody knows since when"),
    pytest.param(target("DOWN", hold=HOLD, changed="yesterday"), Status("interface", "DOWN", 2), id="no time at all"),
    pytest.param(target("DOWN", hold={"time_seconds": "x"}), Status("interface", "DOWN", 2), id="bad options hold nothing"),
    pytest.param({**target(), "values": []}, None, id="no values yet"),
    pytest.param({**target(), "values": [{"key": "status"}]}, None, id="no value yet"),
    pytest.param({**target(), "values": None}, None, id="null values"),
    pytest.param({**target(), "syncer_properties": {}}, None, id="not for etcd"),
    pytest.param({k: v for k, v in target().items() if k != "syncer_properties"}, None, id="not for anybody"),
    pytest.param(target(version="2"), None, id="version as text"),
    pytest.param([], None, id="a list"),
    pytest.param(None, None, id="null"),
]


@pytest.mark.parametrize(("document", "status"), PARSED)
def test_a_document_tells_a_status(document: Json, status: Status | None) -> None:
    assert parse_target(document, NOW) == status


def up(value: Json = "UP", version: int = 2, key: str = "interface", *, settled: bool = True) -> Status:
    return Status(key, value, version, settled)


OLD = {"interface": "UP", "version": 2}

RECORDS: list[Any] = [
    pytest.param([up()], 2, None, {"interface": "UP", "version": 2}, id="the first record"),
    pytest.param([up("DOWN")], 2, OLD, {"interface": "DOWN", "version": 2}, id="a change"),
    pytest.param([up({"a": 1})], 2, None, {"interface": {"a": 1}, "version": 2}, id="an object"),
    pytest.param([up(version=3)], 2, OLD, OLD, id="a version that was not reported yet is not told"),
    pytest.param([up(version=3)], 2, None, None, id="nor is a first one"),
    pytest.param([up("DOWN", settled=False)], 2, OLD, OLD, id="held: the old value stands"),
    pytest.param([up("DOWN", settled=False)], 2, None, None, id="held: no record yet"),
    pytest.param(
        [up("DOWN", 3, settled=False)], 3, OLD, {"interface": "UP", "version": 3}, id="held: the new version with the old value"
    ),
    pytest.param([], 2, OLD, None, id="no target any more"),
    pytest.param([], 2, None, None, id="never a target"),
    pytest.param([up(), up("DOWN", 1, "peer")], 2, None, {"interface": "UP", "peer": "DOWN", "version": 2}, id="two targets"),
    pytest.param(
        [up(), up("DOWN", 2, "peer", settled=False)],
        2,
        None,
        {"interface": "UP", "version": 2},
        id="two targets, one held for the first time",
    ),
]


@pytest.mark.parametrize(("statuses", "reported", "old", "record"), RECORDS)
def test_statuses_make_a_record(statuses: list[Status], reported: int, old: Json, record: Json) -> None:
    assert monitoring.record(statuses, reported, old) == record


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


@pytest.mark.parametrize("told", [OLD, {"interface": {"a": 1}, "version": 7}], ids=["text", "object"])
def test_the_record_for_upstream_gohan_comes_back(told: dict[str, Json]) -> None:
    stored = monitoring.as_string(told)

    assert {**stored, "monitoring": json.loads(stored["monitoring"])} == {"monitoring": told, "version": told["version"]}
    assert monitoring.from_stored(stored) == told
    assert monitoring.from_stored(told) == told
