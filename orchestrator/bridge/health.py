"""Is this bridge well? ``/health`` and ``/live`` for probes, ``/metrics`` for Prometheus.

``/health`` answers 503 when the bridge cannot do its work, ``/live`` when only a restart helps.
:mod:`orchestrator.views.health` judges which it is, by what the bridge's threads have told.
"""

from __future__ import annotations

import json
import math
from http.server import ThreadingHTTPServer

from ..clients.store import Watch
from ..clock import CLOCK, Clock
from ..core.records import TenantDelay
from ..metrics import serving
from ..metrics.serving import Answer
from ..metrics.shapes import Metric
from ..views.health import Pulse
from .metrics import Metrics

HANGS = 120.0
"""Seconds after which only a restart helps. One read of etcd is tried for 20 s
(clients.etcd.store.READ_TIMEOUT), and a frozen Redis holds the leader's loop up for about as
long."""
TAKEOVER_HANGS = 600.0
"""Seconds after which reading everything hangs: a hundred thousand resources take four
(docs/performance.md)."""


class Health:
    """What the bridge does right now, as its own threads see it."""

    def __init__(
        self, clock: Clock = CLOCK, metrics: Metrics | None = None
    ) -> None:
        self._clock = clock
        self.role = "starting"
        self._beat = self._clock.monotonic()
        self._hangs_after = math.inf
        self._watch: Watch | None = None
        self._trouble = ""
        self.metrics = metrics or Metrics()
        self._notes: dict[str, str] = {}
        self.metrics.set(Metric.BROKER_AVAILABLE, 1)
        self.wait = 0.0
        """Seconds for which messages wait for a worker; 0 on a standby."""
        self.delays: tuple[TenantDelay, ...] = ()
        """The tenants whose jobs wait though they are ready, as of the last seconds."""
        self.broker = ""
        """Why the broker takes no messages; empty while it does, and on a standby."""

    def standing_by(self) -> None:
        """This bridge does not lead, and asks etcd who does."""
        self._not_leading()
        self._beat = self._clock.monotonic()

    def heard(self) -> None:
        """etcd has answered a standby."""
        self._trouble = ""
        self._beat = self._clock.monotonic()

    def taking_over(self) -> None:
        """Everything is read before this bridge leads: that takes its time."""
        self.role, self._hangs_after = "starting", TAKEOVER_HANGS
        self._beat = self._clock.monotonic()

    def troubled(self, why: str) -> None:
        """etcd does not answer, or does not let us: nothing can be done until it does."""
        self._not_leading()
        self._trouble = why
        self._beat = self._clock.monotonic()

    def _not_leading(self) -> None:
        self.role, self._hangs_after, self._watch = "standby", HANGS, None
        self.metrics.set(Metric.LEADING, 0)
        self.metrics.set(Metric.MESSAGE_WAIT, 0.0)
        self.wait, self.delays = 0.0, ()
        self.metrics.set(Metric.UNDECIDED_AGE, 0.0)
        self.schemas("", refused=False)  # Only the leader looks at the list,
        self.tell("deletions", "")  # and holds deletions.
        self._note_broker("")

    def leading(self, watch: Watch) -> None:
        self.role, self._hangs_after, self._watch = "leader", HANGS, watch
        self._trouble = ""
        self.metrics.set(Metric.LEADING, 1)
        self.beat({}, 0.0)

    def _note_broker(self, reason: str) -> None:
        self.broker = reason
        self.metrics.set(Metric.BROKER_AVAILABLE, not reason)

    def beat(
        self,
        sizes: dict[str, int],
        wait: float,
        broker: str = "",
        undecided: float = 0.0,
    ) -> None:
        """The leader's loop has come round.

        :param sizes: how much there is of what.
        :param wait: seconds for which messages wait for a worker.
        :param undecided: age of the oldest change that is not decided, in seconds.
        :param broker: why the broker takes no messages. No reason to start this process again.
        """
        self._note_broker(broker)
        self._beat = self._clock.monotonic()
        self.metrics.set(Metric.MESSAGE_WAIT, wait)
        self.wait = wait
        self.metrics.set(Metric.UNDECIDED_AGE, undecided)
        self.metrics.set_world(sizes)

    def schemas(self, note: str, *, refused: bool) -> None:
        """Whether the schema list in force is the newest.
        It is no fault of this bridge when it is not.

        :param note: why not; empty when it is.
        :param refused: whether there is a newer one that cannot be used.
        """
        self.tell("schemas", note)
        self.metrics.set(Metric.SCHEMAS_REFUSED, refused)

    def tell(self, about: str, note: str) -> None:
        """What a person should know though this bridge does its work; an empty *note* when there is
        nothing more."""
        self._notes[about] = note

    @property
    def note(self) -> str:
        return "; ".join(filter(None, self._notes.values()))

    def fault(self) -> str:
        """Why this bridge cannot do its work; empty when it can."""
        return self._pulse().fault

    def hangs(self) -> str:
        """Why only a restart helps; empty when none would."""
        return self._pulse().hangs

    def _pulse(self) -> Pulse:
        watch_silence = 0.0
        if self._watch is not None:
            watch_silence = self._watch.silent_for
        return Pulse(
            self.role,
            self._clock.monotonic() - self._beat,
            self._hangs_after,
            watch_silence,
            self._trouble,
        )


def serve(health: Health, address: str, port: int) -> ThreadingHTTPServer:
    """Answer ``/health``, ``/live`` and ``/metrics`` in the background.

    ``server_address[1]`` is the port.

    :raises SettingsError: nobody can listen there.
    """
    pages = {
        "/health": lambda: _health_page(health),
        "/live": lambda: _answer(health, health.hangs()),
        "/metrics": serving.metrics_page(health.metrics.text),
    }
    return serving.serve(pages, address, port, "ORCHESTRATOR_HEALTH_PORT")


def _health_page(health: Health) -> Answer:
    return _answer(
        health, health.fault(), broker=health.broker, note=health.note
    )


def _answer(health: Health, fault: str, **more: str) -> Answer:
    """What is wrong, as JSON.

    :param more: remarks that are no fault; an empty one is left out.
    """
    told = {name: text for name, text in more.items() if text}
    document = {"role": health.role, "fault": fault, **told}
    status = 200
    if fault:
        status = 503
    return Answer(status, json.dumps(document).encode(), "application/json")
