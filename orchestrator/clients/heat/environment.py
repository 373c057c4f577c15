"""The credentials are read as the ``openstack`` command reads them, and checked at once.

openstacksdk reads the ``OS_*`` variables and ``clouds.yaml``. What it lets pass and what would
fail later in another place (a missing password, ``OS_VERIFY=false``, a CA file that is not there)
is checked here, once, and told in one sentence that names the variable or the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ...errors import EnvironmentUnusable
from .answer import QUOTED, plain
from .connections import Trust
from .credentials import (
    APPLICATION_CREDENTIAL,
    NO_AUTHENTICATION,
    PASSWORD,
    Credentials,
)
from .failures import without_userinfo

_WORDS = {
    **dict.fromkeys(("", "1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
"""What people write into ``OS_VERIFY``. Anything else is the name of a CA file."""

_ADDRESS = (("auth_url",), "OS_AUTH_URL")
_USER = (("username", "user_id"), "OS_USERNAME")
_PASSWORD = (("password",), "OS_PASSWORD")
_CREDENTIAL = (
    ("application_credential_id", "application_credential_name"),
    "OS_APPLICATION_CREDENTIAL_ID",
)
_SECRET = (
    ("application_credential_secret",),
    "OS_APPLICATION_CREDENTIAL_SECRET",
)
_PROOFS = (_PASSWORD[1], _SECRET[1])
_REQUIRED = {
    **dict.fromkeys(PASSWORD, (_ADDRESS, _USER, _PASSWORD)),
    **dict.fromkeys(APPLICATION_CREDENTIAL, (_ADDRESS, _CREDENTIAL, _SECRET)),
}
"""By the kind of credentials: options of which one has to be given, and the variable to set."""


_TRUST_KEYS = {"verify", "insecure", "cacert", "cert"}
"""Keys of a tenant's file that say how Keystone's and Heat's certificates are checked."""


def of_environment() -> Credentials:
    """The credentials of this process: ``OS_*`` variables, or ``OS_CLOUD`` and ``clouds.yaml``.

    :raises EnvironmentUnusable: naming what is wrong.
    """
    cloud = os.environ.get("OS_CLOUD", "")
    source = "the OS_* variables"
    if cloud:
        source = f"cloud {cloud!r} of clouds.yaml"
    with _told(source):
        # Half a second to import: only those who talk to Heat pay.
        from openstack import config

        loader = config.OpenStackConfig(load_envvars=True)
        files = tuple(
            path
            for path in (loader.config_filename, loader.secure_config_filename)
            if path
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
        if not isinstance(document, dict) or not isinstance(
            document.get("auth"), dict
        ):
            raise EnvironmentUnusable(
                f"{path}: expected what clouds.yaml has for one cloud: auth_type, auth:"
                " {…}"
            )
        if base is not None:
            document["auth"].setdefault("auth_url", base.auth_url or None)
        loader = config.OpenStackConfig(
            load_envvars=False, load_yaml_config=False
        )
        found = _credentials(
            loader.get_one(validate=False, **document), path, (path,)
        )
    if base is None:
        return found
    inherited: dict[str, Any] = {"endpoint": found.endpoint or base.endpoint}
    if "region_name" not in document:
        inherited["region"] = base.region
    if "interface" not in document:
        inherited["interface"] = base.interface
    if not document.keys() & _TRUST_KEYS:
        inherited["trust"] = base.trust
    return replace(found, **inherited)


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


# Reading ------------------------------------------------------------------------------------------


@contextmanager
def _told(source: str) -> Iterator[None]:
    """Whatever goes wrong while credentials are read says where they are from."""
    try:
        yield
    except EnvironmentUnusable:
        raise
    except Exception as error:
        # openstacksdk raises what comes: AttributeError for a cloud that is a number.
        raise EnvironmentUnusable(
            f"{source}: {_words(error)}; correct it"
        ) from error


def _words(error: Exception) -> str:
    """What an error of openstacksdk or keystoneauth says."""
    from keystoneauth1 import exceptions

    if isinstance(error, exceptions.NoMatchingPlugin):
        return f"auth_type (OS_AUTH_TYPE) {error.name!r} is unknown"
    what = type(error).__name__
    if text := plain(without_userinfo(str(error)), QUOTED):
        what += f": {text}"
    return f"cannot be used ({what})"


def _check_cloud(cloud: str, loader: Any) -> None:
    """openstacksdk passes over a file that it cannot read, and takes an unknown cloud for an empty
    one."""
    for path in map(Path, loader._config_files):
        if path.exists():
            clouds = _clouds(path)
            if not isinstance(clouds.get(cloud), dict):
                known = ", ".join(map(str, clouds)) or "none"
                raise EnvironmentUnusable(
                    f"OS_CLOUD={cloud}: {path} has no such cloud (it has: {known});"
                    " correct one of them"
                )
            return
    looked = ", ".join(
        dict.fromkeys(map(os.path.dirname, loader._config_files))
    )
    raise EnvironmentUnusable(
        f"OS_CLOUD={cloud}: there is no clouds.yaml in {looked}; put one there"
    )


def _clouds(path: Path) -> dict[str, Any]:
    """The clouds of a file, by name."""
    import yaml

    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        words = plain(str(error), QUOTED)
        raise EnvironmentUnusable(f"{path}: {words}; correct it") from error
    if not isinstance(document, dict):
        return {}
    clouds = document.get("clouds")
    if not isinstance(clouds, dict):
        return {}
    return clouds


def _credentials(
    region: Any, source: str, files: tuple[str, ...]
) -> Credentials:
    config = region.config
    kind = str(config.get("auth_type") or NO_AUTHENTICATION).lower()
    kind = {"none": NO_AUTHENTICATION, "token_endpoint": "admin_token"}.get(
        kind, kind
    )
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
    if isinstance(methods, str):
        methods = methods.split(",")
    if methods:
        given = {**given, "auth_methods": methods}
    for option in plugin_options(kind, methods):
        for name in (
            option.dest,
            *(old.dest for old in option.deprecated or ()),
        ):
            value = given.get(name) or config.get(name)
            if value not in (None, ""):
                found.setdefault(option.dest, value)
    return found


def _check(found: Credentials) -> None:
    """What is wrong shows here, and not as a refusal of Keystone, which does not say what is
    missing."""
    for names, variable in _REQUIRED.get(found.kind, ()):
        if not any(found.options.get(name) for name in names):
            whose = ""
            if variable in _PROOFS:
                whose = f" for {found.who}"
            raise EnvironmentUnusable(
                f"{found.source}: {variable} not set{whose}"
            )
    if found.kind == NO_AUTHENTICATION and not found.endpoint:
        raise EnvironmentUnusable(
            f"{found.source}: with OS_AUTH_TYPE=none, OS_ENDPOINT has to say where"
            " Heat is"
        )
    _check_address(found.auth_url, found.source, "OS_AUTH_URL")
    _check_address(
        found.endpoint,
        found.source,
        "Heat's address (OS_ENDPOINT or OS_ORCHESTRATION_ENDPOINT_OVERRIDE)",
    )


def _check_address(address: str, source: str, what: str) -> None:
    if not address:
        return
    try:
        parts = urlsplit(address)
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
        )
    except ValueError:
        good = False
    if not good:
        shown = plain(without_userinfo(address), 80)
        raise EnvironmentUnusable(
            f"{source}: {what} is {shown!r}, and not an address such as"
            " https://host:5000/v3"
        )


def _trust(region: Any, source: str) -> Trust:
    """How to check the other side's certificate, and which to show."""
    verify, cert = region.get_requests_verify_args()
    if isinstance(verify, str):
        word = verify.strip().lower()
        verify = _WORDS.get(word, verify)
    _check_file(verify, source, "the CA file (OS_CACERT)")
    paths = cert
    if not isinstance(cert, tuple):
        paths = (cert,)
    for path in paths:
        _check_file(
            path, source, "the client certificate or its key (OS_CERT, OS_KEY)"
        )
    return Trust(verify, cert)


def _check_file(path: Any, source: str, what: str) -> None:
    if isinstance(path, str) and not os.access(path, os.R_OK):
        raise EnvironmentUnusable(
            f"{source}: {what} is {plain(path, 120)}, which is not there or cannot be"
            " read"
        )
