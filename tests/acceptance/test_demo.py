"""The demo, once, as `make demo ARGS=--once` plays it: the whole main job on real servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from orchestrator.sandbox.demo import documents, fleet
from orchestrator.sandbox.processes import Process, ProcessError, Processes

pytestmark = pytest.mark.integration

#: Seconds for the whole; it takes about 25 on two cores.
PATIENCE = 240

COMMAND = (sys.executable, "-m", "orchestrator.sandbox.demo", "--once")


@pytest.fixture(autouse=True)
def _heat() -> None:
    if "CI" not in os.environ:
        pytest.importorskip("heat", reason="openstack-heat is not installed")


def played(process: Process) -> int:
    """How the demo ended; if it did not, its processes are ended with it."""
    return process.wait(PATIENCE)


def test_every_record_is_right_and_is_shown(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        demo = processes.start(
            "played",
            [*COMMAND, "--logs", str(tmp_path / "demo"), "--delay", "0.5"],
            env={"NO_COLOR": "1"},
        )
        code = played(demo)
    said = demo.log.read_text()
    assert code == 0, said

    built = [document.ref for document in documents.service("") if document.body.get("tenant_id")]
    assert len(built) == 14
    assert [ref for ref in built if f"{ref.type:<24}{ref.id:<13}✔ created" not in said] == []
    assert "load_balancer_interface lbif-http    ✔ updated, version 2" in said
    assert "‖ waits           lb-web, conf-web" in said

    interface = "v2.0/load_balancer_interfaces/lbif-http"
    for number, key in enumerate(
        (
            f"/config/{interface}",
            "/jobs/all/modify:heat_worker:load_balancer_interface:lbif-http:2:",
            f"/esi-worker/heat_stacks/{interface}",
            f"/esi-worker/job_state/{interface}",
            f"/state/{interface}",
            f"/monitoring/{interface}",
        ),
        start=1,
    ):
        assert f"\n  {number} {key}" in said
    assert '{"interface": "UP", "version": 2}' in said

    assert "14 stacks created and 1 updated in " in said
    assert "✔ All is right: 18 resources, 14 stacks, nothing left over." in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_nothing_behind(
    number: signal.Signals, tmp_path: Path
) -> None:
    with Processes(tmp_path) as processes:
        demo = processes.start("played", [*COMMAND, "--logs", str(tmp_path / "demo")])
        demo.wait_until(lambda: "Heat creates" in demo.log.read_text(), PATIENCE, "building")
        os.kill(demo.pid, number)
        assert played(demo) == 128 + number

        assert f"Stopped by {number.name}" in demo.log.read_text()
        assert still_running(tmp_path / "demo") == []


def test_a_member_that_ends_by_itself_ends_the_demo_with_its_log(tmp_path: Path) -> None:
    """The worker cannot be killed from outside without knowing it, so the members are used as the demo uses them."""
    with fleet.Demo(tmp_path, flower=False) as demo:
        demo.kill("worker")
        with pytest.raises(ProcessError, match=r"worker ended with status -9 .*(\n.*)* ready"):
            demo.look_after()


def still_running(folder: Path) -> list[str]:
    """Processes that work in the demo's folder, once those that were just told to end have had a moment."""
    deadline = time.monotonic() + 5
    while True:
        listed = subprocess.run(
            ["ps", "-eo", "args"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        found = [line for line in listed if str(folder) in line and " --once " not in line]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)
