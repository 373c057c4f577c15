"""A scripted Heat over HTTP: fast, obedient, and with a log of every request. Not a Heat.

It answers as much of Heat's API as the orchestrator uses, never looks inside a template, and lets a
test decide how long operations take, how they end, and when the API itself misbehaves: with Heat's
own errors (``refuse``), or with what is no answer of Heat's at all (``odd``, :mod:`.odd_answers`).
For what must be true of Heat itself, tests use the real engine (:mod:`.heat_server`).
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ..core.refs import Json
from .odd_answers import OddAnswer
from .scripted_keystone import ScriptedKeystone

Answer = tuple[int, Json, dict[str, str]]

_ROUTE = re.compile(r"/v1/([^/]+)/stacks(?:/detail)?(?:/([^/]+))?(?:/([^/]+))?")
_ACTIONS = ("suspend", "resume", "check")


@dataclass(slots=True)
class ScriptedStack:
    """One stack; its status is a matter of time."""

    tenant: str
    name: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    action: str = "CREATE"
    outcome: str = "COMPLETE"
    reason: str = ""
    ends: float = 0.0
    tags: tuple[str, ...] = ()
    outputs: list[Json] = field(default_factory=list)
    parameters: Json = None
    window: float = 0.0
    """Seconds for which a deleted stack still has its name."""

    @property
    def in_progress(self) -> bool:
        return time.monotonic() < self.ends

    @property
    def gone(self) -> bool:
        return (
            self.action == "DELETE"
            and not self.in_progress
            and self.outcome == "COMPLETE"
        )

    @property
    def keeps_name(self) -> bool:
        """Whether no other stack can have the name (convergence gives it free later than it says
        DELETE_COMPLETE)."""
        return not self.gone or time.monotonic() < self.ends + self.window

    @property
    def status(self) -> str:
        return f"{self.action}_{'IN_PROGRESS' if self.in_progress else self.outcome}"

    def document(self, outputs: bool) -> dict[str, Json]:
        shown = {
            "id": self.id,
            "stack_name": self.name,
            "stack_status": self.status,
            "tags": list(self.tags),
            "links": [],
        }
        shown["stack_status_reason"] = (
            f"Stack {self.action} started" if self.in_progress else self.reason
        )
        return {**shown, "outputs": self.outputs} if outputs else shown


@dataclass(frozen=True, slots=True)
class Request:
    """One create, update or delete that was taken, at *at*; it ends at *ends* (seconds since the
    epoch)."""

    method: str
    tenant: str
    stack: str
    tag: str
    at: float
    parameters: Json = None
    ends: float = 0.0
    outcome: str = "COMPLETE"
    reason: str = ""
    stack_id: str = ""
    foreign: bool = False
    """Whether it came by :meth:`ScriptedHeat.somebody_else`."""


@dataclass(frozen=True, slots=True)
class Script:
    """How an operation goes: *duration* in seconds, and how it ends."""

    duration: float = 0.0
    outcome: str = "COMPLETE"
    reason: str = "scripted"


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
        self.script = script or (lambda method, tenant, name: Script())
        self.refuse: Callable[[str, str, str], tuple[int, str, str] | None] = (
            lambda method, tenant, path: None
        )
        self.odd: Callable[[str, str, str], OddAnswer | None] = (
            lambda method, tenant, name: None
        )
        self.keystone: ScriptedKeystone | None = None
        self.inner_address = ""
        self.window = window
        self.arrived: Callable[[str, str, str], object] = (
            lambda method, tenant, path: None
        )
        self.outputs: Callable[[ScriptedStack], list[Json]] = lambda stack: [
            {
                "output_key": "id",
                "output_value": f"{stack.name}-id",
                "description": "The id.",
            }
        ]
        self.requests: list[Request] = []
        self.calls: Counter[str] = Counter()
        self.stacks: dict[tuple[str, str], ScriptedStack] = {}
        self._by_id: dict[str, ScriptedStack] = {}
        self._lock = threading.Lock()
        self._foreign = False
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self.port = self._server.server_address[1]

    def __enter__(self) -> ScriptedHeat:
        threading.Thread(
            target=self._server.serve_forever,
            args=(0.05,),
            name="scripted-heat",
            daemon=True,
        ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

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
            return {
                name: stack
                for (_, name), stack in self.stacks.items()
                if not stack.gone
            }

    def somebody_else(
        self, method: str, tenant: str, name: str, parameters: Json = None
    ) -> bool:
        """Somebody else than the orchestrator has a stack updated (which takes the tags away, and
        takes over from an update that is in progress), deleted, suspended, resumed or checked.

        :return: whether Heat has taken it.
        """
        with self._lock:
            stack = self.stacks.get((tenant, name))
            if (
                stack is None
                or stack.gone
                or (stack.action == "DELETE" and method != "delete")
            ):
                return False
            if stack.in_progress and method in _ACTIONS:
                return (
                    False  # Heat begins these only on a stack that is at rest.
                )
            self._foreign = True
            try:
                self._begin_foreign(method, stack, parameters)
            finally:
                self._foreign = False
            return True

    def _begin_foreign(
        self, method: str, stack: ScriptedStack, parameters: Json
    ) -> None:
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
            return _error(
                403, "HTTPForbidden", "Access was denied to this resource."
            )
        message = "The request you have made requires authentication."
        refusal = {
            "error": {"code": 401, "title": "Unauthorized", "message": message}
        }
        return (
            None
            if valid
            else (
                401,
                refusal,
                {"WWW-Authenticate": f'Keystone uri="{self.keystone.url}"'},
            )
        )

    def odd_answer(
        self, method: str, path: str, query: Mapping[str, list[str]], body: Json
    ) -> OddAnswer | None:
        """What is sent in the place of Heat's answer, None: Heat answers."""
        match = _ROUTE.fullmatch(path)
        if not match:
            return None
        tenant, name, _ = match.groups()
        named = query.get("name", [""])[0]
        posted = body.get("stack_name", "") if isinstance(body, dict) else ""
        return self.odd(method, tenant, name or posted or named)

    def answer(
        self, method: str, path: str, query: Mapping[str, list[str]], body: Json
    ) -> Answer:
        match = _ROUTE.fullmatch(path)
        if not match:
            message = "The resource could not be found."
            return (
                404,
                {
                    "message": message,
                    "code": "404 Not Found",
                    "title": "Not Found",
                },
                {},
            )
        tenant, name, stack_id = match.groups()
        self.arrived(method, tenant, path)
        with self._lock:
            self.calls[
                f"{method} {'list' if method == 'GET' and not name else 'stack'}"
            ] += 1
            if refusal := self.refuse(method, tenant, path):
                return _error(*refusal)
            if not name:
                return (
                    self._create(tenant, body)
                    if method == "POST"
                    else self._list(tenant, query)
                )
            stack = self._by_id.get(stack_id or name) or self.stacks.get(
                (tenant, name)
            )
            if (
                stack is None
                or stack.tenant != tenant
                or not (stack.keeps_name or stack_id)
            ):
                return _error(
                    404,
                    "EntityNotFound",
                    f"The Stack ({name}) could not be found.",
                )
            if method == "GET" and not stack_id and self.inner_address:
                place = f"{self.inner_address}/v1/{tenant}/stacks/{stack.name}/{stack.id}"
                return (
                    302,
                    {"code": "302 Found", "title": "Found"},
                    {"Location": place},
                )
            if method == "GET":
                outputs = (
                    query.get("resolve_outputs", ["true"])[0].lower() != "false"
                )
                return 200, {"stack": stack.document(outputs)}, {}
            if stack.gone:
                return _error(
                    404,
                    "EntityNotFound",
                    f"The Stack ({name}) could not be found.",
                )
            return (
                self._delete(stack)
                if method == "DELETE"
                else self._update(stack, body)
            )

    def _list(self, tenant: str, query: Mapping[str, list[str]]) -> Answer:
        busy = query.get("status") == ["IN_PROGRESS"]
        names = query.get("name")
        found = [
            s
            for (owner, name), s in self.stacks.items()
            if owner == tenant and (names is None or name in names)
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
            return _error(
                409, "StackExists", f"The Stack ({name}) already exists."
            )
        stack = ScriptedStack(tenant, name, window=self.window)
        self.stacks[tenant, name] = self._by_id[stack.id] = stack
        self._begin("create", stack, body)
        return 201, {"stack": {"id": stack.id, "links": []}}, {}

    def _update(self, stack: ScriptedStack, body: Json) -> Answer:
        if stack.in_progress:
            return _error(
                409,
                "ActionInProgress",
                f"Stack {stack.name} already has an action ({stack.action}) in"
                " progress.",
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

    def _begin(self, method: str, stack: ScriptedStack, body: Json) -> None:
        script = self.script(method, stack.tenant, stack.name)
        tag = body.get("tags") or ""
        stack.action, stack.outcome, stack.reason = (
            method.upper(),
            script.outcome,
            script.reason,
        )
        stack.ends = time.monotonic() + script.duration
        stack.tags = tuple(tag.split(",")) if tag else ()
        if method in ("create", "update"):
            stack.parameters = body.get("parameters")
            stack.outputs = (
                self.outputs(stack) if script.outcome == "COMPLETE" else []
            )
        now = time.time()
        how = (
            now + script.duration,
            script.outcome,
            script.reason,
            stack.id,
            self._foreign,
        )
        self.requests.append(
            Request(
                method,
                stack.tenant,
                stack.name,
                tag,
                now,
                body.get("parameters"),
                *how,
            )
        )


def _error(status: int, kind: str, message: str) -> Answer:
    inner = {"type": kind, "message": message, "traceback": None}
    return (
        status,
        {"code": status, "title": kind, "explanation": message, "error": inner},
        {},
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what the tests are about, not worth a traceback."""


def _handler(heat: ScriptedHeat) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: the request log is in memory."""

        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            asked = (self.command, unquote(parts.path), parse_qs(parts.query))
            body = json.loads(raw) if raw else {}
            if odd := heat.odd_answer(*asked, body):
                if odd.after:
                    heat.answer(*asked, body)
                self.close_connection = True
                odd.send(self.connection)
                return
            refusal = heat.without_token(
                asked[1], self.headers.get("X-Auth-Token")
            )
            status, document, headers = refusal or heat.answer(*asked, body)
            data = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the base class calls them so

    return Handler
