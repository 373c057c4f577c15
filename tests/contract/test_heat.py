"""One behaviour of both Heats: :class:`~tests.doubles.MemoryHeat` and the real door, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from orchestrator.clients.heat import Heat
from orchestrator.core.refs import JobId, StackName
from orchestrator.core.rendering import StackRequest
from orchestrator.core.stacks import Stack, tag
from orchestrator.errors import HeatRefused, StackBusy, StackExists, StackMissing, StoreUnavailable

from tests import doubles
from tests.scripted.heat import ScriptedHeat
from tests.scripted.stacks import Script

REQUEST = StackRequest(
    StackName("network_n1"), "t1", "heat_template_version: 2018-08-31\n", {"name": "n1"}, 5
)
FIRST, SECOND = (tag(JobId(f"create:heat_worker:network:n1:{version}:aaaaa")) for version in (1, 2))


@dataclass
class HeatUnderTest:
    """A door to Heat, how long Heat works at everything (for ever, or not at all), and what it took."""

    heat: Heat | doubles.MemoryHeat
    finish: Callable[[], object]
    taken: Callable[[], list[str]]


@pytest.fixture(params=["double", "http"])
def cloud(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HeatUnderTest]:
    if request.param == "double":
        double = doubles.MemoryHeat()
        outputs = [{"output_key": "id", "output_value": "x", "description": ""}]

        def finish() -> None:
            for tenant, stack in double.working():
                double.finish(stack.name, "COMPLETE", outputs, tenant=tenant)

        yield HeatUnderTest(double, finish, lambda: [taken.method for taken in double.requests])
        return
    with ScriptedHeat(script=lambda *_: Script(duration=1e6)) as scripted:
        for name, value in scripted.environment().items():
            monkeypatch.setenv(name, value)

        def end() -> None:
            for stack in scripted.stacks.values():
                stack.ends = 0.0

        yield HeatUnderTest(Heat(), end, lambda: [taken.method for taken in scripted.requests])


def shown(cloud: HeatUnderTest, *, outputs: bool = False) -> Stack:
    stack = cloud.heat.show("t1", "network_n1", outputs=outputs)
    assert stack is not None
    return stack


def test_a_stack_from_its_creation_to_its_end(cloud: HeatUnderTest) -> None:
    stack_id = cloud.heat.create(REQUEST, FIRST)

    assert list(cloud.heat.in_progress("t1")) == [stack_id]
    assert (shown(cloud).id, shown(cloud).status, shown(cloud).tags) == (
        stack_id,
        "CREATE_IN_PROGRESS",
        (FIRST,),
    )
    cloud.finish()
    assert list(cloud.heat.in_progress("t1")) == []
    assert shown(cloud).outputs is None
    assert [output["output_key"] for output in shown(cloud, outputs=True).outputs or ()] == ["id"]
    cloud.heat.update(REQUEST, shown(cloud), SECOND)
    assert (shown(cloud).status, shown(cloud).tags) == ("UPDATE_IN_PROGRESS", (SECOND,))
    cloud.finish()
    cloud.heat.delete("t1", shown(cloud))
    cloud.finish()
    gone = cloud.heat.show("t1", f"network_n1/{stack_id}", outputs=False)
    assert gone is None or gone.status == "DELETE_COMPLETE"
    assert cloud.taken() == ["create", "update", "delete"]


def test_another_tenant_sees_nothing_of_it(cloud: HeatUnderTest) -> None:
    cloud.heat.create(REQUEST, FIRST)

    assert list(cloud.heat.in_progress("t2")) == []
    assert cloud.heat.show("t2", "network_n1", outputs=False) is None


def test_all_stacks_of_a_tenant_are_listed_with_the_time_of_their_last_update(
    cloud: HeatUnderTest,
) -> None:
    cloud.heat.create(REQUEST, FIRST)
    cloud.finish()
    [created] = cloud.heat.listed("t1")
    cloud.heat.update(REQUEST, created, SECOND)
    cloud.finish()
    [updated] = cloud.heat.listed("t1")

    assert (created.name, created.status, created.tags) == (
        "network_n1",
        "CREATE_COMPLETE",
        (FIRST,),
    )
    assert created.updated == "", "Heat gives no time to what was only created"
    assert (updated.status, updated.tags) == ("UPDATE_COMPLETE", (SECOND,))
    assert len(updated.updated) == len("2026-11-27T21:49:01Z")
    assert cloud.heat.listed("t2") == []
    assert cloud.heat.exists("t1", "network_n1")
    assert not cloud.heat.exists("t1", "network_n2") and not cloud.heat.exists("t2", "network_n1")


def test_a_second_stack_of_the_name_is_refused(cloud: HeatUnderTest) -> None:
    cloud.heat.create(REQUEST, FIRST)

    with pytest.raises(StackExists):
        cloud.heat.create(REQUEST, SECOND)
    assert cloud.taken() == ["create"]


def test_a_busy_stack_takes_no_update(cloud: HeatUnderTest) -> None:
    cloud.heat.create(REQUEST, FIRST)

    with pytest.raises(StackBusy):
        cloud.heat.update(REQUEST, shown(cloud), SECOND)
    assert cloud.taken() == ["create"]


def test_an_operation_in_progress_is_cancelled_and_one_that_is_over_is_not(
    cloud: HeatUnderTest,
) -> None:
    cloud.heat.create(REQUEST, FIRST)
    cloud.heat.cancel("t1", shown(cloud))
    assert shown(cloud).status == "CREATE_FAILED"

    with pytest.raises(HeatRefused, match="not supported"):
        cloud.heat.cancel("t1", shown(cloud))
    cloud.heat.delete("t1", shown(cloud))
    with pytest.raises(HeatRefused, match="not supported"):
        cloud.heat.cancel("t1", shown(cloud))


def test_what_is_not_there_cannot_be_updated_and_need_not_be_deleted(cloud: HeatUnderTest) -> None:
    nobody = Stack("00000000-0000-4000-8000-000000000000", "network_n1", "CREATE_COMPLETE")

    assert cloud.heat.show("t1", "network_n1", outputs=True) is None
    with pytest.raises(StackMissing):
        cloud.heat.update(REQUEST, nobody, SECOND)
    cloud.heat.delete("t1", nobody)
    assert cloud.taken() == []


def test_a_request_that_must_not_leave_does_not(cloud: HeatUnderTest) -> None:
    """The claim was lost while the process stood still: what it was about to ask, another asks now."""

    def lost() -> None:
        raise StoreUnavailable("the claim was lost")

    with pytest.raises(StoreUnavailable), cloud.heat.only_while(lost):
        cloud.heat.create(REQUEST, FIRST)
    assert cloud.taken() == []
    cloud.heat.create(REQUEST, FIRST)
    assert cloud.taken() == ["create"]


def test_a_stack_is_found_by_its_id_too(cloud: HeatUnderTest) -> None:
    made = cloud.heat.create(REQUEST, FIRST)
    found = cloud.heat.show("t1", made, outputs=False)

    assert found is not None and (found.id, found.name) == (made, "network_n1")
    assert cloud.heat.show("t2", made, outputs=False) is None
    nobody = "00000000-0000-4000-8000-000000000000"
    assert cloud.heat.show("t1", nobody, outputs=False) is None
