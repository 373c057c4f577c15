"""Anything may lie in the queues: the worker lives, tells it once, and goes on with what is sound.

Each message is pushed as it is into each of the three Redis lists while a real worker runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator.clients.queue import JOBS, OLD_PERIODIC, OLD_POLL, PERIODIC, QUEUES, RESULTS
from redis import Redis

from tests.faults.brokers import flower
from tests.faults.poison import FOREIGN, HARMLESS, message, raw
from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system
from tests.scripted.heat import ScriptedHeat


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("poison")
    settings: dict[str, Any] = {"ORCHESTRATOR_LOG_FORMAT": "json"}
    with (
        ScriptedHeat() as heat,
        system(folder, heat.environment(), schemas=NODE_SCHEMAS, **settings) as running,
    ):
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running


def empty(client: Redis) -> bool:
    """Nothing is in a queue, and nothing is taken and not acknowledged."""
    return not any(client.llen(name) for name in QUEUES) and not client.hlen("unacked")


def logged(nodes: System) -> list[dict[str, Any]]:
    text = nodes.workers[0].log.read_text()
    whole, _, _ = text.rpartition("\n")  # what comes after is not written to its end yet
    return [json.loads(line) for line in whole.splitlines()]


def dropped(nodes: System) -> list[dict[str, Any]]:
    return [line for line in logged(nodes) if line.get("event") == "message_dropped"]


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_message_of_ours_is_told_once_and_gone(nodes: System, name: str) -> None:
    before, poison = len(dropped(nodes)), raw(FOREIGN[name])
    with Redis(port=nodes.redis.port) as client:
        for queue in QUEUES:
            client.lpush(queue, poison)
        nodes.until(lambda: len(dropped(nodes)) >= before + len(QUEUES))
        nodes.until(lambda: empty(client))
    told = dropped(nodes)[before:]
    assert sorted(line["queue"] for line in told) == sorted(QUEUES)
    assert {line["bytes"] for line in told} == {len(poison)}
    assert all(line["level"] == "ERROR" and line["reason"] for line in told)
    assert nodes.workers[0].alive


@pytest.mark.parametrize("name", HARMLESS)
def test_a_message_about_nothing_does_nothing(nodes: System, name: str) -> None:
    with Redis(port=nodes.redis.port) as client:
        for queue in QUEUES:
            client.lpush(queue, raw(HARMLESS[name]))
        nodes.until(lambda: empty(client))
    assert nodes.workers[0].alive


def test_a_poll_that_a_bridge_of_the_former_release_sends_is_taken(nodes: System) -> None:
    before = len(dropped(nodes))
    with Redis(port=nodes.redis.port) as client:
        client.lpush(OLD_PERIODIC, raw(message(OLD_POLL, ("nobody",))))
        client.lpush(OLD_PERIODIC, raw(message("orchestrator.nothing")))  # it comes after
        nodes.until(lambda: len(dropped(nodes)) > before)
    (told,) = dropped(nodes)[before:]
    assert "orchestrator.nothing" in told["reason"]


def test_jobs_go_on_between_poison(nodes: System) -> None:
    """All of it at once, into all queues, while nodes are built; the worker's children live too."""
    before = len(dropped(nodes))
    refs = []
    with Redis(port=nodes.redis.port) as client:
        for number, document in enumerate(FOREIGN.values()):
            refs.append(nodes.put("node", f"between-{number}"))
            for queue in QUEUES:
                client.lpush(queue, raw(document))
        for ref in refs:
            nodes.await_state(ref, "CREATE_COMPLETED")
        nodes.until(lambda: empty(client))
    nodes.until(lambda: len(dropped(nodes)) == before + len(QUEUES) * len(FOREIGN))
    lost = [line for line in logged(nodes) if "WorkerLostError" in str(line)]
    assert not lost
    assert nodes.workers[0].alive
    nodes.await_quiet()


def test_control_messages_that_are_malformed_are_dropped_too(nodes: System) -> None:
    """They come by publish and subscribe: to the worker's control queue, as events to Flower."""
    dashboard = flower(nodes)
    with Redis(port=nodes.redis.port) as client:
        channels = [name.decode() for name in client.pubsub_channels("*")]
        patterns = ["/0.celery.pidbox", "/0.celeryev/worker.heartbeat", *channels]
        for channel in patterns:
            for document in FOREIGN.values():
                if len(raw(document)) < 1_000_000:
                    client.publish(channel, raw(document))
    nodes.await_state(nodes.put("node", "after-control"), "CREATE_COMPLETED")
    assert nodes.workers[0].alive
    assert dashboard.process.alive
    dashboard.await_events(nodes)


def test_queues_that_are_no_lists_are_told_and_survived(tmp_path: Path) -> None:
    """WRONGTYPE: somebody else uses our names. Worker and bridge go on once the keys are gone."""
    with (
        ScriptedHeat() as heat,
        system(tmp_path, heat.environment(), schemas=NODE_SCHEMAS) as nodes,
        Redis(port=nodes.redis.port) as client,
    ):
        nodes.put("heat_template", "node", **NODE_TEMPLATE)
        nodes.await_state(nodes.put("node", "before"), "CREATE_COMPLETED")
        for queue in QUEUES:
            client.set(queue, "somebody else's")
        waiting = nodes.put("node", "meanwhile")
        nodes.until(lambda: "WRONGTYPE" in nodes.bridges[0].log_tail(50))
        nodes.until(lambda: "WRONGTYPE" in nodes.workers[0].log_tail(50))
        client.delete(*QUEUES)
        nodes.await_state(waiting, "CREATE_COMPLETED")
        assert nodes.bridges[0].alive
        assert nodes.workers[0].alive


def test_the_worker_reads_the_queues_to_which_the_bridge_sends_and_the_former_one() -> None:
    assert QUEUES == (JOBS, RESULTS, PERIODIC, OLD_PERIODIC)
