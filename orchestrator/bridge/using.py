"""Which types etcd holds resources of: a schema list that lacks one of them must not be led with.

Its resources would have no type any more. Their configs would be rejected, their jobs would never
end, and their stacks would be nobody's. A token whose role sees fewer types gets just such a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..clients.store import Store
from ..core.jobs import Job, job_ref
from ..core.keys import Keys
from ..core.records import Handled, StackRecord
from ..core.refs import Ref
from ..core.schema_list import not_at_home
from ..core.schemas import ResourceType, Schemas

_NAMED = 3
"""How many resources, and types, a sentence names."""
_READ = 1000
"""How many records of no known type are read."""


def types_missing(store: Store, keys: Keys, before: Schemas | None) -> str:
    """Why a schema list cannot be led with: it lacks types that etcd holds resources of. Empty
    when it can.

    :param keys: by the new list.
    :param before: the list in force; without one, records of ours say what there is.
    """
    if before is None:
        faults = list(_missing_by_records(store, keys))
    else:
        old = Keys(keys.prefixes, before)
        faults = list(_missing_since(store, old, keys.schemas))
    more = (
        f"; and so of {len(faults) - _NAMED} more types"
        if len(faults) > _NAMED
        else ""
    )
    return "; ".join(faults[:_NAMED]) + more


# Against the list in force ------------------------------------------------------------------------


def _missing_since(store: Store, old: Keys, new: Schemas) -> Iterator[str]:
    for kind in not_at_home(old.schemas, new):
        if kind.is_resource and (resources := _resources_of(store, old, kind)):
            yield _sentence(kind, new.get(kind.id), resources)


def _resources_of(store: Store, keys: Keys, kind: ResourceType) -> list[Ref]:
    """The resources of a type that have a config, a report, a stack, a record of ours or a job."""
    found: dict[Ref, None] = {}
    for folder in (keys.config, keys.state, keys.stacks, keys.handled):
        for kv in store.list(_folder_of(keys, folder, kind), keys_only=True)[1]:
            if (
                ref := keys.ref(folder, kv.key)
            ) is not None and ref.type == kind.id:
                found[ref] = None
    for kv in store.list(keys.jobs, keys_only=True)[1]:
        if (ref := _job_ref(keys, kv.key)) is not None and ref.type == kind.id:
            found[ref] = None
    return sorted(found)


def _folder_of(keys: Keys, folder: str, kind: ResourceType) -> str:
    """Where all keys of a type lie, and perhaps others."""
    if kind.key_template is None or folder.startswith(keys.own):
        return f"{folder}{kind.path}/"
    root = "/" if kind.outside_config and folder == keys.config else folder
    return f"{root}{kind.pattern.folder}/"


def _sentence(
    kind: ResourceType, other: ResourceType | None, resources: list[Ref]
) -> str:
    number = len(resources)
    names = ", ".join(ref.id for ref in resources[:_NAMED]) + (
        ", …" if number > _NAMED else ""
    )
    there = f"etcd holds {number} resource{'' if number == 1 else 's'} of it ({names})"
    if other is None:
        return (
            f"it lacks type {kind.id}, and {there}: let the token's role read the type,"
            " or put it back; if it is to go, delete its resources first"
        )
    if kind.is_resource and not other.is_resource:
        now = "is no resource any more (nosync, sync_plain or sync_property)"
    else:
        now = f"moves from /{kind.pattern} to /{other.pattern}"
    return f"type {kind.id} {now}, and {there}: delete them first"


# Without one --------------------------------------------------------------------------------------


def _missing_by_records(store: Store, keys: Keys) -> Iterator[str]:
    """What our own records say; what is none of ours is left alone."""
    told: set[str] = set()
    for kind, key in _named_types(store, keys):
        if kind not in told:
            told.add(kind)
            yield (
                f"it lacks type {kind}, and etcd holds the record {key} of it: "
                "is ORCHESTRATOR_SCHEMAS right, and may its reader see that type?"
            )


def _named_types(store: Store, keys: Keys) -> Iterator[tuple[str, str]]:
    """The types that are named in records and are not at home in the list, each with a key."""
    jobs = (kv.key for kv in store.list(keys.jobs, keys_only=True)[1])
    of = {key: _job_ref(keys, key) for key in jobs}
    strange = [
        key
        for key, ref in of.items()
        if ref and keys.schemas.get(ref.type) is None
    ]
    for kv in store.get_many(strange[:_READ]).values():
        if kind := _type_in_job(kv.value):
            yield kind, kv.key
    for folder, read in (
        (keys.stacks, _type_in_stack),
        (keys.handled, _type_in_handled),
    ):
        listed = [kv.key for kv in store.list(folder, keys_only=True)[1]]
        for kv in store.get_many(_worth_reading(keys, folder, listed)).values():
            kind, ref = read(kv.value), keys.ref(folder, kv.key)
            if kind and (ref is None or ref.type != kind):
                yield kind, kv.key


def _worth_reading(keys: Keys, folder: str, listed: Iterable[str]) -> list[str]:
    """The keys of no type, and one of each type: the record says whether it is that type's."""
    strange: list[str] = []
    known: dict[str, str] = {}
    for key in listed:
        ref = keys.ref(folder, key)
        if ref is None:
            strange.append(key)
        else:
            known.setdefault(ref.type, key)
    return [*strange[:_READ], *known.values()]


def _job_ref(keys: Keys, key: str) -> Ref | None:
    try:
        return job_ref(keys.job_id(key))
    except (ValueError, IndexError):
        return None


def _type_in_job(value: bytes) -> str:
    try:
        return Job.from_json(value).ref.type
    except (ValueError, KeyError, TypeError):
        return ""


def _type_in_stack(value: bytes) -> str:
    try:
        return StackRecord.from_json(value).id.partition(":")[0]
    except (ValueError, KeyError, TypeError):
        return ""


def _type_in_handled(value: bytes) -> str:
    try:
        handled = Handled.from_json(value)
        return (
            job_ref(handled.sent or handled.job).type
            if handled.sent or handled.job
            else ""
        )
    except (ValueError, KeyError, TypeError, IndexError):
        return ""
