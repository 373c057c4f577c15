"""The monitoring collector answers targets in the form the contract has for them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def collector(processes: Processes) -> servers.CollectorServer:
    return servers.collector(processes)


def call(method: str, url: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data, method=method), timeout=10
        ) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_target_is_up_with_the_version_and_the_key_of_its_link(
    collector: servers.CollectorServer,
) -> None:
    status, target = call(
        "GET", collector.target("load_balancer_interface", "a") + "?version=2&key=interface"
    )
    value = target["values"][0]
    assert status == 200
    assert (target["id"], target["version"]) == ("a", 2)
    assert target["syncer_properties"] == {"etcd": {"status": {"key": "interface"}}}
    assert set(value) == {"key", "value", "fail_counter", "last_changed", "last_reported"}
    assert (value["key"], value["value"], value["fail_counter"]) == ("status", "UP", 0)


def test_hold_options_come_from_the_link(collector: servers.CollectorServer) -> None:
    _, target = call("GET", collector.target("x", "held") + "?version=1&key=s&hold=30")
    assert target["syncer_properties"]["etcd"]["hold_options"] == {
        "positive_status": ["UP"],
        "time_seconds": 30,
    }


def test_a_link_without_a_key_has_no_syncer_properties(collector: servers.CollectorServer) -> None:
    assert call("GET", collector.target("x", "plain") + "?version=1")[1]["syncer_properties"] == {}


@pytest.mark.parametrize(
    "status", ["DOWN", {"primary": "UP", "secondary": "DOWN"}], ids=["a word", "an object"]
)
def test_put_changes_the_status_for_every_version(
    collector: servers.CollectorServer, status: Any
) -> None:
    url = collector.target("x", "changing")
    assert call("PUT", url, {"status": status})[0] == 200
    for version in (1, 2):
        value = call("GET", f"{url}?version={version}&key=s")[1]["values"][0]
        assert value["value"] == status
        assert value["fail_counter"] > 0


def test_a_deleted_target_is_missing_until_the_next_put(collector: servers.CollectorServer) -> None:
    url = collector.target("x", "deleted")
    call("DELETE", url)
    assert call("GET", url)[0] == 404
    call("PUT", url, {"status": "UP"})
    assert call("GET", url)[0] == 200


def test_targets_are_listed(collector: servers.CollectorServer) -> None:
    call("PUT", collector.target("listed", "one"), {"status": "DOWN"})
    _, document = call("GET", f"{collector.url}/targets")
    assert ("listed/one", "DOWN") in [
        (entry["target"], entry["status"]) for entry in document["targets"]
    ]


@pytest.mark.parametrize("path", ["/", "/targets/only-a-type", "/targets/a/b/c"])
def test_other_pages_are_missing(collector: servers.CollectorServer, path: str) -> None:
    assert call("GET", collector.url + path)[0] == 404


def test_a_wrong_body_is_refused_with_a_sentence(collector: servers.CollectorServer) -> None:
    status, document = call("PUT", collector.target("x", "y"), ["UP"])
    assert status == 400
    assert "status" in document["error"]
