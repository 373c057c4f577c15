"""What comes in place of Heat's answer: pages of proxies, documents of others, answers that break
off.

None of these is an answer of Heat's API. Whoever asked must take them for an outage, whatever they
seem to say. :func:`odd_answers` names them; docs/reliability.md has the table.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

PAGE = b"<html><head><title>Sorry</title></head><body><h1>Something is wrong</h1></body></html>"
_PHRASES = {
    200: "OK",
    300: "Multiple Choices",
    404: "Not Found",
    418: "I'm a teapot",
}


@dataclass(frozen=True, slots=True)
class OddAnswer:
    """Bytes to send instead of Heat's answer, after which the connection is closed.

    *pause* is how many seconds lie between two bytes of *data*, from byte *slow_from* on. *after*:
    Heat takes the request first, and only its answer is lost.
    """

    data: bytes
    pause: float = 0.0
    slow_from: int = 0
    after: bool = False

    def send(self, to: socket.socket) -> None:
        with suppress(OSError):  # whoever asked has gone
            at_once = len(self.data)
            if self.pause:
                at_once = self.slow_from
            to.sendall(self.data[:at_once])
            for byte in self.data[at_once:]:
                time.sleep(self.pause)
                to.sendall(bytes([byte]))
            to.shutdown(socket.SHUT_RDWR)

    def taken(self) -> OddAnswer:
        """The same, of a request that Heat has taken."""
        return replace(self, after=True)


def answer(
    status: int,
    body: bytes,
    kind: str = "text/html",
    headers: Mapping[str, str] | None = None,
    *,
    length: int | None = -1,
) -> OddAnswer:
    """A whole HTTP answer.

    :param length: what the header says of the body's length; -1: the truth, None: nothing.
    """
    if length == -1:
        length = len(body)
    lines = [
        f"HTTP/1.1 {status} {_PHRASES.get(status, 'Whatever')}",
        f"Content-Type: {kind}",
    ]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return OddAnswer("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)


def document(status: int, value: Any, **headers: str) -> OddAnswer:
    return answer(status, json.dumps(value).encode(), "application/json", headers)


def fault(
    status: int,
    kind: str,
    message: str | None,
    code: int | None = None,
    title: str = "Error",
) -> OddAnswer:
    """Heat's own error document.

    :param code: what the document says of the status; default: the truth.
    """
    inner: dict[str, Any] = {"type": kind, "traceback": None}
    if message:
        inner["message"] = message
    explanation = "Something is wrong."
    if status == 404:
        explanation = "The resource could not be found."
    body = {
        "code": code or status,
        "title": title,
        "explanation": explanation,
        "error": inner,
    }
    return document(status, body)


OTHER = "6e5fb01c-1f5c-4b3f-8d6f-3f4c9c9f2b11"


def stack(name: str, stack_id: str, **changes: Any) -> dict[str, Any]:
    """A stack as Heat shows it, but for the changes."""
    place = f"http://heat:8004/v1/t1/stacks/{name}/{stack_id}"
    return {
        "id": stack_id,
        "stack_name": name,
        "stack_status": "CREATE_COMPLETE",
        "stack_status_reason": "Stack CREATE completed successfully",
        "tags": None,
        "outputs": [],
        "links": [{"rel": "self", "href": place}],
        **changes,
    }


CLIENT_ERRORS = (
    *(200, 201, 300),
    *(400, 401, 402, 403, 404, 405, 409, 410, 413, 418, 429),
)
SERVER_ERRORS = (500, 501, 502, 503, 504)

Answers = dict[str, OddAnswer]


def odd_answers(name: str = "somebody_elses", stack_id: str = OTHER) -> Answers:
    """Every wrong answer, by what it is.

    :param name: the stack that was asked for, so that a document has one thing wrong and no more.
    """
    return {
        **_pages(CLIENT_ERRORS),
        **_pages(SERVER_ERRORS),
        **_other_documents(),
        **_broken_stacks(name, stack_id),
        **_other_stacks(),
        **_errors(),
        **_redirects(),
        **_no_documents(),
    }


def _other_documents() -> Answers:
    """JSON that is not what was asked for."""
    return {
        "an empty object": document(200, {}),
        "null": document(200, None),
        "an empty list": document(200, []),
        "a text": document(200, "all is well"),
        "a number": document(200, 42),
        "an empty object with 201": document(201, {}),
        "a stack that is null": document(200, {"stack": None, "stacks": None}),
        "a stack without fields": document(200, {"stack": {}, "stacks": [{}]}),
        "a created stack without fields": document(201, {"stack": {}}),
        "a created stack without an id": document(201, {"stack": {"id": None, "links": []}}),
    }


def _broken_stacks(name: str, stack_id: str) -> Answers:
    """A stack of which one field is not as it should be."""

    def broken(**changes: Any) -> dict[str, Any]:
        """In the shape of one stack, and of a list."""
        found = stack(name, stack_id, **changes)
        return {"stack": found, "stacks": [found]}

    return {
        "a stack without an id": document(200, broken(id=None)),
        "a stack whose id is a number": document(200, broken(id=5)),
        "a stack without a name": document(200, broken(stack_name=None)),
        "a stack with a null status": document(200, broken(stack_status=None)),
        "a stack with an unknown status": document(200, broken(stack_status="fine")),
        "a stack whose reason is a list": document(200, broken(stack_status_reason=["x"])),
        "a stack whose tags are a text": document(200, broken(tags="orchestrator-1-x")),
        "a stack whose outputs are an object": document(200, broken(outputs={}, tags=5)),
    }


def _other_stacks() -> Answers:
    """Another stack than was asked for, or none."""
    return {
        "another stack": document(200, {"stack": stack("somebody_elses", OTHER)}),
        "another created stack": document(201, {"stack": stack("somebody_elses", OTHER)}),
        "a list of texts": document(200, {"stacks": ["one"], "stack": ["one"]}),
    }


def _errors() -> Answers:
    """Errors that say nothing about the stack."""
    return {
        "nothing with 200": answer(200, b"", "application/json"),
        "nothing with 404": answer(404, b"", "application/json"),
        "a route that is not there": document(
            404,
            {
                "message": "Not here.",
                "code": "404 Not Found",
                "title": "Not Found",
            },
        ),
        "another API's 404": document(404, {"detail": "Not Found"}),
        "Keystone's 404": document(404, {"error": {"code": 404, "message": "no", "title": "Not"}}),
        "Heat's 404 about another stack": fault(
            404,
            "EntityNotFound",
            "The Stack (somebody_elses) could not be found.",
        ),
        "Heat's 404 about nothing": fault(404, "NotFound", None),
        "Heat's 404 about a path": fault(404, "HTTPNotFound", "The resource could not be found."),
        "Heat's 405": fault(405, "HTTPMethodNotAllowed", "Not here."),
        "Heat's document with another status": fault(
            404, "EntityNotFound", "The Stack (x) could not be found.", code=500
        ),
        "Heat's list of versions": document(
            300, {"versions": [{"id": "v1.0", "status": "CURRENT"}]}
        ),
        "Heat's 503": fault(503, "ServiceUnavailable", "The server is away."),
        "Heat's 429": fault(429, "OverLimit", "Too many requests."),
        "Heat without its queue": fault(500, "MessagingTimeout", "Timed out waiting for a reply."),
    }


def _redirects() -> Answers:
    """Redirects that lead nowhere."""
    return {
        "a redirect to elsewhere": answer(301, PAGE, headers={"Location": "http://127.0.0.1:9/x"}),
        "a redirect without a place": answer(302, PAGE),
        "a redirect to itself": answer(302, PAGE, headers={"Location": "/v1/t1/stacks"}),
        "a redirect with 307": answer(307, PAGE, headers={"Location": "http://127.0.0.1:9/x"}),
    }


def _no_documents() -> Answers:
    """Answers that break off, or that are none."""
    return {
        "a body that breaks off": answer(200, b'{"stacks": [', "application/json", length=500),
        "a body that breaks off unseen": answer(200, b'{"stack', "application/json", length=None),
        "broken JSON": answer(200, b"{'stacks': []}", "application/json"),
        "bytes that are no text": answer(200, b"\xff\xfe\x00\x01" * 50, "application/json"),
        "JSON without an end": answer(200, b"[" * 100_000, "application/json"),
        "a compression that is none": answer(
            200,
            b"not compressed",
            "application/json",
            {"Content-Encoding": "gzip"},
        ),
        "broken chunks": answer(
            200,
            b"zz\r\nbroken",
            "application/json",
            {"Transfer-Encoding": "chunked"},
            length=None,
        ),
        "no HTTP at all": OddAnswer(b"SSH-2.0-OpenSSH_9.2\r\n"),
        "an odd status line": OddAnswer(b"HTTP/1.1 abc\r\n\r\n"),
        "no answer": OddAnswer(b""),
    }


def _pages(statuses: Iterable[int]) -> dict[str, OddAnswer]:
    return {f"a page with {status}": answer(status, PAGE) for status in statuses}


DRIPPING = OddAnswer(
    answer(200, b'{"stacks": []' + b" " * 10_000 + b"}", "application/json").data,
    0.1,
    60,
)
"""A right answer whose every byte comes in time, and that does not end."""
DRIPPING_HEADERS = OddAnswer(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000, 0.1, 17)
SILENT = OddAnswer(b"HTTP/1.1 200 OK\r\n", 3600.0, 0)
"""Nothing at all for an hour."""
