"""Heat as the tests speak to it: plain HTTP, so that what they see is Heat's own answer."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

from orchestrator.sandbox import servers


class Project:
    """One project of a Heat."""

    def __init__(self, server: servers.HeatServer, name: str) -> None:
        self.name = name
        self.base = server.endpoint % {"tenant_id": name}

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the document of the answer, redirects followed."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, _document(reply.read())
        except urllib.error.HTTPError as error:
            return error.code, _document(error.read())

    def create(self, name: str, template: str, **more: Any) -> tuple[int, Any]:
        return self.request(
            "POST",
            "/stacks",
            {"stack_name": name, "template": template, "disable_rollback": True, **more},
        )

    def update(self, name: str, template: str, **more: Any) -> tuple[int, Any]:
        identity = self.show(name)["id"]
        return self.request(
            "PUT",
            f"/stacks/{name}/{identity}",
            {"template": template, "disable_rollback": True, **more},
        )

    def delete(self, name: str) -> tuple[int, Any]:
        return self.request("DELETE", f"/stacks/{name}/{self.show(name)['id']}")

    def show(self, name: str) -> dict[str, Any]:
        status, document = self.request("GET", f"/stacks/{name}")
        assert status == 200, document
        stack: dict[str, Any] = document["stack"]
        return stack

    def done(self, name: str, timeout: float = 30.0) -> dict[str, Any]:
        """The stack once nothing is in progress on it."""
        identity = self.show(name)["id"]
        deadline = time.monotonic() + timeout
        while True:
            stack: dict[str, Any] = self.request("GET", f"/stacks/{name}/{identity}")[1]["stack"]
            if not stack["stack_status"].endswith("IN_PROGRESS"):
                return stack
            assert time.monotonic() < deadline, (
                f"{name} is still {stack['stack_status']} after {timeout:g} s"
            )
            time.sleep(0.05)


def outputs(stack: dict[str, Any]) -> dict[str, Any]:
    """A stack's outputs by their keys; an output with an error is a failure of the test."""
    assert not [output for output in stack["outputs"] if output.get("output_error")], stack[
        "outputs"
    ]
    return {output["output_key"]: output["output_value"] for output in stack["outputs"]}


def _document(body: bytes) -> Any:
    return json.loads(body) if body.strip() else None
