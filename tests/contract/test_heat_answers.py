"""What is no answer of Heat's is never taken for one: every wrong answer, to every request.

The other side is a real HTTP server that sends, in the place of Heat's answer, what proxies, other
services and broken networks send. The table is in docs/reliability.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from orchestrator.clients.heat import Heat
from orchestrator.core.refs import StackName
from orchestrator.core.rendering import StackRequest
from orchestrator.core.stacks import Stack
from orchestrator.errors import (
    HeatFault,
    HeatRefused,
    HeatUnavailable,
    LimitExceeded,
    OrchestratorError,
    ProjectRefused,
    StackBusy,
    StackExists,
    StackMissing,
    TenantUnusable,
)

from tests.scripted import odd_answers
from tests.scripted.heat import ScriptedHeat
from tests.scripted.odd_answers import OddAnswer, answer, document, fault

NAME, ID = "network_n1", "5b0d0b3e-6f0a-4c55-9d8b-1f6f5d0f4a11"
REQUEST = StackRequest(
    StackName(NAME), "t1", "heat_template_version: 2018-08-31\n", {"name": "n"}, 5
)
STACK = Stack(ID, NAME, "CREATE_COMPLETE")
TAG = "orchestrator-1-aaaaa"

REQUESTS: dict[str, Callable[[Heat], object]] = {
    "create": lambda heat: heat.create(REQUEST, TAG),
    "update": lambda heat: heat.update(REQUEST, STACK, TAG),
    "delete": lambda heat: heat.delete("t1", STACK),
    "show": lambda heat: heat.show("t1", f"{NAME}/{ID}", outputs=True),
    "find": lambda heat: heat.show("t1", NAME, outputs=False),
    "list": lambda heat: list(heat.in_progress("t1")),
}


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedHeat]:
    with ScriptedHeat() as heat:
        yield heat


@pytest.fixture(scope="module")
def environment(scripted: ScriptedHeat) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("OS_")]:
            patch.delenv(name)
        for name, value in scripted.environment().items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def door(environment: None) -> Heat:
    return Heat(timeout=20.0)


@pytest.fixture(scope="module")
def impatient(environment: None) -> Heat:
    """A door whose calls end after half a second."""
    return Heat(timeout=0.5, deadline=0.5)


@pytest.fixture(autouse=True)
def honest(scripted: ScriptedHeat) -> Iterator[None]:
    """Heat answers itself again after each test, and has nothing left."""
    yield
    scripted.odd = lambda method, tenant, name: None
    scripted.stacks.clear()
    scripted.requests.clear()
    scripted.inner_address = ""


def always(odd: OddAnswer) -> Callable[[str, str, str], OddAnswer | None]:
    return lambda method, tenant, name: odd


def raised(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


# No answer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("what", odd_answers.odd_answers())
def test_what_is_no_answer_of_heat_is_an_outage_and_says_what_came(
    what: str, request_name: str, door: Heat, scripted: ScriptedHeat
) -> None:
    scripted.odd = always(odd_answers.odd_answers(NAME, ID)[what])

    error = raised(lambda: REQUESTS[request_name](door))

    assert type(error) is HeatUnavailable, f"{what}: {error!r}"
    assert 20 < len(str(error)) < 600
    assert str(error).isprintable()


@pytest.mark.parametrize("what", odd_answers.odd_answers())
def test_a_name_that_no_list_has_is_not_gone_before_heat_says_so(
    what: str, door: Heat, scripted: ScriptedHeat
) -> None:
    """The list is honest and empty; the question for the stack itself is answered by something else."""
    answers = iter([None])
    odd = odd_answers.odd_answers(NAME, ID)[what]
    scripted.odd = lambda method, tenant, name: next(answers, odd)

    error = raised(lambda: door.show("t1", NAME, outputs=False))

    assert type(error) is HeatUnavailable, f"{what}: {error!r}"


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize(
    "odd",
    [odd_answers.DRIPPING, odd_answers.DRIPPING_HEADERS, odd_answers.SILENT],
    ids=["a body without an end", "headers without an end", "silence"],
)
def test_a_request_ends_at_its_deadline(
    odd: OddAnswer, request_name: str, impatient: Heat, scripted: ScriptedHeat
) -> None:
    scripted.odd = always(odd)
    started = time.monotonic()

    error = raised(lambda: REQUESTS[request_name](impatient))

    assert type(error) is HeatUnavailable
    assert "does not answer" in str(error)
    assert time.monotonic() - started < 10  # the answer would take 1,000 s


def test_all_calls_of_a_block_share_its_time(door: Heat, scripted: ScriptedHeat) -> None:
    scripted.odd = always(odd_answers.SILENT)
    started = time.monotonic()

    with door.within(0.5):
        errors = [raised(lambda: door.show("t1", f"{NAME}/{ID}", outputs=True)) for _ in range(20)]

    assert {type(error) for error in errors} == {HeatUnavailable}
    assert time.monotonic() - started < 15  # by themselves they would take 400 s


def test_nobody_listening_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_AUTH_TYPE", "none")
    monkeypatch.setenv("OS_ENDPOINT", "http://127.0.0.1:9/v1")

    with pytest.raises(HeatUnavailable, match=r"http://127\.0\.0\.1:9 does not answer: .*refused"):
        Heat().create(REQUEST, TAG)


def test_a_name_that_does_not_resolve_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_AUTH_TYPE", "none")
    monkeypatch.setenv("OS_ENDPOINT", "http://heat.invalid:8004/v1")

    with pytest.raises(HeatUnavailable, match=r"heat\.invalid"):
        Heat().create(REQUEST, TAG)


def test_no_password_of_an_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_AUTH_TYPE", "none")
    monkeypatch.setenv("OS_ENDPOINT", "http://user:hunter2@127.0.0.1:9/v1")

    error = raised(lambda: Heat().create(REQUEST, TAG))

    assert isinstance(error, HeatUnavailable)
    assert "hunter2" not in str(error)


# Heat's own documents ------------------------------------------------------------------------------

MISSING = fault(404, "EntityNotFound", f"The Stack ({NAME}) could not be found.")
OWN: dict[str, tuple[OddAnswer, type[Exception], str]] = {
    "a template that is none": (
        fault(400, "StackValidationFailed", "Property error: x"),
        HeatRefused,
        "Property error: x",
    ),
    "a quota": (
        fault(400, "RequestLimitExceeded", "You have reached the maximum stacks per tenant, 50."),
        LimitExceeded,
        "maximum stacks per tenant",
    ),
    "a resource type for admins": (
        fault(403, "Forbidden", "You are not authorized to use resource_types:OS::Nova::Flavor."),
        HeatRefused,
        "OS::Nova::Flavor",
    ),
    "a resource type that is not there": (
        fault(404, "EntityNotFound", "The Resource Type (OS::Foo) could not be found."),
        HeatRefused,
        "OS::Foo",
    ),
    "too large": (fault(413, "RequestTooLarge", "too large"), HeatRefused, "413"),
    "a role that is missing": (
        fault(403, "Forbidden", "You are not authorized to use stacks:create."),
        ProjectRefused,
        "project t1: .*stacks:create.*role",
    ),
    "a role that cannot be delegated": (
        fault(400, "MissingCredentialError", "Missing required credential: roles ['x']"),
        ProjectRefused,
        "project t1: .*roles",
    ),
    "a busy stack": (fault(409, "ActionInProgress", "busy"), StackBusy, "busy"),
    "a stack on an engine that does not let go": (
        fault(500, "StopActionFailed", "Failed to stop stack"),
        StackBusy,
        "Failed to stop",
    ),
    "a conflict": (fault(409, "HTTPConflict", "There was a conflict"), StackBusy, "conflict"),
    "a defect": (fault(500, "error", None), HeatFault, r"500 \(error\)"),
}


@pytest.mark.parametrize("what", OWN)
@pytest.mark.parametrize("request_name", ["create", "update"])
def test_a_refusal_of_heat_is_of_its_kind(
    what: str, request_name: str, door: Heat, scripted: ScriptedHeat
) -> None:
    odd, kind, words = OWN[what]
    scripted.odd = always(odd)

    with pytest.raises(kind, match=words) as caught:
        REQUESTS[request_name](door)
    assert type(caught.value) is kind


def test_a_stack_of_the_name_is_told_apart(door: Heat, scripted: ScriptedHeat) -> None:
    scripted.odd = always(fault(409, "StackExists", f"The Stack ({NAME}) already exists."))

    with pytest.raises(StackExists):
        door.create(REQUEST, TAG)


def test_a_stack_is_gone_when_heat_says_so_of_that_very_stack(
    door: Heat, scripted: ScriptedHeat
) -> None:
    scripted.odd = always(MISSING)

    assert door.show("t1", f"{NAME}/{ID}", outputs=True) is None
    door.delete("t1", STACK)
    with pytest.raises(StackMissing):
        door.update(REQUEST, STACK, TAG)


@pytest.mark.parametrize("longer", [f"{NAME}0", f"a_{NAME}", f"{NAME}-0"])
def test_a_stack_whose_name_holds_ours_is_another(
    longer: str, door: Heat, scripted: ScriptedHeat
) -> None:
    for message in (f"The Stack ({longer}) could not be found.", f"Stack {longer} not found"):
        scripted.odd = always(fault(404, "EntityNotFound", message))
        with pytest.raises(HeatUnavailable):
            door.show("t1", f"{NAME}/{ID}", outputs=True)


def test_long_words_of_heat_are_cut_and_control_characters_replaced(
    door: Heat, scripted: ScriptedHeat
) -> None:
    scripted.odd = always(fault(400, "StackValidationFailed", "a\x00b\x1b[31m\n" + "x" * 100_000))

    error = raised(lambda: door.create(REQUEST, TAG))

    assert isinstance(error, HeatRefused)
    assert "a b [31m x" in str(error)
    assert len(str(error)) < 5000


# The right answers ---------------------------------------------------------------------------------


def seen(scripted: ScriptedHeat) -> list[tuple[str, str]]:
    """Count requests from here on: (method, stack name)."""
    calls: list[tuple[str, str]] = []
    scripted.odd = lambda method, tenant, name: calls.append((method, name))
    return calls


def test_each_call_is_one_request(door: Heat, scripted: ScriptedHeat) -> None:
    calls = seen(scripted)
    stack_id = door.create(REQUEST, TAG)
    found = door.show("t1", NAME, outputs=False)
    assert found is not None and found.id == stack_id and found.tags == (TAG,)
    door.update(REQUEST, found, TAG)
    shown = door.show("t1", f"{NAME}/{found.id}", outputs=True)
    assert shown is not None and [output["output_key"] for output in shown.outputs or ()] == ["id"]
    door.delete("t1", found)

    assert [method for method, _ in calls] == ["POST", "GET", "PUT", "GET", "DELETE"]


def test_a_lookup_by_name_needs_nothing_from_the_address_that_heat_believes_to_have(
    door: Heat, scripted: ScriptedHeat
) -> None:
    """A proxy does not pass the outer address on, so every redirect leads to an inner one."""
    scripted.inner_address = "http://heat.internal.invalid:8004"
    door.create(REQUEST, TAG)

    found = door.show("t1", NAME, outputs=False)

    assert found is not None and found.name == NAME


def test_of_a_redirect_only_the_path_is_followed(door: Heat, scripted: ScriptedHeat) -> None:
    """The list does not have the stack (yet); the question for its name is redirected."""
    scripted.inner_address = "http://heat.internal.invalid:8004"
    stack_id = door.create(REQUEST, TAG)
    empty = iter([document(200, {"stacks": []})])
    scripted.odd = lambda method, tenant, name: next(empty, None)

    found = door.show("t1", NAME, outputs=False)

    assert found is not None and found.id == stack_id


def test_a_list_that_ignores_its_filters_is_read_for_what_was_asked(
    door: Heat, scripted: ScriptedHeat
) -> None:
    listed = [
        odd_answers.stack("network_n2", "id-2"),
        odd_answers.stack(NAME, ID),
        odd_answers.stack("network_n3", "id-3", stack_status="UPDATE_IN_PROGRESS"),
    ]
    scripted.odd = always(document(200, {"stacks": listed}))

    found = door.show("t1", NAME, outputs=False)
    assert found is not None and found.id == ID
    assert list(door.in_progress("t1")) == ["id-3"]


def test_while_a_deleted_stack_keeps_its_name_the_living_one_is_found(
    door: Heat, scripted: ScriptedHeat
) -> None:
    listed = [
        odd_answers.stack(NAME, "old", stack_status="DELETE_COMPLETE"),
        odd_answers.stack(NAME, "new"),
    ]
    scripted.odd = always(document(200, {"stacks": listed}))

    found = door.show("t1", NAME, outputs=False)

    assert found is not None and found.id == "new"


def test_a_page_that_comes_again_and_again_ends(door: Heat, scripted: ScriptedHeat) -> None:
    page = [
        odd_answers.stack(f"network_{i}", f"id-{i}", stack_status="CREATE_IN_PROGRESS")
        for i in range(1000)
    ]
    scripted.odd = always(document(200, {"stacks": page}))

    with pytest.raises(HeatUnavailable, match="same page"):
        list(door.in_progress("t1"))


def test_an_output_that_could_not_be_computed_keeps_its_error(
    door: Heat, scripted: ScriptedHeat
) -> None:
    failed = {"output_key": "id", "output_value": None, "output_error": "no attribute 'split'"}
    shown = odd_answers.stack(NAME, ID, outputs=[failed])
    scripted.odd = always(document(200, {"stack": shown}))

    found = door.show("t1", f"{NAME}/{ID}", outputs=True)

    assert found is not None and found.outputs == [failed]


def test_outputs_that_were_asked_for_and_did_not_come_are_no_outputs(
    door: Heat, scripted: ScriptedHeat
) -> None:
    shown: dict[str, Any] = odd_answers.stack(NAME, ID)
    del shown["outputs"]
    scripted.odd = always(document(200, {"stack": shown}))

    with pytest.raises(HeatUnavailable):
        door.show("t1", f"{NAME}/{ID}", outputs=True)
    assert door.show("t1", f"{NAME}/{ID}", outputs=False) is not None


def test_an_update_may_be_accepted_with_any_document_or_none(
    door: Heat, scripted: ScriptedHeat
) -> None:
    """Heat answers with WebOb's page, whose form depends on what the client accepts."""
    for body in (b"", b"{}", b'{"code": "202 Accepted"}', b"202 Accepted\n\nThe request is\n\n"):
        scripted.odd = always(answer(202, body, "application/json"))
        door.update(REQUEST, STACK, TAG)


@pytest.mark.parametrize("tenant", ["", "  ", "t1/../t2", "..", ".", "a\nb"])
@pytest.mark.parametrize("request_name", ["create", "show", "list"])
def test_nothing_is_asked_for_a_project_that_nobody_named(
    tenant: str, request_name: str, door: Heat, scripted: ScriptedHeat
) -> None:
    calls = seen(scripted)
    asked: dict[str, Callable[[], object]] = {
        "create": lambda: door.create(
            StackRequest(StackName(NAME), tenant, REQUEST.template, {}, 5), TAG
        ),
        "show": lambda: door.show(tenant, NAME, outputs=False),
        "list": lambda: list(door.in_progress(tenant)),
    }

    with pytest.raises(TenantUnusable, match="nothing was asked of Heat"):
        asked[request_name]()
    assert calls == []


@pytest.mark.parametrize(
    "address",
    ["", "/v1/%(tenant_id)s/v1/%(tenant_id)s", "/heat-api/v1", "/v1/stacks", "/v1/t1/stacks"],
)
def test_with_a_wrong_address_nothing_is_gone_and_nothing_is_refused(
    address: str, scripted: ScriptedHeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_AUTH_TYPE", "none")
    monkeypatch.setenv("OS_ENDPOINT", scripted.url + address)
    door = Heat(timeout=2.0)

    errors = {name: raised(partial(call, door)) for name, call in REQUESTS.items()}

    assert all(isinstance(error, HeatUnavailable) for error in errors.values()), errors


def test_only_our_errors_leave_the_door(door: Heat, scripted: ScriptedHeat) -> None:
    """Whatever bytes come: here, all beginnings of a right answer."""
    right = document(200, {"stack": odd_answers.stack(NAME, ID)}).data
    for length in range(0, len(right), 7):
        scripted.odd = always(OddAnswer(right[:length]))
        error = raised(lambda: door.show("t1", f"{NAME}/{ID}", outputs=True))
        assert error is None or isinstance(error, OrchestratorError), f"{length}: {error!r}"
        assert error is not None


@pytest.mark.parametrize("number", ["NaN", "-1e999", "1e999"])
def test_a_number_that_json_does_not_have_is_no_answer(
    number: str, door: Heat, scripted: ScriptedHeat
) -> None:
    def answer(value: str) -> OddAnswer:
        output = {"output_key": "id", "output_value": "PLACE"}
        whole = document(200, {"stack": {**odd_answers.stack(NAME, ID), "outputs": [output]}}).data
        return OddAnswer(whole.replace(b'"PLACE"', value.rjust(7).encode()))

    scripted.odd = always(answer("5.5"))
    assert raised(lambda: door.show("t1", f"{NAME}/{ID}", outputs=True)) is None
    scripted.odd = always(answer(number))
    assert type(raised(lambda: door.show("t1", f"{NAME}/{ID}", outputs=True))) is HeatUnavailable
