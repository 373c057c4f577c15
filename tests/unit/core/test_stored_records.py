"""Records that the version before has left in etcd are read as they are.

``stored/first_release.json`` holds what a bridge and a worker of commit 16ebd75 wrote: one example of
each record and form. The runs in retry and done of ``node:z`` and ``node:y`` were made by that commit's
own records.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from orchestrator.bridge import loading
from orchestrator.core.jobs import Job
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.records import (
    Failed,
    Handled,
    Held,
    JobState,
    RetryAsked,
    Run,
    StackRecord,
    StateRecord,
    Step,
    read,
)
from orchestrator.core.refs import Ref
from orchestrator.core.schemas import parse_schemas

from tests.doubles import MemoryStore

STORED = json.loads((Path(__file__).parent / "stored" / "first_release.json").read_text())

KEYS = Keys(
    Prefixes(),
    parse_schemas(
        {
            "schemas": [
                {"id": "plan", "prefix": "/v1/plans", "schema": {}},
                {
                    "id": "node",
                    "prefix": "/v1/nodes",
                    "metadata": {"template_path": "Cnode"},
                    "schema": {"properties": {"parent_id": {"type": "string", "relation": "node"}}},
                },
                {"id": "heat_template", "prefix": "/v2.0/heat_templates", "schema": {}},
            ]
        }
    ),
)

READERS: dict[str, Callable[[bytes], Any]] = {
    KEYS.jobs: Job.from_json,
    KEYS.job_states: JobState.from_json,
    KEYS.stacks: StackRecord.from_json,
    KEYS.handled: Handled.from_json,
    KEYS.held: Held.from_json,
    KEYS.failed: Failed.from_json,
    KEYS.retries: RetryAsked.from_json,
    KEYS.runs: Run.from_json,
    KEYS.state: StateRecord.from_json,
}


def test_there_is_an_example_of_each_record() -> None:
    missing = {folder for folder in READERS if not any(s["key"].startswith(folder) for s in STORED)}
    assert not missing
    steps = {Run.from_json(s["value"]).step for s in STORED if s["key"].startswith(KEYS.runs)}
    assert steps == set(Step)


@pytest.mark.parametrize(
    "stored",
    [s for s in STORED if not s["key"].startswith(KEYS.config)],
    ids=lambda stored: stored["key"],
)
def test_a_stored_record_keeps_all_it_says(stored: dict[str, str]) -> None:
    [parse] = [parse for folder, parse in READERS.items() if stored["key"].startswith(folder)]
    record = read(stored["key"], stored["value"].encode(), parse)
    again = json.loads(record.to_json())
    before = json.loads(stored["value"])
    if isinstance(before, list):
        assert again == before
        return
    assert {name: again[name] for name in before} == before


def test_a_leader_begins_with_what_the_version_before_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    for stored in STORED:
        store.put(stored["key"], stored["value"])
    with caplog.at_level(logging.WARNING):
        loaded = loading.load(store, KEYS, {})

    assert [
        r.getMessage() for r in caplog.records if r.__dict__.get("event") == "record_unreadable"
    ] == []
    assert loaded.world.handled[Ref("node", "b")].version == 2
    assert loaded.world.failed[Ref("node", "e")].error.endswith("not a list")
    assert loaded.world.held[Ref("node", "c")].version == 1
    assert loaded.world.is_live(Ref("node", "a"))
