"""What etcd knows about the resources: every record parsed, and kept up to date by events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from ..clients.store import Event, KeyValue
from ..core.jobs import Job
from ..core.keys import Keys
from ..core.records import (
    NO_PAUSES,
    UNREADABLE,
    Brake,
    BridgeAlive,
    Built,
    Drift,
    DriftKind,
    Failed,
    Handled,
    Held,
    IdentityTrouble,
    LeaderRecord,
    MonitoringRecord,
    Pauses,
    Poll,
    Run,
    SchemasRecord,
    SchemaTrouble,
    Sweep,
    WorkerAlive,
    stored_schemas,
)
from ..core.refs import JobId, Json, Ref
from ..core.resources import Ignored, Rejected, Wanted, parse_config
from ..core.templates import BadTemplate, Template, parse_template_value
from ..errors import InvalidInput
from .recorded import RecordedStack as RecordedStack
from .recorded import ReportedState as ReportedState
from .recorded import recorded, reported

T = TypeVar("T")


@dataclass(slots=True)
class Snapshot:
    """By resource, what is wanted, recorded and reported; and the jobs.
    Records that cannot be read are left out."""

    keys: Keys
    revision: int = 0
    """Of the newest change that is in it."""
    listed_at: int = 0
    """The revision at which it was read."""
    raw: dict[str, KeyValue] = field(default_factory=dict)
    """Every key as it was last written."""
    wanted: dict[Ref, Wanted] = field(default_factory=dict)
    rejected: dict[str, Rejected] = field(default_factory=dict)
    templates: dict[str, Template | BadTemplate] = field(default_factory=dict)
    stacks: dict[Ref, RecordedStack] = field(default_factory=dict)
    states: dict[Ref, ReportedState] = field(default_factory=dict)
    monitoring: dict[Ref, MonitoringRecord] = field(default_factory=dict)
    jobs: dict[JobId, Job] = field(default_factory=dict)
    runs: dict[JobId, Run] = field(default_factory=dict)
    handled: dict[Ref, Handled] = field(default_factory=dict)
    held: dict[Ref, Held] = field(default_factory=dict)
    failed: dict[Ref, Failed] = field(default_factory=dict)
    built: dict[Ref, Built] = field(default_factory=dict)
    retried: dict[Ref, bool] = field(default_factory=dict)
    revisions: dict[str, dict[str, int]] = field(default_factory=dict)
    """By template: its revisions that are kept, each with the mod revision of its record."""
    polls: dict[str, Poll] = field(default_factory=dict)
    """What is told of the polls of a tenant that do not go as usual."""
    drifts: dict[Ref, Drift] = field(default_factory=dict)
    """What sweeps have found; :meth:`drift` says what of it still counts."""
    sweeps: dict[str, Sweep] = field(default_factory=dict)
    """The last sweep of each tenant."""
    workers: dict[str, WorkerAlive] = field(default_factory=dict)
    """The workers that are alive, by their keys."""
    bridges: dict[str, BridgeAlive] = field(default_factory=dict)
    """The bridges that are alive, by their keys."""
    leader: LeaderRecord | None = None
    schema_list: SchemasRecord | None = None
    schema_trouble: SchemaTrouble | None = None
    brake: Brake | None = None
    identity_trouble: IdentityTrouble | None = None
    pauses: Pauses = NO_PAUSES

    def refs(self) -> list[Ref]:
        """Every resource that is wanted, or of which something is left, in the order of the
        types."""
        jobs = (job.ref for job in self.jobs.values())
        live = (ref for ref, stack in self.stacks.items() if stack.live)
        found = {
            *self.wanted,
            *live,
            *self.held,
            *self.failed,
            *self.handled,
            *self.states,
            *jobs,
        }
        order = {kind.id: place for place, kind in enumerate(self.keys.schemas)}
        return sorted(
            found, key=lambda ref: (order.get(ref.type, len(order)), ref)
        )

    def tenant_of(self, ref: Ref) -> str:
        """The project of a resource, as far as a record names one."""
        for known in (self.wanted, self.handled, self.stacks):
            if record := known.get(ref):
                return record.tenant
        return ""

    def revision_in_force(self, template_id: str) -> str:
        """The revision of a template that the leader wrote last; empty when none is kept."""
        kept = self.revisions.get(template_id, {})
        return max(kept, key=kept.__getitem__, default="")

    def drift(self, ref: Ref) -> Drift | None:
        """What Heat has otherwise than it was built; None: nothing that is known.

        What was found before the last operation of ours says nothing any more.
        """
        found = self.drifts.get(ref)
        if found is None or found.gone:
            return None
        handled = self.handled.get(ref)
        if DriftKind.UNKNOWN in found.kinds:
            counts = handled is None
        else:
            counts = handled is not None and handled.sent == found.job
        if counts:
            return found
        return None

    # Keeping up -----------------------------------------------------------------------------------

    def take(self, events: Iterable[Event]) -> None:
        """Take in what a watch brought. What is older than the reading is in there already."""
        for event in events:
            if event.revision <= self.listed_at:
                continue
            self.revision = max(self.revision, event.revision)
            if event.value is None:
                self.remove(event.key)
            else:
                self.put(
                    KeyValue(
                        event.key, event.value, event.created, event.revision
                    )
                )
        self.follow_types()

    def follow_types(self) -> None:
        """Read everything by the schema list in force, if that is another one than before."""
        record = self.raw.get(self.keys.schema_list)
        data = self.raw.get(self.keys.schema_data)
        if record is None or data is None or self.knows_types(record):
            return
        try:
            listed = stored_schemas(record.value, data.value)
            types = listed.schemas(record.revision)
            keys = Keys(self.keys.prefixes, types)
        except (ValueError, InvalidInput):
            return  # Of another release: what was known stays.
        known = list(self.raw.values())
        for kv in known:
            self.remove(kv.key)
        self.keys = keys
        for kv in known:
            self.put(kv)

    def knows_types(self, record: KeyValue) -> bool:
        """Whether everything is read by the schema list of this record."""
        return record.revision == self.keys.schemas.origin.revision

    def put(self, kv: KeyValue) -> None:
        """Take in a key as it was read."""
        if kv.key in self.raw:
            self.remove(kv.key)
        self.raw[kv.key] = kv
        if self.keys.is_config(kv.key):
            self._put_config(kv)
        elif not (
            self._put_single(kv) or self._put_job(kv) or self._put_process(kv)
        ):
            self._put_record(kv)

    def _put_single(self, kv: KeyValue) -> bool:
        """Take in a key of which there is one; whether this is one."""
        keys, value = self.keys, kv.value
        if kv.key == keys.leader:
            leader = _readable(lambda: LeaderRecord.from_json(value))
            self.leader = leader or LeaderRecord()
        elif kv.key == keys.schema_list:
            self.schema_list = _readable(lambda: SchemasRecord.from_json(value))
        elif kv.key == keys.schema_trouble:
            self.schema_trouble = _readable(
                lambda: SchemaTrouble.from_json(value)
            )
        elif kv.key == keys.pauses:
            self.pauses = Pauses.from_json(value)
        elif kv.key == keys.brake:
            self.brake = _readable(lambda: Brake.from_json(value))
        elif kv.key == keys.identity_trouble:
            self.identity_trouble = _readable(
                lambda: IdentityTrouble.from_json(value)
            )
        else:
            return False
        return True

    def _put_job(self, kv: KeyValue) -> bool:
        """Take in a job, a run, a template's revision, a poll or a sweep; whether this is one."""
        keys, key, value = self.keys, kv.key, kv.value
        if key.startswith(keys.jobs):
            _keep(self.jobs, keys.job_id(key), lambda: Job.from_json(value))
        elif key.startswith(keys.runs):
            _keep(self.runs, keys.run_job(key), lambda: Run.from_json(value))
        elif key.startswith(keys.revisions):
            template, revision = keys.revision_of(key)
            self.revisions.setdefault(template, {})[revision] = kv.revision
        elif key.startswith(keys.polls):
            tenant = keys.poll_tenant(key)
            _keep(self.polls, tenant, lambda: Poll.from_json(value))
        elif key.startswith(keys.sweeps):
            tenant = keys.sweep_tenant(key)
            _keep(self.sweeps, tenant, lambda: Sweep.from_json(value))
        else:
            return False
        return True

    def _put_process(self, kv: KeyValue) -> bool:
        """Take in a process that says that it is alive; whether this is one."""
        key, value = kv.key, kv.value
        if key.startswith(self.keys.workers):
            _keep(self.workers, key, lambda: WorkerAlive.from_json(value))
        elif key.startswith(self.keys.bridges):
            _keep(self.bridges, key, lambda: BridgeAlive.from_json(value))
        else:
            return False
        return True

    def _put_config(self, kv: KeyValue) -> None:
        template_id = self.keys.template_id(kv.key)
        if template_id is not None:
            self.templates[template_id] = parse_template_value(
                template_id, kv.value
            )
            if self.keys.ref(self.keys.config, kv.key) is None:
                return
        incoming = parse_config(
            self.keys,
            kv.key,
            kv.value,
            incarnation=kv.created,
            revision=kv.revision,
        )
        match incoming:
            case Wanted(ref):
                self.wanted[ref] = incoming
            case Rejected(key):
                self.rejected[key] = incoming
            case Ignored():
                pass

    def _put_record(self, kv: KeyValue) -> None:
        """Take in a record of one resource."""
        for folder, known in self._folders().items():
            if not kv.key.startswith(folder):
                continue
            if ref := self.keys.ref(folder, kv.key):
                _keep(known, ref, partial(self._reader(folder), kv))

    def _folders(self) -> Mapping[str, dict[Ref, Json]]:
        """The folders of one resource's records, and where each of them is kept."""
        keys = self.keys
        return {
            keys.state: self.states,
            keys.stacks: self.stacks,
            keys.monitoring: self.monitoring,
            keys.handled: self.handled,
            keys.held: self.held,
            keys.failed: self.failed,
            keys.built: self.built,
            keys.drift: self.drifts,
            keys.retries: self.retried,
        }

    def _reader(self, folder: str) -> Callable[[KeyValue], Json]:
        """What reads the records of a folder."""
        keys = self.keys
        readers: Mapping[str, Callable[[KeyValue], Json]] = {
            keys.state: reported,
            keys.stacks: recorded,
            keys.monitoring: lambda kv: MonitoringRecord.from_json(kv.value),
            keys.handled: lambda kv: Handled.from_json(kv.value),
            keys.held: lambda kv: Held.from_json(kv.value),
            keys.failed: lambda kv: Failed.from_json(kv.value),
            keys.built: lambda kv: Built.from_json(kv.value),
            keys.drift: lambda kv: Drift.from_json(kv.value),
            keys.retries: lambda kv: True,
        }
        return readers[folder]

    def remove(self, key: str) -> None:
        """Take in that a key is gone."""
        self.raw.pop(key, None)
        keys = self.keys
        if keys.is_config(key):
            self._remove_config(key)
        elif key.startswith(keys.jobs):
            self.jobs.pop(keys.job_id(key), None)
        elif key.startswith(keys.runs):
            self.runs.pop(keys.run_job(key), None)
        elif key.startswith(keys.revisions):
            template, revision = keys.revision_of(key)
            self.revisions.get(template, {}).pop(revision, None)
        elif key.startswith(keys.polls):
            self.polls.pop(keys.poll_tenant(key), None)
        elif key.startswith((keys.workers, keys.bridges)):
            self.workers.pop(key, None)
            self.bridges.pop(key, None)
        elif key == keys.pauses:
            self.pauses = NO_PAUSES
        elif key.startswith(keys.sweeps):
            self.sweeps.pop(keys.sweep_tenant(key), None)
        elif key in (single := self._single()):
            setattr(self, single[key], None)
        else:
            self._remove_record(key)

    def _remove_config(self, key: str) -> None:
        keys = self.keys
        self.rejected.pop(key, None)
        self.templates.pop(keys.template_id(key) or "", None)
        ref = keys.ref(keys.config, key)
        if ref and keys.below(keys.config, ref) == key:
            self.wanted.pop(ref, None)

    def _single(self) -> Mapping[str, str]:
        """The keys of which there is one, and the attributes that hold their values."""
        keys = self.keys
        return {
            keys.leader: "leader",
            keys.schema_list: "schema_list",
            keys.schema_trouble: "schema_trouble",
            keys.brake: "brake",
            keys.identity_trouble: "identity_trouble",
        }

    def _remove_record(self, key: str) -> None:
        for folder, known in self._folders().items():
            if key.startswith(folder) and (ref := self.keys.ref(folder, key)):
                known.pop(ref, None)


def _keep(known: dict[T, Json], name: T, read: Callable[[], Json]) -> None:
    """Keep a record, unless it cannot be read: then `get` shows it as it is."""
    try:
        known[name] = read()
    except UNREADABLE:
        known.pop(name, None)


def _readable(read: Callable[[], T]) -> T | None:
    """A record, None when it cannot be read: `get` shows it as it is."""
    try:
        return read()
    except UNREADABLE:
        return None
