"""Child processes: ready, restarted, killed, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from orchestrator.sandbox.processes import ProcessError, Processes, free_port

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


def gone(pid: int, timeout: float = 5.0) -> bool:
    """Whether a process that need not be ours ends within the time (a zombie has ended)."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_ports_are_never_handed_out_twice() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


def test_a_process_starts_over_and_its_log_goes_on(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        sleeper = processes.start("sleeper", SLEEPER)
        sleeper.wait_until(lambda: "up" in sleeper.log_tail())
        first = sleeper.pid
        sleeper.kill()
        assert not sleeper.alive
        sleeper.restart()
        sleeper.wait_until(lambda: sleeper.log_tail().count("up") == 2)
        again = sleeper.pid
        assert Path(f"/proc/{again}").exists()
        assert again != first
    assert not sleeper.alive


def test_a_process_that_ends_early_shows_the_end_of_its_log(tmp_path: Path) -> None:
    noisy = [
        sys.executable,
        "-c",
        "print('\\n'.join(f'line {n}' for n in range(99))); raise SystemExit(3)",
    ]
    with Processes(tmp_path) as processes:
        process = processes.start("noisy", noisy)
        with pytest.raises(
            ProcessError, match="noisy ended with status 3 before it was ready"
        ) as caught:
            process.wait_until(lambda: False)
    assert "line 98" in str(caught.value)
    assert "line 78" not in str(caught.value)


def test_a_process_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        sleeper = processes.start("sleeper", SLEEPER)
        with pytest.raises(ProcessError, match=r"not answering within 0\.2 s"):
            sleeper.wait_until(lambda: False, timeout=0.2, what="answering")


def test_a_process_deaf_to_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    deaf = ["sh", "-c", "trap '' TERM; sleep 60 & echo $!; wait"]
    with Processes(tmp_path) as processes:
        process = processes.start("deaf", deaf)
        process.wait_until(lambda: process.log_tail().strip().isdigit())
        process.stop(grace=0.2)
        assert process.returncode == -signal.SIGKILL
        assert gone(int(process.log_tail()))


def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    """Not even a grandchild: the guard takes whole process groups."""
    parent = (
        "import sys, time; from orchestrator.sandbox.processes import Processes\n"
        f"group = Processes({str(tmp_path)!r})\n"
        "child = group.start('child', ['sh', '-c', 'sleep 60 & echo $!; wait'])\n"
        "child.wait_until(lambda: child.log_tail().strip().isdigit())\n"
        "print(child.pid, child.log_tail(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        pids = [int(word) for word in running.stdout.readline().split()]
        os.kill(running.pid, signal.SIGKILL)
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)
