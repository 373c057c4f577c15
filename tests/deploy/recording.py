"""Recordings of what the programs measure, for the alarms: an hour takes a second.

Bridge and workers are the real ones, on doubles; time is the test's. Every 15 seconds all that the
programs would answer to Prometheus is written down, in the notation of ``promtool test rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orchestrator.bridge.health import Health
from orchestrator.bridge.timing import Timing
from orchestrator.core.refs import Ref
from orchestrator.core.removals import BrakeLimits
from orchestrator.errors import HeatUnavailable
from orchestrator.events import COUNTS, EventName
from orchestrator.history.measuring import HistorianMetrics
from orchestrator.metrics.cells import Cells
from orchestrator.metrics.shapes import EVENTS_OF, Program
from orchestrator.metrics.showing import Exposition
from tasks.measuring import WorkerMetrics

from tests.unit.system.driver import System, complete

INTERVAL = 15.0
"""Seconds between two scrapes."""
MINUTE = 60.0
_STEP = 0.4
"""Seconds that pass before the bridge goes round once more."""

Hook = Callable[["Recording", int], None]
"""What happens in a minute of the recording, counted from 0."""


@dataclass
class Recording:
    """One system, and its series so far."""

    minutes: int = 60
    ups_and_downs: bool = False
    """Whether ordinary work has its small troubles."""
    series: dict[str, list[str]] = field(default_factory=dict)
    works: bool = True
    """Whether workers take messages."""
    quiet: bool = False
    """Whether nothing new is wanted."""
    pause: float = 0.0
    """Seconds for which workers take no message after each one."""
    leads: bool = True
    """Whether the bridge goes round."""
    events: dict[tuple[Program, EventName], int] = field(default_factory=dict)
    """Events that a test has told."""

    def __post_init__(self) -> None:
        timing = Timing(
            poll_interval=1.0, monitoring_interval=36000.0, brake=BrakeLimits(at_once=5, share=0.0)
        )
        self.system = System(timing=timing)
        self.worker: WorkerMetrics = self.system.worker.metrics
        self.historian = HistorianMetrics()
        self._worker_page = Exposition(Program.WORKER, lambda: [self._cells.row])
        self._scrapes, self._free = 0, 0.0
        self._before = COUNTS.read()

    @property
    def health(self) -> Health:
        return self.system.health

    @property
    def _cells(self) -> Cells:
        return self.worker.cells

    def count(self, program: Program, event: EventName) -> None:
        """Something happens that these doubles do not do."""
        key = program, event
        self.events[key] = self.events.get(key, 0) + 1

    def run(self, *hooks: Hook) -> Recording:
        """Lead, with hooks at the begin of each minute."""
        with self.system:
            clock, minute = self.system.clock, 0
            begun = next_scrape = clock.now
            while clock.now < begun + self.minutes * MINUTE:
                if clock.now >= begun + minute * MINUTE:
                    for hook in hooks:
                        hook(self, minute)
                    minute += 1
                if clock.now >= next_scrape:
                    self._scrape()
                    next_scrape += INTERVAL
                self._step()
        return self

    def _step(self) -> None:
        self.system.clock.pass_(_STEP)
        if not self.leads:
            return
        if self.works and self.system.clock.now >= self._free:
            taken = len(self.system.taken)
            self.system.work()
            if len(self.system.taken) > taken:
                self._free = self.system.clock.now + self.pause
        else:
            self.system.cycle()

    # Prometheus -------------------------------------------------------------------------------------

    def _scrape(self) -> None:
        found = dict(self._samples())
        for name in [*self.series, *(name for name in found if name not in self.series)]:
            values = self.series.setdefault(name, ["_"] * self._scrapes)
            values.append(found.get(name, "_"))
        self._scrapes += 1

    def _samples(self) -> Iterator[tuple[str, str]]:
        shown = (
            self.health.metrics.registry,
            self._worker_page.registry,
            self.historian.shown.registry,
        )
        for registry in shown:
            for family in registry.collect():
                for sample in family.samples:
                    if "event" not in sample.labels and not sample.name.endswith("_created"):
                        yield _notation(sample.name, sample.labels), f"{sample.value:g}"
        for program, event, times in self._events():
            name = EVENTS_OF[program].value.shown
            yield _notation(name, {"event": event.value}), f"{times:g}"

    def _events(self) -> Iterator[tuple[Program, EventName, int]]:
        """Bridge and worker are one process here: what it counts stands for both."""
        told = dict(self.events)
        for event, times in COUNTS.read().items():
            if new := times - self._before.get(event, 0):
                for program in (Program.BRIDGE, Program.WORKER):
                    told[program, event] = told.get((program, event), 0) + new
        for (program, event), times in told.items():
            yield program, event, times


def _notation(name: str, labels: dict[str, str]) -> str:
    given = sorted({**labels, "namespace": "cloud"}.items())
    inside = ",".join(f'{key}="{value}"' for key, value in given)
    return f"{name}{{{inside}}}"


def ordinary(recording: Recording, minute: int) -> None:
    """What ordinary work is: changes and deletions, a failure that is repaired, a broker and a Heat that are away for a
    moment, a restart of the bridge."""
    if recording.quiet:
        return
    system, network = recording.system, Ref("network", f"n{minute}")
    if recording.ups_and_downs:
        system.queue.available = minute != 30
        if minute == 20:
            system.outcome = lambda stack: {
                "status": "FAILED" if stack.name == network.stack_name else "COMPLETE"
            }
        elif minute == 21:
            system.outcome = complete
            system.put(Ref("network", "n20"), 2)
        elif minute == 35:
            for _ in range(5):
                system.heat.fail_next(HeatUnavailable("Heat does not answer"))
                recording.worker.note_request("POST", 0, 60.0)
        elif minute == 45:
            system.stop()
            system.start()
    system.put(network)
    system.put(Ref("port", f"p{minute}"), network_id=f"n{minute}")
    if minute >= 5:
        old = minute - 5
        system.put(Ref("network", f"n{old}"), 2, mtu=minute)
        system.put(Ref("port", f"p{old}"), 2, marked=True, network_id=f"n{old}")
    recording.worker.note_request("GET", 200, 0.05)
    recording.worker.note_request("POST", 201, 0.2)
    recording.historian.read(system.store.revision, 4)
    recording.historian.wrote(4, 4, {"": system.store.revision})
