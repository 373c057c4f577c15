"""Child processes that do not outlive whoever started them.

The demo and the tests start half a dozen servers, kill some of them on purpose, and must leave
nothing behind however they end.
Each child leads a process group of its own (so that `kill()` takes its children along), writes
everything it says to one log file, and is known to a small guard process that kills the group
should this process itself be killed.
A guard, and not the kernel's parent-death signal, because that one fires when the *thread* that
started the child ends, and reaches no grandchildren.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.errors import OrchestratorError

#: How many lines of a log an error quotes.
LOG_LINES = 20

#: Interval, in seconds, of the checks of a condition or a process.
POLL = 0.05

_GUARD = """
import os, signal, sys, time
groups = set()
for line in sys.stdin:
    change, group = line[0], int(line[1:])
    (groups.add if change == "+" else groups.discard)(group)
for number, pause in ((signal.SIGTERM, 2), (signal.SIGKILL, 0)):
    for group in list(groups):
        try:
            os.killpg(group, number)
        except OSError:
            groups.discard(group)
    if groups:
        time.sleep(pause)
"""

_ports_given: set[int] = set()
_ports_lock = threading.Lock()


class ProcessError(OrchestratorError):
    """A child process ended, or was not ready in time; the message ends with the last lines of its
    log."""


def free_port() -> int:
    """A loopback TCP port that nobody listens on and that this process has not handed out
    before."""
    with _ports_lock:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in _ports_given:
                _ports_given.add(port)
                return port


class Guard:
    """Kills the process groups it was told of once this process is gone, however it went."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        self._lock = threading.Lock()

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """End the guard; it kills what it still watches."""
        pipe = self._child.stdin
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
        self._child.wait()

    def _tell(self, line: str) -> None:
        pipe = self._child.stdin
        if pipe is None or pipe.closed:
            return
        with self._lock, contextlib.suppress(OSError):
            pipe.write(line)
            pipe.flush()


class Process:
    """One command that can be started, stopped, killed and started again; made by
    `Processes.start`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        guard: Guard,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.command = tuple(command)
        self.log = log
        self.env = None if env is None else dict(env)
        self.cwd = cwd
        self._guard = guard
        self._child: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        state = (
            f"pid {self.pid}" if self.alive else f"ended with {self.returncode}"
        )
        return f"<Process {self.name}: {state}>"

    @property
    def pid(self) -> int:
        """The process's id, which is its group's id as well.

        :raises RuntimeError: it was not started yet.
        """
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started yet")
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        return None if self._child is None else self._child.poll()

    def start(self) -> None:
        """Start the command; the log is continued, not overwritten, so that a restart keeps its
        history."""
        if self.alive:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.cwd,
                start_new_session=True,
            )
        self._guard.watch(self._child.pid)

    def stop(self, grace: float = 5.0) -> None:
        """Ask the process to end (SIGTERM), and kill the whole group after `grace` seconds."""
        if self._child is None:
            return
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(grace)
        self.kill()

    def kill(self) -> None:
        """kill -9 of the process and of everything in its group; returns when the process is
        gone."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._guard.forget(self._child.pid)

    def restart(self, grace: float = 5.0) -> None:
        """Stop the process if it still runs, and start the same command again."""
        self.stop(grace)
        self.start()

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once the process has ended of itself."""
        if self._child is None:
            raise ProcessError(f"{self.name} was never started")
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._error(
                f"{self.name} was still running after {timeout:g} s"
            ) from None

    def wait_until(
        self,
        ready: Callable[[], bool],
        timeout: float = 30.0,
        what: str = "ready",
    ) -> None:
        """Return once `ready()` is true.
        An `OSError` from it counts as "not yet": nobody listens so far."""
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.suppress(OSError):
                if ready():
                    return
            if not self.alive:
                raise self._error(
                    f"{self.name} ended with status {self.returncode} before it was"
                    f" {what}"
                )
            if time.monotonic() > deadline:
                raise self._error(
                    f"{self.name} was not {what} within {timeout:g} s"
                )
            time.sleep(POLL)

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The last lines the process wrote."""
        if not self.log.exists():
            return ""
        return "\n".join(
            self.log.read_text(errors="replace").splitlines()[-lines:]
        )

    def _error(self, sentence: str) -> ProcessError:
        tail = self.log_tail() or "(the log is empty)"
        return ProcessError(f"{sentence}. The end of {self.log}:\n{tail}")


class Processes:
    """A group of processes with one log folder; leaving the `with` block ends them, the last
    started first."""

    def __init__(self, folder: Path | str) -> None:
        #: Holds `<name>.log` of every process, and the servers' data in `<name>/`.
        self.folder = Path(folder).resolve()
        self._guard: Guard | None = None
        self._lock = threading.Lock()
        self._members: dict[str, Process] = {}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __getitem__(self, name: str) -> Process:
        return self._members[name]

    def __iter__(self) -> Iterator[Process]:
        return iter(list(self._members.values()))

    def start(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Process:
        """Start `command` under a name of its own. `env` is added to this process's environment."""
        if name in self._members:
            raise ValueError(
                f"there is already a process named {name!r} in {self.folder}"
            )
        with (
            self._lock
        ):  # servers may be started side by side, from several threads
            if self._guard is None:
                self._guard = Guard()
        environment = None if env is None else {**os.environ, **env}
        process = Process(
            name,
            command,
            self.folder / f"{name}.log",
            self._guard,
            environment,
            cwd,
        )
        process.start()
        self._members[name] = process
        return process

    def stop(self, grace: float = 5.0) -> None:
        """End every process: all are asked first, so that the whole takes one grace and not one
        each."""
        members = list(reversed(self._members.values()))
        for process in members:
            if process.alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        for process in members:
            while process.alive and time.monotonic() < deadline:
                time.sleep(POLL)
            process.kill()
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        self._members.clear()
