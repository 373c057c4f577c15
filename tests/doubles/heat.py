"""Heat in memory."""

from __future__ import annotations

import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.core.drift import Inspection
from orchestrator.core.records import Depth
from orchestrator.core.refs import Json
from orchestrator.core.rendering import StackRequest
from orchestrator.core.source import read_hot
from orchestrator.core.stacks import Stack
from orchestrator.errors import (
    HeatRefused,
    ProjectRefused,
    StackBusy,
    StackExists,
    StackMissing,
)

Method = Literal[
    "show", "in_progress", "listed", "exists", "inspect", "create", "update", "delete", "cancel"
]


@dataclass(frozen=True, slots=True)
class HeatRequest:
    """Something that Heat was asked to change, in the order of asking. *request* is None for a delete."""

    method: Literal["create", "update", "delete", "cancel"]
    tenant: str
    name: str
    request: StackRequest | None = None
    tag: str = ""


class _Checks(threading.local):
    """What each thread wants to be sure of before a request is taken."""

    check: Callable[[], None] | None = None


class MemoryHeat:
    """Stacks by tenant and name, in memory. Every operation stays in progress until :meth:`finish`.

    :param name_window: creations that are refused after a deletion that is shown as complete, because the name is
        not free yet: a Heat with convergence does so for some seconds.
    """

    def __init__(self, name_window: int = 1) -> None:
        self._lock = threading.RLock()
        self._ids = itertools.count(1)
        self._stacks: dict[tuple[str, str], Stack] = {}
        self._busy: set[tuple[str, str]] = set()
        """Tenant and name of each stack that is in progress."""
        self._deleted: dict[tuple[str, str], Stack] = {}
        self._trouble: deque[tuple[BaseException, Method | None, bool]] = deque()
        self._checks = _Checks()
        self.away: BaseException | None = None
        """What every request raises, for as long as a test wants Heat to be away."""
        self._refused_projects: set[str] = set()
        self._not_free: dict[tuple[str, str], int] = {}
        self.name_window = name_window
        self.gone_projects: set[str] = set()
        """Tenants whose projects are gone from Keystone."""
        self._seconds = itertools.count()
        self.lists = 0
        """How often all stacks of a tenant were listed."""
        self.shown: dict[tuple[str, str], Inspection] = {}
        """Template, parameters and live resources of each stack, by tenant and name; a test may change them."""
        self.inspected: list[tuple[str, int]] = []
        """The stacks that were looked at in detail, and how deep."""
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
            found = self._stacks.get((tenant, name)) or self._by_id(tenant, name)
            if stack_id and (found is None or found.id != stack_id):
                found = self._deleted.get((tenant, stack_id))
            return found if outputs or found is None else replace(found, outputs=None)

    def in_progress(self, tenant: str) -> Iterator[str]:
        with self._lock:
            self._before("in_progress")
            found = [
                stack.id
                for (owner, _), stack in self._stacks.items()
                if owner == tenant and stack.in_progress
            ]
        return iter(found)

    def listed(self, tenant: str) -> list[Stack]:
        with self._lock:
            self._before("listed")
            self.lists += 1
            return [
                replace(stack, outputs=None)
                for (owner, _), stack in self._stacks.items()
                if owner == tenant
            ]

    def exists(self, tenant: str, name: str) -> bool:
        with self._lock:
            self._before("exists")
            return (tenant, name) in self._stacks

    def inspect(self, tenant: str, stack: Stack, depth: int) -> Inspection:
        with self._lock:
            self._before("inspect")
            found = self._stacks.get((tenant, stack.name))
            if found is None:
                raise StackMissing(f"The Stack ({stack.name}) could not be found.")
            self.inspected.append((stack.name, depth))
            shown = self.shown.get((tenant, stack.name), Inspection({}, {}))
            return replace(
                shown,
                resources=(shown.resources or ()) if depth >= Depth.PROPERTIES else None,
                outputs=found.outputs if depth >= Depth.OUTPUTS else None,
                requests=2 + (depth >= Depth.PROPERTIES),
            )

    def create(self, request: StackRequest, tag: str) -> str:
        with self._lock:
            afterwards = self._before("create")
            if (request.tenant, request.name) in self._stacks or self._is_taken(
                request.tenant, request.name
            ):
                raise StackExists(409, f"The Stack ({request.name}) already exists.")
            stack = Stack(
                f"stack-{next(self._ids)}",
                request.name,
                "CREATE_IN_PROGRESS",
                "Stack CREATE started",
                tuple(tag.split(",")),
                (),
            )
            self._set(request.tenant, stack)
            self._show_as_asked(request)
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
                raise StackBusy(
                    f"Stack {stack.name} already has an action ({now.action}) in progress."
                )
            if now.action in ("DELETE", "SUSPEND"):
                raise HeatRefused(
                    400, f"Updating a stack when it is in state {now.status} is not supported."
                )
            self._set(
                request.tenant,
                replace(
                    now,
                    status="UPDATE_IN_PROGRESS",
                    reason="Stack UPDATE started",
                    tags=tuple(tag.split(",")),
                    updated=self.next_time(),
                ),
            )
            self._show_as_asked(request)
            self.requests.append(HeatRequest("update", request.tenant, stack.name, request, tag))
            self._raise(afterwards)

    def delete(self, tenant: str, stack: Stack) -> None:
        with self._lock:
            afterwards = self._before("delete")
            now = self._stacks.get((tenant, stack.name))
            if now is not None and now.id == stack.id:
                self._set(
                    tenant, replace(now, status="DELETE_IN_PROGRESS", reason="Stack DELETE started")
                )
                self.requests.append(HeatRequest("delete", tenant, stack.name))
            self._raise(afterwards)

    def cancel(self, tenant: str, stack: Stack) -> None:
        with self._lock:
            afterwards = self._before("cancel")
            now = self._stacks.get((tenant, stack.name))
            if now is None or not now.in_progress or now.action == "DELETE":
                status = now.status if now else "gone"
                raise HeatRefused(
                    400, f"Cancelling update when stack is {status} is not supported."
                )
            self._set(
                tenant,
                replace(now, status=f"{now.action}_FAILED", reason=f"Stack {now.action} cancelled"),
            )
            self.requests.append(HeatRequest("cancel", tenant, stack.name))
            self._raise(afterwards)

    # What a test can do to it -----------------------------------------------------------------------

    def stacks(self, tenant: str) -> dict[str, Stack]:
        """Every stack of a tenant that is there, by name."""
        with self._lock:
            return {name: stack for (t, name), stack in self._stacks.items() if t == tenant}

    def next_time(self) -> str:
        """A time at which Heat may say that a stack was updated, later than every one before."""
        seconds = next(self._seconds)
        return f"2026-11-28T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"

    def working(self) -> list[tuple[str, Stack]]:
        """Every stack in progress, with its tenant, in the order of creation."""
        with self._lock:
            if not self._busy:
                return []
            return [(key[0], stack) for key, stack in self._stacks.items() if key in self._busy]

    def finish(
        self,
        name: str,
        status: str = "",
        outputs: Sequence[Json] = (),
        reason: str = "",
        *,
        tenant: str | None = None,
    ) -> None:
        """End the operation in progress on a stack.

        :param status: ``COMPLETE``, ``FAILED`` or a whole status such as ``UPDATE_FAILED``; default: complete.
        :param tenant: needed when several tenants have a stack of that name.
        """
        with self._lock:
            owner, stack = self._the_one(name, tenant)
            whole = status if "_" in status else f"{stack.action}_{status or 'COMPLETE'}"
            ended = replace(
                stack,
                status=whole,
                reason=reason or f"Stack {whole.replace('_', ' ', 1)}",
                outputs=tuple(outputs),
            )
            if whole == "DELETE_COMPLETE":
                self._forget(owner, name)
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
            self._forget(owner, name)

    def fail_next(
        self, error: BaseException, on: Method | None = None, *, performed: bool = False
    ) -> None:
        """The next request (of the given kind) raises *error*; *performed*: after it took effect."""
        with self._lock:
            self._trouble.append((error, on, performed))

    # Inside -----------------------------------------------------------------------------------------

    def _before(self, method: Method) -> BaseException | None:
        """Raises what was scripted for now; returns what is to be raised once the request took effect."""
        if self._checks.check is not None:
            self._checks.check()
        if self.away is not None:
            raise self.away
        for scripted in self._trouble:
            error, on, performed = scripted
            if on in (None, method):
                self._trouble.remove(scripted)
                if performed:
                    return error
                raise error
        return None

    def _by_id(self, tenant: str, stack_id: str) -> Stack | None:
        found = self.stacks_of(tenant).values()
        return next((stack for stack in found if stack.id == stack_id), None)

    def stacks_of(self, tenant: str) -> dict[str, Stack]:
        """Those that are there, by name; whoever calls it holds the lock."""
        return {name: stack for (owner, name), stack in self._stacks.items() if owner == tenant}

    def _show_as_asked(self, request: StackRequest) -> None:
        """Heat keeps the template as a document, and each parameter as a text."""
        [document] = read_hot(request.template)
        parameters = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in request.parameters.items()
        }
        self.shown[request.tenant, request.name] = Inspection(document.value, parameters)

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
        if stack.in_progress:
            self._busy.add((tenant, stack.name))
        else:
            self._busy.discard((tenant, stack.name))

    def _forget(self, tenant: str, name: str) -> None:
        del self._stacks[tenant, name]
        self._busy.discard((tenant, name))

    def _the_one(self, name: str, tenant: str | None) -> tuple[str, Stack]:
        if tenant is not None and (one := self._stacks.get((tenant, name))):
            return tenant, one
        found = [
            (t, stack)
            for (t, n), stack in self._stacks.items()
            if n == name and tenant in (None, t)
        ]
        if len(found) != 1:
            raise LookupError(
                f"{len(found)} stacks are named {name!r}; there are {sorted(self._stacks)}"
            )
        return found[0]
