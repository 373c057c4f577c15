"""The credentials: read as the ``openstack`` command reads them, checked before they are used.

openstacksdk reads the ``OS_*`` variables and ``clouds.yaml``. What it lets pass and what would
fail later in another place (a missing password, ``OS_VERIFY=false``, a CA file that is not there)
is checked here, once, and told in one sentence that names the variable or the file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ...errors import EnvironmentUnusable, TenantUnusable
from .answers import QUOTED, plain
from .connections import NORMAL_TRUST, Trust, host, without_userinfo

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
_OTHER_SCOPES = ("domain_id", "domain_name", "system_scope", "trust_id", "unscoped")
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
_TRUE, _FALSE = ("", "1", "true", "yes", "on"), ("0", "false", "no", "off")
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
        named = self.options.get("username") or self.options.get("user_id")
        credential = self.options.get("application_credential_name") or self.options.get(
            "application_credential_id"
        )
        what = (
            f"application credential {credential}" if credential else f"user {named or self.kind}"
        )
        return f"{what} at {host(self.auth_url)}" if self.auth_url else what

    @property
    def cure(self) -> str:
        """What a person has to do once they are wrong. A file is read again when it changes, the
        environment is not."""
        return (
            f"correct {self.source}"
            if self.files
            else f"correct {self.source} and restart the workers"
        )

    @property
    def bound(self) -> bool:
        """Whether Keystone ties them to one project."""
        return self.kind in APPLICATION_CREDENTIAL or bool(self.options.get("trust_id"))

    @property
    def delegated(self) -> bool:
        """Whether their tokens are delegated: Keystone lets no such token make a trust, which Heat
        may want to."""
        return self.bound or "oauth" in self.kind

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be told, when somebody quotes what we sent."""
        return tuple(str(value) for name, value in self.options.items() if name in _SECRETS)

    @property
    def own_scope(self) -> Mapping[str, Any]:
        """The scope that they name for themselves, as Keystone takes it; empty when they name
        none."""
        option = self.options.get
        domain = (
            _by("id", option("project_domain_id"))
            or _by("name", option("project_domain_name"))
            or {"id": "default"}
        )
        if project := option("project_id") or option("tenant_id"):
            return {"project": {"id": project}}
        if project := option("project_name") or option("tenant_name"):
            return {"project": {"name": project, "domain": domain}}
        if option("system_scope"):
            return {"system": {"all": True}}
        return (
            {"domain": inner}
            if (inner := _by("id", option("domain_id")) or _by("name", option("domain_name")))
            else {}
        )

    @property
    def account(self) -> str:
        """A short name of the account and of the version of its password, for keys and
        comparisons.

        It must change when the password is rotated, and tell nobody the password: two bytes of a
        slow hash tell old from new, and would fit one in 65,536 of all guesses.
        """
        options = sorted((name, str(value)) for name, value in self.options.items())
        said = [(name, value) for name, value in options if name not in (*_SECRETS, *_SCOPE)]
        proof = json.dumps([value for name, value in options if name in _SECRETS]).encode()
        name = hashlib.sha256(json.dumps([self.kind, said]).encode()).hexdigest()[:12]
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


def of_environment() -> Credentials:
    """The credentials of this process: ``OS_*`` variables, or ``OS_CLOUD`` and ``clouds.yaml``.

    :raises EnvironmentUnusable: naming what is wrong.
    """
    cloud = os.environ.get("OS_CLOUD", "")
    source = f"cloud {cloud!r} of clouds.yaml" if cloud else "the OS_* variables"
    with _told(source):
        from openstack import (
            config,
        )  # takes half a second to import: only those who talk to Heat pay

        loader = config.OpenStackConfig(load_envvars=True)
        files = tuple(
            path for path in (loader.config_filename, loader.secure_config_filename) if path
        )
        if cloud:
            _check_cloud(cloud, loader)
        if not cloud and not any(name.startswith("OS_") for name in os.environ):
            raise EnvironmentUnusable(f"{source}: none is set")
        return _credentials(loader.get_one(validate=False), source, files)


def of_file(path: str, base: Credentials | None) -> Credentials:
    """The credentials of one project, from a file of its own: what ``clouds.yaml`` has for one
    cloud.

    :param base: the credentials of the environment, which say what the file leaves open:
        addresses, region, TLS.
    :raises EnvironmentUnusable: naming what is wrong.
    """
    with _told(path):
        import yaml
        from openstack import config

        document = yaml.safe_load(Path(path).read_text("utf-8"))
        if not isinstance(document, dict) or not isinstance(document.get("auth"), dict):
            raise EnvironmentUnusable(
                f"{path}: expected what clouds.yaml has for one cloud: auth_type, auth: {{…}}"
            )
        if base is not None:
            document["auth"].setdefault("auth_url", base.auth_url or None)
        loader = config.OpenStackConfig(load_envvars=False, load_yaml_config=False)
        found = _credentials(loader.get_one(validate=False, **document), path, (path,))
    if base is None:
        return found
    given = document.keys() & {"region_name", "verify", "insecure", "cacert", "cert", "interface"}
    return replace(
        found,
        region=found.region if "region_name" in given else base.region,
        interface=found.interface if "interface" in given else base.interface,
        trust=found.trust if given - {"region_name", "interface"} else base.trust,
        endpoint=found.endpoint or base.endpoint,
    )


def tenant_file(folder: str, tenant: str) -> str:
    """Where the credentials of a project are looked for."""
    return str(Path(folder) / f"{quote(tenant, safe='')}.yaml")


def plugin_options(kind: str, methods: Sequence[str] = ()) -> list[Any]:
    """The options of a plug-in of keystoneauth.

    :param methods: of ``v3multifactor``, which takes the options of several plug-ins.
    """
    from keystoneauth1 import loading

    loader = loading.get_plugin_loader(kind)
    if methods:
        loader._methods = methods
    return list(loader.get_options())


def stamp(files: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Changes when one of the files does."""
    found = []
    for path in files:
        try:
            status = Path(path).stat()
        except OSError:
            found.append((0, 0))
        else:
            found.append((status.st_mtime_ns, status.st_size))
    return tuple(found)


def check_tenant(tenant: str) -> None:
    """Nothing is built in a project that nobody named.

    :raises TenantUnusable: the text cannot be a project's id.
    """
    if not isinstance(tenant, str) or not tenant.strip():
        raise TenantUnusable(
            "the resource names no project (tenant_id), and no other is taken instead"
        )
    if "/" in tenant or tenant in (".", "..") or not tenant.isprintable():
        raise TenantUnusable(f"{plain(tenant, 80)!r} is not the id of a project (tenant_id)")


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
    return address if address.endswith(f"/{quoted}") else f"{address}/{quoted}"


# Reading ------------------------------------------------------------------------------------------


@contextmanager
def _told(source: str) -> Iterator[None]:
    """Whatever goes wrong while credentials are read says where they are from."""
    try:
        yield
    except EnvironmentUnusable:
        raise
    except (ImportError, MemoryError, RecursionError):
        raise
    except (
        Exception
    ) as error:  # openstacksdk raises what comes: AttributeError for a cloud that is a number
        raise EnvironmentUnusable(
            f"{source}: {_words(error)}; correct it and restart the workers"
        ) from error


def _words(error: Exception) -> str:
    """What an error of openstacksdk or keystoneauth says."""
    from keystoneauth1 import exceptions

    if isinstance(error, exceptions.NoMatchingPlugin):
        return f"auth_type (OS_AUTH_TYPE) {error.name!r} is unknown"
    text = plain(without_userinfo(str(error)), QUOTED)
    return f"cannot be used ({type(error).__name__}{': ' + text if text else ''})"


def _check_cloud(cloud: str, loader: Any) -> None:
    """openstacksdk passes over a file that it cannot read, and takes an unknown cloud for an empty
    one."""
    for path in map(Path, loader._config_files):
        if path.exists():
            clouds = _clouds(path)
            if not isinstance(clouds.get(cloud), dict):
                known = ", ".join(map(str, clouds)) or "none"
                raise EnvironmentUnusable(
                    f"OS_CLOUD={cloud}: {path} has no such cloud (it has: {known}); correct one of "
                    "them and restart the workers"
                )
            return
    looked = ", ".join(dict.fromkeys(map(os.path.dirname, loader._config_files)))
    raise EnvironmentUnusable(
        f"OS_CLOUD={cloud}: there is no clouds.yaml in {looked}; put one there and restart the "
        "workers"
    )


def _clouds(path: Path) -> dict[str, Any]:
    """The clouds of a file, by name."""
    import yaml

    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        words = plain(str(error), QUOTED)
        raise EnvironmentUnusable(f"{path}: {words}; correct it and restart the workers") from error
    clouds = document.get("clouds") if isinstance(document, dict) else None
    return clouds if isinstance(clouds, dict) else {}


def _credentials(region: Any, source: str, files: tuple[str, ...]) -> Credentials:
    config = region.config
    kind = str(config.get("auth_type") or NO_AUTHENTICATION).lower()
    kind = {"none": NO_AUTHENTICATION, "token_endpoint": "admin_token"}.get(kind, kind)
    options = _options(kind, config)
    endpoint = config.get("orchestration_endpoint_override")
    if not endpoint and "auth_url" not in options:
        endpoint = options.get("endpoint")
    found = Credentials(
        kind=kind,
        options=options,
        source=source,
        trust=_trust(region, source),
        region=config.get("region_name") or "",
        interface=str(config.get("interface") or "public").removesuffix("URL"),
        endpoint=str(endpoint or ""),
        files=files,
    )
    _check(found)
    return found


def _options(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What the plug-in of this kind takes. (openstacksdk would hand it all there is, and fail at a
    user's name beside ``OS_AUTH_TYPE=none``.)"""
    given = config.get("auth") or {}
    found: dict[str, Any] = {}
    methods = given.get("auth_methods") or config.get("auth_methods") or []
    methods = methods.split(",") if isinstance(methods, str) else methods
    if methods:
        given = {**given, "auth_methods": methods}
    for option in plugin_options(kind, methods):
        for name in (option.dest, *(old.dest for old in option.deprecated or ())):
            value = given.get(name) or config.get(name)
            if value not in (None, ""):
                found.setdefault(option.dest, value)
    return found


def _check(found: Credentials) -> None:
    """What is wrong shows here, and not as a refusal of Keystone, which does not say what is
    missing."""
    option, source = found.options.get, found.source
    if found.endpoint:
        _check_address(
            found.endpoint,
            source,
            "Heat's address (OS_ENDPOINT or OS_ORCHESTRATION_ENDPOINT_OVERRIDE)",
        )
    if found.kind == NO_AUTHENTICATION:
        if not found.endpoint:
            raise EnvironmentUnusable(
                f"{source}: with OS_AUTH_TYPE=none, OS_ENDPOINT has to say where Heat is"
            )
        return
    if found.kind in (*PASSWORD, *APPLICATION_CREDENTIAL):
        if not found.auth_url:
            raise EnvironmentUnusable(f"{source}: OS_AUTH_URL not set")
        _check_address(found.auth_url, source, "OS_AUTH_URL")
    if found.kind in PASSWORD:
        if not option("username") and not option("user_id"):
            raise EnvironmentUnusable(f"{source}: OS_USERNAME not set")
        if not option("password"):
            raise EnvironmentUnusable(f"{source}: OS_PASSWORD not set for {found.who}")
    if found.kind in APPLICATION_CREDENTIAL:
        if not option("application_credential_id") and not option("application_credential_name"):
            raise EnvironmentUnusable(f"{source}: OS_APPLICATION_CREDENTIAL_ID not set")
        if not option("application_credential_secret"):
            raise EnvironmentUnusable(
                f"{source}: OS_APPLICATION_CREDENTIAL_SECRET not set for {found.who}"
            )


def _check_address(address: str, source: str, what: str) -> None:
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        shown = plain(without_userinfo(address), 80)
        raise EnvironmentUnusable(
            f"{source}: {what} is {shown!r}, and not an address such as https://host:5000/v3"
        )


def _trust(region: Any, source: str) -> Trust:
    """How to check the other side's certificate, and which to show."""
    verify, cert = region.get_requests_verify_args()
    if isinstance(verify, str):
        word = verify.strip().lower()
        verify = True if word in _TRUE else False if word in _FALSE else verify
    _check_file(verify, source, "the CA file (OS_CACERT)")
    for path in cert if isinstance(cert, tuple) else (cert,):
        _check_file(path, source, "the client certificate or its key (OS_CERT, OS_KEY)")
    return Trust(verify, cert)


def _check_file(path: Any, source: str, what: str) -> None:
    if isinstance(path, str) and not os.access(path, os.R_OK):
        raise EnvironmentUnusable(
            f"{source}: {what} is {plain(path, 120)}, which is not there or cannot be read"
        )


def _by(what: str, value: Any) -> dict[str, Any]:
    return {what: value} if value else {}
