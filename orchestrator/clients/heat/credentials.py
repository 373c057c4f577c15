"""Who we are, for Keystone and for people, and where Heat is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ...errors import TenantUnusable
from .answer import plain
from .connections import NORMAL_TRUST, Trust
from .failures import host

PASSWORD = ("password", "v3password")
APPLICATION_CREDENTIAL = ("v3applicationcredential",)
NO_AUTHENTICATION = "none"

_SCOPE = (
    "project_id",
    "project_name",
    "tenant_id",
    "tenant_name",
    "project_domain_id",
    "project_domain_name",
)
_OTHER_SCOPES = (
    "domain_id",
    "domain_name",
    "system_scope",
    "trust_id",
    "unscoped",
)
_SECRETS = frozenset(
    {
        "password",
        "application_credential_secret",
        "passcode",
        "token",
        "client_secret",
        "access_token",
        "refresh_token",
        "code",
    }
)
"""Options that prove who we are. All others only say it."""
_MARKS = ("%(tenant_id)s", "%(project_id)s", "$(tenant_id)s", "$(project_id)s")
"""What stands for the project in an address, as in Keystone's catalogue."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are, where Keystone is, and how to find Heat.

    *kind* is the ``auth_type``; *options* are those of its plug-in. *source* says where all this
    is from, *files* which files it was read from. *endpoint* is Heat's address where it is not
    taken from Keystone's catalogue.
    """

    kind: str
    options: Mapping[str, Any] = field(repr=False)
    source: str
    trust: Trust = NORMAL_TRUST
    region: str = ""
    interface: str = "public"
    endpoint: str = ""
    files: tuple[str, ...] = ()

    @property
    def auth_url(self) -> str:
        return str(self.options.get("auth_url") or "")

    @property
    def who(self) -> str:
        """For people: the user or the application credential, and the Keystone that knows it."""
        what = f"user {self._first('username', 'user_id') or self.kind}"
        if self.kind in APPLICATION_CREDENTIAL:
            name = self._first(
                "application_credential_name", "application_credential_id"
            )
            what = f"application credential {name}"
        if self.auth_url:
            return f"{what} at {host(self.auth_url)}"
        return what

    @property
    def cure(self) -> str:
        """What a person has to do once they are wrong. A file is read again when it changes, the
        environment is not."""
        restart = " and restart the workers"
        if self.files:
            restart = ""
        return f"correct {self.source}{restart}"

    @property
    def bound(self) -> bool:
        """Whether Keystone ties them to one project."""
        return self.kind in APPLICATION_CREDENTIAL or bool(
            self.options.get("trust_id")
        )

    @property
    def delegated(self) -> bool:
        """Whether their tokens are delegated: Keystone lets no such token make a trust, which Heat
        may want to."""
        return self.bound or "oauth" in self.kind

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be told, when somebody quotes what we sent."""
        return tuple(
            str(value)
            for name, value in self.options.items()
            if name in _SECRETS
        )

    @property
    def own_scope(self) -> Mapping[str, Any]:
        """The scope that they name for themselves, as Keystone takes it; empty when they name
        none."""
        if project := self._first("project_id", "tenant_id"):
            return {"project": {"id": project}}
        if project := self._first("project_name", "tenant_name"):
            domain = self._named("project_domain") or {"id": "default"}
            return {"project": {"name": project, "domain": domain}}
        if self._first("system_scope"):
            return {"system": {"all": True}}
        domain = self._named("domain")
        if domain:
            return {"domain": domain}
        return {}

    @property
    def account(self) -> str:
        """A short name of the account and of the version of its password, for keys and
        comparisons.

        It must change when the password is rotated, and tell nobody the password: two bytes of a
        slow hash tell old from new, and would fit one in 65,536 of all guesses.
        """
        options = sorted(
            (name, str(value)) for name, value in self.options.items()
        )
        said = [
            (name, value)
            for name, value in options
            if name not in (*_SECRETS, *_SCOPE)
        ]
        proof = json.dumps(
            [value for name, value in options if name in _SECRETS]
        ).encode()
        name = hashlib.sha256(
            json.dumps([self.kind, said]).encode()
        ).hexdigest()[:12]
        return f"{name}-{hashlib.pbkdf2_hmac('sha256', proof, name.encode(), 50_000, 2).hex()}"

    def for_plugin(self, tenant: str) -> dict[str, Any]:
        """The plug-in's options, scoped to the project; as they are for ``""``."""
        if not tenant or self.bound:
            return dict(self.options)
        rest = {
            name: value
            for name, value in self.options.items()
            if name not in (*_SCOPE, *_OTHER_SCOPES)
        }
        return {**rest, "project_id": tenant}

    def _first(self, *names: str) -> Any:
        """The first of some options that is given."""
        return next(
            (self.options[name] for name in names if self.options.get(name)),
            None,
        )

    def _named(self, what: str) -> dict[str, Any]:
        """Something of Keystone's by its id or its name, as Keystone takes it; empty when it is
        not given."""
        for how in ("id", "name"):
            if value := self.options.get(f"{what}_{how}"):
                return {how: value}
        return {}


def check_tenant(tenant: str) -> None:
    """Nothing is built in a project that nobody named.

    :raises TenantUnusable: the text cannot be a project's id.
    """
    if not isinstance(tenant, str) or not tenant.strip():
        raise TenantUnusable(
            "the resource names no project (tenant_id), and no other is taken instead"
        )
    if "/" in tenant or tenant in (".", "..") or not tenant.isprintable():
        raise TenantUnusable(
            f"{plain(tenant, 80)!r} is not the id of a project (tenant_id)"
        )


def endpoint_of(template: str, tenant: str) -> str:
    """Heat's address for a project. One that does not end in the project gets it appended.

    >>> endpoint_of("http://heat:8004/v1/%(tenant_id)s", "t1")
    'http://heat:8004/v1/t1'
    >>> endpoint_of("http://heat:8004/v1/", "t1")
    'http://heat:8004/v1/t1'
    """
    quoted = quote(tenant, safe="")
    address = template
    for mark in _MARKS:
        address = address.replace(mark, quoted)
    address = address.rstrip("/")
    if address.endswith(f"/{quoted}"):
        return address
    return f"{address}/{quoted}"
