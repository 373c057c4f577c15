"""What an answer means that did not succeed: an outage, a refusal, or no answer of Heat's."""

from __future__ import annotations

import re

from ...errors import (
    DelegationRefused,
    HeatFault,
    HeatRefused,
    HeatUnavailable,
    LimitExceeded,
    OrchestratorError,
    StackBusy,
    StackExists,
    StackMissing,
)
from .answer import Answer, Fault, fault_of

_NOT_FOUND = re.compile(
    r"The (?P<entity>[^()]+) \((?P<name>[^()]*)\) could not be found"
)
_FORBIDDEN = re.compile(r"not authorized to use (?P<action>\S+?)\.?$")

_MISSING = frozenset({"EntityNotFound", "NotFound", "StackNotFound"})
_BUSY = frozenset({"ActionInProgress", "ActionNotComplete", "StopActionFailed"})
_WRONG_PLACE = frozenset(
    {"HTTPMethodNotAllowed", "HTTPNotFound", "HTTPNotAcceptable"}
)
"""Heat answers so to a path or a method that it does not have: the address is wrong, not the
request."""
_NO_ROLE = frozenset({"HTTPForbidden", "InvalidTenant", "NotAuthorized"})
_OUTAGE = re.compile(
    r"Messag|RPC|DB|Database|OperationalError|Timeout|TimedOut"
    r"|Connect|Connection|Disconnected|Unavailable"
    r"|DiscoveryFailure|Unauthorized|AuthorizationFailure|EndpointNotFound"
)
"""Types of a 500 that tell of Heat's own surroundings (its queue, its database, Keystone), not of
the request."""


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


def no_answer(answer: Answer) -> HeatUnavailable:
    return HeatUnavailable(
        f"what answered is not Heat's API ({answer}); check the address of Heat, and"
        " what stands between it and the worker"
    )


def refusal(
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
        return no_answer(answer)
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
        return no_answer(answer)
    found = _NOT_FOUND.search(fault.message)
    if found and found["entity"].strip() != "Stack":
        return _refused(fault)
    if found and found["name"] in (name, stack_id):
        return StackMissing(fault.reason)
    if not found and any(
        _names(fault.message, text) for text in (name, stack_id) if text
    ):
        return StackMissing(fault.reason)
    return no_answer(answer)


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


def delegation_refused(
    tenant: str, who: str, error: Exception
) -> DelegationRefused:
    """Heat takes no create with a delegated token, and what to do about it."""
    return DelegationRefused(
        f"Heat takes no create in project {tenant} with {who}: Keystone lets a"
        " delegated token make no trust, and Heat makes one for each stack. Use a"
        " user with a password, or allow it in keystone.conf"
        " (allow_insecure_application_credential_trust_escalation). Heat's answer:"
        f" {error}"
    )
