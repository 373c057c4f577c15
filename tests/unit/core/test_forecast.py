"""Patches, parameters and the document of a plan."""

from __future__ import annotations

import json
from typing import Any

import pytest
from orchestrator.core.forecast import hiding, patches, requests
from orchestrator.core.forecast.estimating import estimate
from orchestrator.core.forecast.hiding import Hiding
from orchestrator.core.forecast.patches import PatchOperation
from orchestrator.core.forecast.plans import Change, Estimate, Plan, Then, What, digest
from orchestrator.core.forecast.requests import Outputs
from orchestrator.core.jobs import Action
from orchestrator.core.mapping.evaluate import ListOf, OutputOf
from orchestrator.core.records import Duration, Durations
from orchestrator.core.refs import Ref

N1 = Ref("network", "n1")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(None, {"a": 1}, [{"op": "add", "path": "", "value": {"a": 1}}], id="new"),
        pytest.param({"a": 1}, None, [{"op": "remove", "path": ""}], id="gone"),
        pytest.param({"a": 1}, {"a": True}, [{"op": "replace", "path": "/a", "value": True}]),
        pytest.param(
            {"a": [1, 2, 3]}, {"a": [1, 3]}, [{"op": "remove", "path": "/a/1"}], id="element"
        ),
        pytest.param(
            {"a/b": {"~": 1}},
            {"a/b": {"~": 2}},
            [{"op": "replace", "path": "/a~1b/~0", "value": 2}],
            id="escaped",
        ),
    ],
)
def test_a_patch_is_as_small_as_people_write_it(before: Any, after: Any, expected: Any) -> None:
    assert [one.to_json() for one in patches.diff(before, after)] == expected


# Values --------------------------------------------------------------------------------------------


def test_an_output_is_told_as_recorded_and_one_of_what_is_yet_to_be_built_is_not() -> None:
    recorded = {"id": {"output_key": "id", "output_value": "cloud"}}
    output = OutputOf(N1, "id")

    assert Outputs(lambda ref: recorded)(ListOf((output, "x"))) == ["cloud", "x"]
    assert Outputs(lambda ref: {})(output) == "known after network:n1"
    assert Outputs(lambda ref: recorded, frozenset({N1}))(output) == "known after network:n1"


def test_parameters_that_are_the_same_are_not_told() -> None:
    before, after = {"a": 1, "b": [1], "gone": "x"}, {"a": 1, "b": [2], "new": "y"}

    assert requests.changed_parameters(before, after) == {
        "b": ([1], [2]),
        "gone": ("x", None),
        "new": (None, "y"),
    }


@pytest.mark.parametrize(
    ("path", "before", "after", "expected"),
    [
        pytest.param(("admin_pass",), "old", "new", ("***", "changed"), id="by its name"),
        pytest.param(("login", "password"), None, "new", (None, "changed"), id="below a name"),
        pytest.param(("x",), "hunter22", "y", ("***", "changed"), id="known to be secret"),
        pytest.param(("x",), "is hunter22!", "y", ("is ***!", "y"), id="in a text"),
        pytest.param(("x",), {"token": "t"}, "y", ({"token": "***"}, "y"), id="inside"),
        pytest.param(("x",), "old", "new", ("old", "new"), id="no secret"),
    ],
)
def test_a_secret_is_told_to_change_and_never_told(
    path: tuple[str, ...], before: Any, after: Any, expected: tuple[Any, Any]
) -> None:
    hidden = Hiding(frozenset({"hunter22"}))
    told = hidden.operation(PatchOperation("replace", path, after, before))

    assert (told.before, told.value) == expected


def test_a_secret_parameter_is_told_to_change() -> None:
    hidden = Hiding(frozenset({"hunter22"}))

    assert hidden.parameter("x", ["hunter22"], ["other"]) == ("***", "changed")
    assert hidden.parameter("api_key", None, "k") == (None, hiding.CHANGED)


# The document --------------------------------------------------------------------------------------


def test_a_plan_is_read_back_as_it_was_told() -> None:
    change = Change(
        N1,
        What.UPDATE,
        "config",
        1,
        2,
        patches.diff({"a": 1}, {"a": 2}),
        {"a": (1, 2)},
        "--- before\n+++ after",
        (Then(Ref("port", "p1"), "output"),),
        1,
        ("something",),
    )
    plan = Plan(7, {"/config/b": 2, "/config/a": 0}, (change,))

    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))).to_json() == plan.to_json()


def test_the_digest_tells_plans_apart_and_does_not_depend_on_the_order_of_what_was_read() -> None:
    one, other = {"/a": 1, "/b": 2}, {"/b": 2, "/a": 1}

    assert Plan(7, one, ()).digest == Plan(7, other, ()).digest
    assert Plan(7, one, ()).digest != Plan(8, one, ()).digest
    assert digest({"b": 1, "a": "é"}) == digest({"a": "é", "b": 1})


def test_a_plan_counts_what_happens_and_what_heat_is_asked() -> None:
    whats = [What.CREATE, What.MOVE, What.HELD, What.DELETE, What.CREATE, What.NOTHING]
    changes = tuple(Change(Ref("t", str(place)), what, "") for place, what in enumerate(whats))
    plan = Plan(1, {}, changes)

    assert plan.summary == {"create": 2, "move": 1, "delete": 1, "nothing": 1, "held": 1}
    assert plan.requests == 5 and not plan.idle


# The time that it takes ----------------------------------------------------------------------------

CREATE, MODIFY, DELETE = Action.CREATE, Action.MODIFY, Action.DELETE
TOOK = Durations(
    {
        ("network", CREATE): Duration(3.0, 10),
        ("network", DELETE): Duration(2.0, 4),
        ("port", CREATE): Duration(1.0, 20),
    },
    together=4.0,
)


def in_wave(wave: int, what: What, *refs: str) -> tuple[Change, ...]:
    named = (Ref(*ref.split(":")) for ref in refs)
    return tuple(Change(ref, what, "config", wave=wave) for ref in named)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param((), Estimate(0.0, 0, 4.0), id="nothing"),
        pytest.param(in_wave(0, What.HELD, "port:p"), Estimate(0.0, 0, 4.0), id="no request"),
        pytest.param(
            (*in_wave(1, What.CREATE, "network:n"), *in_wave(2, What.CREATE, "port:a", "port:b")),
            Estimate(4.0, 30, 4.0),
            id="waves follow each other, and a wave takes as long as its slowest job",
        ),
        pytest.param(
            in_wave(1, What.CREATE, *(f"port:{number}" for number in range(100))),
            Estimate(25.0, 20, 4.0),
            id="of a large wave, as many are built at once as lately",
        ),
        pytest.param(
            in_wave(1, What.MOVE, "network:n"),
            Estimate(5.0, 14, 4.0),
            id="a move is a deletion and a creation",
        ),
        pytest.param(
            (*in_wave(1, What.CREATE, "network:n"), *in_wave(2, What.UPDATE, "port:p")),
            Estimate(3.0, 10, 4.0, (("port", MODIFY),)),
            id="what was not measured is named",
        ),
        pytest.param(
            in_wave(1, What.UPDATE, "port:p"),
            Estimate(None, unknown=(("port", MODIFY),)),
            id="nothing of it was measured",
        ),
    ],
)
def test_a_plan_takes_as_long_as_such_jobs_have_taken(
    changes: tuple[Change, ...], expected: Estimate
) -> None:
    assert estimate(changes, TOOK) == expected
    assert Estimate.from_json(json.loads(json.dumps(expected.to_json()))) == expected


def test_the_average_follows_what_jobs_take_now() -> None:
    known = Durations()
    for seconds in (4.0, 2.0):
        known = known.and_one(("port", CREATE), seconds, 2)
    assert known.kinds["port", CREATE] == Duration(3.0, 2)
    for _ in range(40):
        known = known.and_one(("port", CREATE), 1.0, 8)
    assert known.kinds["port", CREATE].seconds == pytest.approx(1.0, abs=0.02)
    assert known.together == pytest.approx(8.0, abs=0.1)
