"""Until nothing is in progress any more: a snapshot, kept up to date by the store's watch, judged after each change."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.text import Text

from ..clients.store import Event, Store, Watch
from ..core.keys import Keys
from ..core.refs import Json, Ref
from . import snapshot as snapshots
from .exits import Exit
from .output import BAD, BUSY, DOUBT, FAINT, GOOD, Format, Section, console, count, duration, emit, hint, on_terminal, show
from .progress import Phase, Progress, Standing
from .snapshot import Snapshot

_QUIET = 10.0
"""Seconds without a change after which etcd is asked whether it is still there."""

_ENDED_WELL = (Phase.COMPLETE, Phase.DELETED)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is waited for.

    *refs* are the resources, None for all there are. With *gone*, nothing may be left of them.
    """

    refs: Sequence[Ref] | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Outlook:
    """How far it has come."""

    good: tuple[Standing, ...] = ()
    bad: tuple[Standing, ...] = ()
    moving: tuple[Standing, ...] = ()

    @property
    def over(self) -> bool:
        return not self.moving

    @property
    def exit(self) -> Exit:
        return Exit.TIMEOUT if self.moving else Exit.PROBLEM if self.bad else Exit.OK


def outlook(snapshot: Snapshot, goal: Goal) -> Outlook:
    """The resources of the goal, sorted by whether they have ended."""
    progress = Progress(snapshot)
    known = set(snapshot.refs())
    refs = snapshot.refs() if goal.refs is None else [ref for ref in goal.refs if ref in known]
    good: list[Standing] = []
    bad: list[Standing] = []
    moving: list[Standing] = []
    for ref in refs:
        standing = progress.of(ref)
        if standing.moving:
            moving.append(standing)
        elif goal.gone and standing.phase in _ENDED_WELL:
            moving.append(standing)
        elif standing.phase in _ENDED_WELL:
            good.append(standing)
        else:
            bad.append(standing)
    return Outlook(tuple(good), tuple(bad), tuple(moving))


# Following -----------------------------------------------------------------------------------------


class Follower:
    """A snapshot and the changes since."""

    def __init__(self, snapshot: Snapshot, watch: Watch) -> None:
        self.snapshot = snapshot
        self._watch = watch
        self._inbox: queue.SimpleQueue[Sequence[Event] | Exception] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="watch", daemon=True).start()

    def _listen(self) -> None:
        try:
            for events in self._watch:
                if events:
                    self._inbox.put(events)
        except Exception as error:  # noqa: BLE001 - carried over to the thread that waits, and raised there
            self._inbox.put(error)

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
    store: Store, keys: Keys, goal: Goal, timeout: float | None, tell: Callable[[Outlook, Snapshot], None] = lambda *_: None
) -> Outlook:
    """The outlook once nothing of the goal moves any more, or the time is over.

    :param timeout: seconds; None: for ever.
    :param tell: called with every outlook on the way.
    :raises StoreUnavailable: etcd does not answer, or the watch cannot go on.
    """
    quiet_since = time.monotonic()
    end = None if timeout is None else quiet_since + timeout
    with follow(store, keys) as follower:
        while True:
            found = outlook(follower.snapshot, goal)
            tell(found, follower.snapshot)
            if found.over:
                return found
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return found
            if follower.next(1.0 if left is None else min(left, 1.0)):
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > _QUIET:
                # A watch repairs itself for ever; a person wants to know that etcd is away.
                store.get(keys.leader)
                quiet_since = time.monotonic()


# Telling -------------------------------------------------------------------------------------------


def wait_and_tell(store: Store, keys: Keys, goal: Goal, timeout: float | None, form: Format) -> Exit:
    """Wait, say how it ended, and the exit code that says the same."""
    started = time.monotonic()
    found = _with_spinner(store, keys, goal, timeout) if on_terminal() else until(store, keys, goal, timeout, _Warn())
    seconds = time.monotonic() - started
    if form is Format.TEXT:
        show(summary(found, seconds, timeout))
    else:
        emit(as_document(found, seconds), form)
    return found.exit


class _Warn:
    """Says once, on stderr, that nobody is there to do what is waited for."""

    def __init__(self) -> None:
        self._said = False

    def __call__(self, found: Outlook, snapshot: Snapshot) -> None:
        if found.moving and snapshot.leader is None and not self._said:
            self._said = True
            hint("No bridge leads; nothing will happen before `orchestrator bridge` runs.")


def _with_spinner(store: Store, keys: Keys, goal: Goal, timeout: float | None) -> Outlook:
    warn = _Warn()
    started = time.monotonic()
    with console().status(Text("Waiting …")) as spinner:

        def tell(found: Outlook, snapshot: Snapshot) -> None:
            warn(found, snapshot)
            spinner.update(sentence(found, time.monotonic() - started))

        return until(store, keys, goal, timeout, tell)


def sentence(found: Outlook, seconds: float) -> Text:
    """One line on how far it has come."""
    total = len(found.good) + len(found.bad) + len(found.moving)
    running = [str(standing.ref) for standing in found.moving if standing.phase is Phase.RUNNING]
    more = f" and {len(running) - 3} more" if len(running) > 3 else ""
    text = Text.assemble((f"{len(found.good)} of {total} complete", GOOD))
    if found.bad:
        text.append(f", {len(found.bad)} failed or held", BAD)
    if running:
        text.append(f", running: {', '.join(running[:3])}{more}", BUSY)
    return text.append(f"  {duration(seconds)}", FAINT)


def summary(found: Outlook, seconds: float, timeout: float | None) -> list[Section | Text]:
    """How it ended."""
    parts: list[Section | Text] = []
    if found.bad:
        rows = [(str(bad.ref), Text(bad.phase.value, BAD if bad.phase is Phase.FAILED else DOUBT), bad.reason) for bad in found.bad]
        parts.append(Section("", ("resource", "is", "because"), rows, wide=frozenset({"because"})))
    if found.moving:
        rows = [(str(left.ref), Text(left.phase.value, BUSY), left.reason) for left in found.moving]
        parts.append(Section("", ("resource", "is", "because"), rows, wide=frozenset({"because"})))
        parts.append(Text(f"Time is over after {timeout:g} s: {count(len(found.moving), 'resource')} still in progress.", DOUBT))
    elif found.bad:
        parts.append(Text(f"{count(len(found.bad), 'resource')} failed or held back, {len(found.good)} complete.", BAD))
    elif not found.good:
        parts.append(Text("Nothing is left to wait for.", GOOD))
    else:
        parts.append(Text(f"{count(len(found.good), 'resource')} complete after {duration(seconds)}.", GOOD))
    return parts


def as_document(found: Outlook, seconds: float) -> Json:
    return {
        "result": {Exit.OK: "complete", Exit.PROBLEM: "failed", Exit.TIMEOUT: "timeout"}[found.exit],
        "seconds": round(seconds, 3),
        "complete": [str(good.ref) for good in found.good],
        "failed": [_entry(bad) for bad in found.bad],
        "in_progress": [_entry(left) for left in found.moving],
    }


def _entry(standing: Standing) -> dict[str, Json]:
    return {"type": standing.ref.type, "id": standing.ref.id, "phase": standing.phase.value, "reason": standing.reason}

