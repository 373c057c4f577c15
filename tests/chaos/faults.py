"""The fault injector: one fault after the other at random, some of them side by side. Every one is logged with its time.

Clock steps are not among them: they need privileges that a container does not give, and would move the clock
of everything else on the machine.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.clients.queue import QUEUES
from redis import Redis
from redis.exceptions import RedisError

from tests.faults.poison import FOREIGN, raw

from .cluster import Cluster, EtcdMember
from .proxy import Link, Mode
from .setting import HEAT_TIMEOUT, LEASE, ChaosProcess, ChaosSetting

AT_ONCE = 3
"""Faults that may last at the same time."""
COMPACT_EVERY = 1.0
"""Seconds between two compactions of etcd, up to where our own recorder has got."""
PROFILES = ("all", "etcd")
ELECTION = 2.0
"""Seconds that etcd may take to find a leader among its members."""


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault, as it was."""

    at: float
    kind: str
    what: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.at:.3f} {self.kind}: {self.what}, {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Takeover:
    """The leading bridge was killed, and a member of etcd lost in the same moment: how long nobody led."""

    fault: str
    seconds: float
    allowed: float

    @property
    def late(self) -> bool:
        return self.seconds > self.allowed

    def __str__(self) -> str:
        return f"took {self.seconds:.2f} s where {self.allowed:.1f} s are allowed: {self.fault}"


@dataclass(slots=True)
class Injector:
    """Seeded choice of what happens next; how long everything takes is up to the machine."""

    setting: ChaosSetting
    seed: int
    every: float
    profile: str = "all"
    takeovers: list[Takeover] = field(default_factory=list)
    log: list[Injected] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    disagreed: list[str] = field(default_factory=list)
    """When etcd's own members had different data: what follows says nothing of the orchestrator."""
    """Processes that ended though nobody killed them."""
    _random: random.Random = field(init=False)
    _running: list[threading.Thread] = field(default_factory=list)
    _lifted: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._random = random.Random(f"faults {self.seed}")

    def counts(self) -> Counter[str]:
        return Counter(fault.kind for fault in self.log)

    def run(self, stopping: threading.Event) -> None:
        """Until told to stop; then everything is lifted."""
        faults = self._faults()
        at_once = AT_ONCE if self.profile == "all" else 1
        compacted = time.monotonic()
        due = time.monotonic() + self._random.uniform(0.3, 1.0) * self.every
        while not stopping.is_set():
            self._look_for_dead()
            if time.monotonic() - compacted > COMPACT_EVERY:
                self.setting.client.compact(self.setting.recorder.revision)
                compacted = time.monotonic()
            self._running = [thread for thread in self._running if thread.is_alive()]
            if time.monotonic() >= due and len(self._running) < at_once:
                due = time.monotonic() + self._random.uniform(0.3, 1.7) * self.every
                fault = self._random.choices(list(faults), list(faults.values()))[0]
                own = random.Random(self._random.random())
                thread = threading.Thread(
                    target=fault, args=(own,), name=fault.__name__, daemon=True
                )
                self._running.append(thread)
                thread.start()
            stopping.wait(0.1)
        self._lift()

    def _faults(self) -> dict[Callable[[random.Random], None], int]:
        """What may happen, and how often."""
        if self.profile == "etcd":
            return {self._take_over: 1}
        return {
            self._kill_bridge: 4,
            self._stop_bridge: 3,
            self._pause_leader: 4,
            self._kill_worker: 5,
            self._stop_worker: 2,
            self._pause_worker: 4,
            self._pause_worker_talking_to_heat: 3,
            self._flush_redis: 3,
            self._restart_redis: 3,
            self._pause_redis: 2,
            self._poison_redis: 3,
            self._restart_etcd: 3,
            self._compact_while_bridges_are_down: 3,
            self._compact_while_leader_is_paused: 2,
            self._heat_link: 8,
            self._heat_reset: 2,
            self._heat_refuses: 6,
            self._odd_answers: 5,
            self._somebody_else: 10,
            self._bridge_etcd_link: 4,
            self._worker_etcd_link: 3,
            self._lose_member: 8,
            self._restore: 1,
        }

    def _lift(self) -> None:
        """End every fault, and start what is down."""
        self._lifted.set()
        for thread in self._running:
            thread.join(60)
        self.setting.mood.bad = self.setting.mood.odd = 0.0
        heat = self.setting.heat
        while asleep := [s for s in heat.live().values() if s.action == "SUSPEND"]:
            # One that was suspended a moment ago cannot be resumed before that has ended.
            for stack in asleep:
                heat.somebody_else("resume", stack.tenant, stack.name)
            time.sleep(0.05)
        for member in self.setting.members:
            for link in member.all_links():
                link.set(Mode.OPEN)
            if not member.process.alive:
                member.start()

    def _look_for_dead(self) -> None:
        for member in self.setting.members:
            if member.busy.acquire(blocking=False):
                try:
                    if not member.down and not member.process.alive:
                        self.died.append(
                            f"{member.name} ended with {member.process.returncode}:\n{member.process.log_tail(15)}"
                        )
                        member.start()
                finally:
                    member.busy.release()

    # Helpers ------------------------------------------------------------------------------------------

    def _note(self, kind: str, what: str, seconds: float = 0.0) -> None:
        self.log.append(Injected(time.time(), kind, what, seconds))

    def _last(self, seconds: float) -> None:
        """For so long, or until everything is lifted."""
        self._lifted.wait(seconds)

    @staticmethod
    def _pick(own: random.Random, members: list[ChaosProcess]) -> ChaosProcess | None:
        """One that no other fault is at work on, its lock taken."""
        for member in own.sample(members, len(members)):
            if member.busy.acquire(blocking=False):
                return member
        return None

    # Processes ----------------------------------------------------------------------------------------

    def _down(
        self,
        own: random.Random,
        members: list[ChaosProcess],
        kind: str,
        end: Callable[[ChaosProcess], None],
    ) -> None:
        if member := self._pick(own, members):
            try:
                seconds = own.uniform(0.3, 4.0)
                self._note(kind, member.name, seconds)
                end(member)
                self._last(seconds)
                member.start()
            finally:
                member.busy.release()

    def _kill_bridge(self, own: random.Random) -> None:
        self._down(own, self.setting.bridges, "bridge killed", ChaosProcess.kill)

    def _stop_bridge(self, own: random.Random) -> None:
        self._down(own, self.setting.bridges, "bridge terminated", ChaosProcess.stop)

    def _kill_worker(self, own: random.Random) -> None:
        self._down(own, self.setting.workers, "worker killed", ChaosProcess.kill)

    def _stop_worker(self, own: random.Random) -> None:
        self._down(own, self.setting.workers, "worker terminated", ChaosProcess.stop)

    def _paused(self, member: ChaosProcess, kind: str, seconds: float) -> None:
        self._note(kind, member.name, seconds)
        member.pause()
        self._last(seconds)
        member.resume()

    def _pause_leader(self, own: random.Random) -> None:
        leader = self.setting.leader()
        if leader and leader.busy.acquire(blocking=False):
            try:
                self._paused(leader, "leader paused", own.uniform(LEASE + 0.5, LEASE + 5))
            finally:
                leader.busy.release()

    def _pause_worker(self, own: random.Random) -> None:
        if worker := self._pick(own, self.setting.workers):
            try:
                self._paused(worker, "worker paused", own.uniform(0.5, LEASE + 5))
            finally:
                worker.busy.release()

    def _pause_worker_talking_to_heat(self, own: random.Random) -> None:
        """Answers of Heat are slow, so that the pause falls between a question and what follows from its answer."""
        if worker := self._pick(own, self.setting.workers):
            try:
                worker.links["heat"][0].set(Mode.DELAY, own.uniform(0.2, 1.0))
                self._last(own.uniform(0.5, 2.0))
                self._paused(
                    worker, "worker paused in a request", own.uniform(LEASE + 0.5, LEASE + 5)
                )
            finally:
                worker.links["heat"][0].set(Mode.OPEN)
                worker.busy.release()

    # Redis --------------------------------------------------------------------------------------------

    def _flush_redis(self, own: random.Random) -> None:
        self._note("Redis flushed", "redis")
        self.setting.flush_redis()

    def _restart_redis(self, own: random.Random) -> None:
        with self.setting.redis_busy:
            seconds = own.uniform(0.1, 4.0)
            self._note("Redis lost with its data", "redis", seconds)
            self.setting.redis.kill()
            self._last(seconds)
            self.setting.redis.restart()

    def _pause_redis(self, own: random.Random) -> None:
        with self.setting.redis_busy:
            seconds = own.uniform(
                0.5, 9.0
            )  # a send is tried for eight: some are resumed in the middle of it
            self._note("Redis paused", "redis", seconds)
            process = self.setting.redis.process.pid
            os.kill(process, signal.SIGSTOP)
            try:
                self._last(seconds)
            finally:
                os.kill(process, signal.SIGCONT)

    def _poison_redis(self, own: random.Random) -> None:
        """What is no message, into every queue: no worker ends by it (:meth:`_look_for_dead`)."""
        poison = own.choice(list(FOREIGN))
        self._note("poison in the queues", poison)
        with (
            contextlib.suppress(RedisError),
            Redis(port=self.setting.redis.port, socket_timeout=2) as client,
        ):
            for queue in QUEUES:
                client.lpush(queue, raw(FOREIGN[poison]))

    # etcd ---------------------------------------------------------------------------------------------

    def _restart_etcd(self, own: random.Random) -> None:
        with self.setting.etcd_busy:
            seconds = own.uniform(0.1, 4.0)
            self._note("etcd killed", "all members", seconds)
            self.setting.etcd.kill()
            self._last(seconds)
            for member in self.setting.etcd.members:
                member.running.start()
            self.setting.etcd.wait()
            self.compare_members()

    def compare_members(self) -> None:
        """Note whether etcd's members have different data."""
        differs = ""
        for _ in range(5):
            # A member that has just come back may have its last changes in memory only.
            if not (differs := self.setting.etcd.disagreement()):
                return
            time.sleep(0.3)
        self.disagreed.append(differs)

    def _lose_member(self, own: random.Random) -> None:
        with self.setting.etcd_busy:
            member = own.choice(self.setting.etcd.members)
            how = own.choice(("killed", "frozen", "cut off"))
            seconds = own.uniform(0.5, LEASE + 6)
            self._note(f"etcd member {how}", member.name, seconds)
            lose(self.setting.etcd, member, how)
            self._last(seconds)
            regain(self.setting.etcd, member, how)
            self.compare_members()

    def _take_over(self, own: random.Random) -> None:
        """A member of etcd is lost, and in the same moment the leading bridge is killed."""
        leader, setting = self._undisturbed_leader(), self.setting
        if leader is None:
            return
        with setting.etcd_busy:
            member, how = (
                own.choice(setting.etcd.members),
                own.choice(("killed", "frozen", "cut off")),
            )
            led = setting.etcd.leader() is member
            what = f"{member.name}{', which led,' if led else ''} was {how}, {leader.name} killed"
            self._note(f"etcd member {how}, leading bridge killed", what)
            seen = len(setting.recorder.events)
            lose(setting.etcd, member, how)
            leader.kill()
            seconds = self._until_led(seen)
            # When etcd itself changes its leader, every lease begins anew.
            allowed = LEASE + 1 + (ELECTION + LEASE if led else 0)
            self.takeovers.append(Takeover(what, seconds, allowed))
            self._last(own.uniform(0.5, 3.0))
            regain(setting.etcd, member, how)
            leader.start()

    def _undisturbed_leader(self) -> ChaosProcess | None:
        """The leading bridge, once the others stand by."""
        leader = self.setting.leader()
        if leader is None or not all(bridge.process.alive for bridge in self.setting.bridges):
            return None
        others = [bridge for bridge in self.setting.bridges if bridge is not leader]
        for bridge in others:
            bridge.process.wait_until(lambda bridge=bridge: bridge.stands_by(), 60, "standing by")  # type: ignore[misc]
        return leader

    def _until_led(self, seen: int) -> float:
        """Seconds until a leader's key is written that is not among the first *seen* events."""
        started, events = time.monotonic(), self.setting.recorder.events
        while time.monotonic() - started < 60:
            new = events[seen:]
            if any(
                event.key.endswith("/orchestrator/leader") and event.created == event.revision
                for event in new
            ):
                break
            time.sleep(0.02)
        return time.monotonic() - started

    def _restore(self, own: random.Random) -> None:
        """etcd goes back to a backup of a moment ago, under everything that runs; then the API server writes again."""
        setting = self.setting
        with setting.etcd_busy:
            backup = setting.folder / "backup.db"
            self.compare_members()
            revision = setting.etcd.save(backup)
            self._last(own.uniform(0.5, 5.0))
            with setting.generator.at_rest():
                setting.recorder.await_revision(revision)
                self._note("etcd restored", f"to revision {revision}")
                setting.etcd.kill()
                time.sleep(0.2)  # what it said last is on its way to the recorder
                setting.recorder.restored(revision)
                setting.etcd.restore(backup)
                setting.generator.resync()

    def _compact(self, what: str) -> None:
        """Up to where our own recorder has got."""
        with self.setting.etcd_busy:
            revision = self.setting.recorder.revision
            self._note("etcd compacted", f"to {revision}, {what}")
            self.setting.client.compact(revision)

    def _compact_while_bridges_are_down(self, own: random.Random) -> None:
        taken = [bridge for bridge in self.setting.bridges if bridge.busy.acquire(blocking=False)]
        try:
            for bridge in taken:
                bridge.stop() if own.random() < 0.5 else bridge.kill()
            self._last(own.uniform(0.5, 3.0))
            self._compact(f"while {', '.join(bridge.name for bridge in taken)} were down")
            for bridge in taken:
                bridge.start()
        finally:
            for bridge in taken:
                bridge.busy.release()

    def _compact_while_leader_is_paused(self, own: random.Random) -> None:
        leader = self.setting.leader()
        if leader and leader.busy.acquire(blocking=False):
            try:
                seconds = own.uniform(0.5, LEASE + 4)
                self._note("leader paused", leader.name, seconds)
                leader.pause()
                for link in leader.links["etcd"]:
                    link.reset()
                self._last(seconds)
                self._compact(f"while {leader.name} was paused and its connections reset")
            finally:
                leader.resume()
                leader.busy.release()

    # Connections --------------------------------------------------------------------------------------

    def _cut(
        self,
        own: random.Random,
        members: list[ChaosProcess],
        where: str,
        modes: list[Mode],
        longest: float,
    ) -> None:
        links: list[Link] = [link for member in members for link in member.links[where]]
        chosen = links if own.random() < 0.3 else list(own.choice(members).links[where])
        mode, seconds, delay = own.choice(modes), own.uniform(0.3, longest), own.uniform(0.05, 1.5)
        names = ", ".join(link.name for link in chosen)
        self._note(f"{where} connection: {mode.value}", names, seconds)
        for link in chosen:
            link.set(mode, delay)
        self._last(seconds)
        for link in chosen:
            link.set(Mode.OPEN)

    def _heat_link(self, own: random.Random) -> None:
        self._cut(
            own,
            self.setting.workers,
            "heat",
            [Mode.CUT, Mode.HOLD, Mode.DELAY, Mode.DEAF],
            HEAT_TIMEOUT + 3,
        )

    def _heat_reset(self, own: random.Random) -> None:
        self._note("heat connections reset", "all workers, five times")
        for _ in range(5):
            for worker in self.setting.workers:
                worker.links["heat"][0].reset()
            self._last(own.uniform(0.05, 0.4))

    def _heat_refuses(self, own: random.Random) -> None:
        mood, seconds = self.setting.mood, own.uniform(0.5, 6.0)
        where = own.choice(["", *self.setting.generator.tenants])
        bad = own.choice((0.2, 0.5, 1.0))
        self._note(
            "Heat refuses", f"{bad:.0%} of the requests of {where or 'all tenants'}", seconds
        )
        mood.where, mood.bad = where, bad
        self._last(seconds)
        mood.bad = 0.0

    def _odd_answers(self, own: random.Random) -> None:
        mood, seconds = self.setting.mood, own.uniform(0.5, 6.0)
        where = own.choice(["", *self.setting.generator.tenants])
        chance = own.choice((0.2, 0.5, 1.0))
        self._note(
            "something else answers for Heat",
            f"{chance:.0%} of the requests of {where or 'all tenants'}",
            seconds,
        )
        mood.odd_where, mood.odd = where, chance
        self._last(seconds)
        mood.odd = 0.0

    def _somebody_else(self, own: random.Random) -> None:
        """Somebody else is at work on our stacks, at times on one that is in progress."""
        heat, generator = self.setting.heat, self.setting.generator
        for _ in range(own.randint(1, 4)):
            stacks = [
                stack
                for stack in list(heat.stacks.values())
                if not stack.gone and stack.action != "DELETE"
            ]
            busy = [stack for stack in stacks if stack.in_progress]
            if not stacks:
                return
            stack = own.choice(busy if busy and own.random() < 0.5 else stacks)
            method = own.choice(("update", "update", "delete", "suspend", "check"))
            generator.touched.add(stack.name.replace("_", ":", 1))
            if heat.somebody_else(method, stack.tenant, stack.name, {"value": "somebody else's"}):
                self._note(f"somebody else's {method}", f"{stack.tenant}/{stack.name}")
            self._last(own.uniform(0.0, 1.0))
            if method == "suspend" and own.random() < 0.5:
                self._last(own.uniform(0.0, 3.0))
                heat.somebody_else("resume", stack.tenant, stack.name)

    def _bridge_etcd_link(self, own: random.Random) -> None:
        self._cut(own, self.setting.bridges, "etcd", [Mode.CUT, Mode.HOLD, Mode.DELAY], LEASE + 4)

    def _worker_etcd_link(self, own: random.Random) -> None:
        self._cut(
            own,
            self.setting.workers,
            "etcd",
            [Mode.CUT, Mode.HOLD, Mode.DELAY, Mode.DEAF],
            LEASE + 4,
        )


def lose(etcd: Cluster, member: EtcdMember, how: str) -> None:
    """A member is killed, frozen, or cut off from the others."""
    match how:
        case "killed":
            member.kill()
        case "frozen":
            member.freeze()
        case _:
            etcd.cut_off(member)


def regain(etcd: Cluster, member: EtcdMember, how: str) -> None:
    """It is as before, and takes part again."""
    match how:
        case "killed":
            member.running.start()
        case "frozen":
            member.thaw()
        case _:
            etcd.heal()
    etcd.wait()
