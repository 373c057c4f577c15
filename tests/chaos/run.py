"""One chaos run from start to verdict."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import check, heat, history
from .check import Violation
from .facts import Facts, ObservedEvent
from .faults import Injector
from .operator import ChaosOperator
from .setting import ChaosSetting, setting


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    seconds: float = 60.0
    seed: int = 1
    bridges: int = 2
    workers: int = 2
    resources: int = 300
    tenants: int = 5
    rate: float = 2.5
    fault_every: float = 5.0
    verb_every: float = 6.0
    quiet_within: float = 180.0
    profile: str = "all"
    keep: bool = False


@dataclass(slots=True)
class ChaosResult:
    """What came of it."""

    options: Options
    folder: str
    took: float = 0.0
    settled: float = 0.0
    resources: int = 0
    operations: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    verbs: dict[str, int] = field(default_factory=dict)
    heat: dict[str, int] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        shown = {**asdict(self), "violations": [str(violation) for violation in self.violations]}
        return {**shown, "folder": self.folder if self.violations else ""}


def run(options: Options, say: Callable[[str], None] = lambda text: None) -> ChaosResult:
    """Start everything, make trouble, wait for quiet, and check."""
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{options.seed}-"))
    result = ChaosResult(options, str(folder))
    wanted = {
        name: getattr(options, name)
        for name in ("bridges", "workers", "resources", "tenants", "rate")
    }
    with setting(folder, options.seed, **wanted) as running:
        say(f"seed {options.seed}: everything runs, logs in {folder}")
        injector = Injector(running, options.seed, options.fault_every, options.profile)
        operator = ChaosOperator(running, options.seed, options.verb_every)
        _make_trouble(running, injector, operator, options, result, say)
        facts = _collect(running)
        injector.compare_members()
        result.verbs = dict(sorted(operator.counts.items()))
        result.violations += [Violation("verb", "no answer", t) for t in operator.unanswered]
        result.violations += _history(running, facts)
        _count(running, injector, facts, result)
        (folder / "faults.log").write_text("\n".join(map(str, injector.log)) + "\n")
        facts.save(folder)
    result.violations += check.check(facts)
    if injector.disagreed:
        text = f"{injector.disagreed[0]}: the run says nothing, put another etcd on PATH"
        result.violations = [Violation("etcd", "members", text)]
    if result.violations:
        lines = (
            line
            for violation in result.violations
            for line in (str(violation), *violation.evidence)
        )
        (folder / "violations.txt").write_text("\n".join(lines) + "\n")
    elif not options.keep:
        shutil.rmtree(folder)
    return result


def _make_trouble(
    running: ChaosSetting,
    injector: Injector,
    operator: ChaosOperator,
    options: Options,
    result: ChaosResult,
    say: Callable[[str], None],
) -> None:
    started = time.monotonic()
    stopping = threading.Event()
    threads = [
        threading.Thread(target=running.generator.run, name="generator"),
        threading.Thread(target=injector.run, args=(stopping,), name="faults"),
    ]
    if options.verb_every:
        asks = threading.Thread(target=operator.run, args=(stopping,), name="operator")
        threads.append(asks)
    for thread in threads:
        thread.daemon = True
        thread.start()
    while (left := options.seconds - (time.monotonic() - started)) > 0:
        time.sleep(min(left, 30.0))
        say(
            f"{time.monotonic() - started:4.0f} s: {running.generator.counts.total()} operations, {len(injector.log)} faults"
        )
    running.generator.stopping.set()
    stopping.set()
    for thread in threads:
        thread.join(180)
    result.violations += [
        Violation("process", text.partition(" ")[0], text) for text in injector.died
    ]
    result.violations += [
        Violation("takeover", "leader", str(late)) for late in injector.takeovers if late.late
    ]
    running.generator.finish()
    say("faults are lifted, waiting for quiet")
    lifted = time.monotonic()
    if unquiet := _await_quiet(running, options.quiet_within):
        text = f"not quiet within {options.quiet_within:g} s: {len(unquiet)}, such as {unquiet[:8]}"
        result.violations.append(Violation("quiet", "everything", text))
    result.settled = time.monotonic() - lifted
    result.took = time.monotonic() - started


def _await_quiet(running: ChaosSetting, seconds: float) -> list[str]:
    """What is still under way when the time is over; twice nothing in a row is quiet."""
    end = time.monotonic() + seconds
    still = 0
    while True:
        running.generator.answer()
        unquiet = running.generator.unsettled() + _under_way(running)
        still = still + 1 if not unquiet else 0
        if still >= 4 or time.monotonic() > end:
            return unquiet
        time.sleep(0.5)


def _under_way(running: ChaosSetting) -> list[str]:
    folders = ("/jobs/all/", "/esi-worker/job_state/", "/esi-worker/orchestrator/runs/")
    return [key for folder in folders for key in running.client.keys(folder)]


def _collect(running: ChaosSetting) -> Facts:
    """The facts, once the recorder has seen everything."""
    heat.await_idle(running.heat)
    end = running.client.put("/chaos/end", "now")
    running.recorder.await_revision(end)
    return Facts(
        list(running.recorder.events),
        heat.operations(running.heat),
        heat.standing(running.heat),
        list(running.recorder.restores),
    )


def _history(running: ChaosSetting, facts: Facts) -> list[Violation]:
    """What the historian has not as etcd had it, once it has the end."""
    end, faults = (
        time.monotonic() + 60.0,
        [("history", "end", "the historian never got to the end")],
    )
    while time.monotonic() < end and faults:
        written = history.read(running.database)
        faults = list(history.differences(facts, written))
        time.sleep(0.5)
    return [Violation(*fault) for fault in faults]


def _count(running: ChaosSetting, injector: Injector, facts: Facts, result: ChaosResult) -> None:
    result.operations = dict(sorted(running.generator.counts.items()))
    result.faults = dict(sorted(injector.counts().items()))
    result.heat = check.kinds(facts)
    result.requests = {**dict(sorted(running.heat.calls.items())), "refused": running.mood.refused}
    result.requests["answered by something else"] = running.mood.answered_oddly
    result.resources = sum(r.there for r in running.generator.resources.values())
    listed = check.latencies(facts)
    links = [link for member in running.members for link in member.all_links()]
    takeovers = sorted(takeover.seconds for takeover in injector.takeovers)
    result.numbers = {
        "events in etcd": len(facts.events),
        "versions reported": len(listed),
        "deletions asked again of Heat": check.repeated_deletes(facts),
        "answers lost by the proxy": sum(link.lost_answers for link in links),
        "times of leading": sum(map(_begins_to_lead, facts.events)),
        "gaps of the historian": len(history.read(running.database).gaps),
        "restores of etcd": len(facts.restores),
        "measured takeovers": len(takeovers),
        **{f"takeover p{p} s": round(_percentile(takeovers, p), 2) for p in (50, 100)},
        "retries": sum(
            e.value is not None and "/orchestrator/runs/" in e.key and '"retry"' in e.value
            for e in facts.events
        ),
        **{f"latency p{p} s": round(_percentile(listed, p), 2) for p in (50, 90, 99, 100)},
    }


def _begins_to_lead(event: ObservedEvent) -> bool:
    leader = event.key.endswith("/orchestrator/leader") and event.value is not None
    return leader and not event.restored and event.created == event.revision


def _percentile(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] if ordered else 0.0
