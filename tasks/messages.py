"""Which messages a worker takes: those that :class:`orchestrator.clients.queue.Queue` sends.

Whoever can write to Redis can put anything into the queues, and so can a program that was given the
wrong database. Celery and kombu stumble over much of it: an envelope without properties, an
unhashable task name or a body that is a number ends the worker (celery 5.7.0, kombu 5.7.0). So a
message is checked before Celery gets it, and what cannot be used is dropped with one line in the
log.

All functions are pure. They answer with the reason, empty when there is none; a reason quotes
nothing of the message but a task's name.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import datetime

from orchestrator.clients import queue
from orchestrator.core.documents import parse_json
from orchestrator.core.drift import is_order
from orchestrator.core.jobs import Action
from orchestrator.core.refs import Json

MOST = 256
"""Run ids or resources in one message; more than any release sends."""

_NAME = re.compile(r"[\w.:-]{1,80}")
_RUN = re.compile(
    rf"[^/]+/(?:{'|'.join(Action)}):[^:]+:[^:]+:.+:[^:]*:[^:]*",
    re.DOTALL,
)
"""A run id, ``<tenant>/<action>:<handler>:<type>:<resource id>:<version>:<random>``; an id of a
resource may hold anything (:func:`orchestrator.core.jobs.job_ref`)."""


def fault(message: Json) -> str:
    """Why a message cannot be used.

    :param message: the document that lay in the queue.
    """
    if not isinstance(message, dict):
        return "it is not a message of Celery's: no object"
    return _envelope(message) or _headers(message["headers"]) or _body(message)


def _envelope(message: Mapping[str, Json]) -> str:
    properties, headers = message.get("properties"), message.get("headers")
    if not isinstance(properties, dict) or not isinstance(headers, dict):
        return "it is not a message of Celery's: no headers or no properties"
    if message.get("content-type") != "application/json":
        return "its content type is not application/json"
    if message.get("content-encoding") not in ("utf-8", "UTF-8"):
        return "its content encoding is not UTF-8"
    if properties.get("body_encoding") != "base64" or not isinstance(
        message.get("body"), str
    ):
        return "its body is not a text in base64"
    place = properties.get("delivery_info")
    tag = properties.get("delivery_tag")
    if not isinstance(place, dict) or not isinstance(tag, str) or not tag:
        return "it has no delivery tag"
    where = (
        place.get("exchange"),
        place.get("routing_key"),
        properties.get("priority", 0),
    )
    if not all(isinstance(value, (str, int)) for value in where):
        return "its routing is not usable"
    return ""


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_text_or_nothing(value: Json) -> bool:
    return value is None or isinstance(value, str)


def _is_nothing(value: Json) -> bool:
    return not value


def _is_count(value: Json) -> bool:
    return value is None or (isinstance(value, int) and 0 <= value < 1000)


def _is_time(value: Json) -> bool:
    if value is None:
        return True
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _is_no_limit(value: Json) -> bool:
    return value is None or value == [None, None]


_HEADERS: Mapping[str, Callable[[Json], bool]] = {
    "id": _is_text,
    "root_id": _is_text_or_nothing,
    "parent_id": _is_text_or_nothing,
    "argsrepr": _is_text_or_nothing,
    "kwargsrepr": _is_text_or_nothing,
    "origin": _is_text_or_nothing,
    "lang": _is_text_or_nothing,
    "shadow": _is_nothing,
    "eta": _is_nothing,
    "expires": _is_time,
    "group": _is_nothing,
    "group_index": _is_nothing,
    "retries": _is_count,
    "timelimit": _is_no_limit,
    "replaced_task_nesting": _is_count,
    "stamped_headers": _is_nothing,
    "stamps": _is_nothing,
    "compression": _is_nothing,
}
"""What Celery reads of the headers, and the form in which we send it. (A compressed body could
become any size.)"""


def _headers(headers: Mapping[str, Json]) -> str:
    task = headers.get("task")
    if not isinstance(task, str) or not _NAME.fullmatch(task):
        return "it names no task"
    if task not in _ARGUMENTS:
        return f"there is no task {task}"
    for name, fits in _HEADERS.items():
        if not fits(headers.get(name)):
            return f"{task}: its header {name} is not usable"
    return ""


def _body(message: Mapping[str, Json]) -> str:
    task = message["headers"]["task"]
    try:
        body = parse_json(base64.b64decode(message["body"], validate=True))
    except (ValueError, RecursionError):
        return f"{task}: its body is not JSON"
    match body:
        case [[argument], {**named}, {**embedded}] if not named:
            pass
        case _:
            return f"{task}: it has not the one argument of this task"
    if not _ARGUMENTS[task](argument):
        return f"{task}: its argument is not usable"
    if any(embedded.get(name) for name in ("callbacks", "errbacks", "chord")):
        return f"{task}: it asks for callbacks"
    return _chain(task, argument, embedded.get("chain"))


def _chain(task: str, argument: Json, chain: Json) -> str:
    """The steps that follow: of the same jobs, by tasks that we have."""
    links = chain or []
    if not isinstance(links, list):
        links = [links]
    for link in links:
        known = isinstance(link, dict) and link.get("task") in (
            queue.WAIT,
            queue.RECORD,
        )
        if not known or link.get("args") != [argument]:
            return f"{task}: its chain is not usable"
    return ""


def _are_runs(argument: Json) -> bool:
    return _is_short_list(argument) and all(map(_is_run, argument))


def _is_short_list(argument: Json) -> bool:
    return isinstance(argument, list) and 0 < len(argument) <= MOST


def _is_run(value: Json) -> bool:
    return isinstance(value, str) and _RUN.fullmatch(value) is not None


def _is_tenant(argument: Json) -> bool:
    return isinstance(argument, str)


def _are_resources(argument: Json) -> bool:
    return _is_short_list(argument) and all(map(_is_resource, argument))


def _is_resource(value: Json) -> bool:
    return isinstance(value, str) and all(value.partition(":"))


_ARGUMENTS: Mapping[str, Callable[[Json], bool]] = {
    queue.SUBMIT: _are_runs,
    queue.WAIT: _are_runs,
    queue.RECORD: _are_runs,
    queue.POLL: _is_tenant,
    queue.OLD_POLL: _is_tenant,
    queue.MONITOR: _are_resources,
    queue.SWEEP: is_order,
}
"""The form of each task's argument."""
