"""A night on call: many resources in twenty tenants, of which some failed, two are stuck, and one tenant is throttled.

It is written as bridge and workers write it. What is wrong is the same however many resources there are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from orchestrator.core import records
from orchestrator.core.jobs import Action, Job, Param
from orchestrator.core.keys import Keys
from orchestrator.core.records import (
    BridgeAlive,
    DelayKind,
    Failed,
    Handled,
    Held,
    Run,
    Step,
    TenantDelay,
    WorkerAlive,
)
from orchestrator.core.refs import JobId, Json, Ref

TENANTS = 20
KINDS = ("network", "subnet", "port", "vnf_instance", "router")
MINUTE, HOUR = 60.0, 3600.0

QUOTA = "Heat refused the request (403): Quota exceeded for resources: ['port'] in project {}"
IMAGE = "The stack failed (CREATE_FAILED): Image cirros-0.4 could not be found."
VLANS = "The stack failed (CREATE_FAILED): No more VLANs in physnet1."


@dataclass(frozen=True, slots=True)
class Night:
    """Which keys there are, at a time."""

    keys: Keys
    now: float
    """Seconds since the epoch."""
    number: int = 500
    """Of all resources."""

    def written(self) -> dict[str, str]:
        """Every key and its value."""
        found: dict[str, str] = {}
        for place in range(self.number - 100):
            found |= self._complete(place)
        found |= self._failed()
        found |= self._stuck()
        found |= self._throttled()
        found |= self._held()
        found |= self._processes()
        return found

    def _at(self, folder: str, ref: Ref) -> str:
        return self.keys.below(folder, ref)

    def _config(self, ref: Ref, tenant: str) -> dict[str, str]:
        body = json.dumps({"id": ref.id, "tenant_id": tenant, "name": ref.id})
        value = {"body": body, "version": 1, "marked_for_deletion": False}
        return {self._at(self.keys.config, ref): json.dumps(value)}

    def _handled(self, ref: Ref, tenant: str, job: str, since: float) -> dict[str, str]:
        handled = Handled(
            1,
            0,
            JobId(job),
            ref.type,
            tenant,
            body={"id": ref.id, "tenant_id": tenant, "name": ref.id},
            since=since,
        )
        return {self._at(self.keys.handled, ref): handled.to_json()}

    def _reported(self, ref: Ref, tenant: str, error: str = "") -> dict[str, str]:
        status = "CREATE_FAILED" if error else "CREATE_COMPLETE"
        stack = records.StackRecord.of(ref, tenant, status, [], error)
        state = records.StateRecord.of(Action.CREATE, status, [], 1, error)
        return {
            self._at(self.keys.stacks, ref): stack.to_json(),
            self._at(self.keys.state, ref): state.to_json(),
        }

    def _complete(self, place: int) -> dict[str, str]:
        ref = Ref(KINDS[place % len(KINDS)], f"r{place:05}")
        tenant = f"tenant-{place % TENANTS:02}"
        job, since = f"create:heat_worker:{ref}:1:00000", self.now - 24 * HOUR
        return {
            **self._config(ref, tenant),
            **self._reported(ref, tenant),
            **self._handled(ref, tenant, job, since),
        }

    def _failed(self) -> dict[str, str]:
        """Thirty for three causes: a quota, an image, and a network on which nine others stand."""
        found: dict[str, str] = {}
        for place in range(12):
            ref = Ref("port", f"quota-{place:02}")
            found |= self._fails(ref, "tenant-03", QUOTA.format("tenant-03"), 3 * HOUR)
        for place in range(8):
            found |= self._fails(
                Ref("vnf_instance", f"image-{place:02}"), f"tenant-{place:02}", IMAGE
            )
        root = Ref("network", "backbone")
        found |= self._fails(root, "tenant-11", VLANS, 30 * MINUTE)
        for place in range(9):
            found |= self._fails(Ref("subnet", f"on-{place:02}"), "tenant-11", VLANS, root=root)
        return found

    def _fails(
        self, ref: Ref, tenant: str, error: str, ago: float = HOUR, root: Ref | None = None
    ) -> dict[str, str]:
        failed = Failed(1, Action.CREATE, error, root or ref, since=self.now - ago)
        if root is not None:
            failed = Failed(
                1, Action.CREATE, error, root, through=root, inherited=True, since=self.now - ago
            )
        return {
            **self._config(ref, tenant),
            **self._reported(ref, tenant, failed.error),
            self._at(self.keys.failed, ref): failed.to_json(),
        }

    def _stuck(self) -> dict[str, str]:
        """Two that Heat does not end."""
        found: dict[str, str] = {}
        for place, ago in enumerate((62 * MINUTE, 64 * MINUTE)):
            ref, tenant = Ref("router", f"stuck-{place}"), "tenant-05"
            run = Run(Step.IN_HEAT, "uuid", since=self.now - ago, asked_at=self.now - ago)
            found |= self._config(ref, tenant)
            found |= self._job(ref, tenant, run, since=self.now - ago)
        return found

    def _job(
        self, ref: Ref, tenant: str, run: Run | None, *after: JobId, since: float
    ) -> dict[str, str]:
        job = Job(
            id=JobId(f"create:heat_worker:{ref}:1:00000"),
            ref=ref,
            action=Action.CREATE,
            version=1,
            params=(Param("name", "x"),),
            dependency=after,
            body={"id": ref.id, "tenant_id": tenant, "name": ref.id},
        )
        found = {
            self.keys.job(job.id): job.to_json(),
            **self._handled(ref, tenant, job.id, since),
        }
        if run is not None:
            found[self.keys.run(tenant, job.id)] = run.to_json()
        return found

    def _throttled(self) -> dict[str, str]:
        """Sixty jobs of one tenant: four in Heat, sixteen that no worker has taken, forty that wait for one of
        them."""
        found: dict[str, str] = {}
        tenant, since = "tenant-07", self.now - 5 * MINUTE
        first = Ref("network", "busy-00")
        before = JobId(f"create:heat_worker:{first}:1:00000")
        for place in range(60):
            kind = "network" if place < 20 else "port"
            ref = Ref(kind, f"busy-{place:02}")
            run = None
            if place < 4:
                run = Run(Step.IN_HEAT, "uuid", since=since, asked_at=since, timeout_mins=30)
            after = (before,) if place >= 20 else ()
            found |= self._config(ref, tenant)
            found |= self._job(ref, tenant, run, *after, since=since)
        return found

    def _held(self) -> dict[str, str]:
        """Eight that refer to what nobody has written, and a key that is no config."""
        found = {f"{self.keys.config}v2.0/ports/broken": "{"}
        missing = Ref("network", "nowhere")
        for place in range(8):
            ref = Ref("port", f"held-{place}")
            why = f"refers to {missing}, which is not in the configuration (yet)"
            held = Held(1, missing, why, since=self.now - 2 * HOUR)
            found |= self._config(ref, "tenant-09")
            found[self._at(self.keys.held, ref)] = held.to_json()
        return found

    def _processes(self) -> dict[str, str]:
        """Two bridges and three workers, and what the leader tells of delays."""
        keys, now = self.keys, self.now
        delays = (
            TenantDelay("tenant-07", DelayKind.LIMIT.value, now - 5 * MINUTE, 16, 4),
            TenantDelay(
                "tenant-13",
                DelayKind.CIRCUIT.value,
                now - 10 * MINUTE,
                7,
                next_try=now + 12,
                reason="Heat answers 503: Service Unavailable",
            ),
        )
        leader: Json = {"host": "control-1", "pid": 4711, "id": "a1"}
        found = {keys.leader: json.dumps(leader)}
        for name, host, told in (("a1", "control-1", delays), ("b2", "control-2", ())):
            bridge = BridgeAlive(name, host, 4711, "0.1.0", now - 9 * HOUR, 0.2, told)
            found[keys.bridge(name)] = bridge.to_json()
        for place in range(3):
            worker = WorkerAlive(
                f"worker@node-{place}",
                f"node-{place}",
                812,
                8,
                "0.1.0",
                now - HOUR,
                now - 4 - place,
            )
            found[keys.worker(worker.name)] = worker.to_json()
        return found
