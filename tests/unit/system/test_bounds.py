"""Whatever Heat answers, however much of it: the job ends, what is written is bounded, and no secret is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from orchestrator.core.effects import LARGEST_OUTPUTS
from orchestrator.core.records import Run, Step
from orchestrator.core.refs import Json
from orchestrator.core.stacks import Stack
from orchestrator.core.texts import LONGEST_REASON
from orchestrator.errors import HeatRefused, HeatUnavailable

from tests.factories import HOT, network, port

from .driver import System, complete

N1, P1 = network(), port()
HUGE = "x" * 2 * 1024 * 1024


@pytest.fixture
def system() -> Iterator[System]:
    with System() as started:
        yield started


def ended(system: System, **states: tuple[str, int]) -> None:
    system.until(lambda: system.reported(**states) and system.idle())


def records(system: System) -> dict[str, bytes]:
    """Everything but the configs."""
    return {
        kv.key: kv.value
        for kv in system.store.list("/")[1]
        if not kv.key.startswith(system.keys.config)
    }


def reported(system: System) -> tuple[str, str, str]:
    """The reason as it stands in the state, in the failure and in the run that told of them."""
    failed = system.store.get(system.keys.below(system.keys.failed, N1))
    done = [
        Run.from_json(event.value)
        for event in system.store.history
        if event.key.startswith(system.keys.runs) and event.value
    ]
    assert failed is not None
    return (
        system.state(N1)["error"],
        json.loads(failed.value)["error"],
        next(run.reason for run in done if run.step is Step.DONE),
    )


# Size ----------------------------------------------------------------------------------------------


def test_a_refusal_of_two_megabytes_ends_the_job(system: System) -> None:
    system.heat.fail_next(HeatRefused(400, HUGE), "create")
    system.put(N1)
    ended(system, n1=("CREATE_FAILED", 1))

    for reason in reported(system):
        assert len(reason) <= LONGEST_REASON and "… (cut: 2,097," in reason
        assert reason.startswith("Heat refused the request (400): xxx")


def test_a_stack_that_fails_for_a_reason_of_two_megabytes_ends_the_job(system: System) -> None:
    """What to do about it is still told."""
    reason = Stack.from_heat({"id": "i", "stack_name": "n", "stack_status_reason": HUGE}).reason
    system.outcome = lambda stack: {"status": "FAILED", "reason": reason}
    system.put(N1)
    ended(system, n1=("CREATE_FAILED", 1))

    for told in reported(system):
        assert len(told) <= LONGEST_REASON
        assert "xxx… (cut: 2,097,152 characters); correct the configuration" in told
    assert all(len(value) < 3 * LONGEST_REASON for value in records(system).values())


def test_an_outage_that_is_told_in_two_megabytes_is_over_some_time(system: System) -> None:
    system.heat.fail_next(HeatUnavailable(HUGE), "create")
    system.put(N1)
    system.until(lambda: any(run.step is Step.RETRY for run in system.runs().values()))
    assert all(
        len(value) < 3 * LONGEST_REASON for key, value in records(system).items() if "/runs/" in key
    )
    ended(system, n1=("CREATE_COMPLETED", 1))


def output(key: str, value: Json) -> dict[str, Json]:
    return {"output_key": key, "output_value": value, "description": ""}


@pytest.mark.parametrize(
    "value",
    ["x" * 10_000_000, ['"\\' * 9] * 300_000, {"deep": {"er": "é" * 3_000_000}}],
    ids=["a text", "a list", "a map"],
)
def test_an_output_of_ten_megabytes_ends_the_job_and_the_others_are_kept(
    system: System, value: Json
) -> None:
    system.outcome = lambda stack: {
        "outputs": [output("first", "a"), output("big", value), output("id", "cloud-id")]
    }
    system.put(N1)
    ended(system, n1=("CREATE_FAILED", 1))

    state = system.state(N1)
    assert [o["output_key"] for o in json.loads(state["state"]["heat_outputs"])] == ["first", "id"]
    assert "outputs cannot be stored" in state["error"] and "left out: big (" in state["error"]
    assert state["state"]["orchestration_state"] == "CREATE_COMPLETE"
    assert all(len(kv) < LARGEST_OUTPUTS for kv in records(system).values())


def test_who_needs_an_output_that_was_left_out_is_not_built_with_nothing_in_its_place(
    system: System,
) -> None:
    system.outcome = lambda stack: {"outputs": [output("id", "x" * 1_000_000)]}
    system.put(N1)
    system.put(P1, network_id="n1")
    ended(system, n1=("CREATE_FAILED", 1), p1=("CREATE_FAILED", 1))
    assert "depends on network:n1" in system.state(P1)["error"]
    # One that is decided after the failure is tried, for the stack is there.
    system.put(port("p2"), network_id="n1")
    ended(system, p2=("CREATE_FAILED", 1))

    assert "needs output 'id' of the stack of network:n1" in system.state(port("p2"))["error"]
    assert system.asked() == [("create", "network_n1")]


def test_outputs_of_which_none_is_large_are_left_out_until_the_others_fit(system: System) -> None:
    system.outcome = lambda stack: {
        "outputs": [output(f"o{number}", "x" * 1000) for number in range(2000)]
    }
    system.put(N1)
    ended(system, n1=("CREATE_FAILED", 1))

    kept = json.loads(system.state(N1)["state"]["heat_outputs"])
    assert LARGEST_OUTPUTS * 0.9 < len(json.dumps(kept)) <= LARGEST_OUTPUTS
    assert len(system.state(N1)["error"]) <= LONGEST_REASON and "more;" in system.state(N1)["error"]


def test_large_outputs_that_fit_are_kept(system: System) -> None:
    system.outcome = lambda stack: {"outputs": [output("id", "x" * 400_000)]}
    system.put(N1)
    ended(system, n1=("CREATE_COMPLETED", 1))


def test_the_next_version_is_built_when_the_outputs_are_smaller(system: System) -> None:
    system.outcome = lambda stack: {"outputs": [output("id", "x" * 1_000_000)]}
    system.put(N1)
    ended(system, n1=("CREATE_FAILED", 1))
    system.outcome = complete
    system.put(N1, 2)
    ended(system, n1=("MODIFY_COMPLETED", 2))


# Secrets -------------------------------------------------------------------------------------------

CANARY = "canary-5f2b9c71"


def template(system: System, name: str, text: str = HOT, **mappings: Json) -> None:
    body = {"id": name, "template_file": text, "parameter_mappings": mappings}
    system.store.put(f"/config/v2.0/heat_templates/{name}", json.dumps({"body": body}))


def told_nowhere(system: System, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a record, but those that hold configs and outputs, nor in the log."""
    holders = (system.keys.handled, system.keys.jobs)
    found = [
        key
        for key, value in records(system).items()
        if CANARY.encode() in value and not key.startswith(holders)
    ]
    written = [
        event for event in system.store.history if event.value and CANARY.encode() in event.value
    ]
    runs = [
        event.key
        for event in written
        if event.key.startswith((system.keys.runs, system.keys.failed, system.keys.state))
    ]
    assert found == [] and runs == []
    assert CANARY not in "".join(str(vars(record)) for record in caplog.records)


REFUSED: dict[str, dict[str, Any]] = {
    "by the name of the property": {
        "mappings": {"x": "Padmin_pass"},
        "body": {"admin_pass": CANARY},
    },
    "by the name of the parameter": {"mappings": {"adminPass": "Pnote"}, "body": {"note": CANARY}},
    "by what the template declares hidden": {
        "mappings": {"x": "Pnote"},
        "body": {"note": CANARY},
        "text": "heat_template_version: 2018-08-31\nparameters: {x: {type: string, hidden: true}}\nresources: {}\n",
    },
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("way", ["refused", "failed", "unavailable"])
def test_a_secret_that_heat_quotes_is_told_nowhere(
    system: System, caplog: pytest.LogCaptureFixture, case: dict[str, Any], way: str
) -> None:
    template(system, "network", case.get("text", HOT), **case["mappings"])
    quoted = f"'{CANARY}' is too weak"
    match way:
        case "refused":
            system.heat.fail_next(HeatRefused(400, quoted), "create")
        case "failed":
            system.outcome = lambda stack: {"status": "FAILED", "reason": quoted}
        case "unavailable":
            system.heat.fail_next(HeatUnavailable(quoted), "create")
    system.put(N1, **case["body"])
    ended(system, n1=("CREATE_COMPLETED" if way == "unavailable" else "CREATE_FAILED", 1))

    if way != "unavailable":
        assert "'***' is too weak" in system.state(N1)["error"]
    told_nowhere(system, caplog)


@pytest.mark.parametrize(
    ("output_key", "parameter"),
    [("id", "password"), ("admin_password", "x")],
    ids=["the parameter's name", "the output's name"],
)
def test_an_output_of_another_stack_that_is_secret_is_told_nowhere(
    system: System, caplog: pytest.LogCaptureFixture, output_key: str, parameter: str
) -> None:
    template(system, "port", **{parameter: f"Mnetwork:network_id:{output_key}"})
    system.outcome = lambda stack: {"outputs": [output(output_key, CANARY)]}
    system.put(N1)
    ended(system, n1=("CREATE_COMPLETED", 1))
    system.heat.fail_next(HeatRefused(400, f"bad value {CANARY}"), "create")
    system.put(P1, network_id="n1")
    ended(system, p1=("CREATE_FAILED", 1))

    assert "bad value ***" in system.state(P1)["error"]
    assert CANARY not in "".join(str(vars(record)) for record in caplog.records)


def test_what_a_poll_of_heat_is_refused_with_is_told_without_secrets(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    system.outcome = lambda stack: None
    system.put(N1, password=CANARY)
    caplog.set_level("INFO")
    system.until(lambda: len(system.heat.working()) == 1)
    system.outcome = complete
    for _ in range(5):
        system.heat.fail_next(HeatRefused(403, f"{CANARY} may not look"), "show")
    ended(system, n1=("CREATE_COMPLETED", 1))

    assert "*** may not look" in "".join(str(vars(record)) for record in caplog.records)
    told_nowhere(system, caplog)


def test_an_output_that_heat_could_not_compute_quotes_no_secret(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    broken = {**output("id", None), "output_error": f"no such {CANARY}" + HUGE}
    system.outcome = lambda stack: {"outputs": [broken]}
    system.put(N1, password=CANARY)
    ended(system, n1=("CREATE_COMPLETED", 1))

    told_nowhere(system, caplog)
