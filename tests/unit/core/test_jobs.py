"""The job record of CONTRACT section 5, there and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from orchestrator.core.jobs import (
    Action,
    Job,
    Param,
    job_action,
    job_id,
    job_ref,
    with_earlier_references,
)
from orchestrator.core.mapping.evaluate import Evaluated, ListOf, OutputOf
from orchestrator.core.refs import JobId, Ref

from tests import factories

N1, N2 = Ref("network", "n1"), Ref("network", "n2")


def test_the_record_is_the_contracts() -> None:
    job = Job(
        id=JobId("modify:heat_worker:port:p1:2:ab1c2"),
        ref=Ref("port", "p1"),
        action=Action.MODIFY,
        version=2,
        params=(
            Param("name", "x"),
            Param("network", OutputOf(N1, "id"), (N1,)),
            Param("nets", ListOf((OutputOf(N2, "id"), None)), (N2,)),
            Param("ips", ["1", "2"]),
        ),
        dependency=(JobId("create:heat_worker:network:n1:1:aaaaa"),),
        body={"id": "p1", "tenant_id": "t"},
    )

    assert job.to_record() == [
        "heat_worker",
        {
            "is_first": True,
            "is_last": True,
            "resource_id": "p1",
            "handler": "heat_worker",
            "job_name": "port:p1:2",
            "dependency": ["create:heat_worker:network:n1:1:aaaaa"],
            "version": 2,
            "params": [
                {"param": "name", "type": "value", "value": "x", "resources": []},
                {
                    "param": "network",
                    "type": "output_key",
                    "value": {"output_key": "id", "resource_type": "network", "resource_id": "n1"},
                    "resources": [{"resource_type": "network", "resource_id": "n1"}],
                },
                {
                    "param": "nets",
                    "type": "list",
                    "value": [
                        {
                            "param": "nets",
                            "type": "output_key",
                            "value": {
                                "output_key": "id",
                                "resource_type": "network",
                                "resource_id": "n2",
                            },
                            "resources": [],
                        },
                        {"param": "nets", "type": "value", "value": None, "resources": []},
                    ],
                    "resources": [{"resource_type": "network", "resource_id": "n2"}],
                },
                {"param": "ips", "type": "value", "value": ["1", "2"], "resources": []},
            ],
            "resource_type": "port",
            "action": "modify",
            "on_failure": "fail",
            "id": "modify:heat_worker:port:p1:2:ab1c2",
            "resource_input": {"id": "p1", "tenant_id": "t"},
        },
        0,
    ]
    assert Job.from_record(job.to_record()) == job
    assert Job.from_json(job.to_json()) == job
    assert job.references() == {N1, N2}
    assert [output for param in job.params for output in param.outputs()] == [
        OutputOf(N1, "id"),
        OutputOf(N2, "id"),
    ]


def test_an_evaluated_mapping_becomes_a_param() -> None:
    assert Param.of("a", Evaluated("x", (N1,))) == Param("a", "x", (N1,))


@pytest.mark.parametrize(
    "identity",
    ["p1", "a:b", "a:b:2:zzzzz", ":", "ü"],
    ids=["plain", "colon", "like a job", "only a colon", "umlaut"],
)
@pytest.mark.parametrize("action", list(Action))
def test_a_job_id_tells_its_resource_and_action(action: Action, identity: str) -> None:
    ref = Ref("port", identity)
    made = job_id(action, ref, 12, "ab1c2")

    assert made == f"{action.value}:heat_worker:port:{identity}:12:ab1c2"
    assert (job_ref(made), job_action(made)) == (ref, action)


BROKEN: list[Any] = [
    pytest.param([], id="empty"),
    pytest.param(["heat_worker", {}, 0], id="no fields"),
    pytest.param("text", id="text"),
    pytest.param({}, id="object"),
    pytest.param(None, id="null"),
    pytest.param(
        ["heat_worker", {**factories.job().to_record()[1], "action": "explode"}, 0],
        id="unknown action",
    ),
    pytest.param(
        ["heat_worker", {**factories.job().to_record()[1], "params": [{"param": "x"}]}, 0],
        id="half a param",
    ),
]


@pytest.mark.parametrize("record", BROKEN)
def test_what_is_no_job_record_is_a_value_error(record: Any) -> None:
    with pytest.raises(ValueError, match="not a job record"):
        Job.from_record(record)
    with pytest.raises(ValueError, match="not a job record"):
        Job.from_json(json.dumps(record))


def test_earlier_references_come_first_and_only_where_there_is_a_param() -> None:
    params = (Param("a", 1, (N2,)), Param("b", 2))
    merged = with_earlier_references(params, {"a": (N1,), "gone": (N1,)})

    assert merged == (Param("a", 1, (N1, N2)), Param("b", 2))


def test_the_tenant_is_the_bodys() -> None:
    assert [factories.job(tenant_id=tenant).tenant for tenant in ("x", None, 3)] == ["x", "", ""]
