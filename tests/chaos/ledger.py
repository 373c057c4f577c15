"""The facts, indexed: configs, jobs and reports out of etcd's history, operations out of Heat's. Only reading, no judging."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from .facts import Facts, ObservedEvent, Operation

TYPES = {"v1/nodes": "node", "v1/links": "link"}
"""The types of the chaos run by their path."""
PARENT_FIELDS = ("parent_id", "left_id", "right_id")
"""Properties whose value is the id of a node."""

CONFIG, STATE, JOBS = "/config/", "/state/", "/jobs/all/"
OWN = "/esi-worker/orchestrator/"
RUNS = f"{OWN}runs/"
FAILED = f"{OWN}failed/"
JOB_STATE = "/esi-worker/job_state/"
AUDIT, LEFT = f"{OWN}audit/", f"{OWN}left/"
BUILDING = ("create", "update")


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a config. Version 0 is *unversioned*: the content tells a change."""

    revision: int
    at: float
    created: int
    version: int
    marked: bool = False
    body: Any = None
    gone: bool = False
    """Whether it was the removal."""

    @property
    def there(self) -> bool:
        return not self.gone

    @property
    def wanted(self) -> bool:
        """There, and not marked for deletion."""
        return self.there and not self.marked

    @property
    def value(self) -> str:
        """What tells one content from another."""
        return str((self.body or {}).get("value", ""))

    @property
    def tenant(self) -> str:
        return str((self.body or {}).get("tenant_id", ""))

    def __str__(self) -> str:
        if self.gone:
            return f"REMOVED (revision {self.revision})"
        marked = " marked" if self.marked else ""
        content = f"v{self.version}{marked} {self.value} in {self.tenant} parents {sorted(self.parents())}"
        return f"{content} (revision {self.revision}, created {self.created})"

    def parents(self) -> set[str]:
        """The nodes that this config is built from."""
        body = self.body or {}
        return {f"node:{body[name]}" for name in PARENT_FIELDS if body.get(name)}


GONE = Write(0, 0.0, 0, 0, gone=True)


@dataclass(slots=True)
class LedgerJob:
    """A job record: from when to when it was there."""

    id: str
    ref: str
    action: str
    version: int
    suffix: str
    revision: int
    at: float
    incarnation: int
    value: str = ""
    ended: float = float("inf")


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """One write of a state."""

    revision: int
    at: float
    version: int
    worker_state: str
    error: str
    restored: bool = False
    """Whether a backup brought it back, and nobody wrote it."""
    value: str = ""
    """Of which content the reported stack is, by its outputs; "" where there are none."""

    def __str__(self) -> str:
        return f"v{self.version} {self.worker_state} {self.value} {self.error[:160]} (revision {self.revision})"

    @property
    def failed(self) -> bool:
        return self.worker_state.endswith("_FAILED")


def stack_name(ref: str) -> str:
    return ref.replace(":", "_", 1)


class Ledger:
    """Everything by resource; a resource is ``type:id``."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.writes: defaultdict[str, list[Write]] = defaultdict(list)
        self.reports: defaultdict[str, list[LedgerReport]] = defaultdict(list)
        self.jobs: dict[str, LedgerJob] = {}
        self.jobs_on: defaultdict[str, list[LedgerJob]] = defaultdict(list)
        self.kept: defaultdict[str, list[ObservedEvent]] = defaultdict(list)
        """What is kept of verbs: who asked for what, and what was left in Heat."""
        self.final: dict[str, ObservedEvent] = {}
        self.of: defaultdict[str, list[Operation]] = defaultdict(list)
        self.all_of: defaultdict[str, list[Operation]] = defaultdict(list)
        """Those of somebody else included."""
        self._contents: defaultdict[tuple[str, int], dict[tuple[int, str, bool], Write]] = (
            defaultdict(dict)
        )
        self.accepted: set[str] = set()
        """Jobs of which a record says that Heat took a request."""
        self._by_tag: dict[tuple[str, str], LedgerJob] = {}
        self._shaken: list[tuple[float, frozenset[str]]] = []
        for event in facts.events:
            self._note(event)
        for operation in facts.operations:
            self.all_of[operation.stack].append(operation)
            if not operation.foreign:
                self.of[operation.stack].append(operation)
        for job in self.jobs.values():
            self._by_tag[stack_name(job.ref), f"orchestrator-{job.version}-{job.suffix}"] = job
        for restore in facts.restores:
            self._shaken.append((restore.at, self._relatives(frozenset(restore.touched))))

    def _note(self, event: ObservedEvent) -> None:
        if event.value is None:
            self.final.pop(event.key, None)
        else:
            self.final[event.key] = event
        if event.key.startswith(JOBS):
            self._note_job(event)
        elif event.key.startswith(RUNS):
            if event.value and json.loads(event.value).get("stack"):
                self.accepted.add(event.key.rpartition("/")[2])
        elif event.key.startswith((AUDIT, LEFT)):
            about = event.key
            if about.startswith(AUDIT):
                about = about.rpartition("/")[0]
            self.kept[ref_of(about) or ""].append(event)
        elif event.key.startswith(CONFIG) and (ref := ref_of(event.key)):
            write = _write(event)
            self.writes[ref].append(write)
            if write.there:
                self._contents[ref, write.created].setdefault(
                    (write.version, write.value, write.marked), write
                )
        elif event.key.startswith(STATE) and (ref := ref_of(event.key)):
            if event.value is not None:
                self.reports[ref].append(_report(event))
            elif event.restored:
                self.reports[ref].append(
                    LedgerReport(event.revision, event.at, 0, "", "", restored=True)
                )

    def _note_job(self, event: ObservedEvent) -> None:
        job_id = event.key.removeprefix(JOBS)
        if event.value is None:
            if job_id in self.jobs:
                self.jobs[job_id].ended = event.at
        elif job_id in self.jobs:
            self.jobs[job_id].ended = float("inf")  # written once more, or brought back by a backup
        else:
            action, _, kind, rest = job_id.split(":", 3)
            name, version, suffix = rest.rsplit(":", 2)
            ref = f"{kind}:{name}"
            incarnation = self.config(ref, event.revision).created
            value = _value_of_job(event)
            job = LedgerJob(
                job_id,
                ref,
                action,
                int(version),
                suffix,
                event.revision,
                event.at,
                incarnation,
                value,
            )
            self.jobs[job_id] = job
            self.jobs_on[ref].append(job)

    def _relatives(self, touched: frozenset[str]) -> frozenset[str]:
        """Resources, and all that ever were built from them or that they were built from."""
        found = set(touched)
        for ref, writes in self.writes.items():
            parents = {parent for write in writes for parent in write.parents()}
            if ref in touched:
                found |= parents
            if parents & touched:
                found.add(ref)
        return frozenset(found)

    # Questions --------------------------------------------------------------------------------------

    def refs(self) -> list[str]:
        return list(self.writes)

    def era(self, at: float) -> int:
        """How often etcd had gone back to a backup by then."""
        return sum(restore.at <= at for restore in self.facts.restores)

    def shaken(self, ref: str, at: float = float("inf")) -> bool:
        """Whether a restore took something back of the resource, or of one that it has to do with. What Heat has and
        what etcd says are then of different times, and in what order which was asked for means nothing any more."""
        return any(restored <= at and ref in touched for restored, touched in self._shaken)

    def config(self, ref: str, revision: int | None = None) -> Write:
        """The config as of a revision (default: the last)."""
        writes = self.writes.get(ref, [])
        if revision is None:
            return writes[-1] if writes else GONE
        index = bisect_right(writes, revision, key=lambda write: write.revision)
        return writes[index - 1] if index else GONE

    def contents(self, ref: str, incarnation: int) -> list[Write]:
        """The writes with which each content (version, body and mark) of an incarnation came, in order."""
        return list(self._contents.get((ref, incarnation), {}).values())

    def serial(self, ref: str, incarnation: int, value: str) -> int:
        """The how many-th body of its incarnation it is; -1: it is none."""
        values = dict.fromkeys(write.value for write in self.contents(ref, incarnation))
        return list(values).index(value) if value in values else -1

    def first_write(self, ref: str, incarnation: int, value: str) -> Write | None:
        """The write with which a body came."""
        return next((w for w in self.contents(ref, incarnation) if w.value == value), None)

    def job_of(self, operation: Operation) -> LedgerJob | None:
        """The job for which Heat was asked, by the tag. A deletion carries no tag of its own.

        A try after Heat failed the job carries its number as well: ``orchestrator-<version>-<suffix>-<number>``.
        """
        return self._by_tag.get((operation.stack, "-".join(operation.tag.split("-")[:3])))

    def asked_for(self, ref: str, incarnation: int, value: str) -> list[Operation]:
        """The creates and updates of one body of one incarnation."""
        return [
            operation
            for operation in self.of.get(stack_name(ref), ())
            if operation.method in BUILDING
            and (job := self.job_of(operation))
            and (job.incarnation, job.value) == (incarnation, value)
        ]

    def last_before(self, ref: str, at: float) -> Operation | None:
        """The last operation on the resource's stack that Heat took before, of those that the orchestrator asked for."""
        return self._last_before(self.of.get(stack_name(ref), []), at)

    def last_of_all_before(self, ref: str, at: float) -> Operation | None:
        """The same, of those that anybody asked for."""
        return self._last_before(self.all_of.get(stack_name(ref), []), at)

    @staticmethod
    def _last_before(operations: list[Operation], at: float) -> Operation | None:
        index = bisect_right(operations, at, key=lambda operation: operation.at)
        while index and operations[index - 1].at >= at:
            index -= 1
        return operations[index - 1] if index else None

    def built_from(self, operation: Operation) -> set[str]:
        """The parents of what a create or update asked for, by the config's content."""
        job = self.job_of(operation)
        write = job and self.first_write(job.ref, job.incarnation, job.value)
        return write.parents() if write else set()

    def story(
        self, *refs: str, around: float = 0.0, seconds: float = 20.0, limit: int = 40
    ) -> list[str]:
        """What happened to resources, as lines in order of time: the evidence."""
        lines: list[tuple[float, str]] = []
        for ref in refs:
            for write in self.writes.get(ref, ()):
                lines.append((write.at, f"config {ref} {write}"))
            for report in self.reports.get(ref, ()):
                lines.append((report.at, f"state  {ref} {report}"))
            for job in self.jobs_on.get(ref, ()):
                lines.append((job.at, f"job    {job.id} made (revision {job.revision})"))
                if job.ended != float("inf"):
                    lines.append((job.ended, f"job    {job.id} over"))
            lines.extend(
                (operation.at, str(operation)) for operation in self.all_of.get(stack_name(ref), ())
            )
        lines.sort()
        if around:
            lines = [line for line in lines if abs(line[0] - around) <= seconds]
        return [f"{at:.3f} {text}" for at, text in lines[-limit:]]


def ref_of(key: str) -> str | None:
    """The resource that a key is about, whatever folder it is in."""
    head, _, name = key.rpartition("/")
    kind = next((kind for path, kind in TYPES.items() if head.endswith("/" + path)), None)
    return f"{kind}:{name}" if kind and name else None


def _write(event: ObservedEvent) -> Write:
    if event.value is None:
        return Write(event.revision, event.at, 0, 0, gone=True)
    document = json.loads(event.value)
    return Write(
        event.revision,
        event.at,
        event.created,
        document["version"],
        document["marked_for_deletion"],
        json.loads(document["body"]),
    )


def _report(event: ObservedEvent) -> LedgerReport:
    document = json.loads(event.value or "")
    state = document["state"]
    outputs = json.loads(state.get("heat_outputs") or "[]")
    value = next(
        (output["output_value"] for output in outputs if output["output_key"] == "value"), ""
    )
    return LedgerReport(
        event.revision,
        event.at,
        document["version"],
        state["worker_state"],
        document["error"],
        event.restored,
        value,
    )


def _value_of_job(event: ObservedEvent) -> str:
    """What the job asks for: the value of the body that it carries."""
    handler_job_number = json.loads(event.value or "[]")
    return (
        str(handler_job_number[1]["resource_input"].get("value", "")) if handler_job_number else ""
    )
