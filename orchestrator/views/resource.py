"""One resource: what is wanted, recorded, reported and monitored, and every record with its key.
What ``get`` shows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..clients.places import config_key
from ..core import confidential, masking
from ..core.documents import unfolded
from ..core.keys import Keys
from ..core.refs import Json, Ref
from ..core.templates import TEMPLATE_TYPE, Template
from ..errors import InvalidInput
from .snapshot import Snapshot
from .standings import Progress, Standing
from .times import UNTIMED, Moment

Templates = Mapping[str, Template]
_NO_TEMPLATES: Templates = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ResourceView:
    """One resource in the list. Each part is None when it is not there."""

    standing: Standing
    wanted: Mapping[str, Json] | None
    """``version`` and ``marked_for_deletion`` of the config."""
    recorded: Mapping[str, Json] | None
    """``stack_status``, ``outputs`` (their number) and ``tenant_id`` of the stack."""
    reported: Mapping[str, Json] | None
    """``worker_state``, ``version`` and ``error`` of the state."""
    monitoring: Json
    """The monitoring record, secrets masked."""
    tenant: str = ""
    """Its project, as far as a record names one."""
    drift: Mapping[str, Json] | None = None
    """``kinds``, ``reason``, ``since`` (seconds since the epoch) and ``accepted`` of what Heat has
    otherwise than it was built."""

    def to_json(self) -> dict[str, Json]:
        standing = self.standing
        return {
            "type": standing.ref.type,
            "id": standing.ref.id,
            "tenant_id": self.tenant,
            "phase": standing.phase.value,
            "reason": standing.reason,
            "since": standing.since or None,
            "gives_up": standing.gives_up or None,
            "outdated": standing.outdated and standing.outdated.to_json(),
            "wanted": self.wanted,
            "recorded": self.recorded,
            "reported": self.reported,
            "monitoring": self.monitoring,
            "drift": self.drift,
        }


@dataclass(frozen=True, slots=True)
class RecordView:
    """One key of a resource."""

    name: str
    """What it is: ``wanted``, ``job``, ``stack`` …"""
    key: str
    revision: int
    value: Json
    """The JSON inside texts taken out, secrets masked."""

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "key": self.key,
            "revision": self.revision,
            "value": self.value,
        }


def resources(
    snapshot: Snapshot, kind: str | None = None, moment: Moment = UNTIMED
) -> list[ResourceView]:
    """All resources, or those of one type."""
    progress = Progress(snapshot, moment)
    return [
        resource(snapshot, progress, ref)
        for ref in snapshot.refs()
        if kind is None or ref.type == kind
    ]


def resource(snapshot: Snapshot, progress: Progress, ref: Ref) -> ResourceView:
    """One resource."""
    return ResourceView(
        progress.of(ref),
        _wanted(snapshot, ref),
        _recorded(snapshot, ref),
        _reported(snapshot, ref),
        _monitored(snapshot, ref),
        drift=_drifted(snapshot, ref),
        tenant=snapshot.tenant_of(ref),
    )


def _wanted(snapshot: Snapshot, ref: Ref) -> Mapping[str, Json] | None:
    wanted = snapshot.wanted.get(ref)
    if wanted is None:
        return None
    return {
        "version": wanted.version,
        "marked_for_deletion": wanted.marked_for_deletion,
    }


def _recorded(snapshot: Snapshot, ref: Ref) -> Mapping[str, Json] | None:
    stack = snapshot.stacks.get(ref)
    if stack is None:
        return None
    return {
        "stack_status": stack.status,
        "outputs": stack.outputs,
        "tenant_id": stack.tenant,
    }


def _reported(snapshot: Snapshot, ref: Ref) -> Mapping[str, Json] | None:
    state = snapshot.states.get(ref)
    if state is None:
        return None
    return {
        "worker_state": state.worker_state,
        "version": state.version,
        "error": state.error,
    }


def _monitored(snapshot: Snapshot, ref: Ref) -> Json:
    told = snapshot.monitoring.get(ref)
    if told is None:
        return None
    return masking.masked(told.document())


def _drifted(snapshot: Snapshot, ref: Ref) -> Mapping[str, Json] | None:
    drift = snapshot.drift(ref)
    if drift is None:
        return None
    return {
        "kinds": [kind.value for kind in drift.kinds],
        "reason": drift.reason,
        "since": drift.since,
        "accepted": drift.accepted,
    }


# Every record -------------------------------------------------------------------------------------


def records(
    snapshot: Snapshot, ref: Ref, catalogue: Templates = _NO_TEMPLATES
) -> list[RecordView]:
    """Every key there is of one resource, in the order in which they come to be.

    :param catalogue: the templates that serve where etcd has none: they say which parameters are
        secret.
    :raises InvalidInput: nothing is known of it.
    """
    hidden = list(_secrets(snapshot, ref, catalogue))
    found = []
    for name, key in _places(snapshot, ref):
        if kv := snapshot.raw.get(key):
            value = readable(kv.value, hidden)
            found.append(RecordView(name, kv.key, kv.revision, value))
    if not found:
        raise unknown(snapshot.keys, ref)
    return found


def unknown(keys: Keys, ref: Ref) -> InvalidInput:
    """The error of a resource that has no records."""
    return InvalidInput(
        f"nothing is known of {ref}: there is no {config_key(keys, ref)}"
    )


def _places(snapshot: Snapshot, ref: Ref) -> Iterator[tuple[str, str]]:
    """The keys that a resource may have, and what each of them is."""
    keys = snapshot.keys
    yield "wanted", config_key(keys, ref)
    if keys.schemas.get(ref.type) is None:
        return
    yield "handled", keys.below(keys.handled, ref)
    yield "held", keys.below(keys.held, ref)
    for job in snapshot.jobs.values():
        if job.ref == ref:
            yield "job", keys.job(job.id)
    for key in snapshot.raw:
        if key.startswith(keys.runs) and _run_is_of(keys, key, ref):
            yield "run", key
    yield "job state", keys.below(keys.job_states, ref)
    yield "built", keys.below(keys.built, ref)
    yield "stack", keys.below(keys.stacks, ref)
    yield "failed", keys.below(keys.failed, ref)
    yield "state", keys.below(keys.state, ref)
    yield "monitoring", keys.below(keys.monitoring, ref)
    yield "drift", keys.below(keys.drift, ref)


def _run_is_of(keys: Keys, key: str, ref: Ref) -> bool:
    _, _, rest = keys.run_job(key).partition(":heat_worker:")
    return rest.startswith(f"{ref}:") and rest.rsplit(":", 2)[0] == str(ref)


def _secrets(
    snapshot: Snapshot, ref: Ref, catalogue: Templates
) -> Iterator[str]:
    """What must not be shown of a resource, wherever it stands in its records."""
    if ref.type == TEMPLATE_TYPE:
        return
    template = _template(snapshot, ref, catalogue)
    for config in (snapshot.wanted.get(ref), snapshot.handled.get(ref)):
        if config:
            yield from confidential.of_body(config.body, template)
    for job in snapshot.jobs.values():
        if job.ref != ref:
            continue
        if template:
            yield from confidential.of_job(job, template)
        else:
            yield from confidential.by_name(job)


def _template(
    snapshot: Snapshot, ref: Ref, catalogue: Templates
) -> Template | None:
    """The template that was used last for a resource, as far as it can be read."""
    handled = snapshot.handled.get(ref)
    if handled is None:
        return None
    name = handled.template
    known = snapshot.templates.get(name, catalogue.get(name))
    if isinstance(known, Template):
        return known
    return None


def readable(value: bytes, hidden: Collection[str]) -> Json:
    """A value as one wants to read it: JSON inside texts taken out, secrets masked."""
    masked = masking.masked(unfolded(value))
    if hidden:
        return masking.Veil(hidden).over_all(masked)
    return masked
