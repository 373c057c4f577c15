"""The door to Heat (through python-heatclient) and Keystone (through keystoneauth).

One session per tenant, its token scoped to that tenant and renewed by keystoneauth; all share one
pool of connections. Sessions are made at first use, so after a worker's fork.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests
from heatclient import client as heatclient
from heatclient import exc as heat_errors
from keystoneauth1 import exceptions as keystone_errors
from keystoneauth1 import loading, noauth
from keystoneauth1 import session as keystone

from ..core.rendering import StackRequest
from ..core.stacks import Stack
from ..errors import CredentialsRejected, HeatRefused, HeatUnavailable, StackBusy, StackExists, StackMissing

T = TypeVar("T")

_PAGE = 1000
"""Stacks per page of a list: Heat's own default limit (max_stacks_list)."""
_POOL = 32
"""Connections kept open per worker process."""
_PROJECT_OPTIONS = ("project_id", "project_name", "tenant_id", "tenant_name", "project_domain_id", "project_domain_name")


class Heat:
    """Stacks of any tenant.

    Every method raises :class:`HeatUnavailable` or :class:`CredentialsRejected` when asking again
    later may help, and :class:`HeatRefused` (with its kinds) when not.
    """

    def __init__(self, timeout: float = 60.0) -> None:
        """:param timeout: seconds for one request."""
        self._timeout = timeout
        self._lock = threading.Lock()
        self._tenants: dict[str, Any] = {}
        self._cloud: _Cloud | None = None
        self._checks = _Checks()

    def warm_up(self) -> None:
        """Read the credentials and import what a client needs; no request is made."""
        with self._lock:
            if self._cloud is None:
                self._cloud = _Cloud(self._timeout, self._checks)
            self._cloud.client("")

    @contextmanager
    def only_while(self, check: Callable[[], None]) -> Iterator[None]:
        """Within the block, *check* is called directly before each request of this thread leaves; when it raises,
        the request is not made. (The first request of a process takes a second to get that far.)"""
        self._checks.check = check
        try:
            yield
        finally:
            self._checks.check = None

    def prepare(self, tenant: str) -> None:
        """Have a token and an address for the tenant, so that the next call is one request and no more."""
        self._call(tenant, lambda heat: (heat.http_client.get_token(), heat.http_client.get_endpoint()))

    def gone(self, tenant: str) -> bool | None:
        """Whether Keystone says that there is no such project any more; None when it does not tell us."""
        return None

    def show(self, tenant: str, stack: str, *, outputs: bool) -> Stack | None:
        """A stack by ``name`` or ``name/id``, None when Heat knows it no more.

        :param outputs: resolve the outputs too, which costs Heat a look at every resource.
        """
        try:
            return self._call(tenant, partial(_shown, f"/stacks/{quote(stack)}" + ("" if outputs else "?resolve_outputs=False")))
        except StackMissing:
            return None

    def in_progress(self, tenant: str) -> Iterator[str]:
        """The ids of the tenant's stacks on which Heat is at work."""
        query = f"/stacks?status=IN_PROGRESS&limit={_PAGE}"
        marker = ""
        while True:
            # Not heat.stacks.list(), which makes an object of each stack: five times the cost for ids.
            page = self._call(tenant, partial(_ids, query + marker))
            yield from page
            if len(page) < _PAGE:
                return
            marker = f"&marker={page[-1]}"

    def create(self, request: StackRequest, tag: str) -> str:
        """Ask for a new stack; Heat's id of it.

        :raises StackExists: there is one of that name.
        """
        made = self._call(request.tenant, lambda heat: heat.stacks.create(stack_name=request.name, **_fields(request, tag)))
        return str(made["stack"]["id"])

    def update(self, request: StackRequest, stack: Stack, tag: str) -> None:
        """Ask for a stack to become what *request* says.

        :raises StackBusy: another action is in progress on it.
        """
        self._call(request.tenant, lambda heat: heat.stacks.update(f"{stack.name}/{stack.id}", **_fields(request, tag)))

    def delete(self, tenant: str, stack: Stack) -> None:
        """Ask for a stack to go; it may be gone already."""
        try:
            self._call(tenant, lambda heat: heat.stacks.delete(f"{stack.name}/{stack.id}"))
        except StackMissing:
            return

    # The connection ---------------------------------------------------------------------------------

    def _call(self, tenant: str, call: Callable[[Any], T]) -> T:
        try:
            return call(self._client(tenant))
        except heat_errors.HTTPException as error:
            raise _renamed(error) from error
        except (keystone_errors.Unauthorized, keystone_errors.MissingRequiredOptions, keystone_errors.NoMatchingPlugin) as error:
            raise CredentialsRejected(
                f"Keystone refuses the credentials; check the OS_* settings of the workers: {error}"
            ) from error
        except (keystone_errors.Forbidden, keystone_errors.NotFound) as error:
            raise CredentialsRejected(f"Keystone gives no token for project {tenant or 'of the credentials'}: {error}") from error
        except (keystone_errors.ClientException, heat_errors.CommunicationError, requests.RequestException) as error:
            raise HeatUnavailable(f"Heat or Keystone cannot be reached: {error}") from error

    def _client(self, tenant: str) -> Any:
        with self._lock:
            if tenant not in self._tenants:
                if self._cloud is None:
                    self._cloud = _Cloud(self._timeout, self._checks)
                self._tenants[tenant] = self._cloud.client(tenant)
            return self._tenants[tenant]


def _shown(path: str, heat: Any) -> Stack:
    return Stack.from_heat(heat.http_client.get(path).json()["stack"])


def _ids(query: str, heat: Any) -> list[str]:
    return [stack["id"] for stack in heat.http_client.get(query).json()["stacks"]]


def _fields(request: StackRequest, tag: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "template": request.template,
        "parameters": dict(request.parameters),
        "disable_rollback": True,
        "tags": tag,
    }
    if request.timeout_mins is not None:
        fields["timeout_mins"] = request.timeout_mins
    return fields


def _renamed(error: heat_errors.HTTPException) -> Exception:
    """Heat's answer in our words; its traceback stays where it was."""
    status = int(getattr(error, "code", 0) or 0)
    details = _mapping(getattr(error, "error", None))
    inner = _mapping(details.get("error"))
    kind = inner.get("type") or ""
    reason = str(inner.get("message") or details.get("explanation") or error).strip()
    if status == 401:
        return CredentialsRejected(f"Heat refuses the token: {reason}")
    if status == 404 and kind not in ("InvalidTenant",):
        return StackMissing(reason)
    if status == 409 and kind == "StackExists":
        return StackExists(status, reason)
    if status == 409 and kind in ("ActionInProgress", "ActionNotComplete", "StopActionFailed"):
        return StackBusy(reason)
    if status in (408, 409, 429) or status >= 500 or status == 0:
        return HeatUnavailable(f"Heat answers {status}: {reason}")
    return HeatRefused(status, reason)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


class _Checks(threading.local):
    """What each thread wants to be sure of before a request leaves."""

    check: Callable[[], None] | None = None


class _Connections(requests.Session):
    """A session that reads the environment (proxies, certificates) once for each host, and no ``.netrc``: for
    every request anew it takes a quarter of the request's CPU time."""

    def __init__(self, checks: _Checks) -> None:
        super().__init__()
        self.auth = _as_it_is
        self._checks = checks
        self._settings: dict[tuple[str, object, object], Any] = {}

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        known = (urlsplit(url).netloc, verify, cert)
        if known not in self._settings:
            self._settings[known] = super().merge_environment_settings(url, proxies, None, verify, cert)
        return {**self._settings[known], "stream": stream}

    def send(self, request: Any, **kwargs: Any) -> Any:
        if self._checks.check is not None:
            self._checks.check()
        return super().send(request, **kwargs)


def _as_it_is(request: Any) -> Any:
    """keystoneauth has put the token in already."""
    return request


class _Cloud:
    """The credentials of the environment, exactly as the ``openstack`` command takes them."""

    def __init__(self, timeout: float, checks: _Checks) -> None:
        from openstack import config  # takes half a second to import: only those who talk to Heat pay

        self._timeout = timeout
        self._region = config.OpenStackConfig(load_envvars=True).get_one()
        self._requests = _Connections(checks)
        for scheme in ("http://", "https://"):
            self._requests.mount(scheme, requests.adapters.HTTPAdapter(pool_connections=_POOL, pool_maxsize=_POOL))

    def client(self, tenant: str) -> Any:
        """A Heat client whose token is scoped to the tenant (``""``: to the project of the credentials)."""
        options = self._region.config
        verify, certificate = self._region.get_requests_verify_args()
        auth, endpoint = self._auth(tenant)
        session = keystone.Session(auth=auth, session=self._requests, verify=verify, cert=certificate, timeout=self._timeout)
        return heatclient.Client(
            "1",
            session=session,
            endpoint_override=endpoint,
            region_name=options.get("region_name") or None,
            interface=options.get("interface") or "public",
            service_type="orchestration",
        )

    def _auth(self, tenant: str) -> tuple[Any, str | None]:
        """The plugin, and Heat's endpoint where no catalogue says it."""
        options = dict(self._region.config.get("auth") or {})
        kind = self._region.config.get("auth_type") or "password"
        endpoint = options.get("endpoint") or self._region.config.get("orchestration_endpoint_override")
        if kind == "none":
            return noauth.NoAuth(), _endpoint(endpoint, tenant or "admin")
        loader = loading.get_plugin_loader(kind)
        known = {option.dest for option in loader.get_options()}
        if tenant and "project_id" in known and "applicationcredential" not in kind.replace("_", ""):
            options = {name: value for name, value in options.items() if name not in _PROJECT_OPTIONS}
            options["project_id"] = tenant
        chosen = {name: value for name, value in options.items() if name in known and value is not None}
        override = self._region.config.get("orchestration_endpoint_override")
        return loader.load_from_options(**chosen), _endpoint(override, tenant) if override else None


def _endpoint(template: str | None, tenant: str) -> str | None:
    """Heat's address for a tenant; ``%(tenant_id)s`` and ``%(project_id)s`` stand for it, as in a catalogue."""
    if not template:
        return None
    for mark in ("%(tenant_id)s", "%(project_id)s", "$(tenant_id)s", "$(project_id)s"):
        template = template.replace(mark, tenant)
    return template.rstrip("/") if template.rstrip("/").endswith(f"/{tenant}") else f"{template.rstrip('/')}/{tenant}"
