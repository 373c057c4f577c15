"""Plays the API server: creates, changes and deletes resources at random, and removes configs whose deletion is reported."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .etcd import Client
from .facts import ObservedEvent
from .ledger import OWN, PARENT_FIELDS, STATE, TYPES, ref_of
from .templates import template

UNVERSIONED_EVERY = 4
"""Every so many-th id is unversioned."""
_PATHS = {kind: path for path, kind in TYPES.items()}


@dataclass(slots=True)
class Resource:
    """What the API server knows of one id. *index* orders ids: a parent's is lower, so there is never a circle.

    *versioned*: whether each write has the next version. Upstream Gohan writes 1 at the creation and 0 after that
    for types without ``state_versioning``. *content* counts the bodies of a *life*.
    """

    ref: str
    index: int
    versioned: bool = True
    version: int = 0
    life: int = 0
    content: int = 0
    marked: bool = False
    there: bool = False
    body: dict[str, Any] = field(default_factory=dict)
    reported: tuple[int, str] = (0, "")
    doubtful: bool = False
    """Whether the report says that a person has to decide about its stack."""
    built: str = ""
    """The value that the last report tells; empty when it tells none."""

    @property
    def settled(self) -> bool:
        """Whether the last report is of what is there."""
        version, state = self.reported
        if self.marked or version != self.version or not state:
            return False
        return state.endswith("_FAILED") or self.built == self.body["value"]

    @property
    def wanted(self) -> bool:
        return self.there and not self.marked

    @property
    def key(self) -> str:
        kind, _, name = self.ref.partition(":")
        return f"/config/{_PATHS[kind]}/{name}"

    @property
    def name(self) -> str:
        return self.ref.partition(":")[2]

    def parents(self) -> set[str]:
        return {f"node:{self.body[name]}" for name in PARENT_FIELDS if self.body.get(name)}


class Generator:
    """All writes below ``/config``; one lock around each step, so that the writes of one id are in order."""

    def __init__(
        self, client: Client, seed: int, *, resources: int, tenants: int, rate: float
    ) -> None:
        self._client = client
        self._random = random.Random(f"generator {seed}")
        self._pause = random.Random(f"pauses {seed}")
        self._rate = rate
        self._lock = threading.RLock()
        self._answers: list[tuple[float, str]] = []
        self._answers_lock = threading.Lock()
        self.tenants = [f"t{n}" for n in range(tenants)]
        self.touched: set[str] = set()
        """Resources whose stacks somebody else has changed."""
        self._pushed = 0
        self.counts: Counter[str] = Counter()
        self.stopping = threading.Event()
        links = resources // 5
        nodes = [Resource(f"node:n{n}", n) for n in range(resources - links)]
        self.resources = {
            r.ref: r
            for r in (*nodes, *(Resource(f"link:l{n}", len(nodes) + n) for n in range(links)))
        }
        for resource in self.resources.values():
            resource.versioned = resource.index % UNVERSIONED_EVERY != 0

    # What the API server hears ------------------------------------------------------------------------

    def heard(self, event: ObservedEvent) -> None:
        """Called by the recorder with every event: note reports; answer them later, from our own thread."""
        if (
            not event.key.startswith(STATE)
            or not (ref := ref_of(event.key))
            or ref not in self.resources
        ):
            return
        if event.value is None:
            self.resources[ref].reported, self.resources[ref].built = (0, ""), ""
        else:
            document = json.loads(event.value)
            outputs = json.loads(document["state"].get("heat_outputs") or "[]")
            values = [
                output["output_value"] for output in outputs if output["output_key"] == "value"
            ]
            self.resources[ref].built = values[0] if values else ""
            self.resources[ref].reported = (document["version"], document["state"]["worker_state"])
            self.resources[ref].doubtful = (
                "let us delete it: orchestrator retry" in document["error"]
            )
            with self._answers_lock:
                self._answers.append((time.monotonic() + self._pause.uniform(0.0, 1.0), ref))

    def answer(self) -> None:
        """Remove configs whose deletion is complete; ask again for deletions that failed."""
        now = time.monotonic()
        with self._answers_lock:
            due = [ref for at, ref in self._answers if at <= now]
            self._answers = [(at, ref) for at, ref in self._answers if at > now]
        with self._lock:
            for resource in map(self.resources.__getitem__, dict.fromkeys(due)):
                version, state = resource.reported
                if not resource.there or not resource.marked or version != resource.version:
                    continue
                if state == "DELETE_COMPLETED":
                    self._count(
                        "removal after deletion",
                        lambda resource=resource: self._remove(resource),  # type: ignore[misc]
                    )
                elif state == "DELETE_FAILED" and resource.doubtful:
                    self._count(
                        "deletion decided by a person",
                        lambda resource=resource: self._decide(resource),  # type: ignore[misc]
                    )
                elif state == "DELETE_FAILED":
                    self._count(
                        "deletion asked again",
                        lambda resource=resource: self._mark(resource),  # type: ignore[misc]
                    )

    def _decide(self, resource: Resource) -> None:
        """``orchestrator retry --force``; and look again later whether it was heard."""
        key = resource.key.replace("/config/", f"{OWN}retry/", 1)
        self._client.put(key, '{"force": true}')
        with self._answers_lock:
            self._answers.append((time.monotonic() + 3.0, resource.ref))

    # The run ------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until told to stop."""
        kinds: dict[Callable[[], None], int] = {
            self._create_one: 30,
            self._create_family: 8,
            self._update_one: 25,
            self._update_burst: 6,
            self._rewrite: 6,
            self._rewrite_differently: 4,
            self._move: 4,
            self._change_level: 12,
            self._push_template: 2,
            self._mark_family: 10,
            self._remove_family: 6,
            self._replace: 4,
            self._remove_parent: 2,
        }
        due = time.monotonic()
        while not self.stopping.is_set():
            self.answer()
            if time.monotonic() < due:
                self.stopping.wait(0.05)
                continue
            due = max(due + self._random.expovariate(self._rate), time.monotonic() - 5.0)
            with self._lock:
                self._random.choices(list(kinds), list(kinds.values()))[0]()

    def finish(self) -> None:
        """What would wait for ever gets what it waits for: missing parents come back, or are no longer referred to.

        What somebody else has changed behind the orchestrator's back is written once more, with the next version.
        """
        with self._lock:
            for ref in sorted(self.touched):
                resource = self.resources[ref]
                if resource.wanted:
                    self._count(
                        "update after somebody else",
                        lambda r=resource: self._write(r, r.body),  # type: ignore[misc]
                    )
            for resource in sorted(self.resources.values(), key=lambda r: -r.index):
                missing = (
                    [p for p in resource.parents() if not self.resources[p].wanted]
                    if resource.wanted
                    else []
                )
                if (
                    missing
                    and self._random.random() < 0.5
                    and not any(self.resources[p].there for p in missing)
                ):
                    for parent in missing:
                        self._count("create", lambda r=self.resources[parent]: self._create(r))  # type: ignore[misc]
                elif missing:
                    body = {
                        k: v
                        for k, v in resource.body.items()
                        if f"node:{v}" not in missing or k not in PARENT_FIELDS
                    }
                    self._count("update", lambda r=resource, b=body: self._write(r, b))  # type: ignore[misc]

    def was_left(self, resource: Resource) -> None:
        """An operator has released or forgotten it: the bridge has removed its config."""
        resource.there = resource.marked = False
        resource.reported, resource.built = (0, ""), ""

    def made_by_somebody_else(self, choose: random.Random) -> tuple[Resource, str] | None:
        """A resource that is not there and may be built from nothing, and a tenant for it."""
        absent = [r for r in self.resources.values() if not r.there and r.ref.startswith("node")]
        if not absent:
            return None
        return choose.choice(absent), choose.choice(self.tenants)

    def create_alone(self, resource: Resource, tenant: str) -> None:
        """Create it in a tenant, built from no other resource."""
        body = {"id": resource.name, "tenant_id": tenant, "level": "l0"}
        self._count("create", lambda: self._write(resource, body))

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Nothing is written for as long as the block lasts."""
        with self._lock:
            yield

    def resync(self) -> None:
        """Write everything again, as the API server has to after a restore of etcd."""
        with self._lock:
            for resource in self.resources.values():
                found = self._client.get(resource.key)
                if found is None and not resource.there:
                    continue
                if found is not None and self._is_of_another_life(resource, found):
                    self._client.delete(resource.key)
                    self.counts["removal after a restore"] += 1
                if resource.there:
                    self._count("resync", lambda r=resource: self._put(r))  # type: ignore[misc]

    def _is_of_another_life(self, resource: Resource, found: str) -> bool:
        """Whether etcd has an earlier incarnation: its version may be as high as ours, and its body another."""
        document = json.loads(found)
        if not resource.there:
            return True
        return resource.versioned and bool(
            document["version"] >= resource.version and found != self._value(resource)
        )

    def unsettled(self) -> list[str]:
        """Resources whose newest version is not reported yet, or whose deletion is not over."""
        with self._lock:
            return [r.ref for r in self.resources.values() if r.there and not r.settled]

    # Operations ---------------------------------------------------------------------------------------

    def _create_one(self) -> None:
        """A new id, or one that was used before."""
        if absent := self._some(lambda r: not r.there):
            self._count("create", lambda: self._create(absent))

    def _create_family(self) -> None:
        """A parent and its children, in any order."""
        if not (parent := self._some(lambda r: not r.there and r.ref.startswith("node"))):
            return
        children = [r for r in self.resources.values() if not r.there and r.index > parent.index]
        chosen = self._random.sample(children, min(len(children), self._random.randint(1, 4)))
        tenant = self._random.choice(self.tenants)
        bodies = [
            (parent, self._body(parent, tenant)),
            *((c, self._body(c, tenant, parent)) for c in chosen),
        ]
        self._random.shuffle(bodies)
        for resource, body in bodies:
            self._count("create", lambda r=resource, b=body: self._write(r, b))  # type: ignore[misc]

    def _update_one(self) -> None:
        if resource := self._some(lambda r: r.wanted):
            self._count("update", lambda: self._update(resource))

    def _update_burst(self) -> None:
        """Several versions in quick succession."""
        if resource := self._some(lambda r: r.wanted):
            for _ in range(self._random.randint(2, 5)):
                self._count("update", lambda: self._update(resource))
                time.sleep(self._random.choice((0.0, 0.01, 0.2)))

    def _rewrite(self) -> None:
        """The same version again, as a resync does."""
        if resource := self._some(lambda r: r.there):
            self._count("rewrite", lambda: self._put(resource))

    def _rewrite_differently(self) -> None:
        """The same version with another body: not what an API server should do, and a change all the same."""
        if resource := self._some(lambda r: r.wanted):
            self._count(
                "another body with one version",
                lambda: self._write(resource, resource.body, resource.version),
            )

    def _move(self) -> None:
        """The next version, in another tenant."""
        if (resource := self._some(lambda r: r.wanted)) and len(self.tenants) > 1:
            tenant = self._random.choice(
                [t for t in self.tenants if t != resource.body["tenant_id"]]
            )
            self._count(
                "move to another tenant",
                lambda: self._write(resource, {**resource.body, "tenant_id": tenant}),
            )

    def _change_level(self) -> None:
        """An output changes that children are built from, now and then; or the same value is given again."""
        used = {parent for r in self.resources.values() if r.wanted for parent in r.parents()}
        if resource := self._some(lambda r: r.wanted and r.ref in used):
            level = self._random.choice(("l0", "l1", "l2"))
            self._count(
                "change of an output",
                lambda: self._write(resource, {**resource.body, "level": level}),
            )

    def _push_template(self) -> None:
        """Another revision of the template of nodes: it rebuilds nobody."""

        def push() -> None:
            self._pushed += 1
            body = template("node", "parent", comment=f"# revision {self._pushed}\n")
            value = json.dumps({"version": 1, "body": body})
            self._client.put("/config/v2.0/heat_templates/node", value)

        self._count("template", push)

    def _mark_family(self) -> None:
        """A resource and all that is built from it are marked for deletion, in any order."""
        for resource in self._family(self._some(lambda r: r.wanted)):
            if resource.wanted:
                self._count("marked deletion", lambda r=resource: self._mark(r))  # type: ignore[misc]

    def _remove_family(self) -> None:
        """The same by removing the configs without a mark."""
        for resource in self._family(self._some(lambda r: r.there)):
            if resource.there:
                self._count("bare removal", lambda r=resource: self._remove(r))  # type: ignore[misc]

    def _replace(self) -> None:
        """Removed and made anew at once, now and then in another tenant."""
        if resource := self._some(lambda r: r.there):
            self._count("bare removal", lambda: self._remove(resource))
            time.sleep(self._random.choice((0.0, 0.05, 0.5)))
            self._count("re-creation", lambda: self._create(resource))

    def _remove_parent(self) -> None:
        """A parent goes though its children stay: its deletion is patient, and then goes on."""
        used = {parent for r in self.resources.values() if r.wanted for parent in r.parents()}
        if resource := self._some(lambda r: r.there and r.ref in used):
            self._count("removal under children", lambda: self._remove(resource))

    # Single steps -------------------------------------------------------------------------------------

    def _some(self, fits: Callable[[Resource], bool]) -> Resource | None:
        fitting = [r for r in self.resources.values() if fits(r)]
        return self._random.choice(fitting) if fitting else None

    def _family(self, root: Resource | None) -> list[Resource]:
        if root is None:
            return []
        found = {root.ref: root}
        for resource in sorted(self.resources.values(), key=lambda r: r.index):
            if resource.there and resource.parents() & found.keys():
                found[resource.ref] = resource
        family = list(found.values())
        self._random.shuffle(family)
        return family

    def _body(self, resource: Resource, tenant: str, *parents: Resource) -> dict[str, Any]:
        body: dict[str, Any] = {"id": resource.name, "tenant_id": tenant, "level": "l0"}
        chosen = list(parents) or self._parents_for(resource, tenant)
        fields: Iterable[str] = (
            ("parent_id",) if resource.ref.startswith("node") else ("left_id", "right_id")
        )
        for name, parent in zip(fields, chosen, strict=False):
            body[name] = parent.name
        return body

    def _parents_for(self, resource: Resource, tenant: str) -> list[Resource]:
        elsewhere = self._random.random() < 0.05
        nodes = [
            r
            for r in self.resources.values()
            if r.wanted
            and r.index < resource.index
            and r.ref.startswith("node")
            and (elsewhere or r.body["tenant_id"] == tenant)
        ]
        wanted = 2 if resource.ref.startswith("link") else int(self._random.random() < 0.6)
        return self._random.sample(nodes, min(wanted, len(nodes)))

    def _create(self, resource: Resource) -> None:
        tenant = resource.body.get("tenant_id") if self._random.random() < 0.8 else None
        tenant = tenant or self._random.choice(self.tenants)
        self._write(resource, self._body(resource, tenant))

    def _update(self, resource: Resource) -> None:
        if self._random.random() < 0.15:
            self._write(resource, self._body(resource, resource.body["tenant_id"]))
        else:
            self._write(resource, resource.body)

    def _write(self, resource: Resource, body: dict[str, Any], version: int | None = None) -> None:
        """The next body; the first, when the id is not there. The value says which.

        :param version: default: the next one.
        """
        if not resource.there:
            resource.life, resource.version, resource.content = resource.life + 1, 0, 0
        resource.version = self._next(resource) if version is None else version
        resource.content += 1
        resource.there, resource.marked = True, False
        resource.body = {**body, "value": f"{resource.life}.{resource.content}"}
        self._put(resource)

    @staticmethod
    def _next(resource: Resource) -> int:
        """The version of the next write."""
        if resource.versioned or not resource.content:
            return resource.version + 1
        return 0

    def _mark(self, resource: Resource) -> None:
        if resource.marked and not resource.versioned:
            # Asked again: without a version only the body can say that it is not the same write.
            resource.content += 1
            resource.body = {**resource.body, "value": f"{resource.life}.{resource.content}"}
        resource.version = self._next(resource)
        resource.marked = True
        self._put(resource)

    def _put(self, resource: Resource) -> None:
        self._client.put(resource.key, self._value(resource))

    @staticmethod
    def _value(resource: Resource) -> str:
        document = {
            "body": json.dumps(resource.body),
            "version": resource.version,
            "marked_for_deletion": resource.marked,
        }
        return json.dumps(document)

    def _remove(self, resource: Resource) -> None:
        resource.there = resource.marked = False
        resource.reported, resource.built = (0, ""), ""
        self._client.delete(resource.key)

    def _count(self, kind: str, step: Callable[[], None]) -> None:
        step()
        self.counts[kind] += 1
