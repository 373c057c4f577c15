"""What a new leader reads is what the old one knew."""

from __future__ import annotations

import json

from orchestrator.bridge.loading import load
from orchestrator.core.documents import digest_of
from orchestrator.core.jobs import Action, Job, job_id
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.records import Handled, StackRecord, StateRecord
from orchestrator.core.refs import JobId, Ref
from orchestrator.core.schemas import ResourceType, Schemas
from orchestrator.core.world import Reported, Stack

from .conftest import Backend

SCHEMAS = Schemas([ResourceType("node", "v1/nodes")])
NODE = Ref("node", "n1")


def test_unfinished_jobs_are_loaded_in_the_order_in_which_they_were_made(backend: Backend) -> None:
    """The keys sort otherwise: create before logical_delete."""
    keys = Keys(
        Prefixes(
            *(backend.key(name) for name in ("config", "state", "monitoring", "jobs", "worker"))
        ),
        SCHEMAS,
    )
    made = [
        Job(
            id=job_id(action, NODE, 1, suffix),
            ref=NODE,
            action=action,
            version=1,
            params=(),
            dependency=(),
            body={},
        )
        for action, suffix in (
            (Action.DELETE, "zzzzz"),
            (Action.CREATE, "aaaaa"),
            (Action.DELETE, "bbbbb"),
        )
    ]
    for job in made:
        backend.store.put(keys.job(job.id), job.to_json())

    world = load(backend.store, keys, {}).world

    assert [job.id for job in world.graph.on(NODE)] == [job.id for job in made]


def test_what_is_recorded_of_a_resource_is_loaded(backend: Backend) -> None:
    """Two resources: one whose handled version is the one that is wanted, and one with a newer config."""
    keys = Keys(
        Prefixes(
            *(backend.key(name) for name in ("config", "state", "monitoring", "jobs", "worker"))
        ),
        SCHEMAS,
    )
    other = Ref("node", "n2")
    for ref, version in ((NODE, 1), (other, 2)):
        body = json.dumps({"id": ref.id, "tenant_id": "t", "value": f"v{version}"})
        created = backend.store.put(
            keys.below(keys.config, ref), json.dumps({"body": body, "version": version})
        )
        before = {"id": ref.id, "tenant_id": "t", "value": "v1"}
        digest = digest_of([before, False])
        handled = Handled(
            1,
            created,
            JobId("j"),
            "node",
            "t",
            {"parent": (NODE,)},
            before,
            revision=1,
            digest=digest,
        )
        backend.store.put(keys.below(keys.handled, ref), handled.to_json())
        link = {"output_key": "monitoring_link", "output_value": "http://collector/n"}
        stack = StackRecord.of(ref, "t", "CREATE_COMPLETE", [link])
        backend.store.put(keys.below(keys.stacks, ref), stack.to_json())
        state = StateRecord.of(Action.CREATE, "CREATE_COMPLETE", [link], 1)
        reported = backend.store.put(keys.below(keys.state, ref), state.to_json())

    loaded = load(backend.store, keys, {})
    world = loaded.world

    assert (loaded.runs, loaded.revision) == ([], reported)
    assert {ref: (w.version, w.body["value"], w.tenant) for ref, w in world.wanted.items()} == {
        NODE: (1, "v1", "t"),
        other: (2, "v2", "t"),
    }
    assert {
        ref: (h.version, h.body["value"], set(h.refs())) for ref, h in world.handled.items()
    } == {
        NODE: (1, "v1", {NODE}),
        other: (1, "v1", {NODE}),
    }
    assert world.handled[NODE].body is world.wanted[NODE].body, "one copy in memory, not two"
    assert world.stacks == dict.fromkeys(
        (NODE, other), Stack("CREATE_COMPLETE", "t", monitored=True)
    )
    assert world.reported[other] == Reported(1, reported)
    assert world.referrers(NODE) == [other]
    assert set(world.dirty) == {NODE, other}
