"""A tenant, a target or a template that misbehaves costs itself, and the others do not notice. One worker of two slots.

What hangs goes on hanging until the test is over, so whoever waited for it would not be built at all.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from orchestrator.core.refs import Json

from tests.scripted.heat import ScriptedHeat
from tests.scripted.stacks import Script

from .system import NODE_SCHEMAS, NODE_TEMPLATE, System, system

HOSTILE = "hostile"
OTHERS = ("t1", "t2", "t3")


@pytest.fixture
def nodes(tmp_path: Path, scripted: ScriptedHeat) -> Iterator[System]:
    settings: dict[str, Any] = {
        "schemas": NODE_SCHEMAS,
        "concurrency": 2,
        "ORCHESTRATOR_HEAT_TIMEOUT": "300",
    }
    with system(tmp_path / "system", scripted.environment(), **settings) as running:
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running


@pytest.fixture
def held(scripted: ScriptedHeat) -> Iterator[Callable[[str], list[str]]]:
    """Called with a method: from then on the hostile tenant's requests of that method are never answered.
    The answer lists those that hang."""
    let_go = threading.Event()
    hanging: list[str] = []
    methods: set[str] = set()

    def arrived(method: str, tenant: str, path: str) -> None:
        if tenant == HOSTILE and method in methods:
            hanging.append(f"{method} {path}")
            let_go.wait(300)

    def hold(method: str) -> list[str]:
        methods.add(method)
        return hanging

    scripted.arrived = arrived
    yield hold
    let_go.set()


def others_are_built(nodes: System, rounds: int = 6) -> None:
    """One after the other, of each of the others one that Heat builds at once and one that a poll has to find."""
    for number in range(rounds):
        for tenant in OTHERS:
            for kind in ("quick", "slow"):
                ref = nodes.put("node", f"{kind}-{tenant}-{number}", tenant_id=tenant)
                nodes.await_state(ref, "CREATE_COMPLETED", timeout=30)


def take_time(method: str, tenant: str, stack: str) -> Script:
    return Script(duration=3600.0 if tenant == HOSTILE else 0.3 if "slow" in stack else 0.0)


def test_a_tenant_whose_heat_hangs_on_its_list_holds_no_slot(
    nodes: System, scripted: ScriptedHeat, held: Callable[[str], list[str]]
) -> None:
    """And there is one poll of it in each process at the most, whatever the interval is: a tenth of a second here."""
    scripted.script = take_time
    for number in range(5):
        nodes.put("node", f"long-{number}", tenant_id=HOSTILE)
    nodes.until(lambda: len(scripted.requests) == 5)
    hanging = held("GET")
    nodes.until(lambda: nodes.below(nodes.keys.polls) == [nodes.keys.poll(HOSTILE)])
    others_are_built(nodes)

    assert len(hanging) <= 2


def test_when_its_heat_answers_again_its_stacks_are_found(
    nodes: System, scripted: ScriptedHeat, held: Callable[[str], list[str]]
) -> None:
    let_go, polled = threading.Event(), threading.Event()

    def arrived(method: str, tenant: str, path: str) -> None:
        if method == "GET" and path.endswith("/stacks") and not let_go.is_set():
            polled.set()
            let_go.wait(300)

    scripted.arrived = arrived
    scripted.script = lambda method, tenant, stack: Script(duration=0.5)
    ref = nodes.put("node", "late", tenant_id=HOSTILE)
    nodes.until(polled.is_set)
    nodes.until(lambda: nodes.below(nodes.keys.polls))
    let_go.set()

    nodes.await_state(ref, "CREATE_COMPLETED")
    nodes.until(lambda: not nodes.below(nodes.keys.polls))


def test_a_tenant_whose_heat_hangs_on_creates_holds_no_slot(
    nodes: System, held: Callable[[str], list[str]]
) -> None:
    hanging = held("POST")
    for number in range(100):
        nodes.put("node", f"more-{number}", tenant_id=HOSTILE)
    nodes.until(lambda: len(hanging) >= 16)
    others_are_built(nodes)

    assert len(hanging) <= 32, "no more than ORCHESTRATOR_TENANT_REQUESTS"


def test_a_worker_that_is_told_to_end_while_heat_hangs_ends_and_another_carries_on(
    nodes: System, scripted: ScriptedHeat, held: Callable[[str], list[str]]
) -> None:
    hanging = held("POST")
    hostile = [nodes.put("node", f"more-{number}", tenant_id=HOSTILE) for number in range(10)]
    nodes.until(lambda: len(hanging) >= 8)
    nodes.workers[0].stop()
    assert not nodes.workers[0].alive
    scripted.arrived = lambda method, tenant, path: None
    nodes.worker(2)
    for ref in hostile:
        nodes.await_state(ref, "CREATE_COMPLETED", timeout=60)


@pytest.fixture
def dripping() -> Iterator[str]:
    """The address of targets that send a byte now and then, and never end."""
    over = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not over.wait(1.0):
                connection.sendall(b" ")

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    over.set()
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def test_monitoring_targets_that_drip_hold_no_slot(
    nodes: System, scripted: ScriptedHeat, dripping: str
) -> None:
    def outputs(stack: Any) -> list[Json]:
        link = {
            "output_key": "monitoring_link",
            "output_value": f"{dripping}/{stack.name}",
            "description": "",
        }
        return [
            {"output_key": "id", "output_value": "x", "description": ""},
            *([link] if stack.tenant == HOSTILE else []),
        ]

    scripted.outputs = outputs
    scripted.script = lambda method, tenant, stack: Script(duration=0.3 if "slow" in stack else 0.0)
    for number in range(40):
        ref = nodes.put("node", f"dripping-{number}", tenant_id=HOSTILE)
    nodes.await_state(ref, "CREATE_COMPLETED")
    others_are_built(nodes)

    log = nodes.workers[0].log_tail(5000)
    assert "Monitoring target unavailable" in log
    assert "slot_left" not in log and "Traceback" not in log


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("http://169.254.169.254/latest/meta-data", "link-local"),
        ("http://[::ffff:169.254.169.254]/", "link-local"),
        ("http://2852039166/", "is a number"),
        ("file:///etc/passwd", "not an http address"),
        ("http://127.0.0.1\n/x", "control character"),
    ],
)
def test_a_link_that_leads_where_no_collector_is_is_told_and_not_followed(
    nodes: System, scripted: ScriptedHeat, link: str, why: str
) -> None:
    scripted.outputs = lambda stack: [
        {"output_key": "monitoring_link", "output_value": link, "description": ""}
    ]
    ref = nodes.put("node", "n")
    nodes.await_state(ref, "CREATE_COMPLETED")
    nodes.until(lambda: why in nodes.workers[0].log_tail(200))

    assert nodes.record(nodes.keys.monitoring, ref) is None
    scripted.outputs = lambda stack: []
    nodes.put("node", "n", 2)
    nodes.await_state(ref, "MODIFY_COMPLETED", 2)


def test_a_status_that_no_record_can_hold_is_told(nodes: System, scripted: ScriptedHeat) -> None:
    value: Json = "x"
    for _ in range(200):
        value = [value]
    target = {
        "version": 1,
        "values": [{"key": "status", "value": value}],
        "syncer_properties": {"etcd": {"status": {"key": "interface"}}},
    }
    body = json.dumps(target).encode()
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with suppress(OSError), connection:
                    connection.recv(4096)
                    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
                    connection.sendall(head.encode() + body)

    threading.Thread(target=accept, daemon=True).start()
    link = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    scripted.outputs = lambda stack: [
        {"output_key": "monitoring_link", "output_value": link, "description": ""}
    ]
    ref = nodes.put("node", "n")
    nodes.await_state(ref, "CREATE_COMPLETED")
    nodes.until(lambda: "nested deeper" in nodes.workers[0].log_tail(200))
    listening.close()

    assert nodes.record(nodes.keys.monitoring, ref) is None
