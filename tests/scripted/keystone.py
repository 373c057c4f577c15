"""A scripted Keystone over HTTP: fast, obedient, and with a log of every request. Not a Keystone.

It answers as much of the Identity API v3 as the orchestrator uses: tokens by password, by token and
by application credential, the projects of a user, and one project. A test says who has a role
where, how long tokens live, and after how many wrong passwords an account is locked. The answers
are those of keystone 30, word for word.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.refs import Json

from .odd_answers import OddAnswer
from .serving import Answer, LocalServer, QuietHandler

_DENIED = "The request you have made requires authentication."


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """*project* is empty for a token that is scoped to nothing; *expires* in seconds since the
    epoch."""

    user: str
    project: str
    expires: float
    delegated: bool = False


@dataclass(slots=True)
class ScriptedKeystone:
    """``with ScriptedKeystone() as keystone:``; the credentials are in :meth:`environment`.

    *password* is that of the only user; *roles* are the projects in which it has a role, *projects*
    those that there are. *lockout* is after how many wrong passwords in a row the account is locked
    (0: never). *heat* is Heat's address, with ``%(tenant_id)s``. *odd* may put something else in
    the place of an answer: (method, path) to what is sent instead, or None.
    """

    heat: str = ""
    password: str = "secret"
    roles: set[str] = field(default_factory=lambda: {"t1", "t2"})
    projects: set[str] = field(default_factory=lambda: {"t1", "t2", "t3"})
    disabled: set[str] = field(default_factory=set)
    sees_projects: bool = False
    application_credential: str = ""
    """The project of the application credential ``ac``, whose secret is *password*; empty: there is
    none."""
    life: float = 3600.0
    lockout: int = 0
    region: str = "RegionOne"
    odd: Callable[[str, str], OddAnswer | None] = lambda method, path: None
    arrived: Callable[[str, str], object] = lambda method, path: None
    logins: list[bool] = field(default_factory=list)
    """Every password that was tried, and whether it was right."""
    requests: list[str] = field(default_factory=list)
    tokens: dict[str, IssuedToken] = field(default_factory=dict)
    failures: int = 0
    port: int = 0
    _server: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> ScriptedKeystone:
        self._server = _KeystoneServer(self, self.port)
        self.port = self._server.port
        self._server.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v3"

    def environment(self) -> dict[str, str]:
        return {
            "OS_AUTH_URL": self.url,
            "OS_USERNAME": "orchestrator",
            "OS_PASSWORD": self.password,
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_REGION_NAME": self.region,
        }

    def application_credentials(self) -> dict[str, str]:
        return {
            "OS_AUTH_TYPE": "v3applicationcredential",
            "OS_AUTH_URL": self.url,
            "OS_APPLICATION_CREDENTIAL_ID": "ac",
            "OS_APPLICATION_CREDENTIAL_SECRET": self.password,
        }

    # What a test can do to it ---------------------------------------------------------------------

    def change_password(self, password: str) -> None:
        """As an operator does: Keystone revokes every token of the user."""
        with self._lock:
            self.password = password
            self.tokens.clear()

    def is_valid(self, token: str | None, project: str) -> bool | None:
        """Whether a token is good for a project; None: it is for another one."""
        issued = self._issued(token)
        if issued is None:
            return False
        return True if issued.project == project else None

    @property
    def locked(self) -> bool:
        return bool(self.lockout) and self.failures >= self.lockout

    # The API --------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, headers: Any, body: Json) -> Answer:
        self.arrived(method, path)
        with self._lock:
            self.requests.append(f"{method} {path}")
            if (method, path) == ("POST", "/v3/auth/tokens"):
                return self._make_token(body["auth"])
            issued = self._issued(headers.get("X-Auth-Token"))
            if issued is None:
                return _error(401, _DENIED)
            if path == "/v3/auth/tokens":
                subject = self._issued(headers.get("X-Subject-Token"))
                return (
                    (200, {"token": self._document(subject)}, {})
                    if subject
                    else _error(404, "Failed to validate token")
                )
            if path == "/v3/auth/projects":
                mine = [
                    {"id": project, "enabled": project not in self.disabled}
                    for project in sorted(self.roles & self.projects)
                ]
                return 200, {"projects": mine, "links": {}}, {}
            if found := re.fullmatch(r"/v3/projects/([^/]+)", path):
                return self._project(found[1])
        return _error(404, "no such path")

    def _project(self, project: str) -> Answer:
        if not self.sees_projects:
            return _error(
                403,
                "You are not authorized to perform the requested action: identity:get_project.",
            )
        if project not in self.projects:
            return _error(404, f"Could not find project: {project}.")
        return (
            200,
            {
                "project": {
                    "id": project,
                    "enabled": project not in self.disabled,
                }
            },
            {},
        )

    def _make_token(self, auth: Json) -> Answer:
        identity, scope = auth["identity"], auth.get("scope")
        method = identity["methods"][0]
        project = scope.get("project", {}).get("id", "") if isinstance(scope, dict) else ""
        if method == "token":
            base = self._issued(identity["token"]["id"])
            if base is None:
                return _error(404, "Could not recognize Fernet token")
            return self._issue(base.user, project, base.expires)
        credential = method == "application_credential"
        given = (
            identity["application_credential"]["secret"]
            if credential
            else identity["password"]["user"]["password"]
        )
        right = (
            given == self.password
            and not self.locked
            and (not credential or bool(self.application_credential))
        )
        self.logins.append(right)
        if not right:
            self.failures += 1
            return _error(401, _DENIED)
        self.failures = 0
        ends = time.time() + self.life
        if credential:
            return self._issue("ac", self.application_credential, ends, delegated=True)
        return self._issue("orchestrator", project, ends)

    def _issue(
        self,
        user: str,
        project: str,
        expires: float,
        *,
        delegated: bool = False,
    ) -> Answer:
        usable = project in self.roles & self.projects - self.disabled
        if project and not usable and not delegated:
            return _error(401, _DENIED)
        token = uuid.uuid4().hex
        issued = self.tokens[token] = IssuedToken(user, project, expires, delegated)
        return (
            201,
            {"token": self._document(issued)},
            {"X-Subject-Token": token},
        )

    def _issued(self, token: str | None) -> IssuedToken | None:
        issued = self.tokens.get(token or "")
        return issued if issued is not None and time.time() < issued.expires else None

    def _document(self, issued: IssuedToken) -> dict[str, Json]:
        now = time.time()
        document = {
            "user": {"name": issued.user},
            "issued_at": _stamp(now),
            "expires_at": _stamp(issued.expires),
            "methods": [],
        }
        if not issued.project:
            return document
        address = self.heat.replace("%(tenant_id)s", issued.project)
        ends = [
            {"interface": name, "region_id": self.region, "url": address}
            for name in ("public", "internal")
        ]
        catalog = [{"type": "orchestration", "endpoints": ends}] if self.heat else []
        return {
            **document,
            "project": {"id": issued.project},
            "catalog": catalog,
        }


def _stamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1e6):06d}Z"


def _error(status: int, message: str) -> Answer:
    titles = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
    return (
        status,
        {
            "error": {
                "code": status,
                "message": message,
                "title": titles[status],
            }
        },
        {},
    )


class _KeystoneServer(LocalServer):
    def __init__(self, keystone: ScriptedKeystone, port: int) -> None:
        super().__init__(_KeystoneHandler, port)
        self.keystone = keystone


class _KeystoneHandler(QuietHandler):
    server: _KeystoneServer

    def _answer(self) -> None:
        keystone, body = self.server.keystone, self.body()
        if odd := keystone.odd(self.command, self.path):
            self.close_connection = True
            odd.send(self.connection)
            return
        answer = keystone.answer(self.command, self.path, self.headers, body)
        self.send_document(answer)

    # The base class calls them so.
    do_GET = do_POST = _answer  # noqa: N815
