"""Tokens by any other plug-in of keystoneauth: federation, TOTP, tokens given from outside, HTTP
basic …

The plug-in makes the requests; what it raises is renamed here. Keystone's 401 is the same for
credentials that are wrong and for a project without a role, so after it the plug-in is asked for a
token of no project.
"""

from __future__ import annotations

from typing import Any

from keystoneauth1 import exceptions, loading
from keystoneauth1 import session as keystone

from ...core.documents import parse_json
from ...errors import (
    CredentialsRejected,
    EnvironmentUnusable,
    HeatUnavailable,
    OrchestratorError,
    ProjectRefused,
)
from .answer import QUOTED, plain
from .connections import Connections
from .credentials import Credentials
from .environment import plugin_options
from .failures import FOREIGN, unavailable, without_userinfo
from .logins import Account, Logins
from .shared_tokens import SharedTokens
from .token import Token, made
from .tokens import Tokens, bound_elsewhere

_LOGIN_TIME = 150.0
"""Seconds that a login may take, as others see it."""


class Plugins:
    """One plug-in for each project."""

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
        trust = credentials.trust
        self._session = keystone.Session(
            session=connections, verify=trust.verify, cert=trust.cert
        )

    def token(self, tenant: str) -> Token:
        token = self._tokens.get(tenant, lambda: self._fetch(tenant))
        if token.project and token.project != tenant:
            raise bound_elsewhere(self.credentials, token.project, tenant)
        return token

    def drop(self, tenant: str, token: Token) -> None:
        self._tokens.drop(tenant, token)
        self._doubt = self._connections.clock.now()

    def check(self) -> Token:
        return self._tokens.get("", lambda: self._fetch(""))

    def gone(self, tenant: str) -> bool | None:
        return None

    def _fetch(self, tenant: str) -> Token:
        with self._logins.attempt(
            self._account, self._doubt, min(self._connections.left, _LOGIN_TIME)
        ):
            try:
                return self._log_in(tenant)
            except CredentialsRejected:
                if not tenant or self.credentials.bound:
                    raise
            self._log_in("")
        raise ProjectRefused(
            tenant,
            f"{self.credentials.who} has no role in it, or there is no such project;"
            " give it a role there, or correct tenant_id",
        )

    def _log_in(self, tenant: str) -> Token:
        try:
            plugin = self._plugin(tenant)
            if not hasattr(plugin, "get_access"):
                return Token(dict(plugin.get_headers(self._session) or {}), "")
            access = plugin.get_access(self._session)
            life = 3600.0
            if access.issued:
                life = (access.expires - access.issued).total_seconds()
            return made(
                {"X-Auth-Token": access.auth_token},
                access.project_id or "",
                _catalog(access),
                life,
                self._connections.clock.monotonic(),
            )
        except OrchestratorError:
            raise
        except (exceptions.ClientException, *FOREIGN) as error:
            raise _renamed(error, self.credentials) from error

    def _plugin(self, tenant: str) -> Any:
        used = self.credentials
        known = plugin_options(used.kind, used.options.get("auth_methods", ()))
        scoped = any(option.dest == "project_id" for option in known)
        if not scoped:
            tenant = ""
        options = used.for_plugin(tenant)
        return loading.get_plugin_loader(used.kind).load_from_options(**options)


def _catalog(access: Any) -> Any:
    if access.has_service_catalog():
        return access.service_catalog.catalog
    return None


def _renamed(error: Exception, credentials: Credentials) -> OrchestratorError:
    words = plain(without_userinfo(str(error)), QUOTED)
    if isinstance(error, exceptions.AuthPluginException):
        return EnvironmentUnusable(
            f"{credentials.source}: {words}; {credentials.cure}"
        )
    if isinstance(
        error, exceptions.AuthorizationFailure | exceptions.MissingAuthMethods
    ):
        return EnvironmentUnusable(
            f"{credentials.source}: {words}; {credentials.cure}"
        )
    if isinstance(
        error,
        exceptions.Unauthorized | exceptions.Forbidden | exceptions.NotFound,
    ) and _is_keystones(error):
        return CredentialsRejected(
            f"Keystone rejects {credentials.who}: {words}; {credentials.cure}"
        )
    if isinstance(error, exceptions.ClientException):
        return HeatUnavailable(
            f"Keystone gives no token to {credentials.who}:"
            f" {words or type(error).__name__}"
        )
    return unavailable(error, credentials.auth_url)


def _is_keystones(error: Any) -> bool:
    """Whether the refusal is Keystone's own document, and not a page of what stands before it."""
    try:
        document = parse_json(error.response.content)
        return bool(document["error"]["code"] == error.response.status_code)
    except (
        AttributeError,
        ValueError,
        LookupError,
        TypeError,
        RecursionError,
    ):
        return False
