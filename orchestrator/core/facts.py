"""Facts: what a key in etcd and its value say, parsed once where they enter.

A listing and a watch bring keys and values.
:func:`of` makes facts of them, and :meth:`~.world.World.apply` takes facts in.
Nothing else changes what the bridge knows of the outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from . import records
from .keys import Keys
from .records import (
    Built,
    Failed,
    Handled,
    Held,
    Run,
    StackRecord,
    StateRecord,
)
from .refs import JobId, Ref
from .resources import Ignored, Rejected, Wanted, parse_config
from .templates import BadTemplate, Template, parse_template_value


class Entry(Protocol):
    """A key as a listing or a watch shows it; a watch shows removed keys too."""

    @property
    def key(self) -> str: ...

    @property
    def value(self) -> bytes | None:
        """None: the key was removed."""

    @property
    def created(self) -> int:
        """The create revision."""

    @property
    def revision(self) -> int:
        """The mod revision; of a removed key, that of the removal."""


# What the API server says ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TemplateChanged:
    """A template below ``/config`` was written, or removed."""

    id: str
    template: Template | BadTemplate | None
    """None: it was removed, and the catalogue's is in force again."""


@dataclass(frozen=True, slots=True)
class ConfigWritten:
    """A config that can be used."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class ConfigUnreadable:
    """A config that cannot be used at all."""

    key: str
    ref: Ref | None
    """The resource of the key; None when the key is of no resource."""
    reason: str
    """What is wrong, for people."""
    revision: int
    """The mod revision."""


@dataclass(frozen=True, slots=True)
class ConfigRemoved:
    """A config is gone."""

    ref: Ref
    revision: int
    """The revision of the removal."""


# What our own records say ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HandledFound:
    """The record of the config that was last turned into a job."""

    ref: Ref
    handled: Handled


@dataclass(frozen=True, slots=True)
class HeldFound:
    """The record of a config that waits."""

    ref: Ref
    held: Held


@dataclass(frozen=True, slots=True)
class FailedFound:
    """The record of a version that failed."""

    ref: Ref
    failed: Failed


@dataclass(frozen=True, slots=True)
class StackFound:
    """The record of a stack."""

    ref: Ref
    stack: StackRecord


@dataclass(frozen=True, slots=True)
class StateFound:
    """The record of a report."""

    ref: Ref
    state: StateRecord
    revision: int
    """The mod revision."""


@dataclass(frozen=True, slots=True)
class BuiltFound:
    """The record of what a stack was built from; None: it is gone, as the stack is."""

    ref: Ref
    built: Built | None


# What the workers say ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunMoved:
    """A worker has moved a job."""

    job: JobId
    tenant: str
    run: Run
    revision: int
    """The mod revision of the run."""


@dataclass(frozen=True, slots=True)
class RunRemoved:
    """A run is gone: the bridge removed it, or etcd with the lease of a worker that died."""

    job: JobId
    tenant: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that a newer release or somebody else wrote. It is left alone."""

    key: str
    reason: str


Fact: TypeAlias = (
    TemplateChanged
    | ConfigWritten
    | ConfigUnreadable
    | ConfigRemoved
    | HandledFound
    | HeldFound
    | FailedFound
    | StackFound
    | StateFound
    | BuiltFound
    | RunMoved
    | RunRemoved
)


def of_config(keys: Keys, entry: Entry) -> Iterator[Fact]:
    """The facts of a key below ``/config``, in the order in which they are to be taken in.

    A template that is a resource as well is two. What is no resource, by its type, is none.
    """
    key, value = entry.key, entry.value
    template_id = keys.template_id(key)
    if template_id is not None and value is not None:
        yield TemplateChanged(
            template_id, parse_template_value(template_id, value)
        )
    ref = _resource(keys, key)
    if value is None:
        if ref is not None:
            yield ConfigRemoved(ref, entry.revision)
        if template_id is not None:
            yield TemplateChanged(template_id, None)
    elif template_id is None or keys.ref(keys.config, key) is not None:
        yield from _written(keys, entry, value, ref)


def _written(
    keys: Keys, entry: Entry, value: bytes, ref: Ref | None
) -> Iterator[Fact]:
    incoming = parse_config(
        keys,
        entry.key,
        value,
        incarnation=entry.created,
        revision=entry.revision,
    )
    match incoming:
        case Wanted():
            yield ConfigWritten(incoming)
        case Rejected():
            yield ConfigUnreadable(
                entry.key, ref, incoming.reason, entry.revision
            )
        case Ignored():
            pass


def _resource(keys: Keys, key: str) -> Ref | None:
    """The resource whose config lies at this key, and nowhere else."""
    ref = keys.ref(keys.config, key)
    if ref is not None and keys.below(keys.config, ref) == key:
        return ref
    return None


def of_run(keys: Keys, entry: Entry) -> RunMoved | RunRemoved | Unreadable:
    """The fact of a run's key."""
    job, tenant = keys.run_job(entry.key), keys.run_tenant(entry.key)
    if entry.value is None:
        return RunRemoved(job, tenant)
    try:
        run = Run.from_json(entry.value)
    except records.UNREADABLE as error:
        return Unreadable(entry.key, repr(error))
    return RunMoved(job, tenant, run, entry.revision)


def of_built(keys: Keys, entry: Entry) -> BuiltFound | Unreadable | None:
    """The fact of the key of what a stack was built from; None when it is nobody's."""
    ref = keys.ref(keys.built, entry.key)
    if ref is None:
        return None
    if entry.value is None:
        return BuiltFound(ref, None)
    try:
        return BuiltFound(ref, Built.from_json(entry.value))
    except records.UNREADABLE as error:
        return Unreadable(entry.key, repr(error))
