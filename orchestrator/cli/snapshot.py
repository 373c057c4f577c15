"""Everything that etcd knows about the resources, read at one revision and then kept up to date by
a watch.

``progress`` judges it; ``show``, ``status`` and ``waiting`` put it on the screen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ..clients.store import Event, KeyValue, Store
from ..core.jobs import Job
from ..core.keys import Keys
from ..core.records import (
    UNREADABLE,
    Brake,
    Failed,
    Handled,
    Held,
    IdentityTrouble,
    MonitoringRecord,
    Poll,
    Run,
    StackRecord,
    StateRecord,
)
from ..core.refs import JobId, Json, Ref
from ..core.resources import Ignored, Rejected, Wanted, parse_config
from ..core.schema_list import SchemaList, Trouble
from ..core.templates import BadTemplate, Template, parse_template_value
from ..errors import InvalidInput

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class State:
    """What was reported: the record below ``/state``, and the revision at which it was written."""

    worker_state: str
    status: str
    version: int
    error: str
    revision: int


@dataclass(frozen=True, slots=True)
class Stack:
    """What is recorded of the stack."""

    status: str
    tenant: str
    outputs: int
    reason: str

    @property
    def live(self) -> bool:
        return self.status != "DELETE_COMPLETE"


@dataclass(slots=True)
class Snapshot:
    """By resource, what is wanted, recorded and reported; and the jobs.
    Unreadable records are left out."""

    keys: Keys
    revision: int = 0
    listed_at: int = 0
    raw: dict[str, KeyValue] = field(default_factory=dict)
    wanted: dict[Ref, Wanted] = field(default_factory=dict)
    rejected: dict[str, Rejected] = field(default_factory=dict)
    templates: dict[str, Template | BadTemplate] = field(default_factory=dict)
    stacks: dict[Ref, Stack] = field(default_factory=dict)
    states: dict[Ref, State] = field(default_factory=dict)
    monitoring: dict[Ref, MonitoringRecord] = field(default_factory=dict)
    jobs: dict[JobId, Job] = field(default_factory=dict)
    runs: dict[JobId, Run] = field(default_factory=dict)
    handled: dict[Ref, Handled] = field(default_factory=dict)
    held: dict[Ref, Held] = field(default_factory=dict)
    failed: dict[Ref, Failed] = field(default_factory=dict)
    retried: dict[Ref, bool] = field(default_factory=dict)
    polls: dict[str, Poll] = field(default_factory=dict)
    """What is told of the polls of a tenant that do not go as usual."""
    leader: Mapping[str, Json] | None = None
    schema_list: Mapping[str, Json] | None = None
    schema_trouble: Trouble | None = None
    brake: Brake | None = None
    identity_trouble: IdentityTrouble | None = None

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

    # Keeping up -----------------------------------------------------------------------------------

    def take(self, events: Iterable[Event]) -> None:
        """What a watch brought; what is older than the listing is in there already."""
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
        record, data = (
            self.raw.get(self.keys.schema_list),
            self.raw.get(self.keys.schema_data),
        )
        if (
            record is None
            or data is None
            or record.revision == self.keys.schemas.origin.revision
        ):
            return
        try:
            types = SchemaList.from_stored(record.value, data.value).schemas(
                record.revision
            )
            keys = Keys(self.keys.prefixes, types)
        except (ValueError, InvalidInput):
            return  # Of another release: what was known stays.
        known = list(self.raw.values())
        for kv in known:
            self.remove(kv.key)
        self.keys = keys
        for kv in known:
            self.put(kv)

    def put(self, kv: KeyValue) -> None:
        self.remove(kv.key)
        self.raw[kv.key] = kv
        keys = self.keys
        if keys.is_config(kv.key):
            self._put_config(kv)
        elif kv.key.startswith(keys.jobs):
            self._job(kv)
        elif kv.key.startswith(keys.runs):
            self._keep(
                self.runs,
                keys.run_job(kv.key),
                kv,
                lambda: Run.from_json(kv.value),
            )
        elif kv.key.startswith(keys.polls):
            self._keep(
                self.polls,
                keys.poll_tenant(kv.key),
                kv,
                lambda: Poll.from_json(kv.value),
            )
        elif kv.key == keys.leader:
            self.leader = _object(kv.value) or {}
        elif kv.key.startswith(keys.schema_list):
            self._put_schemas(kv)
        elif kv.key == keys.brake:
            self.brake = _readable(lambda: Brake.from_json(kv.value))
        elif kv.key == keys.identity_trouble:
            self.identity_trouble = _readable(
                lambda: IdentityTrouble.from_json(kv.value)
            )
        else:
            self._put_record(kv)

    def _put_schemas(self, kv: KeyValue) -> None:
        if kv.key == self.keys.schema_list:
            self.schema_list = _object(kv.value)
        elif kv.key == self.keys.schema_trouble:
            self.schema_trouble = _readable(lambda: Trouble.from_json(kv.value))

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

    def _job(self, kv: KeyValue) -> None:
        self._keep(
            self.jobs,
            self.keys.job_id(kv.key),
            kv,
            lambda: Job.from_json(kv.value),
        )

    def _put_record(self, kv: KeyValue) -> None:
        keys = self.keys
        readers: Mapping[str, tuple[dict[Ref, Json], Callable[[], Json]]] = {
            keys.state: (self.states, lambda: _state(kv)),
            keys.stacks: (self.stacks, lambda: _stack(kv.value)),
            keys.monitoring: (
                self.monitoring,
                lambda: MonitoringRecord.from_json(kv.value),
            ),
            keys.handled: (self.handled, lambda: Handled.from_json(kv.value)),
            keys.held: (self.held, lambda: Held.from_json(kv.value)),
            keys.failed: (self.failed, lambda: Failed.from_json(kv.value)),
            keys.retries: (self.retried, lambda: True),
        }
        for folder, (known, read) in readers.items():
            if kv.key.startswith(folder) and (ref := keys.ref(folder, kv.key)):
                self._keep(known, ref, kv, read)

    @staticmethod
    def _keep(
        known: dict[T, Json], name: T, kv: KeyValue, read: Callable[[], Json]
    ) -> None:
        try:
            known[name] = read()
        except UNREADABLE:
            # Somebody else's writing; `get` shows it as it is.
            known.pop(name, None)

    def remove(self, key: str) -> None:
        self.raw.pop(key, None)
        keys = self.keys
        if keys.is_config(key):
            self.rejected.pop(key, None)
            self.templates.pop(keys.template_id(key) or "", None)
            if (ref := keys.ref(keys.config, key)) and keys.below(
                keys.config, ref
            ) == key:
                self.wanted.pop(ref, None)
        elif key.startswith(keys.jobs):
            self.jobs.pop(keys.job_id(key), None)
        elif key.startswith(keys.runs):
            self.runs.pop(keys.run_job(key), None)
        elif key.startswith(keys.polls):
            self.polls.pop(keys.poll_tenant(key), None)
        elif key in (single := self._single()):
            setattr(self, single[key], None)
        else:
            self._remove_record(key)

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
        keys = self.keys
        folders: Mapping[str, dict[Ref, Json]] = {
            keys.state: self.states,
            keys.stacks: self.stacks,
            keys.monitoring: self.monitoring,
            keys.handled: self.handled,
            keys.held: self.held,
            keys.failed: self.failed,
            keys.retries: self.retried,
        }
        for folder, known in folders.items():
            if key.startswith(folder) and (ref := keys.ref(folder, key)):
                known.pop(ref, None)


def folders(keys: Keys) -> tuple[str, ...]:
    """What a snapshot is made of."""
    return (
        *keys.config_folders,
        keys.state,
        keys.monitoring,
        keys.jobs,
        keys.stacks,
        keys.job_states,
        keys.own,
    )


def load(store: Store, keys: Keys) -> Snapshot:
    """Everything, at one revision."""
    snapshot = Snapshot(keys)
    for folder in folders(keys):
        snapshot.revision, listed = store.list(
            folder, revision=snapshot.revision
        )
        for kv in listed:
            snapshot.put(kv)
    snapshot.listed_at = snapshot.revision
    snapshot.follow_types()
    return snapshot


def _readable(read: Callable[[], T]) -> T | None:
    """A record, None when it cannot be read: `get` shows it as it is."""
    try:
        return read()
    except UNREADABLE:
        return None


def _object(value: bytes | str) -> dict[str, Json] | None:
    try:
        document = json.loads(value)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _state(kv: KeyValue) -> State:
    record = StateRecord.from_json(kv.value)
    return State(
        record.worker_state,
        record.status,
        record.version,
        record.error,
        kv.revision,
    )


def _stack(value: bytes) -> Stack:
    record = StackRecord.from_json(value)
    return Stack(
        record.status, record.tenant, len(record.outputs), record.reason
    )
