"""Resources of a tenant whose decisions take long come after those of the others."""

from __future__ import annotations

from orchestrator.bridge.order import LONG, Order
from orchestrator.core.facts import ConfigWritten
from orchestrator.core.refs import Ref
from orchestrator.core.resources import Wanted
from orchestrator.core.world import World

from tests.factories import schemas


def world(**tenants: int) -> World:
    """So many undecided resources of each tenant, those of the first tenant first."""
    made = World(schemas())
    for tenant, count in tenants.items():
        for n in range(count):
            ref = Ref("node", f"{tenant}-{n}")
            made.apply(ConfigWritten(Wanted(ref, 1, {"tenant_id": tenant})))
    return made


def decide(made: World, order: Order, at_most: int | None, *slow: str) -> list[str]:
    """One turn: the ids in the order of deciding. What is *slow* takes long."""
    chosen = order.next(at_most)
    for ref in chosen:
        order.note(ref, 2 * LONG if ref.id in slow else 0.0)
        made.decided(ref)
    return [ref.id for ref in chosen]


def test_without_a_slow_decision_the_order_is_that_of_arrival() -> None:
    made = world(a=2, b=2)
    order = Order(made)

    assert decide(made, order, 3) == ["a-0", "a-1", "b-0"]
    assert decide(made, order, 3) == ["b-1"]
    assert decide(made, order, 3) == []


def test_after_a_slow_decision_all_others_come_before_that_tenant() -> None:
    made = world(slow=5, a=2, b=2)
    order = Order(made)

    assert decide(made, order, 1, "slow-0") == ["slow-0"]
    assert decide(made, order, 400) == ["a-0", "a-1", "b-0", "b-1", "slow-1"]


def test_one_of_that_tenant_is_decided_in_every_turn() -> None:
    made = world(slow=4)
    order = Order(made)
    decide(made, order, 1, "slow-0")

    made.touch(Ref("node", "new"))
    assert decide(made, order, 400) == ["new", "slow-1"]
    assert decide(made, order, 400) == ["slow-2"]
    assert decide(made, order, 400) == ["slow-3"]


def test_a_turn_is_as_long_as_was_asked_for_however_many_come_last() -> None:
    made = world(slow=1000, a=9)
    order = Order(made)
    decide(made, order, 1, "slow-0")

    found = [name for _ in range(4) for name in decide(made, order, 400)]

    assert [name for name in found if name.startswith("a-")] == [f"a-{n}" for n in range(9)]
    assert len(found) == 9 + 4


def test_without_a_limit_all_are_decided() -> None:
    made = world(slow=3, a=1)
    order = Order(made)
    decide(made, order, 1, "slow-0")

    assert decide(made, order, None) == ["a-0", "slow-1", "slow-2"]
