"""Bringing a stack of a real Heat into any state, by what anybody may ask of Heat."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from .heat_api import Project

PLUGINS = Path(__file__).parent / "plugins"

_GATED = {"type": "Test::Gated"}
_PROPERTIES = {"gate": {"get_param": "gate"}, "value": {"get_param": "value"}}

TEMPLATE: dict[str, Any] = {
    "heat_template_version": "2018-08-31",
    "parameters": {"gate": {"type": "string"}, "value": {"type": "string"}},
    "resources": {
        "before": {**_GATED, "properties": _PROPERTIES},
        "thing": {**_GATED, "properties": _PROPERTIES, "depends_on": "before"},
    },
    "outputs": {"id": {"value": {"get_resource": "thing"}}},
}
"""Two resources, of which a rollback has to change the first back."""

ACTIONS = (
    *("CREATE", "UPDATE", "DELETE", "SUSPEND", "RESUME", "CHECK", "SNAPSHOT"),
    *("ADOPT", "ROLLBACK", "RESTORE"),
)
STATUSES = ("COMPLETE", "FAILED", "IN_PROGRESS")

_LONG = 60.0
"""Seconds after which a state counts as out of reach."""


class PlayedStack:
    """A stack that a test brings into a state.

    :param gate: the file that its resource reads.
    :param tags: those that each request keeps on the stack, as Heat takes them.
    :param database: Heat's.
    """

    def __init__(self, project: Project, name: str, gate: Path, tags: str, database: Path) -> None:
        self.project, self.name, self.gate, self.tags = project, name, gate, tags
        self.database = database
        self.id = ""

    def found(self) -> None:
        """From here on it is the stack that has the name now, with its tags."""
        stack = self.find()
        assert stack is not None
        self.id, self.tags = stack["id"], ",".join(stack["tags"])

    # What is there --------------------------------------------------------------------------------

    def find(self) -> dict[str, Any] | None:
        """The stack of the name, None: Heat gives the name to whoever asks."""
        status, document = self.project.request("GET", f"/stacks/{self.name}")
        if status == 404:
            return None
        assert status == 200, document
        stack: dict[str, Any] = document["stack"]
        return stack

    def status(self) -> str:
        return str(self._call("GET", "")["stack"]["stack_status"])

    def thing(self) -> tuple[str, str]:
        """The id of the stack's resource in its cloud, and the resource's state."""
        shown = self._call("GET", "/resources/thing")["resource"]
        return shown["physical_resource_id"], shown["resource_status"]

    def thing_now(self) -> str:
        """The id of the resource of whatever stack has the name now."""
        self.found()
        return self.thing()[0]

    def begun(self) -> list[str]:
        """The operations on this stack that Heat has begun, oldest first."""
        path = f"/events?resource_name={self.name}&sort_dir=asc"
        events = self._call("GET", path)["events"]
        statuses = [event["resource_status"] for event in events]
        return [status.split("_")[0] for status in statuses if status.endswith("IN_PROGRESS")]

    # What is asked --------------------------------------------------------------------------------

    def say(self, *words: str) -> None:
        """Write the gate."""
        fresh = self.gate.with_suffix(".new")
        fresh.write_text("\n".join(words))
        fresh.rename(self.gate)

    def create(self) -> None:
        body = {"stack_name": self.name, "tags": self.tags, **self._request("first")}
        self.id = self._ask("POST", "/stacks", body)["stack"]["id"]

    def adopt(self) -> None:
        thing = {**_GATED, "action": "CREATE", "status": "COMPLETE", "metadata": {}}
        names = ("before", "thing")
        things = {n: {**thing, "name": n, "resource_id": n, "resource_data": {}} for n in names}
        request = self._request("first")
        data: dict[str, Any] = {"name": self.name, "action": "CREATE", "status": "COMPLETE"}
        data |= {"resources": things, "environment": {}, "template": TEMPLATE}
        body = {"stack_name": self.name, "tags": self.tags, "adopt_stack_data": json.dumps(data)}
        self.id = self._ask("POST", "/stacks", {**request, **body})["stack"]["id"]

    def update(self, value: str, *, rollback: bool = False) -> None:
        body = {"tags": self.tags, **self._request(value), "disable_rollback": not rollback}
        self._call("PUT", "", body)

    def delete(self) -> None:
        self._call("DELETE", "")

    def act(self, action: str) -> None:
        """``suspend``, ``resume``, ``check`` and so on."""
        self._call("POST", "/actions", {action: None})

    def snapshot(self) -> str:
        """The id of a new snapshot."""
        return str(self._call("POST", "/snapshots", {"name": "one"})["id"])

    def restore(self, snapshot: str) -> None:
        self._call("POST", f"/snapshots/{snapshot}/restore")

    def cancel(self) -> None:
        """Stop the update that is in progress, and have it undone."""
        self.act("cancel_update")

    def set(self, action: str, status: str, reason: str = "") -> None:
        """Write the state into Heat's database, where Heat cannot be brought to it by its API."""
        query = "UPDATE stack SET action = ?, status = ?, status_reason = ? WHERE id = ?"
        with closing(sqlite3.connect(self.database, timeout=60)) as connection, connection:
            connection.execute(query, (action, status, reason, self.id))

    def _request(self, value: str) -> dict[str, Any]:
        parameters = {"gate": str(self.gate), "value": value}
        return {"template": TEMPLATE, "parameters": parameters, "disable_rollback": True}

    def _call(self, method: str, rest: str, body: Any = None) -> Any:
        return self._ask(method, f"/stacks/{self.name}/{self.id}{rest}", body)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        status, document = self.project.request(method, path, body)
        assert status < 300, (method, path, status, document)
        return document

    # The way to a state ---------------------------------------------------------------------------

    def bring(self, action: str, status: str) -> None:
        """From ``CREATE_COMPLETE`` to another state."""
        word = {"COMPLETE": (), "FAILED": (f"fail {action}",), "IN_PROGRESS": (f"hold {action}",)}
        words = word[status]
        if action == "INIT":
            self.set(action, status)
        elif action in ("CREATE", "ADOPT"):
            self._again(action, words)
        elif action == "ROLLBACK":
            self.say("fail UPDATE thing", *words)
            self.update("second", rollback=True)
        else:
            self._begin(action, words)
        self.until(f"{action}_{status}")

    def _again(self, action: str, words: tuple[str, ...]) -> None:
        self.delete()
        self._await(lambda: self.find() is None, "gone")
        self.say(*words)
        if action == "CREATE":
            self.create()
        else:
            self.adopt()

    def _begin(self, action: str, words: tuple[str, ...]) -> None:
        snapshot = ""
        if action == "RESUME":
            self.act("suspend")
            self.until("SUSPEND_COMPLETE")
        if action == "RESTORE":
            snapshot = self.snapshot()
            self.until("SNAPSHOT_COMPLETE")
            self.update("second")  # or there is nothing to restore
            self.until("UPDATE_COMPLETE")
        self.say(*words)
        if action == "UPDATE":
            self.update("second")
        elif action == "DELETE":
            self.delete()
        elif action == "SNAPSHOT":
            self.snapshot()
        elif action == "RESTORE":
            self.restore(snapshot)
        else:
            self.act(action.lower())

    def until(self, *wanted: str) -> str:
        """The state, once it is one of these."""
        self._await(lambda: self.status() in wanted, " or ".join(wanted))
        return self.status()

    def _await(self, ready: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _LONG
        while not ready():
            assert time.monotonic() < end, f"{self.name} is {self.status()}, and not {what}"
            time.sleep(0.1)
