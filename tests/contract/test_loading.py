"""What a new leader reads is what the old one knew."""

from __future__ import annotations

from orchestrator.bridge.loading import load
from orchestrator.core.jobs import Action, Job, job_id
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.refs import Ref
from orchestrator.core.schemas import ResourceType, Schemas

from .conftest import Backend

SCHEMAS = Schemas([ResourceType("node", "v1/nodes")])
NODE = Ref("node", "n1")


def test_unfinished_jobs_are_loaded_in_the_order_in_which_they_were_made(backend: Backend) -> None:
    """The keys sort otherwise: create before logical_delete."""
    keys = Keys(Prefixes(*(backend.key(name) for name in ("config", "state", "monitoring", "jobs", "worker"))), SCHEMAS)
    made = [
        Job(id=job_id(action, NODE, 1, suffix), ref=NODE, action=action, version=1, params=(), dependency=(), body={})
        for action, suffix in ((Action.DELETE, "zzzzz"), (Action.CREATE, "aaaaa"), (Action.DELETE, "bbbbb"))
    ]
    for job in made:
        backend.store.put(keys.job(job.id), job.to_json())

    world, _, _ = load(backend.store, keys, {})

    assert [job.id for job in world.graph.on(NODE)] == [job.id for job in made]
