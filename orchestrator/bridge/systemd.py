"""Tell systemd how the bridge is: the protocol of sd_notify(3), for units of ``Type=notify``.

systemd puts the address of a socket into ``NOTIFY_SOCKET`` and, with ``WatchdogSec=``, the
watchdog's time into ``WATCHDOG_USEC``. A datagram is a few lines, ``NAME=value`` each:

* ``READY=1`` once, when the bridge stands by or leads for the first time;
* ``STATUS=…`` in each datagram: the role, and what is wrong, as ``/health`` says it;
* ``WATCHDOG=1`` as long as a restart would not help, as ``/live`` says it. So etcd or Redis may be
  away for days, and a bridge whose loop hangs is started again;
* ``STOPPING=1`` when it was told to stop.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from ..events import EventName, count
from .health import Health

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between two datagrams, at most."""
_PER_WATCHDOG = 3.0
"""Datagrams within the watchdog's time, at least. sd_watchdog_enabled(3) advises two."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """What systemd wants to be told.

    *address* is what a socket connects to; one that is abstract begins with a zero byte.
    *watchdog* is in seconds; 0: there is none.
    """

    address: str
    watchdog: float = 0.0

    @property
    def pause(self) -> float:
        """Seconds between two datagrams."""
        return (
            min(PAUSE, self.watchdog / _PER_WATCHDOG)
            if self.watchdog
            else PAUSE
        )


def supervision(environ: Mapping[str, str], pid: int) -> Supervision | None:
    """What the environment asks of process *pid*; None: nothing, or in a way that is not known.

    ``WATCHDOG_PID`` names another process when the variables were inherited from a parent.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return None
    if address[0] not in "/@":  # such as vsock:…, for virtual machines
        count(EventName.NOTIFY_UNKNOWN)
        fields = {"event": "notify_unknown", "address": address}
        log.warning("Kind of socket of systemd unknown", extra=fields)
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    meant = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
    watchdog = (
        int(microseconds) / 1e6 if meant and microseconds.isdecimal() else 0.0
    )
    return Supervision(
        "\0" + address[1:] if address[0] == "@" else address, watchdog
    )


def lines(health: Health, *, ready: bool, stopping: bool) -> list[str]:
    """What one datagram says.

    :param ready: whether systemd knows already that the bridge is ready.
    """
    hangs = health.hangs()
    trouble = hangs or health.fault() or health.note
    said = [
        f"STATUS={health.role}: {trouble}"
        if trouble
        else f"STATUS={health.role}"
    ]
    if stopping:
        said.append("STOPPING=1")
    if not ready and health.role != "starting":
        said.append("READY=1")
    if not hangs:
        said.append("WATCHDOG=1")
    return [line.replace("\n", " ") for line in said]


class Reporter:
    """Tells it in the background, from a thread of its own, until :meth:`close`."""

    def __init__(
        self,
        supervision: Supervision,
        health: Health,
        stopping: threading.Event,
    ) -> None:
        """:param stopping: set when the bridge is to stop."""
        self._supervision, self._health, self._stopping = (
            supervision,
            health,
            stopping,
        )
        self._ready = False
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="systemd", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            # A manager that is busy must not block this thread. What it misses is told again.
            door.setblocking(False)
            while not self._ended.wait(self._supervision.pause):
                self._tell(door)
            self._tell(door)

    def _tell(self, door: socket.socket) -> None:
        said = lines(
            self._health, ready=self._ready, stopping=self._stopping.is_set()
        )
        try:
            door.sendto(
                "\n".join(said).encode(errors="replace"),
                self._supervision.address,
            )
        except OSError as error:
            count(EventName.NOTIFY_FAILED)
            log.debug(
                "systemd not told",
                extra={"event": "notify_failed", "reason": str(error)},
            )
        else:
            self._ready = self._ready or "READY=1" in said

    def close(self) -> None:
        """Say the last word."""
        self._ended.set()
        self._thread.join(PAUSE)


def report(health: Health, stopping: threading.Event) -> Reporter | None:
    """Begin to tell systemd, if it has started this process and wants to know."""
    asked = supervision(os.environ, os.getpid())
    return Reporter(asked, health, stopping) if asked else None
