"""An operator at night: pauses, cancels, releases and forgets at random, by the real commands, and kills the historian.

It has a random generator of its own, so that the generator and the faults choose the same with it and without it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.sandbox import servers

from .ledger import JOBS, OWN
from .setting import SETTINGS, ChaosProcess, ChaosSetting

PATIENCE = 120.0
"""Seconds within which a request of an operator is answered, whatever happens meanwhile."""
_COMMAND = 60.0
_FAILS_WITHIN = 20.0
"""Seconds within which a version fails because of a stack that is there, most of the time."""


@dataclass(slots=True)
class ChaosOperator:
    """Seeded choice of what a person asks for next. *every*: seconds between two verbs, on average."""

    setting: ChaosSetting
    seed: int
    every: float
    counts: Counter[str] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    """Requests that nobody has answered in time."""
    _random: random.Random = field(init=False)
    _lifted: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._random = random.Random(f"operator {self.seed}")

    def run(self, stopping: threading.Event) -> None:
        """Until told to stop; then all pauses end, and the historian runs."""
        verbs: dict[Callable[[], None], int] = {
            self._pause: 4,
            self._cancel: 6,
            self._leave: 5,
            self._adopt: 3,
            self._kill_historian: 4,
        }
        while not stopping.wait(self._random.uniform(0.3, 1.7) * self.every):
            self._random.choices(list(verbs), list(verbs.values()))[0]()
        self.lift()

    def lift(self) -> None:
        end = time.monotonic() + PATIENCE
        while self.setting.client.get(f"{OWN}pause") is not None and time.monotonic() < end:
            self._command("resume", "--all")
            time.sleep(0.2)
        if not self.setting.historian.process.alive:
            self.setting.historian.start()

    # Verbs ----------------------------------------------------------------------------------------

    def _pause(self) -> None:
        """Everything, a tenant or a type for some seconds; half of the time it ends by itself."""
        scope = self._random.choice(
            [
                ["--all"],
                ["--tenant", self._random.choice(self.setting.generator.tenants)],
                [self._random.choice(["node", "link"])],
            ]
        )
        seconds = self._random.uniform(1.0, 6.0)
        by_itself = self._random.random() < 0.5
        until = ["--until", f"{round(seconds) + 1}s"] if by_itself else []
        if self._command("pause", *scope, *until, "--timeout", "5") in (0, 3):
            self.counts[f"pause {scope[0]}"] += 1
            time.sleep(seconds)
        if not by_itself:
            self._command("resume", *scope)

    def _cancel(self) -> None:
        """A job that waits, or that Heat works on."""
        jobs = self.setting.client.keys(JOBS)
        if not jobs:
            return
        kind, name = self._random.choice(jobs).split(":")[2:4]
        # It has to be as it is wanted in the end: its next version is written after the faults.
        self.setting.generator.touched.add(f"{kind}:{name}")
        self._command("cancel", kind, name, "--yes", "--timeout", "20")
        self.counts["cancel"] += 1

    def _leave(self) -> None:
        """A resource that no other one is built from; nothing writes its config meanwhile."""
        generator = self.setting.generator
        with generator.at_rest():
            used = {p for r in generator.resources.values() if r.there for p in r.parents()}
            alone = [r for r in generator.resources.values() if r.there and r.ref not in used]
            if not alone:
                return
            resource = self._random.choice(alone)
            verb = self._random.choice(["release", "forget"])
            before = set(self.setting.client.keys(f"{OWN}audit/"))
            kind, _, name = resource.ref.partition(":")
            words = ["--force"] if verb == "forget" else []
            self._command(verb, kind, name, "--yes", "--timeout", "30", *words)
            self._await_answers(before, resource.ref)
            if self.setting.client.get(resource.key) is None:
                generator.was_left(resource)
            self.counts[verb] += 1

    def _adopt(self) -> None:
        """A stack of somebody else stands under the resource's name, so its version fails; then it is adopted."""
        generator, heat = self.setting.generator, self.setting.heat
        with generator.at_rest():
            chosen = generator.made_by_somebody_else(self._random)
            if chosen is None:
                return
            resource, tenant = chosen
            stack = resource.ref.replace(":", "_")
            generator.touched.add(resource.ref)
            if not heat.somebody_else_creates(tenant, stack, {"value": "somebody else's"}):
                return
            generator.create_alone(resource, tenant)
            end = time.monotonic() + _FAILS_WITHIN
            while resource.reported[0] != resource.version and time.monotonic() < end:
                time.sleep(0.1)
            before = set(self.setting.client.keys(f"{OWN}audit/"))
            told = self._command("adopt", "node", resource.name, stack, "--yes", "--timeout", "30")
            self._await_answers(before, resource.ref)
            self.counts[f"adopt, which answers {told}"] += 1

    def _await_answers(self, before: set[str], ref: str) -> None:
        """Wait until each new record of a verb has an outcome."""
        end = time.monotonic() + PATIENCE
        while True:
            new = set(self.setting.client.keys(f"{OWN}audit/")) - before
            told = [self.setting.client.get(key) for key in new]
            if all(json.loads(value).get("outcome") for value in told if value):
                return
            if time.monotonic() > end:
                self.unanswered += [f"{ref}: {value}" for value in told if value]
                return
            time.sleep(0.1)

    def _command(self, *words: str) -> int:
        """Run ``orchestrator`` with these words; its exit code."""
        environment = {
            **os.environ,
            **SETTINGS,
            "PYTHONPATH": str(servers.PACKAGE_ROOT),
            "ORCHESTRATOR_ETCD_ENDPOINTS": ",".join(self.setting.etcd.endpoints),
            "ORCHESTRATOR_SCHEMAS": str(self.setting.folder / "schemas.json"),
            **self.setting.heat.environment(),
        }
        start = "from orchestrator.cli import main; main()"
        who = ["--as", "chaos", "--why", "a test"]
        done = subprocess.run(
            [sys.executable, "-c", start, *words, *who],
            env=environment,
            cwd=self.setting.folder,
            capture_output=True,
            text=True,
            timeout=_COMMAND + PATIENCE,
            check=False,
        )
        with (self.setting.folder / "operator.log").open("a") as log:
            said = (done.stdout + done.stderr).strip()
            log.write(f"{time.time():.3f} {' '.join(words)}: {done.returncode}\n{said}\n")
        return done.returncode

    # The historian --------------------------------------------------------------------------------

    def _kill_historian(self) -> None:
        """kill -9, or a stop, for a while: what is compacted meanwhile is a gap."""
        historian = self.setting.historian
        end = self._random.choice((ChaosProcess.kill, ChaosProcess.kill, ChaosProcess.stop))
        with historian.busy:
            end(historian)
            time.sleep(self._random.uniform(0.0, 3.0))
            historian.start()
        self.counts["historian ended"] += 1
