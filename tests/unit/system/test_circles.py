"""References that run in circles: what comes of them does not depend on the order in which they are written."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
from orchestrator.core.refs import Json, Ref
from orchestrator.core.transactions import Transaction

from tests import factories
from tests.factories import node

from .driver import System

A, B, C = map(node, "abc")
ORDERS = list(permutations([A, B, C]))


def written(
    system: System, configs: dict[Ref, dict[str, Json]], order: tuple[Ref, ...], *, at_once: bool
) -> None:
    """Write some configs: one after the other, or all in one transaction."""
    puts = {
        system.keys.below(system.keys.config, ref): factories.config_value(
            ref, 1, **{"uses": [], "reads": [], **configs[ref]}
        )
        for ref in order
    }
    for key, value in () if at_once else puts.items():
        system.store.put(key, value)
    if at_once:
        system.store.commit(Transaction(puts=puts))


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one by one"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(ref.id for ref in order))
def test_a_circle_of_outputs_is_refused_each_member_naming_itself_first(
    order: tuple[Ref, ...], at_once: bool
) -> None:
    with System() as system:
        written(
            system,
            {A: {"uses": ["b"]}, B: {"uses": ["c"]}, C: {"uses": ["a"]}},
            order,
            at_once=at_once,
        )
        system.until(
            lambda: all(system.worker_state(ref) == ("CREATE_FAILED", 1) for ref in (A, B, C))
        )
        told = {
            ref.id: system.state(ref)["error"].partition("circle: ")[2].partition(";")[0]
            for ref in (A, B, C)
        }

        assert told == {
            "a": "node:a → node:b → node:c → node:a",
            "b": "node:b → node:c → node:a → node:b",
            "c": "node:c → node:a → node:b → node:c",
        }
        system.put(C, 2, uses=[], reads=["a"])
        system.until(lambda: system.worker_state(C) == ("CREATE_COMPLETED", 2))
        system.until(
            lambda: (
                all(system.worker_state(ref) == ("CREATE_COMPLETED", 1) for ref in (A, B))
                and system.idle()
            )
        )


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one by one"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(ref.id for ref in order))
@pytest.mark.parametrize("soft", [A, B, C], ids=lambda ref: f"soft at {ref.id}")
def test_a_circle_with_one_reference_to_a_value_is_built_without_a_failure(
    order: tuple[Ref, ...], at_once: bool, soft: Ref
) -> None:
    following = {A: "b", B: "c", C: "a"}
    configs: dict[Ref, dict[str, Json]] = {
        ref: {"reads": [after]} if ref == soft else {"uses": [after]}
        for ref, after in following.items()
    }
    with System() as system:
        written(system, configs, order, at_once=at_once)
        system.until(
            lambda: (
                all(system.worker_state(ref) == ("CREATE_COMPLETED", 1) for ref in (A, B, C))
                and system.idle()
            )
        )

        assert len(system.jobs_made()) == 3, "nothing failed and was tried again"


def test_a_long_circle_with_one_reference_to_a_value_is_built() -> None:
    ring = [node(f"r{n}") for n in range(30)]
    configs: dict[Ref, dict[str, Json]] = {
        ref: {"uses": [after.id]} for ref, after in pairwise(ring)
    }
    configs[ring[-1]] = {"reads": [ring[0].id]}
    with System() as system:
        written(system, configs, tuple(ring), at_once=True)
        system.until(
            lambda: (
                all(system.worker_state(ref) == ("CREATE_COMPLETED", 1) for ref in ring)
                and system.idle()
            )
        )

        assert len(system.jobs_made()) == 30
