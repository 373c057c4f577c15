"""Ids that are deleted and made anew at once."""

from __future__ import annotations

from tests.integration.system import System

from .cloud import RealCloud

ROUNDS, STACKS = 5, 12
LONG = 600.0


def test_twelve_ids_are_deleted_and_made_anew_five_times(cloud: RealCloud, nodes: System) -> None:
    project = cloud.project("again")
    made: set[str] = set()
    for _ in range(ROUNDS):
        refs = [nodes.put("node", f"n{n}", tenant_id=project, seconds=0) for n in range(STACKS)]
        for ref in refs:
            state = nodes.await_state(ref, "CREATE_COMPLETED", timeout=LONG)
            made.add(state["state"]["heat_outputs"])
        for ref in refs:
            nodes.put("node", ref.id, 2, marked=True, tenant_id=project, seconds=0)
        for ref in refs:
            nodes.await_state(ref, "DELETE_COMPLETED", 2, timeout=LONG)
            nodes.remove(ref)
    assert len(made) == ROUNDS * STACKS
