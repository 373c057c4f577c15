"""A scripted Heat over HTTP: fast, obedient, and with a log of every request. Not a Heat.

It answers as much of Heat's API as the orchestrator uses, never looks inside a template, and lets a
test decide how long operations take, how they end, and when the API itself misbehaves: with Heat's
own errors (``refuse``), or with what is no answer of Heat's at all (``odd``, :mod:`.odd_answers`).
For what must be true of Heat itself, tests use the real engine (:mod:`orchestrator.sandbox.heat_server`).
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from orchestrator.core.refs import Json

from .http import Query, ScriptedServer
from .keystone import ScriptedKeystone
from .odd_answers import OddAnswer
from .serving import Answer
from .stacks import Script, ScriptedStack, TakenRequest

Refusal = tuple[int, str, str]
"""Status, type of the error, message."""

_ROUTE = re.compile(r"/v1/([^/]+)/stacks(?:/detail)?(?:/([^/]+))?(?:/([^/]+))?(?:/actions)?")
_ACTIONS = ("suspend", "resume", "check")


class ScriptedHeat:
    """``with ScriptedHeat() as heat:``; its address and credentials are in :meth:`environment`.

    *script* decides each operation from (method, tenant, stack name). *refuse* may answer a request
    before any work is done: (method, tenant, path) to (status, error type, message) or None. *odd*
    may put something in the place of Heat's answer: (method, tenant, stack name, "" for a list) to
    what is sent instead, or None. *arrived* is called like *refuse* as a request comes in, and may
    keep it waiting. *inner_address* is where Heat believes to be: a look-up by name is then
    redirected to that place, as by the real one. *window* is for how many seconds a deleted stack
    keeps its name. With a *keystone*, each request needs one of its tokens, scoped to the tenant.
    """

    def __init__(
        self,
        port: int = 0,
        script: Callable[[str, str, str], Script] | None = None,
        window: float = 1.0,
    ) -> None:
        self.script = script or _at_once
        self.refuse: Callable[[str, str, str], Refusal | None] = _nothing
        self.odd: Callable[[str, str, str], OddAnswer | None] = _nothing
        self.arrived: Callable[[str, str, str], object] = _nothing
        self.outputs: Callable[[ScriptedStack], list[Json]] = _an_id
        self.keystone: ScriptedKeystone | None = None
        self.inner_address = ""
        self.window = window
        self.requests: list[TakenRequest] = []
        self.calls: Counter[str] = Counter()
        self.stacks: dict[tuple[str, str], ScriptedStack] = {}
        self._by_id: dict[str, ScriptedStack] = {}
        self._lock = threading.Lock()
        self._foreign = False
        self._server = ScriptedServer(self, port)
        self.port = self._server.port

    def __enter__(self) -> ScriptedHeat:
        self._server.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        return {
            "OS_AUTH_TYPE": "none",
            "OS_ENDPOINT": f"{self.url}/v1/%(tenant_id)s",
        }

    def live(self) -> dict[str, ScriptedStack]:
        """The stacks that are there, by name."""
        with self._lock:
            return {name: stack for (_, name), stack in self.stacks.items() if not stack.gone}

    def somebody_else(self, method: str, tenant: str, name: str, parameters: Json = None) -> bool:
        """Somebody else than the orchestrator has a stack updated (which takes the tags away, and
        takes over from an update that is in progress), deleted, suspended, resumed or checked.

        :return: whether Heat has taken it.
        """
        with self._lock:
            stack = self.stacks.get((tenant, name))
            if stack is None or stack.gone or (stack.action == "DELETE" and method != "delete"):
                return False
            if stack.in_progress and method in _ACTIONS:
                return False  # Heat begins these only on a stack that is at rest.
            self._foreign = True
            try:
                self._begin_foreign(method, stack, parameters)
            finally:
                self._foreign = False
            return True

    def somebody_else_creates(self, tenant: str, name: str, parameters: Json = None) -> bool:
        """Somebody else than the orchestrator has a stack built, without our tags.

        :return: whether Heat has taken it.
        """
        with self._lock:
            self._foreign = True
            try:
                body = {"stack_name": name, "parameters": parameters}
                status, _, _ = self._create(tenant, body)
            finally:
                self._foreign = False
            return status == 201

    def _begin_foreign(self, method: str, stack: ScriptedStack, parameters: Json) -> None:
        if method == "delete":
            self._delete(stack)
        elif method == "update":
            self._begin("update", stack, {"parameters": parameters})
        else:
            assert method in _ACTIONS, method
            self._begin(method, stack, {"tags": ",".join(stack.tags)})

    # The API --------------------------------------------------------------------------------------

    def without_token(self, path: str, token: str | None) -> Answer | None:
        """The answer to a token that is no good, None: it is good, or nobody asks for one."""
        match = _ROUTE.fullmatch(path)
        if self.keystone is None or not match:
            return None
        valid = self.keystone.is_valid(token, match[1])
        if valid is None:
            return _error(403, "HTTPForbidden", "Access was denied to this resource.")
        message = "The request you have made requires authentication."
        refusal = {"error": {"code": 401, "title": "Unauthorized", "message": message}}
        if valid:
            return None
        asks_for_one = f'Keystone uri="{self.keystone.url}"'
        return 401, refusal, {"WWW-Authenticate": asks_for_one}

    def odd_answer(self, method: str, path: str, query: Query, body: Json) -> OddAnswer | None:
        """What is sent in the place of Heat's answer, None: Heat answers."""
        match = _ROUTE.fullmatch(path)
        if not match:
            return None
        tenant, name, _ = match.groups()
        named = query.get("name", [""])[0]
        if isinstance(body, dict):
            named = body.get("stack_name") or named
        return self.odd(method, tenant, name or named)

    def answer(self, method: str, path: str, query: Query, body: Json) -> Answer:
        """What Heat answers to a request."""
        match = _ROUTE.fullmatch(path)
        if not match:
            return 404, _NO_ROUTE, {}
        tenant, name, stack_id = match.groups()
        self.arrived(method, tenant, path)
        with self._lock:
            self._count(method, name)
            if refusal := self.refuse(method, tenant, path):
                return _error(*refusal)
            if name:
                stack = self._find(tenant, name, stack_id)
                if stack is None or (stack.gone and method != "GET"):
                    return _not_found(name)
                return self._on_stack(method, stack, bool(stack_id), query, body)
            if method == "POST":
                return self._create(tenant, body)
            return self._list(tenant, query)

    def _count(self, method: str, name: str | None) -> None:
        kind = "stack"
        if method == "GET" and not name:
            kind = "list"
        self.calls[f"{method} {kind}"] += 1

    def _find(self, tenant: str, name: str, stack_id: str | None) -> ScriptedStack | None:
        stack = self._by_id.get(stack_id or name) or self.stacks.get((tenant, name))
        if stack is None or stack.tenant != tenant:
            return None
        if stack.keeps_name or stack_id:
            return stack
        return None

    def _on_stack(
        self,
        method: str,
        stack: ScriptedStack,
        by_id: bool,
        query: Query,
        body: Json,
    ) -> Answer:
        """The answer to a request about one stack.

        :param by_id: whether the path has its id too.
        """
        if method == "GET":
            return self._show(stack, by_id, query)
        if method == "DELETE":
            return self._delete(stack)
        if method == "POST":
            return self._cancel(stack, body)
        return self._update(stack, body)

    def _show(self, stack: ScriptedStack, by_id: bool, query: Query) -> Answer:
        if not by_id and self.inner_address:
            place = f"/v1/{stack.tenant}/stacks/{stack.name}/{stack.id}"
            found = {"code": "302 Found", "title": "Found"}
            return 302, found, {"Location": self.inner_address + place}
        resolve = query.get("resolve_outputs", ["true"])[0]
        outputs = resolve.lower() != "false"
        return 200, {"stack": stack.document(outputs)}, {}

    def _list(self, tenant: str, query: Query) -> Answer:
        busy = query.get("status") == ["IN_PROGRESS"]
        names, ids = query.get("name"), query.get("id")
        found = [
            s
            for (owner, name), s in self.stacks.items()
            if owner == tenant and (names is None or name in names)
            if ids is None or s.id in ids
            if s.keeps_name and (s.in_progress or not busy)
        ]
        found.sort(key=lambda stack: stack.id)
        if "marker" in query:
            found = [stack for stack in found if stack.id > query["marker"][0]]
        limit = int(query.get("limit", ["1000"])[0])
        return (
            200,
            {"stacks": [stack.document(False) for stack in found[:limit]]},
            {},
        )

    def _create(self, tenant: str, body: Json) -> Answer:
        name = body["stack_name"]
        old = self.stacks.get((tenant, name))
        if old is not None and old.keeps_name:
            return _error(409, "StackExists", f"The Stack ({name}) already exists.")
        stack = ScriptedStack(tenant, name, window=self.window)
        self.stacks[tenant, name] = self._by_id[stack.id] = stack
        self._begin("create", stack, body)
        return 201, {"stack": {"id": stack.id, "links": []}}, {}

    def _update(self, stack: ScriptedStack, body: Json) -> Answer:
        if stack.in_progress:
            return _error(
                409,
                "ActionInProgress",
                f"Stack {stack.name} already has an action ({stack.action}) in progress.",
            )
        if stack.action == "DELETE":
            return _error(
                400,
                "NotSupported",
                "Updating a stack when it is deleting is not supported.",
            )
        if stack.action == "SUSPEND":
            return _error(
                400,
                "NotSupported",
                "Updating a stack when it is suspended is not supported.",
            )
        self._begin("update", stack, body)
        return 202, None, {}

    def _delete(self, stack: ScriptedStack) -> Answer:
        if stack.action != "DELETE" or not stack.in_progress:
            self._begin("delete", stack, {"tags": ",".join(stack.tags)})
        return 204, None, {}

    def _cancel(self, stack: ScriptedStack, body: Json) -> Answer:
        """The action ``cancel_without_rollback``, which is the only one that is asked for."""
        can = stack.in_progress and stack.action in ("CREATE", "UPDATE")
        if body != {"cancel_without_rollback": None} or not can:
            return _error(
                400,
                "NotSupported",
                f"Cancelling update when stack is {stack.status} is not supported.",
            )
        stack.ends, stack.outcome = time.monotonic(), "FAILED"
        stack.reason = f"Stack {stack.action} cancelled"
        stack.outputs = []
        self._end_now(stack)
        return 200, None, {}

    def _end_now(self, stack: ScriptedStack) -> None:
        """The request log says how the last operation on a stack ended, and when."""
        for place in range(len(self.requests) - 1, -1, -1):
            if self.requests[place].stack_id == stack.id:
                now = time.time()
                self.requests[place] = replace(
                    self.requests[place], ends=now, outcome=stack.outcome, reason=stack.reason
                )
                return

    def _begin(self, method: str, stack: ScriptedStack, body: Json) -> None:
        script = self.script(method, stack.tenant, stack.name)
        stack.begin(method, script)
        tag = body.get("tags") or ""
        stack.tags = tuple(filter(None, tag.split(",")))
        if method in ("create", "update"):
            stack.parameters, stack.outputs = body.get("parameters"), []
            if script.outcome == "COMPLETE":
                stack.outputs = self.outputs(stack)
        now = time.time()
        taken = TakenRequest(
            method,
            stack.tenant,
            stack.name,
            tag,
            now,
            body.get("parameters"),
            now + script.duration,
            script.outcome,
            script.reason,
            stack.id,
            self._foreign,
        )
        self.requests.append(taken)


def _at_once(method: str, tenant: str, name: str) -> Script:
    """Every operation ends well, and at once."""
    return Script()


def _nothing(method: str, tenant: str, what: str) -> None:
    """Nothing gets in the way of a request."""


def _an_id(stack: ScriptedStack) -> list[Json]:
    output = {
        "output_key": "id",
        "output_value": f"{stack.name}-id",
        "description": "The id.",
    }
    return [output]


_NO_ROUTE = {
    "message": "The resource could not be found.",
    "code": "404 Not Found",
    "title": "Not Found",
}


def _not_found(name: str) -> Answer:
    return _error(404, "EntityNotFound", f"The Stack ({name}) could not be found.")


def _error(status: int, kind: str, message: str) -> Answer:
    inner = {"type": kind, "message": message, "traceback": None}
    return (
        status,
        {"code": status, "title": kind, "explanation": message, "error": inner},
        {},
    )
