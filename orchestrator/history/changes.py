"""A change of one record in etcd: which kind of record it is, and which resource it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..core.jobs import job_ref
from ..core.keys import Keys, UnknownPlace, is_text
from ..core.refs import JobId, Ref
from ..core.schemas import HEAT_TEMPLATES_PATH
from ..core.templates import TEMPLATE_TYPE


class ChangeKind(StrEnum):
    """The kinds of records, by the folder of their keys."""

    CONFIG = "config"
    """The wanted configuration of a resource, or a template."""
    HANDLED = "handled"
    HELD = "held"
    DRIFT = "drift"
    JOB = "job"
    RUN = "run"
    JOB_STATE = "job state"
    STACK = "stack"
    STATE = "state"
    FAILED = "failed"
    BUILT = "built"
    MONITORING = "monitoring"
    RETRY = "retry"
    """A request of a person to the leading bridge."""
    VERB = "verb"
    """What a person asked for by a command, and its outcome."""
    LEFT = "left"
    """What was left in Heat by a person."""
    OTHER = "other"
    """A record of our own that belongs to no resource, or that this release does not know."""


@dataclass(frozen=True, slots=True)
class HistoryChange:
    """A record as it was written at one revision, or its removal."""

    key: str
    kind: ChangeKind
    ref: Ref | None
    """The resource; None where the key names none."""
    revision: int
    """etcd's mod revision; of a removal, that of the removal."""
    created: int = 0
    """etcd's create revision; 0 of a removal."""
    value: bytes | None = None
    """None: the record was removed."""
    seen: float | None = None
    """When a historian saw it, in seconds since the epoch by its clock. The change is no younger
    than that. None: only etcd told of it, and etcd keeps no times."""
    late: bool = False
    """Whether the historian saw it when it caught up, so that the change may be much older."""
    listed: bool = False
    """Whether it was found in a listing. Of a removal the revision is then that of the listing."""
    generation: int = 0
    """The number of etcd's history; it rises when etcd is restored from a backup."""

    @property
    def place(self) -> tuple[int, int, str]:
        """What changes are sorted by: the order in which they happened."""
        return (self.generation, self.revision, self.key)


@dataclass(frozen=True, slots=True)
class Gap:
    """Revisions that nobody has seen, from *first* to *last*."""

    first: int
    last: int
    seen: float
    """When the historian noticed, in seconds since the epoch."""
    reason: str
    """For people."""
    generation: int = 0


def config_key(keys: Keys, ref: Ref) -> str:
    """Where the wanted configuration lies; also of a template whose type the schema list does not
    name.

    :raises UnknownPlace: the key is made of more than the id, and nothing has told the rest.
    """
    if keys.schemas.get(ref.type) is None and ref.type == TEMPLATE_TYPE:
        return keys.template(ref.id)
    return keys.below(keys.config, ref)


def folders(keys: Keys) -> Mapping[str, ChangeKind]:
    """The folders whose keys name their resource."""
    return {
        keys.state: ChangeKind.STATE,
        keys.monitoring: ChangeKind.MONITORING,
        keys.stacks: ChangeKind.STACK,
        keys.job_states: ChangeKind.JOB_STATE,
        keys.handled: ChangeKind.HANDLED,
        keys.held: ChangeKind.HELD,
        keys.failed: ChangeKind.FAILED,
        keys.built: ChangeKind.BUILT,
        keys.retries: ChangeKind.RETRY,
        keys.left: ChangeKind.LEFT,
        keys.drift: ChangeKind.DRIFT,
    }


def records_of(keys: Keys, ref: Ref) -> dict[str, ChangeKind]:
    """The keys of a resource that are known by its name: all but those of its jobs and runs."""
    found = {config_key(keys, ref): ChangeKind.CONFIG}
    if keys.schemas.get(ref.type) is None:
        return found
    for folder, kind in folders(keys).items():
        try:
            found[keys.below(folder, ref)] = kind
        except UnknownPlace:
            continue
    return found


def classify(keys: Keys, key: str) -> tuple[ChangeKind, Ref | None]:
    """The kind of record at a key, and the resource that it belongs to."""
    if not is_text(key):
        return ChangeKind.OTHER, None
    if keys.is_config(key):
        return ChangeKind.CONFIG, _config_ref(keys, key)
    if key.startswith(keys.jobs):
        return ChangeKind.JOB, of_job(keys.job_id(key))
    if key.startswith(keys.runs):
        return ChangeKind.RUN, of_job(keys.run_job(key))
    if key.startswith(keys.audits):
        return ChangeKind.VERB, _audited(keys, key)
    for folder, kind in folders(keys).items():
        if key.startswith(folder):
            return kind, keys.ref(folder, key)
    return ChangeKind.OTHER, None


def verbs_of(keys: Keys, ref: Ref) -> str:
    """What the keys of the records of verbs on a resource begin with."""
    return keys.audit(ref, "")


def _audited(keys: Keys, key: str) -> Ref | None:
    """The resource that the record of a verb is about; None: no single one."""
    folder = f"{keys.audits}{HEAT_TEMPLATES_PATH}/"
    if key.startswith(folder):
        template = key.removeprefix(folder).rpartition("/")[0]
        return Ref(TEMPLATE_TYPE, template)
    return keys.ref(keys.audits, key.rpartition("/")[0])


def _config_ref(keys: Keys, key: str) -> Ref | None:
    ref = keys.ref(keys.config, key)
    if ref is None and (template := keys.template_id(key)):
        return Ref(TEMPLATE_TYPE, template)
    return ref


def of_job(job: JobId) -> Ref | None:
    """The resource of a job, from its id; None where the id is none of ours."""
    try:
        return job_ref(job)
    except ValueError:
        return None
