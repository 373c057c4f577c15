"""Keystone as its administrator speaks to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

Json = Any


class CloudIdentity:
    """Projects, users and roles.

    :param url: Keystone's, with ``/v3``.
    """

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self._password = password
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["User-Agent"] = "tests"
        self._roles: dict[str, str] = {}

    def login(self) -> None:
        """Get a token of the administrator."""
        self._session.headers["X-Auth-Token"] = self.token("admin", self._password, "admin")

    def token(self, user: str, password: str, project: str) -> str:
        """A token of a user of the default domain, for the project of this name.

        :raises requests.HTTPError: Keystone gives none.
        """
        domain = {"id": "default"}
        who = {"name": user, "domain": domain, "password": password}
        identity = {"methods": ["password"], "password": {"user": who}}
        scope = {"project": {"name": project, "domain": domain}}
        document = {"auth": {"identity": identity, "scope": scope}}
        answer = self._session.post(f"{self.url}/auth/tokens", json=document, timeout=60)
        answer.raise_for_status()
        return answer.headers["X-Subject-Token"]

    def request(self, method: str, path: str, body: Json = None) -> Json:
        """The document of the answer; a new token is fetched when the old one is over.

        :raises requests.HTTPError: anything but success.
        """
        answer = self._send(method, path, body)
        if answer.status_code == 401:
            self.login()
            answer = self._send(method, path, body)
        if not answer.ok:
            reason = f"{answer.status_code} to {method} {path}: {answer.text[:300]}"
            raise requests.HTTPError(reason, response=answer)
        return answer.json() if answer.content else None

    def _send(self, method: str, path: str, body: Json) -> requests.Response:
        return self._session.request(method, self.url + path, json=body, timeout=60)

    def _made(self, kind: str, **fields: Json) -> str:
        """The id of a new thing."""
        return str(self.request("POST", f"/{kind}s", {kind: fields})[kind]["id"])

    def project(self, name: str) -> str:
        """A new project of the default domain; its id."""
        return self._made("project", name=name, domain_id="default")

    def domain(self, name: str) -> str:
        return self._made("domain", name=name)

    def user(self, name: str, password: str, domain: str = "default") -> str:
        return self._made("user", name=name, password=password, domain_id=domain)

    def change_password(self, user: str, password: str) -> None:
        self.request("PATCH", f"/users/{user}", {"user": {"password": password}})

    def remove_project(self, project: str) -> None:
        self.request("DELETE", f"/projects/{project}")

    def role(self, name: str) -> str:
        """The id of a role, which is made where there is none of this name."""
        if name not in self._roles:
            known = self.request("GET", f"/roles?name={name}")["roles"]
            self._roles[name] = known[0]["id"] if known else self._made("role", name=name)
        return self._roles[name]

    def give(self, role: str, user: str, *, project: str = "", domain: str = "") -> None:
        """Give a role, by its name, in a project or a domain."""
        self.request("PUT", self._grant(role, user, project, domain))

    def take(self, role: str, user: str, *, project: str = "", domain: str = "") -> None:
        self.request("DELETE", self._grant(role, user, project, domain))

    def _grant(self, role: str, user: str, project: str, domain: str) -> str:
        place = f"/projects/{project}" if project else f"/domains/{domain}"
        return f"{place}/users/{user}/roles/{self.role(role)}"

    def service(self, kind: str, name: str, urls: Mapping[str, str], region: str) -> None:
        """Put a service into the catalogue.

        :param urls: by interface, ``public`` and so on.
        """
        service = self._made("service", type=kind, name=name)
        for interface, url in urls.items():
            where = {"interface": interface, "url": url, "region_id": region}
            self._made("endpoint", service_id=service, **where)
