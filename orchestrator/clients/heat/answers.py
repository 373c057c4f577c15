"""What counts as an answer of Heat, and what it says. Pure: an HTTP answer in, a value or an error
out.

An answer counts only in the shape of Heat's API. Everything else is a :class:`HeatUnavailable`: a
page of a proxy, a document with a field missing, a stack that nobody asked for. It is retried, and
the reason quotes what was answered.

Shapes, as openstack-heat 27 makes them (``heat/api/openstack/v1``,
``heat/api/middleware/fault.py``):

======  ====================  ===================================================================
POST    ``/stacks``           201 ``{"stack": {"id", "links": [{"rel": "self", "href"}]}}``
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
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from ...core.documents import parse_json
from ...core.refs import Json
from ...core.stacks import Stack
from ...core.texts import LONGEST_WORDS, cut
from ...errors import (
    HeatFault,
    HeatRefused,
    HeatUnavailable,
    LimitExceeded,
    OrchestratorError,
    StackBusy,
    StackExists,
    StackMissing,
)

QUOTED = 200
"""Characters that a reason quotes of an answer that is none of Heat's."""

_STATUS = re.compile(r"[A-Z]+_(IN_PROGRESS|COMPLETE|FAILED)")
_NOT_FOUND = re.compile(
    r"The (?P<entity>[^()]+) \((?P<name>[^()]*)\) could not be found"
)
_FORBIDDEN = re.compile(r"not authorized to use (?P<action>\S+?)\.?$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_MISSING = frozenset({"EntityNotFound", "NotFound", "StackNotFound"})
_BUSY = frozenset({"ActionInProgress", "ActionNotComplete", "StopActionFailed"})
_WRONG_PLACE = frozenset(
    {"HTTPMethodNotAllowed", "HTTPNotFound", "HTTPNotAcceptable"}
)
"""Heat answers so to a path or a method that it does not have: the address is wrong, not the
request."""
_NO_ROLE = frozenset({"HTTPForbidden", "InvalidTenant", "NotAuthorized"})
_OUTAGE = re.compile(
    r"Messag|RPC|DB|Database|OperationalError|Timeout|TimedOut|Connect|Connection|Disconnected|Unavailable"
    r"|DiscoveryFailure|Unauthorized|AuthorizationFailure|EndpointNotFound"
)
"""Types of a 500 that tell of Heat's own surroundings (its queue, its database, Keystone), not of
the request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: *headers* by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def without(self, secrets: Iterable[str]) -> Answer:
        """The same without some texts, should the other side quote them."""
        body = self.body
        for secret in secrets:
            if len(secret) >= 4:  # else "1" would hide the answer itself
                body = body.replace(secret.encode(), b"***")
        return replace(self, body=body)

    def json(self) -> Json:
        """The document; None where there is none (as for ``null``, and for ``NaN`` in it)."""
        try:
            return parse_json(self.body)
        except (ValueError, RecursionError):
            return None

    def __str__(self) -> str:
        kind = (
            self.headers.get("content-type", "").partition(";")[0]
            or "no content type"
        )
        place = (
            f" to {plain(self.headers.get('location', ''), 80)}"
            if 300 <= self.status < 400
            else ""
        )
        return f"{self.status}{place}, {plain(kind, 60)}: {self.words}"

    @property
    def words(self) -> str:
        """The first words of the body."""
        return (
            plain(self.body[: 4 * QUOTED].decode("utf-8", "replace"), QUOTED)
            or "nothing"
        )


class TokenRefused(HeatUnavailable):
    """401: the token has expired or was revoked. A new one is fetched and the request is made
    again."""


class RoleMissing(HeatUnavailable):
    """403 about the user, not about the request. Heat and Keystone remember roles for some
    minutes.

    :param explained: whether Heat says what is not allowed. Where Keystone refuses Heat a trust,
        it does not.
    """

    def __init__(self, reason: str, *, explained: bool = True) -> None:
        super().__init__(reason)
        self.explained = explained


@dataclass(frozen=True, slots=True)
class Fault:
    """Heat's own error document."""

    status: int
    kind: str
    reason: str
    message: str
    """What the error itself says; empty where Heat does not pass it on."""


def plain(text: str, most: int) -> str:
    """A text that fits into a line of a log: no control characters, no more than *most*
    characters."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def fault_of(answer: Answer) -> Fault | None:
    """Heat's error document, None when the answer is none."""
    document = answer.json()
    if not isinstance(document, dict):
        return None
    code, inner = document.get("code"), document.get("error")
    if (
        isinstance(code, bool)
        or code != answer.status
        or not isinstance(document.get("title"), str)
    ):
        return None
    if (
        not isinstance(inner, dict)
        or not isinstance(inner.get("type"), str)
        or not inner["type"]
    ):
        return None
    message = inner.get("message")
    message = message.strip() if isinstance(message, str) else ""
    explanation = document.get("explanation")
    reason = (
        message
        or (explanation.strip() if isinstance(explanation, str) else "")
        or "no reason given"
    )
    # An error of validation may quote a whole template.
    reason = cut(plain(reason, len(reason)), LONGEST_WORDS)
    return Fault(answer.status, plain(inner["type"], 80), reason, message)


# The six requests ---------------------------------------------------------------------------------


def created(answer: Answer, name: str) -> str:
    """Heat's id of the stack that was asked for.

    :raises OrchestratorError: what else the answer means.
    """
    document = _inner(answer, "stack") if answer.status == 201 else None
    if document is None:
        raise _refusal(answer, name)
    stack_id = _text(document, "id")
    if not stack_id or any(
        place != (name, stack_id) for place in _self_links(document)
    ):
        raise _no_answer(answer)
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
        raise _refusal(answer, name, stack_id)


def deleted(answer: Answer, name: str, stack_id: str) -> None:
    """Heat has taken the deletion.

    :raises StackMissing: the stack is gone already.
    :raises OrchestratorError: what else the answer means.
    """
    if answer.status != 204:
        raise _refusal(answer, name, stack_id)


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
        raise _refusal(answer, name, stack_id)
    stack = _stack(document)
    if stack is None or stack.name != name or stack_id not in ("", stack.id):
        raise _no_answer(answer)
    if outputs and stack.outputs is None and stack.status != "DELETE_COMPLETE":
        raise _no_answer(answer)
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
            raise _no_answer(answer)
        return place[1]
    if answer.status == 200:  # a Heat that does not redirect
        return shown(answer, name, "").id
    error = _refusal(answer, name)
    if isinstance(error, StackMissing):
        return None
    raise error


def listed(answer: Answer) -> list[Stack]:
    """The stacks of a list, without outputs.

    :raises OrchestratorError: what else the answer means.
    """
    document = answer.json() if answer.status == 200 else None
    if document is None:
        raise _refusal(answer)
    items = document.get("stacks") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise _no_answer(answer)
    stacks = [
        _stack(item) if isinstance(item, dict) else None for item in items
    ]
    whole = [stack for stack in stacks if stack is not None]
    if len(whole) < len(stacks):
        raise _no_answer(answer)
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
    if not isinstance(document.get("stack_status_reason"), str | None):
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


# What an answer means that is not the one hoped for -----------------------------------------------


def _no_answer(answer: Answer) -> HeatUnavailable:
    return HeatUnavailable(
        f"what answered is not Heat's API ({answer}); check the address of Heat, and"
        " what stands between it and the worker"
    )


def _refusal(
    answer: Answer, name: str = "", stack_id: str = ""
) -> OrchestratorError:
    """The error for an answer that did not succeed.

    :param name: the stack that was asked for; empty for a list.
    :param stack_id: its id where the request named one.
    """
    fault = fault_of(answer)
    if answer.status == 401 and (fault or _of_the_token_filter(answer)):
        return TokenRefused(f"Heat refuses the token ({answer})")
    if fault is None or fault.kind in _WRONG_PLACE:
        return _no_answer(answer)
    if fault.status == 404:
        return _missing(answer, fault, name, stack_id)
    if fault.kind in _BUSY:
        return StackBusy(fault.reason)
    if fault.status == 403 or _lacks_roles(fault):
        return _forbidden(fault)
    if fault.status == 409:
        exists = fault.kind == "StackExists"
        return (
            StackExists(409, fault.reason, fault.kind)
            if exists
            else StackBusy(f"Heat answers 409: {fault.reason}")
        )
    if fault.status == 500 and not _OUTAGE.search(fault.kind):
        return HeatFault(fault.kind, fault.reason)
    if fault.status in (408, 429) or fault.status >= 500:
        return HeatUnavailable(
            f"Heat answers {fault.status} ({fault.kind}): {fault.reason}"
        )
    return _refused(fault)


def _of_the_token_filter(answer: Answer) -> bool:
    """Whether the 401 comes from the filter before Heat that asks Keystone about tokens."""
    document = answer.json()
    inner = document.get("error") if isinstance(document, dict) else None
    keystone = (
        answer.headers.get("www-authenticate", "")
        .lower()
        .startswith("keystone ")
    )
    return keystone or (isinstance(inner, dict) and inner.get("code") == 401)


def _missing(
    answer: Answer, fault: Fault, name: str, stack_id: str
) -> OrchestratorError:
    """404 of Heat: about the very stack, about something that the template names, or about nothing
    we asked for."""
    if fault.kind not in _MISSING or not name:
        return _no_answer(answer)
    found = _NOT_FOUND.search(fault.message)
    if found and found["entity"].strip() != "Stack":
        return _refused(fault)
    if found and found["name"] in (name, stack_id):
        return StackMissing(fault.reason)
    if not found and any(
        _names(fault.message, text) for text in (name, stack_id) if text
    ):
        return StackMissing(fault.reason)
    return _no_answer(answer)


def _names(message: str, text: str) -> bool:
    return (
        re.search(rf"(?<![\w.-]){re.escape(text)}(?![\w-])", message)
        is not None
    )


def _forbidden(fault: Fault) -> OrchestratorError:
    """403 of Heat: because of the user's roles, or because of what the template wants to use."""
    action = _FORBIDDEN.search(fault.message)
    if action and action["action"].startswith(("resource_types:", "OS::")):
        return _refused(fault)
    if fault.kind in _NO_ROLE or action or _lacks_roles(fault):
        return RoleMissing(
            f"Heat answers {fault.status} ({fault.kind}): {fault.reason}"
        )
    if fault.kind == "Forbidden":
        return RoleMissing(
            f"Heat answers 403: {fault.reason}", explained=bool(fault.message)
        )
    return _refused(fault)


def _lacks_roles(fault: Fault) -> bool:
    """Whether the user has not the roles that Heat wants to delegate
    (``trusts_delegated_roles``)."""
    return fault.kind == "MissingCredentialError" and "roles" in fault.message


def _refused(fault: Fault) -> HeatRefused:
    kind = (
        LimitExceeded if fault.kind == "RequestLimitExceeded" else HeatRefused
    )
    return kind(fault.status, fault.reason, fault.kind)
