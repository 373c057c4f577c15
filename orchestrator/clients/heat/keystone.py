"""Tokens: from one login a process, a token for each project.

With a password, the login gives a token that is scoped to nothing. Each project's token is made of
it. So the password goes to Keystone once in the life of a token, and a project that Keystone
refuses is told apart from a password that it refuses: Keystone's own answer, 401, is the same for
both. An application credential gives the token of its one project. All other kinds of
authentication go through keystoneauth.

:mod:`.identity` knows the shapes of the API, :mod:`.tokens` keeps the tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from urllib.parse import quote

from ...core.refs import Json
from ...errors import (
    CredentialsRejected,
    OrchestratorError,
    ProjectRefused,
)
from .answer import Answer
from .connections import Connections
from .credentials import (
    APPLICATION_CREDENTIAL,
    NO_AUTHENTICATION,
    PASSWORD,
    Credentials,
)
from .failures import host
from .heat_address import heat_address
from .identity import (
    Refused,
    inner_of,
    is_refusal,
    login_request,
    no_answer,
)
from .logins import Account, Logins
from .shared_tokens import SharedTokens
from .token import Token, life, made
from .tokens import Access, NoKeystone, Tokens, bound_elsewhere

__all__ = ("Access", "Keystone", "Token", "access", "heat_address")

_LOGIN, _OWN = "", "/own"
"""Beside the projects: the token of the login, and that of the scope that the credentials name. No
project is called so."""
_LOGIN_TIME = 150.0
"""Seconds that a login may take, as others see it: after that it counts as broken off."""


def access(
    credentials: Credentials,
    connections: Connections,
    logins: Logins,
    shared: SharedTokens,
) -> Access:
    """The way to tokens that the credentials need."""
    if credentials.kind == NO_AUTHENTICATION:
        return NoKeystone(credentials)
    old = "/v2.0" in credentials.auth_url
    if credentials.kind in (*PASSWORD, *APPLICATION_CREDENTIAL) and not old:
        return Keystone(credentials, connections, logins, shared)
    from .plugins import Plugins  # imports keystoneauth, which few need

    return Plugins(credentials, connections, logins, shared)


class Keystone:
    """Version 3 of the Identity API, with a password or an application credential."""

    def __init__(
        self,
        credentials: Credentials,
        connections: Connections,
        logins: Logins,
        shared: SharedTokens,
    ) -> None:
        self.credentials = credentials
        self._connections, self._logins = connections, logins
        self._account = Account(credentials.account, credentials.who)
        self._tokens = Tokens(connections, shared, credentials.account)
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
        if self.credentials.bound:
            self._tokens.drop(_LOGIN, token)
            self._doubt = self._connections.clock.now()
        else:
            self._tokens.drop(tenant, token)

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
        # Keystone says 403, and not 404, to those who may not see projects.
        if answer.status == 404 and is_refusal(answer):
            return True
        project = inner_of(answer, "project") or {}
        if answer.status == 200 and project.get("id") == tenant:
            return False
        return None

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
        self._doubt = self._connections.clock.now()
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
        if answer.status == 200 and inner_of(answer, "token") is not None:
            return True
        if is_refusal(answer):
            return False
        raise no_answer(answer, self._url)

    def _direct(self, tenant: str, mine: Mapping[str, bool]) -> Token:
        """A project's token, made of the password: for a Keystone that makes no token of
        another."""
        auth = {
            **login_request(self.credentials),
            "scope": {"project": {"id": tenant}},
        }
        try:
            with self._attempt():
                return self._tokens_request(auth)
        except Refused as error:
            raise self._why_not(tenant, mine) from error

    def _attempt(self) -> AbstractContextManager[None]:
        """A try of the password, by one process at a time."""
        seconds = min(self._connections.left, _LOGIN_TIME)
        return self._logins.attempt(self._account, self._doubt, seconds)

    def _why_not(self, tenant: str, mine: Mapping[str, bool]) -> ProjectRefused:
        """What is wrong with the project. The login is good, or there would be no saying."""
        if mine.get(tenant) is False:
            return ProjectRefused(
                tenant,
                "it is disabled in Keystone; enable it, or correct tenant_id",
            )
        gone, who = self.gone(tenant), self.credentials.who
        if gone:
            return ProjectRefused(
                tenant,
                f"Keystone at {host(self._url)} has no such project; correct tenant_id",
            )
        what = "no role in it"
        if gone is None:
            what += ", or there is no such project"
        return ProjectRefused(
            tenant,
            f"{who} has {what}; give it a role there, or correct tenant_id",
        )

    def _projects(self) -> Mapping[str, bool]:
        """The projects in which the user has a role, and whether they are enabled. Empty when
        Keystone does not say."""
        answer = self._ask("GET", "/auth/projects", self._login())
        if answer.status != 200:
            return {}
        document = answer.json()
        if not isinstance(document, dict):
            return {}
        listed = document.get("projects")
        if not isinstance(listed, list):
            return {}
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
        with self._attempt():
            try:
                return self._tokens_request(login_request(self.credentials))
            except Refused as error:
                told = _rejected(self.credentials, str(error))
                raise CredentialsRejected(told) from error

    # Keystone's API -------------------------------------------------------------------------------

    def _tokens_request(self, auth: Mapping[str, Json]) -> Token:
        body = json.dumps({"auth": auth}).encode()
        answer = self._exchange(
            "POST", "/auth/tokens", {"Content-Type": "application/json"}, body
        )
        if answer.status in (400, 401, 403, 404) and is_refusal(answer):
            raise Refused(answer)
        token = inner_of(answer, "token")
        value = answer.headers.get("x-subject-token")
        if answer.status not in (200, 201) or token is None or not value:
            raise no_answer(answer, self._url)
        project = ""
        if isinstance(token.get("project"), dict):
            project = str(token["project"].get("id") or "")
        headers = {"X-Auth-Token": value}
        now = self._connections.clock.monotonic()
        return made(headers, project, token.get("catalog"), life(token), now)

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
        if answer.status < 300:
            return answer
        return answer.without(self.credentials.secrets)


def _rejected(credentials: Credentials, reason: str) -> str:
    return (
        f"Keystone rejects {credentials.who} ({reason}): the password or secret is"
        f" wrong or expired, or the account is disabled or locked; {credentials.cure}"
    )
