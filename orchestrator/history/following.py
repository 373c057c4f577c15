"""The historian: it follows etcd's watch into the database.

It begins where the database ends. Where etcd was compacted meanwhile, it says so in one row, lists
everything as of the oldest revision that is left, and goes on from there: so no more is lost than
etcd has dropped. On an etcd that it sees for the first time that is the beginning.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..clients.store import Compacted, Event, KeyValue, Store, Watch
from ..clients.types import Types
from ..core.backoff import Backoff
from ..core.keys import Keys, is_text
from ..errors import TemporaryError
from ..events import EventName, count
from .changes import Gap, HistoryChange, classify
from .database.retention import Retention, prune
from .database.writing import ChangeWriter, HistoryWitness, State
from .measuring import HistorianMetrics

log = logging.getLogger(__name__)

GATHERED = 1.0
"""Seconds for which changes are gathered before they are written together."""
MOST = 2000
"""Changes in one transaction, about."""
_WAITING = 200
"""Answers of etcd that wait to be written. Then no more are taken from it."""
_BACKOFF = Backoff(initial=0.5, maximum=15.0, jitter=0.5)
"""Seconds between two starts after something did not answer."""
PRUNED_EVERY = 600.0
"""Interval, in seconds, at which old changes are dropped."""

COMPACTED = "etcd was compacted before the historian had seen these revisions"
BEGUN = "the historian began here; of earlier revisions etcd had only the last"
RESTORED = "etcd was restored from a backup, or is another one"


def folders(keys: Keys) -> tuple[str, ...]:
    """What is followed."""
    return (
        *keys.config_folders,
        keys.state,
        keys.monitoring,
        keys.jobs,
        keys.stacks,
        keys.job_states,
        keys.own,
    )


def is_recorded(keys: Keys, key: str) -> bool:
    """Whether a key is of interest later: not what only says that a process is alive."""
    left_out = (
        keys.leader,
        keys.schema_data,
        keys.logins,
        keys.polls,
        keys.workers,
        keys.bridges,
        f"{keys.own}doctor/",
    )
    return is_text(key) and "\0" not in key and not key.startswith(left_out)


@dataclass(frozen=True, slots=True)
class Brought:
    """What a watch has brought, when, and how far it is complete."""

    events: Sequence[Event]
    reached: Mapping[str, int]
    seen: float


class Feed:
    """A watch, read in a thread of its own, so that what comes together is written together."""

    def __init__(
        self,
        watch: Watch,
        clock: Callable[[], float],
        metrics: HistorianMetrics,
    ) -> None:
        self._watch, self._clock, self._metrics = watch, clock, metrics
        self._brought: queue.Queue[Brought | Exception] = queue.Queue(_WAITING)
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=self._listen, name="historian-watch", daemon=True
        )
        self._thread.start()

    def _listen(self) -> None:
        try:
            for events in self._watch:
                reached = self._watch.reached
                newest = max((event.revision for event in events), default=0)
                self._metrics.read(newest, len(events))
                self._put(Brought(events, reached, self._clock()))
        except Exception as error:
            self._put(error)

    def _put(self, item: Brought | Exception) -> None:
        while not self._closed.is_set():
            try:
                self._brought.put(item, timeout=0.5)
                return
            except queue.Full:
                continue

    def take(self, stopping: threading.Event) -> list[Brought]:
        """What came within the next second; empty when nothing did.

        :raises Exception: what ended the watch, once all before it was taken.
        """
        found: list[Brought] = []
        end = time.monotonic() + GATHERED
        count = 0
        while count < MOST and not stopping.is_set():
            try:
                item = self._brought.get(timeout=max(end - time.monotonic(), 0))
            except queue.Empty:
                break
            if isinstance(item, Exception):
                if not found:
                    raise item
                self._put(item)
                break
            found.append(item)
            count += len(item.events)
        return found

    def close(self) -> None:
        self._closed.set()
        self._watch.close()


class Historian:
    """Follows one etcd into one database."""

    def __init__(
        self,
        store: Store,
        types: Types,
        recorder: ChangeWriter,
        keep: Retention,
        clock: Callable[[], float] = time.time,
        metrics: HistorianMetrics | None = None,
    ) -> None:
        self._metrics = metrics or HistorianMetrics()
        self._store, self._types, self._recorder = store, types, recorder
        self._keep, self._clock = keep, clock
        self._pruned = float("-inf")

    def run(self, stopping: threading.Event) -> None:
        """Until *stopping* is set. What does not answer is waited for."""
        failures = 0
        while not stopping.is_set():
            try:
                self._session(stopping)
                failures = 0
            except TemporaryError as error:
                failures += 1
                pause = _BACKOFF.interval(failures)
                count(EventName.HISTORIAN_WAITS)
                log.warning(
                    "Historian waits",
                    extra={
                        "event": "historian_waits",
                        "reason": str(error)[:500],
                        "seconds": round(pause, 1),
                    },
                )
                stopping.wait(pause)

    def _session(self, stopping: threading.Event) -> None:
        """Follow from where the database ends, until something is in doubt."""
        keys = self._types.refresh().keys
        now = self._store.list(f"{keys.own}historian/", keys_only=True)[0]
        state = self._recorder.state()
        if why := self._other_history(state, now):
            self._pass_gap(
                keys, state, now, why, generation=state.generation + 1
            )
            return
        if not state.cluster:
            self._recorder.meet(self._store.cluster)
        feed = self._feed(folders(keys), state.positions, now)
        try:
            self._follow(keys, state.generation, feed, now, stopping)
        except Compacted as error:
            oldest = error.at or now
            why = COMPACTED if state.positions else BEGUN
            self._pass_gap(
                keys, state, oldest, why, generation=state.generation
            )
        finally:
            feed.close()

    def _feed(
        self, prefixes: Sequence[str], positions: Mapping[str, int], now: int
    ) -> Feed:
        """A watch of each prefix from where the database ends.

        :param now: etcd's revision.
        """
        first = min(positions.get(prefix, 0) for prefix in prefixes) + 1
        later = {
            prefix: revision + 1
            for prefix, revision in positions.items()
            if prefix in prefixes
        }
        watch = self._store.watch(prefixes, first, later)
        count(EventName.HISTORIAN_FOLLOWS)
        log.info(
            "Historian follows etcd",
            extra={
                "event": "historian_follows",
                "revision": first,
                "behind": max(now - first + 1, 0),
            },
        )
        self._metrics.follows(positions)
        return Feed(watch, self._clock, self._metrics)

    def _follow(
        self,
        keys: Keys,
        generation: int,
        feed: Feed,
        start: int,
        stopping: threading.Event,
    ) -> None:
        """:param start: etcd's revision at the beginning: what is older is seen late."""
        reached: Mapping[str, int] = {}
        while not stopping.is_set():
            self._prune()
            brought = feed.take(stopping)
            found = [
                change
                for one in brought
                for change in _changes(keys, one, start, generation)
            ]
            if not brought or (not found and brought[-1].reached == reached):
                continue
            reached = brought[-1].reached
            if self._recorder.write(generation, found, reached) < 0:
                return
            read = sum(len(one.events) for one in brought)
            self._metrics.wrote(read, len(found), reached)
            if any(_is_newer_list(keys, change) for change in found):
                return

    # Gaps -----------------------------------------------------------------------------------------

    def _other_history(self, state: State, now: int) -> str:
        """Why etcd has another history than the database; empty when it has the same."""
        cluster = self._store.cluster
        if state.cluster and cluster != state.cluster:
            return (
                f"{RESTORED}: its cluster id is {cluster}, not {state.cluster}"
            )
        reached = max(state.positions.values(), default=0)
        if now < reached:
            return f"{RESTORED}: it is at revision {now}, and was at {reached}"
        if state.witness is not None and not self._has(state.witness):
            at = state.witness.revision
            return f"{RESTORED}: it does not know what was written at {at}"
        return ""

    def _has(self, witness: HistoryWitness) -> bool:
        """Whether etcd knows a change that the database has. What is compacted proves nothing."""
        try:
            (kv,) = self._store.past([(witness.key, witness.revision)])
        except Compacted:
            return True
        return (
            kv is not None
            and kv.revision == witness.revision
            and kv.value == witness.value
        )

    def _pass_gap(
        self, keys: Keys, state: State, last: int, why: str, *, generation: int
    ) -> None:
        """Go on after revisions that nobody can tell any more."""
        known: Mapping[str, int] = {}
        if generation == state.generation:
            known = state.positions
        behind = [p for p in folders(keys) if known.get(p, 0) < last]
        first = min(known.get(prefix, 0) for prefix in behind) + 1
        gap = Gap(first, last, self._clock(), why, generation)
        present = {
            prefix: self._list(keys, prefix, known.get(prefix, 0), gap)
            for prefix in behind
        }
        if self._recorder.close_gap(gap, state, present, self._store.cluster):
            count(EventName.HISTORIAN_GAP)
            log.warning(
                "Historian has missed revisions",
                extra={
                    "event": "historian_gap",
                    "first": first,
                    "last": last,
                    "reason": why,
                },
            )

    def _list(self, keys: Keys, prefix: str, floor: int, gap: Gap) -> set[str]:
        """Write what a prefix holds at the end of a gap. Returns all its keys.

        :param floor: the revision up to which the database has all changes of the prefix.
        """
        present: set[str] = set()
        for part in _parts(self._store.scan(prefix, gap.last)):
            present.update(kv.key for kv in part)
            listed = [
                _listed(keys, kv, gap.seen, gap.generation)
                for kv in part
                if kv.revision > floor and is_recorded(keys, kv.key)
            ]
            self._recorder.list(gap.generation, listed)
        return present

    # Retention ------------------------------------------------------------------------------------

    def _prune(self) -> None:
        if time.monotonic() - self._pruned < PRUNED_EVERY:
            return
        self._pruned = time.monotonic()
        recorder = self._recorder
        dropped = prune(
            recorder.engine, recorder.address, self._keep, self._clock()
        )
        if dropped:
            count(EventName.HISTORIAN_PRUNED)
            log.info(
                "Historian dropped old changes",
                extra={"event": "historian_pruned", "changes": dropped},
            )


def _is_newer_list(keys: Keys, change: HistoryChange) -> bool:
    """Whether a schema list was stored after the one by which we follow."""
    newer = change.revision > keys.schemas.origin.revision
    return newer and change.key == keys.schema_list and change.value is not None


def _changes(
    keys: Keys, brought: Brought, start: int, generation: int
) -> Iterator[HistoryChange]:
    for event in brought.events:
        if not is_recorded(keys, event.key):
            continue
        kind, ref = classify(keys, event.key)
        yield HistoryChange(
            event.key,
            kind,
            ref,
            event.revision,
            event.created,
            event.value,
            brought.seen,
            late=event.revision <= start,
            generation=generation,
        )


def _listed(
    keys: Keys, kv: KeyValue, seen: float, generation: int
) -> HistoryChange:
    kind, ref = classify(keys, kv.key)
    return HistoryChange(
        kv.key,
        kind,
        ref,
        kv.revision,
        kv.created,
        kv.value,
        seen,
        late=True,
        listed=True,
        generation=generation,
    )


def _parts(found: Iterator[KeyValue]) -> Iterator[list[KeyValue]]:
    part: list[KeyValue] = []
    for kv in found:
        part.append(kv)
        if len(part) == MOST:
            yield part
            part = []
    yield part
