"""The stand-in itself: resources, what it writes to etcd, what it takes in, and its HTTP API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.clients.store import Event, Store, Watch

from tests.scripted.serving import LocalServer, QuietHandler

from .types import GohanKind

STATE = "/state_watch/state"
MONITORING = "/state_watch/monitoring"
LIST = "/gohan/v0.1/schemas"

Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body of an answer."""


@dataclass
class Row:
    """A resource in the database, and the columns of its state."""

    kind: GohanKind
    body: dict[str, Any]
    config_version: int = 1
    state_version: int = 0
    state_error: str = ""
    state: str = ""
    monitoring: str = ""


@dataclass
class Gohan:
    """``with Gohan(store, entries) as gohan:``

    *tokens* says which types each token's role may read; None: all.
    *odd*, when set, answers instead of the list. The server may be stopped and started: resources
    and keys stay.
    """

    store: Store
    entries: list[dict[str, Any]]
    tokens: dict[str, Collection[str] | None] = field(default_factory=lambda: {"admin_token": None})
    port: int = 0
    odd: Callable[[], Answer] | None = None
    asked: list[str] = field(default_factory=list)
    """The tokens of all requests for the list so far."""
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    _server: LocalServer | None = None
    _watch: Watch | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # The process --------------------------------------------------------------------------------

    def __enter__(self) -> Gohan:
        self.start()
        revision, listed = self.store.list("/state_watch/")
        for kv in sorted(listed, key=lambda kv: kv.revision):
            self._take_in(Event(kv.key, kv.value, kv.created, kv.revision))
        self._watch = self.store.watch(["/state_watch/"], revision + 1)
        threading.Thread(target=self._follow, args=(self._watch,), daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()
        if self._watch is not None:
            self._watch.close()

    def start(self) -> None:
        """Answer requests, at the address as before."""
        self._server = _GohanServer(self, self.port)
        self.port = self._server.port
        self._server.start()

    def stop(self) -> None:
        """Connections are refused from here on."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def kinds(self) -> dict[str, GohanKind]:
        return {listed["id"]: GohanKind(listed) for listed in self.entries}

    # What people ask it for ---------------------------------------------------------------------

    def create(self, kind: str, resource_id: str, **body: Any) -> Row:
        with self._lock:
            row = Row(self.kinds[kind], {**body, "id": resource_id})
            self.rows[kind, resource_id] = row
            self._write(row, 1)
            return row

    def update(self, kind: str, resource_id: str, **body: Any) -> Row:
        with self._lock:
            row = self.rows[kind, resource_id]
            row.body |= body
            row.config_version += 1
            self._write(row, row.config_version if row.kind.versioned else 0)
            return row

    def resync(self) -> None:
        """Every resource is written again (server/resync.go)."""
        with self._lock:
            for row in self.rows.values():
                if row.kind.metadata.get("type") != "metaschema":
                    self._write(row, row.config_version if row.kind.versioned else 0)

    def delete(self, kind: str, resource_id: str) -> None:
        """In one step: state, monitoring, config (syncEvent in server/sync_writer.go)."""
        with self._lock:
            row = self.rows.pop((kind, resource_id))
            if row.kind.synced:
                path = row.kind.path(row.body)
                for key in (STATE + path, MONITORING + path, row.kind.config_key(row.body)):
                    self.store.delete(key)

    def _write(self, row: Row, version: int) -> None:
        """What the sync writer writes of a resource."""
        if not row.kind.synced:
            return
        chosen: str | None = row.kind.metadata.get("sync_property")
        content = json.dumps(row.body[chosen] if chosen else row.body)
        if row.kind.metadata.get("sync_plain"):
            plain = json.loads(content)
            content = plain if isinstance(plain, str) else content
        else:
            content = json.dumps({"body": content, "version": version})
        self.store.put(row.kind.config_key(row.body), content)

    # What it takes in ---------------------------------------------------------------------------

    def _follow(self, watch: Watch) -> None:
        for events in watch:
            for event in events:
                self._take_in(event)

    def _take_in(self, event: Event) -> None:
        """A state or a monitoring record (server/state_watcher.go), only of versioned types."""
        if event.value is None:
            return
        document = json.loads(event.value)
        with self._lock:
            if row := self._row_at(event.key, STATE):
                _note_state(row, document)
            elif row := self._row_at(event.key, MONITORING):
                _note_monitoring(row, document)

    def _row_at(self, key: str, prefix: str) -> Row | None:
        if not key.startswith(prefix + "/"):
            return None
        path = key.removeprefix(prefix)
        rows = (row for row in self.rows.values() if row.kind.versioned)
        return next((row for row in rows if row.kind.path(row.body) == path), None)

    # HTTP ---------------------------------------------------------------------------------------

    def answer(self, path: str, token: str) -> Answer:
        """To a GET."""
        if path == LIST:
            self.asked.append(token)
            if self.odd is not None:
                return self.odd()
        if token not in self.tokens:
            return as_json(
                401, {"error": "No X-Auth-Token" if not token else "authentication error"}
            )
        if path == LIST:
            return as_json(200, {"schemas": self._visible(token)})
        with self._lock:
            rows = [row for row in self.rows.values() if f"{row.kind.url}/{row.body['id']}" == path]
        return as_json(200, {rows[0].kind.id: rows[0].body}) if rows else as_json(404, {})

    def _visible(self, token: str) -> list[dict[str, Any]]:
        """Types that a role may not read are left out (TrimmedResource in server/editor.go)."""
        readable = self.tokens[token]
        return [entry for entry in self.entries if readable is None or entry["id"] in readable]


def _note_state(row: Row, document: Mapping[str, Any]) -> None:
    """Once the version of the state is that of the config, no other is taken in."""
    if row.state_version == row.config_version or document["version"] < row.state_version:
        return
    row.state_version = document["version"]
    if isinstance(document.get("error"), str):
        row.state_error = document["error"]
    if isinstance(document.get("state"), str):
        row.state = document["state"]


def _note_monitoring(row: Row, document: Mapping[str, Any]) -> None:
    if row.config_version == row.state_version == document["version"]:
        row.monitoring = document["monitoring"] if isinstance(document["monitoring"], str) else ""


def as_json(status: int, document: Any) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


class _GohanServer(LocalServer):
    def __init__(self, gohan: Gohan, port: int) -> None:
        super().__init__(_GohanHandler, port)
        self.gohan = gohan


class _GohanHandler(QuietHandler):
    # A connection lasts for one request, so that nobody is answered after a stop.
    protocol_version = "HTTP/1.0"
    server: _GohanServer

    def do_GET(self) -> None:  # noqa: N802
        path, token = self.path.partition("?")[0], self.headers.get("X-Auth-Token", "")
        status, headers, body = self.server.gohan.answer(path, token)
        self.send_body(status, body, headers)


def of_kinds(entries: Iterable[Mapping[str, Any]], *without: str) -> list[str]:
    """The ids of all types but some: what a role with a small policy may read."""
    return [str(entry["id"]) for entry in entries if entry["id"] not in without]
