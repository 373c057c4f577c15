"""Earlier revisions of the records of one resource, as far back as etcd has them.

etcd answers what a key was as of a revision. So each key is read as of the revision before its last
write, again and again, until etcd has compacted what is asked for.

etcd does not tell when a key that is absent was there. So such a key is read at the revisions of
the resource's other changes, and 1, 2, 4, 8 … revisions before now. When it was removed is then
found by halving. A resource that lived only between two of these revisions is not found; the
historian's database has it.

Jobs and runs are removed when they have ended. The ``handled`` records name the jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from ..clients.store import Compacted, KeyValue, Store
from ..core.keys import Keys
from ..core.records import UNREADABLE, Handled
from ..core.refs import Ref
from .changes import ChangeKind, HistoryChange, config_key, of_job, records_of

T = TypeVar("T")
Reading: TypeAlias = tuple[str, int]
"""A key, and the revision as of which it is read."""

MOST_REQUESTS = 400
"""Requests for one resource. One takes a millisecond or two."""
_AT_ONCE = 100
"""Readings in one request; etcd takes 128 operations in a transaction."""
_ROUNDS = 3
"""How often what was found is used to find more."""


@dataclass(frozen=True, slots=True)
class Past:
    """What etcd tells of a resource, in order.

    *revision* is etcd's own at the time of reading.
    """

    changes: tuple[HistoryChange, ...]
    revision: int
    compacted: bool = False
    """Whether something older was asked for and etcd had dropped it."""
    cut: bool = False
    """Whether something older was not asked for, to keep the requests few."""


class _Enough(Exception):
    """The requests are used up."""


@dataclass(slots=True)
class _PastReader:
    """Reads keys as of revisions, each once, and counts the requests."""

    store: Store
    floor: int
    """What was before this revision is not asked for."""
    left: int
    """Requests."""
    compacted: int = 0
    """The highest revision that etcd turned out to have dropped."""
    met: bool = False
    """Whether something was asked for that etcd had dropped."""
    known: dict[Reading, KeyValue | None] = field(default_factory=dict)

    def read(self, readings: Iterable[Reading]) -> None:
        """Have *known* hold these, but for those that are not to be had."""
        wanted = [
            reading
            for reading in dict.fromkeys(readings)
            if reading[1] >= max(self.floor, 1) and reading not in self.known
        ]
        for start in range(0, len(wanted), _AT_ONCE):
            self._some(wanted[start : start + _AT_ONCE])

    def one(self, key: str, at: int) -> KeyValue | None:
        self.read([(key, at)])
        return self.known.get((key, at))

    def _some(self, readings: list[Reading]) -> None:
        left = [reading for reading in readings if reading[1] > self.compacted]
        self.met = self.met or len(left) < len(readings)
        if not left:
            return
        if not self.left:
            raise _Enough
        self.left -= 1
        try:
            self.known |= zip(left, self.store.past(left), strict=True)
        except Compacted:
            self._halves(left)

    def _halves(self, readings: list[Reading]) -> None:
        """Some of these are compacted: the newer half first, which may tell it of the older."""
        self.met = True
        revisions = sorted({at for _, at in readings})
        if len(revisions) == 1:
            self.compacted = max(self.compacted, revisions[0])
            return
        middle = revisions[len(revisions) // 2]
        self._some([reading for reading in readings if reading[1] >= middle])
        self._some([reading for reading in readings if reading[1] < middle])


@dataclass(slots=True)
class _Search:
    """The changes of one resource, as far as they are found."""

    reader: _PastReader
    keys: Keys
    ref: Ref
    now: int
    """etcd's revision when the search began."""
    changes: dict[Reading, HistoryChange] = field(default_factory=dict)
    """By key and revision."""

    def lives(self, names: Mapping[str, ChangeKind]) -> None:
        """Every life of these keys that shows at one of the probes."""
        beginning = self.reader.floor
        probes = sorted(
            {self.now, beginning, *self._hints(), *_spread(self.now)}
        )
        self.reader.read((key, at) for key in names for at in probes)
        for key, kind in names.items():
            self._lives_of(key, kind, probes)

    def _hints(self) -> Iterable[int]:
        """What the records of a resource do, they often do together."""
        for _, at in self.changes:
            yield from (at - 1, at)

    def _lives_of(self, key: str, kind: ChangeKind, probes: list[int]) -> None:
        absent, oldest = 0, self.now + 1
        for at in reversed(probes):
            if at >= oldest or (key, at) not in self.reader.known:
                continue
            if self.reader.known[key, at] is None:
                absent = at
                continue
            last = at
            if absent:
                last = self._removed(key, kind, at, absent) - 1
            oldest, absent = self._back(key, kind, last), 0

    def _removed(
        self, key: str, kind: ChangeKind, there: int, absent: int
    ) -> int:
        """The revision at which a key was removed, by halving.

        :param there: a revision at which the key was there.
        :param absent: a later one at which it was not.
        """
        low, high = there, absent
        while high - low > 1:
            middle = (low + high) // 2
            if self.reader.one(key, middle) is None:
                high = middle
            else:
                low = middle
        self.changes[key, high] = HistoryChange(key, kind, self.ref, high)
        return high

    def _back(self, key: str, kind: ChangeKind, last: int) -> int:
        """All versions of one life of a key.

        :param last: the last revision of it that counts.
        :returns: the revision of the oldest version that is to be had.
        """
        oldest = last + 1
        while (kv := self.reader.one(key, oldest - 1)) is not None:
            self.changes[key, kv.revision] = HistoryChange(
                key, kind, self.ref, kv.revision, kv.created, kv.value
            )
            oldest = kv.revision
        return oldest

    def jobs(self) -> dict[str, ChangeKind]:
        """The keys of the jobs that are known by name, and of their runs."""
        found: dict[str, ChangeKind] = {}
        for change in self.changes.values():
            if change.kind is not ChangeKind.HANDLED or change.value is None:
                continue
            handled = _readable(change.value, Handled.from_json)
            if handled is None or of_job(handled.job) != self.ref:
                continue
            found[self.keys.job(handled.job)] = ChangeKind.JOB
            found[self.keys.run(handled.tenant, handled.job)] = ChangeKind.RUN
        return found


def read(
    store: Store,
    keys: Keys,
    ref: Ref,
    *,
    floor: int = 0,
    there: Mapping[str, ChangeKind] | None = None,
    most: int = MOST_REQUESTS,
) -> Past:
    """The changes of a resource's records.

    :param floor: the revision up to which they are known already.
    :param there: the jobs and runs that were there at that revision.
    :param most: requests.
    :raises UnknownPlace: nothing tells where the records lie.
    """
    own = config_key(keys, ref)
    # A listing of nothing, for etcd's revision.
    now = store.list(f"{own}/", keys_only=True)[0]
    reader = _PastReader(store, floor, most)
    search = _Search(reader, keys, ref, now)
    cut = False
    try:
        _search(search, {**records_of(keys, ref), **(there or {})})
    except _Enough:
        cut = True
    changes = (c for c in search.changes.values() if c.revision > floor)
    return Past(
        tuple(sorted(changes, key=lambda change: change.place)),
        now,
        reader.met,
        cut,
    )


def _search(search: _Search, records: Mapping[str, ChangeKind]) -> None:
    names, known = dict(records), -1
    for _ in range(_ROUNDS):
        if len(search.changes) == known:
            return
        known = len(search.changes)
        search.lives(names)
        names |= search.jobs()


def _spread(now: int) -> Iterable[int]:
    """Revisions that lie ever further apart."""
    step = 1
    while step < now:
        yield now - step
        step *= 2


def _readable(value: bytes, parse: Callable[[bytes], T]) -> T | None:
    """A record; None when it cannot be read."""
    try:
        return parse(value)
    except UNREADABLE:
        return None
