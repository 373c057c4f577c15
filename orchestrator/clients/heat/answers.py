"""What counts as an answer of Heat, and what it says. Pure: an HTTP answer in, a value or an error
out.

An answer counts only in the shape of Heat's API. Everything else is a :class:`HeatUnavailable`: a
page of a proxy, a document with a field missing, a stack that nobody asked for. It is retried, and
the reason quotes what was answered.

Shapes, as openstack-heat 27 makes them (``heat/api/openstack/v1``,
``heat/api/middleware/fault.py``):

======  ====================  ===================================================================
POST    ``/stacks``           201 ``{"stack": {"id", "links": [{"rel": "self", "href"}]}}``
POST    ``/stacks/preview``   200 ``{"stack": {"resources": [{"resource_name", …}]}}``
PUT     ``…/NAME/ID/preview`` 200 ``{"resource_changes": {"added": [{"resource_name", …}], …}}``
PUT     ``/stacks/NAME/ID``   202, with or without a JSON document
DELETE  ``/stacks/NAME/ID``   204
GET     ``/stacks/NAME/ID``   200 ``{"stack": {"id", "stack_name", "stack_status", …}}``
GET     ``/stacks/NAME``      302 to ``…/stacks/NAME/ID``
GET     ``/stacks?…``         200 ``{"stacks": [{"id", "stack_name", "stack_status", …}]}``
any     error                 ``{"code": <status>, "title", "error": {"type", "message"}, …}``
======  ====================  ===================================================================

The address itself answers without Heat's error document when no route fits: 404 with the ``code``
"404 Not Found", a text. The filter that checks tokens answers 401 with Keystone's document,
``{"error": {"code": 401, …}}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from ...core.refs import Json
from ...core.stacks import Stack
from ...errors import StackMissing
from .answer import QUOTED, Answer
from .meaning import no_answer, refusal

_STATUS = re.compile(r"[A-Z]+_(IN_PROGRESS|COMPLETE|FAILED)")

_PREVIEWED = ("added", "deleted", "replaced", "updated", "unchanged")
"""What Heat's preview of an update tells, as openstack-heat 27 names it."""

# The requests ---------------------------------------------------------------------------------


def created(answer: Answer, name: str) -> str:
    """Heat's id of the stack that was asked for.

    :raises OrchestratorError: what else the answer means.
    """
    document = _inner(answer, "stack") if answer.status == 201 else None
    if document is None:
        raise refusal(answer, name)
    stack_id = _text(document, "id")
    if not stack_id or any(
        place != (name, stack_id) for place in _self_links(document)
    ):
        raise no_answer(answer)
    return stack_id


def updated(answer: Answer, name: str, stack_id: str) -> None:
    """Heat has taken the update.

    :raises OrchestratorError: what else the answer means.
    """
    # WebOb writes a page of its own where the caller does not ask for JSON.
    accepted = (
        not answer.body.strip()
        or answer.json() is not None
        or b"202 Accepted" in answer.body[:QUOTED]
    )
    if answer.status != 202 or not accepted:
        raise refusal(answer, name, stack_id)


def cancelled(answer: Answer, name: str, stack_id: str) -> None:
    """Heat has taken the request to cancel an operation. It answers with a document of null.

    :raises OrchestratorError: what else the answer means.
    """
    if answer.status not in (200, 202, 204):
        raise refusal(answer, name, stack_id)
    if answer.body.strip() not in (b"", b"null"):
        raise no_answer(answer)


def previewed_new(answer: Answer, name: str) -> dict[str, Json]:
    """The resources of a stack that would be built: ``{"added": ["net (OS::Neutron::Net)"]}``.

    :raises OrchestratorError: what else the answer means.
    """
    document = _inner(answer, "stack") if answer.status == 200 else None
    if document is None:
        raise refusal(answer, name)
    resources = document.get("resources")
    if not isinstance(resources, list):
        raise no_answer(answer)
    return {"added": _resource_names(resources)}


def previewed(answer: Answer, name: str, stack_id: str) -> dict[str, Json]:
    """The resources of a stack that would change, by what would happen to them.

    :raises OrchestratorError: what else the answer means.
    """
    changes = (
        _inner(answer, "resource_changes") if answer.status == 200 else None
    )
    if changes is None:
        raise refusal(answer, name, stack_id)
    return {
        what: _resource_names(changes.get(what))
        for what in _PREVIEWED
        if changes.get(what)
    }


def _resource_names(resources: Json) -> list[str]:
    """Names and types of resources inside a stack: their properties may be secret."""
    if not isinstance(resources, list):
        return []
    return [
        f"{_text(one, 'resource_name')} ({_text(one, 'resource_type')})"
        for one in resources
        if isinstance(one, dict)
    ]


def deleted(answer: Answer, name: str, stack_id: str) -> None:
    """Heat has taken the deletion.

    :raises StackMissing: the stack is gone already.
    :raises OrchestratorError: what else the answer means.
    """
    if answer.status != 204:
        raise refusal(answer, name, stack_id)


def shown(
    answer: Answer, name: str, stack_id: str, outputs: bool = False
) -> Stack:
    """The stack that was asked for.

    :param outputs: whether they were asked for. Heat leaves them out of what is deleted only.

    :raises StackMissing: Heat knows no such stack.
    :raises OrchestratorError: what else the answer means.
    """
    document = _inner(answer, "stack") if answer.status == 200 else None
    if document is None:
        raise refusal(answer, name, stack_id)
    stack = _stack(document)
    if stack is None or stack.name != name or stack_id not in ("", stack.id):
        raise no_answer(answer)
    if outputs and stack.outputs is None and stack.status != "DELETE_COMPLETE":
        raise no_answer(answer)
    return stack


def located(answer: Answer, name: str) -> str | None:
    """Heat's id of the stack of a name, by the path of a redirect; None when there is no such
    stack.

    The rest of the address is not used: Heat may know itself by a name that only its own network
    resolves.

    :raises OrchestratorError: what else the answer means.
    """
    if answer.status == 302:
        place = _place(answer.headers.get("location", ""))
        if place is None or place[0] != name:
            raise no_answer(answer)
        return place[1]
    if answer.status == 200:  # a Heat that does not redirect
        return shown(answer, name, "").id
    error = refusal(answer, name)
    if isinstance(error, StackMissing):
        return None
    raise error


def listed(answer: Answer) -> list[Stack]:
    """The stacks of a list, without outputs.

    :raises OrchestratorError: what else the answer means.
    """
    document = answer.json() if answer.status == 200 else None
    if document is None:
        raise refusal(answer)
    items = document.get("stacks") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise no_answer(answer)
    stacks = [
        _stack(item) if isinstance(item, dict) else None for item in items
    ]
    whole = [stack for stack in stacks if stack is not None]
    if len(whole) < len(stacks):
        raise no_answer(answer)
    return whole


# What a document holds ----------------------------------------------------------------------------


def _inner(answer: Answer, name: str) -> Mapping[str, Json] | None:
    document = answer.json()
    inner = document.get(name) if isinstance(document, dict) else None
    return inner if isinstance(inner, dict) else None


def _text(document: Mapping[str, Json], name: str) -> str:
    """A text field; empty where it is missing or no text."""
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _stack(document: Mapping[str, Json]) -> Stack | None:
    """A stack as Heat shows it, None when the document is none."""
    status = _text(document, "stack_status")
    if (
        not _text(document, "id")
        or not _text(document, "stack_name")
        or not _STATUS.fullmatch(status)
    ):
        return None
    for name in ("stack_status_reason", "updated_time"):
        if not isinstance(document.get(name), str | None):
            return None
    if not _texts(document.get("tags")) or not _outputs(
        document.get("outputs")
    ):
        return None
    return Stack.from_heat(document)


def _texts(value: Json) -> bool:
    return value is None or (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    )


def _outputs(value: Json) -> bool:
    """Outputs are passed on as Heat gives them: an ``output_error`` stays with its output."""
    if value is None:
        return True
    return isinstance(value, list) and all(
        isinstance(item, dict) and bool(_text(item, "output_key"))
        for item in value
    )


def _self_links(document: Mapping[str, Json]) -> Iterable[tuple[str, str]]:
    """Name and id of the stack that a document's links point to."""
    links = document.get("links")
    for link in links if isinstance(links, list) else ():
        href = (
            _text(link, "href")
            if isinstance(link, dict) and link.get("rel") == "self"
            else ""
        )
        if place := _place(href):
            yield place


def _place(address: str) -> tuple[str, str] | None:
    """Name and id at the end of the path of a stack's address."""
    try:
        parts = [
            unquote(part)
            for part in urlsplit(address).path.rstrip("/").split("/")
        ]
    except ValueError:
        return None
    return (
        (parts[-2], parts[-1])
        if len(parts) >= 3 and parts[-3] == "stacks" and parts[-2] and parts[-1]
        else None
    )
