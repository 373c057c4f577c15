"""A restart while deletions are held: until a new leader builds what nobody holds back."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TypeVar

from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.core.transactions import Transaction
from orchestrator.sandbox.processes import Process

from .. import filling
from ..ground import ROOT, Ground, ground, node
from ..measuring import cpu_seconds
from ..report import BenchResult

T = TypeVar("T")

_PATIENCE = 120.0
"""Seconds for any one step."""
_TOGETHER = 100
"""Keys that are removed in one transaction; etcd takes 128."""
_CHECKED = 0.005
"""Seconds between two checks of a log; no time here is exact by less."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--resources",
        type=int,
        nargs="+",
        default=[1000, 5000, 20_000],
        help="built resources whose deletion is held",
    )
    parser.add_argument("--rounds", type=int, default=5, help="restarts of each")
    parser.add_argument(
        "--against", default="", help="another checkout, whose bridge takes turns with ours"
    )


@dataclass(frozen=True)
class Restart:
    """Seconds of one restart, in the order in which they pass.

    *stop*: from SIGTERM to the end of the old process. *process*: from the start of the new one
    until it leads. *listed*: from there until its term begins. *cpu*: of the bridge until then.
    *early*, *leading*, *begun*: from the write of a config until Heat has the request, written
    before the start, when the bridge leads, and when its term has begun. *load*: the machine's load
    average before all that.
    """

    stop: float
    process: float
    listed: float
    cpu: float
    early: float
    leading: float
    begun: float
    load: float

    @property
    def after_lead(self) -> float:
        """From when the bridge leads until Heat has the first request, written before."""
        return self.early - self.process


class HeldSite:
    """A system whose built resources have all lost their config."""

    def __init__(self, running: Ground, count: int) -> None:
        self.ground = running
        self._store = EtcdStore(EtcdAccess((running.etcd.endpoint,)))
        self._bridge: Process | None = None
        running.worker_alone()
        filling.fill(running.etcd.endpoint, count)
        keys = [filling.key(number) for number in range(count)]
        for start in range(0, count, _TOGETHER):
            self._store.commit(Transaction(deletes=tuple(keys[start : start + _TOGETHER])))
        self._start()
        self._await("deletions_held")

    def close(self) -> None:
        self._store.close()

    def restart(self, number: str, checkout: Path = ROOT) -> Restart:
        """Stop the bridge, and start that of a checkout.

        :param number: a name of its own for each restart.
        """
        # Python would look into the current folder first.
        self.ground.settings |= {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}
        load, stopping = os.getloadavg()[0], time.time()
        self.ground.stop("bridge")
        stopped = time.time()
        written = {"early": self._write(f"early-{number}")}
        started = time.time()
        self._start()
        leads = self._await("leading")
        written["leading"] = self._write(f"leading-{number}")
        begun = self._await("term_begun")
        assert self._bridge is not None
        cpu = cpu_seconds(self._bridge.pid)
        written["begun"] = self._write(f"begun-{number}")
        taken = {when: self._asked(f"node_{when}-{number}") - at for when, at in written.items()}
        return Restart(stopped - stopping, leads - started, begun - leads, cpu, load=load, **taken)

    def _start(self) -> None:
        self._bridge = self.ground.bridge()

    def _write(self, name: str) -> float:
        """A config that nothing holds back; when it was written."""
        self._store.put(f"/config/v1/nodes/{name}", node(name, "t-other"))
        return time.time()

    def _await(self, event: str) -> float:
        """When the bridge told of an event, by its own log."""
        assert self._bridge is not None
        log, mark = self._bridge.log, f'"event": "{event}"'

        def told() -> str:
            lines = log.read_text(errors="replace").splitlines() if log.exists() else []
            return next((line for line in lines if mark in line), "")

        line = _until(told, event)
        return datetime.fromisoformat(json.loads(line)["time"]).timestamp()

    def _asked(self, stack: str) -> float:
        """When Heat had the request."""

        def asked() -> float:
            return next((at for at, _, _, name in self.ground.heat.asked() if name == stack), 0.0)

        return _until(asked, stack)


def _until(found: Callable[[], T], what: str) -> T:
    end = time.monotonic() + _PATIENCE
    while not (answer := found()):
        if time.monotonic() > end:
            raise RuntimeError(f"not within {_PATIENCE:.0f} s: {what}")
        time.sleep(_CHECKED)
    return answer


def run(options: argparse.Namespace) -> None:
    checkouts = {"": ROOT}
    if options.against:
        checkouts = {", before": Path(options.against).resolve(), ", now": ROOT}
    found: dict[str, list[Restart]] = {}
    for count in options.resources:
        with ground(ORCHESTRATOR_LOG_FORMAT="json") as running:
            site = HeldSite(running, count)
            for number in range(options.rounds):
                for place, (which, checkout) in enumerate(checkouts.items()):
                    measured = site.restart(f"{number}-{place}", checkout)
                    found.setdefault(f"{count:,}{which}", []).append(measured)
            site.close()
    _publish(options, found)


_SHOWN: tuple[tuple[str, Callable[[Restart], float]], ...] = (
    ("process starts → leads", lambda each: each.process),
    ("leads → term begins", lambda each: each.listed),
    ("CPU of the bridge until then", lambda each: each.cpu),
    ("leads → Heat asked", lambda each: each.after_lead),
    ("written when it leads → Heat asked", lambda each: each.leading),
    ("written when its term begins → Heat asked", lambda each: each.begun),
)


def _publish(options: argparse.Namespace, found: dict[str, list[Restart]]) -> None:
    rows = [
        (name, *(_shown([value(each) for each in restarts]) for _, value in _SHOWN))
        for name, restarts in found.items()
    ]
    loads = [each.load for restarts in found.values() for each in restarts]
    BenchResult(
        "restart",
        "A restart while the deletion of every built resource is held",
        ("resources", *(name for name, _ in _SHOWN)),
        rows,
        notes=[
            f"Median / most of {options.rounds} restarts, in seconds; SIGTERM, and a new process when"
            " the old one has ended.",
            "“Leads → Heat asked” is of a config that was written while no bridge ran.",
            f"Load average before the restarts: {min(loads):.0f} to {max(loads):.0f}, on"
            f" {os.cpu_count()} cores.",
        ],
        data={name: [asdict(each) for each in restarts] for name, restarts in found.items()},
    ).publish(save=options.save)


def _shown(values: Sequence[float]) -> str:
    return f"{median(values):.2f} / {max(values):.2f}"
