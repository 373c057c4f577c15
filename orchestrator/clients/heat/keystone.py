"""Tokens: from one login a process, a token for each project.

With a password, the login gives a token that is scoped to nothing. Each project's token is made of
it. So the password goes to Keystone once in the life of a token, and a project that Keystone
refuses is told apart from a password that it refuses: Keystone's own answer, 401, is the same for
both. An application credential gives the token of its one project. All other kinds of
authentication go through keystoneauth.

An answer of Keystone counts only in its own shape: a token, or ``{"error": {"code": <status>,
"message", "title"}}``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from urllib.parse import quote

from ...core.refs import Json
from ...errors import (
    CredentialsRejected,
    EnvironmentUnusable,
    HeatUnavailable,
    OrchestratorError,
    ProjectRefused,
)
from .answers import QUOTED, Answer, plain
from .connections import Connections, host
from .credentials import (
    APPLICATION_CREDENTIAL,
    NO_AUTHENTICATION,
    PASSWORD,
    Credentials,
    endpoint_of,
)
from .logins import Account, Logins

_LOGIN, _OWN = "", "/own"
"""Beside the projects: the token of the login, and that of the scope that the credentials name. No
project is called so."""
_LIFE = 3600.0
"""Seconds of a token whose life cannot be read."""
_EARLY = 120.0
"""Seconds before its end at which a token is renewed; of a short one, half of its life. A request
may wait in a busy Heat before the token is looked at (30 s were seen on two cores)."""
_LOGIN_TIME = 150.0
"""Seconds that a login may take, as others see it: after that it counts as broken off."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and where Heat is for its project.

    *headers* carry it; *project* is the id of the project that it is for, empty when it is for
    none. *made* and *renew* (when it is time for a new one) are by the monotonic clock.
    """

    headers: Mapping[str, str] = field(repr=False)
    project: str
    catalog: Json = field(repr=False, default=None)
    made: float = 0.0
    renew: float = float("inf")

    @property
    def value(self) -> str:
        return self.headers.get("X-Auth-Token", "")

    @property
    def fresh(self) -> bool:
        return time.monotonic() < self.renew


class Refused(Exception):
    """Keystone said no, in its own document. Never leaves this module."""

    def __init__(self, answer: Answer) -> None:
        document = answer.json()
        super().__init__(
            f"{answer.status}:"
            f" {plain(str(document['error'].get('message') or ''), QUOTED)}"
        )
        self.status = answer.status


class Access(Protocol):
    """Tokens of some credentials."""

    credentials: Credentials

    def token(self, tenant: str) -> Token:
        """A token for the project.

        :raises CredentialsRejected: a person has to correct the credentials.
        :raises ProjectRefused: the credentials are good, but not for this project.
        :raises HeatUnavailable: Keystone does not answer.
        """

    def drop(self, tenant: str, token: Token) -> None:
        """Heat refused the token: the next one is a new one."""

    def check(self) -> Token:
        """Any token at all: are the credentials good?

        :raises CredentialsRejected: they are not.
        :raises HeatUnavailable: Keystone does not answer.
        """

    def gone(self, tenant: str) -> bool | None:
        """Whether there is no such project any more; None when Keystone does not tell us."""


def access(
    credentials: Credentials, connections: Connections, logins: Logins
) -> Access:
    """The way to tokens that the credentials need."""
    if credentials.kind == NO_AUTHENTICATION:
        return NoKeystone(credentials)
    old = "/v2.0" in credentials.auth_url
    if credentials.kind in (*PASSWORD, *APPLICATION_CREDENTIAL) and not old:
        return Keystone(credentials, connections, logins)
    from .plugins import Plugins  # imports keystoneauth, which few need

    return Plugins(credentials, connections, logins)


class NoKeystone:
    """A Heat that lets everybody in: the project is the one in the address."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials

    def token(self, tenant: str) -> Token:
        return Token({}, tenant)

    def drop(self, tenant: str, token: Token) -> None:
        """There is no other."""

    def check(self) -> Token:
        return Token({}, "")

    def gone(self, tenant: str) -> bool | None:
        return None


class Tokens:
    """The tokens of a process, by project; each is fetched by one thread at a time."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._known: dict[str, Token] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, tenant: str, fetch: Callable[[], Token]) -> Token:
        known = self._known.get(tenant)
        if known is not None and known.fresh:
            return known
        with self._alone(tenant):
            known = self._known.get(tenant)
            if known is None or not known.fresh:
                known = self._known[tenant] = fetch()
            return known

    def drop(self, tenant: str, token: Token) -> None:
        """Forget this very token; another thread may have fetched a new one by now."""
        with self._lock:
            if self._known.get(tenant) is token:
                del self._known[tenant]

    @contextmanager
    def _alone(self, tenant: str) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(tenant, threading.Lock())
        if not lock.acquire(
            timeout=max(min(self._connections.left, threading.TIMEOUT_MAX), 0.0)
        ):
            raise HeatUnavailable(
                "Keystone has not answered another request of this process yet"
            )
        try:
            yield
        finally:
            lock.release()


class Keystone:
    """Version 3 of the Identity API, with a password or an application credential."""

    def __init__(
        self, credentials: Credentials, connections: Connections, logins: Logins
    ) -> None:
        self.credentials = credentials
        self._connections, self._logins = connections, logins
        self._account = Account(credentials.account, credentials.who)
        self._tokens = Tokens(connections)
        self._doubt = 0.0
        """When the last token was refused before its time, in seconds since the epoch."""
        self._url = credentials.auth_url.rstrip("/")
        if not self._url.endswith("/v3"):
            self._url += "/v3"

    def token(self, tenant: str) -> Token:
        if self.credentials.bound:
            token = self._login()
            if token.project != tenant:
                raise bound_elsewhere(self.credentials, token.project, tenant)
            return token
        return self._tokens.get(tenant, lambda: self._of_project(tenant))

    def drop(self, tenant: str, token: Token) -> None:
        self._tokens.drop(_LOGIN if self.credentials.bound else tenant, token)
        if self.credentials.bound:
            self._doubt = time.time()

    def check(self) -> Token:
        """A token of the scope that the credentials name, or of none: are they good?

        :raises CredentialsRejected: they are not.
        :raises HeatUnavailable: Keystone does not answer.
        """
        scope = self.credentials.own_scope
        if self.credentials.bound or not scope:
            return self._login()
        try:
            return self._tokens.get(_OWN, lambda: self._scoped(scope))
        except Refused:
            return self._login()

    def gone(self, tenant: str) -> bool | None:
        try:
            answer = self._ask(
                "GET", f"/projects/{quote(tenant, safe='')}", self.check()
            )
        except OrchestratorError:
            return None
        project = _inner(answer, "project")
        if (
            answer.status == 200
            and project is not None
            and project.get("id") == tenant
        ):
            return False
        # Keystone says 403, and not 404, to those who may not see projects.
        return True if answer.status == 404 and _is_refusal(answer) else None

    # With a password ------------------------------------------------------------------------------

    def _of_project(self, tenant: str) -> Token:
        """A project's token, made of the one of the login."""
        try:
            token = self._scoped({"project": {"id": tenant}})
        except Refused as error:
            mine = self._projects()
            if not mine.get(tenant):
                raise self._why_not(tenant, mine) from error
            token = self._direct(tenant, mine)
        if token.project != tenant:
            raise ProjectRefused(
                tenant,
                f"Keystone gives a token for project {token.project or 'none'} instead",
            )
        return token

    def _scoped(self, scope: Mapping[str, Json]) -> Token:
        """A token of a scope. When the login's own token is not good any more, there is another
        login first.

        :raises Refused: there is no token of that scope.
        """
        login = self._login()
        try:
            return self._rescoped(login, scope)
        except Refused:
            if self._is_good(login):
                raise
        self._tokens.drop(_LOGIN, login)
        self._doubt = time.time()
        return self._rescoped(self._login(), scope)

    def _rescoped(self, login: Token, scope: Mapping[str, Json]) -> Token:
        token = self._tokens_request(
            {
                "identity": {
                    "methods": ["token"],
                    "token": {"id": login.value},
                },
                "scope": scope,
            }
        )
        # It ends with the login's, and what is left of that may be short.
        return replace(token, renew=min(token.renew, login.renew))

    def _is_good(self, login: Token) -> bool:
        """Whether the login's token is still valid, by asking it about itself."""
        answer = self._ask(
            "GET", "/auth/tokens", login, {"X-Subject-Token": login.value}
        )
        if answer.status == 200 and _inner(answer, "token") is not None:
            return True
        if _is_refusal(answer):
            return False
        raise _no_answer(answer, self._url)

    def _direct(self, tenant: str, mine: Mapping[str, bool]) -> Token:
        """A project's token, made of the password: for a Keystone that makes no token of
        another."""
        auth = {
            **_login_request(self.credentials),
            "scope": {"project": {"id": tenant}},
        }
        try:
            with self._logins.attempt(
                self._account,
                self._doubt,
                min(self._connections.left, _LOGIN_TIME),
            ):
                return self._tokens_request(auth)
        except Refused as error:
            raise self._why_not(tenant, mine) from error

    def _why_not(self, tenant: str, mine: Mapping[str, bool]) -> ProjectRefused:
        """What is wrong with the project. The login is good, or there would be no saying."""
        if mine.get(tenant) is False:
            return ProjectRefused(
                tenant,
                "it is disabled in Keystone; enable it, or correct tenant_id",
            )
        gone, who = self.gone(tenant), self.credentials.who
        if gone:
            place = host(self._url)
            return ProjectRefused(
                tenant,
                f"Keystone at {place} has no such project; correct tenant_id",
            )
        what = (
            "no role in it"
            if gone is False
            else "no role in it, or there is no such project"
        )
        return ProjectRefused(
            tenant,
            f"{who} has {what}; give it a role there, or correct tenant_id",
        )

    def _projects(self) -> Mapping[str, bool]:
        """The projects in which the user has a role, and whether they are enabled. Empty when
        Keystone does not say."""
        answer = self._ask("GET", "/auth/projects", self._login())
        document = answer.json() if answer.status == 200 else None
        found = document.get("projects") if isinstance(document, dict) else None
        listed = found if isinstance(found, list) else []
        return {
            str(project.get("id")): bool(project.get("enabled", True))
            for project in listed
            if isinstance(project, dict)
        }

    # Logging in -----------------------------------------------------------------------------------

    def _login(self) -> Token:
        """The token of the login; a new login when there is none or it ends soon."""
        return self._tokens.get(_LOGIN, self._log_in)

    def _log_in(self) -> Token:
        with self._logins.attempt(
            self._account, self._doubt, min(self._connections.left, _LOGIN_TIME)
        ):
            try:
                return self._tokens_request(_login_request(self.credentials))
            except Refused as error:
                raise CredentialsRejected(
                    _rejected(self.credentials, str(error))
                ) from error

    # Keystone's API -------------------------------------------------------------------------------

    def _tokens_request(self, auth: Mapping[str, Json]) -> Token:
        body = json.dumps({"auth": auth}).encode()
        answer = self._exchange(
            "POST", "/auth/tokens", {"Content-Type": "application/json"}, body
        )
        if answer.status in (400, 401, 403, 404) and _is_refusal(answer):
            raise Refused(answer)
        token = _inner(answer, "token") if answer.status in (200, 201) else None
        value = answer.headers.get("x-subject-token")
        if token is None or not value:
            raise _no_answer(answer, self._url)
        project = token.get("project")
        return made(
            {"X-Auth-Token": value},
            str(project.get("id") or "") if isinstance(project, dict) else "",
            token.get("catalog"),
            _life(token),
        )

    def _ask(
        self,
        method: str,
        path: str,
        token: Token,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return self._exchange(
            method, path, {**token.headers, **(headers or {})}
        )

    def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Answer:
        answer = self._connections.exchange(
            method,
            self._url + path,
            {"Accept": "application/json", **headers},
            body,
            self.credentials.trust,
        )
        return (
            answer
            if answer.status < 300
            else answer.without(self.credentials.secrets)
        )


def made(
    headers: Mapping[str, str], project: str, catalog: Json, life: float
) -> Token:
    """A token of now that is good for *life* seconds."""
    now = time.monotonic()
    return Token(
        headers, project, catalog, now, now + life - min(_EARLY, life / 2)
    )


def bound_elsewhere(
    credentials: Credentials, project: str, tenant: str
) -> ProjectRefused:
    return ProjectRefused(
        tenant,
        f"the workers use {credentials.who}, which is bound to project"
        f" {project or 'unknown'}; give the workers credentials for {tenant}, or a user"
        " with a role in it",
    )


def _rejected(credentials: Credentials, reason: str) -> str:
    return (
        f"Keystone rejects {credentials.who} ({reason}): the password or secret is"
        f" wrong or expired, or the account is disabled or locked; {credentials.cure}"
    )


def _login_request(credentials: Credentials) -> dict[str, Json]:
    """What is sent to log in: scoped to nothing, or to what the credentials are bound to."""
    option = credentials.options.get
    user: dict[str, Json] = (
        {"id": option("user_id")}
        if option("user_id")
        else {"name": option("username")}
    )
    if "name" in user:
        names = option("user_domain_name") or option("default_domain_name")
        ids = (
            option("user_domain_id")
            or option("default_domain_id")
            or ("" if names else "default")
        )
        user["domain"] = {"id": ids} if ids else {"name": names}
    if credentials.kind in APPLICATION_CREDENTIAL:
        secret = str(option("application_credential_secret"))
        named = {"name": option("application_credential_name"), "user": user}
        which = (
            {"id": option("application_credential_id")}
            if option("application_credential_id")
            else named
        )
        return {
            "identity": {
                "methods": ["application_credential"],
                "application_credential": {**which, "secret": secret},
            }
        }
    identity = {
        "methods": ["password"],
        "password": {"user": {**user, "password": str(option("password"))}},
    }
    scope: Json = (
        {"OS-TRUST:trust": {"id": option("trust_id")}}
        if option("trust_id")
        else "unscoped"
    )
    return {"identity": identity, "scope": scope}


# Where Heat is ------------------------------------------------------------------------------------


def heat_address(credentials: Credentials, token: Token, tenant: str) -> str:
    """Heat's address for a project.

    :raises EnvironmentUnusable: the catalogue does not say it for this region and interface.
    """
    if credentials.endpoint:
        return endpoint_of(credentials.endpoint, tenant)
    services = [
        service for service in token.catalog or () if isinstance(service, dict)
    ]
    ends = [
        end
        for service in services
        if service.get("type") == "orchestration"
        for end in service.get("endpoints") or ()
    ]
    found = [end for end in ends if _serves(end, credentials)]
    if found and isinstance(found[0].get("url"), str):
        return str(found[0]["url"]).rstrip("/")
    if not ends:
        raise EnvironmentUnusable(
            f"Keystone's catalogue for project {tenant} names no service of type"
            " orchestration; register Heat there, or set"
            " OS_ORCHESTRATION_ENDPOINT_OVERRIDE"
        )
    known = sorted(
        {
            f"{end.get('region_id') or end.get('region')}/{end.get('interface')}"
            for end in ends
            if isinstance(end, dict)
        }
    )
    raise EnvironmentUnusable(
        f"Keystone's catalogue names Heat for {', '.join(known)}, but not for region"
        f" {credentials.region or 'any'}, interface {credentials.interface}; correct"
        " OS_REGION_NAME or OS_INTERFACE"
    )


def _serves(end: Json, credentials: Credentials) -> bool:
    if (
        not isinstance(end, dict)
        or end.get("interface") != credentials.interface
    ):
        return False
    return credentials.region in ("", end.get("region_id"), end.get("region"))


# The shape of answers -----------------------------------------------------------------------------


def _is_refusal(answer: Answer) -> bool:
    """Whether it is Keystone's own error document."""
    error = _inner(answer, "error")
    return error is not None and error.get("code") == answer.status


def _inner(answer: Answer, name: str) -> Mapping[str, Json] | None:
    document = answer.json()
    inner = document.get(name) if isinstance(document, dict) else None
    return inner if isinstance(inner, dict) else None


def _no_answer(answer: Answer, url: str) -> HeatUnavailable:
    if answer.status in (429, 500, 502, 503, 504) and _is_refusal(answer):
        return HeatUnavailable(
            f"Keystone at {host(url)} answers {answer.status}: {answer.words}"
        )
    return HeatUnavailable(
        f"what answered at {host(url)} is not Keystone's API ({answer}); check"
        " OS_AUTH_URL"
    )


def _life(token: Mapping[str, Json]) -> float:
    """Seconds from the making of a token to its end, by Keystone's clock alone."""
    try:
        ends = datetime.fromisoformat(str(token["expires_at"]))
        return max(
            (
                ends - datetime.fromisoformat(str(token["issued_at"]))
            ).total_seconds(),
            1.0,
        )
    except (KeyError, ValueError, TypeError, OverflowError):
        return _LIFE
