"""What may lie in a queue and is no message of ours; and messages about nothing.

Documents, and bytes where it is not even JSON. Taken by ``test_poison`` and by the chaos run.
"""

from __future__ import annotations

import base64
import json
import pickle
import uuid
from typing import Any

from orchestrator.clients.queue import JOBS, MONITOR, POLL, RECORD, SUBMIT, SWEEP, WAIT

RUN = "t1/create:heat_worker:node:n:1:aaaaa"


def body(*document: Any) -> str:
    return base64.b64encode(json.dumps(list(document)).encode()).decode()


def message(
    task: Any = SUBMIT,
    arguments: Any = ([RUN],),
    *,
    headers: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    **envelope: Any,
) -> dict[str, Any]:
    """A sound message as Celery's protocol 2 writes it, but for what is given."""
    identity = str(uuid.uuid4())
    embedded = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return {
        "body": body(list(arguments), {}, embedded),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": identity,
            "root_id": identity,
            "parent_id": None,
            "eta": None,
            "expires": None,
            "retries": 0,
            "timelimit": [None, None],
            "argsrepr": "",
            "kwargsrepr": "",
            **(headers or {}),
        },
        "properties": {
            "correlation_id": identity,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": JOBS},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            **(properties or {}),
        },
        **envelope,
    }


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


PICKLED = base64.b64encode(pickle.dumps([[[RUN]], {}, {}])).decode()

FOREIGN: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"{not json",
    "no text": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "a number": 7,
    "null": None,
    "a list": [],
    "a text": "orchestrator.submit",
    "a foreign object": {"job": 1},
    "a decoder's object": {"__type__": "uuid", "__value__": 5},
    "no properties": without(message(), "properties"),
    "properties that are none": message() | {"properties": None},
    "no headers": without(message(), "headers"),
    "no body": without(message(), "body"),
    "a body that is none": message(body=5),
    "a body that is no base64": message(body="%%%"),
    "a number that JSON does not have": message(properties={"priority": float("nan")}),
    "a body with a number that JSON does not have": message(
        body=body([[RUN]], {}, {"errbacks": None, "chain": None, "more": float("inf")})
    ),
    "a body that is a number": message(body=base64.b64encode(b"7").decode()),
    "a body of protocol 1": message(body=base64.b64encode(b'{"args": 5}').decode()),
    "a pickle": message(body=PICKLED) | {"content-type": "application/x-python-serialize"},
    "a pickle that says JSON": message(body=PICKLED),
    "YAML": message() | {"content-type": "application/x-yaml"},
    "an unknown encoding": message() | {"content-encoding": "utf-99"},
    "an unknown body encoding": message(properties={"body_encoding": "rot13"}),
    "no delivery tag": message(properties={"delivery_tag": None}),
    "a delivery tag of another kind": message(properties={"delivery_tag": {"a": 1}}),
    "no delivery info": message(properties={"delivery_info": None}),
    "a route of another kind": message(properties={"delivery_info": {"exchange": {}}}),
    "an unknown task": message("orchestrator.nonsense"),
    "a task of Celery's own": message("celery.backend_cleanup", ()),
    "a task without a name": message(None),
    "a task whose name is a list": message([SUBMIT]),
    "a task whose name is a text without end": message("x" * 100_000),
    "no id": message(headers={"id": None}),
    "an id that is a list": message(headers={"id": []}),
    "an eta": message(headers={"eta": "2999-01-01T00:00:00+00:00"}),
    "an eta that is none": message(headers={"eta": "soon"}),
    "an expiry that is none": message(headers={"expires": "soon"}),
    "an expiry that is a list": message(headers={"expires": [1]}),
    "retries that are a text": message(headers={"retries": "x"}),
    "a time limit that is none": message(headers={"timelimit": "long"}),
    "a time limit of a nanosecond": message(headers={"timelimit": [1e-9, 1e-9]}),
    "a shadow": message(headers={"shadow": {"a": 1}}),
    "stamps": message(headers={"stamped_headers": 5, "stamps": 7}),
    "compressed": message(headers={"compression": "zlib"}),
    "no argument": message(arguments=()),
    "two arguments": message(arguments=([RUN], [RUN])),
    "arguments that are none": message(body=body(5, {}, {})),
    "a named argument": message(body=body([], {"runs": [RUN]}, {})),
    "an argument that is a text": message(arguments=(RUN,)),
    "an argument that is an object": message(arguments=({RUN: 1},)),
    "an argument of numbers": message(arguments=([1, 2],)),
    "an empty list": message(arguments=([],)),
    "a list that is far too long": message(arguments=([RUN] * 5000,)),
    "ids of no known form": message(arguments=(["a", "b/c", "t1/x:y:z"],)),
    "an action that there is not": message(arguments=(["t1/drop:heat_worker:node:n:1:aaaaa"],)),
    "callbacks": message(body=body([[RUN]], {}, {"callbacks": [{"task": "x"}]})),
    "a chain of other tasks": message(body=body([[RUN]], {}, {"chain": [{"task": "x"}]})),
    "a chain that is a text": message(body=body([[RUN]], {}, {"chain": "x"})),
    "a chain of other jobs": message(
        body=body([[RUN]], {}, {"chain": [{"task": WAIT, "args": [["t2/x"]]}]}),
    ),
    "resources of no known form": message(MONITOR, (["x"],)),
    "a tenant that is a list": message(POLL, (["t1"],)),
    "a sweep that names no resources": message(SWEEP, ({"tenant": "t1"},)),
    "ten megabytes": b"x" * 10_000_000,
    "ten megabytes of JSON": message(arguments=(["x" * 10_000_000],)),
}
"""Dropped before Celery sees it, each with one line."""

HARMLESS: dict[str, Any] = {
    "a job that is not there": message(arguments=([RUN],)),
    "a job of a type that nobody knows": message(
        arguments=(["t1/create:heat_worker:nothing:n:1:aaaaa"],),
    ),
    "a record of a job that is not there": message(RECORD, ([RUN],)),
    "a poll of a tenant that is not there": message(POLL, ("nobody",)),
    "a resource that is not there": message(MONITOR, (["node:nothing"],)),
    "a resource of a type that nobody knows": message(MONITOR, (["nothing:nothing"],)),
    "what has expired": message(headers={"expires": "2001-01-01T00:00:00+00:00"}),
}
"""Of a sound form: a step looks at etcd, and there is nothing to do."""


def raw(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()
