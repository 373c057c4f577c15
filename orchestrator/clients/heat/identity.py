"""The shapes of the Identity API, version 3: what is sent to log in, and what answers look like.

An answer of Keystone counts only in its own shape: a token, or ``{"error": {"code": <status>,
"message", "title"}}``.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...core.refs import Json
from ...errors import HeatUnavailable
from .answer import QUOTED, Answer, plain
from .credentials import APPLICATION_CREDENTIAL, Credentials
from .failures import host


class Refused(Exception):
    """Keystone said no, in its own document. Never leaves this package."""

    def __init__(self, answer: Answer) -> None:
        document = answer.json()
        told = str(document["error"].get("message") or "")
        super().__init__(f"{answer.status}: {plain(told, QUOTED)}")
        self.status = answer.status


def is_refusal(answer: Answer) -> bool:
    """Whether it is Keystone's own error document."""
    error = inner_of(answer, "error")
    return error is not None and error.get("code") == answer.status


def inner_of(answer: Answer, name: str) -> Mapping[str, Json] | None:
    """The object at the top of a document that has a name. None when there is none."""
    document = answer.json()
    if not isinstance(document, dict):
        return None
    inner = document.get(name)
    if not isinstance(inner, dict):
        return None
    return inner


def no_answer(answer: Answer, url: str) -> HeatUnavailable:
    if answer.status in (429, 500, 502, 503, 504) and is_refusal(answer):
        return HeatUnavailable(
            f"Keystone at {host(url)} answers {answer.status}: {answer.words}"
        )
    return HeatUnavailable(
        f"what answered at {host(url)} is not Keystone's API ({answer}); check"
        " OS_AUTH_URL"
    )


def login_request(credentials: Credentials) -> dict[str, Json]:
    """What is sent to log in: scoped to nothing, or to what the credentials are bound to."""
    if credentials.kind in APPLICATION_CREDENTIAL:
        return {"identity": _application_credential(credentials)}
    option = credentials.options.get
    user = {**_user(credentials), "password": str(option("password"))}
    scope: Json = "unscoped"
    if option("trust_id"):
        scope = {"OS-TRUST:trust": {"id": option("trust_id")}}
    return {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": scope,
    }


def _application_credential(credentials: Credentials) -> dict[str, Json]:
    """Named by its id, or by its name and user."""
    option = credentials.options.get
    which: dict[str, Json]
    if option("application_credential_id"):
        which = {"id": option("application_credential_id")}
    else:
        name = option("application_credential_name")
        which = {"name": name, "user": _user(credentials)}
    which["secret"] = str(option("application_credential_secret"))
    return {
        "methods": ["application_credential"],
        "application_credential": which,
    }


def _user(credentials: Credentials) -> dict[str, Json]:
    """By id; or by name and domain, which is ``default`` when nothing is said."""
    option = credentials.options.get
    if option("user_id"):
        return {"id": option("user_id")}
    name = option("username")
    by_id = option("user_domain_id") or option("default_domain_id")
    if by_id:
        return {"name": name, "domain": {"id": by_id}}
    by_name = option("user_domain_name") or option("default_domain_name")
    if by_name:
        return {"name": name, "domain": {"name": by_name}}
    return {"name": name, "domain": {"id": "default"}}
