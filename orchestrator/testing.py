"""Doubles of the outside systems, for tests without a server: ours, and those of whoever builds on us.

Each has the methods of the door that it stands for and keeps everything in memory;
``tests/contract`` runs the same tests on the doubles and on the real servers.

=========================  =====================================================
:class:`MemoryStore`       :class:`orchestrator.clients.etcd.EtcdStore`
:class:`ScriptedHeat`      :class:`orchestrator.clients.heat.Heat`
:class:`RecordingQueue`    :class:`orchestrator.clients.queue.Queue`
:class:`FixedTargets`      :class:`orchestrator.clients.targets.Targets`
:class:`PlainRenderer`     :class:`orchestrator.clients.renderer.Renderer`
=========================  =====================================================

Time passes only when a test says so: leases end by :meth:`MemoryStore.expire`, stacks are done by
:meth:`ScriptedHeat.finish`. All of them may be used from several threads.
"""

from __future__ import annotations

import builtins
import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from .clients.queue import LOOK, MONITOR, RECORD, SUBMIT, WAIT
from .clients.store import Compacted, Event, HistoryChanged, KeyValue, Lease
from .core import jinja
from .core.refs import Json, RunId
from .core.rendering import StackRequest
from .core.stacks import Stack
from .core.transactions import Require, Transaction
from .errors import (
    BrokerUnavailable,
    HeatRefused,
    ProjectRefused,
    StackBusy,
    StackExists,
    StackMissing,
    StoreRefused,
    StoreUnavailable,
    TargetUnavailable,
)

# etcd ----------------------------------------------------------------------------------------------

MOST_OPERATIONS = 128
"""Operations, and comparisons, that etcd takes in one transaction (``--max-txn-ops``)."""
LARGEST_REQUEST = 1536 * 1024
"""Bytes of one request to etcd (``--max-request-bytes``)."""


class MemoryStore:
    """etcd in memory: a :class:`~orchestrator.clients.store.Store` that keeps its whole history."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._revision = 1  # of an empty etcd
        self._compacted = 0
        self._now: dict[str, KeyValue] = {}
        self._lease_of: dict[str, MemoryLease] = {}
        self._leases: builtins.list[MemoryLease] = []
        self._history: builtins.list[Event] = []
        self._ids = itertools.count(1)
        self._trouble: deque[tuple[StoreUnavailable, bool]] = deque()
        self._generation = 0
        self._saved: tuple[builtins.list[Event], dict[str, MemoryLease]] = ([], {})

    # The Store protocol -----------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def cluster(self) -> str:
        return "memory"

    def get(self, key: str) -> KeyValue | None:
        with self._changed:
            return self._now.get(key)

    def get_many(self, keys: Sequence[str]) -> Mapping[str, KeyValue]:
        with self._changed:
            return {key: self._now[key] for key in dict.fromkeys(keys) if key in self._now}

    def list(self, prefix: str, *, revision: int = 0, keys_only: bool = False) -> tuple[int, list[KeyValue]]:
        with self._changed:
            found = sorted((kv for kv in self._as_of(revision) if kv.key.startswith(prefix)), key=lambda kv: _raw(kv.key))
            return revision or self._revision, [replace(kv, value=b"") for kv in found] if keys_only else found

    def scan(self, prefix: str, revision: int) -> Iterator[KeyValue]:
        yield from self.list(prefix, revision=revision)[1]

    def commit(self, transaction: Transaction, lease: Lease | None = None) -> int:
        with self._changed:
            error, performed = self._trouble.popleft() if self._trouble else (None, True)
            revision = self._commit(transaction, lease) if performed else 0
            if error:
                raise error
            return revision

    def commit_and_read(
        self, transaction: Transaction, keys: Sequence[str], lease: Lease | None = None
    ) -> tuple[int, Mapping[str, KeyValue]]:
        with self._changed:
            return self.commit(transaction, lease), self.get_many(keys)

    def put(self, key: str, value: str) -> int:
        return self.commit(Transaction(puts={key: value}))

    def delete(self, key: str) -> bool:
        with self._changed:
            was_there = key in self._now
            self.commit(Transaction(deletes=(key,)))
            return was_there

    def lease(self, seconds: int, *, renew_for: float = math.inf) -> MemoryLease:
        lease = MemoryLease(self, next(self._ids), seconds, self._generation)
        self._leases.append(lease)
        return lease

    def watch(self, prefixes: Iterable[str], revision: int) -> MemoryWatch:
        return MemoryWatch(self, tuple(prefixes), revision)

    def close(self) -> None:
        """Nothing to close; the data stays."""

    # What a test can do to it -----------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """That of the last change."""
        with self._changed:
            return self._revision

    @property
    def history(self) -> Sequence[Event]:
        """Every change there ever was, in order."""
        with self._changed:
            return tuple(self._history)

    def expire(self, lease: Lease) -> None:
        """The lease's time is over: what hangs on it vanishes, and its holder finds it not alive."""
        assert isinstance(lease, MemoryLease) and lease.store is self, "a lease of this store"
        with self._changed:
            lease.held = False
            self._write((), tuple(sorted(key for key, holder in self._lease_of.items() if holder is lease)), None, frozenset())

    def expire_abandoned(self) -> None:
        """The time of every lease that nobody renews is over."""
        for lease in self._leases:
            if lease.held and not lease.alive:
                self.expire(lease)

    def compact(self, revision: int) -> None:
        """Drop the history before *revision*."""
        with self._changed:
            self._compacted = max(self._compacted, revision)

    def save(self) -> None:
        """Take a backup for :meth:`restore`."""
        with self._changed:
            self._saved = list(self._history), dict(self._lease_of)

    def restore(self) -> None:
        """Go back to the backup: revisions rise again from where they were then, every watch is told, and
        the leases of then are held again for as long as their holders do not give them up."""
        with self._changed:
            history, leases = self._saved
            self._generation += 1
            self._history, self._lease_of = list(history), dict(leases)
            self._revision = history[-1].revision if history else 1
            self._now = {kv.key: kv for kv in self._as_of(self._revision)}
            for lease in self._leases:
                lease.held = lease in leases.values()
            self._changed.notify_all()

    def fail_next(self, *, performed: bool, error: StoreUnavailable | None = None) -> None:
        """The next write raises: its answer got lost on the way back (*performed*), or it never arrived."""
        with self._changed:
            self._trouble.append((error or StoreUnavailable("the connection broke"), performed))

    # Inside -----------------------------------------------------------------------------------------

    def _as_of(self, revision: int) -> Iterable[KeyValue]:
        if not revision:
            return list(self._now.values())
        if revision < self._compacted:
            raise Compacted(f"revision {revision} has been compacted")
        then: dict[str, KeyValue] = {}
        for event in itertools.takewhile(lambda e: e.revision <= revision, self._history):
            if event.value is None:
                del then[event.key]
            else:
                then[event.key] = KeyValue(event.key, event.value, event.created, event.revision)
        return then.values()

    def _commit(self, transaction: Transaction, lease: Lease | None) -> int:
        deletes = tuple(key for key in dict.fromkeys(transaction.deletes) if key not in transaction.puts)
        requires = dict.fromkeys(transaction.requires)
        if max(len(transaction.puts) + len(deletes), len(requires)) > MOST_OPERATIONS:
            raise StoreRefused("etcd refuses the request: too many operations in txn request")
        for key, value in transaction.puts.items():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise StoreRefused(f"the value of {key!r} is not UTF-8: {error.reason}") from error
        if sum(len(_raw(key)) + len(value.encode()) for key, value in transaction.puts.items()) > LARGEST_REQUEST:
            raise StoreRefused("etcd refuses the request: request is too large")
        if not all(map(self._holds, requires)):
            return 0
        holder = lease if isinstance(lease, MemoryLease) else None
        if holder and not holder.held and transaction.leased & transaction.puts.keys():
            raise StoreUnavailable("requested lease not found")
        return self._write(tuple(transaction.puts.items()), deletes, holder, transaction.leased)

    def _holds(self, require: Require) -> bool:
        kv = self._now.get(require.key)
        match require.what:
            case "mod":
                return (kv.revision if kv else 0) == require.revision
            case "create":
                return (kv.created if kv else 0) == require.revision
            case "exists":
                return kv is not None

    def _write(
        self, puts: Iterable[tuple[str, str]], deletes: Iterable[str], holder: MemoryLease | None, leased: frozenset[str]
    ) -> int:
        revision = self._revision + 1
        events = [self._put(key, value, revision) for key, value in puts]
        for event in events:
            self._lease_of.pop(event.key, None)
            if holder and event.key in leased:
                self._lease_of[event.key] = holder
        for key in deletes:
            if self._now.pop(key, None):
                self._lease_of.pop(key, None)
                events.append(Event(key, None, 0, revision))
        if events:
            self._revision = revision
            self._history += events
            self._changed.notify_all()
        return self._revision

    def _put(self, key: str, value: str, revision: int) -> Event:
        old = self._now.get(key)
        self._now[key] = kv = KeyValue(key, value.encode(), old.created if old else revision, revision)
        return Event(kv.key, kv.value, kv.created, kv.revision)


def _raw(key: str) -> bytes:
    """A key as etcd has it; what is not UTF-8 in it keeps its bytes."""
    return key.encode(errors="surrogateescape")


@dataclass(slots=True, eq=False)
class MemoryLease:
    """A lease that lasts until a test ends it by :meth:`MemoryStore.expire`, or its holder by :meth:`revoke`."""

    store: MemoryStore
    id: int
    seconds: int
    generation: int = 0
    """A lease belongs to one history of the store."""
    held: bool = True
    """Whether the store still knows it."""
    abandoned: bool = False

    @property
    def alive(self) -> bool:
        return self.held and not self.abandoned and self.generation == self.store.generation

    def abandon(self) -> None:
        self.abandoned = True

    def revoke(self) -> None:
        self.store.expire(self)


class MemoryWatch:
    """A watch on a :class:`MemoryStore`; begins with an empty batch, as etcd's does."""

    silent_for = 0.0

    def __init__(self, store: MemoryStore, prefixes: tuple[str, ...], revision: int) -> None:
        self._store, self._prefixes, self._from = store, prefixes, revision
        self._generation = store.generation
        self._closed = False

    def close(self) -> None:
        with self._store._changed:
            self._closed = True
            self._store._changed.notify_all()

    def __iter__(self) -> Iterator[Sequence[Event]]:
        with self._store._changed:
            if self._from < self._store._compacted:
                raise Compacted(f"revision {self._from} has been compacted")
            position = next((i for i, e in enumerate(self._store._history) if e.revision >= self._from), len(self._store._history))
        yield ()
        while True:
            with self._store._changed:
                while not self._closed and len(self._store._history) == position and self._generation == self._store.generation:
                    self._store._changed.wait()
                if self._closed:
                    return
                if self._generation != self._store.generation:
                    raise HistoryChanged("the store was restored from a backup")
                new = self._store._history[position:]
                position += len(new)
            yield [e for e in new if e.revision >= self._from and e.key.startswith(self._prefixes)]


# Heat ----------------------------------------------------------------------------------------------

Method = Literal["show", "in_progress", "create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class HeatRequest:
    """Something that Heat was asked to change, in the order of asking. *request* is None for a delete."""

    method: Literal["create", "update", "delete"]
    tenant: str
    name: str
    request: StackRequest | None = None
    tag: str = ""


class _Checks(threading.local):
    """What each thread wants to be sure of before a request is taken."""

    check: Callable[[], None] | None = None


class ScriptedHeat:
    """Stacks by tenant and name, in memory. Every operation stays in progress until :meth:`finish`.

    :param name_window: creations that are refused after a deletion that is shown as complete, because the name is
        not free yet: a Heat with convergence does so for some seconds.
    """

    def __init__(self, name_window: int = 1) -> None:
        self._lock = threading.RLock()
        self._ids = itertools.count(1)
        self._stacks: dict[tuple[str, str], Stack] = {}
        self._deleted: dict[tuple[str, str], Stack] = {}
        self._trouble: deque[tuple[BaseException, Method | None, bool]] = deque()
        self._checks = _Checks()
        self._refused_projects: set[str] = set()
        self._not_free: dict[tuple[str, str], int] = {}
        self.name_window = name_window
        self.gone_projects: set[str] = set()
        """Tenants whose projects are gone from Keystone."""
        self.requests: list[HeatRequest] = []
        """Every change that Heat took, so not those that it refused."""

    # The methods of Heat ----------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Nothing to read."""

    @contextmanager
    def only_while(self, check: Callable[[], None]) -> Iterator[None]:
        self._checks.check = check
        try:
            yield
        finally:
            self._checks.check = None

    def check(self) -> str:
        return "scripted"

    def within(self, seconds: float) -> AbstractContextManager[None]:
        return nullcontext()

    def prepare(self, tenant: str) -> None:
        """Nothing to fetch; a failure that is due comes with the request."""
        with self._lock:
            if tenant in self._refused_projects:
                raise ProjectRefused(tenant, "there is no such project, or no role in it")

    def gone(self, tenant: str) -> bool | None:
        """Whether Keystone says that there is no such project any more: a test may have said so."""
        return tenant in self.gone_projects or None

    def show(self, tenant: str, stack: str, *, outputs: bool) -> Stack | None:
        with self._lock:
            self._before("show")
            name, _, stack_id = stack.partition("/")
            found = self._stacks.get((tenant, name))
            if stack_id and (found is None or found.id != stack_id):
                found = self._deleted.get((tenant, stack_id))
            return found if outputs or found is None else replace(found, outputs=None)

    def in_progress(self, tenant: str) -> Iterator[str]:
        with self._lock:
            self._before("in_progress")
            found = [stack.id for (owner, _), stack in self._stacks.items() if owner == tenant and stack.in_progress]
        return iter(found)

    def create(self, request: StackRequest, tag: str) -> str:
        with self._lock:
            afterwards = self._before("create")
            if (request.tenant, request.name) in self._stacks or self._is_taken(request.tenant, request.name):
                raise StackExists(409, f"The Stack ({request.name}) already exists.")
            stack = Stack(
                f"stack-{next(self._ids)}", request.name, "CREATE_IN_PROGRESS", "Stack CREATE started", tuple(tag.split(",")), ()
            )
            self._stacks[request.tenant, request.name] = stack
            self.requests.append(HeatRequest("create", request.tenant, request.name, request, tag))
            self._raise(afterwards)
            return stack.id

    def update(self, request: StackRequest, stack: Stack, tag: str) -> None:
        with self._lock:
            afterwards = self._before("update")
            now = self._stacks.get((request.tenant, stack.name))
            if now is None or now.id != stack.id:
                raise StackMissing(f"The Stack ({stack.name}) could not be found.")
            if now.in_progress:
                raise StackBusy(f"Stack {stack.name} already has an action ({now.action}) in progress.")
            if now.action in ("DELETE", "SUSPEND"):
                raise HeatRefused(400, f"Updating a stack when it is in state {now.status} is not supported.")
            self._set(
                request.tenant, replace(now, status="UPDATE_IN_PROGRESS", reason="Stack UPDATE started", tags=tuple(tag.split(",")))
            )
            self.requests.append(HeatRequest("update", request.tenant, stack.name, request, tag))
            self._raise(afterwards)

    def delete(self, tenant: str, stack: Stack) -> None:
        with self._lock:
            afterwards = self._before("delete")
            now = self._stacks.get((tenant, stack.name))
            if now is not None and now.id == stack.id:
                self._set(tenant, replace(now, status="DELETE_IN_PROGRESS", reason="Stack DELETE started"))
                self.requests.append(HeatRequest("delete", tenant, stack.name))
            self._raise(afterwards)

    # What a test can do to it -----------------------------------------------------------------------

    def stacks(self, tenant: str) -> dict[str, Stack]:
        """Every stack of a tenant that is there, by name."""
        with self._lock:
            return {name: stack for (t, name), stack in self._stacks.items() if t == tenant}

    def working(self) -> list[tuple[str, Stack]]:
        """Every stack in progress, with its tenant, in the order of creation."""
        with self._lock:
            return [(tenant, stack) for (tenant, _), stack in self._stacks.items() if stack.in_progress]

    def finish(
        self, name: str, status: str = "", outputs: Sequence[Json] = (), reason: str = "", *, tenant: str | None = None
    ) -> None:
        """End the operation in progress on a stack.

        :param status: ``COMPLETE``, ``FAILED`` or a whole status such as ``UPDATE_FAILED``; default: complete.
        :param tenant: needed when several tenants have a stack of that name.
        """
        with self._lock:
            owner, stack = self._the_one(name, tenant)
            whole = status if "_" in status else f"{stack.action}_{status or 'COMPLETE'}"
            ended = replace(stack, status=whole, reason=reason or f"Stack {whole.replace('_', ' ', 1)}", outputs=tuple(outputs))
            if whole == "DELETE_COMPLETE":
                del self._stacks[owner, name]
                self._deleted[owner, stack.id] = replace(ended, outputs=())
                self._not_free[owner, name] = self.name_window
            else:
                self._set(owner, ended)

    def refuse_project(self, tenant: str) -> None:
        """Keystone gives no token for a project from now on."""
        with self._lock:
            self._refused_projects.add(tenant)

    def put(self, tenant: str, stack: Stack) -> None:
        """A stack that somebody else made, or changed."""
        with self._lock:
            self._set(tenant, stack)

    def remove(self, name: str, *, tenant: str | None = None) -> None:
        """Somebody deletes a stack behind the orchestrator's back."""
        with self._lock:
            owner, _ = self._the_one(name, tenant)
            del self._stacks[owner, name]

    def fail_next(self, error: BaseException, on: Method | None = None, *, performed: bool = False) -> None:
        """The next request (of the given kind) raises *error*; *performed*: after it took effect."""
        with self._lock:
            self._trouble.append((error, on, performed))

    # Inside -----------------------------------------------------------------------------------------

    def _before(self, method: Method) -> BaseException | None:
        """Raises what was scripted for now; returns what is to be raised once the request took effect."""
        if self._checks.check is not None:
            self._checks.check()
        for scripted in self._trouble:
            error, on, performed = scripted
            if on in (None, method):
                self._trouble.remove(scripted)
                if performed:
                    return error
                raise error
        return None

    def _is_taken(self, tenant: str, name: str) -> bool:
        """Whether the name of a deleted stack is not free yet."""
        left = self._not_free.get((tenant, name), 0)
        self._not_free[tenant, name] = max(left - 1, 0)
        return left > 0

    @staticmethod
    def _raise(error: BaseException | None) -> None:
        if error is not None:
            raise error

    def _set(self, tenant: str, stack: Stack) -> None:
        self._stacks[tenant, stack.name] = stack

    def _the_one(self, name: str, tenant: str | None) -> tuple[str, Stack]:
        found = [(t, stack) for (t, n), stack in self._stacks.items() if n == name and tenant in (None, t)]
        if len(found) != 1:
            raise LookupError(f"{len(found)} stacks are named {name!r}; there are {sorted(self._stacks)}")
        return found[0]


# The broker ----------------------------------------------------------------------------------------

_NOT_COUNTED = (LOOK, MONITOR)
"""Messages that may get lost without harm; :meth:`RecordingQueue.depth` leaves them out."""


@dataclass(frozen=True, slots=True)
class Message:
    """What was sent: the tasks of a chain (or one task), and their common argument."""

    tasks: tuple[str, ...]
    argument: str | tuple[str, ...]

    @property
    def rest(self) -> Message | None:
        """What is sent when the first task says that the chain goes on."""
        return replace(self, tasks=self.tasks[1:]) if self.tasks[1:] else None


class RecordingQueue:
    """Keeps what was sent (:attr:`sent`) and hands it out in order (:meth:`take`), as a broker would."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._knows_us = False
        self.sent: list[Message] = []
        self.available = True
        """Set to False, every method raises :class:`BrokerUnavailable`."""

    # The methods of Queue ---------------------------------------------------------------------------

    def start(self, runs: Sequence[RunId]) -> None:
        self.send(Message((SUBMIT, WAIT, RECORD), tuple(runs)))

    def record(self, runs: Sequence[RunId]) -> None:
        self.send(Message((RECORD,), tuple(runs)))

    def look(self, tenant: str) -> None:
        self.send(Message((LOOK,), tenant))

    def monitor(self, refs: Sequence[str]) -> None:
        self.send(Message((MONITOR,), tuple(refs)))

    def depth(self) -> int:
        self._check()
        with self._changed:
            return sum(message.tasks[0] not in _NOT_COUNTED for message in self._waiting)

    def looks_waiting(self) -> int:
        self._check()
        with self._changed:
            return sum(message.tasks[0] in _NOT_COUNTED for message in self._waiting)

    def lost_everything(self) -> bool:
        self._check()
        with self._changed:
            lost, self._knows_us = not self._knows_us, True
            return lost

    def close(self) -> None:
        """Nothing to close; what was sent stays."""

    # What a test can do to it -----------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Send anything, such as a duplicate of what was sent before."""
        self._check()
        with self._changed:
            self.sent.append(message)
            self._waiting.append(message)
            self._changed.notify_all()

    def take(self, timeout: float = 0.0) -> Message | None:
        """The next message, as a worker takes it; None when none comes within *timeout* seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting, timeout)
            return self._waiting.popleft() if self._waiting else None

    def lose(self, *, everything: bool = True) -> None:
        """Forget the messages that nobody has taken; with *everything*, like a flushed Redis, which shows."""
        with self._changed:
            self._waiting.clear()
            self._knows_us = self._knows_us and not everything

    def _check(self) -> None:
        if not self.available:
            raise BrokerUnavailable("the broker does not answer: scripted")


# Monitoring collectors -----------------------------------------------------------------------------


@dataclass(slots=True)
class FixedTargets:
    """Monitoring targets with fixed answers.

    *documents* by URL; an URL that is not there answers 404, one whose document is an exception
    raises it. *now* is the time at the collector; None: the real one.
    """

    documents: dict[str, Json | TargetUnavailable] = field(default_factory=dict)
    now: datetime | None = None
    asked: list[str] = field(default_factory=list)
    timeout: float = 5.0

    def get(self, url: str, at_most: float | None = None) -> tuple[Json, datetime] | None:
        self.asked.append(url)
        document = self.documents.get(url)
        if isinstance(document, TargetUnavailable):
            raise document
        return None if document is None else (document, self.now or datetime.now(UTC))


# Rendering -----------------------------------------------------------------------------------------


class PlainRenderer:
    """Renders in this process, without limits."""

    def start(self) -> None:
        """There is nothing to start."""

    def render(self, template_id: str, text: str, variables: Mapping[str, Json], tenant: str) -> str:
        return jinja.render(template_id, text, variables)

    def close(self) -> None:
        """There is nothing to end."""
