"""Records that somebody else wrote below our own prefix, or a newer release: they stop nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from orchestrator.core.refs import JobId, Ref

from tests.factories import network, port

from .driver import System

N1, P1, PLAN = network(), port(), Ref("plan", "big")
GARBAGE = [
    "",
    "{",
    "[]",
    "null",
    '"text"',
    "{}",
    '{"step": "unknown"}',
    '{"version": "one"}',
    '{"version": {}}',
]


@pytest.fixture
def system() -> Iterator[System]:
    with System() as started:
        yield started


def built(system: System, ref: Ref, version: int = 1) -> None:
    system.until(lambda: (system.worker_state(ref) or ("", 0))[1] == version)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_below_our_own_prefix_stops_nobody_also_not_the_next_leader(
    system: System, garbage: str
) -> None:
    keys, victim = system.keys, network("victim")
    for folder in (
        keys.handled,
        keys.held,
        keys.failed,
        keys.retries,
        keys.stacks,
        keys.state,
        keys.job_states,
    ):
        system.store.put(keys.below(folder, victim), garbage)
    job = JobId(f"create:heat_worker:{victim}:1:aaaaa")
    for key in (keys.run("t1", job), keys.job(job)):
        system.store.put(key, garbage)
    system.put(N1)
    built(system, N1)
    system.stop()
    system.start()
    system.put(P1, network_id="n1")
    built(system, P1)


def test_a_field_of_a_newer_release_is_left_aside(system: System) -> None:
    system.put(N1)
    built(system, N1)
    system.until(system.idle)
    system.stop()
    for folder in (system.keys.handled, system.keys.stacks, system.keys.state):
        key = system.keys.below(folder, N1)
        kv = system.store.get(key)
        assert kv is not None
        system.store.put(key, json.dumps({**json.loads(kv.value), "newer": [1, 2]}))
    system.outcome = lambda stack: None
    system.start()
    system.put(N1, 2)
    system.until(lambda: system.runs())
    ((job, _run),) = system.runs().items()
    key = system.keys.run("t1", job)
    system.until(lambda: system.runs()[job].stack)
    system.store.put(key, json.dumps({**json.loads(system.runs()[job].to_json()), "newer": True}))
    system.outcome = lambda stack: {"outputs": []}
    built(system, N1, 2)
