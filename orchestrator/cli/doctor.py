"""``orchestrator doctor``: whether a worker started here would find all that it needs, step by
step.

It is run on a worker's machine, as the worker's user, with the worker's environment. Each step
stands for itself, so that one answer tells all that is wrong.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

from rich.text import Text

from ..clients import catalogue, schema_list
from ..clients.etcd import EtcdStore
from ..clients.heat import Heat, InStore, Logins
from ..clients.inbox import WatchInbox
from ..clients.queue import Queue
from ..clients.store import Store
from ..clients.types import Types
from ..core.keys import Keys
from ..core.records import LeaderRecord, read
from ..core.refs import Json, StackName
from ..core.rendering import StackRequest
from ..core.schemas import Schemas
from ..core.stacks import TAG_PREFIX, Stack
from ..errors import OrchestratorError, StoreUnavailable, TemporaryError
from ..settings import Settings
from .output import BAD, FAINT, GOOD

_WATCH_TIME = 5.0
"""Seconds for a write to show on a watch."""
_STACK_TIME = 120.0
"""Seconds for Heat to build, update or delete a stack with nothing in it."""
_PAUSE = 0.5
"""Interval, in seconds, of the polls of that stack."""
_TEMPLATE = """\
heat_template_version: 2018-08-31
description: Made by `orchestrator doctor`, which deletes it again.
resources:
  nothing:
    type: OS::Heat::None
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One step. *found* says what was seen, or what is wrong and what to do."""

    name: str
    good: bool
    seconds: float
    found: str

    def to_json(self) -> dict[str, Json]:
        return {
            "check": self.name,
            "ok": self.good,
            "seconds": round(self.seconds, 3),
            "found": self.found,
        }

    def line(self) -> Text:
        mark = Text("✔ ", GOOD) if self.good else Text("✘ ", BAD)
        time_ = Text(f"  {self.seconds:.2f} s", FAINT)
        return Text.assemble(mark, f"{self.name}: {self.found}", time_)


def examine(settings: Settings, project: str) -> Iterator[Check]:
    """All steps, each as soon as it is done.

    :param project: where to build a stack for the try; empty: nowhere.
    """
    with ExitStack() as opened:
        store = EtcdStore(settings.etcd, read_timeout=_WATCH_TIME)
        opened.callback(store.close)
        # Keys of our own need no types.
        keys = Keys(settings.prefixes, Schemas(()))
        etcd = [
            _check("etcd, reading", lambda: _read(store, keys)),
            _check(
                "etcd, writing and watching",
                lambda: _write_and_watch(store, keys),
            ),
        ]
        yield from etcd
        yield _check("broker", lambda: _broker(settings))
        yield _check("schema list", lambda: _schemas(settings, store))
        shared = (
            Logins(InStore(store, keys))
            if all(check.good for check in etcd)
            else Logins()
        )
        folder = settings.tenant_credentials
        heat = Heat(
            settings.heat_timeout, settings.heat_deadline, shared, folder
        )
        yield from _openstack(heat, project)


def _check(name: str, ask: Callable[[], str]) -> Check:
    started = time.monotonic()
    try:
        found, good = ask(), True
    except OrchestratorError as error:
        found, good = str(error), False
    return Check(name, good, time.monotonic() - started, found)


# etcd and the broker ------------------------------------------------------------------------------


def _read(store: Store, keys: Keys) -> str:
    found = store.get(keys.leader)
    if found is None:
        return "answers; no bridge leads"
    leader = read(found.key, found.value, LeaderRecord.from_json)
    return f"answers; the bridge on {leader.host} leads"


def _write_and_watch(store: Store, keys: Keys) -> str:
    """Write a key of our own, see it on a watch, and remove it."""
    key = f"{keys.own}doctor/{secrets.token_hex(4)}"
    revision, _ = store.list(key)
    with closing(store.watch([key], revision + 1)) as watch:
        inbox = WatchInbox(watch, "doctor-watch")
        store.put(key, "{}")
        try:
            if not inbox.take(_WATCH_TIME):
                raise TemporaryError(
                    f"a write did not show on a watch within {_WATCH_TIME:.0f} s: what"
                    " stands between this machine and etcd must let streams through"
                )
        finally:
            store.delete(key)
    return f"works below {keys.own}"


def _broker(settings: Settings) -> str:
    queue = Queue(settings.broker)  # refuses a cluster
    try:
        return f"{queue.kind()}; {queue.depth()} messages wait for a worker"
    finally:
        queue.close()


def _schemas(settings: Settings, store: Store) -> str:
    """The list that a worker would use: the leader's, or this machine's own where none is
    stored."""
    source = schema_list.source(
        settings.schema_access, catalogue.load(settings.templates)
    )
    own = source.read if source.local else None
    try:
        types = Types(store, settings.prefixes, own).keys.schemas
    except StoreUnavailable:
        if own is None:
            raise
        # That etcd is away is told by a step of its own.
        types = own().schemas()
    return f"{len(types)} types of {types.origin}"


# OpenStack ----------------------------------------------------------------------------------------


def _openstack(heat: Heat, project: str) -> Iterator[Check]:
    login = _check("login", lambda: _login(heat))
    yield login
    if not project:
        return
    line = _check(
        f"token for project {project}",
        lambda: f"Heat at {heat.prepare(project)}",
    )
    yield line
    if line.good:
        yield from _Trial(heat, project).run()


def _login(heat: Heat) -> str:
    heat.warm_up()
    heat.allow_login()
    return heat.check()


class _Trial:
    """A stack with nothing in it, from its creation to its end."""

    def __init__(self, heat: Heat, project: str) -> None:
        name = StackName(f"orchestrator_doctor-{secrets.token_hex(4)}")
        self._heat, self._project = heat, project
        self._request = StackRequest(name, project, _TEMPLATE, {}, 5)
        self._stack: Stack | None = None

    def run(self) -> Iterator[Check]:
        """Build, find, change and delete it. What was built is deleted whatever goes wrong."""
        steps = (
            ("create", self._create),
            ("find by name", self._find),
            ("update", self._update),
        )
        try:
            for name, step in steps:
                check = _check(f"stack, {name}", step)
                yield check
                if not check.good:
                    break
        finally:
            if self._stack is not None:
                deletion = _check("stack, delete", self._delete)
        if self._stack is not None:
            yield deletion

    def _create(self) -> str:
        stack_id = self._heat.create(self._request, f"{TAG_PREFIX}doctor-1")
        self._stack = Stack(stack_id, self._request.name, "CREATE_IN_PROGRESS")
        return self._until("CREATE_COMPLETE")

    def _find(self) -> str:
        found = self._heat.show(
            self._project, self._request.name, outputs=False
        )
        if found is None or self._stack is None or found.id != self._stack.id:
            raise TemporaryError(
                f"Heat lists no stack {self._request.name} that it has just built: do"
                " several Heats with different databases share the address?"
            )
        return found.name

    def _update(self) -> str:
        assert self._stack is not None
        self._heat.update(self._request, self._stack, f"{TAG_PREFIX}doctor-2")
        return self._until("UPDATE_COMPLETE")

    def _delete(self) -> str:
        assert self._stack is not None
        self._heat.delete(self._project, self._stack)
        return self._until("DELETE_COMPLETE")

    def _until(self, status: str) -> str:
        """Wait for the end of an operation."""
        assert self._stack is not None
        end = time.monotonic() + _STACK_TIME
        while True:
            place = f"{self._stack.name}/{self._stack.id}"
            found = self._heat.show(self._project, place, outputs=False)
            now = found.status if found else "DELETE_COMPLETE"
            if now == status:
                return status
            if found is not None and now.endswith("_FAILED"):
                raise TemporaryError(
                    f"Heat ended in {now}: {found.reason}; look at Heat's engine"
                )
            if time.monotonic() > end:
                raise TemporaryError(
                    f"Heat has not ended it within {_STACK_TIME:.0f} s ({now}); look at"
                    " Heat's engine"
                )
            time.sleep(_PAUSE)
