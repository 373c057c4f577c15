"""Until nothing is in progress any more: a snapshot, kept up to date by the store's watch, judged
after each change."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.text import Text

from ..clients.store import Event, Store, Watch
from ..core.keys import Keys
from ..core.refs import Json, Ref
from ..errors import InvalidInput
from . import documents
from . import snapshot as snapshots
from .exits import Exit
from .output import (
    BAD,
    BUSY,
    DOUBT,
    FAINT,
    GOOD,
    Section,
    console,
    count,
    duration,
    hint,
    on_terminal,
    seen,
)
from .progress import Phase, Progress, Standing
from .snapshot import Snapshot

_QUIET = 2.0
"""Seconds without a change after which etcd is asked whether it is still there.

With the patience of a read (:data:`.session.PATIENCE`), an etcd that froze costs a command 5 s.
"""

_ANSWER = 5.0
"""Seconds that the question may take: with fewer left it is not asked, so that --timeout is kept.
"""

_ENDED_WELL = (Phase.COMPLETE, Phase.DELETED)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is waited for.

    *refs* are the resources; without them it is all there are, or all of type *kind*. With *gone*,
    nothing may be left of them.
    """

    refs: Sequence[Ref] | None = None
    kind: str = ""
    gone: bool = False

    def among(self, known: Sequence[Ref]) -> list[Ref]:
        """Those that are there."""
        if self.refs is not None:
            there = set(known)
            return [ref for ref in self.refs if ref in there]
        return [ref for ref in known if not self.kind or ref.type == self.kind]


def goal_of(
    store: Store, keys: Keys, kind: str | None, resource_id: str | None
) -> Goal:
    """What a command line means: everything, one type, or one resource.

    :raises InvalidInput: there is no such type, or nothing is known of such a resource.
    """
    if kind is None:
        return Goal()
    if resource_id is None:
        return Goal(kind=documents.check_type(keys, kind))
    ref = documents.place(
        store, keys, documents.resource(keys, kind, resource_id)
    )
    if ref not in snapshots.load(store, keys).refs():
        key = documents.config_key(keys, ref)
        raise InvalidInput(f"nothing is known of {ref}: there is no {key}")
    return Goal([ref])


@dataclass(frozen=True, slots=True)
class Outlook:
    """How far it has come."""

    good: tuple[Standing, ...] = ()
    bad: tuple[Standing, ...] = ()
    moving: tuple[Standing, ...] = ()
    seconds: float = 0.0

    @property
    def over(self) -> bool:
        return not self.moving

    @property
    def exit(self) -> Exit:
        return (
            Exit.TIMEOUT
            if self.moving
            else Exit.PROBLEM
            if self.bad
            else Exit.OK
        )


def outlook(snapshot: Snapshot, goal: Goal) -> Outlook:
    """The resources of the goal, sorted by whether they have ended."""
    progress = Progress(snapshot)
    good: list[Standing] = []
    bad: list[Standing] = []
    moving: list[Standing] = []
    for ref in goal.among(snapshot.refs()):
        standing = progress.of(ref)
        if standing.moving or (goal.gone and standing.phase in _ENDED_WELL):
            moving.append(standing)
        elif standing.phase in _ENDED_WELL:
            good.append(standing)
        else:
            bad.append(standing)
    return Outlook(tuple(good), tuple(bad), tuple(moving))


# Following ----------------------------------------------------------------------------------------


class Follower:
    """A snapshot and the changes since."""

    def __init__(self, snapshot: Snapshot, watch: Watch) -> None:
        self.snapshot = snapshot
        self._watch = watch
        self._inbox: queue.SimpleQueue[Sequence[Event] | Exception] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._listen, name="watch", daemon=True).start()

    def _listen(self) -> None:
        try:
            for events in self._watch:
                if events:
                    self._inbox.put(events)
        except (
            Exception
        ) as error:  # Carried over to the thread that waits, and raised there.
            self._inbox.put(error)

    def restart(self, snapshot: Snapshot) -> None:
        """Go on from a newer listing; what the watch still brings from before it is skipped."""
        self.snapshot = snapshot

    def next(self, timeout: float | None) -> bool:
        """Take in what has changed; waits for it up to *timeout* seconds. Whether anything has.

        :raises StoreUnavailable: the watch cannot go on.
        """
        try:
            batch = self._inbox.get(timeout=timeout)
        except queue.Empty:
            return False
        while True:
            if isinstance(batch, Exception):
                raise batch
            self.snapshot.take(batch)
            if self._inbox.empty():
                return True
            batch = self._inbox.get()


@contextmanager
def follow(store: Store, keys: Keys) -> Iterator[Follower]:
    """A snapshot that keeps up to date for as long as the block lasts."""
    snapshot = snapshots.load(store, keys)
    watch = store.watch(snapshots.folders(keys), snapshot.revision + 1)
    try:
        yield Follower(snapshot, watch)
    finally:
        watch.close()


def until(
    store: Store,
    keys: Keys,
    goal: Goal,
    timeout: float | None,
    tell: Callable[[Outlook, Snapshot], None] = lambda *_: None,
) -> Outlook:
    """The outlook once nothing of the goal moves any more, or the time is over.

    :param timeout: seconds; None: for ever.
    :param tell: called with every outlook on the way.
    :raises StoreUnavailable: etcd does not answer, or the watch cannot go on.
    """
    started = quiet_since = time.monotonic()
    end = None if timeout is None else started + timeout
    with follow(store, keys) as follower:
        while True:
            found = replace(
                outlook(follower.snapshot, goal),
                seconds=time.monotonic() - started,
            )
            tell(found, follower.snapshot)
            if found.over:
                # The watch brings what one transaction wrote folder by folder: only a listing is of
                # one moment.
                follower.restart(snapshots.load(store, keys))
                found = replace(
                    outlook(follower.snapshot, goal), seconds=found.seconds
                )
                if found.over:
                    return found
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return found
            if follower.next(1.0 if left is None else min(left, 1.0)):
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > _QUIET and (
                left is None or left > _ANSWER
            ):
                # A watch repairs itself for ever; a person wants to know that etcd is away.
                store.get(keys.leader)
                quiet_since = time.monotonic()


# Telling ------------------------------------------------------------------------------------------


def until_told(
    store: Store, keys: Keys, goal: Goal, timeout: float | None
) -> Outlook:
    """Wait, and on a terminal show how far it has come."""
    return (
        _with_spinner(store, keys, goal, timeout)
        if on_terminal()
        else until(store, keys, goal, timeout, _Warn(goal))
    )


class _Warn:
    """Says on stderr what the outlook does not: that nobody works, and what nobody looks at."""

    def __init__(self, goal: Goal) -> None:
        self._everything = goal.refs is None and not goal.kind
        self._no_leader = self._rejected = False

    def __call__(self, found: Outlook, snapshot: Snapshot) -> None:
        if found.moving and snapshot.leader is None and not self._no_leader:
            self._no_leader = True
            hint(
                "No bridge leads; nothing will happen before `orchestrator bridge`"
                " runs."
            )
        if self._everything and snapshot.rejected and not self._rejected:
            self._rejected = True
            keys = count(len(snapshot.rejected), "key")
            hint(
                f"The bridge rejects {keys}, such as one of an unknown type: see"
                " `orchestrator status`."
            )


def _with_spinner(
    store: Store, keys: Keys, goal: Goal, timeout: float | None
) -> Outlook:
    warn = _Warn(goal)
    with console().status(Text("Waiting …")) as spinner:

        def tell(found: Outlook, snapshot: Snapshot) -> None:
            warn(found, snapshot)
            spinner.update(seen(sentence(found)))

        return until(store, keys, goal, timeout, tell)


def sentence(found: Outlook) -> Text:
    """One line on how far it has come."""
    total = len(found.good) + len(found.bad) + len(found.moving)
    running = [
        str(standing.ref)
        for standing in found.moving
        if standing.phase is Phase.RUNNING
    ]
    more = f" and {len(running) - 3} more" if len(running) > 3 else ""
    text = Text.assemble((f"{len(found.good)} of {total} complete", GOOD))
    if found.bad:
        text.append(f", {len(found.bad)} failed or held", BAD)
    if running:
        text.append(f", running: {', '.join(running[:3])}{more}", BUSY)
    return text.append(f"  {duration(found.seconds)}", FAINT)


def summary(found: Outlook) -> list[Section | Text]:
    """How it ended."""
    parts = troubles(found)
    took = duration(found.seconds)
    if found.moving:
        parts.append(
            Text(
                f"Time is over after {took}: {count(len(found.moving), 'resource')}"
                " still in progress.",
                DOUBT,
            )
        )
    elif found.bad:
        failed = f"{count(len(found.bad), 'resource')} failed or held back"
        parts.append(
            Text(f"{failed}, {len(found.good)} complete, after {took}.", BAD)
        )
    elif not found.good:
        parts.append(Text("Nothing is left to wait for.", GOOD))
    else:
        parts.append(
            Text(
                f"{count(len(found.good), 'resource')} complete after {took}.",
                GOOD,
            )
        )
    return parts


def troubles(found: Outlook) -> list[Section | Text]:
    """What did not end well, and what did not end."""
    rows = [
        (str(standing.ref), Text(standing.phase.value, style), standing.reason)
        for style, standings in ((BAD, found.bad), (BUSY, found.moving))
        for standing in standings
    ]
    return (
        [
            Section(
                "",
                ("resource", "is", "because"),
                rows,
                wide=frozenset({"because"}),
            )
        ]
        if rows
        else []
    )


def as_document(found: Outlook) -> dict[str, Json]:
    return {
        "result": {
            Exit.OK: "complete",
            Exit.PROBLEM: "failed",
            Exit.TIMEOUT: "timeout",
        }[found.exit],
        "seconds": round(found.seconds, 3),
        "complete": [str(good.ref) for good in found.good],
        "failed": [_entry(bad) for bad in found.bad],
        "in_progress": [_entry(left) for left in found.moving],
    }


def _entry(standing: Standing) -> dict[str, Json]:
    return {
        "type": standing.ref.type,
        "id": standing.ref.id,
        "phase": standing.phase.value,
        "reason": standing.reason,
    }
