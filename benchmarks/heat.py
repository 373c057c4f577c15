"""A Heat that costs next to nothing: enough of the API for the contenders, in one process of asyncio.

``python -m benchmarks.heat --port 8004 --duration 0`` serves; ``python -m benchmarks heat`` says how
fast it is alone. It never fails and never lies; the scripted Heat of the tests does that.

- ``POST /v1/T/stacks`` makes a stack that is done *duration* seconds later, ``PUT``, ``PATCH`` and
  ``DELETE`` likewise; ``GET /v1/T/stacks/NAME[/ID]`` shows it with its outputs;
  ``GET /v1/T/stacks?status=IN_PROGRESS`` lists what is under way, in pages.
- ``GET /target/NAME`` is a monitoring target; ``GET /drip/NAME`` one that sends a byte every four seconds.
- ``GET /_log`` gives every request that made or changed a stack as ``[time, method, tenant, name]``,
  ``GET /_calls`` counts requests by kind, ``POST /_set`` changes *duration* (seconds of work), *durations*
  (the same for stacks whose names begin so), *latency* (seconds until a create is
  answered), *link* (of every stack's monitoring target), *links* (the same for stacks whose names begin
  so), *status* (that targets report) and *hangs* (the methods that are never answered, by
  tenant: ``{"t1": "GET POST"}``).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote

_REASONS = {
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    204: b"No Content",
    302: b"Found",
    404: b"Not Found",
    409: b"Conflict",
}
_PAGE = 1000


@dataclass(slots=True)
class BenchStack:
    """A stack; whether it is done is told by the clock alone."""

    id: str
    name: str
    tenant: str
    tag: str
    action: str
    done_at: float
    outputs: tuple[str, ...] = ()


class BenchCloud:
    """All stacks of all tenants, and what was asked."""

    def __init__(self, duration: float, link: str) -> None:
        self.duration = duration
        self.durations: dict[str, float] = {}
        self.link = link
        self.links: dict[str, str] = {}
        self.status = "UP"
        self.latency = 0.0
        self.hangs: dict[str, str] = {}
        self.stacks: defaultdict[str, dict[str, BenchStack]] = defaultdict(dict)
        self.busy: defaultdict[str, dict[str, BenchStack]] = defaultdict(dict)
        self.log: list[tuple[float, str, str, str]] = []
        self.calls: Counter[str] = Counter()
        self._made = 0

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes, str]:
        """Status, body and, for a redirection, where to."""
        path, _, query = target.partition("?")
        parts = path.strip("/").split("/")
        if parts[0] == "target":
            self.calls["target"] += 1
            return 200, self._target(parts[-1]), ""
        if parts[0].startswith("_"):
            return self._about(parts[0], body)
        tenant, rest = parts[1], [unquote(part) for part in parts[3:]]
        if not rest:
            if method == "POST":
                return self._create(tenant, json.loads(body))
            return self._list(tenant, parse_qs(query))
        return self._one(method, tenant, rest, body)

    def is_left_hanging(self, method: str, target: str) -> bool:
        """Whether a request is never answered."""
        _, version, tenant, *_ = *target.split("/", 3), ""
        return version == "v1" and method in self.hangs.get(tenant, "")

    def _target(self, name: str) -> bytes:
        """A monitoring target's answer (CONTRACT section 8)."""
        value = {
            "key": "status",
            "value": self.status,
            "fail_counter": 0,
            "last_changed": 0,
            "last_reported": time.time(),
        }
        etcd = {
            "status": {"key": "interface"},
            "hold_options": {"positive_status": ["UP"], "time_seconds": 0},
        }
        return json.dumps(
            {"id": name, "version": 1, "values": [value], "syncer_properties": {"etcd": etcd}}
        ).encode()

    def _about(self, what: str, body: bytes) -> tuple[int, bytes, str]:
        match what:
            case "_log":
                return 200, json.dumps(self.log).encode(), ""
            case "_calls":
                return 200, json.dumps(self.calls).encode(), ""
            case "_set":
                for name, value in json.loads(body).items():
                    setattr(self, name, value)
                return 200, b"{}", ""
        return 404, b"{}", ""

    def _asked(self, method: str, stack: BenchStack) -> None:
        self.calls[method] += 1
        self.log.append((time.time(), method, stack.tenant, stack.name))
        if stack.done_at > time.time():
            self.busy[stack.tenant][stack.id] = stack

    def _create(self, tenant: str, wanted: dict[str, Any]) -> tuple[int, bytes, str]:
        name = wanted["stack_name"]
        if name in self.stacks[tenant]:
            return 409, b'{"code": 409, "error": {"type": "StackExists", "message": "exists"}}', ""
        self._made += 1
        identity = f"{self._made:08x}-0000-4000-8000-000000000000"
        outputs = _outputs(str(wanted.get("template") or ""))
        stack = BenchStack(identity, name, tenant, wanted.get("tags") or "", "CREATE", 0.0, outputs)
        stack.done_at = time.time() + next(
            (s for begin, s in self.durations.items() if name.startswith(begin)), self.duration
        )
        self.stacks[tenant][name] = stack
        self._asked("create", stack)
        return 201, b'{"stack": {"id": "%s", "links": []}}' % stack.id.encode(), ""

    def _list(self, tenant: str, query: dict[str, list[str]]) -> tuple[int, bytes, str]:
        self.calls["list"] += 1
        now, busy = time.time(), self.busy[tenant]
        for stack in [stack for stack in busy.values() if stack.done_at <= now]:
            del busy[stack.id]
        listed = list(busy.values())
        if marker := query.get("marker"):
            listed = listed[
                1 + next((i for i, stack in enumerate(listed) if stack.id == marker[0]), -1) :
            ]
        page = listed[: int(query.get("limit", [str(_PAGE)])[0])]
        return (
            200,
            b'{"stacks": [' + ", ".join(_described(stack, now) for stack in page).encode() + b"]}",
            "",
        )

    def _one(
        self, method: str, tenant: str, rest: list[str], body: bytes
    ) -> tuple[int, bytes, str]:
        stack = self.stacks[tenant].get(rest[0])
        if stack is None or (len(rest) > 1 and rest[1] != stack.id):
            self.calls["show"] += 1
            return (
                404,
                b'{"code": 404, "error": {"type": "EntityNotFound", "message": "not found"}}',
                "",
            )
        now = time.time()
        if method == "GET":
            if len(rest) == 1:
                self.calls["find"] += 1
                return 302, b"", f"/v1/{tenant}/stacks/{stack.name}/{stack.id}"
            self.calls["show"] += 1
            if stack.action == "DELETE" and stack.done_at <= now:
                self.stacks[tenant].pop(stack.name)
            outputs = [
                {"output_key": key, "description": "", "output_value": f"{key}-{stack.id}"}
                for key in stack.outputs
            ]
            if link := next(
                (link for begin, link in self.links.items() if stack.name.startswith(begin)),
                self.link,
            ):
                outputs.append(
                    {
                        "output_key": "monitoring_link",
                        "description": "",
                        "output_value": link + stack.name,
                    }
                )
            return 200, f'{{"stack": {_described(stack, now, json.dumps(outputs))}}}'.encode(), ""
        stack.done_at = now + self.duration
        if method == "DELETE":
            stack.action = "DELETE"
            if not self.duration:
                self.stacks[tenant].pop(stack.name)
            self._asked("delete", stack)
            return 204, b"", ""
        stack.action, stack.tag = "UPDATE", json.loads(body).get("tags") or ""
        self._asked("update", stack)
        return 202, b"", ""


@lru_cache(maxsize=4096)
def _outputs(template: str) -> tuple[str, ...]:
    """The keys of a HOT's outputs, by its indentation: enough for templates that people write."""
    section = re.search(
        r"^outputs:[^\S\n]*\n((?:[ \t]+.*\n|[ \t]*#.*\n|\s*\n)*)", template + "\n", re.MULTILINE
    )
    lines = section[1].splitlines() if section else []
    indents = [
        len(line) - len(line.lstrip())
        for line in lines
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not indents:
        return ()
    keys = (re.match(rf"[ ]{{{indents[0]}}}([\w-]+):", line) for line in lines)
    # Monitoring is measured by itself: a link into nowhere would only be asked in vain.
    return tuple(key[1] for key in keys if key and not key[1].endswith("monitoring_link"))


def _described(stack: BenchStack, now: float, outputs: str = "") -> str:
    """A stack as Heat tells it: the fields of a list, and the outputs when it is shown."""
    status = "COMPLETE" if stack.done_at <= now else "IN_PROGRESS"
    shown = (
        f', "outputs": {outputs}, "parameters": {{}}, "timeout_mins": 60, "disable_rollback": true'
        if outputs
        else ""
    )
    return (
        f'{{"id": "{stack.id}", "stack_name": "{stack.name}", "stack_status": "{stack.action}_{status}", '
        f'"stack_status_reason": "Stack {stack.action} {status.lower()}", "tags": {json.dumps(stack.tag.split(","))}, "links": [], '
        f'"description": "", "creation_time": "2026-01-01T00:00:00Z", "updated_time": null, "deletion_time": null, '
        f'"stack_owner": "bench", "parent": null, "stack_user_project_id": "0"{shown}}}'
    )


class BenchConnection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request after the other; nothing that the contenders do not send."""

    def __init__(self, cloud: BenchCloud) -> None:
        self._cloud = cloud
        self._buffer = b""
        self._dripped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            length = 0
            start = head.lower().find(b"content-length:")
            if start >= 0:
                length = int(head[start + 15 :].split(b"\r\n", 1)[0])
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            if self._cloud.is_left_hanging(method, target):
                continue
            if target.startswith("/drip/"):
                self._drip()
                continue
            status, body, location = self._cloud.answer(method, target, rest[:length])
            where = (
                b"Location: http://127.0.0.1:%d%s\r\n" % (self._port(), location.encode())
                if location
                else b""
            )
            answer = (
                b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s"
                % (
                    status,
                    _REASONS[status],
                    where,
                    len(body),
                    body,
                )
            )
            if self._cloud.latency and status == 201:
                asyncio.get_running_loop().call_later(
                    self._cloud.latency, self._transport.write, answer
                )
            else:
                self._transport.write(answer)

    def _drip(self) -> None:
        """A byte every four seconds, as an answer that is never over."""
        if not self._transport.is_closing():
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" if not self._dripped else b" "
            )
            self._dripped = True
            asyncio.get_running_loop().call_later(4.0, self._drip)

    def _port(self) -> int:
        return int(self._transport.get_extra_info("sockname")[1])


async def serve(port: int, cloud: BenchCloud) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: BenchConnection(cloud), "127.0.0.1", port, backlog=1024
    )
    print(f"serving on {port}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--duration", type=float, default=0.0, help="seconds that every operation takes"
    )
    parser.add_argument(
        "--link", default="", help="begin of the monitoring link that every stack has"
    )
    options = parser.parse_args()
    gc.disable()  # nothing here is cyclic, and a pause would be taken for the contenders'
    asyncio.run(serve(options.port, BenchCloud(options.duration, options.link)))


if __name__ == "__main__":
    main()
