"""The same work by us and by OpenStack TaskFlow: jobs per second and CPU per job.

One ground (the same etcd, Redis and Heat) and contenders that take turns on it, in another order each round.
Every job is a new stack: config record in etcd, stack in Heat, state record in etcd. Three kinds: stacks
that are complete at once, where everybody is bound by CPU, and stacks that take one and ten seconds, where
it shows who holds a slot while Heat works.
"""

from __future__ import annotations

import argparse
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator import __version__

from .. import peers
from ..ground import BenchLoad, Ground, ground, nodes, settle
from ..report import BenchResult

WORK = {"at once": 0.0, "after 1 s": 1.0, "after 10 s": 10.0}
"""How long Heat takes for a stack."""
SLOW = "after 10 s"
"""Only for those who can hold many stacks at a time: the others would take half an hour."""


@dataclass(frozen=True)
class Contender:
    """Somebody who does the work. *warm*: jobs before the first load; *start*: ready when entered and gone when left."""

    name: str
    label: str
    jobs: int
    warm: int
    start: Callable[[Ground], AbstractContextManager[str]]
    ours: bool = False
    patient: bool = True

    @property
    def works(self) -> list[str]:
        return [work for work in WORK if work != SLOW or self.patient]


@dataclass(frozen=True)
class Measured:
    """One load: its rate, and CPU milliseconds per job by party."""

    contender: str
    work: str
    round: int
    jobs: int
    rate: float
    cpu: dict[str, float]
    calls: dict[str, int]

    @property
    def everywhere(self) -> float:
        return sum(self.cpu.values())

    @property
    def without_heat(self) -> float:
        return self.everywhere - self.cpu["Heat"]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--jobs", type=int, default=2000, help="per load, of us and of TaskFlow at its best"
    )
    parser.add_argument(
        "--durable-jobs", type=int, default=200, help="per load, of TaskFlow with logbooks"
    )
    parser.add_argument("--workers", type=int, default=1, help="our worker processes")
    parser.add_argument("--worker-slots", type=int, default=4, help="of each of our workers")
    parser.add_argument("--conductors", type=int, default=4, help="of TaskFlow at its best")
    parser.add_argument("--slots", type=int, default=64, help="of each of these conductors")
    parser.add_argument(
        "--only", default="", help="contenders by name, with commas: ours, best, durable, octavia"
    )


def run(options: argparse.Namespace) -> None:
    peers.prepare()  # not while somebody is measured
    chosen = [
        one
        for one in contenders(options)
        if not options.only or one.name in options.only.split(",")
    ]
    layouts: dict[str, str] = {}
    measured: list[Measured] = []
    with ground() as running:
        running.push_template()
        for number in range(options.rounds):
            turn = number % len(chosen)
            for contender in chosen[turn:] + chosen[:turn]:
                settle()
                with contender.start(running) as layouts[contender.name]:
                    running.heat.ask("_set", {"duration": 0.0})
                    running.load(
                        nodes(_prefix(contender, number, "warm"), contender.warm), timeout=120
                    ).check()
                    measured += [
                        measure(running, contender, work, number) for work in contender.works
                    ]
                if not contender.ours:
                    _forget(running, contender, number)
    publish(chosen, measured, layouts, save=options.save)


def contenders(options: argparse.Namespace) -> list[Contender]:
    """Us, and TaskFlow in memory, with logbooks at its best, and with logbooks as Octavia has it by default."""

    def layout(
        name: str,
        label: str,
        jobs: int,
        conductors: int,
        slots: int,
        *,
        patient: bool = False,
        **settings: Any,
    ) -> Contender:
        @contextmanager
        def start(running: Ground) -> Iterator[str]:
            with peers.taskflow(running, conductors=conductors, slots=slots, **settings) as layout:
                yield str(layout)

        return Contender(name, label, jobs, conductors * slots, start, patient=patient)

    @contextmanager
    def us(running: Ground) -> Iterator[str]:
        try:
            running.bridge()
            for _ in range(options.workers):
                running.worker(options.worker_slots)
            yield f"1 bridge, {options.workers} worker × {options.worker_slots} slots"
        finally:
            running.stop("bridge", "worker")

    few = options.durable_jobs
    return [
        Contender(
            "ours",
            "orchestrator",
            options.jobs,
            options.workers * options.worker_slots * 8,
            us,
            ours=True,
        ),
        layout(
            "best",
            "TaskFlow, in memory",
            options.jobs,
            options.conductors,
            options.slots,
            patient=True,
        ),
        layout("durable", "TaskFlow, durable", few, 2, 8, layout="octavia", engine="serial"),
        layout("octavia", "TaskFlow as in Octavia", few, 4, 1, layout="octavia", engine="parallel"),
    ]


def measure(running: Ground, contender: Contender, work: str, number: int) -> Measured:
    """One load on fresh nodes."""
    running.heat.ask("_set", {"duration": WORK[work]})
    before = Counter(running.heat.calls())
    jobs = contender.jobs
    load = running.load(nodes(_prefix(contender, number, work), jobs)).check()
    calls = Counter(running.heat.calls()) - before
    _check_once(running, load)
    cpu = {party: seconds * 1000 / jobs for party, seconds in load.cpu.items()}
    return Measured(contender.name, work, number, jobs, load.rate, cpu, dict(calls))


def _prefix(contender: Contender, number: int, work: str) -> str:
    """Of the nodes' names: nobody meets what another has left."""
    return f"{contender.name}-{number}-{work.replace(' ', '-')}"


def _check_once(running: Ground, load: BenchLoad) -> None:
    """:raises RuntimeError: a stack was not made exactly once, or was changed afterwards."""
    wanted = {f"node_{key.rpartition('/')[2]}" for key in load.written}
    asked = Counter(name for _, _, _, name in running.heat.asked() if name in wanted)
    if wrong := [name for name in wanted if asked[name] != 1]:
        raise RuntimeError(
            f"{len(wrong)} stacks were not asked for exactly once, among them {sorted(wrong)[:3]}"
        )


def _forget(running: Ground, contender: Contender, number: int) -> None:
    """Delete what a contender left in etcd: our bridge would take it for work that nobody did."""
    counts = {"warm": contender.warm, **dict.fromkeys(contender.works, contender.jobs)}
    names = [
        f"{_prefix(contender, number, work)}-{i}"
        for work, count in counts.items()
        for i in range(count)
    ]
    running.forget(names, "/esi-worker/stack/v1/nodes")


def publish(
    chosen: list[Contender], measured: list[Measured], layouts: Mapping[str, str], *, save: bool
) -> None:
    def rates(contender: Contender, work: str) -> list[float]:
        return [one.rate for one in measured if (one.contender, one.work) == (contender.name, work)]

    def median(contender: Contender, work: str, what: Callable[[Measured], float]) -> float:
        return statistics.median(
            what(one) for one in measured if (one.contender, one.work) == (contender.name, work)
        )

    rows: list[Sequence[str]] = []
    first = chosen[0]
    for work in WORK:
        for contender in (one for one in chosen if work in one.works):
            seen = rates(contender, work)
            times = statistics.median(rates(first, work)) / statistics.median(seen)
            rows.append(
                (
                    work,
                    contender.label,
                    f"{statistics.median(seen):.1f} [{min(seen):.1f}-{max(seen):.1f}]",
                    f"{median(contender, work, lambda one: one.everywhere):.1f} ms",
                    f"{median(contender, work, lambda one: one.without_heat):.1f} ms",
                    f"{times:.2f} ×" if first.ours and contender is not first else "",
                )
            )
    theirs = peers.versions(
        "taskflow", "futurist", "redis", "sqlalchemy", "pymysql", "python-heatclient"
    )
    notes = [
        *(f"{one.label}: {layouts[one.name]}; {one.jobs} jobs a load." for one in chosen),
        f"orchestrator {__version__}; {', '.join(f'{name} {version}' for name, version in theirs.items())}.",
        "CPU is of all processes: servers, contenders, posters. Every stack was made exactly once.",
        "In memory: a job whose conductor dies starts again from its first task. Durable: each change of a task's state is saved.",
    ]
    data = {
        "layouts": dict(layouts),
        "versions": theirs,
        "loads": [asdict(one) for one in measured],
    }

    def plot(axes: Any) -> None:
        height = 0.8 / len(WORK)
        for offset, work in enumerate(WORK):
            there = [(row, one) for row, one in enumerate(chosen) if work in one.works]
            at = [row + offset * height for row, _ in there]
            values = [statistics.median(rates(one, work)) for _, one in there]
            spread = [
                [
                    value - min(rates(one, work))
                    for (_, one), value in zip(there, values, strict=True)
                ],
                [
                    max(rates(one, work)) - value
                    for (_, one), value in zip(there, values, strict=True)
                ],
            ]
            bars = axes.barh(
                at,
                values,
                height * 0.9,
                xerr=spread,
                label=f"stacks complete {work}",
                error_kw={"lw": 0.8},
            )
            axes.bar_label(
                bars,
                [f"{value:.0f}" if value >= 10 else f"{value:.1f}" for value in values],
                padding=6,
                fontsize=8,
            )
        axes.set_yticks(
            [row + height / 2 for row in range(len(chosen))], [one.label for one in chosen]
        )
        axes.invert_yaxis()
        axes.set_xlabel("jobs per second")
        axes.legend(frameon=False)

    columns = (
        "stacks complete",
        "contender",
        "jobs/s: median [min-max]",
        "CPU per job",
        "without Heat",
        "our rate is",
    )
    BenchResult(
        "peers", "The same work by us and by OpenStack TaskFlow", columns, rows, notes, data, plot
    ).publish(save=save)
