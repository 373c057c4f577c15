"""Reading a snapshot from the store: of everything, or of some resources and what they wait for.

The second costs the same however many other resources there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from ..clients import places
from ..clients.store import KeyValue, Store
from ..core.jobs import HANDLER, Action
from ..core.keys import Keys
from ..core.refs import Ref
from ..core.templates import TEMPLATE_TYPE
from ..garbage import few_collections
from .snapshot import Snapshot
from .standings import Looked, Progress

FEW = 16
"""Resources up to which each is read by itself. For more than that, everything is read: listing
folders is cheaper for each record than asking for keys."""

FEW_NEEDED = 200
"""The same for the resources that those wait for."""


class Reader(Protocol):
    """Reads a snapshot, and says what a watch has to follow to keep it up to date."""

    def read(self) -> Snapshot:
        """Everything that is needed, at one revision.

        :raises StoreUnavailable: the store does not answer.
        """

    def prefixes(self) -> tuple[str, ...]:
        """The prefixes to watch after the last :meth:`read`."""

    def covers(self, key: str) -> bool:
        """Whether a change of this key concerns the snapshot."""

    def lacks(self, snapshot: Snapshot) -> bool:
        """Whether the judgement of the snapshot now needs what was not read."""


def reader(store: Store, keys: Keys, refs: Sequence[Ref] | None) -> Reader:
    """What reads enough to judge these resources; all there are for None."""
    if refs is None or len(refs) > FEW:
        return ReadAll(store, keys)
    return ReadSome(store, keys, refs)


def read_all(store: Store, keys: Keys) -> Snapshot:
    """Everything, at one revision."""
    return ReadAll(store, keys).read()


def read_some(store: Store, keys: Keys, refs: Sequence[Ref]) -> Snapshot:
    """These resources and what they wait for, at one revision."""
    return reader(store, keys, refs).read()


def read_one(store: Store, keys: Keys, ref: Ref) -> Snapshot:
    """One resource and what it waits for, at one revision; and the template that was used last for
    it."""
    snapshot = read_some(store, keys, [ref])
    handled = snapshot.handled.get(ref)
    if handled is not None and handled.template not in snapshot.templates:
        key = keys.template(handled.template)
        _put(snapshot, _found(store, [key], snapshot.listed_at))
    return snapshot


class ReadAll:
    """Reads every folder."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store, self._keys = store, keys

    def read(self) -> Snapshot:
        snapshot = Snapshot(self._keys)
        with few_collections():
            for folder in self.prefixes():
                snapshot.revision, listed = self._store.list(
                    folder, revision=snapshot.revision
                )
                for kv in listed:
                    snapshot.put(kv)
        snapshot.listed_at = snapshot.revision
        snapshot.follow_types()
        return snapshot

    def prefixes(self) -> tuple[str, ...]:
        keys = self._keys
        return (
            *keys.config_folders,
            keys.state,
            keys.monitoring,
            keys.jobs,
            keys.stacks,
            keys.job_states,
            keys.own,
        )

    def covers(self, key: str) -> bool:
        return True

    def lacks(self, snapshot: Snapshot) -> bool:
        return False


class ReadSome:
    """Reads some resources, and then whatever the judgement of them looks at, until it looks at
    nothing more."""

    def __init__(self, store: Store, keys: Keys, refs: Sequence[Ref]) -> None:
        self._store, self._keys, self._refs = store, keys, refs
        self._known = Looked()
        self._single: set[str] = set()
        """Keys that were read one by one."""
        self._folders: set[str] = set()
        """The beginnings of keys that were listed."""
        self._tenants: dict[Ref, set[str]] = {}
        """The projects in which runs of a resource were looked for."""
        self._all: ReadAll | None = None
        """Reads in our place, once it turns out that too much is needed."""

    def read(self) -> Snapshot:
        if self._all is not None:
            return self._all.read()
        self._known, self._tenants = Looked(), {}
        self._single, self._folders = set(), set()
        snapshot = self._begin()
        needed = Looked(records=set(self._refs), jobs=set(self._refs))
        while self._adds(needed):
            if len(needed.records | needed.jobs) > FEW_NEEDED:
                self._all = ReadAll(self._store, self._keys)
                return self._all.read()
            self._take_in(snapshot, needed)
            needed = _looked_at(snapshot, self._refs)
        return snapshot

    def prefixes(self) -> tuple[str, ...]:
        if self._all is not None:
            return self._all.prefixes()
        return tuple(sorted(self._single | self._folders))

    def covers(self, key: str) -> bool:
        if self._all is not None:
            return True
        return key in self._single or key.startswith(tuple(self._folders))

    def lacks(self, snapshot: Snapshot) -> bool:
        if self._all is not None:
            return False
        if snapshot.keys is not self._keys or self._moved(snapshot):
            return True
        return self._adds(_looked_at(snapshot, self._refs))

    def _moved(self, snapshot: Snapshot) -> bool:
        """Whether a resource may have jobs in a project that nobody has read."""
        return any(
            not tenants.issuperset(_tenants(snapshot, ref))
            for ref, tenants in self._tenants.items()
        )

    def _adds(self, needed: Looked) -> bool:
        """Whether something is needed that was not read."""
        known = self._known
        return not (
            needed.records <= known.records and needed.jobs <= known.jobs
        )

    # Inside ---------------------------------------------------------------------------------------

    def _begin(self) -> Snapshot:
        """What is not about one resource; it says which revision the rest is read at."""
        snapshot = Snapshot(self._keys)
        keys = self._keys
        self._folders.add(keys.schema_list)
        snapshot.revision, _ = self._store.list(keys.leader)
        snapshot.listed_at = snapshot.revision
        self._get(snapshot, self._shared())
        record = snapshot.raw.get(keys.schema_list)
        if record is not None and not snapshot.knows_types(record):
            self._get(snapshot, [keys.schema_data])
            snapshot.follow_types()
            self._keys = snapshot.keys
        return snapshot

    def _shared(self) -> list[str]:
        keys = self._keys
        return [
            keys.leader,
            keys.brake,
            keys.pauses,
            keys.identity_trouble,
            keys.schema_list,
            keys.schema_trouble,
        ]

    def _take_in(self, snapshot: Snapshot, needed: Looked) -> None:
        """Read what is needed and not known."""
        fresh = (needed.records | needed.jobs) - self._known.records
        places.locate(self._store, self._keys, fresh)
        self._get(snapshot, [key for ref in fresh for key in self._of(ref)])
        for ref in sorted(fresh):
            if ref.type == TEMPLATE_TYPE:
                self._list(snapshot, self._keys.revisions_of(ref.id))
        jobs = needed.jobs - self._known.jobs
        for ref in sorted(jobs):
            self._take_in_jobs(snapshot, ref)
        self._known.records |= fresh
        self._known.jobs |= jobs

    def _of(self, ref: Ref) -> Iterator[str]:
        """The keys of one resource's records."""
        keys = self._keys
        if ref.type == TEMPLATE_TYPE:
            yield keys.template(ref.id)
            yield keys.rollout(ref.id)
        if keys.schemas.get(ref.type) is None:
            return
        # Without a place, etcd has no key of the API server for it.
        placed = places.search(self._store, keys, ref)
        folders = (
            keys.config,
            keys.state,
            keys.stacks,
            keys.monitoring,
            keys.handled,
            keys.held,
            keys.failed,
            keys.built,
            keys.drift,
            keys.retries,
            keys.job_states,
        )
        for folder in folders:
            if placed or folder.startswith(keys.own):
                yield keys.below(folder, ref)

    def _take_in_jobs(self, snapshot: Snapshot, ref: Ref) -> None:
        """Read the jobs of a resource, their runs, and what is told of the polls of their
        projects."""
        keys = self._keys
        begins = [f"{action.value}:{HANDLER}:{ref}:" for action in Action]
        for begin in begins:
            self._list(snapshot, keys.jobs + begin)
        tenants = self._tenants[ref] = set(_tenants(snapshot, ref))
        for tenant in sorted(tenants):
            for begin in begins:
                self._list(snapshot, keys.tenant_runs(tenant) + begin)
        self._get(snapshot, [keys.poll(tenant) for tenant in sorted(tenants)])

    def _get(self, snapshot: Snapshot, keys: Iterable[str]) -> None:
        unknown = [key for key in keys if key not in self._single]
        self._single.update(unknown)
        _put(snapshot, _found(self._store, unknown, snapshot.listed_at))

    def _list(self, snapshot: Snapshot, begin: str) -> None:
        if begin in self._folders:
            return
        self._folders.add(begin)
        _, found = self._store.list(begin, revision=snapshot.listed_at)
        _put(snapshot, found)


def _found(
    store: Store, keys: Sequence[str], revision: int
) -> Iterable[KeyValue]:
    """Those of the keys that are there."""
    return store.get_many(keys, revision=revision).values()


def _put(snapshot: Snapshot, found: Iterable[KeyValue]) -> None:
    for kv in found:
        snapshot.put(kv)


def _looked_at(snapshot: Snapshot, refs: Iterable[Ref]) -> Looked:
    """What the judgement of these resources looks at."""
    progress = Progress(snapshot)
    for ref in refs:
        progress.of(ref)
    return progress.looked


def _tenants(snapshot: Snapshot, ref: Ref) -> Iterator[str]:
    """The projects in which a resource may have jobs."""
    if wanted := snapshot.wanted.get(ref):
        yield wanted.tenant
    if handled := snapshot.handled.get(ref):
        yield handled.tenant
    if stack := snapshot.stacks.get(ref):
        yield stack.tenant
    for job in snapshot.jobs.values():
        if job.ref == ref:
            yield job.tenant
